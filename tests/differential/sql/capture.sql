-- Change capture: after each change, the mirror answers as the heap does.
-- unmirrored: later
-- setup
CREATE TABLE c (id int PRIMARY KEY, k int, t text, big text, n numeric(10,2), gen int GENERATED ALWAYS AS (k * 2) STORED);
INSERT INTO c (id, k, t, big, n) SELECT i, i % 5, 't' || i, repeat(md5(i::text), 200), i FROM generate_series(1, 40) i;
ALTER TABLE c ALTER COLUMN big SET STORAGE EXTERNAL;
CREATE TABLE nokey (a int, b text);
ALTER TABLE nokey REPLICA IDENTITY FULL;
INSERT INTO nokey VALUES (1, 'x'), (1, 'x'), (2, NULL);
CREATE TABLE two (a int, b int, v text, PRIMARY KEY (a, b));
INSERT INTO two SELECT i % 4, i, 'v' || i FROM generate_series(1, 20) i;
CREATE TABLE emptied (id int PRIMARY KEY, v int);
CREATE TABLE emptied_too (id int PRIMARY KEY REFERENCES emptied, v int);
INSERT INTO emptied SELECT i, i FROM generate_series(1, 10) i;
INSERT INTO emptied_too SELECT i, i FROM generate_series(1, 5) i;
CREATE TABLE wide (id int PRIMARY KEY, gone int, v int);
ALTER TABLE wide DROP COLUMN gone;
INSERT INTO wide VALUES (1, 1), (2, 2);
CREATE TABLE later (id int PRIMARY KEY, v int);
-- queries
SELECT id, k, t, md5(big), n, gen FROM c;
-- do
UPDATE capture.c SET k = k + 1 WHERE id < 10;
SELECT id, k, t, md5(big), n, gen FROM c;
-- do
UPDATE capture.c SET t = t WHERE id < 20;
SELECT count(*), sum(k), count(DISTINCT id) FROM c;
-- do
UPDATE capture.c SET id = id + 1000 WHERE id <= 3;
SELECT id, k, md5(big) FROM c WHERE id > 1000 OR id < 5;
-- do
UPDATE capture.c SET id = 5000 WHERE id = 4; INSERT INTO capture.c (id, k) VALUES (4, 44);
SELECT id, k, t FROM c WHERE id IN (4, 5000);
-- do
BEGIN; INSERT INTO capture.c (id, k) VALUES (200, 1); DELETE FROM capture.c WHERE id = 200; INSERT INTO capture.c (id, k) VALUES (200, 2); UPDATE capture.c SET k = 3 WHERE id = 200; COMMIT;
SELECT id, k, gen FROM c WHERE id = 200;
-- do
BEGIN; INSERT INTO capture.c (id, k) VALUES (300, 1); SAVEPOINT a; INSERT INTO capture.c (id, k) VALUES (301, 1); SAVEPOINT b; DELETE FROM capture.c; ROLLBACK TO b; UPDATE capture.c SET k = 9 WHERE id = 301; RELEASE a; COMMIT;
SELECT id, k FROM c WHERE id >= 300 AND id < 400;
SELECT count(*) FROM c;
-- do
BEGIN; INSERT INTO capture.c (id, k) SELECT i, 0 FROM generate_series(10000, 10100) i; ROLLBACK;
SELECT count(*) FROM c;
-- do
INSERT INTO capture.c (id, k, t) SELECT i, i % 3, 'bulk' FROM generate_series(20000, 45000) i;
SELECT k, count(*), min(id), max(id) FROM c GROUP BY k;
-- do
DELETE FROM capture.c WHERE id BETWEEN 20000 AND 30000 AND id % 2 = 0;
SELECT count(*), sum(id) FROM c;
-- do
UPDATE capture.c SET n = n * 2, t = 'again' WHERE t = 'bulk' AND id % 3 = 0;
SELECT t, count(*), sum(n) FROM c WHERE id >= 20000 GROUP BY t;
-- do
DELETE FROM capture.c WHERE id >= 20000;
SELECT count(*), sum(length(big)) FROM c;
-- do
UPDATE capture.c SET big = reverse(big) WHERE id = 12; UPDATE capture.c SET k = -1 WHERE id = 12;
SELECT id, k, md5(big), length(big) FROM c WHERE id BETWEEN 10 AND 14;
-- do
UPDATE capture.c SET big = NULL WHERE id = 13;
SELECT id, big IS NULL FROM c WHERE id BETWEEN 10 AND 14;
SELECT a, b, count(*) FROM nokey GROUP BY a, b;
-- do
INSERT INTO capture.nokey VALUES (1, 'x'), (3, 'y');
SELECT a, b, count(*) FROM nokey GROUP BY a, b;
-- do
DELETE FROM capture.nokey WHERE ctid = (SELECT min(ctid) FROM capture.nokey WHERE a = 1);
SELECT a, b, count(*) FROM nokey GROUP BY a, b;
-- do
UPDATE capture.nokey SET b = 'z' WHERE ctid = (SELECT min(ctid) FROM capture.nokey WHERE a = 1);
SELECT a, b, count(*) FROM nokey GROUP BY a, b;
-- do
UPDATE capture.nokey SET b = NULL WHERE a = 3;
SELECT * FROM nokey;
-- do
UPDATE capture.two SET b = b + 100 WHERE a = 1; DELETE FROM capture.two WHERE a = 2; UPDATE capture.two SET v = v || '!' WHERE a = 3;
SELECT * FROM two;
-- do
UPDATE capture.two SET a = 7 - a WHERE a IN (3, 0);
SELECT a, count(*), min(b), max(v) FROM two GROUP BY a;
-- do
TRUNCATE capture.emptied CASCADE;
SELECT (SELECT count(*) FROM emptied), (SELECT count(*) FROM emptied_too);
-- do
BEGIN; INSERT INTO capture.emptied VALUES (1, 1), (2, 2); TRUNCATE capture.emptied, capture.emptied_too; INSERT INTO capture.emptied VALUES (3, 3); COMMIT;
SELECT * FROM emptied;
-- do
BEGIN; TRUNCATE capture.emptied CASCADE; ROLLBACK;
SELECT * FROM emptied;
SELECT * FROM wide;
-- do
INSERT INTO capture.wide VALUES (3, 3); UPDATE capture.wide SET v = 22 WHERE id = 2;
SELECT * FROM wide;
-- do
BEGIN; INSERT INTO capture.wide VALUES (4, 4); UPDATE capture.two SET v = 'p' WHERE b = 101; PREPARE TRANSACTION 'capture_prepared';
SELECT count(*) FROM wide;
-- do
COMMIT PREPARED 'capture_prepared';
SELECT w.id, t.v FROM wide w, two t WHERE t.b = 101;
-- do
BEGIN; INSERT INTO capture.wide VALUES (5, 5); PREPARE TRANSACTION 'capture_undone';
-- do
ROLLBACK PREPARED 'capture_undone';
SELECT count(*) FROM wide;
-- do
INSERT INTO capture.wide VALUES (1, 111) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
SELECT * FROM wide;
-- do
INSERT INTO capture.later VALUES (1, 1);
-- expect: postgres ()
SELECT * FROM later;
-- expect: postgres ()
SELECT w.id FROM wide w JOIN later l ON l.id = w.id;
-- do
ALTER TABLE capture.wide ALTER COLUMN v TYPE bigint;
-- expect: any
SELECT id, v, pg_typeof(v) FROM wide;
-- do
ALTER TABLE capture.wide RENAME COLUMN v TO renamed;
-- expect: any
SELECT id, renamed FROM wide;
-- do
ALTER TABLE capture.two RENAME TO three;
-- expect: any
SELECT count(*) FROM three;
-- do
DROP TABLE capture.three; CREATE TABLE capture.three (a int PRIMARY KEY, v text); INSERT INTO capture.three VALUES (1, 'fresh');
-- expect: any
SELECT * FROM three;
SELECT count(*) FROM c;
-- a table that is rewritten in its shape while the event triggers are off
-- do
CREATE TABLE capture.rewritten (id int PRIMARY KEY, v text); INSERT INTO capture.rewritten SELECT i, 'before' FROM generate_series(1, 100) i;
-- do
SELECT weir.mirror('capture.rewritten');
-- do
SELECT weir.sync('capture.rewritten');
SELECT v, count(*) FROM rewritten GROUP BY v;
-- do
ALTER EVENT TRIGGER pg_weir_table_rewrite DISABLE; ALTER EVENT TRIGGER pg_weir_ddl_command_end DISABLE;
-- do
ALTER TABLE capture.rewritten ALTER COLUMN v TYPE text USING 'after';
-- do
ALTER EVENT TRIGGER pg_weir_table_rewrite ENABLE ALWAYS; ALTER EVENT TRIGGER pg_weir_ddl_command_end ENABLE ALWAYS;
-- expect: any
SELECT v, count(*) FROM rewritten GROUP BY v;
-- do
SELECT weir.sync('capture.rewritten');
-- expect: any
SELECT v, count(*) FROM rewritten GROUP BY v;
