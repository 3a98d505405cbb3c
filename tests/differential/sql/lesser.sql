-- Functions and aggregates of lesser use: quoting, normal forms, the order of jsonb, hypothetical sets, aggregates without ORDER BY.
-- setup
CREATE TABLE l (id int PRIMARY KEY, g int, n bigint, x float8, t text, b bytea, j jsonb, k int, m numeric, d date);
INSERT INTO l VALUES
    (1, 1, 0, 0, 'plain', '\x01', '1', 3, 1.0, '2024-01-01'),
    (2, 1, 1, '-0', 'Mixed', '\x02', '1.0', 3, 1.00, '2024-01-01'),
    (3, 1, 5, 27, 'select', '\x', '2', 5, 2.5, NULL),
    (4, 2, 20, -27, 'a b', NULL, '"b"', 1, NULL, '2023-05-05'),
    (5, 2, 30, 1e-300, 'a"b', '\xff00', '"a"', 1, 7, '2024-02-02'),
    (6, 2, 56, 1e300, '', '\x00', '"B"', 1, 7, '2024-02-03'),
    (7, 3, NULL, 'NaN', NULL, '\x61', NULL, 9, -3, '2024-02-03'),
    (8, 3, 2, 'Infinity', '_x1', '\x62', 'null', NULL, -3.0, NULL),
    (9, 3, 3, '-Infinity', '1x', '\x63', 'true', 2, 0, '2022-01-01'),
    (10, 4, 4, 2, 'between', '\x64', 'false', 2, 0, '2022-01-01'),
    (11, 4, 6, 0.1, 'abort', '\x64', '[]', NULL, 4, 'infinity'),
    (12, 4, 7, 3, 'ähnlich', '\x64', '[1, 2]', 7, 4, '-infinity'),
    (13, 5, 8, 3.375, 'xmltable', '\x64', '[1, 10]', 7, 4, '2024-01-01'),
    (14, 5, 9, -8, 'name', '\x65', '[2]', 7, 4, '2024-01-01'),
    (15, 5, 10, 1234567.891, 'ab', '\x65', '[[]]', 8, 4, '2024-01-01'),
    (16, NULL, 11, 5e-324, 'ab', '\x66', '{}', 8, 4, '2024-01-01'),
    (17, NULL, 12, 1.7976931348623157e308, 'ab', '\x66', '{"a": 1}', 8, 4, '2024-01-01'),
    (18, 6, 13, 7, 'ab', '\x66', '{"b": 1}', 8, 4, '2024-01-01'),
    (19, 6, 14, 8, 'ab', '\x66', '{"aa": 0}', 8, 4, '2024-01-01'),
    (20, 6, 15, 9, 'ab', '\x66', '{"a": 1, "b": [1, {"c": null}]}', 8, 4, '2024-01-01'),
    (21, 6, 16, 10, 'ab', '\x66', '{"a": 1, "b": [1, {"c": false}]}', 8, 4, '2024-01-01');
CREATE TABLE w (word text PRIMARY KEY);
INSERT INTO w SELECT word FROM pg_get_keywords() WHERE word !~ '^(json|system_user$|merge_action$)';
-- queries
SELECT id, cbrt(x) AS c, |/ abs(x) AS s, ||/ x AS d, count(*) FROM l GROUP BY 1, 2, 3, 4;
SELECT max(cbrt(id / 7.0)), min(cbrt(id * 1e-5)), count(DISTINCT cbrt(id * id)) FROM l;
SELECT i, cbrt(i / 7.0), cbrt(i * 1e10), cbrt(-i * 1e-7) FROM generate_series(1, 2000) i, l WHERE id = 1;
SELECT id, factorial(n) AS f, count(*) FROM l GROUP BY 1, 2;
SELECT max(factorial(n) / 3), sum(factorial(n)) FROM l WHERE n < 25;
-- expect: error
SELECT sum(factorial(-n)) FROM l;
-- expect: postgres (numeric value with more digits than the engine holds)
SELECT max(factorial(n + 10)) FROM l;
SELECT quote_ident(t) AS q, format('%I.%s', t, id) AS f, format('%10I|%-10I|%1$I', t, 'A') AS p, count(*) FROM l WHERE t IS NOT NULL GROUP BY 1, 2, 3;
SELECT quote_ident(word) AS q, quote_ident(upper(word)) AS u, count(*) FROM w GROUP BY 1, 2;
-- expect: any
SELECT quote_ident(word || '_value') AS q, count(*) FROM (VALUES ('json'), ('xml')) v (word), l GROUP BY 1;
-- expect: error
SELECT format('%I', t) AS f, count(*) FROM l GROUP BY 1;
SELECT normalize(t) AS n, t IS NORMALIZED AS c, count(*) FROM l GROUP BY 1, 2;
SELECT normalize(t, NFKD) AS n, t IS NFKC NORMALIZED AS c, count(*) FROM l WHERE t <> 'ähnlich' GROUP BY 1, 2;
-- expect: any
SELECT normalize(t, NFD) AS n, t IS NFD NORMALIZED AS c, count(*) FROM l GROUP BY 1, 2;
-- The order of jsonb.
SELECT a.id, b.id, a.j < b.j AS lt, a.j <= b.j AS le, a.j > b.j AS gt, a.j >= b.j AS ge, a.j = b.j AS eq FROM l a, l b WHERE a.id <> 11 AND b.id <> 11 AND a.id + b.id > 0;
SELECT a.id, b.id, a.j < b.j FROM l a, l b WHERE a.id = 11 AND b.id >= 11;
-- expect: any
SELECT a.id, b.id, a.j < b.j FROM l a, l b WHERE a.id = 11;
SELECT count(*), min(id), max(id) FROM l WHERE j BETWEEN '[0]' AND '{"a": 1}';
SELECT count(*) FROM l WHERE j > '{}';
-- Of 1 and 1.0 in one group, either may be shown.
-- expect: any
SELECT j, count(*) FROM l GROUP BY j;
SELECT j, count(*) FROM l WHERE id <> 2 GROUP BY j;
SELECT DISTINCT j -> 'a' AS a FROM l;
-- ordered
SELECT id, j FROM l ORDER BY j, id;
-- Hypothetical sets.
SELECT g, rank(3) WITHIN GROUP (ORDER BY k), dense_rank(3) WITHIN GROUP (ORDER BY k), percent_rank(3) WITHIN GROUP (ORDER BY k), cume_dist(3) WITHIN GROUP (ORDER BY k) FROM l GROUP BY g;
SELECT g, rank(3) WITHIN GROUP (ORDER BY k DESC), dense_rank(3) WITHIN GROUP (ORDER BY k DESC), percent_rank(3) WITHIN GROUP (ORDER BY k DESC), cume_dist(3) WITHIN GROUP (ORDER BY k DESC) FROM l GROUP BY g;
SELECT rank(7) WITHIN GROUP (ORDER BY k NULLS FIRST), dense_rank(7) WITHIN GROUP (ORDER BY k NULLS FIRST), percent_rank(7) WITHIN GROUP (ORDER BY k DESC NULLS LAST), cume_dist(7) WITHIN GROUP (ORDER BY k DESC NULLS LAST), dense_rank(7) WITHIN GROUP (ORDER BY k DESC NULLS LAST) FROM l;
SELECT rank(NULL) WITHIN GROUP (ORDER BY k), dense_rank(NULL) WITHIN GROUP (ORDER BY k), percent_rank(NULL) WITHIN GROUP (ORDER BY k), cume_dist(NULL) WITHIN GROUP (ORDER BY k) FROM l;
SELECT rank(NULL) WITHIN GROUP (ORDER BY k DESC), dense_rank(NULL) WITHIN GROUP (ORDER BY k DESC), percent_rank(NULL) WITHIN GROUP (ORDER BY k DESC), cume_dist(NULL) WITHIN GROUP (ORDER BY k DESC) FROM l;
SELECT rank(3, 5) WITHIN GROUP (ORDER BY k, n DESC), percent_rank(8, 12) WITHIN GROUP (ORDER BY k, n), cume_dist(8, 12) WITHIN GROUP (ORDER BY k, n), cume_dist(8, NULL) WITHIN GROUP (ORDER BY k, n) FROM l;
SELECT g, rank(4) WITHIN GROUP (ORDER BY m), dense_rank(4.0) WITHIN GROUP (ORDER BY m DESC), cume_dist(4) WITHIN GROUP (ORDER BY m NULLS FIRST) FROM l GROUP BY GROUPING SETS ((g), ());
SELECT rank(0) WITHIN GROUP (ORDER BY x), dense_rank(0) WITHIN GROUP (ORDER BY x), dense_rank('NaN') WITHIN GROUP (ORDER BY x), cume_dist('NaN') WITHIN GROUP (ORDER BY x DESC) FROM l;
SELECT rank('ab') WITHIN GROUP (ORDER BY t), dense_rank('b') WITHIN GROUP (ORDER BY t DESC), rank(date '2024-01-01') WITHIN GROUP (ORDER BY d), dense_rank(date '2024-01-02') WITHIN GROUP (ORDER BY d) FROM l;
SELECT rank(1) WITHIN GROUP (ORDER BY k), dense_rank(1) WITHIN GROUP (ORDER BY k DESC), percent_rank(1) WITHIN GROUP (ORDER BY k), cume_dist(1) WITHIN GROUP (ORDER BY k) FROM l WHERE id > 1000;
SELECT g, rank(3) WITHIN GROUP (ORDER BY k) FILTER (WHERE n > 3) AS r, percent_rank(3) WITHIN GROUP (ORDER BY k) FILTER (WHERE n > 3 AND id < 15) AS p FROM l GROUP BY g HAVING dense_rank(100) WITHIN GROUP (ORDER BY k) > 1;
SELECT g, rank(g) WITHIN GROUP (ORDER BY k), cume_dist(g + 1) WITHIN GROUP (ORDER BY k) * 2 AS c FROM l GROUP BY g;
SELECT id, (SELECT rank(l.k) WITHIN GROUP (ORDER BY i.k) FROM l i WHERE i.g = l.g) AS r FROM l;
SELECT string_agg(b, '\x00' ORDER BY id), string_agg(b, NULL::bytea ORDER BY id DESC), string_agg(b, b ORDER BY id) FROM l;
SELECT g, string_agg(b, '\x2c' ORDER BY id) FROM l GROUP BY g;
SELECT g, string_agg(DISTINCT b, '\x2c') FROM l GROUP BY g;
-- Without ORDER BY, where it does not show.
SELECT id, array_agg(t), string_agg(t, ','), json_agg(k), jsonb_agg(m), array_agg(m), json_object_agg(id, x), string_agg(b, '\x') FROM l GROUP BY id;
SELECT g, array_agg(g), count(*) FROM l GROUP BY g;
SELECT k, g, string_agg(k::text, ','), array_agg(1) FROM l GROUP BY g, k;
SELECT g, array_agg(t) FILTER (WHERE id IN (1, 4, 7, 10)) AS a, string_agg(t, '-') FILTER (WHERE id = 13) AS b FROM l GROUP BY g;
SELECT array_agg(k), string_agg(b, ',') FROM l WHERE id = 17 OR id = 18;
SELECT array_agg(t) FROM l WHERE id > 1000;
SELECT id, ARRAY(SELECT i.t FROM l i WHERE i.id = l.id + 1) AS a FROM l;
-- expect: postgres (without ORDER BY)
SELECT array_agg(m) FROM l WHERE id < 3;
-- expect: postgres (without ORDER BY)
SELECT array_agg(x) FROM l WHERE id < 3;
-- expect: postgres (without ORDER BY)
SELECT jsonb_agg(j) FROM l WHERE id < 3;
-- expect: postgres (without ORDER BY)
SELECT g, string_agg(t, ',') FROM l GROUP BY g;
-- expect: postgres (whose order is not decided)
SELECT array_agg(x ORDER BY x) FROM l WHERE id < 3;
-- Records of JSON.
SELECT l.id, r.a, r.b FROM l, jsonb_to_record(CASE WHEN jsonb_typeof(j) = 'object' THEN j END) r (a int, b jsonb);
SELECT l.id, r.* FROM l LEFT JOIN LATERAL json_to_record(CASE WHEN jsonb_typeof(j) = 'object' THEN j::text::json END) r (a text, b json) ON r.a IS NOT NULL;
SELECT r.x, count(*), sum(r.y) FROM l, jsonb_to_recordset(jsonb_build_array(jsonb_build_object('x', t, 'y', k), jsonb_build_object('x', 'z', 'z', d), jsonb_build_object('y', m))) r (x text, y numeric) GROUP BY 1;
SELECT l.id, r.x, r.y, r.z, r.v FROM l, json_to_recordset(json_build_array(json_build_object('x', t, 'y', n), json_build_object('x', null, 'y', 7, 'z', '2024-01-02', 'v', true))) r (x varchar, y bigint, z date, v bool);
SELECT count(*), count(r.a) FROM l LEFT JOIN LATERAL jsonb_to_recordset(CASE WHEN id > 3 THEN '[]' WHEN id = 3 THEN NULL ELSE '[{"a": 1}, {"a": null}, {}]' END::jsonb) r (a text) ON true;
-- expect: postgres (no column is used)
SELECT count(*) FROM l LEFT JOIN LATERAL jsonb_to_recordset(CASE WHEN id > 3 THEN '[]' WHEN id = 3 THEN NULL ELSE '[{"a": 1}, {"a": null}, {}]' END::jsonb) r (a text) ON true;
-- expect: error
SELECT count(*) FROM l, jsonb_to_recordset(jsonb_build_array(j)) r (a text);
-- expect: error
SELECT count(*) FROM (SELECT r.a FROM l, jsonb_to_record(j) r (a text)) s;
-- expect: error
SELECT sum(r.a) FROM l, jsonb_to_recordset(jsonb_build_array(j)) r (a int);
-- expect: error
SELECT sum(r.y) FROM l, jsonb_to_record(jsonb_build_object('y', t)) r (y int);
-- expect: postgres (not used)
SELECT r.x, count(*) FROM l, jsonb_to_record(jsonb_build_object('x', t, 'y', n)) r (x text, y int) GROUP BY 1;
-- Numbers out of texts.
SELECT id, to_number(to_char(x, 'FM9999999990.09'), '9999999999.99') AS a, to_number(to_char(n, 'FM9,999,990'), '9,999,999') AS b, count(*) FROM l WHERE abs(x) BETWEEN 0.1 AND 100 AND n IS NOT NULL GROUP BY 1, 2, 3;
SELECT s, to_number(s, '999') AS a, to_number(s, '9,999.99') AS b, to_number(s, 'FM9,999.99') AS c, to_number(s, '99999.9') AS d, to_number(s, '0,000,000.0000') AS e, count(*) FROM l, unnest(ARRAY['1', '12', '-12', '+1', '1,2', '123.5', '-1,234.567', '1,234', '.5', '0.05', '-0', '007', '1.', '1,1,1']) s GROUP BY 1, 2, 3, 4, 5, 6;
SELECT s, to_number(s, '99.99') AS a, count(*) FROM l, unnest(ARRAY['1.5', '12.345', '1', '12,3', '1,2.3']) s GROUP BY 1, 2;
-- expect: error
SELECT to_number(t, '99') AS n, count(*) FROM l GROUP BY 1;
-- expect: any
SELECT s, to_number(s, '9,999.99') AS a, count(*) FROM l, unnest(ARRAY[' 1', '12 ', '12-', '$12', '1 2']) s GROUP BY 1, 2;
