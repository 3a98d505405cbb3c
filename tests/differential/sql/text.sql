-- Text and collation: characters and bytes, padding, patterns, regular expressions, order.
-- setup
CREATE TABLE s (id int PRIMARY KEY, t text, v varchar(10), c char(5), n int);
INSERT INTO s VALUES
    (1, '', '', '', 0), (2, 'abc', 'abc', 'abc', 1), (3, 'ABC', 'ABC', 'ABC', 2), (4, '  pad  ', ' pad ', ' pad', 3), (5, 'Ärger', 'Ärger', 'Ärger', -1),
    (6, 'straße', 'straße', 'ß', -2), (7, '日本語テキスト', '日本語', '日本', 4), (8, 'e' || U&'\0301' || 'x', 'é', 'é', 5), (9, 'a_c', 'a_c', 'a_c', 6),
    (10, '100%', '100%', '100%', 7), (11, E'back\\slash', E'b\\s', E'\\', 8), (12, 'it''s', 'it''s', 'it''s', 9), (13, NULL, NULL, NULL, NULL),
    (14, E'line1\nline2', E'a\nb', E'a\nb', 10), (15, E'tab\there', E'\t', E'\t', -10), (16, 'foo.bar.baz', 'foo.bar', 'f.b', 2), (17, 'aaa', 'aaa  ', 'aaa  ', 3),
    (18, repeat('xyz', 40), 'xyzxyz', 'xyz', 100), (19, '😀 smile', '😀', '😀', 1), (20, 'hello World foo-bar', 'Hello', 'hello', 2), (21, 'a', 'a', 'a', 1),
    (22, 'B', 'B', 'B', 1), (23, 'b', 'b', 'b', 1), (24, '_', '_', '_', 1), (25, '~', '~', '~', 1), (26, 'ab,cd,,ef', ',', ',', 3), (27, '10', '10', '10', 10), (28, '9', '9', '9', 9);
-- queries
SELECT id, length(t), length(v), length(c), char_length(t), octet_length(t), octet_length(c), bit_length(v) FROM s;
SELECT id, upper(t), lower(t) FROM s;
SELECT id, initcap(t) FROM s;
SELECT id, t || v, t || c, c || t, c || '|', v || n, t || n::text, 'x' || c || 'y' FROM s;
SELECT id, c, c::text, c::varchar, c::varchar(3), t::char(3), t::varchar(4), v::char(8) FROM s;
SELECT id, c = 'abc', c = 'abc  ', c = 'abc'::text, c < 'b', c LIKE 'a%', c LIKE 'abc', c LIKE 'abc  ' FROM s;
SELECT id FROM s WHERE c = t;
SELECT id FROM s WHERE c = v;
SELECT id FROM s WHERE v = 'aaa';
SELECT id FROM s WHERE v = 'aaa  ';
SELECT c, count(*) FROM s GROUP BY c;
SELECT DISTINCT c FROM s WHERE c < 'b';
SELECT a.id, b.id FROM s a JOIN s b ON a.c = b.v;
SELECT a.id, b.id FROM s a JOIN s b ON a.c = b.c AND a.id < b.id;
SELECT max(c), min(c), max(t), min(t), max(v), min(v) FROM s;
SELECT id, substr(t, 2), substr(t, 2, 3), substr(t, 0, 3), substr(t, -2, 5), substring(t from 3), substring(t from 2 for 2), substring(t for 3) FROM s;
SELECT id, substr(t, n), substr(t, 1, abs(n)) FROM s;
SELECT id, substr(c, 2, 2), substring(v, 1, 2) FROM s;
-- expect: error
SELECT substr(t, 1, n) FROM s;
-- expect: error
SELECT substring(t, 2, -1) FROM s;
SELECT id, left(t, 2), left(t, -2), right(t, 2), right(t, -2), left(t, n), right(t, n), left(t, 0) FROM s;
SELECT id, strpos(t, 'a'), strpos(t, ''), position('b' in t), strpos(t, v), strpos(t, '語') FROM s;
SELECT id, reverse(t), reverse(v) FROM s;
SELECT id, repeat(v, 2), repeat(t, 0), repeat(v, n) FROM s WHERE n < 20 OR n IS NULL;
SELECT id, replace(t, 'a', 'XX'), replace(t, '', 'X'), replace(t, 'b', ''), replace(t, NULL, 'x'), replace(v, v, 'q') FROM s;
SELECT id, translate(t, 'abc', 'xy'), translate(t, '', 'x'), translate(t, 'aä', '1') FROM s;
SELECT id, trim(t), ltrim(t), rtrim(t), btrim(t), trim(both 'a' from t), trim(leading 'ab' from t), trim(trailing 'c%' from t), btrim(t, '') FROM s;
SELECT id, trim(c), rtrim(c), ltrim(v) FROM s;
SELECT id, lpad(t, 5), lpad(t, 5, 'xy'), rpad(t, 7, '語'), lpad(t, 0), rpad(t, -1), lpad(t, 6, '') FROM s;
SELECT id, overlay(t placing 'ZZ' from 2), overlay(t placing 'ZZ' from 2 for 0), overlay(t placing '' from 1 for 2) FROM s;
SELECT id, split_part(t, '.', 1), split_part(t, '.', 3), split_part(t, '.', -1), split_part(t, '.', 9), split_part(t, '', 1), split_part(t, ',', 2), split_part(t, ',', -2) FROM s;
-- expect: error
SELECT split_part(t, '.', 0) FROM s;
SELECT id, concat(t, v, n), concat(NULL, t), concat_ws('-', t, NULL, v), concat_ws(NULL, t, v), concat(c, '|', true) FROM s;
SELECT id, format('%s and %s', t, v), format('%I', coalesce(v, 'n')), format('%L', t), format('%%'), format('%2$s %1$s', t, n) FROM s;
SELECT id, ascii(t), ascii(v) FROM s;
SELECT id, chr(64 + abs(n)) FROM s WHERE n BETWEEN 1 AND 50;
-- expect: error
SELECT chr(n) FROM s WHERE n = 0;
SELECT id, md5(t), md5(v) FROM s;
SELECT id, sha256(t::bytea) FROM s WHERE t NOT LIKE E'%\\\\%';
SELECT id, encode(convert_to(t, 'UTF8'), 'hex'), encode(convert_to(v, 'UTF8'), 'base64') FROM s;
SELECT id, starts_with(t, 'a'), starts_with(t, ''), t ^@ 'f' FROM s;
SELECT id, t LIKE 'a%', t LIKE '%a', t LIKE '%a%', t LIKE '_', t LIKE '___', t LIKE '%', t LIKE '' FROM s;
SELECT id, t LIKE 'a\_c', t LIKE '100\%', t LIKE 'a#_c' ESCAPE '#', t LIKE '%\\%', t LIKE '%!%%' ESCAPE '!', t LIKE 'a_c' ESCAPE '' FROM s;
SELECT id, t NOT LIKE 'a%', t ILIKE 'A%', t ILIKE 'ÄRGER', t NOT ILIKE '%B%', v ILIKE '%é%' FROM s;
SELECT id, t LIKE v, t LIKE '%' || v || '%' FROM s WHERE v NOT LIKE E'%\\\\%';
SELECT id FROM s WHERE t LIKE '%日本%' OR t LIKE '_本%';
-- expect: error
SELECT t LIKE 'ab\' FROM s;
-- expect: error
SELECT t LIKE 'a' ESCAPE 'ab' FROM s;
SELECT id, t SIMILAR TO '(a|b)%', t SIMILAR TO 'abc', t NOT SIMILAR TO '%[0-9]%' FROM s;
SELECT id, t ~ '^a', t ~ 'c$', t ~* 'ABC', t !~ 'b', t !~* 'B', t ~ '' FROM s;
SELECT id, t ~ '^[[:alpha:]]+$', t ~ '[[:digit:]]', t ~ '\d+', t ~ '\s', t ~ '^\w+$', t ~ '[^a-z]' FROM s;
SELECT id, t ~ 'a|b', t ~ '(a)(b)?', t ~ 'a{3}', t ~ 'x{2,}', t ~ '^.$', t ~ 'a+?', t ~ '(?i)abc' FROM s;
-- expect: any
SELECT id, t ~ '(.)\1', t ~ 'a(?=b)', t ~ 'a(?!b)', t ~ '\ya', t ~ '\mfoo\M' FROM s;
-- expect: any
SELECT id, t ~ 'line1.line2', t ~ '(?n)line1.line2', t ~ '(?n)^line2', t ~ '(?w)^line2', t ~ '[[=e=]]', t ~ '[[.a.]]' FROM s;
-- expect: error
SELECT t ~ '(' FROM s;
-- expect: error
SELECT t ~ 'a{5,2}' FROM s;
SELECT id, regexp_replace(t, 'a', 'X'), regexp_replace(t, 'a', 'X', 'g'), regexp_replace(t, '[aeiou]', '', 'gi') FROM s;
-- expect: any
SELECT id, regexp_replace(t, '(\w)(\w)', '\2\1'), regexp_replace(t, '(a)(b)', '[\&]'), regexp_replace(t, 'x*', '-', 'g') FROM s;
-- expect: any
SELECT id, regexp_match(t, '(a)(b)'), regexp_count(t, 'a'), regexp_like(t, '^a'), regexp_substr(t, '[a-z]+'), regexp_instr(t, 'b') FROM s;
-- expect: any
SELECT id, substring(t from '(a.)'), substring(t similar 'a#"b#"c' escape '#') FROM s;
-- expect: any
SELECT id, regexp_split_to_array(t, '\.'), string_to_array(t, ','), string_to_array(t, NULL), string_to_array(t, ',', '') FROM s;
-- expect: any
SELECT id, quote_literal(t), quote_ident(v), quote_nullable(t) FROM s;
-- expect: any
SELECT id, to_char(n, '999'), to_number(t, '999') FROM s WHERE t ~ '^[0-9]+$';
-- ordered
SELECT id, t FROM s ORDER BY t, id;
-- ordered
SELECT id, v FROM s ORDER BY v DESC, id LIMIT 10;
-- ordered
SELECT id, c FROM s ORDER BY c COLLATE "C" NULLS FIRST, id;
-- ordered
SELECT id, t FROM s ORDER BY t COLLATE "POSIX" DESC, id;
-- ordered
SELECT id FROM s ORDER BY lower(t), id;
-- ordered
SELECT id FROM s ORDER BY t COLLATE "default", id;
SELECT id FROM s WHERE t < 'b';
SELECT id FROM s WHERE t >= 'Z' AND t < 'c';
SELECT id FROM s WHERE t BETWEEN 'A' AND 'Z';
SELECT id, greatest(t, v), least(t, v), greatest(t, 'm') FROM s;
SELECT id, t = v, t <> v, t < v, t > c, t IS DISTINCT FROM v FROM s;
SELECT min(t), max(t) FROM s WHERE t > 'a';
SELECT left(t, 1), count(*), max(t), min(v) FROM s GROUP BY 1;
SELECT count(DISTINCT t), count(DISTINCT lower(t)), count(DISTINCT c) FROM s;
SELECT string_agg(t, ',' ORDER BY id), string_agg(t, '' ORDER BY t, id), string_agg(v, '; ' ORDER BY id DESC) FROM s;
SELECT string_agg(DISTINCT c::text, ',' ORDER BY c::text) FROM s;
SELECT n % 3, string_agg(left(t, 3), '|' ORDER BY id) FROM s GROUP BY 1;
SELECT id, row_number() OVER (ORDER BY t, id), rank() OVER (PARTITION BY length(t) ORDER BY t), lag(t) OVER (ORDER BY id) FROM s;
-- expect: any
-- ordered
SELECT id, t FROM s ORDER BY t COLLATE "C.utf8", id;
-- expect: any
-- ordered
SELECT id FROM s WHERE t COLLATE "C.utf8" < 'b' ORDER BY id;
-- expect: any
SELECT id FROM s WHERE t COLLATE "C.utf8" = 'abc';
SELECT id, v::text, v::varchar, 'abc'::varchar(2) || v, cast(t AS varchar(3)) FROM s;
SELECT id, t::name, v::"char" FROM s WHERE id < 4;
SELECT id, CASE WHEN t = '' THEN 'empty' ELSE t END, coalesce(v, 'none'), nullif(c, 'abc') FROM s;
SELECT id FROM s WHERE t IN ('abc', 'ABC', '') OR c IN ('b', 'f.b');
SELECT id FROM s WHERE t = ANY (ARRAY['abc', NULL, 'b']);
SELECT t, v FROM s UNION SELECT c, t FROM s;
SELECT c FROM s UNION SELECT v::char(5) FROM s;
SELECT t FROM s INTERSECT SELECT v FROM s;
SELECT id, E'\u00e9' || t, U&'\0061' || v FROM s WHERE id < 5;
SELECT id, t::xml FROM s WHERE id = 2;
-- expect: any
SELECT id, right(t, n * 0 - 2147483648), right(t, -2147483648) FROM s;
SELECT id, right(t, -2147483647), left(t, -2147483648) FROM s;
