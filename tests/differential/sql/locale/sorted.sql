-- What needs an order of text below the top, in a database of some locale: windows, aggregates, LIMIT, DISTINCT ON.
-- setup
CREATE TABLE nasty (id serial PRIMARY KEY, t text);
INSERT INTO nasty (t) VALUES (''), (' '), ('  '), ('a'), ('A'), ('á'), ('Á'), (U&'a\0301'), (U&'A\0301'), ('ä'), ('æ'), ('ae'), ('AE'), ('Æ'), ('å'), ('z'), ('Z'), ('zz'),
    ('a b'), ('ab'), ('a-b'), ('a_b'), ('A-B'), ('a.b'), ('a''b'), ('a,b'), ('-ab'), ('ab-'), ('a  b'), (E'a\tb'), (E'a\nb'), (E'a\rb'), (E'a\u00a0b'), (E'\u200bab'),
    (E'a\u00adb'), ('1'), ('01'), ('001'), ('10'), ('2'), ('1a'), ('a1'), ('a10'), ('a2'), ('½'), ('²'), ('٣'), ('日本'), ('日'), ('本'), ('日本語'), ('ｶﾀｶﾅ'), ('カタカナ'), ('かたかな'),
    ('한국'), ('Ж'), ('ж'), ('ё'), ('е'), ('Ё'), ('ß'), ('ss'), ('SS'), ('ẞ'), ('İ'), ('i'), ('I'), ('ı'), ('ﬁ'), ('fi'), ('😀'), ('😁'), ('👨‍👩‍👧'), ('🇩🇪'), ('a😀'), ('e'), ('é'), ('è'),
    ('ê'), ('cote'), ('coté'), ('côte'), ('côté'), ('COTE'), ('resume'), ('résumé'), ('Résumé'), ('Resume'), ('re-sume'), ('co-op'), ('coop'), ('CO-OP'), ('co op'), ('x'), ('x '), ('x  '),
    ('X'), ('!'), ('"'), ('#'), ('$'), ('%'), ('&'), ('('), (')'), ('*'), ('+'), ('/'), (':'), (';'), ('<'), ('='), ('>'), ('?'), ('@'), ('['), (E'\\'), (']'), ('^'), ('_'), ('`'), ('{'),
    ('|'), ('}'), ('~'), ('€'), ('§'), (U&'\+010FFF'), (U&'\FFFD'), (U&'\0378'), ('Å'), (U&'\212B'), (U&'q\0323\0307'), (U&'q\0307\0323'), (U&'\0301a'), (repeat('ab', 300)),
    (repeat('ab', 300) || 'A'), (repeat('aB', 300)), (NULL), (NULL);
INSERT INTO nasty (t) SELECT t || '-' FROM nasty WHERE id % 5 = 0;
INSERT INTO nasty (t) SELECT upper(t) || lower(t) FROM nasty WHERE id % 4 = 0;
INSERT INTO nasty (t) SELECT t FROM nasty WHERE id % 3 = 0;
CREATE TABLE w (id int PRIMARY KEY, g int, k int, t text, c char(12), v varchar(12), n name, b text COLLATE "C", m text COLLATE "POSIX");
INSERT INTO w SELECT id, id % 7, id / 40, t, left(t, 12), left(t, 12), left(t, 12), t, t FROM nasty;
INSERT INTO w SELECT 10000 + i, i % 40, i / 100, s, left(s, 12), left(s, 12), left(s, 12), s, s
    FROM (SELECT i, translate(substr(md5(i::text), 1, i % 7), '0123456789abc', 'aAbBzZ-. éÉß_') AS s FROM generate_series(1, 2500) i) x;
CREATE TABLE few (id int PRIMARY KEY, t text, u text);
INSERT INTO few VALUES (1, 'a', 'B'), (2, 'B', 'a'), (3, 'ab', 'a b'), (4, NULL, 'x'), (5, '', 'é'), (6, 'é', NULL), (7, 'E', 'e'), (8, 'zz', 'Z');
CREATE COLLATION us (provider = libc, locale = 'en_US.UTF-8');
-- queries
SELECT id, rank() OVER (ORDER BY t), dense_rank() OVER (ORDER BY t DESC), row_number() OVER (ORDER BY t NULLS FIRST, id) FROM w;
SELECT id, rank() OVER (PARTITION BY g ORDER BY t), percent_rank() OVER (PARTITION BY g ORDER BY t DESC NULLS LAST), cume_dist() OVER (PARTITION BY k ORDER BY t) FROM w;
SELECT id, lag(t) OVER (ORDER BY t, id), lead(id, 2, -1) OVER (ORDER BY t DESC, id DESC), first_value(t) OVER (PARTITION BY g ORDER BY t, id), nth_value(id, 3) OVER (PARTITION BY g ORDER BY t, id) FROM w;
SELECT id, last_value(t) OVER (PARTITION BY g ORDER BY t RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING), ntile(5) OVER (ORDER BY t, id) FROM w;
SELECT id, count(*) OVER (ORDER BY t), sum(id) OVER (ORDER BY t GROUPS BETWEEN 2 PRECEDING AND 1 FOLLOWING), sum(id) OVER (ORDER BY t RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM w;
SELECT id, sum(id) OVER (ORDER BY t, id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW), min(t) OVER (PARTITION BY g), max(t) OVER (ORDER BY t) FROM w;
SELECT id, min(t) OVER (ORDER BY id ROWS BETWEEN 5 PRECEDING AND 2 FOLLOWING), max(c) OVER (PARTITION BY g ORDER BY c, id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM w;
SELECT id, rank() OVER (ORDER BY c), rank() OVER (ORDER BY v DESC), rank() OVER (ORDER BY n), rank() OVER (ORDER BY b), rank() OVER (ORDER BY m DESC) FROM w;
SELECT id, rank() OVER (ORDER BY t COLLATE "C"), rank() OVER (ORDER BY b COLLATE us), rank() OVER (ORDER BY t, b DESC, c) FROM w;
SELECT id, rank() OVER (ORDER BY n COLLATE us), rank() OVER (PARTITION BY t ORDER BY t, id), rank() OVER (PARTITION BY btrim(t) ORDER BY t || 'x') FROM w;
SELECT id, rank() OVER (PARTITION BY g ORDER BY k, t DESC, v, id), row_number() OVER (PARTITION BY g, k ORDER BY reverse(v), id), rank() OVER (ORDER BY reverse(v)) FROM w;
SELECT g, min(t), rank() OVER (ORDER BY min(t)), lag(max(t)) OVER (ORDER BY max(t) DESC, g) FROM w GROUP BY g;
SELECT * FROM (SELECT id, t, row_number() OVER (PARTITION BY g ORDER BY t DESC NULLS LAST, id) AS n FROM w) x WHERE n <= 2;
SELECT id, rank() OVER (ORDER BY 'constant'), rank() OVER (ORDER BY t, 'constant'::text) FROM w WHERE g > 1000 OR id < 30;
SELECT id, (SELECT count(*) FROM (SELECT rank() OVER (ORDER BY f.t) AS r FROM few f WHERE f.id <> w.k) x WHERE r > 2) FROM w WHERE id < 60;
SELECT id, array_agg(t) OVER (PARTITION BY g ORDER BY t, id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), string_agg(v, '|') OVER (PARTITION BY k ORDER BY v, id) FROM w WHERE id % 9 = 0;
SELECT g, string_agg(t, ',' ORDER BY t, id), array_agg(t ORDER BY t DESC), array_agg(id ORDER BY t, id) FROM w GROUP BY g;
SELECT string_agg(t, ',' ORDER BY t), string_agg(DISTINCT t, ','), array_agg(DISTINCT t), array_agg(DISTINCT t ORDER BY t DESC) FROM w;
SELECT g, string_agg(DISTINCT v, ';' ORDER BY v), array_agg(DISTINCT c) FILTER (WHERE id % 2 = 0), array_agg(t ORDER BY b, id), array_agg(b ORDER BY t, id) FROM w GROUP BY ROLLUP (g);
SELECT g, mode() WITHIN GROUP (ORDER BY t), mode() WITHIN GROUP (ORDER BY t DESC), percentile_disc(0.5) WITHIN GROUP (ORDER BY t), percentile_disc(0.9) WITHIN GROUP (ORDER BY c DESC) FROM w GROUP BY g;
SELECT percentile_disc(ARRAY[0, 0.1, 0.25, 0.5, 0.75, 1]) WITHIN GROUP (ORDER BY t), percentile_disc(0.3) WITHIN GROUP (ORDER BY t COLLATE "C"), percentile_disc(0.3) WITHIN GROUP (ORDER BY b) FROM w;
SELECT rank('co-op') WITHIN GROUP (ORDER BY t), dense_rank('a b'::text) WITHIN GROUP (ORDER BY t DESC), cume_dist('é') WITHIN GROUP (ORDER BY v) FROM w;
SELECT g, json_agg(t ORDER BY t, id), jsonb_agg(v ORDER BY v DESC, id), array_agg(k ORDER BY t || '-x', id) FROM w WHERE id % 3 = 0 GROUP BY g;
SELECT id, ARRAY(SELECT t FROM few WHERE few.id <> w.g ORDER BY t), ARRAY(SELECT u FROM few ORDER BY u DESC NULLS LAST LIMIT 3) FROM w WHERE id < 40;
SELECT array_agg(t), string_agg(u, ',') FROM (SELECT t, u FROM few ORDER BY t, u) x;
SELECT ARRAY(SELECT t || '!' FROM (SELECT t, u FROM few ORDER BY u DESC) x);
SELECT * FROM (SELECT t, id FROM w ORDER BY t, id LIMIT 25) x;
SELECT * FROM (SELECT t, id FROM w ORDER BY t DESC NULLS LAST, id OFFSET 10 LIMIT 25) x;
SELECT * FROM (SELECT t, id FROM w ORDER BY t, id OFFSET 2500) x;
SELECT count(*), min(id) FROM (SELECT id FROM w ORDER BY v, id FETCH FIRST 40 ROWS ONLY) x;
SELECT * FROM (SELECT t FROM w ORDER BY t FETCH FIRST 30 ROWS WITH TIES) x;
-- ordered
SELECT t FROM w ORDER BY t DESC FETCH FIRST 30 ROWS WITH TIES;
-- ordered
SELECT t, id FROM w ORDER BY t, id LIMIT 30;
-- ordered
SELECT t, id FROM w ORDER BY t DESC, id OFFSET 100 LIMIT 30;
-- ordered
SELECT g, t, id FROM w ORDER BY g DESC, t NULLS FIRST, id LIMIT 50;
-- ordered
SELECT c, v, n FROM w ORDER BY c, v DESC, n LIMIT 40;
-- ordered
SELECT t, count(*) FROM w GROUP BY t ORDER BY t LIMIT 40;
-- ordered
SELECT btrim(t), count(*) FROM w GROUP BY 1 ORDER BY 1 DESC LIMIT 40 OFFSET 3;
-- ordered
SELECT DISTINCT t FROM w ORDER BY t LIMIT 40;
-- ordered
SELECT DISTINCT ON (t) t, id FROM w ORDER BY t, id DESC;
-- ordered
SELECT DISTINCT ON (g) g, t, id FROM w ORDER BY g, t DESC NULLS LAST, id;
-- ordered
SELECT DISTINCT ON (t) t, id FROM w ORDER BY t, id DESC LIMIT 7;
SELECT * FROM (SELECT DISTINCT ON (k) k, t, id FROM w ORDER BY k, t, id) x WHERE k % 2 = 0;
SELECT * FROM (SELECT DISTINCT ON (t) t, v, id FROM w ORDER BY t, v DESC, id LIMIT 20) x;
SELECT g.g, l.t, l.id FROM (SELECT DISTINCT g FROM w) g CROSS JOIN LATERAL (SELECT t, id FROM w WHERE w.g = g.g ORDER BY t, id LIMIT 3) l;
SELECT g.g, l.t FROM (SELECT DISTINCT g FROM w) g LEFT JOIN LATERAL (SELECT t FROM w WHERE w.g = g.g + 1 ORDER BY t DESC NULLS LAST OFFSET 1 LIMIT 1) l ON true;
SELECT id, (SELECT t FROM w i WHERE i.g = o.g ORDER BY t DESC NULLS LAST LIMIT 1), (SELECT i.id FROM w i WHERE i.k = o.k ORDER BY i.v, i.id LIMIT 1) FROM w o WHERE id % 11 = 0;
WITH first AS (SELECT t, id FROM w ORDER BY t, id LIMIT 12), last AS (SELECT t, id FROM w ORDER BY t DESC, id LIMIT 12) SELECT * FROM first UNION ALL SELECT * FROM last;
WITH top AS MATERIALIZED (SELECT g, max(t) AS t FROM w GROUP BY g ORDER BY max(t) DESC, g LIMIT 4) SELECT w.id FROM w JOIN top ON w.g = top.g AND w.t = top.t;
(SELECT t, id FROM w ORDER BY t, id LIMIT 3) UNION ALL (SELECT u, id FROM few ORDER BY u, id LIMIT 3);
SELECT * FROM (SELECT t FROM w UNION SELECT u FROM few ORDER BY 1 LIMIT 20) x;
SELECT id, GREATEST(t, v, 'k'), LEAST(t, c, 'É'), GREATEST(t, NULL), LEAST(b, 'k'), GREATEST(t COLLATE "C", b) FROM w;
SELECT g, GREATEST(min(t), 'co-op'), LEAST(max(t), 'zebra') FROM w GROUP BY g;
SELECT GREATEST(a.t, b.u), LEAST(a.t, b.u), GREATEST(a.t, b.t, a.u, b.u) FROM few a, few b;
SELECT id FROM w WHERE (t, v) < ('co', 'd') OR (t, id) >= ('z', 3);
SELECT a.id, b.id, (a.t, a.u) < (b.t, b.u), (a.t, a.id) >= (b.u, b.id), (a.u, a.t) <= (b.u, 'k') FROM few a, few b;
SELECT id FROM w WHERE t BETWEEN SYMMETRIC 'z' AND 'co' AND NOT v BETWEEN 'e' AND 'É';
SELECT id, t < ANY (ARRAY['b', 'C', NULL]), t > ALL (ARRAY['b', 'C']), t <= ANY ('{}'::text[]), c >= ANY (ARRAY['a', 'B']::char(3)[]) FROM w;
SELECT count(*) FROM w a JOIN few b ON a.t > b.t AND a.v <= b.u;
SELECT t, n FROM (SELECT t, count(*) AS n, rank() OVER (ORDER BY count(*) DESC, t) AS r FROM w GROUP BY t) x WHERE r <= 20;
-- expect: any
SELECT id FROM w WHERE t > ALL (SELECT t FROM few WHERE t < 'c') OR t < ANY (SELECT u FROM few);
-- expect: any
SELECT id FROM w ORDER BY t USING >, id;
-- expect: postgres ()
SELECT g, rank() OVER (ORDER BY array_agg(t ORDER BY id)) FROM w GROUP BY g;
