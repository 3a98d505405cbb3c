-- Constant ranges: whether they contain a value.
-- setup
CREATE TABLE v (id int PRIMARY KEY, i int, b bigint, n numeric(10,2), m numeric, d date, ts timestamp, tz timestamptz);
INSERT INTO v SELECT i, i - 5, i * bigint '1000000000', i / 4.0, i / 3.0, date '2024-01-01' + i, timestamp '2024-01-01' + i * interval '7 hours', timestamptz '2024-01-01 00:00+00' + i * interval '7 hours' FROM generate_series(0, 30) i;
INSERT INTO v (id) VALUES (40);
INSERT INTO v VALUES (41, 2147483647, 9223372036854775807, 99999999.99, 1e30, 'infinity', NULL, NULL), (42, -2147483648, -9223372036854775808, -0.01, -1e-30, '-infinity', '0044-03-15 BC', '9999-12-31 23:59:59+00');
-- queries
SELECT id FROM v WHERE int4range(1, 10) @> i;
SELECT id FROM v WHERE i <@ '(1,10]'::int4range AND NOT '[2,3]'::int4range @> i;
SELECT id, i <@ 'empty'::int4range AS a, i <@ '(,)'::int4range AS b, i <@ '(,3]'::int4range AS c, i <@ '[3,)'::int4range AS e, i <@ '[5,5]'::int4range AS f, count(*) FROM v GROUP BY 1, 2, 3, 4, 5, 6;
SELECT id, b <@ int8range(1000000000, 5000000000, '[]') AS a, n <@ '(0.25,2.5]'::numrange AS c, m <@ '[0.3333,5)'::numrange AS e, count(*) FROM v GROUP BY 1, 2, 3, 4;
SELECT count(*) FROM v WHERE daterange('2024-01-05', '2024-01-20') @> d;
SELECT id FROM v WHERE d <@ daterange('2024-01-05', NULL, '()');
SELECT id FROM v WHERE d <@ daterange('2024-01-05', 'infinity', '[]');
SELECT count(*) FILTER (WHERE ts <@ tsrange('2024-01-02 03:00', '2024-01-05', '(]')), count(*) FILTER (WHERE tstzrange('2024-01-02', NULL) @> tz) FROM v;
SELECT id FROM v WHERE (SELECT max(x.i) FROM v x WHERE x.id <= v.id) <@ '[3,9]'::int4range;
SELECT id FROM v WHERE d <@ NULL::daterange OR id = 1;
-- expect: postgres (is not shipped)
SELECT id FROM v WHERE i <@ int4range(id - 2, id + 2);
-- expect: any
SELECT id FROM v WHERE n <@ '[0,NaN]'::numrange;
