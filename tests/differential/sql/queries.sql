-- Queries: every clause of SELECT over small tables.
-- setup
CREATE TABLE dept (id int PRIMARY KEY, name text NOT NULL, boss int, budget numeric(12,2));
INSERT INTO dept VALUES (1, 'sales', 10, 1000.00), (2, 'research', 11, 2500.50), (3, 'empty', NULL, 0), (4, 'support', 99, NULL);
CREATE TABLE emp (id int PRIMARY KEY, name text, dept int, boss int, salary numeric(10,2), hired date, grade char(2), active bool NOT NULL);
INSERT INTO emp VALUES
    (10, 'Ada', 1, NULL, 5000, '2001-01-15', 'A', true), (11, 'Bob', 2, 10, 4000, '2003-06-01', 'B', true), (12, 'Cyd', 1, 10, 4000, '2003-06-01', 'B', false),
    (13, 'Dan', 2, 11, 3500.55, '2010-02-28', 'C', true), (14, 'Eve', NULL, 11, NULL, NULL, NULL, true), (15, 'Fay', 1, 12, 3500.55, '2015-12-31', 'C', true),
    (16, 'Gus', 4, 13, 100, '2020-02-29', 'D', false), (17, 'Hal', 2, 13, 4000, '2021-07-04', 'B', true), (18, NULL, 1, 15, 0, '1999-12-31', 'D', true);
CREATE TABLE sale (id bigint PRIMARY KEY, emp int, day date, amount numeric(12,2), qty smallint, kind text);
INSERT INTO sale SELECT i, 10 + i % 9, date '2022-01-01' + i * 3 % 365, (i * 37 % 1000) / 4.0, (i % 7)::smallint, (ARRAY['web', 'shop', 'phone', NULL])[1 + i % 4] FROM generate_series(1, 300) i;
CREATE TABLE parent (id int PRIMARY KEY, v int);
CREATE TABLE child (extra int, PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1, 10), (2, 20);
INSERT INTO child VALUES (3, 30, 300);
CREATE TABLE nothing (id int PRIMARY KEY);
INSERT INTO nothing SELECT generate_series(1, 5);
CREATE VIEW staff AS SELECT e.id, e.name, d.name AS dept FROM emp e LEFT JOIN dept d ON d.id = e.dept WHERE e.active;
-- queries
SELECT * FROM emp;
SELECT e.*, d.name FROM emp e JOIN dept d ON e.dept = d.id;
SELECT e.name, d.name FROM emp e LEFT JOIN dept d ON e.dept = d.id;
SELECT e.name, d.name FROM emp e RIGHT JOIN dept d ON e.dept = d.id;
SELECT e.name, d.name FROM emp e FULL JOIN dept d ON e.dept = d.id;
SELECT e.name, d.name FROM emp e FULL JOIN dept d ON e.dept = d.id AND d.budget > 1000;
SELECT e.name, d.name FROM emp e CROSS JOIN dept d WHERE d.id < 3;
SELECT e.name, d.name FROM emp e, dept d WHERE e.dept = d.id AND e.salary > d.budget;
SELECT e.name, d.name FROM emp e LEFT JOIN dept d ON e.dept = d.id AND e.salary > d.budget;
SELECT e.name, d.name FROM emp e LEFT JOIN dept d ON e.salary > d.budget;
SELECT e.name, m.name, g.name FROM emp e LEFT JOIN emp m ON e.boss = m.id LEFT JOIN emp g ON m.boss = g.id;
SELECT id, e.name, d.name FROM emp e JOIN dept d USING (id);
SELECT id, e.name, d.name FROM emp e FULL JOIN dept d USING (id);
SELECT * FROM dept NATURAL JOIN (SELECT id, boss FROM dept) x;
SELECT d.name, e.name FROM dept d LEFT JOIN (emp e JOIN sale s ON s.emp = e.id AND s.amount > 240) ON e.dept = d.id;
SELECT e.name FROM emp e WHERE e.dept IN (SELECT id FROM dept WHERE budget > 500);
SELECT e.name FROM emp e WHERE e.salary > (SELECT avg(salary) FROM emp);
SELECT e.name FROM emp e WHERE e.salary > (SELECT avg(salary) FROM emp x WHERE x.dept = e.dept);
SELECT e.name, (SELECT count(*) FROM sale s WHERE s.emp = e.id), (SELECT max(s.amount) FROM sale s WHERE s.emp = e.id AND s.kind = 'web') FROM emp e;
SELECT d.name FROM dept d WHERE EXISTS (SELECT 1 FROM emp e WHERE e.dept = d.id AND EXISTS (SELECT 1 FROM sale s WHERE s.emp = e.id AND s.amount > 200));
SELECT d.name FROM dept d WHERE NOT EXISTS (SELECT 1 FROM emp e WHERE e.dept = d.id);
SELECT e.name FROM emp e WHERE e.salary >= ALL (SELECT x.salary FROM emp x WHERE x.dept = e.dept AND x.salary IS NOT NULL);
SELECT e.name FROM emp e WHERE (e.dept, e.salary) IN (SELECT dept, max(salary) FROM emp GROUP BY dept);
SELECT d.name, x.top FROM dept d, LATERAL (SELECT max(e.salary) AS top FROM emp e WHERE e.dept = d.id) x;
SELECT d.name, x.name FROM dept d LEFT JOIN LATERAL (SELECT e.name FROM emp e WHERE e.dept = d.id ORDER BY e.salary DESC NULLS LAST, e.id LIMIT 2) x ON true;
SELECT d.name, x.n, y.s FROM dept d CROSS JOIN LATERAL (SELECT count(*) AS n FROM emp e WHERE e.dept = d.id) x CROSS JOIN LATERAL (SELECT x.n * 2 AS s) y;
SELECT e.name, v.x FROM emp e JOIN LATERAL (VALUES (e.id, 'id'), (e.dept, 'dept')) v (x, what) ON v.x IS NOT NULL;
SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (NULL, NULL)) v (x, y) JOIN dept d ON d.id = v.x;
SELECT dept, count(*), sum(salary), avg(salary), min(hired), max(name) FROM emp GROUP BY dept;
SELECT dept, grade, count(*) FROM emp GROUP BY dept, grade HAVING count(*) > 1 OR grade = 'A';
SELECT dept AS d, extract(year from hired) AS y, count(*) FROM emp GROUP BY d, y;
SELECT count(*) FROM emp HAVING count(*) > 100;
SELECT 1 FROM emp HAVING true;
SELECT dept + 1, count(*) * 2, sum(salary) / count(salary) FROM emp GROUP BY dept + 1;
SELECT name, salary FROM emp GROUP BY id;
SELECT sum(salary) FILTER (WHERE active), count(*) FILTER (WHERE salary > 1000 AND dept = 1) FROM emp;
SELECT dept, count(DISTINCT grade), sum(DISTINCT salary), count(DISTINCT (salary > 1000)) FROM emp GROUP BY dept;
SELECT dept, grade, count(*), grouping(dept), grouping(dept, grade) FROM emp GROUP BY ROLLUP (dept, grade);
SELECT dept, active, sum(salary), grouping(dept, active) FROM emp GROUP BY CUBE (dept, active);
SELECT dept, grade, count(*) FROM emp GROUP BY GROUPING SETS ((dept), (grade), ());
SELECT dept, grade, active, count(*) FROM emp GROUP BY dept, GROUPING SETS ((grade), (active));
SELECT dept, grade, count(*) FROM emp GROUP BY GROUPING SETS ((dept, grade), (dept, grade), ROLLUP (dept));
SELECT dept, sum(salary) FROM emp GROUP BY ROLLUP (dept) HAVING grouping(dept) = 0 OR sum(salary) > 1;
SELECT count(*), grouping(dept) FROM emp WHERE false GROUP BY ROLLUP (dept);
SELECT DISTINCT dept, grade FROM emp;
-- ordered
SELECT DISTINCT ON (dept) dept, name, salary FROM emp ORDER BY dept, salary DESC NULLS LAST, id;
-- ordered
SELECT DISTINCT ON (dept, active) dept, active, id FROM emp ORDER BY dept NULLS FIRST, active DESC, hired, id;
-- ordered
SELECT * FROM (SELECT DISTINCT ON (emp) emp, id, amount FROM sale ORDER BY emp, amount DESC, id) x ORDER BY amount DESC, id LIMIT 5;
SELECT id, name, row_number() OVER (PARTITION BY dept ORDER BY salary DESC NULLS LAST, id), rank() OVER (PARTITION BY dept ORDER BY salary DESC), dense_rank() OVER (ORDER BY salary) FROM emp;
SELECT id, percent_rank() OVER (ORDER BY salary), cume_dist() OVER (ORDER BY salary), ntile(4) OVER (ORDER BY id) FROM emp;
SELECT id, sum(salary) OVER (ORDER BY hired), avg(salary) OVER (ORDER BY hired, id ROWS 2 PRECEDING), count(*) OVER () FROM emp;
SELECT id, sum(amount) OVER (PARTITION BY emp ORDER BY day, id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING), min(amount) OVER (PARTITION BY emp ORDER BY id ROWS BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING) FROM sale;
SELECT id, first_value(id) OVER w, last_value(id) OVER w, nth_value(id, 2) OVER w FROM emp WINDOW w AS (PARTITION BY dept ORDER BY hired, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING);
SELECT id, lag(salary, 1, 0.00) OVER (ORDER BY id), lead(name) OVER (PARTITION BY dept ORDER BY id), lag(hired, 2) OVER (ORDER BY id DESC) FROM emp;
SELECT id, sum(qty) OVER (ORDER BY day RANGE BETWEEN '7 days' PRECEDING AND CURRENT ROW) FROM sale;
SELECT id, count(*) OVER (ORDER BY qty RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM sale;
SELECT id, sum(qty) OVER (ORDER BY qty GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW), count(*) OVER (ORDER BY qty GROUPS 2 PRECEDING) FROM sale;
SELECT id, sum(salary) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW), count(*) OVER (ORDER BY salary RANGE UNBOUNDED PRECEDING EXCLUDE TIES) FROM emp;
SELECT id, sum(sum(amount)) OVER (ORDER BY id) FROM sale GROUP BY id HAVING id < 20;
SELECT emp, sum(amount), rank() OVER (ORDER BY sum(amount) DESC), sum(amount) / sum(sum(amount)) OVER () FROM sale GROUP BY emp;
SELECT id, count(*) FILTER (WHERE active) OVER (PARTITION BY dept) FROM emp;
SELECT * FROM (SELECT id, dept, row_number() OVER (PARTITION BY dept ORDER BY salary DESC NULLS LAST, id) AS r FROM emp) x WHERE r <= 2;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY qty), percentile_disc(0.25) WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY qty) FROM sale;
SELECT kind, percentile_disc(0.9) WITHIN GROUP (ORDER BY amount DESC), percentile_disc(0.5) WITHIN GROUP (ORDER BY day) FROM sale GROUP BY kind;
-- expect: any
SELECT percentile_cont(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY qty), rank(3) WITHIN GROUP (ORDER BY qty) FROM sale;
-- expect: any
SELECT corr(amount, qty), regr_slope(amount, qty), covar_pop(amount, qty) FROM sale;
SELECT string_agg(name, ', ' ORDER BY name), array_agg(id ORDER BY salary NULLS FIRST, id) FROM emp;
SELECT dept FROM emp UNION SELECT id FROM dept;
SELECT dept FROM emp UNION ALL SELECT id FROM dept;
SELECT dept FROM emp INTERSECT SELECT id FROM dept;
SELECT dept FROM emp EXCEPT SELECT id FROM dept;
SELECT dept FROM emp INTERSECT ALL SELECT dept FROM emp WHERE active;
SELECT dept FROM emp EXCEPT ALL SELECT id FROM dept;
SELECT id, name FROM emp UNION (SELECT id, name FROM dept EXCEPT SELECT 3, 'empty') UNION ALL SELECT 0, NULL;
SELECT id, 1.5 FROM dept UNION ALL SELECT 2, id FROM dept;
SELECT id::smallint FROM dept UNION ALL SELECT id FROM sale WHERE id < 4;
SELECT pg_typeof(x) FROM (SELECT qty AS x FROM sale UNION SELECT amount FROM sale) y LIMIT 1;
-- ordered
(SELECT id, name FROM emp ORDER BY id LIMIT 2) UNION ALL (SELECT id, name FROM dept ORDER BY id DESC LIMIT 2) ORDER BY 1;
WITH x AS (SELECT dept, avg(salary) AS a FROM emp GROUP BY dept) SELECT e.name FROM emp e JOIN x ON x.dept = e.dept AND e.salary > x.a;
WITH x AS MATERIALIZED (SELECT * FROM sale WHERE amount > 100), y AS (SELECT emp, count(*) AS n FROM x GROUP BY emp) SELECT e.name, y.n FROM emp e LEFT JOIN y ON y.emp = e.id;
WITH x AS NOT MATERIALIZED (SELECT * FROM emp) SELECT a.id, b.id FROM x a JOIN x b ON a.boss = b.id;
WITH x AS (SELECT 1 AS one), y AS (SELECT one + 1 AS two FROM x) SELECT one, two, d.name FROM x, y, dept d WHERE d.id = two;
-- expect: any
WITH RECURSIVE up AS (SELECT id, boss, 1 AS depth FROM emp WHERE id = 18 UNION ALL SELECT e.id, e.boss, up.depth + 1 FROM emp e JOIN up ON e.id = up.boss) SELECT * FROM up;
-- ordered
SELECT id, name FROM emp ORDER BY salary DESC NULLS LAST, id LIMIT 3;
-- ordered
SELECT id FROM emp ORDER BY id OFFSET 3;
-- ordered
SELECT id FROM emp ORDER BY id LIMIT 2 OFFSET 100;
-- ordered
SELECT id FROM emp ORDER BY id LIMIT 0;
-- ordered
SELECT id FROM emp ORDER BY id LIMIT NULL;
-- ordered
SELECT id FROM emp ORDER BY id LIMIT ALL OFFSET NULL;
-- ordered
SELECT id FROM emp ORDER BY id FETCH FIRST 2 ROWS ONLY;
-- expect: any
SELECT salary FROM emp ORDER BY salary FETCH FIRST 3 ROWS WITH TIES;
-- expect: error
SELECT id FROM emp ORDER BY id LIMIT -1;
-- ordered
SELECT name AS n, salary * 2 AS double FROM emp WHERE salary > 0 ORDER BY double DESC, n;
-- ordered
SELECT id FROM emp ORDER BY salary * -1, id;
-- ordered
SELECT dept, count(*) FROM emp GROUP BY dept ORDER BY count(*) DESC, dept;
-- ordered
SELECT id, CASE WHEN active THEN 1 END AS a FROM emp ORDER BY a NULLS FIRST, id;
SELECT count(*) FROM (SELECT id FROM sale ORDER BY id LIMIT 10 OFFSET 5) x;
SELECT FROM nothing;
SELECT count(*) FROM (SELECT FROM nothing) x;
SELECT 1, 'const', NULL, now() IS NOT NULL FROM nothing;
SELECT count(*) FROM nothing a, nothing b, nothing c;
SELECT * FROM staff;
SELECT dept, count(*) FROM staff GROUP BY dept;
SELECT s.dept, sum(x.amount) FROM staff s JOIN sale x ON x.emp = s.id GROUP BY s.dept;
-- expect: any
SELECT * FROM parent;
SELECT * FROM ONLY parent;
SELECT * FROM child;
SELECT generate_series(1, 2), id FROM dept;
SELECT g, d.id FROM dept d, generate_series(1, d.id) g;
-- expect: any
SELECT * FROM emp TABLESAMPLE BERNOULLI (100);
-- expect: postgres ()
SELECT id FROM emp WHERE id = 10 FOR UPDATE;
SELECT CASE WHEN count(*) > 5 THEN 'many' ELSE 'few' END FROM emp;
SELECT id, (SELECT name FROM dept WHERE dept.id = emp.dept) IS NULL AS lost FROM emp;
SELECT sum(x) FROM (SELECT sum(amount) AS x FROM sale GROUP BY emp) y;
SELECT a.emp, count(*) FROM sale a JOIN sale b ON a.emp = b.emp AND a.day = b.day - 3 GROUP BY a.emp;
SELECT e.name, count(s.id) FROM emp e LEFT JOIN sale s ON s.emp = e.id AND s.kind IS NULL GROUP BY e.id;
SELECT kind, sum(amount * qty), avg(qty), count(*) FROM sale WHERE day >= '2022-03-01' AND day < date '2022-03-01' + interval '3 months' GROUP BY kind;
SELECT date_trunc('month', day)::date AS m, sum(amount), count(DISTINCT emp) FROM sale GROUP BY 1;
SELECT id FROM emp WHERE id IN (SELECT boss FROM emp) AND id NOT IN (SELECT boss FROM dept WHERE boss IS NOT NULL);
SELECT count(*) FROM sale s WHERE amount > (SELECT avg(amount) FROM sale t WHERE t.emp = s.emp AND t.kind IS NOT DISTINCT FROM s.kind);
SELECT COALESCE((SELECT sum(amount) FROM sale WHERE emp = 999), 0);
SELECT id, name FROM emp WHERE name = 'Ada' OR (dept = 2 AND salary BETWEEN 3000 AND 4000) OR name IS NULL;
SELECT a.id FROM emp a WHERE a.salary = (SELECT max(b.salary) FROM emp b WHERE b.dept = a.dept AND b.id <> (SELECT min(c.id) FROM emp c WHERE c.dept = a.dept));
-- both
PREPARE p1 (int, numeric) AS SELECT id, name FROM emp WHERE dept = $1 AND salary > $2;
EXECUTE p1 (1, 100);
EXECUTE p1 (NULL, 100);
EXECUTE p1 (2, 3600.5);
-- both
PREPARE p2 (text, date, int) AS SELECT count(*), sum(amount) FROM sale WHERE kind = $1 AND day >= $2 AND qty % $3 = 0;
EXECUTE p2 ('web', '2022-02-01', 2);
EXECUTE p2 (NULL, '2022-02-01', 2);
-- expect: error
EXECUTE p2 ('web', '2022-02-01', 0);
EXECUTE p2 ('shop', 'infinity', 1);
EXECUTE p2 ('shop', '-infinity', 1);
EXECUTE p2 ('shop', '2022-06-01', 3);
EXECUTE p2 ('phone', '2022-06-01', 3);
EXECUTE p2 ('phone', '2022-07-01', 2);
COPY (SELECT dept, count(*) FROM emp GROUP BY dept ORDER BY dept) TO STDOUT;
-- both
BEGIN;
-- both
DECLARE c CURSOR FOR SELECT id, name FROM emp ORDER BY id;
-- both
FETCH 3 FROM c;
-- both
FETCH 100 FROM c;
-- both
COMMIT;
-- both
DECLARE h SCROLL CURSOR WITH HOLD FOR SELECT id, salary FROM emp ORDER BY id;
-- both
FETCH LAST FROM h;
-- both
FETCH BACKWARD 2 FROM h;
-- both
FETCH ABSOLUTE 1 FROM h;
-- both
CLOSE h;
