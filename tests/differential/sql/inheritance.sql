-- Tables that others inherit from: their own rows and those of the others.
-- setup
CREATE TABLE city (id int PRIMARY KEY, name text, people int);
CREATE TABLE capital (PRIMARY KEY (id), country char(2)) INHERITS (city);
CREATE TABLE port (PRIMARY KEY (id), sea text) INHERITS (city);
-- Its columns are in another order, and it is a grandchild twice over.
CREATE TABLE port_capital (people int, extra text, id int, name text, country char(2), sea text, PRIMARY KEY (id));
ALTER TABLE port_capital INHERIT capital;
ALTER TABLE port_capital INHERIT port;
INSERT INTO city SELECT i, 'city ' || i, i * 10 FROM generate_series(1, 5) i;
INSERT INTO capital SELECT i, 'capital ' || i, i * 100, 'c' || i % 3 FROM generate_series(11, 15) i;
INSERT INTO port SELECT i, 'port ' || i, NULL, 'sea ' || i % 2 FROM generate_series(21, 25) i;
INSERT INTO port_capital SELECT i * 7, 'x', i, 'both ' || i, 'c' || i % 3, 'sea 1' FROM generate_series(31, 33) i;
INSERT INTO capital VALUES (1, 'city 1', 10, 'zz');
CREATE TABLE alone (id int PRIMARY KEY, v int);
CREATE TABLE once (PRIMARY KEY (id)) INHERITS (alone);
INSERT INTO alone VALUES (1, 1); INSERT INTO once VALUES (2, 2); DROP TABLE once;
CREATE TABLE base (id int PRIMARY KEY, v int);
CREATE TABLE unknown_child (PRIMARY KEY (id)) INHERITS (base);
INSERT INTO base VALUES (1, 1); INSERT INTO unknown_child VALUES (2, 2);
-- unmirrored: unknown_child
-- queries
SELECT count(*), sum(people), min(name), max(id) FROM city;
SELECT * FROM city;
SELECT * FROM ONLY city;
SELECT count(*) FROM ONLY city, ONLY capital;
SELECT * FROM capital;
SELECT country, count(*), sum(people) FROM capital GROUP BY country;
SELECT sea, count(*) FROM port WHERE id > 21 GROUP BY sea;
-- ordered
SELECT id, name FROM city ORDER BY id DESC, name LIMIT 7;
SELECT c.id, k.country FROM city c LEFT JOIN capital k USING (id);
SELECT c.name, (SELECT count(*) FROM port p WHERE p.id > c.id) FROM ONLY city c;
SELECT id FROM city WHERE id IN (SELECT id FROM port) AND people IS NOT NULL;
SELECT id FROM city EXCEPT SELECT id FROM capital;
SELECT count(*) FROM city WHERE false;
SELECT 1 FROM city WHERE id = 11;
SELECT count(*), sum(v) FROM alone;
-- expect: postgres (no mirror in use)
SELECT count(*) FROM base;
SELECT count(*) FROM ONLY base;
SELECT count(*) FROM city WHERE tableoid = 'port'::regclass;
SELECT tableoid::regclass AS t, count(*), min(id) FROM city GROUP BY 1;
-- expect: postgres (cast from regclass to text)
SELECT tableoid::regclass::text AS t, count(*) FROM city GROUP BY 1;
SELECT id, tableoid, tableoid::regclass, tableoid::regclass::text FROM city;
-- ordered
SELECT tableoid::regclass, id FROM city ORDER BY tableoid, id;
SELECT DISTINCT tableoid FROM ONLY city;
SELECT a.tableoid = b.tableoid, count(*) FROM city a JOIN city b ON a.id = b.id GROUP BY 1;
SELECT count(*) FROM city WHERE tableoid IN ('port'::regclass, 'capital'::regclass) OR tableoid > 4000000000;
SELECT tableoid::regclass, count(*) FROM city WHERE false GROUP BY 1;
-- expect: postgres (system column xmin)
SELECT xmin FROM city;
-- do
UPDATE city SET people = people + 1 WHERE id > 12;
SELECT sum(people), count(people) FROM city;
-- do
INSERT INTO port VALUES (26, 'port 26', 5, NULL);
SELECT sum(people), count(*) FROM city;
-- do
DELETE FROM city WHERE id = 1;
SELECT count(*) FROM city;
-- do
ALTER TABLE port_capital NO INHERIT capital;
SELECT count(*) FROM capital;
SELECT count(*) FROM port;
-- do
ALTER TABLE port_capital NO INHERIT port;
SELECT count(*) FROM city;
