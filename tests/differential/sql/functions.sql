-- Functions of reports, at the edges of their types; grouped by, so that the engine computes them.
-- setup
CREATE TYPE status AS ENUM ('new', 'open', 'done');
CREATE TABLE f (id int PRIMARY KEY, g int, x float8, n numeric, m numeric(12,2), t text, d date, ts timestamp, tz timestamptz, tm time, iv interval, st status, ai int[], at text[], an numeric[], jb jsonb, j json, by bytea);
INSERT INTO f VALUES
    (1, 1, 0, 0, 0, 'one 12 two 345', '2024-01-31', '2024-01-31 23:59:59.999999', '2024-01-31 23:59:59+00', '00:00', '1 year 2 mon 3 days 04:05:06.789', 'new', '{1,2}', '{1,22}', '{1.50,2}', '{"k": 1, "v": "x", "nested": {"a": [1, {"b": null}]}}', '{"k": 1, "v": "x", "k": 2}', 'abc'),
    (2, 1, '-0', 0.00, 10.5, '', '1999-12-31', '1999-12-31 00:00', 'infinity', '23:59:59.999999', '-1 year -2 mon -3 days -04:05:06.789', 'open', '{}', '{}', '{}', '{}', '{}', ''),
    (3, 1, 'NaN', 20.5, 20.5, 'ä 日本 7', 'infinity', 'infinity', '-infinity', '12:00', '-05:00', 'done', '{NULL,3}', '{NULL,"-7"}', '{NULL,0.000}', '{"k": null, "a b": true, "ä": []}', '{"\u00e4" : [1 , 2]}', '\xff00'),
    (4, 2, 'Infinity', 1e20, 9999999999.99, '%_\ 99', '0044-03-15 BC', '0044-03-15 12:30 BC', '1890-06-01 00:00+00', '13:01:02.5', '123456:00:00', NULL, '{2147483647,-2147483648}', '{2147483647}', '{12345678901234567890.123456789}', '{"n": 1.50, "s": "\"q\""}', NULL, 'x'),
    (5, 2, '-Infinity', -1e-20, -0.01, 'a1b22c333', '2024-02-29', '2024-02-29 13:00', '2024-07-01 12:00+00', '01:00', '-25:00:01', 'new', '{5,5,5}', '{007," 8 "}', '{1e5}', '{"k": "2"}', '{"a": {"b": 1}}', '\x00'),
    (6, 2, 1, 100.0, 100, 'x', '9999-12-31', '12345-01-01', '2024-03-31 01:30+00', '01:00', '100 days', 'open', NULL, NULL, NULL, NULL, NULL, NULL),
    (7, 3, -1, 100.00, 100, 'KEY=value;', '2024-01-01', '2024-01-01 00:30', '2024-10-27 01:30+00', '12:30', '12345 years', 'new', '{0}', '{0}', '{-0.5}', '{"k": 3}', '{}', 'q'),
    (8, 3, 0.5, 3.14159, 3.14, '12,345.67', '2024-12-30', '2024-12-30 11:00', '2024-12-30 11:00+00', '11:59', '0', 'done', '{10,20}', '{10}', '{3.0}', '{"k": 1}', '{"k": 1}', 'abc'),
    (9, 3, 30, 30, 30, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (10, 4, 45, 45, 45, '1e5', '2024-01-10', '2024-01-10', '2024-01-10 00:00+00', '00:00:01', '1 mon', 'new', '{1}', '{1}', '{1}', '{"k": 1}', '{}', 'abc'),
    (11, 4, 90, 60.000, 60, '0x', '2024-01-11', '2024-01-11', '2024-01-11 00:00+00', '00:00:01', '30 days', 'new', '{1}', '{1}', '{1.0}', '{"k": 1}', '{}', 'abc'),
    (12, 4, 60, 60, 60, 'z', '2024-01-12', '2024-01-12', '2024-01-12 00:00+00', '00:00:01', '720:00:00', 'open', '{1}', '{1}', '{1.00}', '{"k": 1}', '{}', 'abc'),
    (13, 5, 120.25, 7, 7, 'z', '2024-01-12', '2024-01-12', '2024-01-12 00:00+00', '00:00:01', '00:00:00.000001', 'open', '{1}', '{1}', '{1}', '{"k": 1}', '{}', 'abc'),
    (14, 5, -400.75, 7, 7, 'z', '2024-01-12', '2024-01-12', '2024-01-12 00:00+00', '00:00:01', '-00:00:00.000001', 'open', '{1}', '{1}', '{1}', '{"k": 1}', '{}', 'abc'),
    (15, 5, 1e-300, 8, 8, 'z', '2024-01-12', '2024-01-12', '2024-01-12 00:00+00', '00:00:01', '11:59:59', 'open', '{1}', '{1}', '{1}', '{"k": 1}', '{}', 'abc'),
    (16, 6, 0.9999999, NULL, NULL, 'z', '2024-01-12', '2024-01-12', '2024-01-12 00:00+00', '00:00:01', '12:00:00', 'open', '{1}', '{1}', '{1}', '{"k": 1}', '{}', 'abc');
CREATE TABLE raw (id int PRIMARY KEY, day text, at text);
INSERT INTO raw VALUES (1, '05 Feb 2024', '02/05/2024 01:05 PM'), (2, '5 feb 2024', '2/5/2024 1:05 AM'), (3, '29 FEB 2024', '12/31/1999 12:00 pm'), (4, NULL, NULL), (5, '31 Dec 1999', '01/01/2000 12:59 am');
-- queries
SELECT id, asinh(x), count(*) FROM f GROUP BY 1, 2;
SELECT id, sind(x), cosd(x), count(*) FROM f WHERE abs(x) < 1e10 GROUP BY 1, 2, 3;
SELECT id, tand(x), cotd(x), atand(x), atan2d(x, 2), count(*) FROM f WHERE abs(x) < 1e10 GROUP BY 1, 2, 3, 4, 5;
SELECT id, sind(x), cosd(x), tand(x), cotd(x), atand(x), asind(x), acosd(x), acosh(x), atanh(x), count(*) FROM f WHERE x = 'NaN' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
SELECT id, asind(x), acosd(x), atanh(x), count(*) FROM f WHERE x BETWEEN -1 AND 1 GROUP BY 1, 2, 3, 4;
SELECT id, acosh(x), sind(id * 7.5), cosd(id * -15), tand(id * 22.5), asind(id / 20.0), acosd(id / -20.0), count(*) FROM f WHERE x >= 1 GROUP BY 1, 2, 3, 4, 5, 6, 7;
SELECT sind(x) AS y, count(*) FROM f GROUP BY 1;
SELECT acosh(x) AS y, count(*) FROM f GROUP BY 1;
SELECT width_bucket(n, ARRAY[0, 20.5, 60.0]) AS w, count(*) FROM f GROUP BY 1;
SELECT width_bucket(id, ARRAY[2, 4, 8]) AS w, count(*), min(id) FROM f GROUP BY 1;
SELECT width_bucket(x, ARRAY[0, 1, 30]::float8[]) AS w, count(*) FROM f GROUP BY 1;
SELECT width_bucket(d, ARRAY['2024-01-10', '2024-02-01']::date[]), width_bucket(ts, ARRAY['2024-01-10', '2024-02-01']::timestamp[]) AS w, count(*) FROM f GROUP BY 1, 2;
-- expect: any
SELECT width_bucket(id, ARRAY[8, 4, 2]) AS w, count(*) FROM f GROUP BY 1;
SELECT id, to_char(iv, 'YYYY|YYY|YY|Y|Y,YYY|MM|DD|DDD|HH24|HH12|HH|MI|SS|MS|US|FF1|FF6|SSSS|Q|CC|WW|W|AM|p.m.|FMHH24|FMMM|FMYYYY|FMDDD|HH24TH|DDth') AS s, count(*) FROM f GROUP BY 1, 2;
SELECT to_char(iv, 'HH24:MI:SS') AS s, to_char(ts - date '2024-01-01', 'DD "days" HH24:MI') AS e, to_char(tm, 'HH12:MI AM') AS t, count(*) FROM f WHERE isfinite(ts) AND ts > '1900-01-01' AND ts < '3000-01-01' GROUP BY 1, 2, 3;
SELECT to_date(day, 'DD Mon YYYY') AS d, to_timestamp(at, 'MM/DD/YYYY HH12:MI AM') AS t, count(*) FROM raw GROUP BY 1, 2;
SELECT to_date(to_char(ts, 'FMDay, FMMonth FMDD, YYYY'), 'Day, Month DD, YYYY') AS d, to_timestamp(to_char(ts, 'YYYY-MM-DD"T"HH24:MI:SS'), 'YYYY-MM-DD"T"HH24:MI:SS') AS t, to_date(to_char(ts, 'DDMonYY'), 'DDMonYY') AS e, count(*) FROM f WHERE ts > '1900-01-01' AND ts < '3000-01-01' GROUP BY 1, 2, 3;
SELECT (regexp_matches(t, '([a-z]+)(\d+)'))[2] AS m, count(*) FROM f WHERE id <> 3 GROUP BY 1;
SELECT id, regexp_matches(t, '\d+', 'g') FROM f WHERE id <> 3;
SELECT r[1] AS k, count(*) FROM f, regexp_matches(t, '[a-z]', 'g') AS r GROUP BY 1;
SELECT f.id, r FROM f LEFT JOIN LATERAL regexp_matches(t, '([0-9])([0-9])', 'g') AS r ON true WHERE f.id <> 3;
SELECT e::text, count(*), sum(e) FROM f, unnest(an) AS e GROUP BY 1;
SELECT id, unnest(an) * 2 FROM f;
SELECT id, v FROM f, unnest(ARRAY[n, m, 1.5]) WITH ORDINALITY AS u(v, i) WHERE i <> 2;
SELECT ARRAY[n, m, NULL]::text AS a, count(*) FROM f GROUP BY 1;
SELECT ai::text[] AS a, ai::bigint[] AS b, ai::numeric[]::text AS c, ai::float8[]::text AS e, count(*) FROM f GROUP BY 1, 2, 3, 4;
SELECT at::int[] AS a, string_to_array(array_to_string(ai, ','), ',')::int[] AS b, an::text[] AS c, at::varchar[] AS e, count(*) FROM f GROUP BY 1, 2, 3, 4;
SELECT 5 = ANY (string_to_array(array_to_string(ai, ','), ',')::int[]) AS a, count(*) FROM f GROUP BY 1;
-- expect: error
SELECT ('{' || id || 'x}')::text::int[] AS a, count(*) FROM f GROUP BY 1;
SELECT g, percentile_disc(0.5) WITHIN GROUP (ORDER BY n / 3), percentile_disc(0.9) WITHIN GROUP (ORDER BY n * m DESC) FROM f WHERE g = 5 GROUP BY g;
SELECT g, percentile_disc(0.5) WITHIN GROUP (ORDER BY n), mode() WITHIN GROUP (ORDER BY n) FROM f WHERE g IN (1, 5, 6) AND id <> 2 GROUP BY g;
SELECT g, percentile_disc(ARRAY[0, 0.25, 0.5, NULL, 1]) WITHIN GROUP (ORDER BY m), percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY n DESC), percentile_disc(NULL) WITHIN GROUP (ORDER BY n) FROM f WHERE g IN (1, 5, 6) AND id <> 2 GROUP BY g;
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY n), mode() WITHIN GROUP (ORDER BY n), percentile_disc(ARRAY[0.5]) WITHIN GROUP (ORDER BY n) FROM f WHERE id > 1000;
-- expect: any
SELECT g, mode() WITHIN GROUP (ORDER BY n), percentile_disc(0.3) WITHIN GROUP (ORDER BY n) FROM f GROUP BY g;
SELECT k, v, count(*) FROM f, jsonb_each(jb) AS x(k, v) GROUP BY 1, 2;
SELECT k, v, count(*) FROM f, jsonb_each_text(jb) AS x(k, v) GROUP BY 1, 2;
SELECT f.id, x.* FROM f, json_each(j) WITH ORDINALITY AS x(k, v, i);
SELECT f.id, x.k, x.v FROM f LEFT JOIN LATERAL json_each_text(j) AS x(k, v) ON true;
SELECT f.id, x.value FROM f CROSS JOIN LATERAL jsonb_each_text(jb -> 'nested') AS x WHERE x.key = 'a';
SELECT f.id FROM f WHERE EXISTS (SELECT 1 FROM jsonb_each_text(jb) e WHERE e.value = '1');
SELECT f.id, (SELECT string_agg(e.key || '=' || e.value, ';' ORDER BY e.key) FROM jsonb_each_text(jb) e) AS s FROM f;
SELECT k, count(*) FROM f, json_object_keys(j) AS k GROUP BY 1;
SELECT jb['k'] AS a, jb['nested']['a'][1] AS b, jb['nested']['a'][-1]['b'] AS c, jb[g::text] AS e, count(*) FROM f GROUP BY 1, 2, 3, 4;
SELECT encode(convert_to(t, 'UTF8'), 'base64') AS a, convert_from(convert_to(t, 'utf-8'), 'UTF8') = t AS b, convert_from(by, 'LATIN1') AS c, count(*) FROM f WHERE id NOT IN (3, 5) GROUP BY 1, 2, 3;
-- expect: error
SELECT convert_from(by, 'UTF8') AS a, count(*) FROM f GROUP BY 1;
