-- Relations that are computed once and read several times, of which a reader wants no more before it has begun, or which fail.
-- setup
CREATE TABLE r1 (id int PRIMARY KEY, v int NOT NULL);
INSERT INTO r1 SELECT i, i FROM generate_series(1, 3000) i;
CREATE TABLE r2 (id int PRIMARY KEY, v int NOT NULL);
INSERT INTO r2 SELECT i, 2 * i FROM generate_series(1, 8000) i;
CREATE TABLE r3 (id int PRIMARY KEY);
INSERT INTO r3 SELECT generate_series(1, 10);
-- queries
WITH w AS MATERIALIZED (SELECT v, count(*) AS c FROM r2 GROUP BY v) SELECT count(*), sum(w.v) FROM (SELECT id FROM r3 UNION ALL SELECT c FROM w LIMIT 5) q, w;
WITH w AS MATERIALIZED (SELECT DISTINCT v % 1000 AS c FROM r2) SELECT count(*), sum(w.c) FROM (SELECT id FROM r3 UNION ALL SELECT c FROM w LIMIT 5) q, w;
WITH w AS MATERIALIZED (SELECT r1.id AS c FROM r1 JOIN r2 ON r1.v = r2.v) SELECT count(*), sum(w.c) FROM (SELECT id FROM r3 UNION ALL SELECT c FROM w LIMIT 5) q, w;
WITH w AS MATERIALIZED (SELECT r1.id AS c, r2.id AS d FROM r1 FULL JOIN r2 ON r1.v = r2.v) SELECT count(*), sum(w.c), sum(w.d) FROM (SELECT id FROM r3 UNION ALL SELECT c FROM w LIMIT 5) q, w;
WITH w AS MATERIALIZED (SELECT x.id AS id, y.id AS yid FROM r1 x RIGHT JOIN r2 y ON x.v * 2 + 1 > y.v AND x.v - 1 < y.v / 2 + y.v % 2) SELECT count(*), count(w.yid), sum(w.id) FROM (SELECT id FROM r3 UNION ALL SELECT id FROM w LIMIT 5) q, w;
WITH w AS MATERIALIZED (SELECT x.id AS id, y.id AS yid FROM r1 x RIGHT JOIN r2 y ON x.v * 2 + 1 > y.v AND x.v - 1 < y.v / 2 + y.v % 2) SELECT count(*), count(w.yid), sum(w.id) FROM (SELECT id FROM r3 UNION ALL SELECT yid FROM w LIMIT 5) q, w;
WITH w AS MATERIALIZED (SELECT v, count(*) AS c FROM r2 GROUP BY v) SELECT (SELECT count(*) FROM (SELECT 1 FROM w LIMIT 1) s), count(*) FROM w WHERE EXISTS (SELECT FROM w x WHERE x.c > 0);
-- Each reader gets the error of the one computation.
-- expect: error
WITH w AS MATERIALIZED (SELECT v, count(*) / (v - v) AS c FROM r2 GROUP BY v) SELECT count(*) FROM w x FULL JOIN w y ON x.c = y.c;
-- expect: error
WITH w AS MATERIALIZED (SELECT x.v / (y.v - y.v) AS c FROM r1 x RIGHT JOIN r2 y ON x.v < y.v) SELECT count(*) FROM w x FULL JOIN w y ON x.c = y.c;
-- A constant key of grouping sets, where Postgres before release 18 takes it for constant.
-- expect: postgres (in GROUPING SETS, a constant key)
SELECT 'x' AS c, v % 3 AS k, count(*) FROM r1 GROUP BY ROLLUP (1, 2) UNION ALL SELECT 'y', v % 2, count(*) FROM r1 GROUP BY ROLLUP (1, 2) ORDER BY 1, 2, 3;
-- expect: postgres (in GROUPING SETS, a constant key)
SELECT DISTINCT 'x', min(id) FROM r1 GROUP BY ROLLUP (1);
-- expect: postgres (in GROUPING SETS, a constant key)
SELECT 'x' AS c, v % 3 AS k, count(*) FROM r1 GROUP BY CUBE (1, 2) ORDER BY 1 NULLS FIRST, 2, 3;
-- expect: postgres (in GROUPING SETS, a constant key)
SELECT c, sum(n) FROM (SELECT 1 AS c, v % 3 AS k, count(*) AS n FROM r1 GROUP BY ROLLUP (1, 2) UNION ALL SELECT 2.5, v % 2, count(*) FROM r2 GROUP BY ROLLUP (1, 2)) z GROUP BY c;
SELECT 'x' AS c, v % 3 AS k, count(*) FROM r1 GROUP BY ROLLUP (1, 2);
