\set n random(2000, 20000)
-- Far beyond logical_decoding_work_mem, so that it is spilled or streamed; then as much that never commits.
BEGIN;
INSERT INTO bulk (v, filler) SELECT i, repeat('z', i % 50) FROM generate_series(1, :n) i;
SAVEPOINT s;
UPDATE bulk SET v = -v WHERE id % 3 = 0;
ROLLBACK TO s;
UPDATE bulk SET v = v + 1 WHERE id % 50 = 0;
DELETE FROM bulk WHERE id < (SELECT max(id) FROM bulk) - 60000;
END;
BEGIN;
INSERT INTO bulk (v, filler) SELECT i, 'never' FROM generate_series(1, :n) i;
ROLLBACK;
