SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY n4, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY n4 DESC, id DESC) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY n4 NULLS FIRST, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY n4 DESC NULLS LAST, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY v COLLATE "C", id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY v DESC, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY c, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY t, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY flag, num DESC, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY d DESC, ts, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY f8, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY tz NULLS FIRST, id) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY num NULLS FIRST, big, id LIMIT 5) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY v, id LIMIT 3 OFFSET 2) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY id OFFSET 9) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY id LIMIT 0) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY id LIMIT ALL OFFSET 0) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items ORDER BY id DESC FETCH FIRST 2 ROWS ONLY) s
SELECT string_agg(n4::text, ',') FROM (SELECT n4 FROM items ORDER BY n4 FETCH FIRST 4 ROWS WITH TIES) s
SELECT string_agg(id::text || ' ' || coalesce(n, 0)::text, ',') FROM (SELECT id, n4 / 3 AS n FROM items ORDER BY id LIMIT 4) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items WHERE v LIKE 'a%' ORDER BY id DESC) s
SELECT string_agg(id::text, ',') FROM (SELECT id FROM items WHERE sqrt(abs(id)) > 2 ORDER BY n2, id LIMIT 4) s
SELECT string_agg(v, ',') FROM (SELECT DISTINCT v FROM items ORDER BY v) s
SELECT string_agg(coalesce(c, '-'), ',') FROM (SELECT DISTINCT c FROM items ORDER BY c DESC) s
SELECT string_agg(coalesce(n4, -1)::text, ',') FROM (SELECT DISTINCT n4, flag FROM items ORDER BY n4, flag LIMIT 5) s
SELECT DISTINCT flag FROM items
SELECT DISTINCT n2, n4 FROM items
SELECT DISTINCT v, flag FROM items
SELECT DISTINCT c FROM items
SELECT DISTINCT num, f8 FROM items
SELECT DISTINCT count(*) FROM items GROUP BY n4
SELECT DISTINCT ON (n4) n4, id FROM items ORDER BY n4, id DESC
SELECT count(DISTINCT v), count(DISTINCT c), count(DISTINCT n4) FROM items
SELECT string_agg(n4::text || ':' || n, ',') FROM (SELECT n4, count(*) AS n FROM items WHERE n4 IS NOT NULL GROUP BY n4 ORDER BY count(*) DESC, n4 LIMIT 4) s
SELECT string_agg(v || ':' || n, ',') FROM (SELECT v, count(*) AS n FROM items GROUP BY v HAVING count(*) > 1 ORDER BY v) s
SELECT flag, avg(n2), avg(n4), avg(n8), avg(num), count(*) FROM items GROUP BY flag
SELECT avg(n2), avg(n4), avg(num), avg(amount) FROM items, children WHERE n4 = children.id
SELECT avg(num) FROM items WHERE id < 0
SELECT avg(DISTINCT n4), avg(n4) FILTER (WHERE flag), sum(num) FILTER (WHERE NOT flag) FROM items WHERE n4 < 1000
SELECT round(avg(num), 2), avg(n4)::int, 1 + count(*), sum(n4) / 2 FROM items WHERE n4 < 1000
SELECT flag, avg(num) FROM items GROUP BY flag HAVING count(*) > 3
SELECT flag, avg(num) FROM items GROUP BY flag HAVING avg(n4) > 100 AND count(*) > 1
SELECT flag, min(v), max(v), min(c), max(c), min(d), max(ts), min(tz), sum(n8) FILTER (WHERE n8 < 1000 AND n8 > 0) FROM items GROUP BY flag
SELECT v, n2 + 1, count(*) FROM items WHERE n2 < 100 GROUP BY v, n2 + 1
SELECT stddev(num), bool_and(flag) FROM items WHERE num < 100
SELECT p.id, p.name, c.id, c.amount FROM parents p LEFT JOIN children c ON c.parent = p.id
SELECT p.id, p.name, c.id FROM parents p LEFT JOIN children c ON c.parent = p.id AND c.amount > 5
SELECT p.id, p.name, c.id FROM parents p LEFT JOIN children c ON c.parent = p.id AND p.id > 2 WHERE p.name <> 'two'
SELECT p.id, c.id FROM parents p LEFT JOIN children c ON c.parent = p.id WHERE c.id IS NULL OR c.amount IS NULL
SELECT p.id, c.id FROM parents p RIGHT JOIN children c ON c.parent = p.id
SELECT p.id, c.id FROM parents p FULL JOIN children c ON c.parent = p.id
SELECT p.id, c.id FROM (SELECT * FROM parents WHERE id > 1) p FULL JOIN (SELECT * FROM children WHERE amount > 0) c ON c.parent = p.id
SELECT p.id, c.id, i.id FROM parents p LEFT JOIN (children c JOIN items i ON i.id = c.id) ON c.parent = p.id
SELECT p.id, c.id, i.id FROM parents p LEFT JOIN children c ON c.parent = p.id LEFT JOIN items i ON i.n4 = c.id
SELECT p.id, c.id, i.id FROM parents p JOIN items i ON i.id = p.id LEFT JOIN children c ON c.parent = p.id AND i.flag
SELECT p.id FROM parents p WHERE EXISTS (SELECT 1 FROM children c WHERE c.parent = p.id)
SELECT p.id FROM parents p WHERE NOT EXISTS (SELECT 1 FROM children c WHERE c.parent = p.id)
SELECT p.id FROM parents p WHERE NOT EXISTS (SELECT 1 FROM children c WHERE c.parent = p.id AND c.amount > p.id)
SELECT p.id FROM parents p WHERE p.id IN (SELECT parent FROM children WHERE amount > 1)
SELECT p.id FROM parents p WHERE p.id NOT IN (SELECT parent FROM children)
SELECT p.id FROM parents p WHERE p.id NOT IN (SELECT parent FROM children WHERE parent IS NOT NULL)
SELECT p.tag, count(*), sum(c.amount) FROM parents p LEFT JOIN children c ON c.parent = p.id GROUP BY p.tag
SELECT p.name, count(c.id) FROM parents p LEFT JOIN children c ON c.parent = p.id GROUP BY p.name HAVING count(c.id) = 0
SELECT string_agg(id::text || ':' || coalesce(cid, 0), ',') FROM (SELECT p.id, c.id AS cid FROM parents p LEFT JOIN children c ON c.parent = p.id ORDER BY c.id NULLS FIRST, p.id LIMIT 4) s
SELECT string_agg(name || ':' || cid, ',') FROM (SELECT p.name, c.id AS cid FROM parents p JOIN children c ON c.parent = p.id ORDER BY p.name DESC, c.id) s
SELECT a.id, b.id FROM items a JOIN items b ON a.v = b.v WHERE a.id < b.id
SELECT a.id, b.id FROM items a LEFT JOIN items b ON a.c = b.c AND b.id > a.id
SELECT a.id, b.id FROM items a FULL JOIN items b ON a.n4 = b.id
SELECT id, rank() OVER (ORDER BY n4, id), sum(n4) OVER (PARTITION BY flag ORDER BY id) FROM items WHERE n4 < 1000
SELECT m.note, s.id FROM plain m JOIN (SELECT id, n4 FROM items ORDER BY n4, id LIMIT 6) s ON s.n4 = m.id OR s.id = m.id
SELECT m.note, s.v FROM plain m LEFT JOIN (SELECT DISTINCT v FROM items) s ON s.v > m.note
SELECT m.note, s.* FROM plain m LEFT JOIN LATERAL (SELECT count(*) AS n, avg(c.amount) AS a FROM children c WHERE c.parent = m.id) s ON true
SELECT m.note, (SELECT count(*) FROM children c JOIN parents p ON p.id = c.parent WHERE c.parent = m.id) FROM plain m
SELECT m.note, (SELECT max(c.amount) FROM children c WHERE c.parent = m.id AND c.amount < m.id * 10) FROM plain m
SELECT m.note, l.* FROM plain m, LATERAL (SELECT c.id FROM children c WHERE c.parent = m.id ORDER BY c.amount DESC NULLS LAST, c.id LIMIT 1) l
SELECT m.note, l.* FROM plain m, LATERAL (SELECT c.id FROM children c WHERE c.parent > m.id ORDER BY c.id LIMIT m.id - 1) l
SELECT m.note, p.id, c.id FROM plain m LEFT JOIN (parents p LEFT JOIN children c ON c.parent = p.id AND c.amount > 5) ON p.id = m.id
SELECT m.note FROM plain m WHERE EXISTS (SELECT 1 FROM parents p JOIN children c ON c.parent = p.id WHERE p.id = m.id)
SELECT m.note FROM plain m WHERE (SELECT count(*) FROM children c WHERE c.parent = m.id) > 1
WITH x AS MATERIALIZED (SELECT parent, count(*) AS n FROM children GROUP BY parent) SELECT a.parent, a.n, b.n FROM x a JOIN x b ON a.n = b.n JOIN plain m ON m.id = a.parent
WITH x AS (SELECT id FROM items ORDER BY id LIMIT 3) SELECT m.note, x.id FROM plain m LEFT JOIN x ON x.id = m.id
WITH RECURSIVE r AS (SELECT 1 AS id UNION ALL SELECT r.id + 1 FROM r JOIN parents p ON p.id = r.id WHERE r.id < 4) SELECT r.id, m.note FROM r JOIN plain m ON m.id = r.id
SELECT m.id FROM plain m WHERE m.id = (SELECT min(id) FROM parents WHERE tag IS NULL)
SELECT m.id, x.id FROM plain m JOIN (SELECT id, parent FROM children UNION ALL SELECT id, n4 FROM items) x ON x.parent = m.id
SELECT flag, n2, count(*), sum(n4), grouping(flag, n2) FROM items GROUP BY GROUPING SETS ((flag, n2), (flag), (), ())
SELECT flag, n2, count(*), grouping(n2) FROM items GROUP BY CUBE (flag, n2) HAVING count(*) > 1
SELECT flag, count(*), max(id) FROM items GROUP BY ROLLUP (flag) ORDER BY 3, 2, 1 LIMIT 3
SELECT v, flag, count(*), sum(num) FROM items GROUP BY GROUPING SETS (ROLLUP (v), flag), GROUPING SETS ((), (flag))
SELECT n2 + 1, c, count(DISTINCT n4) FROM items GROUP BY DISTINCT GROUPING SETS ((n2 + 1), (c), (n2 + 1), ()) HAVING grouping(c) = 0 OR count(*) > 2
SELECT m.note, s.flag, s.n FROM plain m JOIN (SELECT flag, n2, count(*) AS n FROM items GROUP BY ROLLUP (flag, n2)) s ON s.n = m.id
