\set aid random(1, 100000)
\set bid random(1, 1)
\set tid random(1, 10)
\set delta random(-5000, 5000)
\set id random(1, 2500)
\set key random(1, 1000000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
DELETE FROM churn WHERE id = :id;
INSERT INTO churn VALUES (:id, :delta, repeat('y', :id)) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
UPDATE churn SET v = v + 1 WHERE id BETWEEN :id - 5 AND :id;
