-- Web events in one wide table: the shapes of queries that dashboards put to it, and variations on them.
-- setup
DROP SCHEMA IF EXISTS hits CASCADE;
CREATE SCHEMA hits;
CREATE TABLE hits.hits (watchid bigint NOT NULL, javaenable smallint NOT NULL, title text NOT NULL, goodevent smallint NOT NULL, eventtime timestamp NOT NULL, eventdate date NOT NULL, counterid int NOT NULL, clientip int NOT NULL, regionid int NOT NULL, userid bigint NOT NULL, os smallint NOT NULL, useragent smallint NOT NULL, url text NOT NULL, referer text NOT NULL, isrefresh smallint NOT NULL, resolutionwidth smallint NOT NULL, traficsourceid smallint NOT NULL, searchengineid smallint NOT NULL, advengineid smallint NOT NULL, mobilephone smallint NOT NULL, mobilephonemodel text NOT NULL, searchphrase text NOT NULL, islink smallint NOT NULL, isdownload smallint NOT NULL, dontcounthits smallint NOT NULL, urlhash bigint NOT NULL, refererhash bigint NOT NULL, windowclientwidth smallint NOT NULL, windowclientheight smallint NOT NULL, flashmajor char(2), PRIMARY KEY (counterid, eventdate, userid, eventtime, watchid));
INSERT INTO hits.hits SELECT i::bigint * 7919, i % 2, CASE WHEN i % 4 = 0 THEN '' WHEN i % 37 = 0 THEN 'Google ' || i % 9 ELSE 'Page ' || i % 21 END, 1, timestamp '2013-07-01 00:00:13' + i * interval '17 minutes 7 seconds', date '2013-07-01' + (i * 17 / 1440), CASE WHEN i % 3 = 0 THEN 62 ELSE i % 11 END, i * 31337 % 99991, i % 13, (i % 20)::bigint * 435090932899640449, i % 4, i % 60, 'http://' || (ARRAY['example.com', 'www.shop.org', 'google.ru', 'a.b.c'])[1 + i % 4] || '/' || i % 23 || CASE WHEN i % 5 = 0 THEN '?q=google' ELSE '' END, CASE WHEN i % 3 = 0 THEN '' ELSE 'https://www.ref' || i % 6 || '.net/path/' || i % 8 END, (i % 7 = 0)::int, 1000 + i % 700, i % 8 - 1, i % 5, CASE WHEN i % 6 = 0 THEN i % 4 ELSE 0 END, i % 3, CASE WHEN i % 5 = 0 THEN 'iPhone ' || i % 3 ELSE '' END, CASE WHEN i % 3 = 1 THEN 'query ' || i % 19 ELSE '' END, (i % 9 = 0)::int, (i % 31 = 0)::int, (i % 17 = 0)::int, (i % 3)::bigint * 2868770270353813622, (i % 2)::bigint * 3594120000172545465, i % 50 * 20, i % 40 * 25, CASE WHEN i % 6 > 0 THEN (i % 12)::text END FROM generate_series(1, 2500) i;
-- queries
SELECT count(*) FROM hits;
SELECT count(*) FROM hits WHERE advengineid <> 0;
SELECT sum(advengineid), count(*), avg(resolutionwidth) FROM hits;
SELECT avg(userid) FROM hits;
SELECT count(DISTINCT userid) FROM hits;
SELECT count(DISTINCT searchphrase) FROM hits;
SELECT min(eventdate), max(eventdate) FROM hits;
SELECT advengineid, count(*) FROM hits WHERE advengineid <> 0 GROUP BY advengineid ORDER BY count(*) DESC;
-- ordered
SELECT regionid, count(DISTINCT userid) AS u FROM hits GROUP BY regionid ORDER BY u DESC, regionid LIMIT 10;
-- ordered
SELECT regionid, sum(advengineid), count(*) AS c, avg(resolutionwidth), count(DISTINCT userid) FROM hits GROUP BY regionid ORDER BY c DESC, regionid LIMIT 10;
-- ordered
SELECT mobilephonemodel, count(DISTINCT userid) AS u FROM hits WHERE mobilephonemodel <> '' GROUP BY mobilephonemodel ORDER BY u DESC, 1 LIMIT 10;
-- ordered
SELECT mobilephone, mobilephonemodel, count(DISTINCT userid) AS u FROM hits WHERE mobilephonemodel <> '' GROUP BY mobilephone, mobilephonemodel ORDER BY u DESC, 1, 2 LIMIT 10;
-- ordered
SELECT searchphrase, count(*) AS c FROM hits WHERE searchphrase <> '' GROUP BY searchphrase ORDER BY c DESC, 1 LIMIT 10;
-- ordered
SELECT searchphrase, count(DISTINCT userid) AS u FROM hits WHERE searchphrase <> '' GROUP BY searchphrase ORDER BY u DESC, 1 LIMIT 10;
-- ordered
SELECT searchengineid, searchphrase, count(*) AS c FROM hits WHERE searchphrase <> '' GROUP BY searchengineid, searchphrase ORDER BY c DESC, 1, 2 LIMIT 10;
-- ordered
SELECT userid, count(*) FROM hits GROUP BY userid ORDER BY count(*) DESC, userid LIMIT 10;
-- ordered
SELECT userid, searchphrase, count(*) FROM hits GROUP BY userid, searchphrase ORDER BY count(*) DESC, 1, 2 LIMIT 10;
SELECT count(*) FROM (SELECT userid, searchphrase, count(*) FROM hits GROUP BY userid, searchphrase LIMIT 10) x;
-- ordered
SELECT userid, extract(minute FROM eventtime) AS m, searchphrase, count(*) FROM hits GROUP BY userid, m, searchphrase ORDER BY count(*) DESC, 1, 2, 3 LIMIT 10;
SELECT userid FROM hits WHERE userid = 435090932899640449;
SELECT count(*) FROM hits WHERE url LIKE '%google%';
-- ordered
SELECT searchphrase, min(url), count(*) AS c FROM hits WHERE url LIKE '%google%' AND searchphrase <> '' GROUP BY searchphrase ORDER BY c DESC, 1 LIMIT 10;
-- ordered
SELECT searchphrase, min(url), min(title), count(*) AS c, count(DISTINCT userid) FROM hits WHERE title LIKE '%Google%' AND url NOT LIKE '%.google.%' AND searchphrase <> '' GROUP BY searchphrase ORDER BY c DESC, 1 LIMIT 10;
-- ordered
SELECT * FROM hits WHERE url LIKE '%google%' ORDER BY eventtime LIMIT 10;
SELECT searchphrase FROM hits WHERE searchphrase <> '' ORDER BY eventtime LIMIT 10;
-- ordered
SELECT searchphrase FROM hits WHERE searchphrase <> '' ORDER BY searchphrase LIMIT 10;
SELECT searchphrase FROM hits WHERE searchphrase <> '' ORDER BY eventtime, searchphrase LIMIT 10;
-- ordered
SELECT counterid, avg(length(url)) AS l, count(*) AS c FROM hits WHERE url <> '' GROUP BY counterid HAVING count(*) > 100 ORDER BY l DESC, 1 LIMIT 25;
-- ordered
SELECT regexp_replace(referer, '^https?://(?:www\.)?([^/]+)/.*$', '\1') AS k, avg(length(referer)) AS l, count(*) AS c, min(referer) FROM hits WHERE referer <> '' GROUP BY k HAVING count(*) > 10 ORDER BY l DESC, k LIMIT 25;
SELECT sum(resolutionwidth), sum(resolutionwidth + 1), sum(resolutionwidth + 2), sum(resolutionwidth + 3), sum(resolutionwidth + 4), sum(resolutionwidth + 5), sum(resolutionwidth + 6), sum(resolutionwidth + 7), sum(resolutionwidth + 8), sum(resolutionwidth + 9), sum(resolutionwidth + 10), sum(resolutionwidth + 11), sum(resolutionwidth + 12), sum(resolutionwidth + 13), sum(resolutionwidth + 14), sum(resolutionwidth + 15), sum(resolutionwidth + 16), sum(resolutionwidth + 17), sum(resolutionwidth + 18), sum(resolutionwidth + 19), sum(resolutionwidth + 20), sum(resolutionwidth + 21), sum(resolutionwidth + 22), sum(resolutionwidth + 23), sum(resolutionwidth + 24), sum(resolutionwidth + 25), sum(resolutionwidth + 26), sum(resolutionwidth + 27), sum(resolutionwidth + 28), sum(resolutionwidth + 29), sum(resolutionwidth + 30) FROM hits;
-- ordered
SELECT searchengineid, clientip, count(*) AS c, sum(isrefresh), avg(resolutionwidth) FROM hits WHERE searchphrase <> '' GROUP BY searchengineid, clientip ORDER BY c DESC, 1, 2 LIMIT 10;
-- ordered
SELECT watchid, clientip, count(*) AS c, sum(isrefresh), avg(resolutionwidth) FROM hits WHERE searchphrase <> '' GROUP BY watchid, clientip ORDER BY c DESC, 1, 2 LIMIT 10;
-- ordered
SELECT watchid, clientip, count(*) AS c, sum(isrefresh), avg(resolutionwidth) FROM hits GROUP BY watchid, clientip ORDER BY c DESC, 1, 2 LIMIT 10;
-- ordered
SELECT url, count(*) AS c FROM hits GROUP BY url ORDER BY c DESC, url LIMIT 10;
-- ordered
SELECT 1, url, count(*) AS c FROM hits GROUP BY 1, url ORDER BY c DESC, url LIMIT 10;
-- ordered
SELECT clientip, clientip - 1, clientip - 2, clientip - 3, count(*) AS c FROM hits GROUP BY clientip, clientip - 1, clientip - 2, clientip - 3 ORDER BY c DESC, 1 LIMIT 10;
-- ordered
SELECT url, count(*) AS pageviews FROM hits WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND dontcounthits = 0 AND isrefresh = 0 AND url <> '' GROUP BY url ORDER BY pageviews DESC, url LIMIT 10;
-- ordered
SELECT title, count(*) AS pageviews FROM hits WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND dontcounthits = 0 AND isrefresh = 0 AND title <> '' GROUP BY title ORDER BY pageviews DESC, title LIMIT 10;
-- ordered
SELECT url, count(*) AS pageviews FROM hits WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND isrefresh = 0 AND islink <> 0 AND isdownload = 0 GROUP BY url ORDER BY pageviews DESC, url LIMIT 10 OFFSET 5;
-- ordered
SELECT traficsourceid, searchengineid, advengineid, CASE WHEN (searchengineid = 0 AND advengineid = 0) THEN referer ELSE '' END AS src, url AS dst, count(*) AS pageviews FROM hits WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND isrefresh = 0 GROUP BY traficsourceid, searchengineid, advengineid, src, dst ORDER BY pageviews DESC, 1, 2, 3, 4, 5 LIMIT 10 OFFSET 100;
-- ordered
SELECT urlhash, eventdate, count(*) AS pageviews FROM hits WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND isrefresh = 0 AND traficsourceid IN (-1, 6) AND refererhash = 3594120000172545465 GROUP BY urlhash, eventdate ORDER BY pageviews DESC, 1, 2 LIMIT 10 OFFSET 0;
-- ordered
SELECT windowclientwidth, windowclientheight, count(*) AS pageviews FROM hits WHERE counterid = 62 AND eventdate >= '2013-07-01' AND eventdate <= '2013-07-31' AND isrefresh = 0 AND dontcounthits = 0 AND urlhash = 2868770270353813622 GROUP BY windowclientwidth, windowclientheight ORDER BY pageviews DESC, 1, 2 LIMIT 10 OFFSET 1;
-- ordered
SELECT date_trunc('minute', eventtime) AS m, count(*) AS pageviews FROM hits WHERE counterid = 62 AND eventdate >= '2013-07-14' AND eventdate <= '2013-07-15' AND isrefresh = 0 AND dontcounthits = 0 GROUP BY date_trunc('minute', eventtime) ORDER BY date_trunc('minute', eventtime) LIMIT 10 OFFSET 3;
-- Variations.
SELECT to_char(eventtime, 'YYYY-MM') AS m, to_char(sum(resolutionwidth) / 1000.0, 'FM999G990D00') FROM hits GROUP BY 1;
SELECT split_part(split_part(url, '//', 2), '/', 1) AS domain, count(*), count(DISTINCT userid), string_agg(DISTINCT mobilephonemodel, ',' ORDER BY mobilephonemodel) FROM hits GROUP BY 1;
SELECT eventdate, count(*) FILTER (WHERE isrefresh = 1) * 100.0 / count(*) AS pct, sum(count(*)) OVER (ORDER BY eventdate) FROM hits GROUP BY eventdate;
SELECT userid, eventtime, eventtime - lag(eventtime) OVER w > interval '30 minutes' AS new_session FROM hits WINDOW w AS (PARTITION BY userid ORDER BY eventtime, watchid);
WITH s AS (SELECT userid, eventtime, watchid, CASE WHEN eventtime - lag(eventtime) OVER (PARTITION BY userid ORDER BY eventtime, watchid) < interval '28 hours' THEN 0 ELSE 1 END AS fresh FROM hits), n AS (SELECT *, sum(fresh) OVER (PARTITION BY userid ORDER BY eventtime, watchid) AS session FROM s) SELECT userid, session, min(eventtime), max(eventtime) - min(eventtime), count(*) FROM n GROUP BY userid, session;
SELECT percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY resolutionwidth), percentile_disc(0.5) WITHIN GROUP (ORDER BY url), mode() WITHIN GROUP (ORDER BY regionid) FROM hits;
-- expect: postgres (corr(float8,float8) is not exact)
SELECT regionid, corr(resolutionwidth, clientip) IS NULL AS nothing, regr_count(resolutionwidth, clientip) FROM hits GROUP BY regionid;
SELECT width_bucket(resolutionwidth, 1000, 1700, 7) AS bucket, count(*), int4range(min(resolutionwidth), max(resolutionwidth), '[]') FROM hits GROUP BY 1;
SELECT date_bin('6 hours', eventtime, timestamp '2013-07-01') AS b, count(*), approx.n FROM hits, (SELECT count(*) AS n FROM hits WHERE os = 1) approx GROUP BY 1, approx.n;
SELECT os, flashmajor, count(*), grouping(os, flashmajor) FROM hits GROUP BY GROUPING SETS ((os, flashmajor), (os), ());
SELECT flashmajor, array_agg(DISTINCT os ORDER BY os) FROM hits GROUP BY flashmajor;
SELECT extract(dow FROM eventtime) AS dow, extract(hour FROM eventtime) AS h, count(*) FROM hits GROUP BY 1, 2 HAVING count(*) > (SELECT avg(c) FROM (SELECT count(*) AS c FROM hits GROUP BY extract(dow FROM eventtime), extract(hour FROM eventtime)) x);
SELECT count(*) FROM hits WHERE url ~ '^http://(www\.)?[a-z]+\.(org|com)/[0-9]+$' AND title ~* 'page';
SELECT lower(title), upper(searchphrase), length(url), position('/' IN substr(url, 8)), reverse(mobilephonemodel), count(*) FROM hits GROUP BY 1, 2, 3, 4, 5;
SELECT md5(url), count(*) FROM hits GROUP BY 1;
SELECT hits.userid, a.n FROM hits JOIN (SELECT userid, count(*) n FROM hits GROUP BY userid HAVING count(*) > 25) a USING (userid) WHERE eventdate = (SELECT max(eventdate) FROM hits h WHERE h.userid = hits.userid);
SELECT eventdate, d7.u FROM (SELECT DISTINCT eventdate FROM hits) d, LATERAL (SELECT count(DISTINCT userid) AS u FROM hits h WHERE h.eventdate BETWEEN d.eventdate - 6 AND d.eventdate) d7;
SELECT cohort, age_days, count(DISTINCT userid) FROM (SELECT userid, min(eventdate) OVER (PARTITION BY userid) AS cohort, eventdate - min(eventdate) OVER (PARTITION BY userid) AS age_days FROM hits) x GROUP BY cohort, age_days;
