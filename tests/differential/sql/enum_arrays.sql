-- Arrays of an enum, whose order is that of its values and not of their labels.
-- setup
CREATE TYPE mood AS ENUM ('sad', 'it''s, "{so}" \so', 'NULL', ' a b', '', 'glücklich 🙂', 'ok');
CREATE TYPE other AS ENUM ('ok', 'sad');
CREATE DOMAIN moods AS mood[];
CREATE DOMAIN feeling AS mood;
CREATE TYPE printed AS ENUM ('x', 'y');
CREATE FUNCTION json_of(printed) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT '{"of": "mine"}'::json $$;
CREATE CAST (printed AS json) WITH FUNCTION json_of(printed);
CREATE TABLE t (id int PRIMARY KEY, g int, m mood, ms mood[], ds moods, os other[], ps printed[]);
INSERT INTO t SELECT i, i % 5, (enum_range(NULL::mood))[1 + i % 7],
    CASE WHEN i % 11 = 0 THEN NULL WHEN i % 7 = 0 THEN '{}' WHEN i % 6 = 0 THEN ARRAY[(enum_range(NULL::mood))[1 + i % 7], NULL, 'ok'] ELSE (enum_range(NULL::mood))[1 + i % 4:1 + i % 4 + i % 3] END,
    CASE WHEN i % 3 > 0 THEN ARRAY['ok', 'sad', NULL]::mood[] END, CASE WHEN i % 4 > 0 THEN enum_range(NULL::other) ELSE '{sad}' END, ARRAY['x', 'y']::printed[] FROM generate_series(1, 60) i;
-- One that no mirror holds.
CREATE TABLE odd (id int PRIMARY KEY, ms mood[]);
INSERT INTO odd VALUES (1, '{ok}'), (2, '{{ok,sad},{sad,NULL}}');
CREATE TABLE from_zero (id int PRIMARY KEY, ms mood[]);
INSERT INTO from_zero VALUES (1, '{ok}'), (2, '[0:1]={ok,sad}');
CREATE TABLE keyed (ms mood[] PRIMARY KEY, v int);
INSERT INTO keyed VALUES ('{}', 1), ('{ok}', 2), ('{ok,sad}', 3), ('{NULL}', 4);
CREATE TABLE whole (ms mood[], v int);
ALTER TABLE whole REPLICA IDENTITY FULL;
INSERT INTO whole VALUES ('{ok}', 1), ('{ok}', 1), (NULL, 2), ('{sad,NULL}', 3);
-- queries
SELECT id, ms, ds, os, ps FROM t;
SELECT id FROM t WHERE ms = '{ok}' OR ms = ARRAY['sad', 'it''s, "{so}" \so']::mood[];
SELECT id FROM t WHERE ms <> '{}';
SELECT count(*) FROM t WHERE ms IS NULL;
SELECT count(*) FROM t WHERE ms IS NOT NULL AND ds IS NULL;
SELECT id FROM t WHERE ms IS DISTINCT FROM ds;
SELECT id FROM t WHERE ms IS NOT DISTINCT FROM NULL::mood[] OR ms IS NOT DISTINCT FROM '{}';
SELECT ms, count(*), count(ms), count(DISTINCT ds) FROM t GROUP BY ms;
SELECT DISTINCT ms, ds FROM t;
SELECT count(DISTINCT ms), count(DISTINCT os) FROM t;
SELECT count(*) FROM t WHERE m = ANY(ms);
SELECT m = ANY(ms), m <> ALL(ms), 'ok' = ANY(ms), NULL = ANY(ms), count(*) FROM t GROUP BY 1, 2, 3, 4;
SELECT count(*) FROM t WHERE m = ANY('{ok,"it''s, \"{so}\" \\so",NULL}'::mood[]);
SELECT count(*) FROM t WHERE m <> ALL(ARRAY['ok', 'sad']::mood[]);
SELECT count(*) FROM t WHERE m = ANY(ARRAY[m, NULL, 'ok']);
SELECT count(*) FROM t WHERE m IN ('ok', '', 'NULL');
SELECT u, count(*) FROM t, unnest(ms) u GROUP BY u;
SELECT id, u, o FROM t CROSS JOIN LATERAL unnest(ms) WITH ORDINALITY x(u, o);
SELECT u, count(*) FROM (SELECT unnest(ds) AS u FROM t) x WHERE u < 'ok' GROUP BY u;
SELECT count(*) FROM t JOIN unnest('{ok,sad}'::mood[]) u ON m = u;
SELECT cardinality(ms), array_length(ms, 1), array_upper(ms, 1), array_lower(ms, 1), array_ndims(ms), count(*) FROM t GROUP BY 1, 2, 3, 4, 5;
SELECT ms[1], ms[g], ms[2:], ms[:1], count(*) FROM t GROUP BY 1, 2, 3, 4;
SELECT ms[1], max(ms[2]), min(ds[1]) FROM t WHERE ms[1] > 'sad' GROUP BY ms[1];
SELECT array_to_string(ms, ','), array_to_string(ms, '|', 'none'), ms::text, count(*) FROM t GROUP BY 1, 2, 3;
SELECT ms::text[], array_agg(id ORDER BY id) FROM t GROUP BY 1;
SELECT x, count(*) FROM (SELECT ms::text[] || 'x'::text AS x FROM t) y GROUP BY x;
SELECT x, count(*) FROM (SELECT ms || m AS x, m || ms AS y, ms || ds AS z FROM t) q WHERE y <> z GROUP BY x;
SELECT array_position(ms, 'ok'), array_positions(ms, NULL), array_remove(ms, m), array_replace(ms, 'ok', NULL), count(*) FROM t GROUP BY 1, 2, 3, 4;
SELECT id FROM t WHERE ms @> ARRAY['ok']::mood[] OR ms <@ '{sad,NULL}' OR ms && ARRAY[m];
SELECT x FROM (SELECT trim_array(ds, 1) AS x FROM t) y WHERE x IS NOT NULL;
SELECT g, array_agg(m ORDER BY m, id), array_agg(m ORDER BY id DESC) FROM t GROUP BY g;
SELECT g, array_agg(DISTINCT m), array_agg(DISTINCT m ORDER BY m DESC), array_agg(m ORDER BY id) FILTER (WHERE m > 'NULL') FROM t GROUP BY g;
SELECT x, count(*) FROM (SELECT array_agg(DISTINCT m) AS x FROM t GROUP BY g) y GROUP BY x;
SELECT g, ARRAY(SELECT m FROM t u WHERE u.g = t.g ORDER BY m, id) FROM t WHERE id < 6;
SELECT a.id, b.id FROM t a JOIN t b ON a.ms = b.ms AND a.id < b.id;
SELECT a.id FROM t a LEFT JOIN t b ON a.ms = b.ds WHERE b.id IS NULL;
SELECT id FROM t WHERE ms IN (SELECT ds FROM t) OR ms NOT IN (SELECT ms FROM t WHERE ms IS NOT NULL);
SELECT ms FROM t UNION SELECT ds FROM t;
SELECT ms FROM t EXCEPT SELECT ds FROM t;
SELECT ms FROM t INTERSECT ALL SELECT ms FROM t WHERE id > 20;
SELECT coalesce(ms, ds), CASE WHEN g > 2 THEN ms ELSE '{ok}' END, nullif(ms, '{}'), count(*) FROM t GROUP BY 1, 2, 3;
SELECT id, lag(ms) OVER (ORDER BY id), first_value(ms) OVER (PARTITION BY ms ORDER BY id), count(*) OVER (PARTITION BY os) FROM t;
SELECT to_json(ms), json_agg(m ORDER BY id), json_build_object('a', ds) FROM t GROUP BY ms, ds, to_json(ms)::text;
SELECT count(*) FROM t WHERE ms::text LIKE '%"%' AND array_to_string(ds, ' ') <> '';
SELECT ds, count(*) FROM t WHERE ds = '{ok,sad,NULL}' GROUP BY ds;
-- The order of enums, element by element.
-- ordered
SELECT id, ms FROM t ORDER BY ms, id;
-- ordered
SELECT id, ms FROM t ORDER BY ms DESC NULLS LAST, ds, id LIMIT 25;
-- ordered
SELECT ms, count(*) FROM t GROUP BY ms ORDER BY ms;
SELECT id FROM t WHERE ms < '{NULL}';
SELECT id FROM t WHERE ms >= ARRAY['it''s, "{so}" \so', 'NULL']::mood[] AND ms <= ds;
SELECT a.id, b.id FROM t a JOIN t b ON a.ms > b.ds AND a.g = b.g;
SELECT min(ms), max(ms), min(ds), max(os) FROM t;
SELECT g, min(ms), max(ms) FILTER (WHERE id > 30) FROM t GROUP BY g;
SELECT min(ms) FROM t WHERE id > 99;
SELECT DISTINCT ON (g) g, ms, id FROM t ORDER BY g, ms, id;
SELECT DISTINCT ON (ms) ms, id FROM t ORDER BY ms, id;
SELECT id, rank() OVER (ORDER BY ms), row_number() OVER (PARTITION BY g ORDER BY ms DESC, id) FROM t;
SELECT string_agg(id::text, ',' ORDER BY ms, id) FROM t;
SELECT rank('{ok}'::mood[]) WITHIN GROUP (ORDER BY ms), dense_rank('{}'::mood[]) WITHIN GROUP (ORDER BY ms DESC) FROM t;
SELECT id, sum(id) OVER (ORDER BY ms), array_agg(m) OVER (PARTITION BY g ORDER BY id) FROM t;
SELECT ms, g, count(*), grouping(ms) FROM t GROUP BY GROUPING SETS ((ms), (g), ()) HAVING count(*) > 1 OR ms > '{ok}';
SELECT id FROM t WHERE ms = (SELECT ds FROM t WHERE id = 1) OR ms > (SELECT min(ds) FROM t);
SELECT id FROM t WHERE (ms, g) = (ds, 1) OR (ms, id) IN (SELECT ms, id FROM t WHERE g = 2);
SELECT json_agg(ms ORDER BY ms, id), jsonb_agg(DISTINCT g) FROM t WHERE id < 20;
SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM t u WHERE u.ms = t.ms AND u.id <> t.id AND u.ms < t.ds);
WITH x AS MATERIALIZED (SELECT ms, ds, row_number() OVER (ORDER BY ms, id) AS n FROM t) SELECT max(n), min(ms), ds FROM x GROUP BY ds;
-- expect: any
SELECT mode() WITHIN GROUP (ORDER BY ms), percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) FROM t;
-- expect: any
SELECT count(*) FROM t WHERE ms < ANY (SELECT ds FROM t) AND (ms, id) < (ds, 30) AND m >= ALL ('{sad,NULL}'::mood[]);
-- expect: any
SELECT width_bucket(m, '{sad,ok}'::mood[]), array_agg(DISTINCT ms ORDER BY ms) FROM t GROUP BY 1;
-- expect: postgres (GREATEST on type mood[])
SELECT count(greatest(ms, ds)) FROM t;
-- A user's own JSON.
-- expect: postgres (JSON of type printed, which has a cast to json)
SELECT count(*) FROM t WHERE to_json(ps)::text LIKE '%mine%';
-- What is no one-dimensional array from 1 on, or no label.
-- expect: postgres (column "ms")
SELECT id, ms FROM odd;
SELECT id FROM odd;
-- expect: postgres (column "ms")
SELECT id, ms FROM from_zero;
-- expect: error
SELECT count(*) FROM t WHERE ms = ('{' || g || '}')::mood[];
-- expect: error
SELECT count(*) FROM t WHERE ms = '{none}';
-- expect: any
SELECT count(*) FROM t WHERE ms = ('{' || m::text || '}')::text::mood[] AND m = 'ok';
SELECT ms, v FROM keyed;
SELECT ms, v FROM keyed WHERE ms = '{ok}';
SELECT ms, sum(v) FROM whole GROUP BY ms;
-- Changes.
-- do
UPDATE enum_arrays.keyed SET v = v + 10 WHERE ms = '{ok,sad}'; UPDATE enum_arrays.keyed SET ms = '{ok,ok}' WHERE ms = '{NULL}'; DELETE FROM enum_arrays.keyed WHERE ms = '{}';
SELECT ms, v FROM keyed;
-- do
DELETE FROM enum_arrays.whole WHERE ctid = (SELECT min(ctid) FROM enum_arrays.whole WHERE ms = '{ok}'); UPDATE enum_arrays.whole SET ms = ms || 'ok'::enum_arrays.mood WHERE v = 3;
SELECT ms, v FROM whole;
-- do
ALTER TYPE enum_arrays.mood ADD VALUE 'new, first' BEFORE 'sad';
-- do
ALTER TYPE enum_arrays.mood ADD VALUE 'between' AFTER 'sad';
-- do
INSERT INTO enum_arrays.t (id, g, m, ms) VALUES (1001, 1, 'between', '{"new, first",between,ok}'), (1002, 2, 'new, first', '{between}'); UPDATE enum_arrays.t SET ms = ms || 'between'::enum_arrays.mood WHERE id <= 5;
SELECT id, m, ms FROM t WHERE id > 1000 OR id < 6;
-- ordered
SELECT id, ms FROM t ORDER BY ms, id;
SELECT min(ms), max(ms), array_agg(m ORDER BY m, id) FROM t WHERE g < 3;
SELECT id FROM t WHERE 'between' = ANY(ms) OR ms = '{between}';
-- do
ALTER TYPE enum_arrays.mood RENAME VALUE 'ok' TO 'fine ☺';
-- expect: any
SELECT count(*) FROM t WHERE ms @> '{"fine ☺"}';
-- do
SELECT weir.sync();
SELECT id, m, ms, ds FROM t;
-- ordered
SELECT ms, count(*) FROM t WHERE ms @> '{"fine ☺"}' GROUP BY ms ORDER BY ms;
SELECT ms, v FROM keyed;
-- do
ALTER TABLE enum_arrays.keyed ADD COLUMN more enum_arrays.mood[] DEFAULT '{"fine ☺",NULL,"it''s, \"{so}\" \\so"}';
-- do
SELECT weir.sync('enum_arrays.keyed');
SELECT ms, v, more FROM keyed WHERE more = '{"fine ☺",NULL,"it''s, \"{so}\" \\so"}';
