-- Columns that are added without a rewrite of the table are added to the mirror without a new copy.
\set QUIET on
CREATE TABLE grown (id int PRIMARY KEY, v int);
INSERT INTO grown SELECT i, i FROM generate_series(1, 1000) i;
SELECT weir.mirror('grown');
SELECT weir.sync('grown');
SELECT generation FROM weir.mirror_table WHERE relid = 'grown'::regclass \gset
SET weir.route = force;
SET weir.freshness_timeout = '30s';
-- NULL for older rows, and a constant
UPDATE grown SET v = v + 1 WHERE id <= 3;
ALTER TABLE grown ADD COLUMN w int;
INSERT INTO grown VALUES (1001, 0, 7);
SELECT weir.sync('grown');
SELECT count(*), count(w), sum(w) FROM grown;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT count(*) FROM grown WHERE w IS NULL AND v > 990;
ALTER TABLE grown ADD COLUMN t text DEFAULT 'a text that is longer than twelve bytes', ADD COLUMN n numeric NOT NULL DEFAULT 1.50,
    ADD COLUMN IF NOT EXISTS l interval DEFAULT '1 month', ADD COLUMN at timestamptz DEFAULT '2001-02-03 04:05:06+00', ADD COLUMN f float8 DEFAULT -0.5;
UPDATE grown SET t = 'x', n = 2 WHERE id = 1000;
SELECT weir.sync('grown');
SELECT t, n, l, f, count(*), sum(n) FROM grown GROUP BY t, n, l, f ORDER BY 5;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT count(*) FROM grown WHERE t = 'x' OR n > 1.75;
-- with changes in one transaction, with savepoints, and rolled back
BEGIN;
INSERT INTO grown VALUES (2000, 1);
UPDATE grown SET v = -1 WHERE id = 10;
ALTER TABLE grown ADD COLUMN k int DEFAULT 42;
INSERT INTO grown (id, k) VALUES (2001, 43);
UPDATE grown SET v = -2 WHERE id IN (2000, 11);
SAVEPOINT s;
ALTER TABLE grown ADD COLUMN z text DEFAULT 'z';
INSERT INTO grown (id, z) VALUES (2002, 'never');
ROLLBACK TO s;
ALTER TABLE grown ADD COLUMN z bool NOT NULL DEFAULT true;
INSERT INTO grown (id, z) VALUES (2003, false);
DELETE FROM grown WHERE id = 12;
COMMIT;
BEGIN;
ALTER TABLE grown ADD COLUMN gone int DEFAULT 1;
INSERT INTO grown (id, gone) VALUES (3000, 1);
ROLLBACK;
SELECT weir.sync('grown');
SELECT k, z, count(*) FROM grown GROUP BY k, z ORDER BY 3;
SELECT id, v, w, t, n, k, z FROM grown WHERE id IN (1, 10, 11, 12, 1001) OR id >= 2000 ORDER BY id;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT matches, heap_rows FROM weir.verify('grown');
-- the table forgets what its older rows had when they are all written anew; the mirror does not
VACUUM FULL grown;
ALTER TABLE grown ADD COLUMN late int DEFAULT 5;
UPDATE grown SET v = 0 WHERE id = 20;
SELECT weir.sync('grown');
SELECT sum(k), sum(late), count(w) FROM grown;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT matches, heap_rows FROM weir.verify('grown');
-- a column of a type that is not mirrored leaves a gap
ALTER TABLE grown ADD COLUMN p point DEFAULT '(1,2)';
ALTER TABLE grown ADD COLUMN q int DEFAULT 6;
SELECT weir.sync('grown');
SELECT sum(q) FROM grown;
SELECT routed, reason, fallback FROM weir.last_route();
-- never copied again
SELECT state, generation = :generation AS same, attributes FROM weir.mirror_table WHERE relid = 'grown'::regclass;
-- who stands between: a column that becomes mirrored is no new column
ALTER TABLE grown ADD COLUMN x regtype DEFAULT 'int4';
ALTER TABLE grown ALTER COLUMN x TYPE int, ADD COLUMN y int DEFAULT 3;
SELECT weir.sync('grown');
SELECT x, y, count(*) FROM grown GROUP BY x, y;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT state, generation = :generation AS same FROM weir.mirror_table WHERE relid = 'grown'::regclass;
-- what the mirror cannot hold, what is computed for each row, and rows that are found by all their columns: a new copy
SELECT generation FROM weir.mirror_table WHERE relid = 'grown'::regclass \gset
ALTER TABLE grown ADD COLUMN nan numeric DEFAULT 'NaN';
SELECT weir.sync('grown');
SELECT generation = :generation AS same FROM weir.mirror_table WHERE relid = 'grown'::regclass;
SELECT generation FROM weir.mirror_table WHERE relid = 'grown'::regclass \gset
ALTER TABLE grown ADD COLUMN s serial;
SELECT weir.sync('grown');
SELECT count(DISTINCT s) = count(*) AS all_differ FROM grown;
SELECT generation = :generation AS same FROM weir.mirror_table WHERE relid = 'grown'::regclass;
ALTER TABLE grown DROP CONSTRAINT grown_pkey, REPLICA IDENTITY FULL;
SELECT weir.sync('grown');
SELECT generation FROM weir.mirror_table WHERE relid = 'grown'::regclass \gset
ALTER TABLE grown ADD COLUMN e int DEFAULT 8;
SELECT weir.sync('grown');
SELECT sum(e) FROM grown;
SELECT matches, heap_rows FROM weir.verify('grown');
SELECT generation = :generation AS same FROM weir.mirror_table WHERE relid = 'grown'::regclass;
-- partitions, of which one has its columns in another order
CREATE TABLE parts (id int, v int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 (gap text, v int, id int NOT NULL);
ALTER TABLE part_2 DROP COLUMN gap;
ALTER TABLE parts ATTACH PARTITION part_2 FOR VALUES FROM (100) TO (200);
INSERT INTO parts (id, v) SELECT i, i FROM generate_series(0, 199) i;
SELECT weir.mirror('parts');
SELECT weir.sync();
CREATE TEMP TABLE was AS SELECT relid, generation FROM weir.mirror_table WHERE relid <> 'grown'::regclass;
ALTER TABLE parts ADD COLUMN w int DEFAULT 9;
INSERT INTO part_2 (id, w) VALUES (150, 1) ON CONFLICT (id) DO UPDATE SET w = 1;
SELECT weir.sync();
SELECT count(*), sum(w) FROM parts;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT count(*), bool_and(was.generation = m.generation) AS same FROM was JOIN weir.mirror_table m USING (relid);
DROP TABLE parts, grown;
