-- Rescan: a routed part that is run again and again, with other parameters each time, or stopped early.
-- setup
CREATE TABLE a (id int PRIMARY KEY, k int, v numeric(10,2));
INSERT INTO a SELECT i, i % 10, i / 3.0 FROM generate_series(1, 120) i;
CREATE TABLE b (id int PRIMARY KEY, k int, t text);
INSERT INTO b SELECT i, i % 7, 't' || i FROM generate_series(1, 60) i;
CREATE FUNCTION sum_of(int) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT sum(v) FROM a WHERE k = $1';
CREATE FUNCTION count_of(int) RETURNS bigint LANGUAGE plpgsql STABLE AS $$ DECLARE n bigint; BEGIN SELECT count(*) INTO n FROM a WHERE k = $1; RETURN n; END $$;
CREATE FUNCTION rows_of(int) RETURNS SETOF a LANGUAGE sql STABLE AS 'SELECT * FROM a WHERE k = $1';
CREATE FUNCTION looped() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; s text := '';
BEGIN
    FOR r IN SELECT k, count(*) AS n FROM a GROUP BY k ORDER BY k LOOP
        s := s || r.k || ':' || r.n || ':' || (SELECT count(*) FROM b WHERE b.k = r.k) || ' ';
        EXIT WHEN r.k = 6;
    END LOOP;
    RETURN s;
END $$;
CREATE FUNCTION guarded(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT sum(v / (k - $1)) FROM a)::text;
EXCEPTION WHEN division_by_zero THEN RETURN 'caught';
END $$;
-- Only the last rows have what the engine does not compute, far behind the first batches.
CREATE TABLE late (id int PRIMARY KEY, v numeric(70,2));
INSERT INTO late SELECT i, CASE WHEN i > 29990 THEN 1e65 ELSE i END FROM generate_series(1, 30000) i;
-- queries
SELECT b.id, (SELECT sum(a.v) FROM a WHERE a.k = b.k AND a.id > b.id) FROM b;
SELECT b.id, x.id FROM b, LATERAL (SELECT a.id FROM a WHERE a.k = b.k ORDER BY a.id DESC LIMIT 1) x;
SELECT b.id, x.n FROM b LEFT JOIN LATERAL (SELECT count(*) AS n FROM a WHERE a.k > b.k HAVING count(*) > 40) x ON true;
SELECT b.id FROM b WHERE EXISTS (SELECT 1 FROM a WHERE a.k = b.k AND a.v > b.id);
SELECT g, (SELECT count(*) FROM a WHERE k = g) FROM (VALUES (1), (2), (99)) v (g);
-- expect: any
SELECT id, v * v FROM late WHERE id > 0;
-- expect: any
SELECT id, v * v FROM late WHERE id > 0 ORDER BY id;
SELECT g, (SELECT count(*) FROM a WHERE k = g) FROM generate_series(0, 11) g;
-- expect: any
SELECT g, x.s FROM generate_series(0, 3) g, LATERAL (SELECT sum(v) AS s FROM a WHERE k = g) x;
-- expect: any
SELECT k, sum_of(k) FROM b GROUP BY k;
-- expect: any
SELECT k, count_of(k) FROM b GROUP BY k;
-- expect: any
SELECT * FROM rows_of(3);
-- expect: any
SELECT b.id, r.id FROM b, rows_of(b.k) r WHERE b.id < 5;
-- expect: any
SELECT looped();
-- expect: any
SELECT looped() = looped();
-- expect: any
SELECT guarded(3), guarded(50);
-- ordered
SELECT id FROM a ORDER BY id LIMIT 1;
SELECT (SELECT id FROM a WHERE k = b.k ORDER BY id LIMIT 1) FROM b;
SELECT 1 FROM a WHERE id = (SELECT max(id) FROM b) LIMIT 1;
-- both
DO $$ DECLARE n int; BEGIN FOR i IN 1..10 LOOP SELECT count(*) INTO n FROM a WHERE k = i; IF n <> 12 AND i < 10 THEN RAISE 'wrong count %', n; END IF; END LOOP; END $$;
-- both
BEGIN;
-- both
DECLARE early CURSOR FOR SELECT a.id FROM a, b ORDER BY a.id, b.id;
-- both
FETCH 2 FROM early;
-- both
CLOSE early;
SELECT count(*) FROM a;
-- both
SAVEPOINT s;
-- both
SELECT 1 / (k - k) FROM a;
-- both
ROLLBACK TO s;
SELECT count(*) FROM b;
-- both
COMMIT;
