-- Shapes of well-known analytical workloads over tables of our own: grouping and joining of wide ranges, a flat star, a catalogue of films.
-- setup
DROP SCHEMA IF EXISTS shapes CASCADE;
CREATE SCHEMA shapes;
CREATE TABLE shapes.x (id int PRIMARY KEY, id1 text, id2 text, id3 text, id4 int, id5 int, id6 int, v1 int, v2 int, v3 float8, v4 numeric(9,6));
INSERT INTO shapes.x SELECT i, 'id' || lpad((i % 7)::text, 3, '0'), 'id' || lpad((i % 11)::text, 3, '0'), 'id' || lpad((i * 31 % 997)::text, 10, '0'), CASE WHEN i % 50 > 0 THEN i % 9 END, i % 13, i * 17 % 499, i % 5 + 1, i % 15 + 1, (i * 7919 % 100000) / 1024.0, (i * 7919 % 100000) / 1000.0 FROM generate_series(1, 3000) i;
CREATE TABLE shapes.small (id1 int PRIMARY KEY, id4 text, v2 numeric(9,6));
INSERT INTO shapes.small SELECT i, 'id' || i, i * 1.234567 FROM generate_series(1, 9) i;
CREATE TABLE shapes.medium (id1 int, id2 int, id5 text, v2 numeric(9,6), PRIMARY KEY (id1, id2));
INSERT INTO shapes.medium SELECT i % 9, i, 'm' || i, i * 0.5 FROM generate_series(1, 60) i;
CREATE TABLE shapes.lo (orderkey int, line int, cust int, part int, supp int, odate int, quantity int, extended int, discount int, revenue int, supplycost int, shipmode char(10), PRIMARY KEY (orderkey, line));
INSERT INTO shapes.lo SELECT i / 4, i % 4, i * 7 % 61, i * 11 % 83, i * 13 % 29, 19920101 + (i % 7) * 10000 + (i % 12) * 100 + i % 28, i % 50 + 1, i * 101 % 90000, i % 11, i * 97 % 80000, i * 53 % 60000, (ARRAY['AIR', 'RAIL', 'SHIP'])[1 + i % 3] FROM generate_series(0, 3999) i;
CREATE TABLE shapes.dates (datekey int PRIMARY KEY, year int, yearmonthnum int, yearmonth text, weeknum int);
INSERT INTO shapes.dates SELECT 19920101 + y * 10000 + m * 100 + d, 1992 + y, (1992 + y) * 100 + m + 1, (ARRAY['Jan','Feb','Mar','Apr','May','Jun','Jul','Aug','Sep','Oct','Nov','Dec'])[m + 1] || (1992 + y), m * 4 + d / 7 FROM generate_series(0, 6) y, generate_series(0, 11) m, generate_series(0, 27) d;
CREATE TABLE shapes.cust (custkey int PRIMARY KEY, name text, city char(10), nation char(15), region char(12));
INSERT INTO shapes.cust SELECT i, 'Customer#' || i, 'UNITED KI' || i % 10, (ARRAY['CHINA','UNITED KINGDOM','JAPAN','BRAZIL'])[1 + i % 4], (ARRAY['ASIA','EUROPE','ASIA','AMERICA'])[1 + i % 4] FROM generate_series(0, 60) i;
CREATE TABLE shapes.supp (suppkey int PRIMARY KEY, name text, city char(10), nation char(15), region char(12));
INSERT INTO shapes.supp SELECT i, 'Supplier#' || i, 'UNITED KI' || i % 10, (ARRAY['CHINA','UNITED KINGDOM','JAPAN','BRAZIL'])[1 + i % 4], (ARRAY['ASIA','EUROPE','ASIA','AMERICA'])[1 + i % 4] FROM generate_series(0, 28) i;
CREATE TABLE shapes.part (partkey int PRIMARY KEY, name text, mfgr char(6), category char(7), brand char(9));
INSERT INTO shapes.part SELECT i, 'part ' || i, 'MFGR#' || i % 5 + 1, 'MFGR#' || i % 5 + 1 || i % 3 + 1, 'MFGR#' || i % 5 + 1 || i % 3 + 1 || i % 20 FROM generate_series(0, 82) i;
CREATE TABLE shapes.title (id int PRIMARY KEY, title text NOT NULL, kind_id int NOT NULL, production_year int, episode_nr int);
INSERT INTO shapes.title SELECT i, (ARRAY['The Champion', 'Money Never', 'Loser', 'Dark Sky', 'Kung Fu (' ]) [1 + i % 5] || ' ' || i, 1 + i % 7, CASE WHEN i % 11 > 0 THEN 1950 + i % 70 END, CASE WHEN i % 3 = 0 THEN i % 30 END FROM generate_series(1, 600) i;
CREATE TABLE shapes.kind (id int PRIMARY KEY, kind varchar(15));
INSERT INTO shapes.kind SELECT i, (ARRAY['movie','tv series','tv movie','video','game','episode','short'])[i] FROM generate_series(1, 7) i;
CREATE TABLE shapes.info (id int PRIMARY KEY, movie_id int NOT NULL, info_type int NOT NULL, info text NOT NULL, note text);
INSERT INTO shapes.info SELECT i, 1 + i * 7 % 640, 1 + i % 6, (ARRAY['Drama','Horror','USA','Germany','8.5','3.1','Bulgaria: 2008'])[1 + i % 7], CASE i % 5 WHEN 0 THEN '(VHS) (USA)' WHEN 1 THEN '(as Metro-Goldwyn-Mayer Pictures)' WHEN 2 THEN '(2006) (worldwide)' END FROM generate_series(1, 3000) i;
CREATE TABLE shapes.company (id int PRIMARY KEY, name text NOT NULL, country varchar(6));
INSERT INTO shapes.company SELECT i, (ARRAY['Warner Film', 'Sky Pictures', 'Lions', 'Polygram Film Co'])[1 + i % 4] || i, CASE i % 5 WHEN 0 THEN '[us]' WHEN 1 THEN '[pl]' WHEN 2 THEN '[de]' END FROM generate_series(1, 40) i;
CREATE TABLE shapes.movie_company (movie_id int, company_id int, company_type int, note text, PRIMARY KEY (movie_id, company_id));
INSERT INTO shapes.movie_company SELECT i % 620, 1 + i * 3 % 45, 1 + i % 4, CASE WHEN i % 4 > 0 THEN '(' || 1990 + i % 30 || ') (USA) (TV)' END FROM generate_series(1, 1500) i ON CONFLICT DO NOTHING;
-- queries
SELECT id1, sum(v1) AS v1 FROM x GROUP BY id1;
SELECT id1, id2, sum(v1) AS v1 FROM x GROUP BY id1, id2;
SELECT id3, sum(v1) AS v1, avg(v4) AS v4, avg(v3) AS v3 FROM x GROUP BY id3;
SELECT id4, avg(v1) AS v1, avg(v2) AS v2, avg(v3) AS v3 FROM x GROUP BY id4;
SELECT id6, sum(v1) AS v1, sum(v2) AS v2, sum(v3) AS v3 FROM x GROUP BY id6;
SELECT id4, id5, percentile_cont(0.5) WITHIN GROUP (ORDER BY v3) AS median, stddev(v4) AS sd FROM x GROUP BY id4, id5;
SELECT id3, max(v1) - min(v2) AS range_v1_v2 FROM x GROUP BY id3;
SELECT id6, largest2_v3 FROM (SELECT id6, v3 AS largest2_v3, row_number() OVER (PARTITION BY id6 ORDER BY v3 DESC, id) AS order_v3 FROM x WHERE v3 IS NOT NULL) sub WHERE order_v3 <= 2;
SELECT id1, id2, id3, id4, id5, id6, sum(v3) AS v3, count(*) AS n FROM x GROUP BY id1, id2, id3, id4, id5, id6;
SELECT x.id, x.id4, small.id4 AS small_id4, v1, small.v2 FROM x JOIN small ON x.id4 = small.id1;
SELECT x.id, medium.id5, v1, medium.v2 FROM x LEFT JOIN medium ON x.id5 = medium.id2 AND x.id4 = medium.id1;
SELECT count(*), sum(medium.v2) FROM x LEFT JOIN medium ON 'm' || x.id5 = medium.id5;
SELECT sum(extended * discount) AS revenue FROM lo, dates WHERE odate = datekey AND year = 1993 AND discount BETWEEN 1 AND 3 AND quantity < 25;
SELECT sum(extended::bigint * discount) AS revenue FROM lo, dates WHERE odate = datekey AND weeknum = 6 AND year = 1994 AND discount BETWEEN 5 AND 7 AND quantity BETWEEN 26 AND 35;
-- ordered
SELECT sum(revenue), year, brand FROM lo, dates, part, supp WHERE odate = datekey AND part = partkey AND supp = suppkey AND category = 'MFGR#12' AND region = 'AMERICA' GROUP BY year, brand ORDER BY year, brand;
-- ordered
SELECT sum(revenue), year, brand FROM lo, dates, part, supp WHERE odate = datekey AND part = partkey AND supp = suppkey AND brand BETWEEN 'MFGR#21' AND 'MFGR#33' AND region = 'ASIA' GROUP BY year, brand ORDER BY year, brand;
-- ordered
SELECT c.nation, s.nation, year, sum(revenue) AS revenue FROM cust c, lo, supp s, dates WHERE lo.cust = c.custkey AND lo.supp = s.suppkey AND odate = datekey AND c.region = 'ASIA' AND s.region = 'ASIA' AND year BETWEEN 1992 AND 1997 GROUP BY c.nation, s.nation, year ORDER BY year, revenue DESC, 1, 2;
-- ordered
SELECT c.city, s.city, year, sum(revenue) AS revenue FROM cust c, lo, supp s, dates WHERE lo.cust = c.custkey AND lo.supp = s.suppkey AND odate = datekey AND (c.city = 'UNITED KI1' OR c.city = 'UNITED KI5') AND (s.city = 'UNITED KI1' OR s.city = 'UNITED KI5') AND yearmonth = 'Dec1997' GROUP BY c.city, s.city, year ORDER BY year, revenue DESC, 1, 2;
-- ordered
SELECT year, c.nation, sum(revenue - supplycost) AS profit FROM dates, cust c, supp s, part p, lo WHERE lo.cust = c.custkey AND lo.supp = s.suppkey AND lo.part = p.partkey AND odate = datekey AND c.region = 'AMERICA' AND s.region = 'AMERICA' AND (p.mfgr = 'MFGR#1' OR p.mfgr = 'MFGR#2') GROUP BY year, c.nation ORDER BY year, c.nation;
SELECT shipmode, c.nation, grouping(shipmode, c.nation), sum(revenue) FROM lo JOIN cust c ON cust = custkey GROUP BY CUBE (shipmode, c.nation);
SELECT min(mc.note) AS production_note, min(t.title) AS movie_title, min(t.production_year) AS movie_year FROM info i, movie_company mc, title t WHERE mc.company_type = 2 AND mc.note NOT LIKE '%(as Metro-Goldwyn-Mayer Pictures)%' AND (mc.note LIKE '%(co-production)%' OR mc.note LIKE '%(USA)%') AND t.id = mc.movie_id AND t.id = i.movie_id AND mc.movie_id = i.movie_id AND i.info_type = 3;
SELECT min(cn.name), min(i.info), min(t.title) FROM company cn, info i, info i2, kind k, movie_company mc, title t WHERE cn.country <> '[us]' AND i.info IN ('Germany', 'USA', '8.5') AND i2.info < '8.6' AND k.kind IN ('movie', 'episode') AND mc.note NOT LIKE '%(USA)%' AND t.production_year > 2005 AND k.id = t.kind_id AND t.id = i.movie_id AND t.id = i2.movie_id AND t.id = mc.movie_id AND cn.id = mc.company_id;
SELECT min(t.title) FROM title t JOIN movie_company mc ON mc.movie_id = t.id JOIN company c ON c.id = mc.company_id WHERE (t.title LIKE '%Champion%' OR t.title LIKE '%Loser%') AND c.name ~ 'Film|Warner' AND (c.country = '[pl]' OR c.country IS NULL) AND t.production_year BETWEEN 1980 AND 2010;
SELECT k.kind, count(*) FILTER (WHERE t.episode_nr IS NULL), count(DISTINCT i.info), string_agg(DISTINCT i.info, ', ' ORDER BY i.info) FROM title t JOIN kind k ON k.id = t.kind_id LEFT JOIN info i ON i.movie_id = t.id AND i.info_type = 2 GROUP BY k.kind;
SELECT c.country, t.production_year / 10 * 10 AS decade, count(*), avg(t.production_year), max(length(t.title)) FROM company c LEFT JOIN movie_company mc ON mc.company_id = c.id LEFT JOIN title t ON t.id = mc.movie_id GROUP BY c.country, decade HAVING count(*) > 3;
-- ordered
SELECT t.title, i.info, k.kind FROM title t LEFT JOIN info i ON i.movie_id = t.id AND i.info = 'Drama' LEFT JOIN kind k ON k.id = t.kind_id AND k.kind = 'movie' WHERE t.id < 80 ORDER BY i.info, k.kind, t.title, i.id;
SELECT t.id, (SELECT string_agg(c.name, '; ' ORDER BY c.name) FROM movie_company mc JOIN company c ON c.id = mc.company_id WHERE mc.movie_id = t.id) AS companies FROM title t WHERE t.id % 10 = 0;
SELECT t.id FROM title t WHERE NOT EXISTS (SELECT 1 FROM info i WHERE i.movie_id = t.id AND i.note IS NULL) AND t.kind_id IN (SELECT id FROM kind WHERE kind LIKE 'tv%');
SELECT production_year, count(*) AS n, sum(count(*)) OVER (ORDER BY production_year NULLS FIRST) AS running, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS pct, count(*) - lag(count(*)) OVER (ORDER BY production_year NULLS FIRST) AS change FROM title GROUP BY production_year;
SELECT kind_id, title, production_year FROM (SELECT *, dense_rank() OVER (PARTITION BY kind_id ORDER BY production_year DESC NULLS LAST) AS r FROM title) z WHERE r <= 2;
-- The order that windows, unions and outer joins leave behind.
-- ordered
SELECT id, m FROM (SELECT id, max(production_year) OVER (ORDER BY CASE WHEN production_year IS NULL THEN 0 ELSE 1 END, id) m FROM title) x ORDER BY m, id;
-- ordered
SELECT id, m FROM (SELECT id, max(episode_nr) OVER (ORDER BY id % 3 DESC, id) m FROM title) x ORDER BY m NULLS LAST, id;
-- ordered
SELECT id, m FROM (SELECT id, max(episode_nr) OVER (ORDER BY id % 3 DESC, id) m FROM title) x ORDER BY m NULLS FIRST, id;
-- ordered
SELECT id, m FROM (SELECT id, min(episode_nr) OVER (ORDER BY id % 3 DESC, id) m FROM title) x ORDER BY m DESC NULLS FIRST, id;
-- ordered
SELECT id, m FROM (SELECT id, min(episode_nr) OVER (ORDER BY id % 3 DESC, id) m FROM title) x ORDER BY m DESC NULLS LAST, id;
-- ordered
SELECT id, m FROM (SELECT id, count(episode_nr) OVER (ORDER BY id % 3 DESC, id) m FROM title) x ORDER BY m, id;
-- ordered
SELECT id, m FROM (SELECT id, count(*) OVER (PARTITION BY kind_id ORDER BY id) m FROM title) x ORDER BY m, id;
-- ordered
SELECT id, m FROM (SELECT id, kind_id, max(id) OVER (PARTITION BY kind_id ORDER BY id) m FROM title) x ORDER BY kind_id, m DESC, id;
-- ordered
SELECT id, m FROM (SELECT id, min(id) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) m FROM title) x ORDER BY m DESC, id;
-- ordered
SELECT id, m FROM (SELECT id, max(id % 7) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) m FROM title) x ORDER BY m, id DESC LIMIT 5;
-- ordered
SELECT id, m FROM (SELECT id, max(id % 7) OVER (PARTITION BY kind_id) m FROM title) x ORDER BY m, id DESC LIMIT 9;
-- ordered
SELECT id, m FROM (SELECT id, max(production_year) FILTER (WHERE id % 2 = 0) OVER (ORDER BY id) m FROM title) x ORDER BY m, id;
-- ordered
SELECT id, m FROM (SELECT id, row_number() OVER (PARTITION BY kind_id ORDER BY id) m FROM title) x ORDER BY m, id;
-- ordered
SELECT id, m, r FROM (SELECT id, rank() OVER (ORDER BY production_year) m, row_number() OVER (ORDER BY id DESC) r FROM title) x ORDER BY m, r LIMIT 20;
-- ordered
SELECT id, m FROM (SELECT id, title, bool_or(episode_nr > 5) OVER (ORDER BY id) m FROM title) x ORDER BY m, id;
-- ordered
SELECT m, count(*) FROM (SELECT id, max(episode_nr) OVER (ORDER BY id % 3 DESC, id) m FROM title) x GROUP BY m ORDER BY m;
SELECT m, count(*), sum(r) FROM (SELECT id, max(episode_nr) OVER (ORDER BY id % 3 DESC, id) m, rank() OVER (PARTITION BY kind_id ORDER BY id) AS r FROM title) x GROUP BY m;
-- ordered
SELECT k, n, rank() OVER (ORDER BY n DESC, k) FROM (SELECT kind_id k, count(*) n FROM title GROUP BY 1 UNION ALL SELECT 99, count(*) FROM kind UNION ALL SELECT 100, 5) y ORDER BY 3;
-- ordered
SELECT src, k, n FROM (SELECT 'a' src, kind_id k, count(*) n FROM title GROUP BY 2 UNION ALL SELECT 'b', id, id FROM kind UNION ALL SELECT 'a', id, -id FROM kind) y ORDER BY src, n, k;
-- ordered
SELECT src, sum(n) FROM (SELECT 'a' src, kind_id k, count(*) n FROM title GROUP BY 2 UNION ALL SELECT 'b', id, id FROM kind UNION ALL SELECT 'a', id, -id FROM kind) y GROUP BY ROLLUP (src) ORDER BY src;
-- ordered
SELECT src, k, sum(n) FROM (SELECT 'a' src, kind_id k, count(*) n FROM title GROUP BY 2 UNION ALL SELECT 'a', id, -id FROM kind) y GROUP BY ROLLUP (src, k) ORDER BY src, k;
-- ordered
SELECT t.id, i.info FROM title t LEFT JOIN info i ON i.movie_id = t.id AND i.info_type = 2 AND i.info = 'USA' WHERE t.kind_id = 2 ORDER BY i.info, i.info_type, t.id, i.id;
-- ordered
SELECT a.id, b.id, a.v FROM (SELECT id, kind_id, 1 AS v FROM title WHERE production_year = 1990) a FULL JOIN (SELECT id, kind_id, 1 AS w FROM title WHERE production_year = 1991) b USING (kind_id) ORDER BY a.v, b.w, a.id, b.id;
-- ordered
SELECT production_year, kind_id, count(*) FROM title WHERE production_year = 1990 AND kind_id IN (1, 2) GROUP BY GROUPING SETS ((production_year, kind_id), (kind_id), ()) ORDER BY grouping(production_year, kind_id), kind_id;
-- ordered
SELECT DISTINCT x.p, t.kind_id FROM title t LEFT JOIN (SELECT id, production_year p FROM title WHERE production_year = 1990) x ON x.id = t.id ORDER BY x.p, t.kind_id;
-- ordered
SELECT DISTINCT ON (x.p) x.p, t.id FROM title t LEFT JOIN (SELECT id, production_year p FROM title WHERE production_year = 1990) x ON x.id = t.id ORDER BY x.p, t.id DESC;
-- ordered
SELECT t.id, lag(t.id) OVER (PARTITION BY x.p ORDER BY t.id) FROM title t LEFT JOIN (SELECT id, production_year p FROM title WHERE production_year = 1990) x ON x.id = t.id ORDER BY t.id;
SELECT x.p, t.kind_id, count(*) FROM title t LEFT JOIN (SELECT id, production_year p FROM title WHERE production_year = 1990) x ON x.id = t.id GROUP BY 1, 2;
(SELECT id, 1 AS s FROM title ORDER BY id LIMIT 3) UNION ALL (SELECT id, 2 FROM title ORDER BY id DESC LIMIT 3) ORDER BY s DESC, id;
