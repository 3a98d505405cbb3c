-- JSON made of values, of rows and of JSON: the exact texts.
-- setup
CREATE TYPE hue AS ENUM ('red', 'dark "blue"');
CREATE TABLE v (id int PRIMARY KEY, g int, b bool, i2 smallint, i8 bigint, n numeric, n2 numeric(10,2), f4 real, f8 float8, t text, vc varchar(20), c char(5), d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid, h hue, ai int[], at text[], an numeric[], af float8[], ad date[], j json, jb jsonb);
INSERT INTO v VALUES
    (1, 1, true, 1, 10000000000, 1.50, 2.50, 1.5, 1e20, 'plain', 'v', 'ab', '2000-01-01', '10:00', '2000-01-01 10:00:00.5', '2000-01-01 10:00:00+02', '1 day 02:03:04', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'red', '{1,2,NULL}', '{a,"b \"c",NULL}', '{1.50,2,-0.0}', '{1.5,1e-7,NaN}', '{2000-01-01,infinity}', '{"b":1,  "a":[1, 2.50],"b":3}', '{"b": 1, "a": [1, 2.50], "n": null}'),
    (2, 1, false, -1, -1, -0.00, 0, '-0', '-0', E'quote " back \\ tab \t nl \n cr \r bs \b ff \f', E'\x01\x1f\x7f', '', 'infinity', '00:00:00.000001', 'infinity', '-infinity', '-1 mon +2 days', NULL, 'dark "blue"', '{}', '{}', '{}', '{}', '{}', '[]', '[]'),
    (3, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 2, true, 32767, 9223372036854775807, 12345678901234567890123456789.123456789, -99999999.99, '3.4e38', 'Infinity', 'ä 日本 😀', 'x', 'é', '0044-03-15 BC', '23:59:59.999999', '0001-01-01 00:00:00 BC', '1890-01-01 00:00:00+00', '-00:00:00.5', NULL, NULL, '{-5}', '{"",null,"null"}', '{0.000000000000000000001}', '{Infinity,-Infinity,-0}', '{0044-03-15 BC}', 'null', 'null'),
    (5, 3, false, 0, 0, 0.000100, 0.10, 'NaN', 'NaN', '', '', 'x  y', '9999-12-31', '12:00', '12345-06-07 08:09:10', '2024-07-01 12:00:00.123456+00', '0', '00000000-0000-0000-0000-000000000000', 'red', '{1}', '{"{}"}', '{1e10}', '{1e300}', NULL, '"text \u00e4"', '"text ä"'),
    (6, 3, NULL, 5, 5, 1e-20, 5, 1e-30, 1e-300, 'null', 'true', '1', '2024-02-29', NULL, '2024-02-29 00:00:00', '2024-02-29 00:00:00+00', '1 year', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"k": {"x": null, "y": {}}}', '{"k": {"x": null, "y": {}}, "aa": "1", "z": [{"q": null}, null]}');
CREATE TABLE wide (id int, dropped text, name text); ALTER TABLE wide DROP COLUMN dropped; ALTER TABLE wide ADD extra numeric(6,2) DEFAULT 1.5; ALTER TABLE wide REPLICA IDENTITY FULL;
INSERT INTO wide VALUES (1, 'one'), (2, NULL), (1, 'uno');
CREATE TABLE ev (id int PRIMARY KEY, kind text, payload text, doc jsonb, at timestamptz);
INSERT INTO ev SELECT i, 'k' || i % 3, CASE WHEN i % 7 > 0 THEN format('{"user": {"id": %s, "name": "n%s"}, "amount": %s.50, "tags": ["a", "t%s"], "ok": %s}', i % 5, i, i, i % 4, (i % 2 = 0)::text) END,
    jsonb_build_object('a', i, 'b', 'x' || i % 3, 'list', jsonb_build_array(i, i % 2, null)), timestamptz '2024-01-01 00:00+00' + i * interval '7 hours' FROM generate_series(1, 40) i;
-- queries
SELECT id, to_json(b), to_json(i2), to_json(i8), to_json(n), to_json(n2), to_json(f4), to_json(f8) FROM v;
SELECT id, to_json(t), to_json(vc), to_json(c), to_json(d), to_json(tm), to_json(ts), to_json(tz), to_json(iv), to_json(u), to_json(h) FROM v;
SELECT id, to_json(ai), to_json(at), to_json(an), to_json(af), to_json(ad), to_json(j), to_json(jb), array_to_json(ai) FROM v;
SELECT id, to_jsonb(b), to_jsonb(i2), to_jsonb(i8), to_jsonb(n), to_jsonb(n2), to_jsonb(f4), to_jsonb(f8), to_jsonb(t), to_jsonb(c), to_jsonb(d), to_jsonb(ts), to_jsonb(tz), to_jsonb(iv), to_jsonb(h) FROM v;
SELECT id, to_jsonb(ai), to_jsonb(at), to_jsonb(an), to_jsonb(af), to_jsonb(ad), to_jsonb(j), to_jsonb(jb) FROM v;
SELECT count(*) FROM v WHERE to_jsonb(f8)::text LIKE '%00000%' OR to_json(t)::text LIKE '%\\%';
SELECT json_build_object('id', id, 'b', b, 'n', n, 't', t, 'd', d, 'tz', tz, 'none', NULL, 'arr', ai, 'doc', jb)::text AS x, count(*) FROM v GROUP BY 1;
SELECT jsonb_build_object('id', id, 'b', b, 'n', n, 't', t, 'd', d, 'tz', tz, 'none', NULL, 'arr', ai, 'doc', j, 'id', 0) AS x, count(*) FROM v GROUP BY 1;
SELECT json_build_array(id, b, n, f8, t, d, NULL, ai, j)::text AS x, count(*) FROM v GROUP BY 1;
SELECT jsonb_build_array(id, b, n, f8, t, d, NULL, ai, j) AS x, count(*) FROM v GROUP BY 1;
SELECT json_build_object(id, 1, coalesce(n, 0), 2, b IS NULL, 3, coalesce(d, '2001-01-01'), 4, coalesce(f8, 0), 5)::text AS x, count(*) FROM v GROUP BY 1;
SELECT jsonb_build_object(id, 1, coalesce(n, 0), 2, b IS NULL, 3, coalesce(d, '2001-01-01'), 4, coalesce(f8, 0), 5) AS x, count(*) FROM v GROUP BY 1;
-- expect: error
SELECT json_build_object(t, 1)::text AS x, count(*) FROM v GROUP BY 1;
SELECT json_agg(id ORDER BY id), json_agg(t ORDER BY id), json_agg(n ORDER BY id), json_agg(f8 ORDER BY id), json_agg(tz ORDER BY id DESC) FROM v;
SELECT g, json_agg(ai ORDER BY id), json_agg(c ORDER BY id), json_agg(jb ORDER BY id), json_agg(h ORDER BY id), json_agg(b ORDER BY id) FROM v GROUP BY g;
SELECT g, jsonb_agg(ai ORDER BY id), jsonb_agg(an ORDER BY id), jsonb_agg(j ORDER BY id), jsonb_agg(f8 ORDER BY id), jsonb_agg(t ORDER BY id) FROM v GROUP BY g;
SELECT json_agg(id ORDER BY id), jsonb_agg(t ORDER BY id), json_object_agg(id, t ORDER BY id), jsonb_object_agg(id, t) FROM v WHERE id > 100;
SELECT g, json_agg(id ORDER BY id) FILTER (WHERE b), jsonb_agg(DISTINCT b), json_agg(DISTINCT g) FROM v GROUP BY g;
SELECT g, json_object_agg(id, t ORDER BY id), json_object_agg(t, n ORDER BY id) FILTER (WHERE t IS NOT NULL), json_object_agg(d, ai ORDER BY id) FILTER (WHERE d IS NOT NULL) FROM v GROUP BY g;
SELECT g, jsonb_object_agg(id, t), jsonb_object_agg(id, n), jsonb_object_agg('k' || id, jb), jsonb_object_agg(g, 1), jsonb_object_agg(g, id ORDER BY id) FROM v GROUP BY g;
-- expect: any
SELECT g, jsonb_object_agg(g, id) FROM v GROUP BY g;
-- expect: error
SELECT json_object_agg(t, id ORDER BY id) FROM v;
SELECT json_agg(w ORDER BY id, name) FROM wide w;
SELECT id, json_agg(w ORDER BY name), jsonb_agg(w.* ORDER BY name), jsonb_agg(to_jsonb(w) - 'id' ORDER BY name) FROM wide w GROUP BY id;
SELECT row_to_json(w)::text AS r, count(*) FROM wide w GROUP BY 1;
SELECT row_to_json(w)::text AS r, count(*) FROM wide w(x, y) GROUP BY 1;
SELECT row_to_json(w), to_json(w), to_jsonb(w) FROM (SELECT id AS "the id", name, extra FROM wide) w;
SELECT row_to_json(ROW(id, name)), to_jsonb(ROW(id, ROW(name, extra))) FROM wide;
SELECT row_to_json(w)::text AS r FROM (SELECT id, name FROM wide) w(a) WHERE row_to_json(w)::text LIKE '%uno%';
SELECT json_build_object('w', w, 'n', 1)::text AS r, count(*) FROM wide w GROUP BY 1;
SELECT row_to_json(v)::text AS r FROM v WHERE length(row_to_json(v)::text) > 10;
SELECT to_jsonb(v) AS r FROM v WHERE to_jsonb(v) ? 'jb';
SELECT json_agg(x) FROM (SELECT id, name FROM wide ORDER BY name NULLS FIRST) x;
SELECT json_agg(x), jsonb_agg(x.name), count(*) FROM (SELECT name FROM wide ORDER BY id DESC, name) x;
SELECT json_agg(row_to_json(x)) FROM (SELECT kind, count(*) AS n, max(at) AS latest FROM ev GROUP BY kind ORDER BY n DESC, kind) x;
SELECT array_agg(kind), string_agg(kind, ',') FROM (SELECT DISTINCT kind FROM ev ORDER BY kind DESC) x WHERE kind <> 'k1';
SELECT coalesce(json_agg(x), '[]') FROM (SELECT id FROM wide WHERE id > 10 ORDER BY id) x;
SELECT jsonb_build_object('total', count(*), 'rows', jsonb_agg(jsonb_build_object('kind', kind, 'n', n) ORDER BY kind)) FROM (SELECT kind, count(*) AS n FROM ev GROUP BY kind) x;
SELECT w.id, (SELECT json_agg(json_build_object('id', e.id, 'at', e.at) ORDER BY e.id) FROM ev e WHERE e.id % 10 = w.id) AS events FROM wide w;
SELECT w.id, coalesce(json_agg(e.doc ORDER BY e.id) FILTER (WHERE e.id IS NOT NULL), '[]'::json) FROM wide w LEFT JOIN ev e ON e.id = w.id * 3 AND w.name LIKE 'o%' GROUP BY w.id, w.name;
SELECT w.id, json_agg(e ORDER BY e.id), jsonb_agg(to_jsonb(e) - 'doc' ORDER BY e.id) FILTER (WHERE e.id IS NOT NULL) FROM wide w LEFT JOIN ev e ON e.id = w.id * 3 AND w.name LIKE 'o%' GROUP BY w.id, w.name;
SELECT (payload::jsonb -> 'user' ->> 'id')::int AS u, sum((payload::jsonb ->> 'amount')::numeric), count(*) FROM ev GROUP BY 1;
SELECT payload::json #>> '{user,name}' AS u, (payload::jsonb -> 'amount')::numeric AS amount, payload::jsonb AS doc FROM ev WHERE payload::jsonb @> '{"ok": true}';
SELECT id, jb || '{"new": 1}', jb || '[1, "x"]', '{"b": 2}' || jb, jb || jb, jb || 'null', jb || NULL FROM v;
SELECT id, doc || '{"a": null}' AS x, doc - 'a', doc - '{b,list,none}'::text[], doc #- '{list,0}', doc #- '{list,-1}', doc #- '{x,y}', (doc -> 'list') - 1, (doc -> 'list') - -1, (doc -> 'list') - 7 FROM ev WHERE doc || '{"a": null}' <> '{}';
SELECT id, jsonb_set(doc, '{a}', '"new"'), jsonb_set(doc, '{list,1}', to_jsonb(id)), jsonb_set(doc, '{list,9}', '0'), jsonb_set(doc, '{list,-9}', '0'), jsonb_set(doc, '{q}', '{}', false), jsonb_set(doc, '{q,r}', '1'), jsonb_set(doc, '{}', '1') FROM ev WHERE jsonb_set(doc, '{a}', '0') ->> 'a' = '0';
SELECT id, jsonb_insert(doc, '{list,0}', '7'), jsonb_insert(doc, '{list,0}', '7', true), jsonb_insert(doc, '{list,-1}', '[]'), jsonb_insert(doc, '{list,8}', '[]'), jsonb_insert(doc, '{n}', '1') FROM ev WHERE jsonb_insert(doc, '{n}', '1') ? 'n';
-- expect: error
SELECT jsonb_set(doc, '{list,x}', '1') AS x, count(*) FROM ev GROUP BY 1;
-- expect: error
SELECT to_jsonb(id) - 'a' AS x, count(*) FROM ev GROUP BY 1;
SELECT id, jsonb_strip_nulls(jb), jsonb_pretty(jb), jsonb_pretty(to_jsonb(ai)) FROM v WHERE jsonb_pretty(jb) IS NOT NULL;
SELECT jb AS x, jsonb_strip_nulls(jb) AS y, count(*) FROM v GROUP BY 1, 2;
SELECT j::jsonb AS x, count(*) FROM v GROUP BY 1;
SELECT id, t, ('{"t": ' || to_json(t)::text || '}')::jsonb ->> 't' = t FROM v WHERE t IS NOT NULL;
-- expect: error
SELECT t::jsonb AS x, count(*) FROM v GROUP BY 1;
SELECT id, (jb -> 'b')::numeric + 0.5, (jb -> 'a' -> 1)::numeric FROM v WHERE (jb -> 'b')::numeric > 0;
SELECT to_json(ad)::text AS x, to_json(af)::text AS y, count(*) FROM v GROUP BY 1, 2;
-- expect: any
SELECT e.id, row_to_json(w), to_jsonb(w) FROM ev e LEFT JOIN (SELECT id, name FROM wide WHERE name IS NOT NULL) w ON w.id = e.id;
SELECT v.id, row_to_json(e)::text AS r, json_build_object('e', e, 'n', v.n)::text AS b, count(*) FROM v LEFT JOIN ev e ON e.id = v.id * 10 GROUP BY 1, 2, 3;
SELECT v.id, e.id, json_build_array(v.t, e) FROM v FULL JOIN ev e ON e.id = v.id + 37;
