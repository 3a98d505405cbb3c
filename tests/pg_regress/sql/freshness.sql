-- weir.freshness within one session.
CREATE TABLE fresh (id int PRIMARY KEY, v int);
INSERT INTO fresh SELECT i, i FROM generate_series(1, 10) i;
SELECT weir.mirror('fresh');
SELECT weir.sync('fresh');
SET weir.route = force;
SET weir.freshness_timeout = '20s';
UPDATE fresh SET v = v + 1;
SELECT sum(v) FROM fresh;
SELECT routed FROM weir.last_route();
SET weir.freshness = session;
UPDATE fresh SET v = v + 1;
SELECT sum(v) FROM fresh;
SELECT routed FROM weir.last_route();
SET synchronous_commit = off;
UPDATE fresh SET v = v + 1;
SELECT sum(v) FROM fresh;
RESET weir.freshness;
UPDATE fresh SET v = v + 1;
SELECT sum(v) FROM fresh;
RESET synchronous_commit;
-- own writes are seen at once
BEGIN;
UPDATE fresh SET v = 0;
SELECT sum(v) FROM fresh;
SELECT routed, reason FROM weir.last_route();
ROLLBACK;
SELECT sum(v) FROM fresh;
-- any: whatever is applied, also where the isolation level forbids more
SET weir.freshness = 'any';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM fresh;
SELECT routed FROM weir.last_route();
COMMIT;
DROP TABLE fresh;
-- a value that is none says what is
SET weir.freshness = '1 hour';
RESET weir.freshness;
