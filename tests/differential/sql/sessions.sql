-- Sessions: cached plans that outlive what they were made for, settings, transactions.
-- setup
CREATE TABLE t (id int PRIMARY KEY, v int, w text);
INSERT INTO t SELECT i, i % 5, 'w' || i FROM generate_series(1, 50) i;
CREATE SCHEMA IF NOT EXISTS sessions_other;
DROP TABLE IF EXISTS sessions_other.t;
CREATE TABLE sessions_other.t (id int PRIMARY KEY, v int, w text);
INSERT INTO sessions_other.t VALUES (1, 100, 'other');
CREATE TABLE stamps (id int PRIMARY KEY, tz timestamptz, f float8);
INSERT INTO stamps VALUES (1, '2024-07-01 23:30:00+00', 0.1), (2, '2024-01-01 03:00:00+00', 1e15 + 0.3);
-- queries
-- both
PREPARE q AS SELECT v, count(*) FROM t GROUP BY v;
EXECUTE q;
EXECUTE q;
-- do
INSERT INTO sessions.t VALUES (100, 77, 'new');
EXECUTE q;
-- do
ALTER TABLE sessions.t ADD COLUMN extra int DEFAULT 5;
-- expect: any
EXECUTE q;
-- expect: any
SELECT sum(extra), count(*) FROM t;
-- do
ALTER TABLE sessions.t DROP COLUMN extra;
-- expect: any
EXECUTE q;
-- expect: any
SELECT * FROM t;
-- both
PREPARE star AS SELECT * FROM stamps;
EXECUTE star;
-- both
SET timezone = 'Asia/Tokyo';
EXECUTE star;
-- both
SET extra_float_digits = 0;
EXECUTE star;
-- both
SET datestyle = 'SQL, MDY';
EXECUTE star;
-- A setting that is changed in another way is noticed when the plan runs.
-- both
SELECT set_config('timezone', 'Europe/Lisbon', false);
-- expect: any
EXECUTE star;
EXECUTE star;
-- both
BEGIN;
-- both
SET LOCAL timezone = 'Asia/Kolkata';
EXECUTE star;
-- both
COMMIT;
-- expect: any
EXECUTE star;
EXECUTE star;
-- both
SET weir.enabled = off;
-- both
PREPARE switched AS SELECT id % 2, count(*) FROM stamps GROUP BY 1;
-- expect: any
EXECUTE switched;
-- expect: any
EXECUTE star;
-- both
SET weir.enabled = on;
EXECUTE switched;
EXECUTE star;
-- both
SET weir.freshness = 'any';
EXECUTE switched;
-- both
BEGIN;
-- both
CREATE TEMP TABLE own AS SELECT 1 AS i;
-- both
RESET weir.freshness;
SELECT id % 2, count(*) FROM stamps GROUP BY 1;
-- both
UPDATE stamps SET f = f WHERE false;
-- both
PREPARE written AS SELECT id % 2, count(*) FROM stamps GROUP BY 1;
-- expect: postgres (the transaction has written)
EXECUTE written;
-- both
COMMIT;
EXECUTE written;
EXECUTE switched;
-- both
RESET timezone;
-- both
PREPARE day AS SELECT tz::date, count(*) FROM stamps GROUP BY 1;
-- expect: any
EXECUTE day;
-- both
SET timezone = 'America/Los_Angeles';
-- expect: any
EXECUTE day;
-- both
SET plan_cache_mode = force_generic_plan;
-- both
PREPARE g (int) AS SELECT count(*) FROM stamps WHERE id >= $1;
EXECUTE g (1);
EXECUTE g (2);
EXECUTE g (NULL);
-- both
SET search_path = sessions_other;
-- expect: any
EXECUTE q;
-- expect: any
SELECT v, w FROM t;
-- both
SET search_path = sessions;
-- both
BEGIN ISOLATION LEVEL REPEATABLE READ;
-- expect: postgres ()
SELECT count(*) FROM stamps;
-- both
COMMIT;
-- both
BEGIN ISOLATION LEVEL SERIALIZABLE;
-- expect: postgres ()
SELECT count(*) FROM stamps;
-- both
COMMIT;
-- both
BEGIN;
-- both
INSERT INTO stamps SELECT 50, now(), 1 WHERE false;
-- expect: any
SELECT count(*) FROM stamps;
-- both
ROLLBACK;
-- both
CREATE TEMP TABLE mine (id int);
-- both
INSERT INTO mine VALUES (1), (2);
-- expect: postgres ()
SELECT s.id FROM stamps s JOIN mine USING (id);
SELECT count(*) FROM stamps;
