-- Queries over partitioned tables whose leaves are mirrored.
-- setup
DROP SCHEMA IF EXISTS partitions CASCADE;
CREATE SCHEMA partitions;
CREATE TABLE partitions.sale (id int NOT NULL, day date NOT NULL, shop int, amount numeric(10,2), note text) PARTITION BY RANGE (day);
CREATE TABLE partitions.sale_a PARTITION OF partitions.sale FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE partitions.sale_b (note text, amount numeric(10,2), id int NOT NULL, gone int, day date NOT NULL, shop int);
ALTER TABLE partitions.sale_b DROP COLUMN gone;
ALTER TABLE partitions.sale ATTACH PARTITION partitions.sale_b FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE partitions.sale_c PARTITION OF partitions.sale FOR VALUES FROM ('2024-03-01') TO ('2024-05-01') PARTITION BY LIST (shop);
CREATE TABLE partitions.sale_c1 PARTITION OF partitions.sale_c FOR VALUES IN (1, 2);
CREATE TABLE partitions.sale_c2 PARTITION OF partitions.sale_c DEFAULT;
ALTER TABLE partitions.sale ADD PRIMARY KEY (id, day, shop);
INSERT INTO partitions.sale SELECT i, date '2024-01-01' + i % 120, i % 5, i * 1.25, CASE WHEN i % 4 > 0 THEN 'n' || i % 9 END FROM generate_series(1, 2000) i;
CREATE TABLE partitions.shop (shop int PRIMARY KEY, name text);
INSERT INTO partitions.shop SELECT i, 'Shop ' || i FROM generate_series(0, 6) i;
CREATE TABLE partitions.h (k int PRIMARY KEY, v int) PARTITION BY HASH (k);
CREATE TABLE partitions.h0 PARTITION OF partitions.h FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE partitions.h1 PARTITION OF partitions.h FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO partitions.h SELECT i, i % 7 FROM generate_series(1, 300) i;
CREATE TABLE partitions.nothing (k int, v text) PARTITION BY HASH (k);
-- queries
SELECT count(*) FROM sale;
SELECT count(*), sum(amount), min(day), max(note) FROM sale;
SELECT * FROM sale WHERE id < 50;
SELECT shop, date_trunc('month', day) AS m, sum(amount), count(note) FROM sale GROUP BY 1, 2;
SELECT sum(amount) FROM sale WHERE day BETWEEN '2024-02-10' AND '2024-03-10';
SELECT s.name, count(x.id), sum(x.amount) FROM shop s LEFT JOIN sale x USING (shop) GROUP BY s.name;
-- ordered
SELECT id, amount, rank() OVER (PARTITION BY shop ORDER BY amount DESC) FROM sale WHERE day < '2024-01-09' ORDER BY id;
SELECT count(*) FROM sale a JOIN sale b ON a.id = b.id + 1 AND a.shop = b.shop;
SELECT sum(amount) FROM sale_c;
SELECT sum(amount), count(*) FROM sale_b;
SELECT v, count(*) FROM h GROUP BY v;
SELECT 1 FROM h WHERE k < 5;
SELECT (SELECT count(*) FROM h WHERE h.v = s.shop) FROM shop s;
SELECT count(*) FROM nothing RIGHT JOIN shop ON k = shop.shop;
SELECT count(*) FROM sale WHERE tableoid IS NOT NULL;
SELECT tableoid::regclass, shop, count(*) FROM sale GROUP BY 1, 2;
-- expect: postgres (ONLY)
SELECT count(*) FROM ONLY sale;
-- do
UPDATE sale SET day = day + 31 WHERE id % 10 = 0 AND day < '2024-03-01';
SELECT shop, date_trunc('month', day) AS m, sum(amount), count(*) FROM sale GROUP BY 1, 2;
-- do
DELETE FROM sale WHERE shop = 1;
SELECT shop, count(*) FROM sale GROUP BY 1;
-- do
CREATE TABLE sale_d PARTITION OF sale FOR VALUES FROM ('2024-05-01') TO ('2024-06-01');
-- expect: postgres (sale_d)
SELECT count(*) FROM sale;
-- a partition that the query excludes needs no mirror
SELECT count(*), sum(amount) FROM sale WHERE day < '2024-04-01';
SELECT shop, count(*) FROM sale WHERE day BETWEEN '2024-02-01' AND '2024-04-30' GROUP BY shop;
-- expect: postgres (sale_d)
SELECT count(*) FROM sale a JOIN sale b USING (id) WHERE a.day < '2024-02-01';
SELECT count(*) FROM sale a LEFT JOIN sale b ON a.id = b.id AND b.day >= '2024-03-01' AND b.day < '2024-03-11' WHERE a.day < '2024-02-01';
SELECT shop, (SELECT max(day) FROM sale WHERE sale.shop = s.shop AND day < '2024-02-10') FROM shop s;
SELECT count(*), sum(amount) FROM sale WHERE day > '2025-01-01';
SELECT s.name, x.day FROM shop s LEFT JOIN sale x ON x.shop = s.shop AND x.day > '2025-01-01';
SELECT id FROM sale WHERE day = '2024-01-05' UNION ALL SELECT id FROM sale WHERE day = '2024-02-05' UNION ALL SELECT k FROM h WHERE k = 5;
-- do
INSERT INTO sale VALUES (9001, '2024-05-05', 3, 1.5, 'late');
-- do
SELECT weir.mirror('sale');
-- do
SELECT weir.sync('sale');
SELECT count(*), sum(amount) FROM sale;
-- do
ALTER TABLE sale DETACH PARTITION sale_b;
SELECT count(*), sum(amount) FROM sale;
-- do
TRUNCATE sale;
SELECT count(*), sum(amount) FROM sale;
-- do
INSERT INTO sale SELECT i, date '2024-03-01' + i % 30, i % 5, i, NULL FROM generate_series(1, 100) i;
SELECT shop, sum(amount) FROM sale GROUP BY shop;
-- do
ALTER TABLE sale ADD COLUMN extra int DEFAULT 7;
-- expect: any
SELECT sum(extra), count(*) FROM sale;
-- do
SELECT weir.sync('sale');
SELECT sum(extra), count(*) FROM sale;
-- do
SELECT weir.unmirror('sale');
-- expect: postgres (is not mirrored)
SELECT count(*) FROM sale;
