-- NULL and boolean: three-valued logic in every place where it shows.
-- setup
CREATE TABLE n1 (id int PRIMARY KEY, a int, b int, t text, f bool);
INSERT INTO n1 VALUES (1, 1, 1, 'x', true), (2, 1, NULL, 'y', false), (3, NULL, 1, NULL, NULL), (4, NULL, NULL, '', true),
    (5, 2, 3, 'x', false), (6, 0, 0, 'z', NULL);
CREATE TABLE n2 (id int PRIMARY KEY, a int, t text);
INSERT INTO n2 VALUES (1, 1, 'x'), (2, NULL, NULL), (3, 3, '');
CREATE TABLE n3 (id int PRIMARY KEY, a int NOT NULL);
INSERT INTO n3 VALUES (1, 1), (2, 5);
CREATE TABLE none (id int PRIMARY KEY, a int, t text);
-- NOT NULL, which older rows need not obey from release 18 on.
CREATE TABLE n4 (id int PRIMARY KEY, a int);
INSERT INTO n4 VALUES (1, 1), (2, NULL), (3, 5);
DO $$ BEGIN IF current_setting('server_version_num')::int >= 180000 THEN EXECUTE 'ALTER TABLE n4 ADD CONSTRAINT later NOT NULL a NOT VALID'; END IF; END $$;
-- queries
SELECT id, a = b, a <> b, a < b, a IS DISTINCT FROM b, a IS NOT DISTINCT FROM b FROM n1;
SELECT id, f AND true, f AND false, f OR true, f OR false, NOT f, f AND NULL, f OR NULL FROM n1;
SELECT id, f IS TRUE, f IS NOT TRUE, f IS FALSE, f IS NOT FALSE, f IS UNKNOWN, f IS NOT UNKNOWN FROM n1;
SELECT id, f::text, f::int, f FROM n1;
SELECT id, f = true, f <> false, f < true, f > false FROM n1;
SELECT id, a IN (1, 2), a IN (1, NULL), a NOT IN (1, 2), a NOT IN (1, NULL), a NOT IN (NULL) FROM n1;
SELECT id FROM n1 WHERE a NOT IN (SELECT a FROM n2);
SELECT id FROM n1 WHERE a NOT IN (SELECT a FROM n3);
SELECT id FROM n1 WHERE a NOT IN (SELECT a FROM none);
SELECT id FROM n1 WHERE a IN (SELECT a FROM n2);
SELECT id, a IN (SELECT a FROM n2), a NOT IN (SELECT a FROM n2) FROM n1;
SELECT id, a IN (SELECT a FROM none), a NOT IN (SELECT a FROM n3) FROM n1;
SELECT id, a = ANY (SELECT a FROM n2), a <> ALL (SELECT a FROM n2), a <> ANY (SELECT a FROM n2) FROM n1;
SELECT id, a > ALL (SELECT a FROM n3), a > ALL (SELECT a FROM none), a > ANY (SELECT a FROM none) FROM n1;
SELECT id, a >= ALL (SELECT a FROM n2), a < ANY (SELECT a FROM n2) FROM n1;
SELECT id, a = ANY (ARRAY[1, NULL]), a <> ALL (ARRAY[1, NULL]), a = ALL (ARRAY[1, 1]), a <> ANY (ARRAY[1, 2]) FROM n1;
SELECT id FROM n1 x WHERE NOT EXISTS (SELECT 1 FROM n2 WHERE n2.a = x.a);
SELECT id FROM n1 x WHERE EXISTS (SELECT NULL FROM n2 WHERE n2.a = x.a);
SELECT id, EXISTS (SELECT 1 FROM n2 WHERE n2.a > x.a) FROM n1 x;
SELECT id FROM n1 WHERE (a, b) IN (SELECT a, id FROM n2);
SELECT id FROM n1 WHERE (a, b) NOT IN (SELECT a, id FROM n2);
SELECT id FROM n1 WHERE (a, b) = (1, 1);
SELECT id, (a, b) < (1, 2), (a, b) <= (1, 1), (a, b) <> (1, 1) FROM n1;
SELECT id, (a, b) IS NULL, (a, b) IS NOT NULL FROM n1;
SELECT (SELECT a FROM n2 WHERE id = 99), (SELECT max(a) FROM none), (SELECT count(*) FROM none);
SELECT id, (SELECT n2.t FROM n2 WHERE n2.id = n1.id) FROM n1;
-- expect: error
SELECT id, (SELECT n2.a FROM n2) FROM n1;
-- expect: error
SELECT id, (SELECT n2.a FROM n2 WHERE n2.id >= n1.id) FROM n1;
SELECT min(a), max(a), sum(a), avg(a), count(a), count(*) FROM none;
-- expect: any
SELECT min(t), string_agg(t, ','), array_agg(a), bool_and(a > 0), bool_or(a > 0) FROM none;
SELECT t, count(*) FROM none GROUP BY t;
SELECT count(*), count(a), count(b), count(DISTINCT a), sum(a), avg(b) FROM n1;
SELECT a, count(*), count(b), sum(b) FROM n1 GROUP BY a;
SELECT a, b, count(*) FROM n1 GROUP BY a, b;
SELECT DISTINCT a FROM n1;
SELECT DISTINCT a, f FROM n1;
SELECT count(*) FILTER (WHERE f), count(*) FILTER (WHERE NOT f), sum(a) FILTER (WHERE f IS NULL) FROM n1;
SELECT bool_and(f), bool_or(f), every(f) FROM n1;
SELECT bool_and(f), bool_or(f) FROM n1 WHERE f IS NULL;
SELECT string_agg(t, ',' ORDER BY id), string_agg(t, NULL ORDER BY id), array_agg(a ORDER BY id) FROM n1;
SELECT string_agg(t, ',' ORDER BY id DESC) FILTER (WHERE a = 1) FROM n1;
-- ordered
SELECT id, a FROM n1 ORDER BY a, id;
-- ordered
SELECT id, a FROM n1 ORDER BY a DESC, id;
-- ordered
SELECT id, a FROM n1 ORDER BY a NULLS FIRST, id DESC;
-- ordered
SELECT id, a FROM n1 ORDER BY a DESC NULLS LAST, id LIMIT 4;
-- ordered
SELECT id, f FROM n1 ORDER BY f, id;
SELECT id, lag(a) OVER (ORDER BY id), lead(a, 2) OVER (ORDER BY id), lead(a, 2, -1) OVER (ORDER BY id), lag(t, 0) OVER (ORDER BY id) FROM n1;
SELECT id, lag(a, NULL) OVER (ORDER BY id), lead(a, -1) OVER (ORDER BY id) FROM n1;
SELECT id, first_value(a) OVER (ORDER BY id), last_value(a) OVER (ORDER BY id), nth_value(a, 3) OVER (ORDER BY id) FROM n1;
SELECT id, sum(a) OVER (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING), count(a) OVER (PARTITION BY f) FROM n1;
SELECT id, rank() OVER (ORDER BY a), dense_rank() OVER (ORDER BY a DESC), row_number() OVER (ORDER BY a NULLS FIRST, id) FROM n1;
SELECT id, coalesce(a, b, -1), nullif(a, b), nullif(a, 1), coalesce(NULL, t, 'none') FROM n1;
SELECT id, greatest(a, b), least(a, b), greatest(a, NULL), least(NULL::int, NULL) FROM n1;
SELECT id, CASE a WHEN 1 THEN 'one' WHEN NULL THEN 'never' ELSE 'other' END, CASE WHEN f THEN 1 WHEN NOT f THEN 0 END FROM n1;
SELECT id, a + NULL, a || NULL::text, t || NULL, NULL || t FROM n1;
SELECT id, num_nulls(a, b, t), num_nonnulls(a, b, t) FROM n1;
SELECT n1.id, n2.id FROM n1 JOIN n2 ON n1.a = n2.a;
SELECT n1.id, n2.id FROM n1 LEFT JOIN n2 ON n1.a = n2.a;
SELECT n1.id, n2.id FROM n1 FULL JOIN n2 ON n1.a = n2.a;
SELECT n1.id, n2.id FROM n1 RIGHT JOIN n2 ON n1.t = n2.t AND n1.a = 1;
SELECT n1.id, n2.id FROM n1 JOIN n2 ON n1.a IS NOT DISTINCT FROM n2.a;
SELECT n1.id, n2.id FROM n1 LEFT JOIN n2 ON n1.a = n2.a WHERE n2.id IS NULL;
SELECT n1.id, n2.id, n2.a IS NULL FROM n1 LEFT JOIN n2 ON n1.a < n2.a;
SELECT a FROM n1 UNION SELECT a FROM n2;
SELECT a FROM n1 UNION ALL SELECT a FROM n2;
SELECT a FROM n1 INTERSECT SELECT a FROM n2;
SELECT a FROM n1 EXCEPT SELECT a FROM n2;
SELECT a FROM n1 EXCEPT ALL SELECT a FROM n2;
SELECT a, t FROM n1 INTERSECT ALL SELECT a, t FROM n2;
SELECT id FROM n1 WHERE a = NULL;
SELECT id FROM n1 WHERE NOT (a = 1 AND b = 1);
SELECT id FROM n1 WHERE a = 1 OR b = 1;
SELECT id FROM n1 WHERE f;
SELECT id FROM n1 WHERE NOT f;
SELECT id FROM n1 WHERE (a > 0) IS NOT TRUE;
SELECT id FROM n1 WHERE a BETWEEN 0 AND b;
SELECT id FROM n1 WHERE a NOT BETWEEN 1 AND 1;
SELECT id FROM n1 WHERE t LIKE NULL OR t = '';
SELECT id, t LIKE '%', t NOT LIKE 'x', t IN ('x', NULL) FROM n1;
SELECT count(*) FROM n1 WHERE NULL;
SELECT id, CASE WHEN a IS NULL THEN 'n' ELSE a::text END FROM n1;
SELECT id, xx.s FROM n1 LEFT JOIN LATERAL (SELECT sum(n2.a) AS s FROM n2 WHERE n2.a = n1.a) xx ON true;
SELECT sum(a) IS NULL, count(*) FROM n1 WHERE a > 100;
SELECT a, count(*) FROM n1 GROUP BY a HAVING a IS NULL OR count(*) > 1;
SELECT a, f, count(*), grouping(a, f) FROM n1 GROUP BY CUBE (a, f);
SELECT id, a IS NULL, a IS NOT NULL, coalesce(a, 7) FROM n4;
SELECT count(*) FILTER (WHERE a IS NULL), count(a), count(*), bool_or(a IS NULL) FROM n4;
SELECT id FROM n4 WHERE a IS NULL;
SELECT id FROM n1 WHERE a NOT IN (SELECT a FROM n4);
SELECT count(x.*), count(n4.*) FROM n1 x LEFT JOIN n4 ON n4.id = x.id + 1;
