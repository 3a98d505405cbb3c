-- Options of remote servers: what is not valid is refused with the valid list, and secrets stay where they belong.
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql;
\echo :LAST_ERROR_SQLSTATE
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (hots 'x');
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (host 'h', port 'many');
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (host '');
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (host 'h', port '70000');
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (host 'h', ssl_mode 'perhaps');
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (host 'h', password 'p');
ALTER FOREIGN DATA WRAPPER weir_mysql OPTIONS (host 'h');
CREATE ROLE regress_weir_remote;
GRANT USAGE ON FOREIGN DATA WRAPPER weir_mysql TO regress_weir_remote;
SET ROLE regress_weir_remote;
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (host 'h', ssl_ca '/etc/passwd');
RESET ROLE;
CREATE SERVER s FOREIGN DATA WRAPPER weir_mysql OPTIONS (host '127.0.0.1', port '1', database 'd');
ALTER SERVER s OPTIONS (DROP host);
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (host 'h');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (password 'secret');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u', password 'secret');
-- Files are named by superusers only.
GRANT USAGE ON FOREIGN SERVER s TO regress_weir_remote;
SET ROLE regress_weir_remote;
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u', ssl_cert '/etc/passwd');
RESET ROLE;
CREATE FOREIGN TABLE ft (a int OPTIONS (name 'x')) SERVER s;
CREATE FOREIGN TABLE ft (a int) SERVER s OPTIONS (tbl 'x');
CREATE FOREIGN TABLE ft (a int, b text, c point) SERVER s OPTIONS (table_name 'x');
-- The plan shows the statement and no secret.
EXPLAIN (COSTS OFF) SELECT b FROM ft WHERE a = 1 AND b LIKE 'x%' AND length(b) > 3;
EXPLAIN (COSTS OFF) SELECT c FROM ft;
-- Nobody listens there.
SELECT a FROM ft;
-- A user without a mapping.
GRANT SELECT ON ft TO regress_weir_remote;
SET ROLE regress_weir_remote;
SELECT a FROM ft;
RESET ROLE;
SELECT name, wrapper, can_push FROM weir.engines WHERE name = 'mysql';
SELECT name, descriptor -> 'auth' AS auth FROM weir.engines ORDER BY name;
SELECT o ->> 'name', o ->> 'of' FROM weir.engines, jsonb_array_elements(options) o WHERE name = 'mysql' AND (o ->> 'secret')::bool;
DROP FOREIGN TABLE ft;
SELECT name, string_agg(format('%s%s', o ->> 'name', CASE WHEN (o ->> 'superuser')::bool THEN ' (superuser)' END), ', ') FROM weir.engines, jsonb_array_elements(options) o
WHERE o ->> 'name' ~ '^(ssl|tls)' GROUP BY 1 ORDER BY 1;
DROP USER MAPPING FOR CURRENT_USER SERVER s;
DROP SERVER s;
REVOKE ALL ON FOREIGN DATA WRAPPER weir_mysql FROM regress_weir_remote;
DROP ROLE regress_weir_remote;
