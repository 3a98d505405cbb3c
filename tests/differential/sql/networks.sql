-- inet, cidr and macaddr: passed through, compared, grouped by; never sorted by the engine.
-- setup
CREATE DOMAIN address AS inet;
CREATE TABLE visit (id int PRIMARY KEY, ip inet, net cidr, mac macaddr, a address, path text, ms int);
INSERT INTO visit VALUES
    (1, '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '10.0.0.1', '/a', 10),
    (2, '10.0.0.1/32', '10.0.0.0/8', '08-00-2B-01-02-03', '10.0.0.1/8', '/b', 20),
    (3, '10.0.0.1/8', '10.0.0.1/32', '08002b010203', '::1', '/a', 30),
    (4, '10.0.0.0/8', '0.0.0.0/0', '00:00:00:00:00:00', NULL, '/c', 5),
    (5, '9.255.255.255', '192.168.1.0/24', 'ff:ff:ff:ff:ff:ff', '0.0.0.0', '/c', 7),
    (6, '::1', '::/0', NULL, '255.255.255.255', NULL, 8),
    (7, '::ffff:10.0.0.1', 'fe80::/10', '7f:ff:ff:ff:ff:ff', '::', '/d', NULL),
    (8, 'fe80::1/64', 'fe80::1/128', '80:00:00:00:00:00', 'fe80:0:0:0:0:0:0:1', '/d', 1),
    (9, NULL, NULL, NULL, NULL, NULL, NULL),
    (10, '192.168.1.7', '192.168.0.0/16', '08:00:2b:01:02:04', '2001:db8::ff00:42:8329', '/a', 3),
    (11, '192.168.2.9/24', '192.168.1.7/32', '01:00:00:00:00:00', '1.2.3.4/0', '/b', 4);
CREATE TABLE host (ip inet PRIMARY KEY, name text, mac macaddr);
INSERT INTO host VALUES ('10.0.0.1', 'gate', '08:00:2b:01:02:03'), ('::1', 'self', NULL), ('192.168.1.7', 'desk', '08:00:2b:01:02:04'), ('10.0.0.1/8', 'ten', '00:00:00:00:00:00');
CREATE TABLE object (id int PRIMARY KEY, o oid);
INSERT INTO object VALUES (1, 0), (2, 5), (3, 4294967295), (4, 2147483648), (5, NULL), (6, 1259), (7, 5);
-- queries
SELECT * FROM visit;
SELECT ip, count(*), sum(ms) FROM visit GROUP BY ip;
SELECT net, mac, count(*) FROM visit GROUP BY 1, 2;
SELECT DISTINCT a FROM visit;
SELECT count(DISTINCT ip), count(DISTINCT net), count(DISTINCT mac), count(DISTINCT a), count(ip) FROM visit;
-- ordered
SELECT ip, sum(ms) FROM visit GROUP BY ip ORDER BY ip;
-- ordered
SELECT id, net FROM visit ORDER BY net DESC NULLS LAST, id LIMIT 4;
-- ordered
SELECT mac, id FROM visit ORDER BY mac, id;
SELECT id FROM visit WHERE ip = '10.0.0.1';
SELECT id FROM visit WHERE ip = '10.0.0.1/8' OR a = '::1';
SELECT id FROM visit WHERE ip <> '10.0.0.1';
SELECT id FROM visit WHERE ip IN ('10.0.0.1', '::1', NULL);
SELECT id FROM visit WHERE ip = ANY ('{10.0.0.1,fe80::1/64}'::inet[]);
SELECT id FROM visit WHERE net = '10.0.0.0/8';
SELECT id FROM visit WHERE net = '10.0.0.1'::inet;
SELECT id FROM visit WHERE mac = '08:00:2b:01:02:03' OR mac > '7f:ff:ff:ff:ff:ff';
SELECT id, ip < '10.0.0.1' AS lt, ip <= '10.0.0.1' AS le, ip > '10.0.0.0/8' AS gt, ip >= '::1' AS ge, count(*) FROM visit GROUP BY 1, 2, 3, 4, 5;
SELECT a.id, b.id, a.ip < b.ip, a.ip >= b.ip, a.net <= b.net, a.mac < b.mac, a.mac >= b.mac, a.ip = b.net, a.ip > b.net FROM visit a, visit b;
SELECT a.id, b.id, a.ip <<= b.net, a.ip << b.net, b.net >>= a.ip, b.net >> a.ip, a.ip <<= b.ip, a.ip >> b.a FROM visit a, visit b WHERE a.id + b.id > 0;
SELECT net, count(*) FILTER (WHERE ip <<= '10.0.0.0/8'), count(*) FILTER (WHERE ip << '10.0.0.0/8'), count(*) FILTER (WHERE ip >>= '10.0.0.1') FROM visit GROUP BY net;
SELECT host(ip) AS h, text(ip) AS t, family(ip) AS f, masklen(ip) AS m, host(net) AS hn, ip::text AS it, net::text AS nt, mac::text AS mt, count(*) FROM visit GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
SELECT id, host(ip), text(net), family(net), masklen(net), net::inet, net::inet = ip, masklen(a) FROM visit;
SELECT v.id, h.name FROM visit v JOIN host h ON h.ip = v.ip;
SELECT v.id, h.name FROM visit v LEFT JOIN host h USING (ip, mac);
SELECT v.id, h.name FROM visit v JOIN host h ON h.ip <<= v.net;
SELECT v.id FROM visit v WHERE NOT EXISTS (SELECT FROM host h WHERE h.ip = v.ip);
SELECT v.id, (SELECT name FROM host h WHERE h.ip = v.net) FROM visit v;
SELECT ip FROM visit UNION SELECT ip FROM host;
SELECT ip FROM visit INTERSECT SELECT net FROM visit;
SELECT coalesce(ip, '0.0.0.0'), nullif(ip, '10.0.0.1'), CASE WHEN id < 5 THEN ip ELSE net END AS c, count(*) FROM visit GROUP BY 1, 2, 3;
SELECT id, lag(ip) OVER (ORDER BY id), first_value(mac) OVER (PARTITION BY net ORDER BY id), count(*) OVER (PARTITION BY ip) FROM visit;
SELECT id, ip IS DISTINCT FROM a, ip IS NULL FROM visit;
SELECT path, concat(path, ':', ip), ip || path FROM visit;
-- expect: any
SELECT min(ip), max(net) FROM visit;
-- expect: any
SELECT greatest(ip, a), least(mac, '08:00:2b:01:02:03') FROM visit;
SELECT path, array_agg(ip ORDER BY id), array_agg(net ORDER BY id), (array_agg(mac ORDER BY id DESC))[1] FROM visit GROUP BY path;
SELECT id, unnest(ARRAY[ip, '::1']) AS x FROM visit;
SELECT ip = ANY (ARRAY[a, '10.0.0.1']) AS x, count(*) FROM visit GROUP BY 1;
-- expect: any
SELECT json_agg(ip ORDER BY id) FROM visit;
-- Numbers of objects.
SELECT o, count(*) FROM object GROUP BY o;
SELECT id, o, o = 5, o > 5, o >= 4294967295, o IN (0, 5), o < 2147483648 FROM object;
-- ordered
SELECT o, id FROM object ORDER BY o DESC NULLS LAST, id;
SELECT a.id, b.id FROM object a JOIN object b ON a.o = b.o;
SELECT id, o::regclass, o::text, o::bigint + 1 FROM object;
SELECT count(DISTINCT o), count(*) FILTER (WHERE o <> 0) FROM object WHERE o > 3 OR id > 0;
-- expect: postgres (cast from oid to text)
SELECT array_agg(o::text ORDER BY id) FROM object;
-- expect: any
SELECT id, to_json(ip), broadcast(net), set_masklen(ip, 8), ip + 1, '10.1.1.1'::text::inet = ip FROM visit;
-- do
UPDATE host SET ip = '10.0.0.2' WHERE name = 'gate';
-- do
DELETE FROM host WHERE ip = '::1';
-- do
INSERT INTO host VALUES ('::1', 'again', NULL) ON CONFLICT (ip) DO UPDATE SET name = 'changed';
SELECT * FROM host;
-- do
SELECT weir.verify('host');
