-- A SQL_ASCII database: what is ASCII is routed, and nothing else.
-- setup
CREATE TABLE plain (id int PRIMARY KEY, s text, c char(6), n name, j json, b jsonb, e text[]);
INSERT INTO plain SELECT i, 'name ' || i % 7, 'ab', 'n' || i % 3, '{"a": "x", "n": 1}', '{"b": [1, "y"]}', ARRAY['p', 'q' || i % 4] FROM generate_series(1, 100) i;
CREATE TABLE mixed (id int PRIMARY KEY, s text, j json, b jsonb, e text[]);
INSERT INTO mixed VALUES (1, 'plain', '{"a": "x"}', '{"a": "x"}', '{a}'), (2, 'café', '{"a": "\u00e9"}', '{"a": "é"}', '{é}');
-- queries
-- ordered
SELECT upper(s), count(*), min(c), max(n), sum(length(s)), sum(octet_length(c)) FROM plain GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM plain WHERE s > 'name 3' AND s LIKE 'na%' AND s ~ '[[:alpha:]]+ [0-4]';
SELECT id, j ->> 'a', b -> 'b' ->> 1, e[2], c || '|' FROM plain WHERE id < 5;
SELECT n, string_agg(DISTINCT s, ', ' ORDER BY s) FROM plain GROUP BY n;
-- expect: postgres (a text that is not ASCII, of a SQL_ASCII database)
SELECT count(*) FROM plain WHERE s <> 'café';
-- expect: postgres (a text that is not ASCII, of a SQL_ASCII database)
SELECT count(*) FROM plain WHERE s ~ '[\u00e9]';
-- expect: postgres (other characters than ASCII)
SELECT count(*) FROM plain WHERE length(chr(id + 100)) = 1;
-- expect: postgres (other characters than ASCII)
SELECT count(*) FROM plain WHERE convert_from(convert_to(s, 'UTF8'), 'UTF8') <> s;
-- expect: postgres (a text that is not ASCII, of a SQL_ASCII database)
SELECT count(*) FROM plain WHERE convert_from(decode('c3a9', 'hex'), 'UTF8') <> s;
-- expect: postgres (text read as JSON)
SELECT count(*) FROM plain WHERE ('{"a": "' || s || '"}')::jsonb ->> 'a' = 'name 1';
SELECT count(*), sum(id) FROM mixed;
-- expect: postgres (cannot hold exactly)
SELECT id, s, length(s) FROM mixed;
-- expect: postgres (cannot hold exactly)
SELECT id, j ->> 'a' FROM mixed WHERE id = 1;
-- expect: postgres (cannot hold exactly)
SELECT b ->> 'a' FROM mixed;
-- expect: postgres (cannot hold exactly)
SELECT e FROM mixed;
-- do
UPDATE mixed SET s = 'now plain' WHERE id = 2;
-- do
INSERT INTO plain (id, s) VALUES (101, 'ü');
-- expect: postgres (holds a value that the mirror cannot hold)
SELECT max(s) FROM plain;
SELECT count(c), max(id) FROM plain;
