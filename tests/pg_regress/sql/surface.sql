-- What CREATE EXTENSION brings, and the life of a mirror.
SELECT extname, extversion FROM pg_extension WHERE extname = 'pg_weir';
SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'weir' AND p.proname NOT LIKE '\_%' ORDER BY 1, 2;
SELECT c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'weir' AND c.relkind = 'v' ORDER BY 1;
SELECT name, context, vartype, enumvals FROM pg_settings WHERE name LIKE 'weir.%' ORDER BY 1;
SET weir.route = nonsense;
SET weir.freshness = 'sometimes';
SET weir.freshness = '5s';
SHOW weir.freshness;
RESET weir.freshness;
ALTER SYSTEM SET weir.storage = 'ftp://somewhere/else';
ALTER SYSTEM SET weir.storage = 'some/where';
ALTER SYSTEM SET weir.storage = 's3://';
CREATE TABLE surface (id int PRIMARY KEY, v text, n numeric(10,2));
INSERT INTO surface SELECT i, 'v' || i % 3, i / 2.0 FROM generate_series(1, 100) i;
SELECT weir.mirror('surface');
SELECT weir.sync('surface');
SELECT state, reason, rows, last_error FROM weir.mirrors;
SELECT phase, rows_copied FROM weir.progress;
SET weir.route = force;
SELECT v, count(*), sum(n) FROM surface GROUP BY v ORDER BY v;
SELECT routed, engine, reason FROM weir.last_route();
INSERT INTO surface VALUES (101, 'new', 1);
SELECT count(*) FROM surface;
SELECT routed FROM weir.last_route();
SELECT matches, heap_rows, mirror_rows FROM weir.verify('surface');
-- mirroring it again says so, or does nothing
SELECT weir.mirror('surface');
SELECT weir.unmirror('surface');
SELECT count(*) FROM surface;
SELECT routed, reason FROM weir.last_route();
SELECT count(*) FROM weir.mirrors;
SELECT weir.unmirror('surface');
-- a table that is dropped takes its mirror along
SELECT weir.mirror('surface');
SELECT weir.sync('surface');
DROP TABLE surface;
SELECT count(*) FROM weir.mirrors;

-- What a mirror does not hold is not compared, and named.
CREATE TABLE partly (id int PRIMARY KEY, price money, gone int, at timetz, note text);
ALTER TABLE partly DROP COLUMN gone;
INSERT INTO partly VALUES (1, 1.50, '12:00+01', 'a'), (2, NULL, NULL, NULL);
SELECT weir.mirror('partly');
SELECT weir.sync('partly');
SELECT matches, heap_rows, mirror_rows, unchecked_columns FROM weir.verify('partly');
DROP TABLE partly;
-- How many rows are expected of tables that nobody has analysed: none, what fits into a page, and then as many as came.
CREATE TABLE unanalysed (id int PRIMARY KEY, v int);
BEGIN;
SELECT weir.mirror('unanalysed');
SELECT phase, rows_expected FROM weir.progress;
ROLLBACK;
INSERT INTO unanalysed VALUES (1, 1), (2, 2), (3, 3);
BEGIN;
SELECT weir.mirror('unanalysed');
SELECT phase, rows_expected BETWEEN 1 AND 300 AS fits FROM weir.progress;
COMMIT;
SELECT weir.sync();
SELECT phase, rows_copied, rows_expected FROM weir.progress;
DROP TABLE unanalysed;
