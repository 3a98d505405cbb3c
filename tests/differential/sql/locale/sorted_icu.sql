-- Columns of different collations in one query, those of ICU among them.
-- requires: icu
-- setup
CREATE COLLATION us (provider = libc, locale = 'en_US.UTF-8');
CREATE COLLATION de (provider = icu, locale = 'de-u-co-phonebk');
CREATE COLLATION digits (provider = icu, locale = 'en-u-kn-true');
CREATE COLLATION upper_first (provider = icu, locale = 'und-u-kf-upper');
CREATE COLLATION shifted (provider = icu, locale = 'en-u-ka-shifted');
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = true);
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE w (id int PRIMARY KEY, g int, u text COLLATE us, d text COLLATE de, x text COLLATE digits, f text COLLATE upper_first, s text COLLATE shifted, l text COLLATE loose, i text COLLATE ci);
INSERT INTO w SELECT i, i % 9, s, s, s, s, s, s, s
    FROM (SELECT i, CASE WHEN i % 50 = 0 THEN NULL ELSE translate(substr(md5(i::text), 1, i % 8), '0123456789abc', 'aAäÄbB-. 12éß') END AS s FROM generate_series(1, 2000) i) q;
INSERT INTO w SELECT 5000 + i, i % 9, s, s, s, s, s, s, s FROM unnest(ARRAY['Müller', 'Mueller', 'Muller', 'file2', 'file10', 'file1', 'co-op', 'coop', 'co op', 'CO-OP', 'a', 'A', U&'a\0301', 'á', '日本', '😀', 'ﬁ', '']) WITH ORDINALITY x (s, i);
-- queries
SELECT id, rank() OVER (ORDER BY u), rank() OVER (ORDER BY d), rank() OVER (ORDER BY x DESC), rank() OVER (ORDER BY f), rank() OVER (ORDER BY s), rank() OVER (ORDER BY l NULLS FIRST) FROM w;
SELECT id, row_number() OVER (PARTITION BY g ORDER BY d, id), rank() OVER (PARTITION BY g ORDER BY x, u DESC), lag(f) OVER (ORDER BY f, id), min(x) OVER (PARTITION BY g), max(d) OVER (ORDER BY d) FROM w;
SELECT id, rank() OVER (ORDER BY u COLLATE digits), rank() OVER (ORDER BY u COLLATE shifted, id), rank() OVER (ORDER BY i COLLATE de), rank() OVER (ORDER BY d COLLATE "C"), rank() OVER (ORDER BY d COLLATE "de-x-icu") FROM w;
SELECT g, string_agg(u, ',' ORDER BY d, id), array_agg(x ORDER BY x DESC), array_agg(DISTINCT f), string_agg(DISTINCT l, '|' ORDER BY l), mode() WITHIN GROUP (ORDER BY s), percentile_disc(0.4) WITHIN GROUP (ORDER BY d) FROM w GROUP BY g;
SELECT * FROM (SELECT d, id FROM w ORDER BY d, id LIMIT 40) q;
SELECT * FROM (SELECT x, id FROM w ORDER BY x DESC NULLS LAST, id OFFSET 5 LIMIT 40) q;
-- ordered
SELECT s, id FROM w ORDER BY s, id LIMIT 60;
-- ordered
SELECT l, x, id FROM w ORDER BY l DESC, x, id LIMIT 60;
SELECT * FROM (SELECT DISTINCT ON (g) g, d, id FROM w ORDER BY g, d DESC NULLS LAST, id) q;
SELECT id, GREATEST(d, 'Mueller'), LEAST(x, 'file9'), GREATEST(u COLLATE shifted, s), (d, id) < ('Müller', 3), (x, u) >= ('file3', 'a') FROM w;
SELECT id FROM w WHERE x BETWEEN 'a' AND 'file2' AND d < ANY (ARRAY['Ä', 'b']);
-- expect: error
SELECT id, GREATEST(d, u) FROM w;
-- expect: error
SELECT id, rank() OVER (ORDER BY d || u) FROM w;
-- expect: postgres ()
SELECT id, rank() OVER (ORDER BY i) FROM w;
-- expect: postgres ()
SELECT g, array_agg(i ORDER BY i, id) FROM w GROUP BY g;
-- expect: postgres ()
SELECT id FROM w WHERE GREATEST(i, 'a') = 'a';
