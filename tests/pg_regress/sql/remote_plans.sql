-- Plans over remote tables, none of which is ever reached.
SET client_min_messages = warning;
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (host '127.0.0.1', port '1', database 'd');
CREATE SERVER s2 FOREIGN DATA WRAPPER weir_mysql OPTIONS (host '127.0.0.1', port '1', database 'd');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u');
CREATE USER MAPPING FOR CURRENT_USER SERVER s2 OPTIONS (user 'u');
CREATE TABLE few AS SELECT i AS id, i AS k FROM generate_series(1, 30) i;
ANALYZE few;
CREATE FOREIGN TABLE big (id int OPTIONS (key 'true'), k int, v text) SERVER s OPTIONS (rows '300000');
CREATE FOREIGN TABLE pairs (a int OPTIONS (key 'true'), b int OPTIONS (key 'true'), v text) SERVER s OPTIONS (rows '300000');
CREATE FOREIGN TABLE unkeyed (id int, v text) SERVER s OPTIONS (rows '300000');
SET weir.route = off;
-- What has no key there may be looked for in all rows, each time.
EXPLAIN (COSTS OFF) SELECT big.v FROM few JOIN big ON big.k = few.k;
EXPLAIN (COSTS OFF) SELECT unkeyed.v FROM few JOIN unkeyed ON unkeyed.id = few.id;
EXPLAIN (COSTS OFF) SELECT pairs.v FROM few JOIN pairs ON pairs.a = few.id;
-- By its key it is found.
EXPLAIN (COSTS OFF) SELECT big.v FROM few JOIN big ON big.id = few.id;
EXPLAIN (COSTS OFF) SELECT pairs.v FROM few JOIN pairs ON few.id = pairs.a AND pairs.b = few.k;
-- So it is by the first column of an index; but text is compared as bytes at MySQL, for which there is none.
CREATE FOREIGN TABLE looked (id int OPTIONS (key 'true'), k int OPTIONS (indexed 'true'), t text OPTIONS (indexed 'true'), v text) SERVER s OPTIONS (rows '300000');
EXPLAIN (COSTS OFF) SELECT looked.v FROM few JOIN looked ON looked.k = few.k;
EXPLAIN (COSTS OFF) SELECT looked.v FROM few JOIN looked ON looked.t = few.k::text;
-- An index that finds the same rows each time does not help.
EXPLAIN (COSTS OFF) SELECT looked.v FROM few JOIN looked ON looked.v = few.k::text AND looked.k = 7;
-- What is little anyway is read once.
EXPLAIN (COSTS OFF) SELECT pairs.v FROM few JOIN pairs ON few.id = pairs.a AND pairs.b = 7;
-- In the structured formats, no object has a key twice.
SET weir.route = force;
CREATE FOREIGN TABLE other (id int, v text) SERVER s2 OPTIONS (rows '300000');
CREATE FUNCTION explained(query text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) ' || query INTO plan;
    RETURN plan #> '{0,Plan}';
END $$;
CREATE VIEW two AS SELECT other.v, length(big.v || big.k) AS n FROM big JOIN other ON other.id = big.id WHERE sqrt(big.k) > 2 AND sqrt(other.id) > 2;
EXPLAIN (COSTS OFF) SELECT * FROM two;
-- What each statement is expected to return stands with the costs.
CREATE FUNCTION estimates(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        IF line ~ 'Remote Server|Estimated Rows' THEN RETURN NEXT btrim(line); END IF;
    END LOOP;
END $$;
SELECT estimates('SELECT * FROM two');
SELECT key, count(*) FROM json_each(explained('SELECT * FROM two')) GROUP BY key HAVING count(*) > 1;
SELECT jsonb_typeof(plan -> 'Engine Plan'), jsonb_typeof(plan -> 'Not Pushed'), plan -> 'Remote Statements' FROM (SELECT explained('SELECT * FROM two')::jsonb AS plan) s;
SET weir.route = off;
SELECT key, count(*) FROM json_each(explained('SELECT v FROM big WHERE sqrt(k) > 2 AND length(v) > 3')) GROUP BY key HAVING count(*) > 1;
-- The reason is the partition's own.
CREATE TABLE part (id int, v text) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE p1 PARTITION OF part FOR VALUES FROM (0) TO (10) SERVER s;
SET weir.route = force;
EXPLAIN (COSTS OFF) SELECT count(*) FROM part;
DROP TABLE part;
DROP VIEW two;
DROP FUNCTION explained;
DROP FOREIGN TABLE big, pairs, unkeyed, looked, other;
DROP TABLE few;
DROP SERVER s CASCADE;
DROP SERVER s2 CASCADE;
