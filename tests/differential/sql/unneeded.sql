-- Columns that nobody needs: where Postgres computes them, their errors come; where it does not, they do not.
-- setup
CREATE SCHEMA IF NOT EXISTS unneeded;
CREATE TABLE unneeded.u (id int PRIMARY KEY, x int, n numeric(8,2), t text);
INSERT INTO unneeded.u SELECT i, i - 5, i / 4.0, 'v' || i FROM generate_series(1, 40) i;
-- queries
-- expect: error
SELECT 1 / x FROM u ORDER BY 1 LIMIT 1;
-- expect: error
SELECT count(*) FROM (SELECT id, 1 / x AS y FROM u ORDER BY y) s;
SELECT id FROM (SELECT id FROM u ORDER BY 10 / x, id) s WHERE id < 3;
-- expect: error
SELECT id FROM (SELECT id FROM u ORDER BY 10 / x, id) s WHERE id < 9;
SELECT count(*) FROM (SELECT id, x / 2 AS y, n / 3 AS m, t || 'x' AS v FROM u ORDER BY y, m, upper(t)) s;
SELECT count(*) FROM (SELECT id, 1 / x AS y FROM u OFFSET 0) s;
-- expect: error
WITH s AS MATERIALIZED (SELECT id, 1 / x AS y FROM u) SELECT count(*) FROM s;
-- expect: error
WITH s AS MATERIALIZED (SELECT id, 1 / x AS y FROM u) SELECT id FROM s WHERE id < 3;
-- expect: error
WITH s AS MATERIALIZED (SELECT id, 1 / x AS y FROM u) SELECT id, y FROM s WHERE id < 3;
WITH s AS NOT MATERIALIZED (SELECT id, 1 / x AS y FROM u) SELECT a.id FROM s a JOIN s b ON a.id = b.id + 1;
WITH s AS (SELECT id, 1 / x AS y FROM u) SELECT count(*) FROM s;
-- expect: error
WITH s AS (SELECT id, 1 / x AS y FROM u) SELECT a.id FROM s a JOIN s b ON a.id = b.id + 1;
-- expect: error
WITH s AS (SELECT t, sum(1 / x) AS y FROM u GROUP BY t) SELECT count(*) FROM s a, s b;
-- expect: error
WITH s AS MATERIALIZED (SELECT id, t::int AS y FROM u) SELECT id FROM s;
WITH s AS MATERIALIZED (SELECT id, n / 7 AS y, n * 2 AS z, lower(t) AS l, id % 3 AS m FROM u) SELECT id FROM s WHERE id < 3;
WITH s AS MATERIALIZED (SELECT id, 1 / x AS y FROM u WHERE x <> 0) SELECT count(*) FROM s;
WITH s AS (SELECT id, (SELECT max(v.id) FROM u v WHERE v.id < u.id) AS y FROM u) SELECT a.id FROM s a JOIN s b ON a.id = b.id + 38;
-- expect: error
WITH s AS (SELECT id, (SELECT v.id FROM u v WHERE v.id < u.id) AS y FROM u) SELECT a.id FROM s a JOIN s b ON a.id = b.id + 38;
-- expect: error
SELECT count(*) FROM (SELECT 1 / x FROM u UNION ALL SELECT 1::bigint) s;
SELECT count(*) FROM (SELECT 1 / x FROM u UNION ALL SELECT 1) s;
-- expect: error
SELECT count(*) FROM (SELECT 1 / x FROM u UNION SELECT 1) s;
SELECT id FROM (SELECT id, 1 / x AS y FROM u UNION ALL SELECT id, n FROM u) s WHERE id < 3;
-- expect: error
SELECT id FROM (SELECT id, 1 / x AS y FROM u UNION ALL SELECT id, n FROM u) s WHERE id < 9;
-- expect: error
SELECT id FROM (SELECT id, 1 / x AS y FROM u UNION ALL SELECT id, x FROM u ORDER BY 1 LIMIT 100) s WHERE id < 3;
SELECT id FROM (SELECT id, 1 / x AS y FROM u UNION ALL SELECT id, x FROM u) s WHERE id < 3;
SELECT id FROM (SELECT id, sum(1 / x) OVER () AS y FROM u) s WHERE id < 3;
-- expect: error
SELECT id FROM (SELECT id, 1 / x AS k, rank() OVER (ORDER BY 1 / x) AS y FROM u) s WHERE id < 3;
-- expect: error
SELECT id FROM (SELECT id, rank() OVER (PARTITION BY 1 / x ORDER BY id) AS y FROM u) s;
SELECT id FROM (SELECT id, rank() OVER (ORDER BY n / 2, id) AS y FROM u) s WHERE id < 3;
-- expect: error
SELECT count(1 / x) IS NULL FROM u;
-- expect: error
SELECT count(1 / x) IS NOT NULL AS y, count(*) FROM u;
-- expect: error
SELECT count(*) FILTER (WHERE 1 / x > 0) IS NULL FROM u;
-- expect: error
SELECT t, count(1 / x) IS NULL AS y FROM u GROUP BY t;
-- expect: error
SELECT c IS NULL AS y FROM (SELECT t, count(1 / x) AS c FROM u GROUP BY t) s;
-- expect: error
SELECT count(*) FROM u WHERE coalesce(1 / x, 0) IS NOT NULL;
-- expect: error
SELECT count(*) FROM u WHERE (1 / x IS NULL) IS NOT NULL;
-- expect: error
SELECT count(*) FROM u WHERE (CASE WHEN 1 / x > 0 THEN 1 ELSE 0 END) IS NULL;
-- expect: error
SELECT count(*) FROM u WHERE (1 / x > 0) IS DISTINCT FROM NULL AND ((1 / x > 0) IS TRUE) IS NOT NULL;
SELECT count(*) FROM u WHERE coalesce(n / 2, 0) IS NOT NULL;
-- Nothing of it is read.
SELECT id FROM u WHERE EXISTS (SELECT count(*) FROM u v WHERE v.id = u.id LIMIT 0) OR id < 5;
SELECT id FROM u WHERE EXISTS (SELECT count(*) FROM u v LIMIT 0) OR id < 5;
SELECT id FROM u WHERE NOT EXISTS (SELECT 1 / x FROM u v WHERE v.id = u.id LIMIT 0) AND id < 5;
SELECT id FROM u WHERE EXISTS (SELECT count(*) FROM u v OFFSET 1) OR id < 5;
SELECT id FROM u WHERE EXISTS (SELECT 1 FROM u v WHERE v.id = u.id LIMIT 0) OR id < 5;
SELECT id, EXISTS (SELECT FROM u v LIMIT 0) AS y FROM u WHERE id < 3;
SELECT count(*) FROM (SELECT count(*) FROM u LIMIT 0) s;
SELECT count(*) FROM (SELECT id FROM u ORDER BY x % 3 OFFSET 2 FETCH FIRST 0 ROWS WITH TIES) s;
-- Subqueries that Postgres computes whole: no condition from above leaves out rows.
-- expect: error
SELECT id, y FROM (SELECT id, 1 / x AS y FROM u OFFSET 0) s WHERE id < 3;
-- expect: error
SELECT id, y FROM (SELECT id, 1 / x AS y FROM u LIMIT 100) s WHERE id < 3;
-- expect: error
SELECT id, y FROM (SELECT id, 1 / x AS y FROM u ORDER BY t OFFSET 0) s WHERE id < 3;
-- expect: error
SELECT s.id, y FROM (SELECT id, 1 / x AS y FROM u OFFSET 0) s JOIN u ON u.id = s.id WHERE u.id < 3;
-- expect: error
SELECT s.id, y FROM (SELECT DISTINCT ON (t) id, 1 / x AS y FROM u ORDER BY t, id) s WHERE s.id < 3;
-- expect: error
SELECT s.id, y FROM (SELECT id, 1 / x AS y, row_number() OVER (ORDER BY id) AS r FROM u) s WHERE s.id < 3;
-- What a volatile function does besides its value: Postgres calls it, of columns that nobody needs and of rows that OFFSET passes over, too.
-- do
CREATE FUNCTION noted(i int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$BEGIN IF i = 7 THEN RAISE EXCEPTION 'seven' USING errcode = 'P0077'; END IF; RETURN i; END$$;
-- expect: postgres (a volatile function in the select list of a subquery)
SELECT count(*) FROM (SELECT noted(id) FROM u) s;
-- expect: postgres (a volatile function in the select list of a subquery)
WITH s AS (SELECT noted(id) AS y FROM u WHERE id <> 7) SELECT count(*) FROM s;
-- expect: postgres (a volatile function in the select list of a subquery)
SELECT count(*) FROM u, LATERAL (SELECT noted(u.x + 40)) s;
-- expect: postgres (a volatile function in the select list of a subquery)
SELECT (SELECT count(*) FROM (SELECT noted(i.id) FROM u i WHERE i.id < u.id % 5 OFFSET 0) s) FROM u;
-- expect: postgres (a volatile function in the select list of a subquery)
SELECT count(*) FROM (SELECT id, noted(id) FROM u WHERE id > 7 UNION ALL SELECT id, x FROM u) s;
-- expect: postgres (a volatile function in the select list of a subquery)
SELECT count(*) FROM (SELECT DISTINCT x, noted(id) FROM u WHERE id > 7) s;
-- expect: postgres (a volatile function in FROM)
SELECT count(*) FROM u, (VALUES (noted(7)), (noted(8))) v (a);
-- expect: postgres (a volatile function in FROM)
SELECT count(*) FROM u, noted(7);
-- expect: postgres (OFFSET, WITH TIES or a set-returning function)
SELECT id, noted(id) FROM u ORDER BY id OFFSET 10 LIMIT 3;
-- expect: postgres (OFFSET, WITH TIES or a set-returning function)
SELECT id, noted(id + 7) FROM u ORDER BY id FETCH FIRST 3 ROWS WITH TIES;
SELECT id, noted(id + 7) FROM u ORDER BY id LIMIT 3;
