-- Window frames: RANGE with offsets over every type of key, GROUPS, EXCLUDE, and sliding frames of aggregates that cannot take a row back.
-- setup
CREATE TYPE size AS ENUM ('small', 'large', 'huge');
CREATE TABLE f (id int PRIMARY KEY, k int, b bigint, s smallint, f4 float4, f8 float8, n numeric, n2 numeric(8,2), d date, ts timestamp, tz timestamptz, iv interval, t text, ok bool, e size, c char(4));
INSERT INTO f VALUES
    (1, 1, 9223372036854775807, 32767, 'NaN', 'Infinity', 1.5, 1.50, '2024-01-31', '2024-01-31 23:00', '2024-03-31 00:30+00', '1 month', 'a', true, 'small', 'x'),
    (2, 1, 9223372036854775806, -32768, 1.5, 'NaN', 1.50, 1.50, '2024-02-29', '2024-02-29 00:00', '2024-03-31 01:30+00', '30 days', 'b', false, 'huge', 'xy'),
    (3, 2, -9223372036854775808, 0, -0.0, 1e300, 2, 2.00, '2024-03-01', '2024-03-01 00:00', '2024-03-31 02:30+00', '29 days 23:59:59', 'b', NULL, 'large', 'x'),
    (4, 5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, NULL, 0, 5, 0.0, -0.0, -3.25, -3.25, '2023-12-31', '2023-12-31 12:00:00.000001', '2024-10-27 00:30+00', '-1 day', 'c', true, 'small', ''),
    (6, NULL, 3, 6, 2.5, '-Infinity', 100, 100.00, '2024-02-28', '2024-02-28 12:00', '2024-10-27 01:30+00', '0', 'c', true, NULL, 'zzzz'),
    (7, 6, 4, 7, 3.5, 2, 0.001, 0.00, '2024-02-29', '2024-02-29 12:00', '2024-10-27 02:30+00', '1 day', '', false, 'large', 'abc'),
    (8, 7, 5, 8, 'NaN', 2.5, 2.0, 2.00, '2024-03-31', '2024-03-31 12:00', '2024-11-03 05:30+00', '2 days', 'a', NULL, 'huge', 'abc');
INSERT INTO f SELECT i, i % 13, i * 7, i % 50, (i % 9) / 2.0, (i % 40) / 8.0, (i % 30) / 4.0, (i % 30) / 4.0, date '2024-01-01' + i % 60, timestamp '2024-01-01' + i % 70 * interval '7 hours', timestamptz '2024-03-20 00:00+00' + i % 70 * interval '11 hours', i % 20 * interval '5 hours', chr(97 + i % 5), i % 3 = 0, (ARRAY['small', 'large', 'huge']::size[])[1 + i % 3], chr(100 + i % 7) FROM generate_series(100, 260) i;
CREATE TABLE none (id int PRIMARY KEY, k int);
-- queries
SELECT id, sum(id) OVER (ORDER BY k RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING), count(*) OVER (ORDER BY k RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) FROM f;
SELECT id, count(*) OVER (ORDER BY k DESC RANGE BETWEEN 1 PRECEDING AND 3 FOLLOWING), count(*) OVER (ORDER BY k NULLS FIRST RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING), count(*) OVER (ORDER BY k DESC NULLS LAST RANGE BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM f;
SELECT id, count(*) OVER (ORDER BY b RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING), count(*) OVER (ORDER BY b RANGE BETWEEN 9223372036854775807 PRECEDING AND 9223372036854775807 FOLLOWING), count(*) OVER (ORDER BY b DESC RANGE BETWEEN 1 FOLLOWING AND 9223372036854775807 FOLLOWING) FROM f;
SELECT id, count(*) OVER (ORDER BY s RANGE BETWEEN 10 PRECEDING AND 10 FOLLOWING), max(id) OVER (ORDER BY s RANGE BETWEEN 5 PRECEDING AND 1 PRECEDING) FROM f;
SELECT id, count(*) OVER (ORDER BY s RANGE BETWEEN 100000 PRECEDING AND 2::bigint FOLLOWING) FROM f;
SELECT id, count(*) OVER (ORDER BY f8 RANGE BETWEEN 1.5 PRECEDING AND 0.5 FOLLOWING), count(*) OVER (ORDER BY f8 DESC RANGE BETWEEN 0.25 PRECEDING AND CURRENT ROW), count(*) OVER (ORDER BY f4 RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM f;
SELECT id, count(*) OVER (ORDER BY n RANGE BETWEEN 0.5 PRECEDING AND 0.500 FOLLOWING), count(*) OVER (ORDER BY n2 DESC RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM f;
SELECT id, count(*) OVER (ORDER BY d RANGE BETWEEN interval '1 month' PRECEDING AND CURRENT ROW), sum(id) OVER (ORDER BY d RANGE BETWEEN interval '7 days' PRECEDING AND interval '1 day 1 hour' FOLLOWING) FROM f;
SELECT id, count(*) OVER (ORDER BY ts RANGE BETWEEN '1 day' PRECEDING AND '12 hours' FOLLOWING), min(ts) OVER (ORDER BY ts DESC RANGE BETWEEN '2 days' PRECEDING AND '1 hour' PRECEDING) FROM f;
SELECT id, count(*) OVER (ORDER BY tz RANGE BETWEEN '1 day' PRECEDING AND '1 day' FOLLOWING), count(*) OVER (ORDER BY tz RANGE BETWEEN '24 hours' PRECEDING AND '24 hours' FOLLOWING) FROM f;
SELECT id, count(*) OVER (ORDER BY iv RANGE BETWEEN '1 day' PRECEDING AND '1 day' FOLLOWING) FROM f;
SELECT id, first_value(id) OVER w, last_value(id) OVER w, nth_value(id, 2) OVER w FROM f WINDOW w AS (ORDER BY k, id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW);
SELECT id, max(id) OVER (PARTITION BY ok ORDER BY k RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING), sum(n2) OVER (PARTITION BY t ORDER BY d RANGE BETWEEN '3 days' PRECEDING AND '3 days' FOLLOWING) FROM f;
SELECT id, count(*) OVER (ORDER BY k RANGE UNBOUNDED PRECEDING EXCLUDE CURRENT ROW), count(*) OVER (ORDER BY k RANGE UNBOUNDED PRECEDING EXCLUDE GROUP), count(*) OVER (ORDER BY k, id ROWS UNBOUNDED PRECEDING EXCLUDE TIES), sum(id) OVER (ORDER BY k, id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) FROM f WHERE k IS NOT NULL OR id < 7;
SELECT id, sum(id) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW), count(*) OVER (PARTITION BY t RANGE UNBOUNDED PRECEDING EXCLUDE GROUP), count(*) OVER (PARTITION BY t RANGE UNBOUNDED PRECEDING EXCLUDE TIES) FROM f;
SELECT id, sum(id) OVER (ORDER BY k GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING), count(*) OVER (ORDER BY k GROUPS BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING), count(*) OVER (ORDER BY k DESC GROUPS BETWEEN 3 PRECEDING AND 1 PRECEDING EXCLUDE GROUP) FROM f;
SELECT id, bool_and(ok) OVER w, bool_or(ok) OVER w, bit_or(k) OVER w, bit_and(k) OVER w, bit_xor(k) OVER w, max(n) FILTER (WHERE ok) OVER w, min(f8) OVER w, max(f4) OVER w, min(t) OVER w, max(d) OVER w, max(b) OVER w FROM f WINDOW w AS (ORDER BY id ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING);
SELECT id, stddev(k) OVER w, var_pop(n2) OVER w, avg(n) OVER w, sum(iv) OVER w, avg(iv) OVER w, count(*) FILTER (WHERE ok) OVER w, min(c) OVER w FROM f WINDOW w AS (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND 4 FOLLOWING);
SELECT id, sum(k) FILTER (WHERE ok) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW), count(t) FILTER (WHERE k > 3) OVER (ORDER BY k RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM f;
SELECT id, rank() OVER (ORDER BY e), row_number() OVER (PARTITION BY e ORDER BY e DESC, id), lag(e) OVER (ORDER BY e NULLS FIRST, id), first_value(e) OVER (ORDER BY e DESC, id) FROM f;
SELECT id, sum(k) OVER (ORDER BY k RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM none;
SELECT id, max(k) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING), min(n) OVER (PARTITION BY t ORDER BY id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), bool_or(ok) OVER (ORDER BY k GROUPS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), max(ts) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM f WHERE id < 9 OR id % 3 = 0;
SELECT id, max(k) OVER (ORDER BY id ROWS 1 PRECEDING), min(d) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING), bit_xor(k) OVER (ORDER BY id ROWS 1 PRECEDING), sum(k) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) FROM f WHERE id < 9;
SELECT k, sum(count(*)) OVER (ORDER BY k RANGE BETWEEN 2 PRECEDING AND 1 PRECEDING) FROM f GROUP BY k;
SELECT * FROM (SELECT id, k, avg(k) OVER (ORDER BY d RANGE BETWEEN '6 days' PRECEDING AND CURRENT ROW) AS week FROM f) x WHERE week > 5;
-- expect: error
SELECT id, count(*) OVER (ORDER BY k RANGE BETWEEN -1 PRECEDING AND CURRENT ROW) FROM f;
-- expect: error
SELECT id, count(*) OVER (ORDER BY k RANGE BETWEEN NULL PRECEDING AND CURRENT ROW) FROM f;
-- expect: error
SELECT id, count(*) OVER (ORDER BY d RANGE BETWEEN interval '-1 day' PRECEDING AND CURRENT ROW) FROM f;
-- expect: error
SELECT id, count(*) OVER (ORDER BY f8 RANGE BETWEEN 'NaN'::float8 PRECEDING AND CURRENT ROW) FROM f;
-- expect: error
SELECT id, count(*) OVER (ORDER BY id ROWS BETWEEN -1 PRECEDING AND CURRENT ROW) FROM f;
-- expect: any
SELECT id, count(*) OVER (ORDER BY f8 RANGE BETWEEN 'Infinity'::float8 PRECEDING AND CURRENT ROW) FROM f;
-- expect: any
SELECT id, count(*) OVER (ORDER BY k RANGE BETWEEN -1 PRECEDING AND CURRENT ROW) FROM none;
-- ordered
SELECT id, e FROM f ORDER BY e DESC NULLS LAST, id;
SELECT e, count(*), min(iv), max(iv) FROM f WHERE id > 8 GROUP BY e HAVING e > 'small' OR e IS NULL;
SELECT min(e), max(e), max(e) FILTER (WHERE k < 3), min(e) FILTER (WHERE false), max(c), min(c) FROM f;
SELECT t, min(e), max(e), count(DISTINCT e) FROM f GROUP BY t;
SELECT id FROM f WHERE e >= 'large' AND e < 'huge';
SELECT a.id, b.id FROM f a JOIN f b ON a.e < b.e AND a.id < 4 AND b.id < 9;
-- ordered
SELECT DISTINCT ON (e) e, id FROM f ORDER BY e DESC, id;
SELECT string_agg(t, ',' ORDER BY e, id), array_agg(id ORDER BY e DESC NULLS LAST, id) FROM f;
-- expect: postgres (min or max of equal intervals)
SELECT max(iv) FROM f WHERE id < 3;
SELECT sum(iv), avg(iv), min(iv), count(DISTINCT iv) FROM f;
SELECT ok, sum(iv), avg(iv) FROM f GROUP BY ok;
SELECT sum(iv), avg(iv), min(iv), max(iv) FROM f WHERE false;
-- expect: any
SELECT sum(x) FROM (VALUES (interval '178956970 years'), ('178956970 years'), ('-178956970 years')) v(x), f WHERE id = 1;
SELECT ok, percentile_disc(0.5) WITHIN GROUP (ORDER BY iv), percentile_cont(0.3) WITHIN GROUP (ORDER BY iv), percentile_cont(0.5) WITHIN GROUP (ORDER BY iv DESC) FROM f WHERE id > 8 GROUP BY ok;
SELECT id, dense_rank() OVER (ORDER BY 'x'::text DESC), row_number() OVER (ORDER BY id) FROM f;
SELECT id, rank() OVER (PARTITION BY t ORDER BY 1 + 1), count(*) OVER (ORDER BY 'a'::text, id ROWS 2 PRECEDING), sum(k) OVER (ORDER BY NULL::int GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING), sum(k) OVER (ORDER BY id DESC) FROM f;
SELECT id, count(*) OVER (ORDER BY 7 RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING), percent_rank() OVER (ORDER BY 'x'::text), rank() OVER (ORDER BY id) FROM f;
SELECT id, cume_dist() OVER (ORDER BY 'x'::text), row_number() OVER (PARTITION BY k ORDER BY id), last_value(k) OVER (ORDER BY 'x'::text, id) FROM none;
-- Constants that become equal parts of one aggregate.
SELECT id, sum(interval '01:30:00') OVER (PARTITION BY g ORDER BY id RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (SELECT i AS id, i % 3 AS g FROM generate_series(1, 9) i) x;
SELECT g, h, grouping(g, h), sum(interval '01:30:00'), avg(interval '-2 days'), count(*) FROM (SELECT i % 2 AS g, i % 3 AS h FROM generate_series(1, 9) i) x GROUP BY CUBE (g, h);
SELECT count(*), sum(x.a) FROM generate_series(1, 0) x (a);
SELECT y.b, x.a FROM generate_series(1, 0) x (a) RIGHT JOIN (VALUES (1), (2)) y (b) ON x.a = y.b;
-- Keys that are the same for all rows give no order: the rows come as they are read.
SELECT id, max(k) OVER (ORDER BY (SELECT 1) ROWS 1 PRECEDING), row_number() OVER (ORDER BY (SELECT NULL)), lag(k) OVER (ORDER BY (SELECT max(id) FROM f)) FROM (SELECT * FROM f ORDER BY id DESC) x;
SELECT id, ntile(3) OVER (PARTITION BY (SELECT 1) ORDER BY (SELECT 1)), sum(k) OVER (ROWS 2 PRECEDING), first_value(k) OVER (ORDER BY now()) FROM (SELECT * FROM f WHERE k > 3 ORDER BY k, id) x;
SELECT ok, n, row_number() OVER (ORDER BY (SELECT NULL)) FROM (SELECT ok, count(*) AS n FROM f GROUP BY 1 ORDER BY 2, 1) x;
SELECT id, rank() OVER (ORDER BY (SELECT 1)), count(*) OVER (ORDER BY (SELECT 1)), max(k) OVER (PARTITION BY t ORDER BY (SELECT 1)), sum(k) OVER (ORDER BY (SELECT NULL::int) GROUPS 1 PRECEDING) FROM f;
SELECT o.id, (SELECT sum(r) FROM (SELECT rank() OVER (ORDER BY o.k) AS r FROM f WHERE f.k = o.k) x) FROM f o WHERE o.id < 9;
-- expect: postgres (without ORDER BY)
SELECT id, row_number() OVER (ORDER BY (SELECT NULL)) FROM f;
-- expect: postgres (without ORDER BY)
SELECT id, max(k) OVER (ROWS 1 PRECEDING) FROM f;
-- expect: postgres (without ORDER BY)
SELECT id, sum(k) OVER (PARTITION BY t ROWS 1 PRECEDING) FROM f;
-- expect: postgres (without ORDER BY)
SELECT id, first_value(k) OVER (ORDER BY (SELECT 1) GROUPS 1 PRECEDING) FROM f;
