#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# Writing to engines without transactions: what is written takes effect at once. Sourced by remote.sh, after write.sh, whose `both` is used.
# shellcheck disable=SC2154 # what remote.sh defines

# The local table, and the foreign table over one that is there; the columns that both have.
direct_tables() { # label, server, options of the foreign table, columns
    query "DROP TABLE IF EXISTS local.w; CREATE TABLE local.w ($4); CREATE SCHEMA ${1}_w;
        CREATE FOREIGN TABLE ${1}_w.w ($(sed "s/id int PRIMARY KEY/id int OPTIONS (key 'true') NOT NULL/" <<<"$4")) SERVER $2 OPTIONS ($3)"
}

direct_rows() { # label, table of one's own there: UPDATE, DELETE too, or not
    local label=$1
    both "$label" "many rows" "INSERT INTO @w@ (id, n4, num, v, t, d) SELECT i, i * 7, i / 8.0, 'v' || i, repeat('x', i % 100), date '2020-01-01' + i % 10000 FROM generate_series(100, 12000) i"
    both "$label" "COPY FROM" "COPY @w@ (id, v, flag, ts) FROM STDIN;
200001	a\\tb\\\\c	t	2020-02-02 02:02:02.123456
200002	\\N	\\N	\\N
\\.
SELECT id, v, flag, ts FROM @w@ WHERE id > 200000 ORDER BY id"
    both "$label" "INSERT ... SELECT from itself" "INSERT INTO @w@ (id, n4, t) SELECT id + 50000, n4, t FROM @w@ WHERE id BETWEEN 100 AND 1500"
}

# UPDATE and DELETE, as one statement and by the key.
direct_changes() { # label
    local label=$1 t=${1}_w.w
    shown "$label" "a DELETE is one statement" 'Foreign Delete on .* Remote SQL: DELETE FROM [^?]*$' "DELETE FROM $t WHERE n4 < 800 AND v = 'v101'"
    shown "$label" "an UPDATE with constants is one statement" 'Foreign Update on .* Remote SQL: (ALTER TABLE .* )?UPDATE [^?]*$' "UPDATE $t SET n2 = 5, v = NULL WHERE n4 < 800"
    shown "$label" "what only Postgres computes goes by the key" 'Remote SQL: (ALTER TABLE .* )?UPDATE .*[?]' "UPDATE $t SET v = md5(v) WHERE id < 200"
    shown "$label" "what only Postgres chooses goes by the key" 'Remote SQL: DELETE .*[?]' "DELETE FROM $t WHERE random() < 2"
    expect "$label, write: RETURNING" 'ERROR:  0A000: foreign table "w" does not allow RETURNING' "$(failing "DELETE FROM $t WHERE id = 1 RETURNING id")"
    both "$label" "UPDATE of some, of none, with odd values" "UPDATE @w@ SET n2 = 5 WHERE id BETWEEN 100 AND 120; UPDATE @w@ SET n2 = 6 WHERE id = -1; UPDATE @w@ SET n2 = n2 WHERE id = 100;
        UPDATE @w@ SET flag = true, num = -1.25, f8 = 0.1, v = E'it''s \\\\ é€😀', t = '', d = '2024-02-29', ts = '2024-02-29 12:34:56.789012' WHERE id = 3"
    both "$label" "UPDATE and DELETE where NULL is met" "UPDATE @w@ SET n4 = NULL, v = NULL, d = NULL, flag = NULL WHERE id IN (100, 101, 102, 103, 104); UPDATE @w@ SET n8 = 1 WHERE n4 IS NULL AND id > 50;
        UPDATE @w@ SET n8 = 2 WHERE NOT (n4 IN (735, 742, 749, 756, 763)) AND id BETWEEN 100 AND 110; DELETE FROM @w@ WHERE n4 NOT IN (735, 742, 749, 756) AND id BETWEEN 100 AND 110;
        DELETE FROM @w@ WHERE v NOT IN ('v105', 'v106', 'v107', 'é') AND id BETWEEN 100 AND 107; UPDATE @w@ SET n8 = 3 WHERE (n4 IN (1, 2, 3, 735)) IS NOT TRUE AND id < 120; DELETE FROM @w@ WHERE v IS NULL AND n4 IS NULL AND id = 104"
    both "$label" "conditions of all kinds" "DELETE FROM @w@ WHERE num > 1499 AND d >= '2021-06-01'; DELETE FROM @w@ WHERE v = 'v200 ' OR v = 'V201' OR v LIKE 'v20_'; DELETE FROM @w@ WHERE t = '' AND id > 300 AND id < 700; DELETE FROM @w@ WHERE num = 42.5 OR num = 42.625 OR num = 42.63 OR num = 43;
        DELETE FROM @w@ WHERE CASE WHEN n4 > 70000 THEN id > 11900 ELSE id = 500 END; UPDATE @w@ SET n2 = 9 WHERE d < '2020-06-01' AND ts IS NULL"
    both "$label" "UPDATE of many rows with values that Postgres computes" "UPDATE @w@ SET v = md5(id::text), num = id / 7.0, t = CASE WHEN id % 3 = 0 THEN NULL ELSE repeat('é', id % 50) END, n8 = n4 + 1 WHERE id BETWEEN 1000 AND $2"
    both "$label" "UPDATE of integers by themselves, until they are too large" "UPDATE @w@ SET n4 = n4 + 1, n2 = n2 - 1::smallint WHERE id BETWEEN 110 AND 130; UPDATE @w@ SET n4 = 2147483647 WHERE id = 125"
    expect "$label, write: an integer that becomes too large" 'ERROR:  22003' "$(failing "UPDATE $t SET n4 = n4 * 2 WHERE id IN (125, 126)")"
    both "$label" "UPDATE and DELETE with a local table" "UPDATE @w@ w SET v = m.note FROM plain m WHERE m.id + 3000 = w.id; DELETE FROM @w@ w USING plain m, plain n WHERE m.id + 3010 = w.id"
    both "$label" "DELETE of many rows that Postgres chooses" "DELETE FROM @w@ WHERE md5(v) < '5' AND id > 4000"
    both "$label" "UPDATE and DELETE with parameters" "PREPARE p (int, text) AS UPDATE @w@ SET v = \$2 WHERE id = \$1; SET plan_cache_mode = force_generic_plan; EXECUTE p (150, E'a''\\\\?'); EXECUTE p (151, NULL); EXECUTE p (NULL, 'x'); PREPARE q (int) AS DELETE FROM @w@ WHERE id = \$1; EXECUTE q (152); EXECUTE q (152)"
    query "CREATE OR REPLACE FUNCTION marked() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n8 = coalesce(NEW.n8, 0) / 2; RETURN NEW; END'"
    local of
    for of in local.w "$t"; do query "CREATE TRIGGER b BEFORE UPDATE ON $of FOR EACH ROW EXECUTE FUNCTION marked()"; done
    both "$label" "a trigger, with which all columns are written as they are" "UPDATE @w@ SET n2 = 1 WHERE id < 5"
    for of in local.w "$t"; do query "DROP TRIGGER b ON $of"; done
    query "CREATE FOREIGN TABLE ${label}_w.miskeyed (id int, v text, n2 int OPTIONS (key 'true')) SERVER $(query "SELECT srvname FROM pg_foreign_server s JOIN pg_foreign_table f ON f.ftserver = s.oid WHERE f.ftrelid = '$t'::regclass") OPTIONS ($3, table_name 'w')"
    expect "$label, write: a key that is none" 'ERROR:  21000: server .* rows of .* have the key where 1 should' "$(failing "UPDATE ${label}_w.miskeyed SET v = md5(v) WHERE id = 112")"
    expect "$label, write: without a key" 'ERROR:  0A000: foreign table "miskeyed" has no key' "$(failing "ALTER FOREIGN TABLE ${label}_w.miskeyed ALTER COLUMN n2 OPTIONS (DROP key); DELETE FROM ${label}_w.miskeyed WHERE id = 1")"
    expect "$label, write: it stays when it is rolled back" '^t$' "$(failing "BEGIN; DELETE FROM $t WHERE id = 113; ROLLBACK; SELECT count(*) = 0 FROM $t WHERE id = 113")"
    query "DELETE FROM local.w WHERE id = 113"
    expect "$label, write: EXPLAIN ANALYZE counts" 'Foreign Delete on .* rows=3( |\.00 )' "$(query "INSERT INTO $t (id) VALUES (900001), (900002), (900003); EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DELETE FROM $t WHERE id > 900000")"
    both "$label" "DELETE of all rows" "DELETE FROM @w@; SELECT count(*) FROM @w@; DELETE FROM @w@; INSERT INTO @w@ (id) VALUES (1)"
}
