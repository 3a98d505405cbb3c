-- Semi, anti and mark joins without an equality: EXISTS with an inequality, ALL and ANY, EXISTS in the select list.
-- setup
CREATE TABLE ev (id int PRIMARY KEY, kind text, at date, amount int, extra int);
CREATE TABLE st (sk int PRIMARY KEY, city text, lo int, hi int, size int);
CREATE TABLE one (id int PRIMARY KEY, n int);
CREATE TABLE none (n int PRIMARY KEY, m int);
INSERT INTO ev SELECT i, chr(97 + i % 5), date '2024-01-01' + i % 50, CASE WHEN i % 11 = 0 THEN NULL ELSE i * 37 % 101 END, i % 7 FROM generate_series(1, 240) i;
INSERT INTO st SELECT i, 'city' || i % 4, i * 5, CASE WHEN i % 9 = 0 THEN NULL ELSE i * 5 + i % 20 END, i % 6 FROM generate_series(-3, 40) i;
INSERT INTO one VALUES (1, 7), (2, NULL), (3, 30);
-- queries
SELECT id, kind FROM ev WHERE EXISTS (SELECT 1 FROM st WHERE lo < ev.amount AND hi > ev.amount);
SELECT kind, extra FROM ev WHERE NOT EXISTS (SELECT 1 FROM st WHERE lo < ev.amount AND hi > ev.id);
SELECT sk, city FROM st WHERE EXISTS (SELECT 1 FROM ev WHERE ev.amount BETWEEN st.lo AND st.hi);
SELECT city, size FROM st WHERE NOT EXISTS (SELECT 1 FROM ev WHERE ev.amount + 1 > st.lo * 2 AND ev.extra < st.size);
SELECT size FROM st WHERE NOT EXISTS (SELECT 1 FROM ev WHERE ev.amount > st.lo + 60);
SELECT city, size, EXISTS (SELECT 1 FROM ev WHERE ev.amount < st.lo) AS lower FROM st;
SELECT kind, EXISTS (SELECT 1 FROM st WHERE ev.id < st.lo) AS lower, NOT EXISTS (SELECT 1 FROM st WHERE ev.amount = st.hi) AS unmatched FROM ev;
SELECT kind FROM ev WHERE kind = 'a' OR EXISTS (SELECT 1 FROM st WHERE ev.amount < st.lo AND st.size = 5);
SELECT sk FROM st WHERE city = 'city1' OR EXISTS (SELECT 1 FROM ev WHERE ev.id < st.sk AND ev.extra = 3);
SELECT sk, hi FROM st WHERE (NOT EXISTS (SELECT 1 FROM ev WHERE ev.id < st.sk)) IS TRUE;
SELECT kind, at FROM ev WHERE amount <> ALL (SELECT hi FROM st WHERE hi IS NOT NULL);
SELECT kind, at FROM ev WHERE amount <> ALL (SELECT hi FROM st);
SELECT extra FROM ev WHERE amount > ALL (SELECT size FROM st WHERE st.lo < ev.id);
SELECT id, extra FROM ev WHERE amount >= ANY (SELECT hi FROM st WHERE st.size = ev.extra);
SELECT id, amount >= ANY (SELECT hi FROM st WHERE st.size < ev.extra), amount < ALL (SELECT lo FROM st WHERE st.size > ev.extra) FROM ev;
SELECT id FROM ev WHERE amount > ALL (SELECT n FROM none) AND NOT EXISTS (SELECT 1 FROM none WHERE m < ev.id);
SELECT n, n > ANY (SELECT amount FROM ev), n <= ALL (SELECT amount FROM ev WHERE amount > 20), n = ANY (SELECT amount FROM ev WHERE kind = 'a') FROM one;
SELECT n FROM one WHERE n > ANY (SELECT id FROM ev) OR n IS NULL;
SELECT n FROM one WHERE NOT EXISTS (SELECT 1 FROM ev WHERE ev.id > one.n + 200);
SELECT count(*) FROM ev WHERE EXISTS (SELECT 1 FROM st WHERE st.lo > ev.amount);
SELECT count(*) FROM one WHERE NOT EXISTS (SELECT 1 FROM ev WHERE ev.id < one.n);
SELECT kind, count(*), sum(amount) FROM ev WHERE EXISTS (SELECT 1 FROM one WHERE one.n < ev.amount) GROUP BY kind;
SELECT city, count(*) FILTER (WHERE EXISTS (SELECT 1 FROM ev WHERE ev.id > st.hi * 3)) FROM st GROUP BY city;
SELECT e.kind, s.city FROM ev e JOIN st s ON s.sk = e.extra WHERE NOT EXISTS (SELECT 1 FROM ev x WHERE x.at > e.at AND x.amount > s.lo AND x.extra = e.extra);
SELECT e.kind, e.extra FROM ev e WHERE EXISTS (SELECT 1 FROM ev x WHERE x.extra = e.extra AND x.amount > e.amount AND x.kind <> e.kind);
SELECT e.extra FROM ev e WHERE NOT EXISTS (SELECT 1 FROM ev x WHERE x.extra = e.extra AND x.id > e.id);
SELECT e.kind, e.at FROM ev e WHERE EXISTS (SELECT 1 FROM ev x WHERE x.kind = e.kind AND x.amount > e.amount + 60) OR e.id < 5;
SELECT x.kind, x.late FROM (SELECT kind, extra, at > ANY (SELECT date '2024-01-01' + n FROM one) AS late FROM ev) x WHERE x.extra = 2;
SELECT CASE WHEN EXISTS (SELECT 1 FROM st WHERE st.lo > ev.amount AND st.size <> ev.extra) THEN 'yes' ELSE 'no' END, count(*) FROM ev GROUP BY 1;
-- ordered
SELECT id, EXISTS (SELECT 1 FROM st WHERE st.lo > ev.amount) FROM ev ORDER BY extra, id LIMIT 20;
