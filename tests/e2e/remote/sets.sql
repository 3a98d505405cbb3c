SELECT flag, n2, count(*), sum(n4), grouping(flag), grouping(n2), grouping(flag, n2) FROM items GROUP BY GROUPING SETS ((flag, n2), (flag), (n2), ())
SELECT flag, count(*), sum(n4), grouping(flag) FROM items WHERE id < 0 GROUP BY GROUPING SETS ((flag), ())
SELECT count(*), max(v) FROM items WHERE id < 0 GROUP BY GROUPING SETS ((), ())
SELECT flag, count(*) FROM items WHERE id < 0 GROUP BY GROUPING SETS ((flag), (flag))
SELECT d, ts, num, v, c, count(*), grouping(d, ts, num, v, c) FROM items GROUP BY GROUPING SETS ((d), (ts), (num), (v), (c), (v))
SELECT n4, sum(n4), max(id), count(n4), min(v) FROM items WHERE n4 < 1000 GROUP BY GROUPING SETS ((n4), (v), ())
SELECT coalesce(n4, -1), CASE WHEN v IS NULL THEN 'none' ELSE v END, count(*) FROM items GROUP BY GROUPING SETS ((n4), (v), ())
SELECT p.tag, c.parent, count(*), sum(c.amount), grouping(p.tag) FROM parents p LEFT JOIN children c ON c.parent = p.id GROUP BY CUBE (p.tag, c.parent)
SELECT tag, count(DISTINCT name), count(*) FILTER (WHERE id > 1) FROM parents GROUP BY ROLLUP (tag)
SELECT flag, n2, avg(num), count(*) FROM items GROUP BY ROLLUP (flag, n2) HAVING grouping(n2) = 1
SELECT extract(year FROM d), flag, count(*) FROM items GROUP BY CUBE (extract(year FROM d), flag)
SELECT x.flag, x.n FROM (SELECT flag, count(*) AS n FROM items GROUP BY ROLLUP (flag)) x WHERE x.flag IS NULL
SELECT m.note, s.flag, s.n FROM plain m JOIN (SELECT flag, n2, count(*) AS n FROM items GROUP BY ROLLUP (flag, n2)) s ON s.n = m.id
SELECT DISTINCT ON (parent) parent, id FROM children ORDER BY parent, id DESC
SELECT DISTINCT ON (parent) parent, id, amount FROM children ORDER BY parent DESC NULLS LAST, amount NULLS FIRST, id
SELECT DISTINCT ON (flag, n2) n2, flag, id FROM items ORDER BY flag, n2, id
SELECT DISTINCT ON (n2, flag) n2, flag, id FROM items ORDER BY flag DESC, n2, v COLLATE "C", id
SELECT DISTINCT ON (v) id, n4 FROM items ORDER BY v, id
SELECT DISTINCT ON (c) c, id FROM items ORDER BY c, id DESC
SELECT DISTINCT ON (d) d, num FROM items WHERE id > 2 ORDER BY d, num, id LIMIT 3
SELECT DISTINCT ON (id) id, v FROM items WHERE id < 0 ORDER BY id
SELECT DISTINCT ON (flag) flag FROM items
SELECT count(*), sum(id) FROM (SELECT DISTINCT ON (flag) flag, id FROM items ORDER BY flag, id DESC) s
SELECT string_agg(coalesce(parent, 0) || ':' || id, ',') FROM (SELECT DISTINCT ON (parent) parent, id FROM children ORDER BY parent, id) s
SELECT string_agg(coalesce(parent, 0) || ':' || id, ',') FROM (SELECT DISTINCT ON (parent) parent, id FROM children ORDER BY parent DESC, id LIMIT 3 OFFSET 1) s WHERE id > 0
SELECT p.id, s.id FROM parents p JOIN (SELECT DISTINCT ON (parent) parent, id FROM children ORDER BY parent, amount DESC, id) s ON s.parent = p.id
SELECT DISTINCT ON (p.tag) p.tag, c.id FROM parents p JOIN children c ON c.parent = p.id ORDER BY p.tag, c.id
SELECT DISTINCT ON (p.tag) p.tag, count(*) FROM parents p GROUP BY p.tag, p.name ORDER BY p.tag, count(*) DESC
SELECT m.note, s.id FROM plain m LEFT JOIN (SELECT DISTINCT ON (parent) parent, id FROM children ORDER BY parent, id) s ON s.parent = m.id
SELECT string_agg(n4::text, ',') FROM (SELECT n4 FROM items ORDER BY n4 FETCH FIRST 4 ROWS WITH TIES) s
SELECT id, parent FROM children ORDER BY parent FETCH FIRST 1 ROW WITH TIES
SELECT id, parent FROM children ORDER BY parent DESC OFFSET 1 FETCH FIRST 2 ROWS WITH TIES
SELECT id FROM children ORDER BY parent FETCH FIRST 0 ROWS WITH TIES
SELECT flag, count(*) FROM items GROUP BY flag ORDER BY count(*) FETCH FIRST ROW WITH TIES
SELECT v, id FROM items ORDER BY v COLLATE "C" DESC NULLS LAST FETCH FIRST 3 ROWS WITH TIES
SELECT m.note, s.parent FROM plain m JOIN (SELECT id, parent FROM children ORDER BY parent FETCH FIRST 2 ROWS WITH TIES) s ON s.id = m.id
SELECT id, row_number() OVER (PARTITION BY flag ORDER BY n4, id), rank() OVER (ORDER BY flag), dense_rank() OVER (ORDER BY v DESC) FROM items
SELECT * FROM (SELECT id, n4, rank() OVER (PARTITION BY flag ORDER BY n4 DESC NULLS LAST) AS r FROM items) s WHERE r <= 2
SELECT flag, n, rank() OVER (ORDER BY n), dense_rank() OVER (PARTITION BY n > 2 ORDER BY flag NULLS FIRST) FROM (SELECT flag, count(*) AS n FROM items GROUP BY flag) s
SELECT parent, sum(id) FROM (SELECT parent, id, row_number() OVER (PARTITION BY parent ORDER BY amount, id) AS n FROM children) s WHERE n = 1 GROUP BY parent
