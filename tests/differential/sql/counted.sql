-- Different values, counted: of every type, in many and few groups, beside other aggregates, of which none is made a GROUP BY.
-- setup
CREATE TABLE d (id int PRIMARY KEY, g int, small int, i int, b bigint, t text, l text, c char(5), v varchar, y bytea, n numeric, m numeric(12,3), f float8, r real,
    d date, ts timestamp, tz timestamptz, u uuid, o bool, a int[], ta text[], iv interval);
INSERT INTO d SELECT x, x % 1500, x % 3, nullif(x % 41, 7), x::bigint << (x % 30), 'v' || x % 97, repeat('long ', 5) || x % 89, substr('ab   c', 1, x % 6), nullif(x % 13, 0)::text,
    decode(md5((x % 50)::text), 'hex'), (x % 30)::numeric / (x % 2 + 1), x % 77 / 8.0, CASE x % 9 WHEN 0 THEN float8 '-0' WHEN 1 THEN 0 WHEN 2 THEN float8 'NaN' WHEN 3 THEN NULL ELSE x % 11 END,
    x % 6 / 2.0, date '2024-01-01' + x % 33, timestamp '2024-01-01' + x % 19 * interval '7 s', timestamptz '2024-01-01 00:00Z' + x % 23 * interval '1 h',
    md5((x % 31)::text)::uuid, CASE x % 5 WHEN 0 THEN NULL WHEN 1 THEN true ELSE x % 2 = 0 END, CASE x % 4 WHEN 0 THEN '{}'::int[] WHEN 1 THEN NULL ELSE ARRAY[x % 6, NULL, x % 2] END,
    ARRAY['x' || x % 5, repeat('y', x % 17)], CASE x % 3 WHEN 0 THEN interval '1 mon' WHEN 1 THEN interval '30 days' ELSE x % 4 * interval '1 h' END
    FROM generate_series(1, 6000) x;
-- queries
SELECT g, count(DISTINCT i), count(DISTINCT b), count(DISTINCT t), count(DISTINCT l), count(DISTINCT c), count(DISTINCT v), count(DISTINCT y), count(DISTINCT n), count(DISTINCT m),
    count(DISTINCT f), count(DISTINCT r), count(*) FROM d GROUP BY g ORDER BY g;
SELECT g, count(DISTINCT d), count(DISTINCT ts), count(DISTINCT tz), count(DISTINCT u), count(DISTINCT o), count(DISTINCT a), count(DISTINCT ta), count(DISTINCT iv), max(id) FROM d GROUP BY g ORDER BY g;
SELECT small, count(DISTINCT i), count(DISTINCT b), count(DISTINCT t), count(DISTINCT l), count(DISTINCT c), count(DISTINCT v), count(DISTINCT y), count(DISTINCT n), count(DISTINCT m),
    count(DISTINCT f), count(DISTINCT r), count(DISTINCT d), count(DISTINCT ts), count(DISTINCT tz), count(DISTINCT u), count(DISTINCT o), count(DISTINCT a), count(DISTINCT ta), count(DISTINCT iv)
    FROM d GROUP BY small ORDER BY small;
SELECT count(DISTINCT i), count(DISTINCT b), count(DISTINCT t), count(DISTINCT l), count(DISTINCT c), count(DISTINCT v), count(DISTINCT y), count(DISTINCT n), count(DISTINCT m),
    count(DISTINCT f), count(DISTINCT r), count(DISTINCT d), count(DISTINCT ts), count(DISTINCT tz), count(DISTINCT u), count(DISTINCT o), count(DISTINCT a), count(DISTINCT ta), count(DISTINCT iv) FROM d;
SELECT count(DISTINCT i), count(DISTINCT t), count(DISTINCT o), count(DISTINCT u), count(DISTINCT a), count(DISTINCT (i, t)), count(*) FROM d WHERE id < 0;
SELECT small, count(DISTINCT t), count(DISTINCT a), count(*) FROM d WHERE id < 0 GROUP BY small;
-- Rows: none is NULL, and NULLs in them are equal.
SELECT small, count(DISTINCT (i, v)), count(DISTINCT (t, l, c)), count(DISTINCT (f, r)), count(*) FROM d GROUP BY small ORDER BY small;
SELECT g, count(DISTINCT (v, o)), count(DISTINCT (n, iv)), min(t) FROM d GROUP BY g ORDER BY g;
SELECT count(DISTINCT (i, v, o)), count(DISTINCT (t, l)), count(*) FROM d;
-- Filters, also such as leave nothing of a group.
SELECT g, count(DISTINCT t) FILTER (WHERE i > 20), count(DISTINCT i) FILTER (WHERE o), count(DISTINCT ta) FILTER (WHERE v IS NULL), count(*) FROM d GROUP BY g ORDER BY g;
SELECT small, count(DISTINCT t) FILTER (WHERE i > 20), count(DISTINCT t) FILTER (WHERE i < 0), count(DISTINCT u) FILTER (WHERE NOT o) FROM d GROUP BY small ORDER BY small;
SELECT count(DISTINCT l) FILTER (WHERE i > 20), count(DISTINCT a) FILTER (WHERE o), count(DISTINCT o) FILTER (WHERE NULL) FROM d;
-- Grouping sets, HAVING, and what is made of the counts.
SELECT small, i, count(DISTINCT t), count(DISTINCT l), count(DISTINCT ta), count(*) FROM d GROUP BY GROUPING SETS ((small, i), (i), ()) ORDER BY 1, 2;
SELECT small, o, count(DISTINCT c), count(DISTINCT f) FROM d GROUP BY CUBE (small, o) ORDER BY 1, 2;
SELECT g, count(DISTINCT l) FROM d GROUP BY g HAVING count(DISTINCT l) > 3 AND count(DISTINCT i) > 3 ORDER BY g;
SELECT id, count(DISTINCT l), count(DISTINCT v), count(*) FROM d GROUP BY id ORDER BY id;
SELECT sum(x.c), sum(x.n) FROM (SELECT g, count(DISTINCT t) AS c, count(*) AS n FROM d GROUP BY g) x;
SELECT g, count(DISTINCT t), sum(DISTINCT i), avg(DISTINCT i), avg(i), max(l), string_agg(DISTINCT v, ',' ORDER BY v) FROM d GROUP BY g ORDER BY g;
SELECT small, count(DISTINCT t) FROM d GROUP BY small ORDER BY small;
SELECT small, count(DISTINCT t), max(t), min(i) FROM d GROUP BY small ORDER BY small;
