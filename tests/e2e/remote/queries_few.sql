SELECT id, n2, n4, n8, f8, v, t FROM items
SELECT count(*) FROM items
SELECT id FROM items WHERE v = 'apple'
SELECT id FROM items WHERE v = 'apple '
SELECT id FROM items WHERE v <> 'apple'
SELECT id FROM items WHERE v = ''
SELECT id FROM items WHERE v = 'it''s'
SELECT id FROM items WHERE t = 'SHORT'
SELECT id FROM items WHERE t = 'quote '' and " and ` and \ and \n'
SELECT id FROM items WHERE v IN ('apple', 'zebra', '')
SELECT id FROM items WHERE v NOT IN ('apple', NULL)
SELECT id FROM items WHERE v < 'apple' COLLATE "C"
SELECT id FROM items WHERE v LIKE 'a%'
SELECT id FROM items WHERE v LIKE 'A%'
SELECT id FROM items WHERE n4 > 2147483646
SELECT id FROM items WHERE n8 = -9223372036854775808
SELECT id FROM items WHERE n8 <> 7 OR n8 IS NULL
SELECT id FROM items WHERE n4 NOT IN (7, 8, NULL)
SELECT id FROM items WHERE n4 + 1 > 5
SELECT id, n4 / 3 FROM items
SELECT id FROM items WHERE f8 = 0.1
SELECT v, count(*) FROM items GROUP BY v
SELECT n2, count(*), count(v) FROM items GROUP BY n2
SELECT DISTINCT v FROM items
SELECT count(DISTINCT v), count(DISTINCT n2), min(n8), max(n8), min(n2) FROM items
SELECT sum(n2), sum(n4), avg(n4) FROM items
SELECT sum(n8) FROM items
SELECT n2, count(*) FILTER (WHERE n4 > 5) FROM items GROUP BY n2
SELECT id, CASE n2 WHEN 7 THEN 1 WHEN 8 THEN 2 END FROM items
SELECT id, coalesce(n4, 0), nullif(n2, 7) FROM items
SELECT id FROM items WHERE v IS DISTINCT FROM 'apple'
SELECT id, v FROM items ORDER BY n4 DESC, id LIMIT 5
SELECT id FROM items ORDER BY n2 NULLS FIRST, id LIMIT 4 OFFSET 1
SELECT id FROM items ORDER BY v COLLATE "C", id LIMIT 4
SELECT i.id, p.name FROM items i JOIN parents p ON i.id = p.id
SELECT p.id, i.v FROM parents p LEFT JOIN items i ON i.id = p.id AND i.n2 > 0
SELECT id FROM items WHERE id IN (SELECT id FROM parents WHERE tag = 'x')
SELECT id FROM items i WHERE NOT EXISTS (SELECT FROM parents p WHERE p.id = i.id)
