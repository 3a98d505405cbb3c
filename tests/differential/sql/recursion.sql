-- WITH RECURSIVE: hierarchies, graphs, series; what cannot be bounded runs in Postgres.
-- setup
DROP SCHEMA IF EXISTS recursion CASCADE;
CREATE SCHEMA recursion;
CREATE TABLE recursion.tree (id int PRIMARY KEY, parent int, name text, w numeric(8,2), x numeric, code char(4));
INSERT INTO recursion.tree SELECT i, CASE WHEN i > 1 THEN i / 2 END, 'n' || i, i * 1.25, i / 3.0, 'c' || i % 7 FROM generate_series(1, 200) i;
CREATE TABLE recursion.edge (a int, b int, cost int, PRIMARY KEY (a, b));
INSERT INTO recursion.edge SELECT i % 17, (i * 5 + 3) % 17, i % 9 + 1 FROM generate_series(0, 33) i ON CONFLICT DO NOTHING;
CREATE TABLE recursion.sale (id int PRIMARY KEY, node int, day date, amount numeric(10,2), f float8);
INSERT INTO recursion.sale SELECT i, 1 + i % 200, date '2024-01-01' + i % 60, i * 1.5, i * 0.25 FROM generate_series(1, 1000) i;
-- queries
WITH RECURSIVE r AS (SELECT id, parent, name, 1 AS depth FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, t.parent, t.name, r.depth + 1 FROM tree t JOIN r ON t.parent = r.id) SELECT * FROM r;
WITH RECURSIVE r AS (SELECT id, name AS path, 1 AS depth FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, r.path || '/' || t.name, r.depth + 1 FROM tree t JOIN r ON t.parent = r.id) SELECT depth, count(*), max(path) FROM r GROUP BY depth;
-- ordered
WITH RECURSIVE r AS (SELECT id, id AS top FROM tree WHERE id BETWEEN 4 AND 7 UNION ALL SELECT t.id, r.top FROM tree t JOIN r ON t.parent = r.id) SELECT r.top, n.name, count(DISTINCT r.id) AS nodes, sum(s.amount) FROM r JOIN tree n ON n.id = r.top LEFT JOIN sale s ON s.node = r.id GROUP BY r.top, n.name ORDER BY r.top;
WITH RECURSIVE r(id) AS (SELECT 190 UNION SELECT parent FROM tree JOIN r USING (id) WHERE parent IS NOT NULL) SELECT r.id, w, x, code FROM r JOIN tree USING (id);
WITH RECURSIVE r(a) AS (SELECT 0 UNION SELECT e.b FROM edge e JOIN r ON e.a = r.a) SELECT a FROM r;
WITH RECURSIVE r(a, cost, hops) AS (SELECT 0, 0, 0 UNION ALL SELECT e.b, r.cost + e.cost, r.hops + 1 FROM edge e JOIN r ON e.a = r.a WHERE r.hops < 5) SELECT a, min(cost), count(*), min(hops) FROM r GROUP BY a;
WITH RECURSIVE r(a, path) AS (SELECT 0, ARRAY[0] UNION ALL SELECT e.b, r.path || e.b FROM edge e JOIN r ON e.a = r.a WHERE NOT e.b = ANY (r.path)) SELECT a, path, cardinality(path) FROM r;
WITH RECURSIVE d(day) AS (SELECT date '2024-01-01' UNION ALL SELECT day + 1 FROM d WHERE day < date '2024-03-10') SELECT d.day, count(s.id), coalesce(sum(s.amount), 0) FROM d LEFT JOIN sale s ON s.day = d.day GROUP BY d.day;
WITH RECURSIVE m(m) AS (SELECT timestamp '2024-01-01' UNION ALL SELECT m + interval '1 month' FROM m WHERE m < '2024-06-01') SELECT m, count(s.id) FROM m LEFT JOIN sale s ON date_trunc('month', s.day) = m GROUP BY m;
WITH RECURSIVE r(i, f, s) AS (SELECT 1, 1::numeric, 'x'::text UNION ALL SELECT i + 1, f * (i + 1) / 2, s || i FROM r WHERE i < 20) SELECT r.*, count(t.id) FROM r LEFT JOIN tree t ON t.id = r.i GROUP BY 1, 2, 3;
WITH RECURSIVE r(i, w) AS (SELECT id, w FROM tree WHERE id = 3 UNION ALL SELECT t.id, (t.w + r.w)::numeric(8,2) FROM tree t JOIN r ON t.parent = r.i) SELECT sum(w), count(*), max(w) FROM r;
WITH RECURSIVE r(i, x) AS (SELECT id, x FROM tree WHERE id = 3 UNION ALL SELECT t.id, t.x + r.x FROM tree t JOIN r ON t.parent = r.i) SELECT i, x FROM r;
WITH RECURSIVE r AS (SELECT id, parent FROM tree WHERE id > 150 UNION SELECT t.id, t.parent FROM tree t JOIN r ON r.parent = t.id) SELECT count(*), (SELECT count(*) FROM r r2 WHERE r2.id < 10), min(id) FROM r;
WITH RECURSIVE r AS (SELECT id, parent FROM tree WHERE id > 190 UNION ALL SELECT t.id, t.parent FROM tree t JOIN r ON r.parent = t.id), s AS (SELECT id, count(*) AS n FROM r GROUP BY id) SELECT a.id, a.n, b.n FROM s a JOIN s b ON a.id = b.id + 1;
WITH RECURSIVE r(i) AS (VALUES (1), (2) UNION ALL SELECT i + 2 FROM r WHERE i < 9) SELECT t.name FROM tree t WHERE t.id IN (SELECT i FROM r);
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < (SELECT count(*) FROM edge)) SELECT max(i), count(*) FROM r;
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT r.i + 1 FROM r WHERE EXISTS (SELECT 1 FROM tree t WHERE t.id = r.i AND t.id < 8)) SELECT i FROM r;
WITH RECURSIVE a(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM a WHERE i < 4), b(i, j) AS (SELECT i, 1 FROM a UNION ALL SELECT i, j + 1 FROM b WHERE j < i) SELECT i, j, count(t.id) FROM b LEFT JOIN tree t ON t.parent = b.i GROUP BY i, j;
WITH RECURSIVE r(id, code) AS (SELECT id, code FROM tree WHERE id = 1 UNION ALL SELECT t.id, t.code FROM tree t JOIN r ON t.parent = r.id WHERE t.id < 20) SELECT id, code FROM r;
WITH RECURSIVE x AS (SELECT id FROM tree WHERE id < 5) SELECT count(*) FROM x;
WITH RECURSIVE r(i, j) AS (SELECT 1, NULL::int UNION SELECT i % 3 + 1, i FROM r) SELECT r.i, r.j, name FROM r JOIN tree ON id = i;
WITH RECURSIVE r(i) AS (SELECT id FROM tree WHERE id < 0 UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r;
SELECT t.id, (WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT sum(i) FROM r) FROM tree t WHERE id < 4;
-- expect: postgres (correlated)
SELECT t.id, (WITH RECURSIVE r(i) AS (SELECT t.id UNION ALL SELECT i / 2 FROM r WHERE i > 1) SELECT count(*) FROM r) FROM tree t WHERE id < 9;
-- expect: error
WITH RECURSIVE r(i) AS (SELECT 2 UNION ALL SELECT i - 1 FROM r WHERE 10 / i > 0) SELECT i, count(*) FROM r JOIN tree ON id > i GROUP BY i;
-- expect: any
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i, (SELECT count(*) FROM edge) FROM r LIMIT 5;
-- expect: postgres (values that can be equal and different)
WITH RECURSIVE r(x) AS (SELECT x FROM tree WHERE id = 9 UNION SELECT x FROM r) SELECT x FROM r;
