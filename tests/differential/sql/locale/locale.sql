-- The order of text in a database of some locale: compared by the server's own library, in the engine.
-- setup
CREATE TABLE w (id int PRIMARY KEY, g int, t text, c char(8), v varchar(6), n name);
INSERT INTO w SELECT i, i % 23, s, s, left(s, 6), left(s, 5)
    FROM (SELECT i, translate(substr(md5(i::text), 1, i % 7), '0123456789abc', 'aAbBzZ-. éÉß_') AS s FROM generate_series(1, 3000) i) x;
INSERT INTO w VALUES (3001, 1, NULL, NULL, NULL, NULL), (3002, 2, '日本', '日本', '日本', '日本'), (3003, 3, 'a b', 'a b', 'a b', 'a b'), (3004, 4, 'ab', 'ab', 'ab', 'ab'),
    (3005, 5, E'a\tb', E'a\tb', E'a\tb', 'x'), (3006, 6, 'A B', 'A B', 'A B', 'A B'), (3007, 7, 'Ж', 'ж', 'Ж', 'ж'), (3008, 99, NULL, NULL, NULL, NULL);
-- queries
SELECT g, min(t), max(t), min(c), max(c), min(v), max(v), min(n), max(n) FROM w GROUP BY g;
SELECT min(t), max(t) FROM w WHERE g > 1000;
SELECT min(t) FILTER (WHERE t > 'b'), max(btrim(t) || '!') FILTER (WHERE id % 2 = 0), min(DISTINCT v) FROM w;
SELECT g, max(t) FROM w GROUP BY g HAVING max(t) < 'zz' AND min(c) >= '';
SELECT id FROM w WHERE t < 'b' AND c >= 'A b' AND v <= t;
SELECT id FROM w WHERE t BETWEEN 'e' AND 'É b' OR c > 'z' OR t || 'x' <= 'a-bx';
SELECT count(*), sum(a.id), sum(b.id) FROM w a JOIN w b ON a.g = b.g AND a.t < b.t AND a.id % 3 = 0;
SELECT count(*) FROM w a WHERE EXISTS (SELECT 1 FROM w b WHERE b.g = a.g AND b.t > a.t AND b.v < a.v);
SELECT id, CASE WHEN t < 'M' THEN 'first' WHEN t IS NULL THEN 'none' ELSE 'second' END, t > v, NOT c < 'k' FROM w;
SELECT g, (SELECT max(t) FROM w i WHERE i.g = o.g AND i.t < o.t) FROM w o WHERE id % 10 = 0;
SELECT t COLLATE "C" < 'b', count(*), min(t COLLATE "C"), max(t) FROM w GROUP BY 1;
SELECT t FROM w GROUP BY t HAVING count(*) > 3 AND t > 'a';
-- ordered
SELECT t, count(*) FROM w GROUP BY t ORDER BY count(*) DESC, t LIMIT 20;
SELECT id, rank() OVER (PARTITION BY g ORDER BY t) FROM w;
SELECT g, string_agg(t, ',' ORDER BY t, id), GREATEST(min(t), 'k') FROM w GROUP BY g;
-- expect: any
SELECT id FROM w WHERE t > ALL (SELECT t FROM w i WHERE i.g = w.g AND i.t < 'c') OR t < ANY (ARRAY['b', 'C']) OR (t, v) < ('c', 'd');
SELECT g, min(t) OVER (PARTITION BY g) FROM w;
-- do
DELETE FROM w WHERE t = (SELECT max(t) FROM w) OR t < '-';
SELECT max(t), min(t), count(*) FROM w;
