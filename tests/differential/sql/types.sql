-- Arrays, JSON and the other types; functions that only share a built-in's name.
-- setup
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN posint AS int CHECK (value > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE ty (id int PRIMARY KEY, ai int[], at text[], j json, jb jsonb, u uuid, m mood, b bytea, p posint, ad date[]);
INSERT INTO ty VALUES
    (1, '{1,2,3}', '{a,b}', '{"a": 1, "b": [1, 2], "a": 2}', '{"a": 1, "b": [1, 2]}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'happy', '\xdeadbeef', 1, '{2000-01-01}'),
    (2, '{}', '{}', '[]', '[]', '00000000-0000-0000-0000-000000000000', 'sad', '', 2, '{}'),
    (3, '{NULL,5}', '{NULL,""}', 'null', 'null', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'ok', '\x00', 3, '{NULL}'),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, '{1,2,3}', '{"a b","c,d","e\"f"}', '{"x": null, "y": 1.50}', '{"x": null, "y": 1.50, "z": {"k": "v"}}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 'happy', '\x616263', 5, '{2000-01-01,infinity}'),
    (6, '{3,2,1}', '{ä,日本}', '"text"', '"text"', '10000000-0000-0000-0000-000000000000', 'sad', '\x5c', 6, '{1999-12-31}');
CREATE TABLE odd (id int PRIMARY KEY, lb int[], md int[], ip inet, r int4range, pt point, x pg_lsn, tsv tsvector, c pair, mo money, bt bit(4), n int);
INSERT INTO odd VALUES (1, '[0:1]={7,8}', '{{1,2},{3,4}}', '10.0.0.1', '[1,5)', '(1,2)', '0/1', 'cat dog', '(1,x)', 1.5, '1010', 1), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2),
    (3, '{1}', '{1}', '::1', 'empty', '(0,0)', '0/2', '', '(,)', -2, '0000', 3);
CREATE FUNCTION upper(int) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'mine: ' || $1;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 * 2; END $$;
CREATE FUNCTION add_one(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + 1;
CREATE FUNCTION today() RETURNS date LANGUAGE sql STABLE RETURN date '2024-01-01';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
-- queries
SELECT id, ai, at, j, jb, u, m, b, p, ad FROM ty;
SELECT id, ai = '{1,2,3}', ai <> '{1,2,3}', at = '{a,b}', ad = '{2000-01-01}' FROM ty;
SELECT id FROM ty WHERE ai = ARRAY[1, 2, 3];
-- expect: any
SELECT a.id, b.id FROM ty a JOIN ty b ON a.ai = b.ai;
-- expect: any
SELECT ai, count(*) FROM ty GROUP BY ai;
-- expect: any
SELECT id, ai[1], ai[0], ai[9], at[2], ai[1:2], ai[2:] FROM ty;
-- expect: any
SELECT id, array_length(ai, 1), cardinality(ai), array_upper(ai, 1), array_ndims(ai), array_length(at, 1) FROM ty;
-- expect: any
SELECT id, 2 = ANY (ai), 5 <> ALL (ai), 'a' = ANY (at), 3 > ALL (ai) FROM ty;
-- expect: any
SELECT id, ai || 4, ai || ai, array_append(ai, 9), array_to_string(at, ',', '*'), array_position(ai, 2), array_remove(ai, 2) FROM ty;
-- expect: any
SELECT id, ai @> '{1}', ai && '{5,9}', '{1}' <@ ai, ai < '{2}' FROM ty;
-- expect: any
SELECT id, x FROM ty, unnest(ai) AS x;
-- expect: any
SELECT id, unnest(ai), unnest(at) FROM ty;
-- expect: any
SELECT array_agg(id ORDER BY id), array_agg(u ORDER BY id), array_agg(p ORDER BY id DESC) FROM ty;
-- expect: any
SELECT m, array_agg(id ORDER BY id), array_agg(b ORDER BY id), array_agg(m ORDER BY id) FROM ty GROUP BY m;
-- expect: any
SELECT id, jb -> 'a', jb ->> 'y', jb -> 'b' -> 0, jb #>> '{z,k}', j -> 'a', j ->> 'x', jb -> 0 FROM ty;
-- expect: any
SELECT id, jb @> '{"a": 1}', jb ? 'x', jb = '[]', jsonb_typeof(jb), jb || '{"n": 1}' FROM ty;
-- expect: any
SELECT jb, count(*) FROM ty GROUP BY jb;
-- expect: any
SELECT id, jb::text, j::text, (jb ->> 'y')::numeric FROM ty;
SELECT id FROM ty WHERE u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
SELECT id FROM ty WHERE u > 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
-- ordered
SELECT id, u FROM ty ORDER BY u DESC, id;
SELECT u, count(*) FROM ty GROUP BY u;
SELECT id, u::text FROM ty;
SELECT id, m, m = 'happy', m::text, m IS NULL FROM ty;
SELECT m, count(*) FROM ty GROUP BY m;
-- expect: any
SELECT id FROM ty WHERE m > 'sad';
-- expect: any
-- ordered
SELECT id, m FROM ty ORDER BY m, id;
-- expect: any
SELECT min(m), max(m) FROM ty;
SELECT id, b, length(b), b = '\x00', b < '\x61', b IS NULL FROM ty;
-- ordered
SELECT id, b FROM ty ORDER BY b, id;
-- expect: any
SELECT id, encode(b, 'hex'), encode(b, 'base64'), encode(b, 'escape'), b || '\xff', md5(b), substr(b, 1, 2) FROM ty;
-- expect: any
SELECT id, p, p + 1, sum(p) OVER (ORDER BY id) FROM ty;
-- expect: error
SELECT (id - 1)::posint FROM ty;
SELECT id, n FROM odd;
SELECT sum(n) FROM odd WHERE n > 1;
-- expect: any
SELECT id, lb FROM odd;
-- expect: any
SELECT id, md FROM odd;
SELECT id, ip FROM odd;
-- expect: postgres ()
SELECT id FROM odd WHERE r @> 2;
-- expect: postgres ()
SELECT pt, x, tsv, c FROM odd;
-- expect: postgres ()
SELECT mo, bt FROM odd;
-- expect: postgres ()
SELECT * FROM odd;
-- expect: postgres ()
SELECT odd FROM odd;
-- expect: postgres ()
SELECT ctid, id FROM ty;
-- expect: postgres ()
SELECT tableoid::regclass, xmin IS NULL FROM ty;
-- expect: any
SELECT id, upper(id), types.upper(n) FROM odd;
SELECT id, twice(id) FROM ty;
SELECT id, add_one(id) FROM ty;
SELECT id FROM ty WHERE id < twice(2);
SELECT id, today() FROM ty WHERE date '2020-01-01' < today();
-- expect: any
SELECT id FROM ty WHERE id === 2;
SELECT id, current_setting('server_version_num')::int > 0 FROM ty;
SELECT id, clock_timestamp() > now() FROM ty;
SELECT id, gen_random_uuid() IS NULL FROM ty;
SELECT id, pg_sleep(0) FROM ty;
