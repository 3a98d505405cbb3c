-- Arrays of an enum are mirrored by a copy and by changes, and copied again when a label is renamed.
\set QUIET on
CREATE TYPE mood AS ENUM ('sad', 'so, so', 'ok');
CREATE DOMAIN moods AS mood[];
CREATE TABLE felt (id int PRIMARY KEY, ms mood[], ds moods);
INSERT INTO felt SELECT i, CASE i % 4 WHEN 0 THEN '{}' WHEN 1 THEN '{ok,NULL,"so, so"}' WHEN 2 THEN '{sad}' END::mood[], '{ok}' FROM generate_series(1, 100) i;
SELECT weir.mirror('felt');
SELECT weir.sync('felt');
SELECT generation FROM weir.mirror_table WHERE relid = 'felt'::regclass \gset
SET weir.route = force;
SET weir.freshness_timeout = '30s';
SELECT ms, ds, count(*) FROM felt GROUP BY ms, ds ORDER BY ms DESC;
SELECT routed, reason, fallback FROM weir.last_route();
-- changes, with values that are new
ALTER TYPE mood ADD VALUE 'well' AFTER 'ok';
ALTER TYPE mood ADD VALUE 'low' BEFORE 'so, so';
INSERT INTO felt VALUES (101, '{well,low}', NULL), (102, '{low}', '{low,well}');
UPDATE felt SET ms = ms || 'well'::mood WHERE id <= 2;
DELETE FROM felt WHERE id = 3;
SELECT id, ms, ds FROM felt WHERE id > 100 OR id < 5 ORDER BY id;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT ms, count(*) FROM felt GROUP BY ms ORDER BY ms;
SELECT routed, reason, fallback FROM weir.last_route();
ALTER TABLE felt ADD COLUMN more mood[] DEFAULT '{low,"so, so"}';
SELECT weir.sync('felt');
SELECT more, count(*) FROM felt GROUP BY more;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT matches FROM weir.verify('felt');
SELECT generation = :generation AS not_copied_again FROM weir.mirror_table WHERE relid = 'felt'::regclass;
-- a label that all rows now read otherwise
BEGIN;
INSERT INTO felt VALUES (103, '{ok}');
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
COMMIT;
SELECT weir.sync('felt');
SELECT generation > :generation AS copied_again FROM weir.mirror_table WHERE relid = 'felt'::regclass;
SELECT ms, count(*) FROM felt WHERE 'fine' = ANY(ms) GROUP BY ms ORDER BY ms;
SELECT routed, reason, fallback FROM weir.last_route();
SELECT matches FROM weir.verify('felt');
DROP TABLE felt;
DROP DOMAIN moods;
DROP TYPE mood;
