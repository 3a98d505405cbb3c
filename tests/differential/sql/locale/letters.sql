-- Case and classes of characters in a database of some locale, of every character that there is.
-- setup
CREATE TABLE w (id int PRIMARY KEY, ch text);
INSERT INTO w SELECT i, chr(i) FROM generate_series(1, 1114111) i WHERE i NOT BETWEEN 55296 AND 57343 AND (i < 12000 OR i BETWEEN 42000 AND 44100 OR i > 63700)
    AND (i < 70000 OR i BETWEEN 92700 AND 94000 OR i BETWEEN 119000 AND 126000 OR i % 997 = 0);
CREATE TABLE n (id int PRIMARY KEY, t text, v varchar(40), c char(24), m name, b text COLLATE "C", p text);
INSERT INTO n VALUES (1, 'Élan vital', 'ÉLAN VITAL', 'élan Vital', 'Élan', 'ÉLAN', '%LAN%'), (2, 'STRASSE Straße straße', 'Straße', 'STRAẞE', 'straße', 'Straße', '%STRA_E'),
    (3, 'ΟΔΥΣΣΕΥΣ ΣΑΣ Σ', 'ὈΔΥΣΣΕΎΣ', 'Σ', 'ΑΣ', 'ΑΣ', '%σ_ς%'), (4, 'İstanbul ılık IŞIK ışık', 'İSTANBUL', 'ılık', 'İ', 'İ', 'i%'), (5, 'ǅungla ǆ Ǆ ŉ ﬁn ﬄ', 'ǅ', 'ﬁ', 'ﬁn', 'ǅ', '%ǆ%'),
    (6, 'don''t o''clock 3rd 2ND x-ray ijssel IJSSEL', 'mcdonald', 'o''neil', 'x-ray', 'don''t', '%''T%'), (7, 'ПРИВЕТ Мир ёЁ', 'ёлка', 'Ёж', 'МИР', 'Мир', 'привет%'),
    (8, U&'E\0301le\0300ve I\0307 i\0307', U&'e\0301', U&'E\0301', U&'I\0307', U&'E\0301', U&'e\0301%'), (9, '日本語 ＡＢＣ ａｂｃ １２', 'ＡＢＣ', 'ａｂｃ', 'Ａ', 'Ａ', '%ａｂｃ%'), (10, '', '', '', '', '', ''),
    (11, NULL, NULL, NULL, NULL, NULL, NULL), (12, 'plain Ascii TEXT_9', 'PLAIN', 'ascii', 'Text', 'tEXT', 'PLAIN\_%'), (13, '𐐀𐐨 𝐀 😀x', '𐐨', '𐐀', '𐐨', '𐐨', '%𐐨%'),
    (14, E'a\u00a0b\u2003c\u200bd\u3000e', E'\u00a0x', E'x\u2003', 'x', E'\u00a0', E'A\u00a0B%'), (15, 'K Å µ ſ ẛ ς', 'K', 'ſ', 'µ', 'K', 'k %'), (16, 'ეა ᲔᲐ ꭰ Ꭰ ᏸ Ᏸ', 'Ა', 'ა', 'Ა', 'Ა', '%Ეა%');
INSERT INTO n SELECT i, initcap(reverse(md5(i::text))) || chr(192 + i % 1500) || upper(md5(i::text)), chr(900 + i % 600) || i, chr(200 + i % 300), chr(200 + i % 300), chr(200 + i % 300),
    '%' || chr(192 + i % 64) || '%' FROM generate_series(100, 1900) i;
CREATE COLLATION us (provider = libc, locale = 'en_US.UTF-8');
-- queries
SELECT id, lower(ch), upper(ch), initcap(ch || ch) FROM w WHERE lower(ch) <> ch OR upper(ch) <> ch;
SELECT count(*) FILTER (WHERE ch ~ '[[:alpha:]]'), count(*) FILTER (WHERE ch ~ '\w'), count(*) FILTER (WHERE ch ~ '\d'), count(*) FILTER (WHERE ch ~ '\s'), count(*) FILTER (WHERE ch ~ '\W'),
    count(*) FILTER (WHERE ch ~ '[[:upper:]]'), count(*) FILTER (WHERE ch ~ '[[:lower:]]'), count(*) FILTER (WHERE ch ~* '[[:upper:]]'), count(*) FILTER (WHERE ch ~ '[[:punct:]]') FROM w;
SELECT id FROM w WHERE ch ~ '[[:upper:]]' AND NOT ch ~ '[[:alpha:]]' OR ch ~ '\d' OR ch ~ '\s' OR ch ~ '[[:punct:]]' AND id < 9000;
SELECT id FROM w WHERE ch ~ '^[^[:alnum:]]$' AND id < 3000 OR ch ~ '[[:graph:]]' AND ch !~ '[[:print:]]' OR ch ~ '[[:space:]]' OR ch ~ '[[:blank:]]';
SELECT id FROM w WHERE ch ~* 'é' OR ch ~* '[à-ö]' OR ch ~* 'ß' OR ch ~* 'σ' OR ch ~* 'k' OR ch ~* '[i]' OR ch ~* 'ǅ' OR ch ~* '[ǅx]' OR ch ~* 's' OR ch ~* '[а-я]';
SELECT id FROM w WHERE ch ~* '[^à-ö]' AND id < 300 OR ch ILIKE 'É' OR ch ILIKE 'ſ' OR ch ~~* 'K' OR ch ILIKE 'ß';
SELECT w.id, n.id FROM w JOIN n ON lower(w.ch) = lower(n.v) OR upper(w.ch) = upper(n.c) WHERE n.id < 20;
SELECT id, lower(t), upper(t), initcap(t), lower(v), upper(v), initcap(v), lower(c), upper(c), initcap(c), lower(m), upper(m), lower(b), upper(b), initcap(b) FROM n;
SELECT id, lower(b COLLATE us), upper(b COLLATE us), initcap(b COLLATE us), lower(t COLLATE "C"), upper(t COLLATE "C"), initcap(t COLLATE "C"), upper(t COLLATE us) FROM n;
SELECT id, t ILIKE p, v ILIKE p, c ILIKE p, m ILIKE p, t NOT ILIKE p, b ILIKE p FROM n WHERE id < 100;
SELECT a.id, b.id FROM n a JOIN n b ON a.t ILIKE b.p WHERE b.id < 140;
SELECT id FROM n WHERE t ILIKE '%É%' OR t ILIKE '%straSSe%' OR v ILIKE 'ё%' OR c ILIKE '_Ж' OR t ILIKE ANY (ARRAY['%ΣΑΣ%', 'привет%', '%Å%']);
SELECT id FROM n WHERE t ILIKE ALL (ARRAY['%é%', '%a%']) OR v ~* ANY (ARRAY['^é', 'ß$']) OR NOT v ~~* ALL (SELECT p FROM n i WHERE i.id < 5);
SELECT id, t ~ '^\w+ \w+', t ~ '[[:upper:]][[:lower:]]', t ~* 'ÉLAN', v ~* '^[а-яё]+$', t !~* 'straße', c ~ '^[[:alpha:]]+$', t SIMILAR TO '%[[:upper:]]_' FROM n;
SELECT id, regexp_replace(t, '\W', '', 'g'), regexp_replace(t, '[^[:alnum:]]+', '-', 'g'), regexp_replace(lower(t), 'é', 'e'), regexp_replace(t, 'É', 'e', 'gi'), substring(t FROM '[[:upper:]][[:lower:]]*') FROM n;
SELECT id, regexp_match(t, '(\w)(\W)'), regexp_split_to_array(t, '\s+'), regexp_count(t, '[[:alpha:]]'), regexp_instr(t, '[[:lower:]]'), regexp_substr(t, '\S+', 2), regexp_like(t, 'É', 'i') FROM n;
SELECT id, x[1] FROM n, regexp_matches(t, '[[:upper:]]\w*', 'g') x WHERE id < 300;
SELECT id, word FROM n, regexp_split_to_table(lower(t), '[^[:alnum:]]+') word WHERE id < 300;
SELECT lower(left(t, 1)), count(*), min(upper(v)), string_agg(initcap(c), ',' ORDER BY id) FROM n GROUP BY 1;
SELECT count(DISTINCT lower(t)), count(DISTINCT upper(v)) FROM n;
-- ordered
SELECT DISTINCT upper(left(v, 1)) AS u FROM n ORDER BY u;
SELECT a.id, b.id FROM n a JOIN n b ON lower(a.v) = lower(b.c) AND a.id <> b.id;
-- The ends of words are told in ASCII only.
-- expect: postgres (character classes beyond ASCII)
SELECT id FROM n WHERE t ~ '\mé' OR t ~ '\yvital';
