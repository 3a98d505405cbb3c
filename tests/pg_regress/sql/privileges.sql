-- Privileges, column privileges, row security and views hold on routed queries, or the query is not routed.
CREATE ROLE regress_weir_owner;
CREATE ROLE regress_weir_reader;
GRANT CREATE, USAGE ON SCHEMA public TO regress_weir_owner;
GRANT USAGE ON SCHEMA public TO regress_weir_reader;
SET ROLE regress_weir_owner;
CREATE TABLE secret (id int PRIMARY KEY, owner text, amount numeric(10,2), hidden text);
INSERT INTO secret SELECT i, CASE WHEN i % 2 = 0 THEN 'regress_weir_reader' ELSE 'other' END, i, 'h' || i FROM generate_series(1, 100) i;
CREATE VIEW totals AS SELECT owner, sum(amount) AS total FROM secret GROUP BY owner;
CREATE VIEW barrier WITH (security_barrier) AS SELECT id, amount FROM secret WHERE owner = 'other';
CREATE VIEW withheld AS SELECT amount FROM secret;
CREATE VIEW invoker WITH (security_invoker) AS SELECT count(*) AS n FROM secret;
CREATE FUNCTION peek() RETURNS numeric LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'SELECT sum(amount) FROM secret';
GRANT SELECT ON totals, barrier, invoker TO regress_weir_reader;
RESET ROLE;
SELECT weir.mirror('secret');
SELECT weir.sync('secret');
SET weir.route = force;
-- no privilege at all
SET ROLE regress_weir_reader;
SELECT count(*) FROM secret;
SELECT count(*) FROM invoker;
-- through the owner's view and function
SELECT * FROM totals ORDER BY owner;
SELECT routed FROM weir.last_route();
SELECT count(*), sum(amount) FROM barrier;
SELECT peek();
-- what the reader may see of mirrors
SELECT count(*) FROM weir.mirrors;
SELECT weir.mirror('secret');
SELECT weir.unmirror('secret');
SELECT weir.verify('secret');
SELECT weir.sync('secret');
SELECT * FROM weir.mirror_table;
RESET ROLE;
-- column privileges
GRANT SELECT (id, amount) ON secret TO regress_weir_reader;
SET ROLE regress_weir_reader;
SELECT count(*), sum(amount) FROM secret WHERE id > 10;
SELECT routed FROM weir.last_route();
SELECT max(hidden) FROM secret;
SELECT count(*) FROM secret WHERE hidden = 'h1';
-- what is folded away where the rights are checked is not read afterwards
CREATE FUNCTION pg_temp.flips() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('regress.flipped', true) = 'yes' THEN RETURN true; END IF;
    PERFORM set_config('regress.flipped', 'yes', false);
    RETURN false;
END $$;
SELECT CASE WHEN pg_temp.flips() THEN (SELECT max(hidden) FROM secret) END FROM secret WHERE id = 11;
SELECT reason FROM weir.last_route();
-- neither through a view whose owner may read what another view of his reads
SELECT set_config('regress.flipped', 'no', false);
SELECT CASE WHEN pg_temp.flips() THEN (SELECT max(amount) FROM withheld) END FROM totals WHERE owner = 'other';
SELECT reason FROM weir.last_route();
DROP FUNCTION pg_temp.flips();
-- functions that the role may not call
RESET ROLE;
REVOKE EXECUTE ON FUNCTION repeat(text, int), sum(numeric), count() FROM PUBLIC;
SET ROLE regress_weir_reader;
SELECT repeat('x', id) FROM secret WHERE id = 3;
SELECT sum(amount) FROM secret;
SELECT count(*) FROM secret;
SELECT max(id) FROM secret;
RESET ROLE;
GRANT EXECUTE ON FUNCTION repeat(text, int), sum(numeric), count() TO PUBLIC;
-- a plan made before the privilege is taken away
GRANT SELECT ON secret TO regress_weir_reader;
SET ROLE regress_weir_reader;
PREPARE q AS SELECT count(*) FROM secret;
EXECUTE q;
RESET ROLE;
REVOKE ALL ON secret FROM regress_weir_reader;
SET ROLE regress_weir_reader;
EXECUTE q;
RESET ROLE;
GRANT SELECT ON secret TO regress_weir_reader;
-- row security
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (owner = current_user);
SELECT count(*) FROM secret;
SET ROLE regress_weir_reader;
SELECT count(*), min(id) FROM secret;
SELECT count(*) FROM secret WHERE owner = 'other';
EXECUTE q;
RESET ROLE;
SET ROLE regress_weir_owner;
SELECT count(*) FROM secret;
ALTER TABLE secret FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM secret;
RESET ROLE;
DEALLOCATE q;
-- a leaky function sees no row that the barrier hides
CREATE FUNCTION leak(numeric) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
ALTER TABLE secret DISABLE ROW LEVEL SECURITY;
SET ROLE regress_weir_reader;
SELECT count(*) FROM barrier WHERE leak(amount) AND id < 6;
RESET ROLE;
DROP VIEW totals, barrier, invoker, withheld;
DROP FUNCTION leak(numeric), peek();
DROP TABLE secret;
-- what a user defines is never called with the owner's rights, whatever the search path
CREATE SCHEMA regress_evil AUTHORIZATION regress_weir_owner;
SET ROLE regress_weir_owner;
CREATE TABLE regress_evil.calls (by_whom name);
CREATE FUNCTION regress_evil.same(oid, oid) RETURNS bool LANGUAGE plpgsql AS
    'BEGIN INSERT INTO regress_evil.calls VALUES (current_user); RETURN $1 OPERATOR(pg_catalog.=) $2; END';
CREATE OPERATOR regress_evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = regress_evil.same);
CREATE FUNCTION regress_evil.format(text, name, name) RETURNS text LANGUAGE plpgsql AS
    'BEGIN INSERT INTO regress_evil.calls VALUES (current_user); RETURN $2; END';
CREATE TABLE regress_evil.mine (id int PRIMARY KEY);
SET search_path = regress_evil, pg_catalog;
SELECT weir.mirror('mine');
SELECT weir.sync();
ALTER TABLE mine ADD COLUMN v int;
SELECT weir.unmirror('mine');
DROP TABLE mine;
SELECT DISTINCT by_whom FROM calls;
RESET search_path;
RESET ROLE;
DROP SCHEMA regress_evil CASCADE;
REVOKE ALL ON SCHEMA public FROM regress_weir_owner, regress_weir_reader;
DROP ROLE regress_weir_owner, regress_weir_reader;
