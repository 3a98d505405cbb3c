-- Set-returning functions in FROM and in the select list, whole rows, INSERT ... SELECT, and sums of floats that no order changes.
-- setup
CREATE TABLE store (s_store_sk int PRIMARY KEY, s_store_name text, s_gone int, s_open bool);
ALTER TABLE store DROP COLUMN s_gone;
INSERT INTO store SELECT i, 'store ' || i, i % 2 = 0 FROM generate_series(1, 10) i;
CREATE TABLE event (id bigint PRIMARY KEY, at timestamptz, lt timestamp, dur interval, kind text, vc varchar(8), payload jsonb, raw json, tags text[], nums int[], ok bool, u uuid, s smallint, f8 float8, f4 float4, n numeric);
INSERT INTO event SELECT i, timestamptz '2024-03-28 22:00+00' + i * interval '97 minutes', CASE WHEN i % 9 > 0 THEN timestamp '2023-12-30 10:00:00.123456' + i * interval '5 hours 7 seconds' END, i * interval '1 hour', (ARRAY['click','view','buy','',NULL])[1 + i % 5], (ARRAY['ab','x',NULL])[1 + i % 3], jsonb_build_object('a', i % 5, 'b', i % 2 = 0, 'l', jsonb_build_array(i, i + 1, NULL, 'x"y')), ('{"k": ' || i || ', "z" : [1,2, {"q": null}]}')::json, CASE i % 7 WHEN 0 THEN '{}' WHEN 1 THEN NULL ELSE ARRAY['t' || i % 3, NULL, 't' || i % 4] END, CASE WHEN i % 8 > 0 THEN ARRAY[i, i * 2, NULL] END, CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, md5(i::text)::uuid, (i % 100 - 50)::smallint, i * 0.25, i * 0.5, i / 3.0 FROM generate_series(1, 300) i;
INSERT INTO event (id, payload) VALUES (1001, '{"a": 1.0}'), (1002, '{"a": 1.00}');
CREATE TABLE tgt (id int, gone text, name text DEFAULT 'none', total numeric(10,1), at timestamptz DEFAULT '2020-01-01', dbl int GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE tgt DROP COLUMN gone;
CREATE TABLE keyed (id int PRIMARY KEY, n bigint);
INSERT INTO keyed VALUES (1, 0), (2, 0);
-- unmirrored: tgt
-- queries
SELECT id, unnest(tags) FROM event;
SELECT id, unnest(tags) AS t FROM event ORDER BY id, t LIMIT 20;
-- What the functions make of one row keeps its order below ORDER BY, unless that sorts by them.
-- ordered
SELECT id, unnest(tags), generate_subscripts(tags, 1) FROM event ORDER BY id LIMIT 25;
-- ordered
SELECT id, kind, unnest(nums) AS n FROM event WHERE id < 300 ORDER BY kind DESC NULLS LAST, id;
-- ordered
SELECT x.id, x.n FROM (SELECT id, generate_series(7, 1, -2) AS n FROM event ORDER BY id DESC LIMIT 10) x ORDER BY x.id, x.n;
-- ordered
SELECT s_store_sk % 3 AS third, count(*), generate_series(1, 4) AS g FROM store GROUP BY 1 ORDER BY third LIMIT 10;
-- ordered
SELECT count(*), generate_series(1, 3) AS g FROM store ORDER BY g DESC;
-- ordered
SELECT max(s_store_name), unnest(ARRAY[2, 9, 4]) AS n FROM store ORDER BY n LIMIT 2;
-- ordered
SELECT g, n FROM (SELECT count(*) AS n, generate_series(1, 9) AS g FROM event ORDER BY g DESC LIMIT 4) x ORDER BY g;
-- expect: postgres (FETCH FIRST WITH TIES over a set-returning function)
SELECT s_store_sk, generate_series(1, 2) FROM store ORDER BY s_store_sk % 2 FETCH FIRST 3 ROWS WITH TIES;
SELECT unnest(tags) AS tag, count(*) FROM event GROUP BY 1;
SELECT unnest(tags) AS tag, count(*) FROM event GROUP BY tag HAVING count(*) > 3;
SELECT DISTINCT unnest(nums) FROM event WHERE id < 50;
SELECT tag, count(*) FROM (SELECT id, unnest(tags) AS tag FROM event) x GROUP BY tag;
SELECT count(*) FROM (SELECT id, unnest(tags) FROM event) x;
SELECT e.id, t.tag, t.ord FROM event e, unnest(e.tags) WITH ORDINALITY t(tag, ord);
SELECT e.id, t.tag, t.ord FROM event e LEFT JOIN LATERAL unnest(e.tags) WITH ORDINALITY t(tag, ord) ON true;
SELECT e.id, t.tag FROM event e LEFT JOIN LATERAL unnest(e.tags) t(tag) ON t.tag <> 't1';
SELECT e.id, t.tag FROM event e CROSS JOIN LATERAL unnest(e.tags) t(tag) WHERE t.tag LIKE 't%' AND e.ok;
SELECT e.id, n FROM event e, unnest(e.nums) n WHERE n > 300;
SELECT e.id, n, s.s_store_name FROM event e CROSS JOIN LATERAL unnest(e.nums) n JOIN store s ON s.s_store_sk = n;
SELECT e.id, g FROM event e, generate_series(1, e.s) g WHERE e.id < 60;
SELECT e.id, g FROM event e, generate_series(e.s::int, 0, -7) g;
SELECT e.id, g FROM event e, LATERAL generate_series(e.id, e.id + 10, 3) g WHERE id < 20;
SELECT e.id, g FROM event e, generate_series(e.lt, e.lt + interval '2 days', interval '12 hours') g;
SELECT e.id, g::date FROM event e, generate_series(date_trunc('month', e.at), e.at, interval '1 week') g;
SELECT count(*) FROM generate_series(1, 50000) g LEFT JOIN event ON id = g;
SELECT s_store_sk, generate_series(1, s_store_sk) FROM store;
SELECT d::date AS day, count(e.id) FROM generate_series((SELECT min(lt)::date FROM event), (SELECT max(lt)::date FROM event), interval '1 day') d LEFT JOIN event e ON e.lt::date = d GROUP BY 1;
SELECT (SELECT max(x) FROM unnest(nums) x), (SELECT count(*) FROM generate_series(1, s) g) FROM event;
SELECT id FROM event WHERE EXISTS (SELECT 1 FROM unnest(tags) t WHERE t = 't1');
SELECT id FROM event WHERE 5 IN (SELECT unnest(nums) FROM event);
SELECT id, (SELECT string_agg(x, ',' ORDER BY x) FROM unnest(tags) x) FROM event;
SELECT id, ARRAY(SELECT x || '!' FROM unnest(tags) WITH ORDINALITY u(x, o) ORDER BY o) FROM event;
SELECT id, e.value FROM event, jsonb_array_elements_text(payload -> 'l') e(value) WHERE id < 10;
SELECT id, e FROM event, jsonb_array_elements(payload -> 'l') e WHERE id < 10;
SELECT id, e FROM event, json_array_elements(raw -> 'z') e WHERE id < 10;
SELECT k, count(*) FROM event, jsonb_object_keys(payload) k GROUP BY k;
SELECT w, count(*) FROM event, regexp_split_to_table(u::text, '-') w GROUP BY w;
SELECT w, count(*) FROM event, string_to_table(u::text, '-') w GROUP BY w;
SELECT id, i, tags[i] FROM event, generate_subscripts(tags, 1) i;
SELECT id, upper(unnest(tags)) || '!' FROM event;
SELECT unnest(ARRAY[id, s]) FROM event WHERE id < 10;
SELECT x, count(*) FROM event CROSS JOIN LATERAL (VALUES (kind), (vc)) v(x) GROUP BY x;
SELECT id, row_number() OVER (PARTITION BY tag ORDER BY id) FROM event, unnest(tags) tag;
SELECT id, unnest(nums), sum(s) OVER (ORDER BY id) FROM event;
SELECT id, unnest(regexp_split_to_array(u::text, '-')) FROM event WHERE id < 5;
SELECT max(x) FROM event e, LATERAL (SELECT sum(n) AS x FROM unnest(e.nums) n WHERE n > e.s) y;
SELECT a, b FROM unnest(ARRAY[1,2,3]) a, generate_series(1, a) b, store WHERE s_store_sk = b;
SELECT unnest(u) FROM (SELECT array_agg(id ORDER BY id) AS u FROM event GROUP BY kind) x;
SELECT id, unnest(tags) FROM event WHERE false;
SELECT u, count(*) FROM (SELECT unnest(ARRAY[u, u]) AS u FROM event WHERE id < 10) x GROUP BY u;
SELECT unnest(array_agg(DISTINCT kind)) FROM event;
-- expect: error
SELECT e.id, g FROM event e, generate_series(1, 10, e.s) g;
-- expect: error
SELECT id, e FROM event, jsonb_array_elements(payload) e;
-- expect: any
SELECT id, unnest(tags), unnest(nums) FROM event;
-- expect: any
SELECT * FROM event, ROWS FROM (unnest(tags), unnest(nums)) AS r(a, b) WHERE id < 10;
-- expect: any
SELECT payload -> 'a', count(*) FROM event GROUP BY 1;
SELECT payload -> 'a', count(*) FROM event WHERE id < 1000 GROUP BY 1;
-- expect: any
SELECT DISTINCT payload FROM event;
SELECT DISTINCT payload FROM event WHERE id < 1002;
SELECT s FROM store s;
SELECT count(s), count(*) FILTER (WHERE s IS NULL) FROM store s;
SELECT row_to_json(t) FROM (SELECT s_store_sk AS a, s_store_name AS b FROM store) t;
SELECT row_to_json(s), to_jsonb(s) FROM store s WHERE s_open;
SELECT e.id FROM event e LEFT JOIN store s ON s.s_store_sk = e.id WHERE s IS NULL AND e.id < 20;
SELECT s.s_store_sk FROM store s LEFT JOIN event e ON e.id = s.s_store_sk + 295 WHERE e IS NOT NULL;
SELECT count(DISTINCT (kind, ok)), count(DISTINCT (kind, dur, n)), count(DISTINCT (s, f8)), count((kind, vc)) FROM event;
SELECT ok, count(DISTINCT (kind, vc)) FILTER (WHERE s > 0) FROM event GROUP BY ok;
-- expect: any
SELECT s FROM event e LEFT JOIN store s ON s.s_store_sk = e.id WHERE e.id < 20;
SELECT sum(f8), avg(f8), sum(f4), avg(f4), sum(s::float8), avg(s::float4) FROM event;
SELECT kind, sum(f8), avg(f4), avg(id::float8) FROM event GROUP BY kind;
SELECT sum(f8), avg(f8) FROM event WHERE false;
-- expect: postgres (a sum of floats that depends on their order)
SELECT sum(n::float8) FROM event;
INSERT INTO tgt (id, total) SELECT s, sum(id) FROM event WHERE s < -40 GROUP BY s RETURNING id, name, total, at, dbl;
INSERT INTO tgt SELECT s_store_sk, upper(s_store_name) FROM store ORDER BY s_store_sk DESC LIMIT 3 RETURNING *;
WITH c AS (SELECT kind, count(*) AS n FROM event GROUP BY kind) INSERT INTO tgt (name, id) SELECT coalesce(kind, '?'), n FROM c RETURNING name, id, dbl;
INSERT INTO tgt (id) SELECT id FROM event WHERE false RETURNING id;
-- expect: error
INSERT INTO tgt (id) SELECT id * 10000000 FROM event;
-- both
SELECT count(*), sum(id), sum(total), sum(dbl), count(DISTINCT name) FROM tgt;
-- do
DELETE FROM tgt;
-- expect: error
INSERT INTO keyed SELECT s_store_sk, count(*) FROM store GROUP BY s_store_sk;
INSERT INTO tgt (id) SELECT g FROM generate_series(1, 3) g, store WHERE s_store_sk = g RETURNING id;
