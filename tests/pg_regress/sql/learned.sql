-- Under auto, a query that Postgres takes for cheap and that is not goes to the engine from its third run on, and back.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE learned (id int PRIMARY KEY, a int, b int, c int, n1 int, n2 int, n3 int, n4 int);
INSERT INTO learned SELECT i, i % 20, i % 20, i % 20, i, i, i, i FROM generate_series(1, 12000) i;
ANALYZE learned;
SELECT weir.mirror('learned');
SELECT weir.sync(timeout => '1min');
SET max_parallel_workers_per_gather = 0;
SET enable_nestloop = off;
-- a, b and c are equal always, so the join has 7.2 million rows, which Postgres takes for 18,000.
CREATE VIEW slow AS SELECT count(*), sum(x.n1) AS x1, sum(x.n2) AS x2, sum(x.n3) AS x3, sum(x.n4) AS x4, sum(y.n1) AS y1, sum(y.n2) AS y2, sum(y.n3) AS y3, sum(y.n4) AS y4
    FROM learned x JOIN learned y ON x.a = y.a AND x.b = y.b AND x.c = y.c;
-- Puts weir.min_cost just below what a query costs in Postgres, so that the engine looks a little more expensive.
CREATE FUNCTION tune(query text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    SET LOCAL weir.route = off;
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    PERFORM set_config('weir.min_cost', ((plan #>> '{0,Plan,Total Cost}')::float8 - 10)::text, false);
END $$;
SELECT tune('SELECT * FROM slow');

SELECT * FROM slow;
SELECT routed, regexp_replace(reason, '\d+', 'N', 'g') AS reason FROM weir.last_route();
SELECT * FROM slow;
SELECT routed FROM weir.last_route();
SELECT * FROM slow;
SELECT routed FROM weir.last_route();

-- The same for one that is prepared, and never got to its end.
PREPARE again AS SELECT count(*), max(x.n1 + y.n1), max(x.n2 + y.n2), max(x.n3), max(x.n4), max(y.n3), max(y.n4)
    FROM learned x JOIN learned y ON x.a = y.a AND x.b = y.b AND x.c = y.c;
SELECT tune('EXECUTE again');
SET statement_timeout = '250ms';
EXECUTE again;
EXECUTE again;
RESET statement_timeout;
EXECUTE again;
SELECT routed FROM weir.last_route();

-- What is quick in Postgres stays there: here it finds out that there is nothing to read.
CREATE VIEW quick AS SELECT count(*), sum(n1) AS n1, sum(n2) AS n2, sum(n3) AS n3, sum(n4) AS n4, sum(a) AS a, sum(b) AS b FROM learned
    WHERE (SELECT count(*) FROM learned WHERE id = 1) = 2;
SELECT tune('SELECT * FROM quick');
SELECT * FROM quick;
SELECT * FROM quick;
SELECT * FROM quick;
SELECT routed, regexp_replace(reason, '\d+', 'N', 'g') AS reason FROM weir.last_route();

-- What one session has learned, others know; of a query with other constants, too.
PREPARE constants AS SELECT count(*), sum(x.n1 + 3) AS n1, sum(x.n2) AS n2, sum(x.n3) AS n3, sum(x.n4) AS n4, sum(y.n1) AS y1, sum(y.n2) AS y2, sum(y.n3) AS y3
    FROM learned x JOIN learned y ON x.a = y.a AND x.b = y.b AND x.c = y.c;
SELECT tune('EXECUTE constants');
EXECUTE constants;
EXECUTE constants;
SELECT routed FROM weir.last_route();
SELECT current_setting('weir.min_cost') AS min_cost \gset
\c -
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET enable_nestloop = off;
SET weir.min_cost = :min_cost;
SELECT count(*), sum(x.n1 + 4) AS n1, sum(x.n2) AS n2, sum(x.n3) AS n3, sum(x.n4) AS n4, sum(y.n1) AS y1, sum(y.n2) AS y2, sum(y.n3) AS y3
    FROM learned x JOIN learned y ON x.a = y.a AND x.b = y.b AND x.c = y.c;
SELECT routed FROM weir.last_route();

-- The other way round: what the engine took longer for than Postgres may need is tried in Postgres. By these costs that needs a tenth of a millisecond.
SET weir.min_cost = 0;
SET seq_page_cost = 0.001;
SET cpu_tuple_cost = 0.002;
SET cpu_operator_cost = 0.0001;
SELECT count(*), sum(n4) FROM learned;
SELECT routed FROM weir.last_route();
SELECT count(*), sum(n4) FROM learned;
SELECT routed FROM weir.last_route();
SELECT count(*), sum(n4) FROM learned;
SELECT routed, regexp_replace(reason, '\d+', 'N', 'g') AS reason FROM weir.last_route();

-- And where little is at stake, also what Postgres may be much quicker with than it looks to be: by these costs it needs a millisecond or two.
RESET seq_page_cost;
RESET cpu_operator_cost;
SET cpu_tuple_cost = 0.02;
SELECT count(*), sum(n3) FROM learned;
SELECT routed FROM weir.last_route();
SELECT count(*), sum(n3) FROM learned;
SELECT routed FROM weir.last_route();
SELECT count(*), sum(n3) FROM learned;
SELECT routed FROM weir.last_route();

SELECT weir.unmirror('learned');
DROP VIEW slow, quick;
DROP TABLE learned;
DROP FUNCTION tune;
