SELECT id FROM items WHERE n2 <> 0 AND n4 / n2 > 0
SELECT id FROM items WHERE n2 IS NULL OR n2 = 0 OR n4 / n2 > 0
SELECT id, (n4 <> 0 AND 100 / n4 > 5), (n4 = 0 OR 100 % n4 = 2), NOT (n4 <> 0 AND 100 / n4 > 5) IS TRUE FROM items
SELECT id FROM items WHERE abs(n4) < 1000 AND n4 * 1000000 > 0 AND flag
SELECT id FROM items WHERE n4 IN (1, 7, 8) OR (n4 BETWEEN -1000 AND 1000 AND (n4 + 1) * 2000000 > 0)
SELECT p.id, c.id FROM parents p JOIN children c ON p.id <> 3 AND c.parent = p.id AND 10 / (p.id - 3) > 4
SELECT id, n4 % -1, n8 % (-1)::bigint, n8 % n4 FROM items WHERE n4 <> 0
