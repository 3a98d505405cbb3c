-- Arrays below the top of a query, and numbers printed by a pattern.
-- setup
DROP SCHEMA IF EXISTS arrays CASCADE;
CREATE SCHEMA arrays;
CREATE TABLE arrays.t (id int PRIMARY KEY, g int, s text, n numeric(12,3), nn numeric, f float8, b bigint, ai int[], at text[], an numeric[], af float8[], ad date[], ab bool[], ats timestamp[], aiv interval[], c char(3));
INSERT INTO arrays.t SELECT i, i % 5, CASE WHEN i % 8 > 0 THEN 'Word' || i % 11 || ' x' END, (i * 37 % 101 - 40) / 8.0, CASE WHEN i % 6 > 0 THEN (i - 30) * 123.456 END, (i - 20) * 0.75, (i - 30)::bigint * 1000003, CASE WHEN i % 7 > 0 THEN ARRAY[i, i % 3, NULL] WHEN i % 2 = 0 THEN '{}' END, ARRAY['x' || i % 3, 'y', CASE i % 4 WHEN 0 THEN '' WHEN 1 THEN 'a b' WHEN 2 THEN '"q\' ELSE 'Null' END, '{c,d}'], ARRAY[i / 4.0, 1.50, NULL], ARRAY[i / 4.0, 'NaN', 1e20], ARRAY[date '2020-01-01' + i, NULL], ARRAY[true, false, NULL], ARRAY[timestamp '2020-01-01 03:04:05.06' + i * interval '1 hour'], ARRAY[i * interval '25 hours'], 'c' || i % 3 FROM generate_series(1, 60) i;
-- queries
SELECT ai[1], count(*) FROM t GROUP BY 1;
SELECT at[2], at[5], ai[0], ai[NULL], count(*) FROM t GROUP BY 1, 2, 3, 4;
SELECT id FROM t WHERE ai[2] = 1 AND at[1] <> 'x2';
SELECT sum(an[1]), max(an[2]), min(af[1]), max(ad[1]) FROM t;
SELECT ai[1:2], count(*) FROM t WHERE ai[2:] <> ai[:1] GROUP BY 1;
SELECT ai[2:1], ai[-5:2], ai[3:99], ai[g:], ai[:g], ai[NULL:2] AS x FROM t ORDER BY id LIMIT 40;
SELECT x, count(*) FROM (SELECT (string_to_array(s, ' '))[1] AS x FROM t) y GROUP BY x;
SELECT (ARRAY['a', 'b', 'c'])[g], (ARRAY[10, 20, 30])[1 + g % 3], count(*) FROM t GROUP BY 1, 2;
SELECT x, count(*) FROM (SELECT ai || 5 AS x FROM t) y WHERE cardinality(x) > 1 GROUP BY x;
SELECT id FROM t WHERE 5 || ai = ARRAY[5, 1, 1, NULL] OR ai || ai = '{}' OR array_append(NULL::int[], id) = ARRAY[9];
SELECT x FROM (SELECT array_cat(ai, NULL) AS x, array_cat(NULL, at) AS y FROM t) z WHERE y IS NOT NULL;
SELECT x::text, count(*) FROM (SELECT array_remove(ai, 1) AS x, array_replace(ai, NULL, 7) AS y FROM t) z WHERE y IS NOT NULL GROUP BY 1;
SELECT array_position(at, 'y'), array_positions(ai, 1), array_positions(ai, NULL), count(*) FROM t GROUP BY 1, 2, 3;
SELECT y FROM (SELECT trim_array(at, 2) AS y FROM t) z WHERE y @> ARRAY['x1'];
-- expect: error
SELECT count(y) FROM (SELECT trim_array(at, 9) AS y FROM t) z WHERE y @> ARRAY['x1'];
SELECT ai::text, at::text, an::text, af::text, ad::text, ab::text, ats::text, aiv::text, count(*) FROM t GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
SELECT length(at::text), max(ad::varchar) FROM t GROUP BY 1;
SELECT array_to_string(an, ','), array_to_string(ad, '-', '*'), array_to_string(af, ' '), array_to_string(ab, '|', '?'), count(*) FROM t GROUP BY 1, 2, 3, 4;
SELECT (an || n)::text, (an || 2.50)::text, (n || an)::text, count(*) FROM t WHERE n > 0 GROUP BY 1, 2, 3;
SELECT x[1], x[3] FROM (SELECT array_agg(s ORDER BY id) AS x FROM t GROUP BY g) y WHERE x[2] IS NOT NULL;
SELECT num_nulls(s, nn, ai), num_nonnulls(s, nn), count(*) FROM t GROUP BY 1, 2;
-- Numbers by a pattern.
SELECT to_char(n, '999,990.99'), to_char(n, 'FM999,990.09'), to_char(n, '0000.0'), to_char(n, 'FM990.999'), to_char(n, '9.9'), to_char(n, 'FM9.9'), count(*) FROM t GROUP BY 1, 2, 3, 4, 5, 6;
SELECT to_char(nn, '9,999.99'), to_char(nn, 'FM$9,990.00'), to_char(nn, '$ 9990'), to_char(nn, 'FM09,999.990'), to_char(nn, '99990.9%'), count(*) FROM t GROUP BY 1, 2, 3, 4, 5;
SELECT to_char(id, '0000'), to_char(-id, '99'), to_char(id, '9'), to_char(id, 'FM000'), to_char(id - 30, '99.99'), to_char(id - 30, 'FM99.99'), to_char(b, '999,999,999'), to_char(b, 'FM999,999,999'), count(*) FROM t GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
SELECT to_char(f, '990.99'), to_char(f, 'FM990.9'), to_char(f, '9.99'), to_char(f, 'FM0.00'), to_char(f, '0,000'), count(*) FROM t GROUP BY 1, 2, 3, 5, 4;
SELECT x, count(*) FROM (SELECT to_char(n / 7, '990.999') AS x, to_char(0.0, '9.99') AS y, to_char(-0.4, '99') AS z FROM t) q WHERE y <> z GROUP BY x;
SELECT to_char(n, NULL), count(*) FROM t GROUP BY 1;
-- expect: postgres (such a pattern)
SELECT to_char(n, 'S999D99'), count(*) FROM t GROUP BY 1;
