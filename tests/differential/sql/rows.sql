-- Rows compared by order with subqueries, subqueries in windows, patterns of bytes, ordered sets of names and padded text.
-- setup
CREATE TABLE r (id int PRIMARY KEY, a int, b text, c char(6), n name, y bytea, d date);
INSERT INTO r VALUES
    (1, 1, 'x', 'ab', 'one', '\x6162', '2024-01-01'), (2, 1, 'y', 'abc', 'two', '\x', '2024-01-02'), (3, 2, 'x', 'ab', 'one', '\x00ff25', NULL),
    (4, 2, NULL, '', 'Zwei', '\x5c', '2024-01-01'), (5, NULL, 'z', NULL, NULL, NULL, '2024-01-03'), (6, 3, 'a', 'zz', 'two', '\x616263', '2024-01-03'), (7, 3, 'b', 'zz', 'two', '\x5f25', '2023-12-31');
CREATE TABLE empty (a int, b text, id int PRIMARY KEY);
-- queries
SELECT id FROM r WHERE (a, b) < (SELECT a, b FROM r WHERE id = 3);
SELECT id, (a, b) <= (SELECT a, b FROM r WHERE id = 3) FROM r;
SELECT id, (a, b, id) > (SELECT a, b, id FROM r WHERE id = 4), (a, b, id) >= (SELECT 2, 'x'::text, 3) FROM r;
SELECT id, (a, b) > (SELECT a, b FROM empty), (a, b) < (SELECT x.a, x.b FROM r x WHERE x.id = r.id - 1) FROM r;
SELECT id FROM r WHERE NOT (a, id) >= (SELECT max(a), min(id) FROM r);
SELECT id FROM r WHERE (a, id) > (SELECT a, id FROM r ORDER BY a DESC NULLS LAST, id LIMIT 1);
SELECT id FROM r WHERE (a, id) = (SELECT x.a, x.id FROM r x WHERE x.b = r.b ORDER BY x.id DESC, x.a OFFSET 1 LIMIT 1);
-- expect: postgres (may choose among rows)
SELECT id FROM r WHERE (a, b) <> (SELECT a, b FROM r ORDER BY a LIMIT 1);
-- expect: error
SELECT id FROM r WHERE (a, b) < (SELECT a, b FROM r);
SELECT id, (a, (SELECT max(id) FROM r x WHERE x.a = r.a)) < (2, 4) FROM r;
SELECT id, ((SELECT min(x.a) FROM r x), id) >= (a, (SELECT count(*) FROM r x WHERE x.a = r.a)) FROM r;
-- Windows.
SELECT id, count(*) OVER (PARTITION BY (SELECT max(x.id) FROM r x WHERE x.a = r.a)) FROM r;
SELECT id, rank() OVER (ORDER BY (SELECT count(*) FROM r x WHERE x.a = r.a) DESC, id) FROM r;
SELECT id, sum(id) OVER (PARTITION BY EXISTS (SELECT FROM r x WHERE x.b = r.b AND x.id <> r.id) ORDER BY id) FROM r;
SELECT id, sum((SELECT count(*) FROM r x WHERE x.a = r.a)) OVER (ORDER BY id), count(*) FILTER (WHERE id IN (SELECT a FROM r)) OVER (ORDER BY id) FROM r;
SELECT a, count(*), rank() OVER (ORDER BY (SELECT count(*) FROM r x WHERE x.a <= r.a), a) FROM r GROUP BY a;
SELECT x.id, w.s FROM r x, LATERAL (SELECT id, sum(id) OVER (PARTITION BY (SELECT max(z.a) FROM r z WHERE z.id <= x.id) ORDER BY id) AS s FROM r y WHERE y.a = x.a) w WHERE w.id = x.id;
SELECT id, row_number() OVER (PARTITION BY (SELECT 1) ORDER BY id) FROM r;
-- Patterns of bytes.
SELECT id FROM r WHERE y LIKE '%b%'::bytea;
SELECT id, y LIKE '\x6162'::bytea, y LIKE '_b%'::bytea, y NOT LIKE '%\\%'::bytea, y LIKE ''::bytea, y LIKE '%'::bytea, y LIKE '\\_%'::bytea FROM r;
SELECT y LIKE '\x00ff5c25'::bytea AS x, y LIKE '\x005f25'::bytea AS z, count(*) FROM r GROUP BY 1, 2;
-- expect: any
SELECT y LIKE '\x5c'::bytea AS x, count(*) FROM r GROUP BY 1;
-- Ordered sets.
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY n), mode() WITHIN GROUP (ORDER BY n), mode() WITHIN GROUP (ORDER BY n DESC) FROM r;
SELECT a, percentile_disc(0.5) WITHIN GROUP (ORDER BY c), mode() WITHIN GROUP (ORDER BY c DESC), length(mode() WITHIN GROUP (ORDER BY c)) FROM r GROUP BY a;
-- Arrays of subqueries whose order does not show.
SELECT id FROM r WHERE id = ANY (ARRAY(SELECT a FROM r));
SELECT id, id = ANY (ARRAY(SELECT a FROM r)), id <> ALL (ARRAY(SELECT a FROM r)), a > ANY (ARRAY(SELECT x.a FROM r x WHERE x.id < r.id)), a < ALL (ARRAY(SELECT a FROM empty)), id >= ALL (ARRAY(SELECT id FROM r ORDER BY id LIMIT 3)) FROM r;
SELECT id FROM r WHERE b = ANY (ARRAY(SELECT b FROM empty)) OR d <> ALL (ARRAY(SELECT d FROM r WHERE d < '2024-01-02'));
-- Casts that Postgres does above the engine.
SELECT id, y::text, lower(y::text), ARRAY[y]::text FROM r;
-- ordered
SELECT id, y::text AS t FROM r ORDER BY t NULLS FIRST, id;
-- expect: postgres (cast from bytea to text)
SELECT y::text AS t, count(*) FROM r GROUP BY 1;
