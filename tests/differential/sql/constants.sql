-- Columns that are constant below an outer join, a grouping set or a UNION, conditions that are constant above an aggregation, limits over limits.
-- setup
DROP SCHEMA IF EXISTS constants CASCADE;
CREATE SCHEMA constants;
CREATE TABLE constants.f (id int PRIMARY KEY, k int, g int, v numeric(10,2), ts timestamp);
CREATE TABLE constants.d (id int PRIMARY KEY, kind int NOT NULL, name text);
INSERT INTO constants.f SELECT i, i * 7 % 400, CASE WHEN i % 9 > 0 THEN i % 3 END, i * 31 % 1000 / 4.0, timestamp '2024-01-01' + i * 7919 % 3000 / 10 * interval '1 day' FROM generate_series(1, 20000) i;
INSERT INTO constants.d SELECT i, i % 4, 'n' || i % 5 FROM generate_series(0, 399) i;
-- queries
-- ordered
SELECT d.kind, f.id FROM f LEFT JOIN d ON d.id = f.k AND d.kind = 3 WHERE f.id < 2000 ORDER BY d.kind, f.id;
-- ordered
SELECT d.kind, f.id FROM f LEFT JOIN d ON d.id = f.k AND d.kind = 3 ORDER BY d.kind DESC, f.id LIMIT 5;
-- ordered
SELECT x.flag, f.id FROM f LEFT JOIN (SELECT id, 1 AS flag FROM d WHERE kind = 2) x ON x.id = f.k WHERE f.id < 1000 ORDER BY x.flag NULLS FIRST, f.id;
-- ordered
SELECT x.flag, f.id FROM (SELECT id, 'a' AS flag FROM d WHERE kind = 2) x RIGHT JOIN f ON x.id = f.k WHERE f.id < 1000 ORDER BY x.flag, f.id;
-- ordered
SELECT x.flag, y.flag AS z, coalesce(x.id, y.id) FROM (SELECT id, 1 AS flag FROM d WHERE kind < 2) x FULL JOIN (SELECT id, 2 AS flag FROM d WHERE kind > 0) y ON x.id = y.id ORDER BY x.flag, y.flag, 3;
SELECT x.flag, count(*), sum(f.v) FROM f LEFT JOIN (SELECT id, 1 AS flag FROM d WHERE kind = 2) x ON x.id = f.k GROUP BY x.flag;
SELECT d.kind, d.name, count(*) FROM f LEFT JOIN d ON d.id = f.k AND d.kind = 1 GROUP BY d.kind, d.name;
SELECT f.g, d.kind, count(DISTINCT f.id % 50) FROM f LEFT JOIN d ON d.id = f.k AND d.kind = 1 GROUP BY f.g, d.kind;
SELECT DISTINCT d.kind, f.g FROM f LEFT JOIN d ON d.id = f.k AND d.kind = 1;
-- ordered
SELECT id, sum(v) OVER (ORDER BY kind, id ROWS 3 PRECEDING), rank() OVER (PARTITION BY kind ORDER BY v, id) FROM (SELECT f.id, f.v, d.kind FROM f LEFT JOIN d ON d.id = f.k AND d.kind = 1 WHERE f.id < 900) x ORDER BY id;
-- ordered
SELECT x.a, f.id, sum(f.id) OVER (ORDER BY f.ts + interval '1 day' DESC NULLS LAST, x.a, f.id ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING) FROM (SELECT -2 AS a) x RIGHT JOIN f ON x.a = f.g WHERE f.id < 500 ORDER BY f.id;
-- Postgres before 18 itself takes a group key that WHERE fixes for constant: the order must not depend on it.
-- ordered
SELECT g, k % 10, count(*) FROM f WHERE g = 2 GROUP BY ROLLUP (g, k % 10) ORDER BY grouping(g), 2;
-- ordered
SELECT g, k % 10, count(*), grouping(g, k % 10) FROM f WHERE g = 2 GROUP BY CUBE (g, k % 10) ORDER BY 4, 2 NULLS FIRST;
-- ordered
SELECT g, s, count(*) FROM (SELECT CASE WHEN id > 0 THEN 2 END AS g, k % 10 AS s FROM f) x GROUP BY CUBE (g, s) ORDER BY g, s;
SELECT g, s, count(*) FROM (SELECT 7 AS g, k % 10 AS s FROM f) x GROUP BY GROUPING SETS ((g), (s), (g, s), ());
-- ordered
SELECT g, s, c, rank() OVER (PARTITION BY g ORDER BY c, s) FROM (SELECT g, k % 10 AS s, count(*) AS c FROM f WHERE g = 1 GROUP BY ROLLUP (g, k % 10)) x ORDER BY g, s, c;
-- ordered
SELECT k FROM (SELECT k FROM f WHERE id < 300 ORDER BY k OFFSET 0) x GROUP BY ROLLUP (k) ORDER BY k;
SELECT 'x' AS c1, count(*) FROM (SELECT stddev_samp(27) AS c1 FROM f HAVING count(*) <= 6) x WHERE NULL::int IN (SELECT id FROM d) GROUP BY 1;
SELECT x.c FROM (SELECT count(*) AS c FROM f) x WHERE NULL::int IN (SELECT id FROM d);
SELECT x.c FROM (SELECT count(*) AS c FROM f WHERE id > 5 GROUP BY ROLLUP (g)) x WHERE c > 0 AND NULL::int IN (SELECT id FROM d);
SELECT x.c, NULL::int IN (SELECT id FROM d) FROM (SELECT count(*) AS c FROM f) x;
SELECT count(*) FROM (SELECT count(*) AS c FROM f WHERE id < 0) x WHERE c = 0 AND NOT (NULL::int NOT IN (SELECT id FROM d WHERE id < 0));
-- A constant of its own in each side of a UNION.
-- ordered
SELECT k, c, v FROM (SELECT id AS k, 2 AS c, g AS v FROM f WHERE id < 40 UNION ALL SELECT id, 1, 0 FROM d WHERE id = 3 ORDER BY c, k LIMIT 4) z ORDER BY k, c, v;
-- ordered
SELECT k, c, v FROM (SELECT k AS k, CASE WHEN id % 4 = 0 THEN NULL ELSE id % 5 END AS c, g % 2 AS v FROM f WHERE g = 1 AND id < 3000 UNION ALL SELECT k, CASE WHEN id % 4 = 0 THEN NULL ELSE id % 7 END, 0 FROM f WHERE id < 400) z ORDER BY v, c NULLS FIRST, k DESC LIMIT 15;
-- ordered
SELECT src, k, sum(n), count(*) FROM (SELECT 'a' AS src, g AS k, v AS n FROM f UNION ALL SELECT 'b', kind, id FROM d UNION ALL SELECT 'c', 7, 1) z GROUP BY src, k ORDER BY src, k;
-- ordered
SELECT src, k, row_number() OVER (PARTITION BY src ORDER BY k) FROM (SELECT 'b' AS src, id AS k FROM d WHERE id < 9 UNION ALL SELECT 'a', id FROM f WHERE id < 7) z ORDER BY src, k;
-- A limit over a limit in the same order.
-- ordered
SELECT count(*), min(k), max(k), sum(v) FROM (SELECT k, c, v FROM (SELECT id AS k, g AS c, g % 2 AS v FROM f WHERE g = 1 AND id < 300) q ORDER BY v, k, c LIMIT 9) q WHERE k > 0;
SELECT c, count(*), sum(v), min(k) FROM (SELECT k, c, v FROM (SELECT k, c, v FROM (SELECT id AS k, g AS c, g % 2 AS v FROM f WHERE g = 1 AND id < 300) q ORDER BY v, k, c LIMIT 9) q ORDER BY c, k, v LIMIT 7) z GROUP BY c;
-- ordered
SELECT k, c FROM (SELECT k, c FROM (SELECT id AS k, g AS c FROM f WHERE g = 1) q ORDER BY k LIMIT 30) q ORDER BY c, k LIMIT 7 OFFSET 2;
-- ordered
SELECT * FROM (SELECT * FROM (SELECT id FROM f ORDER BY id LIMIT 50) a ORDER BY id LIMIT 20) b ORDER BY id LIMIT 10;
-- ordered
SELECT id, r FROM (SELECT id, rank() OVER (ORDER BY id) AS r FROM f) a ORDER BY id LIMIT 3;
