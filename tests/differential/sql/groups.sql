-- Groups: none of no rows, also where all keys are constants; equal values that are written differently; characters of one length.
-- setup
CREATE TABLE g (id int PRIMARY KEY, k int, n numeric, f float8, iv interval, jb jsonb, c char(3), flag char(1), m numeric(8,2));
INSERT INTO g VALUES (1, 1, 1.0, 0, '1 mon', '{"a": 1}', 'ab', 'Y', 1.5), (2, 1, 1.00, '-0', '30 days', '{"a": 1.0}', 'abc', NULL, 2.5), (3, 2, 2.50, 'NaN', '1 day', '1', NULL, 'N', NULL),
    (4, 2, 3, 1.5, '24:00', '2', '', 'Y', 0), (5, NULL, NULL, NULL, NULL, NULL, 'x', '', 1.5);
CREATE TABLE other (id int PRIMARY KEY, n numeric);
INSERT INTO other VALUES (1, 1.000), (2, 3), (7, 3.0);
CREATE TABLE h (id int PRIMARY KEY, flag int, k int, t text);
INSERT INTO h SELECT i, i % 7, i % 5, 'x' || i % 13 FROM generate_series(1, 3000) i;
-- queries
-- The distinct values of a constant over no rows are none.
SELECT count(DISTINCT 86), max(k) FROM g WHERE id < 0;
SELECT count(DISTINCT 1), max(o.id + 1) FROM g, other o WHERE g.id < 0;
SELECT count(DISTINCT 1 + 85), max(g.k * coalesce(91, o.id)) FROM g JOIN other o ON g.id = o.id + 100;
SELECT sum(DISTINCT 5), min(k), max(k) FROM g WHERE id < 0;
SELECT count(DISTINCT 'x'), max(k) FROM g;
SELECT k, sum(DISTINCT 5), max(id) FROM g GROUP BY k;
SELECT count(DISTINCT v), max(k) FROM (SELECT 5 AS v, g.k FROM g JOIN other o ON g.id = o.id + 100) x;
SELECT 1 AS one, count(*) FROM g WHERE id < 0 GROUP BY one;
SELECT v, w, count(*), sum(k) FROM (SELECT 5 AS v, 'z' || 'y' AS w, k FROM g WHERE id < 0) x GROUP BY v, w;
SELECT v, k, count(*) FROM (SELECT 5 AS v, k FROM g) x GROUP BY v, k;
SELECT (SELECT count(DISTINCT 3) FROM g WHERE g.id = o.id + 3), (SELECT max(3) FROM g WHERE g.id = o.id + 3 GROUP BY 5 - 2) FROM other o;
-- Which one of the equal values Postgres shows depends on how it runs the query.
-- expect: any
SELECT n, count(*) FROM g GROUP BY n;
-- expect: any
SELECT DISTINCT n * 2 FROM g;
-- expect: any
SELECT f, count(*) FROM g GROUP BY f;
-- expect: any
SELECT iv, count(*) FROM g GROUP BY iv;
-- expect: any
SELECT jb, count(*) FROM g GROUP BY jb;
-- expect: any
SELECT n FROM g INTERSECT SELECT n FROM other;
-- expect: any
SELECT n FROM g UNION SELECT n FROM other;
-- expect: any
SELECT n FROM g WHERE id > 1 INTERSECT ALL SELECT n FROM other;
-- expect: any
SELECT n, f, count(*) FROM g GROUP BY ROLLUP (n, f);
-- expect: any
SELECT sum(DISTINCT n), avg(DISTINCT n) FROM g;
-- expect: any
SELECT k, sum(DISTINCT n * 1.5) FROM g GROUP BY k;
-- Where none is shown, or all are written alike, it does not matter.
SELECT count(*), sum(x.c) FROM (SELECT n, count(*) AS c FROM g GROUP BY n) x;
SELECT count(*) FROM (SELECT DISTINCT n, f, iv, jb FROM g) x;
SELECT sum(n) FROM (SELECT n FROM g EXCEPT SELECT n FROM other) x HAVING count(*) > 0;
SELECT n, f, iv, jb, count(*) FROM g WHERE id <> 2 GROUP BY n, f, iv, jb;
SELECT n, f, iv, jb, count(*), grouping(n, f) FROM g WHERE id NOT IN (2, 4) GROUP BY CUBE (n, f), ROLLUP (iv, jb);
SELECT n, f, count(*) FROM g GROUP BY GROUPING SETS ((k), (id, n), (id, f), ());
SELECT g.id, g.n, count(*) FROM g JOIN other o ON g.n = o.n GROUP BY g.id, g.n;
SELECT id, (SELECT n FROM g WHERE g.id = o.id GROUP BY n) FROM other o;
SELECT sum(DISTINCT n), avg(DISTINCT n), sum(DISTINCT n * m), count(DISTINCT n) FROM g WHERE id <> 2;
SELECT k, sum(DISTINCT n), avg(DISTINCT n + 0.5), sum(DISTINCT n) FILTER (WHERE m > 1), max(n) FROM g WHERE id <> 2 GROUP BY k;
SELECT sum(DISTINCT n), avg(DISTINCT n) FROM g WHERE id > 4;
SELECT sum(DISTINCT o.n / 3), avg(DISTINCT o.n) FROM g JOIN other o ON o.id <> 7;
SELECT n FROM g WHERE id = 4 EXCEPT SELECT n FROM other WHERE id = 1;
-- A literal beside char(n) is as long as it is written.
SELECT coalesce(flag, '?') AS flag, count(*) FROM g GROUP BY 1;
SELECT coalesce(c, 'abc') AS c, count(*) FROM g GROUP BY 1;
SELECT CASE WHEN flag = 'Y' THEN flag ELSE 'N' END AS f, sum(m) FROM g GROUP BY 1;
SELECT max(coalesce(flag, '-')), min(coalesce(c, '   ')) FROM g;
SELECT coalesce(c, 'none') = 'none' AS none, count(*) FROM g GROUP BY 1;
SELECT CASE flag WHEN 'Y'::char(1) THEN 'yes'::bpchar WHEN 'N' THEN 'no '::bpchar ELSE '???'::bpchar END AS f, count(*) FROM g GROUP BY 1;
SELECT id, length(coalesce(c, 'é  ')), octet_length(coalesce(c, 'é  ')), coalesce(c, 'é  ') || '|' FROM g;
SELECT lag(coalesce(flag, '-')) OVER (ORDER BY id), count(*) OVER (PARTITION BY coalesce(flag, '-')) FROM g;
-- Of several lengths, some with blanks.
-- expect: postgres (with blanks)
SELECT coalesce(c, 'none') AS c, count(*) FROM g GROUP BY 1;
-- A hypothetical value that is a key is NULL in the sets without it.
-- expect: postgres (of a key of GROUPING SETS)
SELECT k, rank(k) WITHIN GROUP (ORDER BY id) FROM g GROUP BY ROLLUP (k);
-- expect: postgres (of a key of GROUPING SETS)
SELECT k, dense_rank(k + 1) WITHIN GROUP (ORDER BY id) FROM g GROUP BY GROUPING SETS ((k), ());
SELECT k, rank(2) WITHIN GROUP (ORDER BY id) FROM g GROUP BY ROLLUP (k);
SELECT k, rank(k) WITHIN GROUP (ORDER BY id) FROM g GROUP BY k;
-- Copies of equal values that are written differently.
-- expect: postgres (INTERSECT or EXCEPT ALL)
SELECT n FROM g EXCEPT ALL SELECT n FROM other;
-- expect: postgres (INTERSECT or EXCEPT ALL)
SELECT f FROM g INTERSECT ALL SELECT n::float8 FROM other;
SELECT k, id FROM g EXCEPT ALL SELECT id, id FROM other WHERE id > 1;
-- Keys that conditions pin: before release 18, Postgres leaves them out of what it sorts and compares by, also in the sets without them.
-- expect: postgres (of what the conditions make constant)
SELECT DISTINCT k FROM g WHERE k = 2 GROUP BY ROLLUP (k);
-- expect: postgres (of what the conditions make constant)
SELECT k, rank() OVER (ORDER BY k NULLS FIRST) FROM g WHERE k = 2 GROUP BY ROLLUP (k);
-- expect: postgres (of what the conditions make constant)
SELECT k, flag, count(*) FROM g WHERE k = 2 AND id > 0 GROUP BY CUBE (k, flag) ORDER BY k NULLS FIRST, flag NULLS FIRST LIMIT 2;
-- expect: postgres (of what the conditions make constant)
SELECT k FROM g WHERE NOT k <> 2 GROUP BY ROLLUP (k) ORDER BY k NULLS FIRST;
-- expect: postgres (of what the conditions make constant)
SELECT k FROM g WHERE (k = 2 AND id > 0) OR (k = 2 AND id < 99) GROUP BY ROLLUP (k) ORDER BY k NULLS FIRST;
-- expect: postgres (of what the conditions make constant)
SELECT k FROM (SELECT k, id FROM g WHERE k IN (2)) s GROUP BY ROLLUP (k) ORDER BY k NULLS FIRST;
-- expect: postgres (of what the conditions make constant)
WITH s AS (SELECT k, id AS other FROM g WHERE k = id), t AS (SELECT * FROM s) SELECT k, other FROM t GROUP BY CUBE (k, other) ORDER BY 1, 2;
-- expect: postgres (of what the conditions make constant)
SELECT g.id, other.id FROM g JOIN other ON g.id = other.id GROUP BY CUBE (g.id, other.id) ORDER BY 1, 2 LIMIT 4;
-- expect: postgres (of what the conditions make constant)
SELECT DISTINCT ON (k + 1) k + 1 FROM g WHERE k + 1 = (SELECT max(id) - 2 FROM g) GROUP BY ROLLUP (k + 1) ORDER BY k + 1;
-- expect: postgres (a key that is the same for all rows)
SELECT coalesce(1, k) + 1, count(*) FROM g GROUP BY ROLLUP (coalesce(1, k));
-- expect: postgres (a key that is the same for all rows)
SELECT count(*) FROM g GROUP BY ROLLUP (coalesce(1, k)) HAVING coalesce(1, k) IS NULL;
SELECT k, count(*) FROM g WHERE k = 2 GROUP BY ROLLUP (k);
-- ordered
SELECT k, id, count(*) FROM g WHERE k = 2 GROUP BY CUBE (k, id) ORDER BY id, grouping(k) LIMIT 3;
-- ordered
SELECT g.id, flag, count(*) FROM g JOIN other ON g.id = other.id GROUP BY ROLLUP (g.id, flag) ORDER BY g.id, flag;
-- ordered
SELECT k, flag, count(*) FROM g WHERE k > 0 AND flag IN ('Y', 'N') GROUP BY ROLLUP (k, flag) ORDER BY k, flag;
-- Conditions on aggregates and on keys that some sets lack, before those on keys that all have; below them what takes conditions.
SELECT k, flag, count(*) FROM h WHERE t < 'x4' GROUP BY k, ROLLUP (flag) HAVING flag > 4 AND k = 1;
SELECT k, flag, count(*) FROM h WHERE t < 'x4' GROUP BY k, ROLLUP (flag) HAVING count(*) > 100 AND k = 1;
SELECT k, flag, count(*) FROM h WHERE t < 'x4' GROUP BY k, ROLLUP (flag) HAVING grouping(flag) = 1 AND k = 1 AND count(*) > 0;
SELECT k, flag FROM h WHERE t < 'x4' GROUP BY GROUPING SETS ((flag, k), (k)) HAVING flag IS NULL AND k > 2;
SELECT count(*) FROM (SELECT flag, k FROM h WHERE k < 2 GROUP BY k, ROLLUP (flag)) s WHERE flag > 4 AND k = 1;
WITH s AS MATERIALIZED (SELECT k, flag, sum(id) AS n FROM h WHERE t < 'x4' GROUP BY k, ROLLUP (flag) HAVING sum(id) > 100) SELECT * FROM s WHERE flag > 4 AND k = 1;
SELECT k, count(*) FROM h WHERE t < 'x4' GROUP BY k HAVING count(*) > 330 AND k > 1;
SELECT k, count(*) FROM h WHERE t < 'x4' GROUP BY k HAVING count(*) > 330 AND 10 / (k + 1) > 2;
SELECT * FROM (SELECT k, max(id) AS m FROM h WHERE t < 'x4' GROUP BY k LIMIT 100) s WHERE m > 2995 AND 10 / (k + 1) > 0;
SELECT * FROM (SELECT k, max(id) AS m, rank() OVER (PARTITION BY k) FROM h WHERE t < 'x4' GROUP BY k) s WHERE m > 2995 AND k > 0 AND 10 / (k + 1) > 0;
-- Groups of groups, whose keys stand behind what is computed of them, or are not asked for.
SELECT c0, count(*) FROM (SELECT DISTINCT t IS NULL AS c0, t AS c1 FROM h GROUP BY t) s GROUP BY c0;
SELECT c0, count(*) FROM (SELECT DISTINCT t IS NULL AS c0, t AS c1, k FROM h GROUP BY t, k) s GROUP BY c0;
SELECT count(*) FROM (SELECT DISTINCT k + 1, k, flag FROM h GROUP BY k, flag) s;
SELECT count(*) FROM (SELECT u, t FROM (SELECT upper(t) AS u, t FROM h GROUP BY t) s GROUP BY u, t) s;
SELECT u, count(*) FROM (SELECT length(t) AS u, t, count(*) AS n FROM h GROUP BY t) s GROUP BY u, t;
SELECT count(*), sum(m) FROM (SELECT k % 2 AS m, k, flag FROM h GROUP BY k, flag) s GROUP BY m, k;
SELECT DISTINCT a, f FROM (SELECT k AS a, flag / 4 AS f, flag FROM h GROUP BY k, flag) s;
SELECT a, f, count(*) FROM (SELECT DISTINCT k AS a, flag / 4 AS f, flag FROM h GROUP BY k, flag) s GROUP BY a, f;
SELECT count(*) FROM (SELECT DISTINCT x.m, x.k, y.flag FROM (SELECT k % 2 AS m, k FROM h GROUP BY k) x JOIN (SELECT flag FROM h GROUP BY flag) y ON x.m <= y.flag) s;
SELECT m, count(*) FROM (SELECT k % 2 AS m, k, row_number() OVER (ORDER BY k) AS r FROM h GROUP BY k) s GROUP BY m, k, r;
SELECT c, count(*) FROM (SELECT k % 2 AS c, k FROM h GROUP BY k EXCEPT SELECT 1, 1) s GROUP BY c;
-- Expressions of keys that Postgres folds before it knows that they are keys.
-- expect: postgres (an expression of keys that Postgres folds)
SELECT k, NOT k > 2, count(*) FROM h GROUP BY ROLLUP (k, k > 2);
-- expect: postgres (an expression of keys that Postgres folds)
SELECT k, count(*) FROM h GROUP BY ROLLUP (k, k > 2) HAVING NOT k > 2;
-- expect: postgres (an expression of keys that Postgres folds)
SELECT NOT (t IS NULL), count(*) FROM h GROUP BY ROLLUP (t IS NULL);
SELECT k, k > 2, CASE WHEN k > 2 THEN 1 + 1 END, count(*) FROM h GROUP BY ROLLUP (k, k > 2) HAVING k > 2 OR grouping(k) = 1;
