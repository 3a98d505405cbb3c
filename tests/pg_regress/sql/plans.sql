-- EXPLAIN: the custom scan where the engine answers, the reason where it does not.
CREATE TABLE p1 (id int PRIMARY KEY, k int, t text, n numeric(12,2), f float8, d date);
INSERT INTO p1 SELECT i, i % 10, 't' || i, i / 4.0, i / 3.0, date '2024-01-01' + i FROM generate_series(1, 1000) i;
CREATE TABLE p2 (id int PRIMARY KEY, name text, spot point);
INSERT INTO p2 SELECT i, 'n' || i, point(i, i) FROM generate_series(1, 10) i;
CREATE TABLE p3 (id int PRIMARY KEY);
ANALYZE p1, p2, p3;
SELECT weir.mirror('p1'), weir.mirror('p2');
SELECT weir.sync();
SET weir.route = force;
EXPLAIN (COSTS OFF) SELECT k, count(*), sum(n) FROM p1 GROUP BY k;
EXPLAIN (COSTS OFF) SELECT name, sum(n) FROM p1 JOIN p2 ON p2.id = k GROUP BY name ORDER BY name LIMIT 3;
EXPLAIN (COSTS OFF) SELECT name, sum(n) FROM p1 JOIN p2 ON p2.id = k GROUP BY name ORDER BY name COLLATE "C" LIMIT 3;
-- not routed, each for its reason
EXPLAIN (COSTS OFF) SELECT count(*) FROM p3;
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*) FROM p3;
EXPLAIN (COSTS OFF) SELECT count(*) FROM p1 JOIN p3 USING (id);
EXPLAIN (COSTS OFF) SELECT count(*) FROM p1 WHERE random() < 0.5;
EXPLAIN (COSTS OFF) SELECT spot FROM p2;
EXPLAIN (COSTS OFF) SELECT stddev(f) FROM p1;
EXPLAIN (COSTS OFF) SELECT ctid FROM p2;
EXPLAIN (COSTS OFF) SELECT id FROM p2 FOR UPDATE;
EXPLAIN (COSTS OFF) SELECT count(*) FROM p1, pg_class;
BEGIN;
INSERT INTO p3 VALUES (1);
EXPLAIN (COSTS OFF) SELECT count(*) FROM p1;
UPDATE p1 SET k = k WHERE id = 1;
EXPLAIN (COSTS OFF) SELECT count(*) FROM p1;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
EXPLAIN (COSTS OFF) SELECT count(*) FROM p1;
ROLLBACK;
SET weir.fidelity = relaxed;
EXPLAIN (COSTS OFF) SELECT stddev(f) FROM p1;
RESET weir.fidelity;
SET weir.enabled = off;
EXPLAIN (COSTS OFF) SELECT k, count(*) FROM p1 GROUP BY k;
RESET weir.enabled;
SET weir.route = off;
EXPLAIN (COSTS OFF) SELECT k, count(*) FROM p1 GROUP BY k;
-- auto: by cost
SET weir.route = auto;
SET weir.min_cost = 1e9;
SELECT count(*) FROM p1 GROUP BY k HAVING k = 1;
SELECT routed, reason ~ 'below weir.min_cost' AS by_cost FROM weir.last_route();
SET weir.min_cost = 0;
SELECT count(*) FROM p1 GROUP BY k HAVING k = 1;
SELECT routed FROM weir.last_route();
RESET weir.min_cost;
-- auto: what an index answers row by row stays with it: the engine has none, and would compare all pairs
CREATE TABLE price (k int, at int, p int, PRIMARY KEY (k, at));
INSERT INTO price SELECT k, at, k + at FROM generate_series(1, 100) k, generate_series(1, 300) at;
CREATE TABLE trade (id int PRIMARY KEY, k int, at int);
INSERT INTO trade SELECT i, i % 100, i % 300 FROM generate_series(1, 6000) i;
VACUUM ANALYZE price, trade;
SELECT weir.mirror('price'), weir.mirror('trade');
SELECT weir.sync();
SET weir.min_cost = 100;
SELECT sum((SELECT p FROM price WHERE price.k = t.k AND price.at <= t.at ORDER BY price.at DESC LIMIT 1)) FROM trade t;
SELECT routed, reason ~ 'below the engine''s' AS by_cost FROM weir.last_route();
SELECT count(*), sum(x.p) FROM trade t, LATERAL (SELECT p FROM price WHERE price.k = t.k ORDER BY price.at LIMIT 2) x;
SELECT routed, reason ~ 'below the engine''s' AS by_cost FROM weir.last_route();
SELECT count(*) FROM trade t JOIN price ON price.k = t.k AND price.at BETWEEN t.at AND t.at + 1;
SELECT routed, reason ~ 'below the engine''s' AS by_cost FROM weir.last_route();
SELECT count(*), sum(p) FROM trade t JOIN price USING (k, at);
SELECT routed FROM weir.last_route();
-- auto: Postgres stops at the first row that decides
SELECT count(*) FROM trade WHERE at = ALL (SELECT at FROM price);
SELECT routed, reason FROM weir.last_route();
-- auto: functions that the engine computes more slowly, whatever Postgres takes them to cost
SELECT count(*), count(sqrt(p + 1.5)) FROM price;
SELECT routed, reason ~ 'below the engine''s' AS by_cost FROM weir.last_route();
SELECT count(*), sqrt(sum(p) + 1.5) > 0 FROM price;
SELECT routed FROM weir.last_route();
RESET weir.min_cost;
-- a parameter that may fail, where the standard plan is parallel
SET weir.route = force;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*), count(age(timestamp '2024-01-01' + k * interval '1 day')) FROM price;
SELECT routed, fallback FROM weir.last_route();
CREATE FUNCTION aged(int) RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS
    $$ BEGIN RETURN (SELECT count(*) FROM trade WHERE id <= $1 AND age(timestamp '2024-01-01') > interval '1 day'); END $$;
SELECT sum(aged(id)) FROM trade WHERE id <= 3;
DROP FUNCTION aged(int);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
DROP TABLE price, trade;
-- EXPLAIN without ANALYZE opens nothing and runs nothing; with ANALYZE it counts rows
SET weir.route = force;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT DISTINCT k FROM p1;
EXPLAIN (FORMAT json, COSTS OFF) SELECT count(*) FROM p1;
-- branches come in their order, each as a whole
SELECT k % 2 = 0 AS even, count(*) AS n FROM p1 WHERE k < 4 AND k % 2 = 0 GROUP BY 1 UNION ALL SELECT NULL, count(*) FROM p1 UNION ALL (SELECT k > 0, max(k) FROM p1 WHERE k = 3 GROUP BY 1 UNION ALL VALUES (false, 0), (true, (SELECT min(k) FROM p1)), (NULL, 2));
-- statements around a SELECT
CREATE TABLE made AS SELECT k, sum(n) AS s FROM p1 GROUP BY k;
SELECT count(*), sum(s) FROM made;
INSERT INTO made SELECT k, count(*) FROM p1 GROUP BY k;
SELECT count(*), sum(s) FROM made;
COPY (SELECT k, min(id), max(d) FROM p1 GROUP BY k ORDER BY k) TO STDOUT;
PREPARE q (int) AS SELECT count(*), max(t) FROM p1 WHERE k = $1;
EXECUTE q (3);
EXECUTE q (4);
DEALLOCATE q;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, t FROM p1 ORDER BY id;
FETCH 2 FROM c;
FETCH LAST FROM c;
FETCH BACKWARD 1 FROM c;
COMMIT;
-- until the transaction ends: the next statement must not be cancelled, too
BEGIN;
SET LOCAL statement_timeout = '1ms';
SELECT count(*) FROM p1 a, p1 b, p1 c WHERE a.n + b.n > c.n;
ROLLBACK;
SELECT count(*) FROM p1;
-- what EXPLAIN had prepared is executed over the content of later
EXPLAIN (COSTS OFF) SELECT sum(id), count(*) FROM p1;
DELETE FROM p1 WHERE id > 10;
SELECT sum(id), count(*) FROM p1;
SELECT routed FROM weir.last_route();
DROP TABLE p1, p2, p3, made;
