#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# Writing to DuckDB files, which the engine opens itself. Sourced by remote.sh, after write.sh, at_once.sh and returning.sh.

# What is in the file, as another session of it sees it.
duck_sees() { failing "SELECT q FROM weir.query('duck', \$\$$1\$\$) q"; }

write_duckdb() {
    local columns t=duckdb_w.w
    columns=$(write_columns real bytea timestamp timestamptz time uuid jsonb)
    duck_script duck "CREATE TABLE shop.shop.w ($(write_columns float blob timestamp timestamptz time uuid json | sed 's/varchar(40)/varchar/; s/char(10)/varchar/'))"
    query "DROP TABLE IF EXISTS local.w; CREATE TABLE local.w ($columns); CREATE SCHEMA duckdb_w;
        CREATE FOREIGN TABLE $t ($(sed "s/id int PRIMARY KEY/id int OPTIONS (key 'true') NOT NULL/" <<<"$columns")) SERVER duck OPTIONS (schema_name 'shop')"
    both duckdb "values at the edges of their types" "INSERT INTO @w@ VALUES
        (1, 32767, 2147483647, 9223372036854775807, 9999999999.99, 1234567890123456789012345678.0123456789, 1.7976931348623157e308, 3.4028235e38, true, 'plain', 'blank', 'text', '\\x00ff275c0a', '9999-12-31', '9999-12-31 23:59:59.999999', '2037-12-31 23:59:59.999999+00', '23:59:59.999999', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": [1, null, \"x\\\\n\"]}'),
        (2, -32768, -2147483648, -9223372036854775808, -9999999999.99, -0.0000000001, 'NaN', '-Infinity', false, '', '', '', '\\x', '0001-01-01', '1000-01-01 00:00:00', '1971-01-01 00:00:00.000001+00', '00:00:00', '00000000-0000-0000-0000-000000000000', '[]'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, 0, 0, 0, 0.00, 0, 0.1, 0.1, NULL, E'it''s \\\\ \"quoted\" \\\\N \\t\\r\\n', 'é€😀', E'; DROP TABLE w; -- \\\\'' \\u00df\\u2028 %s \$1 ?', convert_to('; --', 'UTF8'), '2000-02-29', '1999-12-31 23:59:59.5', '2000-01-01 12:00:00+14', '12:34:56.789', NULL, '\"x\"')"
    both duckdb "infinity, one by one and many" "INSERT INTO @w@ (id, d, ts, tz, f8) VALUES (10, 'infinity', '-infinity', 'infinity', 'Infinity'); INSERT INTO @w@ (id, d, ts, tz, f8) SELECT i, '-infinity', 'infinity', '-infinity', 'NaN' FROM generate_series(11, 40) i"
    both duckdb "an INSERT of many rows" "INSERT INTO @w@ (id, n4, num, v, t, d, b, c, tm, j) SELECT i, i * 7, i / 8.0, 'v' || i, repeat('x', i % 100), date '2020-01-01' + i, decode(md5(i::text), 'hex'), 'c' || i % 10, time '00:00' + i * interval '1 second', json_build_array(i, NULL)::jsonb FROM generate_series(100, 12000) i"
    both duckdb "many rows with types that are spelled" "INSERT INTO @w@ (id, u) SELECT i, md5(i::text)::uuid FROM generate_series(13000, 13100) i"
    both duckdb "an INSERT that reads what it writes" "INSERT INTO @w@ (id, n4, t) SELECT id + 50000, n4, t FROM @w@ WHERE id BETWEEN 100 AND 9000"
    both duckdb "COPY FROM" "COPY @w@ (id, v, flag, b, ts) FROM STDIN;
200001	a\\tb\\\\c	t	\\\\\\\\x0001	2020-02-02 02:02:02.123456
200002	\\N	\\N	\\N	\\N
\\.
SELECT id, v, flag, b, ts FROM @w@ WHERE id > 200000 ORDER BY id"
    both duckdb "UPDATE of one row, of many, of none" "UPDATE @w@ SET v = 'changed', num = num * 2 WHERE id = 100; UPDATE @w@ SET n8 = id * 1000000000::bigint, f8 = id / 4.0 WHERE id BETWEEN 200 AND 2600; UPDATE @w@ SET n4 = 0 WHERE id = -5"
    both duckdb "UPDATE of the key, and of a row as it is" "UPDATE @w@ SET id = id + 1000000 WHERE id BETWEEN 300 AND 310; UPDATE @w@ SET v = v WHERE id = 1"
    both duckdb "UPDATE by a condition that only Postgres knows" "UPDATE @w@ SET n2 = 5 WHERE md5(v) < '2' AND id < 400"
    both duckdb "UPDATE with a local table" "UPDATE @w@ w SET v = m.note FROM plain m WHERE m.id = w.id"
    both duckdb "UPDATE and DELETE that meet a row twice" "UPDATE @w@ w SET n2 = 3 FROM generate_series(1, 4) g WHERE w.id = 100; DELETE FROM @w@ w USING generate_series(1, 4) g WHERE w.id IN (101, 102)"
    both duckdb "DELETE" "DELETE FROM @w@ WHERE id BETWEEN 1000 AND 4000; DELETE FROM @w@ WHERE id = 3; DELETE FROM @w@ WHERE id IN (SELECT id + 110 FROM plain)"
    both duckdb "the rows of a transaction are seen in it" "BEGIN; INSERT INTO @w@ (id, v) VALUES (500001, 'own'); SELECT count(*), min(v) FROM @w@ WHERE id >= 500000; UPDATE @w@ SET v = 'mine' WHERE id = 500001; SELECT v FROM @w@ WHERE id = 500001; COMMIT; DELETE FROM @w@ WHERE id = 500001"
    both duckdb "ROLLBACK" "BEGIN; INSERT INTO @w@ (id) SELECT i FROM generate_series(600000, 610000) i; DELETE FROM @w@ WHERE id < 500; SELECT count(*) FROM @w@; ROLLBACK; SELECT count(*) FROM @w@"
    both duckdb "savepoints that are kept, and one behind which nothing was written" "BEGIN; INSERT INTO @w@ (id, v) VALUES (700001, 'kept'); SAVEPOINT a; INSERT INTO @w@ (id, v) VALUES (700002, 'kept'); RELEASE a; SAVEPOINT b; SELECT count(*) FROM @w@ WHERE id > 700000; ROLLBACK TO b; INSERT INTO @w@ (id) VALUES (700003); COMMIT"
    expect "duckdb, write: a savepoint that would have to be undone" 'ERROR:  0A000: server "duck": cannot go back to a savepoint' \
        "$(failing "BEGIN; INSERT INTO $t (id) VALUES (710001); SAVEPOINT a; INSERT INTO $t (id) VALUES (710002); ROLLBACK TO a; COMMIT")"
    expect "duckdb, write: by the next statement, too" 'ERROR:  0A000: server "duck": cannot go back to a savepoint' \
        "$(failing "BEGIN; INSERT INTO $t (id) VALUES (710001); SAVEPOINT a; INSERT INTO $t (id) VALUES (710002); ROLLBACK TO a; INSERT INTO $t (id) VALUES (710003)")"
    expect "duckdb, write: an error in a savepoint" 'ERROR:  [0-9A-Z]{5}: server "duck"' "$(effect_verbose "BEGIN; SAVEPOINT a; INSERT INTO $t (id) VALUES (710004); INSERT INTO $t (id) VALUES (1); ROLLBACK TO a; INSERT INTO $t (id) VALUES (710005); COMMIT" | tail -n 2)"
    expect "duckdb, write: nothing of it is there" '^\{"n": 0\}$' "$(duck_sees "SELECT count(*) AS n FROM shop.shop.w WHERE id BETWEEN 710000 AND 719999")"
    both duckdb "a duplicate key leaves nothing" "INSERT INTO @w@ (id) SELECT 800000 + i % 9000 FROM generate_series(1, 10000) i; SELECT count(*) FROM @w@ WHERE id >= 800000 AND id < 900000"
    both duckdb "NOT NULL" "INSERT INTO @w@ (id, must) VALUES (900001, NULL)"
    expect "duckdb, write: a duplicate key is named with its server" 'ERROR:  23505: server "duck"' "$(failing "INSERT INTO $t (id) VALUES (1)")"
    expect "duckdb, write: nothing is seen before the transaction ends" '^\{"n": 0\}$' "$(failing "BEGIN; INSERT INTO $t (id) VALUES (720001); SELECT q FROM weir.query('duck', 'SELECT count(*) AS n FROM shop.shop.w WHERE id = 720001') q; ROLLBACK")"
    expect "duckdb, write: a row that another has changed meanwhile" 'ERROR:  40001: server "duck"' \
        "$(failing "BEGIN; SELECT count(*) FROM (SELECT 1) x; UPDATE $t SET n4 = 1 WHERE id = 1; SELECT weir.execute('duck', 'UPDATE shop.shop.w SET n4 = 2 WHERE id = 1')")"
    both duckdb "TRUNCATE is undone with its transaction" "BEGIN; TRUNCATE @w@; SELECT count(*) FROM @w@; ROLLBACK; SELECT count(*) > 0 FROM @w@"
    at_once duckdb

    duck_script duck "CREATE TABLE shop.shop.r (id int PRIMARY KEY, a int, b varchar DEFAULT 'theirs', g int GENERATED ALWAYS AS (a * 2) VIRTUAL); CREATE TABLE shop.shop.spread (id int PRIMARY KEY, v varchar); CREATE TYPE shop.shop.size AS ENUM ('small', 'big'); CREATE TABLE shop.shop.sized (id int PRIMARY KEY, s shop.shop.size)"
    query "CREATE FOREIGN TABLE duckdb_w.r (id int OPTIONS (key 'true') NOT NULL, a int, b text DEFAULT 'ours', g int GENERATED ALWAYS AS (a * 2) STORED) SERVER duck OPTIONS (schema_name 'shop')"
    expect "duckdb, returning: new rows" '^1\|5\|x\|10#2\|\|ours\|#INSERT 0 2$' "$(said "INSERT INTO duckdb_w.r (id, a, b) VALUES (1, 5, 'x'), (2, NULL, DEFAULT) RETURNING *" | paste -sd '#')"
    expect "duckdb, returning: changed and deleted rows" '^1\|6\|y\|12#UPDATE 1#2\|ours#DELETE 1$' "$(said "UPDATE duckdb_w.r SET a = a + 1, b = 'y' WHERE id = 1 RETURNING *; DELETE FROM duckdb_w.r WHERE id = 2 RETURNING id, b" | paste -sd '#')"
    conflicts_of_few
    partitions duckdb duck "schema_name 'shop', table_name 'spread'" returning
    query "CREATE FOREIGN TABLE duckdb_w.sized (id int OPTIONS (key 'true'), s text) SERVER duck OPTIONS (schema_name 'shop')"
    expect "duckdb, write: an enum" '^1:big,2:small$' "$(said "INSERT INTO duckdb_w.sized VALUES (1, 'small'), (2, 'small'); UPDATE duckdb_w.sized SET s = 'big' WHERE id = 1; SELECT string_agg(id || ':' || s, ',' ORDER BY id) FROM duckdb_w.sized" | tail -n 1)"
    expect "duckdb, write: a value that an enum does not have" 'ERROR:  22000: server "duck"' "$(failing "INSERT INTO duckdb_w.sized VALUES (3, 'huge')")"
    query "CREATE SERVER duck_reads FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$duck_file', read_only 'true', schema 'shop'); CREATE FOREIGN TABLE duckdb_w.still (id int OPTIONS (key 'true'), v text) SERVER duck_reads OPTIONS (schema_name 'shop', table_name 'spread');
        SELECT weir.refresh()" >/dev/null
    for what in "INSERT INTO duckdb_w.still VALUES (1, 'x')" "UPDATE duckdb_w.still SET v = 'x'" "DELETE FROM duckdb_w.still" "TRUNCATE duckdb_w.still"; do
        expect "duckdb, write: opened for reading only: ${what%% *}" 'ERROR:  25006: server "duck_reads"' "$(failing "$what")"
    done
    query "SELECT weir.refresh()" >/dev/null
    both duckdb "TRUNCATE" "TRUNCATE @w@; SELECT count(*) FROM @w@; INSERT INTO @w@ (id) VALUES (1)"
}

conflicts_of_few() {
    expect "duckdb, conflicts: passed over" '^INSERT 0 1#50#INSERT 0 1$' "$(said "INSERT INTO duckdb_w.r (id) VALUES (51), (51) ON CONFLICT DO NOTHING; INSERT INTO duckdb_w.r (id) VALUES (51), (50) ON CONFLICT DO NOTHING RETURNING id" | paste -sd '#')"
}

# As `effect`, with the messages.
effect_verbose() { pg_client "$cluster" psql -X -A -t -d "$db" -v VERBOSITY=verbose -f - 2>&1 <<<"$1" | grep -E 'ERROR|HINT' || true; }
