-- Errors that Postgres raises while it plans or runs a query over a mirror come out as without the extension: with cursor
-- position, internal query, context, detail, hint and the names of what they are about.
CREATE TABLE faulty (id int PRIMARY KEY, v int);
INSERT INTO faulty VALUES (1, 10), (2, 0);
SELECT weir.mirror('faulty');
SELECT weir.sync('faulty');
SET check_function_bodies = off;
CREATE FUNCTION bad_body(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT nowhere + $1 $$;
CREATE FUNCTION bad_rows() RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT id FROM absent $$;
RESET check_function_bodies;
CREATE FUNCTION complains(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE EXCEPTION 'number % is not liked', $1 USING ERRCODE = 'check_violation', DETAIL = 'the detail', HINT = 'the hint',
        SCHEMA = 'a_schema', TABLE = 'a_table', COLUMN = 'a_column', CONSTRAINT = 'a_constraint', DATATYPE = 'a_type';
END $$;
CREATE FUNCTION outcome(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code text; detail text; hint text; a text; b text; c text; d text; e text; context text;
BEGIN
    EXECUTE query;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, a = SCHEMA_NAME,
        b = TABLE_NAME, c = COLUMN_NAME, d = CONSTRAINT_NAME, e = PG_DATATYPE_NAME, context = PG_EXCEPTION_CONTEXT;
    RETURN concat_ws('|', code, detail, hint, a, b, c, d, e, context);
END $$;
SET weir.route = force;
-- before the planner
SELECT nowhere FROM faulty;
SELECT v FROM faulty WHERE v = 'x';
SELECT id, count(*) FROM faulty;
-- in the planner: a function that is inlined, one that is computed beforehand
SELECT bad_body(v) FROM faulty;
SELECT * FROM faulty JOIN bad_rows() b ON b = id;
SELECT complains(1) FROM faulty;
SELECT v / (1 / 0) FROM faulty;
EXPLAIN (COSTS OFF) SELECT bad_body(v) FROM faulty;
PREPARE later AS SELECT bad_body(v) FROM faulty;
EXECUTE later;
EXPLAIN (COSTS OFF) EXECUTE later;
DO $$ BEGIN PERFORM bad_body(v) FROM faulty; END $$;
SELECT outcome('SELECT complains(2) FROM faulty');
-- while it runs
SELECT complains(v) FROM faulty ORDER BY id;
SELECT outcome('SELECT complains(v) FROM faulty');
-- routed: the engine's error is found out by Postgres, which runs the query itself, then what Postgres computes above the engine
SELECT 100 / v AS q FROM faulty;
SELECT routed, fallback FROM weir.last_route();
SELECT outcome('SELECT complains(v) FROM faulty WHERE 100 / v > 0 ORDER BY id');
SELECT routed, fallback FROM weir.last_route();
SELECT outcome('SELECT complains((sum(v) / 5)::int) FROM faulty');
SELECT routed, fallback FROM weir.last_route();
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT complains(v) FROM faulty;
SELECT outcome('EXPLAIN ANALYZE SELECT complains(v) FROM faulty');
-- the same with routing switched off
SET weir.route = off;
SELECT bad_body(v) FROM faulty;
SELECT complains(1) FROM faulty;
SELECT outcome('SELECT complains(2) FROM faulty');
-- and the session goes on
SET weir.route = force;
SELECT sum(v) FROM faulty;
SELECT weir.unmirror('faulty');
DROP TABLE faulty;
DROP FUNCTION bad_body, bad_rows, complains, outcome;
