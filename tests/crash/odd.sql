\set key random(1, 500)
\set n random(1, 80)
-- The key itself changes; what a savepoint took back never was.
BEGIN;
UPDATE keyed SET id = -id, v = v + 1 WHERE id IN (:key, - :key);
SAVEPOINT s;
UPDATE keyed SET id = id * 1000, v = v + 100 WHERE id IN (:key, - :key);
DELETE FROM keyed WHERE abs(id) BETWEEN :key AND :key + 5;
ROLLBACK TO s;
UPDATE keyed SET v = v + 3 WHERE id IN (:key, - :key);
END;
BEGIN;
TRUNCATE emptied;
INSERT INTO emptied SELECT i, :key FROM generate_series(1, :n) i;
END;
BEGIN;
INSERT INTO emptied SELECT i + 1000, :key FROM generate_series(1, :n) i ON CONFLICT DO NOTHING;
TRUNCATE emptied;
ROLLBACK;
