-- Equalities of joins whose side has columns of several tables.
-- setup
CREATE TABLE a (id int PRIMARY KEY, k int, x int, note text);
CREATE TABLE b (id int PRIMARY KEY, k int, x int, note text);
CREATE TABLE c (id int PRIMARY KEY, k int, x int, note text);
INSERT INTO a SELECT i, i % 7, CASE WHEN i % 9 = 0 THEN NULL ELSE i % 5 END, 'n' || i % 3 FROM generate_series(1, 40) i;
INSERT INTO b SELECT i, i % 6, CASE WHEN i % 8 = 0 THEN NULL ELSE i % 4 END, 'n' || i % 4 FROM generate_series(1, 30) i;
INSERT INTO c SELECT i, i % 11, CASE WHEN i % 10 = 0 THEN NULL ELSE i % 8 END, 'n' || i % 5 FROM generate_series(1, 50) i;
-- queries
SELECT count(*), sum(a.id * b.id) FROM a, b WHERE (SELECT max(c.x) FROM c WHERE c.k = a.id) = b.k + a.k;
SELECT a.id, b.id FROM a, b WHERE a.k + b.k = (SELECT max(c.x) FROM c WHERE c.k = a.id);
SELECT a.id, b.id FROM a, b WHERE (SELECT max(c.x) FROM c WHERE c.k = a.id) = coalesce(b.x, a.x);
SELECT a.id, b.id FROM a, b WHERE (SELECT min(c.note) FROM c WHERE c.k = b.id) = CASE WHEN a.k < b.k THEN a.note ELSE b.note END;
SELECT count(*) FROM a CROSS JOIN b WHERE (SELECT max(c.x) FROM c WHERE c.k = a.id) = b.x AND (SELECT count(*) FROM c WHERE c.k = b.id) = a.x + b.k;
SELECT count(*), sum(c.id) FROM a, b, c WHERE c.k = a.id AND c.x = a.k + b.k;
SELECT count(*), sum(c.id) FROM a, b, c WHERE c.x = a.k + b.k AND a.id = b.id;
SELECT count(*), sum(c.id) FROM (SELECT a.k + b.k AS s, a.id FROM a, b) t JOIN c ON c.x = t.s AND c.k = t.id;
SELECT count(*), sum(c.id) FROM a CROSS JOIN b JOIN c ON c.x = a.k + b.k AND c.k = a.id;
SELECT count(*) FROM a, b, (SELECT k, max(x) AS m FROM c GROUP BY k) s WHERE s.k = a.id AND s.m = b.k + a.k AND b.id > 3;
SELECT count(*) FROM a, b, c, a d WHERE c.k = a.id AND d.id = c.id AND d.x + c.x = a.k + b.k;
SELECT a.id, b.id FROM a, b WHERE (SELECT max(c.x) FROM c WHERE c.k = a.id) = b.k + a.k OR (a.id = 1 AND b.id = 1);
SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b, c WHERE b.k = a.k AND c.k = b.id AND c.x = a.k + b.k);
