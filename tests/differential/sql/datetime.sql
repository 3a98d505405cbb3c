-- Date and time: zones, extremes, fields with their scale, month arithmetic, intervals, patterns.
-- setup
CREATE TABLE dt (id int PRIMARY KEY, d date, t time, ts timestamp, tz timestamptz, iv interval, n int);
INSERT INTO dt VALUES
    (1, '2000-02-29', '00:00', '2000-02-29 12:34:56.789', '2000-02-29 12:34:56.789+00', '1 day', 1),
    (2, '1999-12-31', '23:59:59.999999', '1999-12-31 23:59:59.999999', '1999-12-31 23:59:59.999999+00', '1 month', 2),
    (3, '2024-03-31', '12:34:56.789', '2024-03-31 02:30:00', '2024-03-31 01:30:00+00', '-1 year 2 days 03:04:05.678', -1),
    (4, '2024-11-03', '24:00', '2024-11-03 01:30:00', '2024-11-03 05:30:00+00', '00:00:00.000001', 3),
    (5, '1970-01-01', '06:00', '1970-01-01 00:00:00', '1970-01-01 00:00:00+00', '0', 0),
    (6, '1969-12-31', '12:00', '1969-12-31 23:59:59.5', '1969-12-31 23:59:59.5+00', '25:00:00', -5),
    (7, '0044-03-15 BC', '01:02:03', '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00+00 BC', '-00:00:01', 12),
    (8, '9999-12-31', '01:00', '9999-12-31 23:59:59', '9999-12-31 23:59:59+00', '1000 years', 31),
    (9, NULL, NULL, NULL, NULL, NULL, NULL),
    (10, '0001-01-01', '00:00:00.1', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', '1 mon -1 day 00:00:01', 6),
    (11, '2023-01-31', '10:10', '2023-01-31 10:10:10', '2023-01-31 10:10:10+00', '30 days', 7),
    (12, '2021-01-03', '11:11', '2021-01-03 11:11:11', '2021-01-03 11:11:11+00', '720:00:00', 8);
CREATE TABLE inf (id int PRIMARY KEY, d date, ts timestamp, tz timestamptz);
INSERT INTO inf VALUES (1, 'infinity', 'infinity', 'infinity'), (2, '-infinity', '-infinity', '-infinity'), (3, '2000-01-01', '2000-01-01', '2000-01-01+00'),
    (4, '4713-01-01 BC', '4713-01-01 00:00 BC', '4713-01-02 00:00+00 BC'), (5, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 00:00+00'), (6, NULL, NULL, NULL);
CREATE TABLE words (id int PRIMARY KEY, d text, ts text, iv text);
INSERT INTO words VALUES (1, '2020-01-02', '2020-01-02 03:04:05', '1 day 02:00'), (2, 'Jan 5, 2021', '20210105T101112', 'P1Y2M'), (3, NULL, NULL, NULL), (4, '1999-01-08', '1999-01-08 04:05:06.789-08', '1.5 months');
-- queries
SELECT id, d, t, ts, tz, iv FROM dt;
SELECT id, d::text, t::text, ts::text, iv::text FROM dt;
-- expect: any
SELECT id, tz::text FROM dt;
SELECT id, d + 1, d - 1, d + n, d - date '2000-01-01', n + d FROM dt;
SELECT id, pg_typeof(d - d), pg_typeof(d + iv), pg_typeof(ts - ts), pg_typeof(extract(year from d)) FROM dt;
SELECT id, d + iv, d - iv FROM dt WHERE id <> 8;
SELECT id, d + interval '1 month', d - interval '1 month', d + interval '1 year -1 day', d + interval '90 minutes' FROM dt WHERE id <> 7;
SELECT id, d + t FROM dt;
SELECT id, ts + iv, ts - iv, ts + interval '1 month', ts - interval '1 mon 1 day' FROM dt WHERE id <> 8;
SELECT id, ts - timestamp '2000-01-01', ts - ts, tz - tz FROM dt;
SELECT id, ts - lag(ts) OVER (ORDER BY id) FROM dt;
SELECT id, t + interval '1 hour', t - interval '90 minutes', t - time '01:00' FROM dt;
SELECT id, iv + iv, iv - interval '1 day', -iv, iv * 2, iv * 1.5, iv / 3, 2 * iv FROM dt WHERE id <> 8;
-- expect: error
SELECT iv / 0 FROM dt;
SELECT id, iv = interval '30 days', iv < interval '1 month', iv > '1 day', iv BETWEEN '0' AND '1 year' FROM dt;
SELECT a.id, b.id FROM dt a JOIN dt b ON a.iv = b.iv WHERE a.id < b.id;
-- expect: any
SELECT max(iv), min(iv), sum(iv), avg(iv) FROM dt WHERE id NOT IN (2, 8, 11, 12);
-- ordered
SELECT id FROM dt ORDER BY iv, id;
SELECT count(DISTINCT iv) FROM dt;
SELECT id, justify_days(iv), justify_hours(iv), justify_interval(iv) FROM dt;
SELECT id, extract(year from d), extract(month from d), extract(day from d), extract(dow from d), extract(isodow from d), extract(doy from d) FROM dt;
SELECT id, extract(week from d), extract(isoyear from d), extract(quarter from d), extract(century from d), extract(decade from d), extract(millennium from d) FROM dt;
SELECT id, extract(epoch from d), extract(julian from d) FROM dt;
-- expect: postgres (julian day of a timestamp as numeric)
SELECT extract(julian from ts) AS j, count(*) FROM dt GROUP BY 1;
-- expect: postgres (a time zone that is not constant)
SELECT date_trunc('day', tz, zone) AS d, count(*) FROM dt, (VALUES ('UTC'), ('Asia/Tokyo')) z (zone) GROUP BY 1;
SELECT id, zone, date_trunc('day', tz, zone), make_timestamptz(2024, 3, 31, 2, 30, 0.5, zone), extract(julian from tz) FROM dt, (VALUES ('UTC'), ('Europe/Berlin'), ('+03')) z (zone);
SELECT id, extract(hour from ts), extract(minute from ts), extract(second from ts), extract(milliseconds from ts), extract(microseconds from ts), extract(epoch from ts), extract(julian from ts) FROM dt;
SELECT id, extract(year from ts), extract(isoyear from ts), extract(week from ts), extract(dow from ts), extract(century from ts) FROM dt;
SELECT id, extract(epoch from tz) FROM dt;
-- expect: any
SELECT id, extract(hour from tz), extract(day from tz), extract(timezone from tz), extract(year from tz) FROM dt;
SELECT id, extract(hour from t), extract(second from t), extract(epoch from t) FROM dt;
SELECT id, extract(year from iv), extract(month from iv), extract(day from iv), extract(hour from iv), extract(second from iv), extract(epoch from iv) FROM dt;
SELECT id, date_part('year', d), date_part('dow', ts), date_part('epoch', ts), date_part('second', t) FROM dt;
-- expect: error
SELECT extract(hour from d) FROM dt;
-- expect: error
SELECT date_part('nonsense', ts) FROM dt;
SELECT id, date_trunc('microseconds', ts), date_trunc('second', ts), date_trunc('minute', ts), date_trunc('hour', ts), date_trunc('day', ts) FROM dt;
SELECT id, date_trunc('week', ts), date_trunc('month', ts), date_trunc('quarter', ts), date_trunc('year', ts), date_trunc('decade', ts), date_trunc('century', ts), date_trunc('millennium', ts) FROM dt WHERE id <> 7;
-- expect: any
SELECT id, date_trunc('day', tz), date_trunc('hour', tz), date_trunc('month', tz), date_trunc('day', tz, 'America/New_York') FROM dt WHERE id <> 7;
-- expect: any
SELECT id, date_trunc('month', d), date_trunc('hour', iv), date_trunc('year', iv) FROM dt;
SELECT id, date_bin('15 minutes', ts, timestamp '2001-01-01'), date_bin('1 day', ts, timestamp '2000-01-01 06:00') FROM dt WHERE id NOT IN (7);
-- expect: error
SELECT date_bin('1 month', ts, timestamp '2001-01-01') FROM dt;
SELECT id, age(ts, timestamp '2000-01-31'), age(timestamp '2024-03-31', ts), age(ts, ts) FROM dt;
-- expect: any
SELECT id, age(d), age(tz, timestamptz '2000-01-01') FROM dt WHERE id = 1;
-- expect: any
SELECT id, tz::timestamp, tz::date, ts::timestamptz, d::timestamptz, tz::time FROM dt WHERE id NOT IN (7, 8, 10);
SELECT id, tz AT TIME ZONE 'UTC', ts AT TIME ZONE 'UTC' FROM dt;
-- expect: any
SELECT id, tz AT TIME ZONE 'America/New_York', ts AT TIME ZONE 'Europe/Berlin', tz AT TIME ZONE 'EST', ts AT TIME ZONE interval '-02:30' FROM dt WHERE id NOT IN (7, 8, 10);
SELECT id, ts::date, ts::time, d::timestamp, ts::timestamp(0), ts::timestamp(3), t::time(1), t::interval FROM dt;
SELECT id, make_date(2000 + abs(n), 1, 2), make_time(abs(n) % 24, 5, 6.789), make_timestamp(2001, 2, 3, 4, 5, 6.5) FROM dt WHERE id < 7;
-- expect: error
SELECT make_date(2023, 2, n) FROM dt WHERE id = 8;
SELECT id, make_interval(days => n), make_interval(0, n, 0, 1, 2, 3, 4.5) FROM dt;
SELECT id, to_char(d, 'YYYY-MM-DD'), to_char(ts, 'YYYY-MM-DD HH24:MI:SS'), to_char(ts, 'Mon DD, YYYY'), to_char(ts, 'HH12:MI AM') FROM dt WHERE id NOT IN (7);
SELECT id, to_char(ts, 'YYYY-"Q"Q'), to_char(ts, 'IYYY-IW'), to_char(d, 'FMDay, FMDD FMMonth YYYY'), to_char(ts, 'DY D ID DDD'), to_char(ts, 'MS US') FROM dt WHERE id NOT IN (7);
-- expect: any
SELECT id, to_char(ts, 'YYYY BC J'), to_char(iv, 'DD HH24:MI:SS'), to_char(tz, 'YYYY-MM-DD TZ'), to_char(ts, 'DDth WW W CC') FROM dt;
-- expect: any
SELECT id, to_date(d, 'YYYY-MM-DD'), to_timestamp(ts, 'YYYY-MM-DD HH24:MI:SS') FROM words WHERE id = 1;
SELECT id, to_timestamp(n) FROM dt;
-- expect: any
SELECT id, d::date, ts::timestamp, iv::interval FROM words;
-- expect: error
SELECT (d || 'x')::date FROM words WHERE id = 2;
SELECT id FROM dt WHERE d < '2000-01-01';
SELECT id FROM dt WHERE d BETWEEN '1970-01-01' AND date '2000-12-31';
SELECT id FROM dt WHERE ts >= '2000-01-01' AND ts < '2024-04-01';
SELECT id FROM dt WHERE tz > '2000-01-01 00:00:00+00';
SELECT id FROM dt WHERE d = ts;
SELECT id FROM dt WHERE d < ts;
-- expect: any
SELECT id FROM dt WHERE d = tz OR ts = tz;
SELECT id FROM dt WHERE t > '12:00';
SELECT id FROM dt WHERE d IN ('2000-02-29', '1970-01-01');
SELECT id FROM dt WHERE d + 30 > date '2024-01-01';
SELECT id FROM dt WHERE extract(year from d) = 2024;
SELECT id FROM dt WHERE ts > now() - interval '100 years';
SELECT id FROM dt WHERE d < current_date AND ts < localtimestamp AND tz <= now();
SELECT count(*) FROM dt WHERE tz < current_timestamp AND tz < statement_timestamp();
SELECT id, (d, d + 5) OVERLAPS (date '2000-01-01', date '2000-12-31') FROM dt;
SELECT min(d), max(d), min(t), max(t), min(ts), max(ts), min(tz), max(tz), count(DISTINCT d) FROM dt;
SELECT extract(year from d) AS y, count(*), max(ts) FROM dt GROUP BY 1;
SELECT date_trunc('month', ts) AS m, count(*) FROM dt WHERE id <> 7 GROUP BY 1;
-- ordered
SELECT id, d FROM dt ORDER BY d DESC, id;
-- ordered
SELECT id, ts FROM dt ORDER BY ts NULLS FIRST, id LIMIT 5;
-- ordered
SELECT id, tz, t FROM dt ORDER BY t, id;
SELECT id, d, count(*) OVER (ORDER BY d RANGE BETWEEN '1 year' PRECEDING AND CURRENT ROW) FROM dt WHERE id NOT IN (7, 8);
SELECT id, greatest(d, date '2000-01-01'), least(ts, timestamp '2000-01-01'), coalesce(d, '2000-01-01') FROM dt;
-- expect: postgres (column "ts" holds a value that the mirror cannot hold exactly)
SELECT id, d, ts, tz FROM inf;
-- expect: postgres (column "ts" holds a value that the mirror cannot hold exactly)
SELECT id, isfinite(d), isfinite(ts), isfinite(tz) FROM inf;
SELECT id FROM inf WHERE d > '2000-01-01';
-- expect: postgres (column "ts" holds a value that the mirror cannot hold exactly)
SELECT id FROM inf WHERE ts = 'infinity' OR tz = '-infinity';
-- ordered
SELECT id, d FROM inf ORDER BY d, id;
-- ordered
-- expect: postgres (column "ts" holds a value that the mirror cannot hold exactly)
SELECT id, ts FROM inf ORDER BY ts DESC, id;
-- expect: postgres (column "ts" holds a value that the mirror cannot hold exactly)
SELECT min(d), max(d), min(ts), max(ts), min(tz), max(tz) FROM inf;
SELECT d, count(*) FROM inf GROUP BY d;
-- expect: postgres (column "ts" holds a value that the mirror cannot hold exactly)
SELECT a.id, b.id FROM inf a JOIN inf b ON a.d = b.ts;
-- expect: postgres (column "ts" holds a value that the mirror cannot hold exactly)
SELECT id, d + 1, d - 1, ts + interval '1 day' FROM inf WHERE id < 4;
-- expect: any
SELECT id, extract(year from d), extract(epoch from ts) FROM inf;
-- expect: any
SELECT id, date_trunc('month', ts), d::timestamp, ts::date FROM inf WHERE id < 5;
-- expect: error
SELECT d + 1 FROM inf;
-- expect: error
SELECT d - date '2000-01-01' FROM inf;
-- expect: error
SELECT ts + interval '1 year' FROM inf WHERE id = 5;
-- expect: error
SELECT d::timestamp FROM inf WHERE id = 5;
-- both
SET timezone = 'America/New_York';
-- expect: any
SELECT id, tz, tz::date, tz::timestamp, ts::timestamptz, d::timestamptz FROM dt WHERE id NOT IN (7, 8, 10);
-- expect: any
SELECT date_trunc('day', tz), count(*) FROM dt WHERE id NOT IN (7, 10) GROUP BY 1;
-- expect: any
SELECT id, tz + interval '1 day', tz + interval '24 hours', tz - interval '1 month' FROM dt WHERE id NOT IN (7, 8, 10);
-- expect: any
SELECT id, extract(hour from tz), extract(dow from tz), d = tz FROM dt;
SELECT id FROM dt WHERE tz >= '2024-03-31';
-- both
SET datestyle = 'German, DMY';
SELECT id, d, ts, tz FROM dt;
-- expect: any
SELECT id, d::text, ts::text FROM dt;
-- both
SET intervalstyle = 'sql_standard';
SELECT id, iv FROM dt;
-- expect: any
SELECT id, iv::text FROM dt;
-- A pattern without anything, days of a year beyond integers, precisions below zero.
-- expect: error
SELECT id, to_char(d, '') FROM inf WHERE id > 4;
SELECT id, to_char(ts, ''), to_char(ts, '""'), to_char(iv, ''), to_char(iv, '""') FROM dt;
-- expect: any
SELECT id, to_char(n * interval '14833333 years', 'DDD WW') FROM dt;
-- expect: error
SELECT id, pg_catalog.timestamp(ts, n) FROM dt WHERE id IN (6, 3);
SELECT id, pg_catalog.timestamp(ts, n), pg_catalog.timestamptz(tz, n) FROM dt WHERE n BETWEEN -1 AND 6;
