SELECT id, extract(year FROM d) FROM moments WHERE id < 6
SELECT id, extract(year FROM ts) FROM moments WHERE id < 6
SELECT extract(year FROM d), count(*) FROM moments WHERE id < 6 GROUP BY 1
SELECT id FROM moments WHERE extract(year FROM d) = -44 AND id < 6
SELECT id FROM moments WHERE extract(year FROM d) BETWEEN -1 AND 1 AND id < 6
SELECT id, ts::date FROM moments
SELECT id FROM moments WHERE ts::date > '2024-01-01'
SELECT id FROM moments WHERE ts::date < '0001-01-01'
SELECT ts::date, count(*) FROM moments GROUP BY 1
SELECT id, d + 1, d - 1, d - date '2000-01-01' FROM moments WHERE id < 6
SELECT count(*) FROM moments WHERE d - date '2000-01-01' > 0
SELECT count(*) FROM moments WHERE d + 2147483647 > '2000-01-01'
SELECT id FROM moments WHERE d < 'infinity' AND d > '-infinity' AND extract(year FROM d) < 2000
SELECT id FROM moments WHERE id > 5 OR extract(year FROM d) < 2000
SELECT id, (id > 5 OR extract(year FROM d) < 2000) FROM moments
SELECT id, date_trunc('month', ts), extract(month FROM d), extract(dow FROM d) FROM moments
SELECT n % -1, n / -1 FROM moments WHERE id > 1
SELECT n % -1, n % m FROM moments
SELECT n / -1 FROM moments
SELECT id FROM moments WHERE n::smallint = 1
SELECT id FROM moments WHERE m <> 0 AND n % m = 0
SELECT id FROM moments WHERE d IN ('infinity', '-infinity', '0044-03-15 BC')
SELECT min(d), max(d), min(ts), max(ts) FROM moments
