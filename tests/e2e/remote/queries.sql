SELECT * FROM items
SELECT count(*) FROM items
SELECT id FROM items WHERE v = 'apple'
SELECT id FROM items WHERE v <> 'apple'
SELECT id FROM items WHERE v = 'apple '
SELECT id FROM items WHERE v = ''
SELECT id FROM items WHERE c = 'a'
SELECT id FROM items WHERE c = 'a    '
SELECT id FROM items WHERE c <> 'A'
SELECT id FROM items WHERE t = 'SHORT'
SELECT id FROM items WHERE t = 'quote '' and " and ` and \ and \n'
SELECT id FROM items WHERE t = '日本語テキスト 😀 emoji'
SELECT id FROM items WHERE v = 'naïve café'
SELECT id FROM items WHERE v < 'apple' COLLATE "C"
SELECT id FROM items WHERE v >= 'a'
SELECT id FROM items WHERE v BETWEEN 'A' AND 'Z'
SELECT id FROM items WHERE v IN ('apple', 'zebra', '')
SELECT id FROM items WHERE v NOT IN ('apple', 'zebra')
SELECT id FROM items WHERE v NOT IN ('apple', NULL)
SELECT id FROM items WHERE v LIKE 'a%'
SELECT id FROM items WHERE v LIKE 'A%'
SELECT id FROM items WHERE v NOT LIKE 'a%'
SELECT id FROM items WHERE v LIKE '_pple'
SELECT id FROM items WHERE v LIKE 'apple_'
SELECT id FROM items WHERE v LIKE 'a\%b\_c'
SELECT id FROM items WHERE v LIKE '\_%'
SELECT id FROM items WHERE t LIKE '%|%'
SELECT id FROM items WHERE t LIKE '%\\%'
SELECT id FROM items WHERE t LIKE '%😀%'
SELECT id FROM items WHERE t LIKE '_____ト%'
SELECT id FROM items WHERE t LIKE '%STRASSE%'
SELECT id FROM items WHERE c LIKE 'a%'
SELECT id FROM items WHERE c LIKE 'a'
SELECT id FROM items WHERE v IS NULL
SELECT id FROM items WHERE v IS NOT NULL AND flag
SELECT id FROM items WHERE flag
SELECT id FROM items WHERE NOT flag
SELECT id FROM items WHERE flag IS NOT TRUE
SELECT id FROM items WHERE flag IS UNKNOWN
SELECT id FROM items WHERE (flag OR n4 > 5) IS FALSE
SELECT id FROM items WHERE flag = true
SELECT id FROM items WHERE n2 = 7
SELECT id FROM items WHERE n4 > 2147483646
SELECT id FROM items WHERE n8 = -9223372036854775808
SELECT id FROM items WHERE n8 <> 7 OR n8 IS NULL
SELECT id FROM items WHERE n4 = n8
SELECT id FROM items WHERE n2 < n4
SELECT id FROM items WHERE n4 IN (7, 8, NULL)
SELECT id FROM items WHERE n4 NOT IN (7, 8, NULL)
SELECT id FROM items WHERE NOT (n4 = 7)
SELECT id FROM items WHERE n4 + 1 > 5
SELECT id, n4 + 1 FROM items
SELECT id, n4 / 3 FROM items
SELECT id, n4 / n2 FROM items
SELECT id, num / 3 FROM items
SELECT id, n8 * 2 FROM items WHERE n8 < 1000000 AND n8 > -1000000
SELECT id, num * 2 FROM items
SELECT id, num * num FROM items
SELECT id, num + big, num - big FROM items
SELECT id, num * big FROM items
SELECT id, big * big FROM items
SELECT id, -num FROM items
SELECT id, num * (1 - num) FROM items
SELECT id FROM items WHERE num = 0.3
SELECT id FROM items WHERE num = 0.30
SELECT id FROM items WHERE num > 9999999999.98
SELECT id FROM items WHERE big = 99999999999999999999.9999999999
SELECT id FROM items WHERE num = big
SELECT id FROM items WHERE num = 0.305
SELECT id FROM items WHERE num * 3 > 0.9
SELECT id, round(num, 1), trunc(num, 1) FROM items
SELECT id FROM items WHERE f8 = 0.1
SELECT id FROM items WHERE f8 > 1e308
SELECT id FROM items WHERE f8 = 2.2250738585072014e-308
SELECT id FROM items WHERE f4 = 0.25
SELECT id FROM items WHERE f4 = 0.1
SELECT id FROM items WHERE f4 = 0.1::real
SELECT id FROM items WHERE d = '2024-02-29'
SELECT id FROM items WHERE d < '1900-01-01'
SELECT id FROM items WHERE d >= '9999-12-31'
SELECT id FROM items WHERE d < '10000-01-01'
SELECT id FROM items WHERE d > '0044-03-15 BC'
SELECT id FROM items WHERE d < 'infinity'
SELECT id FROM items WHERE d BETWEEN date '2024-01-01' AND date '2024-01-01' + interval '3 months'
SELECT id FROM items WHERE ts = '2024-02-29 12:34:56.789012'
SELECT id FROM items WHERE ts > '2024-12-31 23:59:59.999998'
SELECT id FROM items WHERE ts < '1583-01-01'
SELECT id FROM items WHERE tz = '2024-02-29 12:34:56.789012+00'
SELECT id FROM items WHERE tz = '2024-10-27 03:30:00+02'
SELECT id FROM items WHERE tz < '1970-01-02'
SELECT id FROM items WHERE tz > '1900-01-01 00:00:00+00'
SELECT id FROM items WHERE tz < '2100-01-01 00:00:00+00'
SELECT id FROM items WHERE d < ts
SELECT id, extract(year FROM d), extract(month FROM d), extract(day FROM d), extract(quarter FROM d) FROM items
SELECT id, extract(hour FROM ts), extract(minute FROM ts) FROM items
SELECT id, extract(second FROM ts), extract(dow FROM d), extract(epoch FROM tz) FROM items
SELECT extract(year FROM d) AS y, count(*) FROM items GROUP BY 1
SELECT id, substring(v, 1, 3), substring(v, 2, 100), substring(v, 1, 0) FROM items
SELECT id, substring(v, 0, 3), substring(v, -2, 5) FROM items
SELECT id, substring(t FROM 1 FOR 5) FROM items
SELECT substring(v, 1, 1) AS s, count(*) FROM items GROUP BY 1
SELECT id, length(v), length(c), length(t), octet_length(t) FROM items
SELECT id, upper(v), lower(v) FROM items
SELECT id, v || '!' || c || '!' FROM items
SELECT v, count(*) FROM items GROUP BY v
SELECT c, count(*) FROM items GROUP BY c
SELECT t, count(*) FROM items GROUP BY t
SELECT DISTINCT v FROM items
SELECT DISTINCT c FROM items
SELECT DISTINCT num, f8 FROM items
SELECT DISTINCT n2, flag FROM items
SELECT count(DISTINCT v), count(DISTINCT c), count(DISTINCT n2), count(v), count(*) FROM items
SELECT min(v), max(v), min(n2), max(n8), min(num), max(big), min(d), max(ts), min(tz) FROM items
SELECT sum(n2), sum(n4), sum(num), sum(big) FROM items
SELECT sum(n8) FROM items
SELECT sum(n8) FROM items WHERE id > 100
SELECT sum(num), count(*), avg(num), min(num) FROM items WHERE id > 100
SELECT avg(n2), avg(n4), avg(n8), avg(num), avg(big) FROM items
SELECT flag, avg(num), sum(num * 2), count(*) FROM items GROUP BY flag
SELECT flag, avg(n4) FROM items GROUP BY flag HAVING count(*) > 2
SELECT flag, count(*) FILTER (WHERE n4 > 5), sum(num) FILTER (WHERE v LIKE 'a%') FROM items GROUP BY flag
SELECT sum(f8), avg(f4) FROM items WHERE id IN (1, 2)
SELECT sum(CASE WHEN flag THEN num ELSE 0 END) FROM items
SELECT sum(CASE WHEN flag THEN num ELSE 0.00 END) FROM items
SELECT id, CASE WHEN n4 > 5 THEN 'many' WHEN n4 < 0 THEN 'few' ELSE v END FROM items
SELECT id, CASE n2 WHEN 7 THEN 1 WHEN 8 THEN 2 END FROM items
SELECT id, coalesce(v, 'none'), coalesce(n4, 0), coalesce(num, 0), nullif(n2, 7), nullif(v, 'apple') FROM items
SELECT id FROM items WHERE coalesce(v, 'x') = 'x'
SELECT id, greatest(n2, n4), least(n2, 5) FROM items
SELECT id FROM items WHERE v IS DISTINCT FROM 'apple'
SELECT id FROM items WHERE n4 IS NOT DISTINCT FROM NULL
SELECT id FROM items ORDER BY id LIMIT 3
SELECT id, v FROM items ORDER BY v, id LIMIT 5
SELECT id, v FROM items ORDER BY v DESC, id LIMIT 5
SELECT id, v FROM items ORDER BY v DESC NULLS LAST, id LIMIT 5
SELECT id, v FROM items ORDER BY v NULLS FIRST, id LIMIT 5
SELECT id, num FROM items ORDER BY num DESC, id DESC LIMIT 3 OFFSET 2
SELECT id FROM items ORDER BY n4 NULLS FIRST, id OFFSET 10
SELECT id, c FROM items ORDER BY c, id LIMIT 20
SELECT id, t FROM items ORDER BY t, id LIMIT 20
SELECT id FROM items ORDER BY d, id LIMIT 0
SELECT v, count(*) FROM items GROUP BY v ORDER BY count(*) DESC, v LIMIT 3
SELECT p.name, c.amount FROM parents p JOIN children c ON c.parent = p.id
SELECT p.name, c.amount FROM parents p LEFT JOIN children c ON c.parent = p.id
SELECT p.name, c.amount FROM parents p RIGHT JOIN children c ON c.parent = p.id
SELECT p.name, c.amount FROM parents p FULL JOIN children c ON c.parent = p.id
SELECT p.name, c.amount FROM parents p LEFT JOIN children c ON c.parent = p.id AND c.amount > 5
SELECT p.name, c.amount FROM parents p LEFT JOIN children c ON c.parent = p.id WHERE c.amount IS NULL
SELECT p.name, x.a FROM parents p LEFT JOIN (SELECT parent, coalesce(amount, 0.00) AS a FROM children) x ON x.parent = p.id
SELECT p.name, x.n FROM parents p LEFT JOIN (SELECT parent, count(*) AS n FROM children GROUP BY parent) x ON x.parent = p.id
SELECT p.name, count(c.id), sum(c.amount) FROM parents p LEFT JOIN children c ON c.parent = p.id GROUP BY p.name
SELECT a.id, b.id FROM parents a JOIN parents b ON a.tag = b.tag
SELECT a.id, b.id FROM parents a, parents b WHERE a.tag < b.tag
SELECT a.id, b.id FROM parents a CROSS JOIN parents b
SELECT name FROM parents WHERE id IN (SELECT parent FROM children)
SELECT name FROM parents WHERE id NOT IN (SELECT parent FROM children)
SELECT name FROM parents WHERE id NOT IN (SELECT parent FROM children WHERE parent IS NOT NULL)
SELECT name FROM parents p WHERE EXISTS (SELECT 1 FROM children c WHERE c.parent = p.id AND c.amount > 10)
SELECT name FROM parents p WHERE NOT EXISTS (SELECT 1 FROM children c WHERE c.parent = p.id)
SELECT name, (SELECT sum(amount) FROM children c WHERE c.parent = p.id) FROM parents p
SELECT name FROM parents p WHERE (SELECT count(*) FROM children c WHERE c.parent = p.id) = 2
SELECT name FROM parents WHERE id = (SELECT max(parent) FROM children WHERE parent < 50)
SELECT name FROM parents WHERE id = (SELECT parent FROM children WHERE parent IS NOT NULL)
SELECT id FROM children WHERE amount > (SELECT avg(amount) FROM children)
SELECT id FROM children c WHERE amount >= (SELECT max(amount) FROM children d WHERE d.parent = c.parent)
WITH s AS (SELECT parent, sum(amount) AS a FROM children GROUP BY parent) SELECT p.name, s.a FROM parents p JOIN s ON s.parent = p.id WHERE s.a > (SELECT avg(a) FROM s)
SELECT id FROM parents UNION SELECT parent FROM children
SELECT id FROM parents UNION ALL SELECT parent FROM children
SELECT tag FROM parents EXCEPT SELECT 'x'
SELECT id FROM parents INTERSECT SELECT parent FROM children
SELECT id, row_number() OVER (ORDER BY id), sum(amount) OVER (PARTITION BY parent ORDER BY id) FROM children
SELECT parent, count(*) FROM children GROUP BY ROLLUP (parent)
SELECT DISTINCT ON (parent) parent, id FROM children ORDER BY parent, id DESC
SELECT p.name, x.id FROM parents p, LATERAL (SELECT id FROM children c WHERE c.parent = p.id ORDER BY amount DESC NULLS LAST LIMIT 1) x
SELECT p.name, m.note FROM parents p JOIN mirrored m ON m.id = p.id
SELECT m.note, count(c.id), sum(c.amount) FROM mirrored m LEFT JOIN children c ON c.parent = m.id GROUP BY m.note
SELECT m.note, c.id FROM mirrored m LEFT JOIN children c ON c.parent = m.id AND c.amount > 5
SELECT m.note, c.id FROM children c RIGHT JOIN mirrored m ON c.parent = m.id AND c.amount > 5 AND m.id > 1
SELECT m.note, c.id FROM mirrored m FULL JOIN children c ON c.parent = m.id AND c.amount > 5
SELECT m.note, s.id FROM mirrored m LEFT JOIN (SELECT c.id, p.tag, c.parent FROM children c JOIN parents p ON p.id = c.parent) s ON s.parent = m.id AND s.id > 1 AND s.tag IS NOT NULL
SELECT m.note FROM mirrored m WHERE m.id IN (SELECT parent FROM children)
SELECT p.name, l.note FROM parents p JOIN plain l ON l.id = p.id WHERE p.name LIKE 't%'
SELECT l.note, i.v FROM plain l LEFT JOIN items i ON i.id = l.id AND i.v = 'apple'
SELECT x FROM (SELECT id + 1 AS x FROM items LIMIT 100) s WHERE x > 5
SELECT count(*) FROM (SELECT 1 FROM items LIMIT 5) s
SELECT items FROM items WHERE id = 1
SELECT tableoid = 'items'::regclass FROM items WHERE id = 1
SELECT id FROM items WHERE id = (random() * 0)::int + 1
SELECT id FROM items WHERE d < now()
SELECT id FROM items WHERE ts < localtimestamp AND v = current_setting('weir.test_value', true)
SELECT a.id FROM items a WHERE NOT EXISTS (SELECT 1 FROM items b WHERE b.n4 = a.n4 AND b.v COLLATE "C" > a.v)
SELECT a.id, (SELECT count(*) FROM items b WHERE b.n2 = a.n2 AND b.v COLLATE "C" >= a.v) FROM items a
SELECT a.id FROM items a WHERE a.v IN (SELECT b.v FROM items b WHERE b.id <> a.id AND b.c = a.c)
SELECT flag, CASE WHEN count(*) > 3 THEN 0 ELSE count(*) END, coalesce(sum(n2), 0), CASE WHEN flag THEN sum(n8) FILTER (WHERE n8 < 1000) ELSE 0 END FROM items GROUP BY flag
SELECT id, CASE WHEN flag THEN extract(year FROM d) ELSE n4::numeric END, coalesce(extract(month FROM ts), n2) FROM items
SELECT p.id, c.id FROM parents p LEFT JOIN children c ON c.parent = p.id AND EXISTS (SELECT 1 FROM items i WHERE i.id = c.id AND i.flag)
SELECT p.id, c.id FROM parents p LEFT JOIN (SELECT * FROM children k WHERE EXISTS (SELECT 1 FROM items i WHERE i.id = k.id AND i.flag)) c ON c.parent = p.id
SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM children c WHERE c.parent = p.id AND EXISTS (SELECT 1 FROM items i WHERE i.id = c.id))), max((SELECT max(amount) FROM children c WHERE c.parent = p.id)) FROM parents p
SELECT p.id, c.id FROM parents p LEFT JOIN children c ON c.parent = p.id WHERE CASE WHEN c.amount > 5 THEN p.id ELSE p.id END > 1
SELECT m.note, i.id FROM plain m JOIN items i ON i.n4 = CASE WHEN m.id > 3 THEN m.id ELSE 7 END
SELECT m.note, i.id FROM plain m LEFT JOIN items i ON CASE WHEN m.id > 3 THEN i.n4 WHEN m.note = 'note 1' THEN i.id END = m.id
SELECT flag, min(nullif(v, c)), max(nullif(c::text, t)), sum(CASE WHEN v = t THEN 0 ELSE 1 END), count(CASE WHEN n2 = n8 THEN NULL ELSE id END) FROM items GROUP BY flag
SELECT count(DISTINCT v) FROM (SELECT v FROM items GROUP BY v) s
SELECT count(DISTINCT v) FROM (SELECT DISTINCT v FROM items) s
SELECT id FROM items WHERE v LIKE 'a%' OR v LIKE '%é' OR v LIKE '_underscore' OR v LIKE '%%_%c'
SELECT sum(1), sum(2.5), count(1), sum(num * 3), sum(num + 1) FROM items WHERE id > 100
SELECT sum(num), count(num), avg(num), sum(num * 3), sum(num + 1), min(num * -1) FROM items
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = coalesce(c.parent, c.id))
SELECT c.id FROM children c WHERE NOT EXISTS (SELECT 1 FROM parents p WHERE p.id = coalesce(c.parent, c.id))
SELECT c.id, EXISTS (SELECT 1 FROM parents p WHERE p.id = coalesce(c.parent, c.id)) FROM children c
SELECT c.id, (SELECT max(p.id) FROM parents p WHERE p.id = coalesce(c.parent, c.id)) FROM children c
SELECT c.id, (SELECT count(*) FROM parents p WHERE p.id = coalesce(c.parent, c.id)) FROM children c
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = c.id AND (c.parent IS NULL OR c.parent < 2))
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = c.id OR c.amount IS NULL)
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = nullif(c.id, c.parent))
SELECT a.id FROM items a WHERE EXISTS (SELECT 1 FROM items b WHERE b.n4 IS NOT DISTINCT FROM a.n4 AND b.id >= a.id)
SELECT a.id FROM items a WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = a.id AND a.flag IS NOT TRUE)
SELECT a.id FROM items a WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = CASE WHEN a.flag THEN a.n4 ELSE 1 END)
SELECT s.id FROM (SELECT id, coalesce(parent, id) AS k FROM children OFFSET 0) s WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = s.k)
SELECT c.id FROM children c WHERE c.id IN (SELECT p.id FROM parents p WHERE c.parent IS NULL OR p.id < 2)
SELECT c.id FROM children c LEFT JOIN parents p ON p.id = c.parent WHERE EXISTS (SELECT 1 FROM items i WHERE i.id = c.id AND i.id <> coalesce(p.id, 0))
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = c.id AND EXISTS (SELECT 1 FROM items i WHERE i.id = p.id AND i.id > coalesce(c.parent, 0)))
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = c.parent AND p.id < c.amount AND c.amount IS NOT NULL)
SELECT c.id FROM children c WHERE NOT EXISTS (SELECT 1 FROM parents p WHERE p.id = c.parent AND p.id < c.amount)
SELECT c.id FROM children c WHERE EXISTS (SELECT max(p.id) FROM parents p WHERE p.id = c.parent)
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM parents p WHERE p.id = c.parent HAVING count(*) = 0)
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM children k WHERE k.parent = c.parent OFFSET 1)
SELECT c.id, (SELECT max(p.id) FROM parents p WHERE p.id = c.parent AND p.id < c.amount) FROM children c
SELECT c.id FROM children c WHERE c.amount > (SELECT max(p.id) FROM parents p WHERE p.id = c.parent)
