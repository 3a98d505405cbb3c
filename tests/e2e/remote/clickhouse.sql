SELECT * FROM edges
SELECT id FROM edges WHERE u = 18446744073709551615
SELECT id FROM edges WHERE u > 5.5
SELECT id FROM edges WHERE u < 5.5
SELECT id FROM edges WHERE u IN (5, 6, 7.0)
SELECT id, u * 2, u + 1, -u FROM edges
SELECT sum(u), max(u), min(u), count(u) FROM edges
SELECT sum(u) FROM edges WHERE id > 100
SELECT id, w + 1, w * 3 FROM edges
SELECT sum(w), min(w), max(w) FROM edges
SELECT id FROM edges WHERE w < 0
SELECT id FROM edges WHERE f = 'NaN'
SELECT id FROM edges WHERE f > 1
SELECT id FROM edges WHERE f >= 0.1
SELECT id FROM edges WHERE f < 0.1
SELECT id FROM edges WHERE f <= 0
SELECT id FROM edges WHERE f = 0
SELECT id FROM edges WHERE f <> 0.1
SELECT id FROM edges WHERE NOT (f > 1)
SELECT id FROM edges WHERE 1 < f
SELECT id FROM edges WHERE 0.1 >= f
SELECT a.id, b.id FROM edges a JOIN edges b ON a.f = b.f
SELECT a.id, b.id FROM edges a JOIN edges b ON a.id < b.id AND a.f < b.f
SELECT a.id, b.id FROM edges a JOIN edges b ON a.id < b.id AND a.f >= b.f
SELECT f, count(*) FROM edges GROUP BY f
SELECT min(f), max(f) FROM edges
SELECT e, count(*) FROM edges GROUP BY e
SELECT min(e), max(e) FROM edges
SELECT id, e FROM edges ORDER BY e, id LIMIT 3
SELECT id FROM edges WHERE e < 'b'
SELECT id FROM edges WHERE e LIKE 'a%'
SELECT id FROM edges WHERE e = 'nothing'
SELECT id FROM edges WHERE d = '2149-06-06'
SELECT id FROM edges WHERE d > '2149-06-06'
SELECT id FROM edges WHERE d < '1970-01-01'
SELECT id FROM edges WHERE d >= '1900-01-01'
SELECT id FROM edges WHERE d < '2300-01-01'
SELECT id FROM edges WHERE d IN ('2000-01-01', '1999-12-31')
SELECT id FROM edges WHERE d BETWEEN '1999-12-31' AND '2000-01-01'
SELECT id FROM edges WHERE dt = '2106-02-07 06:28:15+00'
SELECT id FROM edges WHERE dt < '2000-01-01 00:00:00.5+00'
SELECT id FROM edges WHERE dt > '2106-02-07 06:28:15.000001+00'
SELECT min(dt), max(dt), count(DISTINCT dt) FROM edges
SELECT d, dt, count(*) FROM edges GROUP BY d, dt
SELECT id FROM edges WHERE s = E'tab\t quote'' back\\ `x` "y"'
SELECT id FROM edges WHERE s LIKE E'%\\\\ `%'
SELECT id FROM edges WHERE s LIKE 'line%break'
SELECT id FROM edges WHERE s LIKE 'line_break'
SELECT id FROM edges WHERE s LIKE '\%\_\\'
SELECT id FROM edges WHERE s = 'trailing'
SELECT id FROM edges WHERE s = 'trailing  '
SELECT id FROM edges WHERE s = ''
SELECT id FROM edges WHERE s IN (E'line\nbreak', '', 'x', 'y', '%_\')
SELECT id FROM edges WHERE s NOT IN (E'line\nbreak', '', 'x', 'y', '%_\')
SELECT id FROM edges WHERE low IN ('x', 'q', 'r', 's', NULL)
SELECT id FROM edges WHERE low NOT IN ('x', 'q', 'r', 's')
SELECT id FROM edges WHERE (low NOT IN ('x', 'q', 'r', 's', NULL)) IS NULL
SELECT id FROM edges WHERE (low IN ('x', NULL)) IS UNKNOWN
SELECT id FROM edges WHERE low NOT IN (SELECT low FROM edges)
SELECT id FROM edges WHERE low NOT IN (SELECT low FROM edges WHERE low = 'x')
SELECT id FROM edges WHERE low NOT IN (SELECT low FROM edges WHERE id > 100)
SELECT id FROM edges WHERE (low IN (SELECT low FROM edges WHERE id > 2)) IS NULL
SELECT id, length(s), substring(s, 5, 3) FROM edges
SELECT id, dec * 10, dec + 0.5 FROM edges WHERE id > 1
SELECT id FROM edges WHERE dec = 1.5
SELECT id FROM edges WHERE dec < -0.00000000005
SELECT sum(dec) FROM edges WHERE id > 1
SELECT sum(id), sum(DISTINCT id), count(DISTINCT low), count(low) FROM edges
SELECT sum(id) FILTER (WHERE low IS NULL), count(*) FILTER (WHERE e = 'a') FROM edges
SELECT sum(id), min(s), count(*) FROM edges WHERE id < 0
SELECT low, sum(id) FROM edges GROUP BY low HAVING sum(id) > 3
SELECT a.id, (SELECT count(*) FROM edges b WHERE b.low = a.low AND b.id > a.id) FROM edges a
SELECT a.id, (SELECT sum(b.id) FROM edges b WHERE b.low = a.low AND b.id > a.id) FROM edges a
SELECT a.id, (SELECT coalesce(sum(b.id), 0) FROM edges b WHERE b.low = a.low AND b.id > a.id) FROM edges a
SELECT a.id, (SELECT b.id FROM edges b WHERE b.low = a.low AND b.id > a.id AND b.id > 4) FROM edges a
SELECT a.id FROM edges a WHERE (SELECT b.id FROM edges b WHERE b.low = a.low) > 0
SELECT a.id FROM edges a WHERE EXISTS (SELECT 1 FROM edges b WHERE b.low = a.low AND b.id <> a.id)
SELECT a.id FROM edges a WHERE NOT EXISTS (SELECT 1 FROM edges b WHERE b.low = a.low AND b.id <> a.id)
SELECT a.id, b.id FROM edges a LEFT JOIN edges b ON a.low = b.low AND b.id > a.id
SELECT a.id, b.id FROM edges a LEFT JOIN edges b ON b.id > a.id + 3
SELECT a.id, b.id, c.id FROM edges a LEFT JOIN (edges b JOIN edges c ON b.id = c.id + 1) ON a.id = b.id
SELECT a.id, b.id FROM edges a RIGHT JOIN edges b ON a.id = b.id AND a.id > 2
SELECT a.id, b.s FROM edges a LEFT JOIN edges b ON a.id = b.id AND b.id > 3 WHERE b.s IS NULL
SELECT count(*) FROM edges a JOIN edges b ON a.u = b.u
SELECT DISTINCT low, e FROM edges
SELECT low FROM edges ORDER BY low DESC NULLS LAST, id LIMIT 3 OFFSET 1
SELECT id, CASE WHEN low = 'x' THEN u ELSE 0 END, coalesce(low, e) FROM edges
SELECT id FROM edges WHERE s = repeat('long é', 2000)
SELECT c.id FROM children c WHERE EXISTS (SELECT 1 FROM parents p LEFT JOIN items i ON i.id = c.parent WHERE p.id = c.id)
