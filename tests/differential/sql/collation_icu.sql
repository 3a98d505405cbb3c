-- Collations of ICU: deterministic ones allow equality, comparisons, and what sorts, nondeterministic ones nothing.
-- requires: icu
-- setup
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE w (id int PRIMARY KEY, t text COLLATE "en-x-icu", d text COLLATE "de-x-icu", x text COLLATE ci);
INSERT INTO w VALUES (1, 'a', 'Z', 'abc'), (2, 'A', 'ä', 'ABC'), (3, 'b', 'a', 'Abc'), (4, 'B', 'ß', 'x'), (5, NULL, NULL, NULL), (6, '', '', ''),
    (7, 'é', 'ss', 'X'), (8, 'e', 'z', 'é'), (9, 'f', 'A', 'É');
-- queries
-- ordered
-- expect: any
SELECT id, t FROM w ORDER BY t, id;
-- ordered
-- expect: any
SELECT id, d FROM w ORDER BY d DESC, id LIMIT 4;
SELECT min(t), max(t), min(d), max(d) FROM w;
SELECT id FROM w WHERE t < 'b' OR d >= 'Z';
SELECT id, rank() OVER (ORDER BY t) FROM w;
SELECT id FROM w WHERE t = 'a';
SELECT t, count(*) FROM w GROUP BY t;
SELECT DISTINCT d FROM w;
SELECT a.id, b.id FROM w a JOIN w b ON a.t = b.t;
-- expect: postgres ()
SELECT id FROM w WHERE x = 'abc';
-- expect: postgres ()
SELECT count(DISTINCT x) FROM w;
-- expect: postgres ()
SELECT lower(x) = 'abc', count(*) FROM w GROUP BY 1;
-- expect: postgres ()
SELECT a.id, b.id FROM w a JOIN w b ON a.x = b.x;
-- expect: postgres ()
SELECT x FROM w GROUP BY x HAVING count(*) > 100;
-- expect: any
SELECT id, x FROM w;
-- expect: any
SELECT id, upper(t), lower(d), initcap(t) FROM w;
SELECT id FROM w WHERE t LIKE 'a%';
-- expect: any
SELECT id FROM w WHERE t ILIKE 'A%';
SELECT id, t COLLATE "C" < 'b' FROM w;
-- ordered
SELECT id FROM w ORDER BY t COLLATE "C", id;
-- expect: error
SELECT id FROM w WHERE t < d;
