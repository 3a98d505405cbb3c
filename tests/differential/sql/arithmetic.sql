-- Arithmetic and numeric: truncation, overflow, division by zero, scale, rounding, NaN, casts.
-- setup
CREATE TABLE ints (id int PRIMARY KEY, a smallint, b int, c bigint);
INSERT INTO ints VALUES
    (1, 0, 0, 0), (2, 1, 1, 1), (3, -1, -1, -1), (4, 7, 7, 7), (5, -7, -7, -7),
    (6, 32767, 2147483647, 9223372036854775807), (7, -32768, -2147483648, -9223372036854775808),
    (8, NULL, NULL, NULL), (9, 100, 65536, 4294967296), (10, 3, 46341, 3037000500), (11, 2, 2, 2);
CREATE TABLE safe (id int PRIMARY KEY, a smallint, b int, c bigint);
INSERT INTO safe VALUES (1, 7, 7, 7), (2, -7, -7, -7), (3, 1, 2, 3), (4, NULL, NULL, NULL), (5, 12, -5, 100), (6, 5, 3, 2),
    (7, 6, 4, 10), (8, 181, 46340, 3037000499);
CREATE TABLE nums (id int PRIMARY KEY, n numeric, p numeric(12,2), q numeric(20,6), w numeric(38,10), s numeric(5,0));
INSERT INTO nums VALUES
    (1, 0, 0, 0, 0, 0), (2, 1, 1, 1, 1, 1), (3, -1.5, -1.5, -1.5, -1.5, -2), (4, 0.000000000001, 0.01, 0.000001, 0.0000000001, 1),
    (5, 12345678901234567890.123456789, 9999999999.99, 99999999999999.999999, 9999999999999999999999999999.9999999999, 99999),
    (6, -12345678901234567890.123456789, -9999999999.99, -99999999999999.999999, -9999999999999999999999999999.9999999999, -99999),
    (7, NULL, NULL, NULL, NULL, NULL), (8, 2.50, 2.50, 2.5, 2.5, 3), (9, 3.141592653589793238462643383279, 3.14, 3.141593, 3.1415926536, 3),
    (10, 100, 100, 100, 100, 100), (11, 0.5, 0.5, 0.5, 0.5, 1), (12, 1.10, 1.10, 1.1, 1.1, 1);
CREATE TABLE odd_nums (id int PRIMARY KEY, n numeric);
INSERT INTO odd_nums VALUES (1, 'NaN'), (2, 'Infinity'), (3, '-Infinity'), (4, 1), (5, NULL), (6, -2.5);
CREATE TABLE huge (id int PRIMARY KEY, n numeric(76,0), m numeric);
INSERT INTO huge VALUES (1, 10::numeric ^ 75, 10::numeric ^ 60 + 0.5), (2, 1, 1), (3, -(10::numeric ^ 74), 1e-30), (4, NULL, NULL);
CREATE TABLE floats (id int PRIMARY KEY, f float8, g real);
INSERT INTO floats VALUES (1, 0, 0), (2, '-0', '-0'), (3, 1.5, 1.5), (4, -1.5, -1.5), (5, 'NaN', 'NaN'), (6, 'Infinity', 'Infinity'),
    (7, '-Infinity', '-Infinity'), (8, 1e308, 1e38), (9, 1e-308, 1e-37), (10, NULL, NULL), (11, 0.1, 0.1), (12, 123456789.123456789, 16777217),
    (13, 1e15, 1e6), (14, 1e16, 1e-5), (15, 2.5, 3.5), (16, -2.5, -0.5), (17, 0.5, 0.5);
CREATE TABLE words (id int PRIMARY KEY, good text, bad text, fraction text);
INSERT INTO words VALUES (1, '42', '42', '1.5'), (2, ' -7 ', '', '-0.25'), (3, '+9', '4x', '1e3'), (4, NULL, NULL, NULL), (5, '007', '1.0', ' 12. ');
-- queries
SELECT id, b / 2, b % 2, -b / 2, (-b) % 3 FROM safe;
-- Nothing to round, in values of more than 38 digits.
SELECT id, round(n, 36), round(n, 40), trunc(n, 38), ceil(n), round(p, 2) FROM nums;
SELECT id, a / 2::smallint, c / 3, c % 3, mod(b, 4), mod(c, 7) FROM safe;
SELECT id, a + b, b + c, a * b, b - c, a - 1 FROM safe;
SELECT id, a + a FROM safe WHERE id < 8;
SELECT id, +b, -a, -c, @ b, abs(a), abs(c) FROM safe;
SELECT id, b & 6, b | 8, b # 5, ~b, a & 3::smallint, c # 1 FROM safe;
SELECT id, b << 1, b >> 1, c << 33, c >> 2, b << 33, a << 2 FROM safe;
-- expect from 16: postgres (the scale of logarithms and powers of numeric differs between releases)
SELECT id, b ^ 2, 2 ^ a, b ^ 0.5 FROM safe WHERE b > 0;
SELECT id, 2 ^ 3 ^ a FROM safe WHERE a BETWEEN 0 AND 3;
-- expect from 16: postgres (the scale of logarithms and powers of numeric differs between releases)
SELECT id, power(b, 2), sqrt(b::float8), cbrt(b), exp(a / 100.0) FROM safe WHERE b > 0;
SELECT id, to_hex(b), to_hex(c) FROM safe;
SELECT id, gcd(b, 12), lcm(b, 4), gcd(c, 30) FROM safe;
SELECT id, factorial(a) FROM safe WHERE a BETWEEN 0 AND 20;
SELECT id, width_bucket(b, 0, 100, 10), width_bucket(b::numeric, 0, 100, 7) FROM safe;
SELECT id, sign(b), sign(p::numeric) FROM safe JOIN nums USING (id) WHERE p IS NOT NULL;
SELECT id, div(p, 3), mod(p, 3), p % 0.7 FROM nums;
-- expect: error
SELECT id, b / 0 FROM safe;
-- expect: error
SELECT id, c % 0 FROM safe;
-- expect: error
SELECT 10 / b FROM ints;
-- expect: error
SELECT 10 % a FROM ints;
-- expect: error
SELECT p / s FROM nums;
-- expect: error
SELECT b::float8 / a::float8 FROM ints;
-- expect: error
SELECT b + 1 FROM ints;
-- expect: error
SELECT b - 1 FROM ints;
-- expect: error
SELECT b * 2 FROM ints;
-- expect: error
SELECT c + 1 FROM ints;
-- expect: error
SELECT c * c FROM ints;
-- expect: error
SELECT a + a FROM ints;
-- expect: error
SELECT a * a FROM ints;
-- expect: error
SELECT -b FROM ints;
-- expect: error
SELECT abs(c) FROM ints;
-- expect: error
SELECT b / -1 FROM ints;
-- expect: error
SELECT c / -1 FROM ints;
SELECT b % -1 FROM ints;
-- expect: error
SELECT sum(c), sum(b), sum(b * 2) FROM ints;
SELECT sum(a), sum(b), sum(c) FROM ints;
SELECT avg(a), avg(b), avg(c) FROM ints;
SELECT pg_typeof(sum(a)), pg_typeof(sum(b)), pg_typeof(sum(c)), pg_typeof(avg(a)), pg_typeof(avg(c)), pg_typeof(sum(p)) FROM ints JOIN nums USING (id);
SELECT count(*), count(a), count(DISTINCT a), min(a), max(b), min(c) FROM ints;
SELECT sum(DISTINCT b), avg(DISTINCT b), count(DISTINCT b % 3) FROM safe;
SELECT b, sum(a) FROM ints GROUP BY b;
SELECT bit_and(b), bit_or(b) FROM safe;
SELECT stddev(b), variance(b), stddev_pop(a), var_samp(c), var_pop(b) FROM safe;
-- expect: any
SELECT stddev(n), variance(p), stddev_pop(q) FROM nums WHERE id <> 5 AND id <> 6;
-- expect: error
SELECT c::int FROM ints;
-- expect: error
SELECT b::smallint FROM ints;
-- expect: error
SELECT c::smallint FROM ints;
SELECT b::bigint, a::int, a::bigint, a::numeric, c::numeric, b::float8, a::real FROM ints;
SELECT id, n::int, p::int, q::bigint FROM nums WHERE abs(n) < 1000;
-- expect: error
SELECT n::int FROM nums;
-- expect: error
SELECT n::bigint FROM nums;
-- expect: error
SELECT p::smallint FROM nums;
SELECT id, n + p, n - q, p * q, p + q, w - p, s * p FROM nums WHERE id NOT IN (5, 6);
SELECT id, p / q FROM nums WHERE q <> 0;
SELECT id, p / 3, q / 7, s / 3, p / 1000000, 1 / nullif(p, 0), w / 3 FROM nums;
SELECT id, n / 3, 2 / nullif(n, 0) FROM nums;
-- expect: postgres (numeric value with more digits than the engine holds)
SELECT id, n * n FROM nums WHERE abs(n) < 1000;
SELECT id, p * p * p, p * 1.0000000001 FROM nums;
SELECT sum(n), avg(n), min(n), max(n) FROM nums;
SELECT sum(p), avg(p), min(p), max(p), sum(q), avg(q), avg(s), sum(w) FROM nums;
SELECT sum(p * q), sum(p / 3), avg(p * s) FROM nums WHERE abs(p) < 1e6;
SELECT s, sum(p), avg(p), count(*) FROM nums GROUP BY s;
SELECT avg(p) FROM nums WHERE id = 7;
SELECT avg(b) FROM safe WHERE false;
SELECT id, round(n), round(p), round(q, 2), round(n, 3), round(p, -1), round(q, -2), round(n, 0) FROM nums;
SELECT id, round(p + 0.005, 2), round(-p - 0.005, 2), round(s / 2.0) FROM nums;
SELECT id, trunc(n), trunc(p, 1), trunc(q, -1), ceil(p), ceiling(q), floor(p), floor(n) FROM nums;
SELECT id, abs(n), -p, sign(q), @ p FROM nums;
SELECT id, sqrt(p) FROM nums WHERE p >= 0;
-- expect from 16: postgres (the scale of logarithms and powers of numeric differs between releases)
SELECT id, ln(p), log(p), log10(p), exp(p / 1000) FROM nums WHERE p > 0 AND p < 1000;
-- expect from 16: postgres (the scale of logarithms and powers of numeric differs between releases)
SELECT id, log(2, p), power(p, 2), p ^ 3, power(p, 0.5) FROM nums WHERE p > 0 AND p < 1000;
-- expect: error
SELECT sqrt(p) FROM nums;
-- expect: error
SELECT ln(p) FROM nums;
-- expect: error
SELECT power(p, 0.5) FROM nums WHERE id = 3;
-- expect: error
SELECT 0::numeric ^ (p - 2) FROM nums;
SELECT id, scale(n), scale(p), min_scale(n), trim_scale(p) FROM nums;
SELECT id, n::text, p::text, q::text, w::text, s::text FROM nums;
SELECT id, p::numeric(10,1), q::numeric(20,3), n::numeric(30,5), w::numeric FROM nums WHERE id NOT IN (5, 6);
-- expect: error
SELECT n::numeric(5,2) FROM nums;
-- expect: error
SELECT p::numeric(4,2) FROM nums;
SELECT id FROM nums WHERE n = p;
SELECT id FROM nums WHERE p > 1 AND q <= 100 AND n <> 1.1;
SELECT id FROM nums WHERE p IN (1, 1.5, 2.50, 100.000);
-- ordered
SELECT id, n FROM nums ORDER BY n DESC, id;
-- ordered
SELECT n, count(*) FROM nums GROUP BY n ORDER BY n NULLS FIRST;
SELECT DISTINCT p FROM nums;
SELECT a.id, b.id FROM nums a JOIN nums b ON a.p = b.q;
SELECT a.id, b.id FROM nums a JOIN safe b ON a.s = b.b;
-- expect: any
SELECT id, n, n = n, n > 1, n + 1, n * 0 FROM odd_nums;
-- expect: any
SELECT id, n FROM odd_nums ORDER BY n, id;
-- expect: any
SELECT sum(n), max(n), min(n), avg(n) FROM odd_nums;
-- expect: any
SELECT sum(n) FROM odd_nums WHERE id > 3;
-- expect: postgres (column "m" holds a value that the mirror cannot hold exactly)
SELECT id, n, n + 1, n - m FROM huge WHERE id <> 1;
-- expect: any
SELECT id, n, m, n * m, n / 7, m * m FROM huge;
-- expect: any
SELECT sum(n), sum(m), avg(n), max(m) FROM huge;
SELECT id, f, g FROM floats;
SELECT id, f = g, f < g, f > 0, f = 'NaN'::float8, f <> f FROM floats;
SELECT id, -f, abs(f), f + 1, g - 1, g * 2 FROM floats WHERE id NOT IN (8);
SELECT id, f / 2, g / 4 FROM floats;
SELECT id, f + g FROM floats WHERE id NOT IN (8);
-- expect: error
SELECT f * 10 FROM floats;
-- expect: error
SELECT f * f FROM floats WHERE id = 9;
-- expect: error
SELECT f / 0 FROM floats WHERE f = 1.5;
-- expect: error
SELECT g * 1e10::real FROM floats WHERE id = 8;
-- expect: error
SELECT sqrt(f) FROM floats;
-- expect: error
SELECT ln(f) FROM floats WHERE f = 0;
-- expect: error
SELECT asin(f) FROM floats WHERE f = 1.5;
-- expect: error
SELECT exp(f) FROM floats WHERE f = 1e308;
SELECT id, sqrt(f), cbrt(f) FROM floats WHERE f >= 0 AND f < 1e300;
SELECT id, round(f), trunc(f), ceil(f), floor(f), sign(f) FROM floats;
SELECT id, f::int, g::int, f::bigint, f::smallint FROM floats WHERE abs(f) < 1000;
-- expect: error
SELECT f::int FROM floats WHERE id = 8;
-- expect: error
SELECT f::bigint FROM floats WHERE id = 5;
-- expect: postgres (numeric value with more digits than the engine holds)
SELECT id, f::numeric, g::numeric FROM floats WHERE abs(f) < 1e300 AND f <> 'NaN';
SELECT id, f::real FROM floats WHERE abs(f) < 1e30 AND (f = 0 OR abs(f) > 1e-30);
-- expect: error
SELECT f::real FROM floats;
SELECT id, f::text, g::text, g::float8 FROM floats;
-- ordered
SELECT id, f FROM floats ORDER BY f, id;
-- ordered
SELECT id, g FROM floats ORDER BY g DESC, id LIMIT 7;
SELECT f = 0, count(*) FROM floats GROUP BY 1;
SELECT count(DISTINCT f), count(DISTINCT g) FROM floats;
SELECT a.id, b.id FROM floats a JOIN floats b ON a.f = b.f;
SELECT a.id, b.id FROM floats a JOIN floats b ON a.f = b.g;
SELECT max(f), min(f), max(g), min(g) FROM floats WHERE f <> 0;
-- expect: any
SELECT sum(f), avg(f) FROM floats WHERE id IN (3, 4, 15, 16);
SELECT id, f IN (0, 1.5), f BETWEEN -2 AND 2, f IS DISTINCT FROM g::float8 FROM floats;
SELECT id FROM floats WHERE f > 'NaN'::float8 OR f >= 'NaN'::float8;
SELECT id, greatest(f, 1), least(f, 1), greatest(f, g) FROM floats WHERE f <> 0;
SELECT id, sin(f), cos(f), atan(f) FROM floats WHERE abs(f) < 100 AND f <> 0;
SELECT id, degrees(f), radians(f), pi() FROM floats WHERE abs(f) < 100;
SELECT id, good::int, good::bigint, good::smallint FROM words;
-- expect: error
SELECT bad::int FROM words;
-- expect: error
SELECT bad::bigint FROM words WHERE id = 2;
-- expect: error
SELECT good::int FROM (SELECT repeat('9', id + 9) AS good FROM words) w;
SELECT id, fraction::numeric, fraction::float8 FROM words;
-- expect: error
SELECT bad::numeric FROM words;
-- expect: error
SELECT bad::float8 FROM words;
SELECT id, b::text, c::text, a::varchar(3), b::char(5) FROM safe;
SELECT id, CASE WHEN b <> 0 THEN 100 / b END FROM ints;
SELECT id, coalesce(a, 0) + coalesce(b, 0)::bigint FROM ints;
SELECT id, CASE WHEN a > 0 THEN a ELSE p END FROM safe JOIN nums USING (id);
SELECT id, greatest(a, b, c), least(a, b::numeric, p) FROM safe JOIN nums USING (id);
SELECT sum(CASE WHEN b > 0 THEN 1 ELSE 0 END), sum(CASE WHEN b > 0 THEN p END) FROM safe JOIN nums USING (id);
SELECT id FROM safe WHERE b BETWEEN SYMMETRIC 10 AND -10;
SELECT id, b::bool FROM safe;
SELECT id, (b > 0)::int FROM safe;
-- expect: any
SELECT id, to_char(p, '999,999.99'), to_char(b, 'FM000'), to_char(q, '9.9EEEE') FROM safe JOIN nums USING (id) WHERE abs(p) < 100000;
SELECT id, random() < 2 FROM safe;
