-- Joins of which one side is filtered by the keys of the other before it is grouped, repartitioned or joined: most rows of big have no partner.
-- setup
DROP SCHEMA IF EXISTS join_keys CASCADE;
CREATE SCHEMA join_keys;
CREATE TABLE join_keys.big (id int PRIMARY KEY, k int, far bigint, s smallint, d date, v numeric(10,2), zero int, t text);
INSERT INTO join_keys.big SELECT i, CASE WHEN i % 13 > 0 THEN i % 997 END, (i % 300)::bigint * 70000000000003 - 9000000000000000, (i % 50)::smallint, date '2024-01-01' + i % 700, i % 101 * 1.25, i % 997, 't' || i % 40 FROM generate_series(1, 20000) i;
CREATE TABLE join_keys.few (id int PRIMARY KEY, k int, far bigint, s smallint, l bigint, d date, n text);
INSERT INTO join_keys.few SELECT i, i * 90, (i * 7)::bigint * 70000000000003 - 9000000000000000, (i * 3)::smallint, i * 90, date '2024-01-01' + i * 50, 'n' || i FROM generate_series(1, 9) i;
INSERT INTO join_keys.few VALUES (10, NULL, NULL, NULL, NULL, NULL, 'null'), (11, 90, 1, 1, 90, '1999-01-01', 'twice'), (12, -5, -5, -5, 5000000000, 'infinity', 'none');
CREATE TABLE join_keys.nobody (k int PRIMARY KEY, n text);
CREATE TABLE join_keys.mid (id int PRIMARY KEY, k int, w int);
INSERT INTO join_keys.mid SELECT i, i % 500, i % 9 FROM generate_series(1, 3000) i;
-- queries
-- Some rows are deleted, changed or new since the copy.
-- do
DELETE FROM big WHERE id % 17 = 0;
-- do
UPDATE big SET k = 90, v = v + 1 WHERE id % 1001 = 0;
-- do
INSERT INTO big SELECT 30000 + i, i * 45, i, 3, date '2024-02-20', i, 1, 'new' FROM generate_series(1, 40) i;
-- Correlated subqueries, whose groups are those of the keys outside.
SELECT f.id, (SELECT sum(v) FROM big WHERE big.k = f.k) FROM few f;
SELECT f.id, (SELECT count(*) FROM big WHERE big.k = f.k) FROM few f;
SELECT f.id, (SELECT avg(v) FROM big WHERE big.k = f.k AND big.s = f.s) FROM few f;
SELECT count(*), sum(b.v) FROM big b JOIN few f ON b.k = f.k WHERE b.v < (SELECT 0.5 * avg(v) FROM big WHERE big.k = f.k);
SELECT f.id, (SELECT max(t) FROM big WHERE big.d = f.d), (SELECT min(id) FROM big WHERE big.far = f.far) FROM few f;
SELECT f.id, (SELECT array_agg(DISTINCT s ORDER BY s) FROM big WHERE big.k = f.k) FROM few f;
SELECT n.k, (SELECT sum(v) FROM big WHERE big.k = n.k) FROM nobody n;
SELECT f.id, (SELECT sum(x.c) FROM (SELECT s, count(*) AS c FROM big WHERE big.k = f.k GROUP BY s HAVING count(*) > 0) x) FROM few f;
SELECT f.id FROM few f WHERE (SELECT count(*) FROM big WHERE big.k = f.k) = 0;
SELECT f.id, x.c, x.s FROM few f LEFT JOIN LATERAL (SELECT count(*) AS c, sum(v) AS s FROM big WHERE big.k = f.k) x ON true;
SELECT f.id, x.t FROM few f LEFT JOIN LATERAL (SELECT t, v FROM big WHERE big.k = f.k ORDER BY v DESC, id LIMIT 2) x ON true;
-- All kinds of joins, with each side as the small one.
SELECT count(*), sum(b.v), sum(f.id) FROM few f JOIN big b ON b.k = f.k;
SELECT count(*), sum(b.v), sum(f.id) FROM few f LEFT JOIN big b ON b.k = f.k;
SELECT count(*), sum(b.v), sum(f.id) FROM few f RIGHT JOIN big b ON b.k = f.k;
SELECT count(*), sum(b.v), sum(f.id) FROM few f FULL JOIN big b ON b.k = f.k;
SELECT count(*), sum(b.v), sum(f.id) FROM big b LEFT JOIN few f ON b.k = f.k AND f.id > 3;
SELECT count(*), sum(b.v), sum(f.id) FROM few f LEFT JOIN big b ON b.k = f.k AND b.v > 50;
SELECT count(*), sum(v) FROM big b WHERE EXISTS (SELECT FROM few f WHERE f.k = b.k);
SELECT count(*), sum(v) FROM big b WHERE NOT EXISTS (SELECT FROM few f WHERE f.k = b.k);
SELECT count(*), sum(id) FROM few f WHERE EXISTS (SELECT FROM big b WHERE f.k = b.k);
SELECT count(*), sum(id) FROM few f WHERE NOT EXISTS (SELECT FROM big b WHERE f.k = b.k);
SELECT count(*), sum(v) FROM big b WHERE b.k IN (SELECT k FROM few);
SELECT count(*), sum(v) FROM big b WHERE b.k NOT IN (SELECT k FROM few);
SELECT count(*), sum(v) FROM big b WHERE b.k NOT IN (SELECT k FROM few WHERE k > 0);
SELECT count(*), sum(id) FROM few f WHERE f.k NOT IN (SELECT k FROM big);
SELECT count(*), sum(id) FROM few f WHERE f.k NOT IN (SELECT k FROM big WHERE k < 800);
SELECT f.id, f.k IN (SELECT k FROM big), f.k IN (SELECT k FROM big WHERE k > 200) FROM few f;
SELECT count(*) FILTER (WHERE b.k IN (SELECT k FROM few)), count(*) FILTER (WHERE EXISTS (SELECT FROM few f WHERE f.k = b.k)) FROM big b;
SELECT count(*), sum(v) FROM big b JOIN nobody n ON n.k = b.k;
SELECT count(*), sum(v) FROM big b LEFT JOIN nobody n ON n.k = b.k;
SELECT count(*), sum(v) FROM nobody n LEFT JOIN big b ON n.k = b.k;
SELECT count(*), sum(v) FROM nobody n RIGHT JOIN big b ON n.k = b.k;
SELECT count(*), sum(v) FROM big b WHERE NOT EXISTS (SELECT FROM nobody n WHERE n.k = b.k);
SELECT count(*), sum(f.id) FROM few f JOIN big b ON b.k IS NOT DISTINCT FROM f.k;
SELECT count(*), sum(f.id) FROM few f LEFT JOIN big b ON b.k IS NOT DISTINCT FROM f.k AND b.s = f.s;
-- Keys of other types, far from each other, of several columns, and computed ones.
SELECT count(*), sum(v) FROM few f JOIN big b ON b.far = f.far;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.s = f.s;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.k = f.l;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.far = f.k;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.s = f.l;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.d = f.d;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.d = f.d::timestamp;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.t = 't' || f.id;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.k = f.k AND b.s = f.s;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.k = f.k AND b.far = f.far AND b.d = f.d;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.k + 1 = f.k + 1;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.k / 10 = f.k;
SELECT count(*), sum(v) FROM few f JOIN big b ON b.v = f.k;
SELECT count(*), sum(b.v) FROM few f JOIN (SELECT 1000 / zero AS q, v FROM big WHERE zero <> 0) b ON b.q = f.id;
SELECT count(*), sum(b.v) FROM few f LEFT JOIN (SELECT 1000 / zero AS q, sum(v) AS v FROM big WHERE zero <> 0 GROUP BY 1) b ON b.q = f.id;
-- What is below the other side: groups, sets, windows, limits, other joins.
SELECT f.id, b.c FROM few f JOIN (SELECT k, count(*) AS c FROM big GROUP BY k) b ON b.k = f.k;
SELECT f.id, b.c, b.m FROM few f LEFT JOIN (SELECT k, s, count(*) AS c, max(v) AS m FROM big GROUP BY k, s) b ON b.k = f.k AND b.m > 100;
SELECT f.id, b.c FROM few f LEFT JOIN (SELECT count(*) AS c FROM big) b ON b.c = f.k + 19000;
SELECT f.id, b.c FROM few f LEFT JOIN (SELECT max(k) AS c FROM big) b ON b.c = f.k;
SELECT f.id, b.c FROM few f JOIN (SELECT count(*) AS c, k FROM big GROUP BY k) b ON b.c = f.id + 10;
SELECT f.id, b.k, b.s, b.c FROM few f LEFT JOIN (SELECT k, s, count(*) AS c FROM big GROUP BY ROLLUP (k, s)) b ON b.k = f.k AND b.s IS NULL;
SELECT f.id, b.k, b.s, b.c FROM few f JOIN (SELECT k, s, count(*) AS c FROM big GROUP BY GROUPING SETS ((k), (s), ())) b ON b.k = f.k OR b.k IS NULL AND b.s = f.s;
SELECT f.id, b.k, b.c FROM few f LEFT JOIN (SELECT k, s, count(*) AS c FROM big GROUP BY GROUPING SETS ((k), (s))) b ON b.s = f.s;
SELECT f.id, b.r FROM few f JOIN (SELECT id, k, row_number() OVER (ORDER BY id) AS r FROM big) b ON b.k = f.k AND b.r < 2000;
SELECT f.id, b.r FROM few f JOIN (SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id) AS r FROM big) b ON b.k = f.k AND b.r < 4;
SELECT f.id, b.r FROM few f LEFT JOIN (SELECT id, k, count(*) OVER (PARTITION BY s) AS r FROM big) b ON b.k = f.k AND b.id < 3000;
SELECT f.id, b.id FROM few f JOIN (SELECT id, k FROM big ORDER BY v, id LIMIT 900) b ON b.k = f.k;
SELECT f.id, b.id FROM few f LEFT JOIN (SELECT id, k FROM big ORDER BY id OFFSET 500 LIMIT 900) b ON b.k = f.k;
SELECT f.id, b.k FROM few f LEFT JOIN (SELECT DISTINCT k FROM big) b ON b.k = f.k;
SELECT f.id, b.id, b.v FROM few f LEFT JOIN (SELECT DISTINCT ON (k) k, id, v FROM big ORDER BY k, v DESC, id) b ON b.k = f.k;
SELECT f.id, count(*), sum(b.w) FROM few f LEFT JOIN (SELECT k, id AS w FROM big UNION ALL SELECT k, w FROM mid) b ON b.k = f.k GROUP BY 1;
SELECT f.id, b.k FROM few f LEFT JOIN (SELECT k FROM big EXCEPT SELECT k FROM mid) b ON b.k = f.k;
SELECT f.id, b.k FROM few f LEFT JOIN (SELECT k FROM big INTERSECT SELECT k FROM mid) b ON b.k = f.k;
SELECT f.id, count(*), sum(b.v), sum(m.w) FROM few f LEFT JOIN (big b JOIN mid m ON m.k = b.k) ON b.k = f.k GROUP BY 1;
SELECT f.id, count(*), sum(b.v), sum(m.w) FROM few f LEFT JOIN (big b LEFT JOIN mid m ON m.k = b.k AND m.w > 4) ON b.k = f.k GROUP BY 1;
SELECT f.id, count(*), sum(b.v), count(m.w) FROM few f LEFT JOIN (big b LEFT JOIN mid m ON m.k = b.k AND m.w > 4) ON m.k = f.k GROUP BY 1;
SELECT count(*), sum(b.v) FROM few f JOIN big b ON b.k = f.k JOIN mid m ON m.id = b.id JOIN few g ON g.k = m.k;
SELECT count(*), sum(b.v) FROM few f JOIN big b ON b.k = f.k LEFT JOIN mid m ON m.id = b.id LEFT JOIN few g ON g.k = m.k WHERE f.n <> 'twice';
SELECT count(*) FROM few f JOIN big b ON b.k = f.k AND (SELECT count(*) FROM mid m WHERE m.k = b.s) > 2;
SELECT x.k, y.c FROM (SELECT k, count(*) AS c FROM big WHERE s < 3 GROUP BY k) x LEFT JOIN (SELECT k, count(*) AS c FROM big GROUP BY k) y ON y.k = x.k WHERE x.k % 100 = 0;
-- The first of many.
-- ordered
SELECT id, v FROM big ORDER BY id DESC LIMIT 5;
-- ordered
SELECT k, id FROM big ORDER BY k NULLS FIRST, id LIMIT 5;
-- ordered
SELECT k, id FROM big ORDER BY k DESC, id DESC LIMIT 7;
-- ordered
SELECT b.k, b.id, f.n FROM big b JOIN few f ON f.k = b.k ORDER BY b.id DESC, f.n LIMIT 7;
SELECT min(id), max(id), min(k), max(d) FROM big;
-- Recursion: each step has other keys.
WITH RECURSIVE r AS (SELECT k, 1 AS depth FROM few WHERE id < 4 UNION SELECT m.k + 1, r.depth + 1 FROM r JOIN mid m ON m.id = r.k WHERE r.depth < 5) SELECT depth, count(*), sum(k) FROM r GROUP BY depth;
WITH RECURSIVE r AS (SELECT k, 1 AS depth FROM few WHERE id < 4 UNION ALL SELECT (SELECT max(b.k) FROM big b WHERE b.id = r.k * 3), r.depth + 1 FROM r WHERE r.depth < 4) SELECT depth, count(*), sum(k) FROM r GROUP BY depth;
-- Rows without a partner are computed where Postgres computes them.
-- expect: error
WITH b AS MATERIALIZED (SELECT k, 1000 / zero AS q FROM big) SELECT f.id, b.q FROM few f JOIN b ON b.k = f.k;
-- expect: error
WITH b AS MATERIALIZED (SELECT k, 1000 / zero AS q FROM big) SELECT f.id, sum(b.q) FROM few f LEFT JOIN b ON b.k = f.k GROUP BY 1;
-- expect: error
SELECT f.id, b.q FROM few f JOIN (SELECT k, 1000 / zero AS q FROM big OFFSET 0) b ON b.k = f.k;
-- expect: error
SELECT f.id, b.q FROM few f LEFT JOIN (SELECT k, sum(1000 / zero) AS q FROM big GROUP BY k) b ON b.k = f.k;
-- expect: error
SELECT f.id, b.q FROM few f JOIN (SELECT k, sum(1000 / zero) AS q FROM big GROUP BY k) b ON b.k = f.k;
SELECT count(*), sum(1000 / b.zero) FROM few f JOIN big b ON b.k = f.k;
-- expect: postgres (division by zero)
SELECT f.id, (SELECT sum(1000 / zero) FROM big WHERE big.k = f.k) FROM few f;
SELECT f.id, (SELECT sum(zero / 1000) FROM big WHERE big.k = f.k AND big.t LIKE 't%') FROM few f;
-- expect: error
SELECT k, 1000 / zero AS q FROM big ORDER BY k LIMIT 5;
