SELECT p.id, p.name, count(*), sum(c.amount) FROM parents p JOIN children c ON c.parent = p.id JOIN plain m ON m.id = p.id GROUP BY p.id, p.name
SELECT m.note, s.* FROM plain m JOIN (SELECT parent, count(*) AS n, sum(amount) AS total, min(amount) AS least FROM children GROUP BY parent) s ON s.parent = m.id
SELECT m.note, s.* FROM plain m LEFT JOIN (SELECT parent, count(*) AS n FROM children GROUP BY parent HAVING count(*) > 1) s ON s.parent = m.id
SELECT m.note, s.* FROM plain m, (SELECT count(*) FILTER (WHERE amount > 10) AS n, count(DISTINCT parent) AS d, max(amount) AS x FROM children) s
SELECT m.note, s.* FROM plain m, (SELECT avg(amount) AS a FROM children) s
SELECT m.note, s.name, s.n FROM plain m JOIN (SELECT p.name, p.id, count(c.id) AS n FROM parents p JOIN children c ON c.parent = p.id WHERE c.amount > 5 GROUP BY p.name, p.id) s ON s.id = m.id
SELECT m.note, p.name, c.amount FROM plain m JOIN parents p ON p.id = m.id JOIN children c ON c.parent = p.id WHERE c.amount > 3 AND p.name <> 'two'
SELECT m.note, p.name FROM plain m JOIN parents p ON p.id = m.id AND p.name > 'a' || m.note
SELECT m.note, (SELECT count(*) FROM children c WHERE c.parent = m.id) FROM plain m
SELECT m.note, (SELECT c.amount FROM children c WHERE c.parent = m.id ORDER BY c.amount, c.id LIMIT 1) FROM plain m
SELECT m.note, l.* FROM plain m, LATERAL (SELECT c.id, c.amount FROM children c WHERE c.parent = m.id AND c.amount > m.id ORDER BY c.id LIMIT 2) l
SELECT m.note, l.* FROM plain m LEFT JOIN LATERAL (SELECT c.amount * m.id AS product, c.id FROM children c WHERE c.parent = m.id) l ON true
SELECT m.note FROM plain m WHERE EXISTS (SELECT 1 FROM children c WHERE c.parent = m.id)
SELECT m.note FROM plain m WHERE m.id NOT IN (SELECT c.parent FROM children c WHERE c.parent IS NOT NULL)
SELECT m.note, i.v, i.c FROM plain m JOIN items i ON i.id = m.id
SELECT m.note, i.id FROM plain m JOIN items i ON i.n4 = m.id::bigint + 0
SELECT m.note, i.id FROM plain m LEFT JOIN items i ON i.v = m.note
SELECT a.id, b.id FROM items a JOIN items b ON a.n4 = b.n4 JOIN plain m ON m.id = a.id
SELECT a.id, b.id FROM items a LEFT JOIN items b ON a.id = b.n4 JOIN plain m ON m.id = a.id
SELECT m.id, x.v FROM plain m JOIN (SELECT DISTINCT v FROM items) x ON length(x.v) = m.id
SELECT m.id, x.flag, x.n FROM plain m JOIN (SELECT flag, count(*) AS n FROM items GROUP BY flag) x ON x.n >= m.id
SELECT m.id, count(i.id) FROM plain m LEFT JOIN items i ON i.n2 < m.id GROUP BY m.id
SELECT count(*) FROM plain m, parents p, children c
SELECT m.id, p.id FROM plain m FULL JOIN parents p ON p.id = m.id
SELECT m.id, i.id FROM plain m JOIN items i ON i.d > date '2000-01-01' + m.id
SELECT m.id, i.id FROM plain m JOIN items i ON i.num > m.id::numeric AND i.ts > timestamp '1999-01-01'
SELECT m.id, p.tag FROM plain m JOIN parents p ON p.id = m.id WHERE p.tag IS NULL OR p.tag = m.note
