SELECT * FROM lists
SELECT id, i FROM lists WHERE i = '{1,2}'
SELECT DISTINCT i FROM lists
SELECT id FROM lists WHERE i IS NULL
SELECT id, i[1], t[2] FROM lists WHERE id > 1
SELECT t, count(*) FROM lists GROUP BY t
SELECT id, t FROM lists ORDER BY t, id LIMIT 3
SELECT id, coalesce(t, '{none}') FROM lists
SELECT a.id, b.id FROM lists a JOIN lists b ON a.i = b.i
SELECT id FROM lists WHERE 2 = ANY (i)
SELECT count(i), count(DISTINCT f), max(id) FROM lists
SELECT id, array_length(i, 1), f FROM lists WHERE b = '{t,f}'
