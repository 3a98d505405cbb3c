#!/usr/bin/env bash
# Writing to remote tables: each script does to a foreign table what it does to a local one. Sourced by remote.sh.
# shellcheck disable=SC2154 # what remote.sh defines

# The columns of the table that is written to; %s: types that engines call by other names.
write_columns() { # real, bytea, timestamp, timestamptz, time, uuid, json
    echo "id int PRIMARY KEY, n2 smallint, n4 int, n8 bigint, num numeric(12,2), big numeric(38,10), f8 double precision, f4 $1, flag boolean, v varchar(40), c char(10),
        t text, b $2, d date, ts $3, tz $4, tm $5, u $6, j $7, must int NOT NULL DEFAULT 7"
}

# What psql says of some statements: command tags, rows, errors by SQLSTATE.
effect() { # statements
    pg_client "$cluster" psql -X -A -t -d "$db" -v VERBOSITY=sqlstate -f - 2>&1 <<<"SET timezone = 'UTC'; SET weir.route = ${route:-auto};
$1" | sed "s/^psql:<stdin>:[0-9]*: //" || true
}

# The same statements on the local table and on the foreign one, and the same rows afterwards.
both() { # label, what, statements with @w@ for the table
    local here there
    here=$(effect "${3//@w@/local.w}")
    there=$(effect "${3//@w@/$1_w.w}")
    if [ "$here" != "$there" ]; then
        report "not ok" "$1, write: $2"
        diff <(echo "$here") <(echo "$there") | head -n 10 | sed 's/^/#   /' || true
        return
    fi
    here=$(effect "SELECT * FROM local.w ORDER BY id")
    there=$(effect "SELECT * FROM $1_w.w ORDER BY id")
    if [ "$here" = "$there" ]; then report ok "$1, write: $2"; else
        report "not ok" "$1, write: $2: other rows"
        diff <(echo "$here") <(echo "$there") | head -n 10 | sed 's/^/#   /' || true
    fi
}

# Rows of arrays, many at once and one alone.
lists_written() { # label, server's schema, local schema
    local columns odd
    columns=$(query "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$3.lists'::regclass AND attnum > 1")
    query "INSERT INTO $2.lists SELECT id + 100 * g, $columns FROM $3.lists, generate_series(1, 5) g ORDER BY 1"
    expect "$1: arrays are written" '^0\|t$' "$(query "SELECT (SELECT count(*) FROM (SELECT id % 100, $columns FROM $2.lists WHERE id > 100 EXCEPT ALL SELECT id, $columns FROM $3.lists, generate_series(1, 5)) x),
        (SELECT count(*) FROM $2.lists WHERE id > 100) = 5 * (SELECT count(*) FROM $3.lists)")"
    odd="ARRAY[E'\\\\ \"q\" {,}', 'NULL', NULL, ' ', E'it''s\\t\\n', 'é€😀']"
    query "INSERT INTO $2.lists (id, i, f, t, b) VALUES (999, '{2147483647,NULL,-2147483648}', '{1.7976931348623157e308,0.1,-0.1}', $odd, '{}')"
    expect "$1: an array of odd texts" '^1$' "$(query "SELECT count(*) FROM $2.lists WHERE id = 999 AND i = '{2147483647,NULL,-2147483648}' AND f = '{1.7976931348623157e308,0.1,-0.1}' AND t = $odd AND b = '{}'")"
}

writes() { # label, server, command that runs SQL at the remote
    local label=$1 server=$2
    shift 2
    query "DROP TABLE IF EXISTS local.w; CREATE TABLE local.w ($(write_columns real bytea timestamp timestamptz time uuid jsonb)); CREATE SCHEMA ${label}_w"
    query "CREATE FOREIGN TABLE ${label}_w.w ($(write_columns real bytea timestamp timestamptz time uuid jsonb | sed "s/id int PRIMARY KEY/id int OPTIONS (key 'true') NOT NULL/")) SERVER $server"
    if [ "$label" = mariadb ]; then query "ALTER FOREIGN TABLE ${label}_w.w OPTIONS (database 'shop')"; else query "ALTER FOREIGN TABLE ${label}_w.w OPTIONS (schema_name 'shop')"; fi

    both "$label" "values at the edges of their types" "INSERT INTO @w@ VALUES
        (1, 32767, 2147483647, 9223372036854775807, 9999999999.99, 1234567890123456789012345678.0123456789, 1.7976931348623157e308, 3.4028235e38, true, 'plain', 'blank', 'text', '\\x00ff275c0a', '9999-12-31', '9999-12-31 23:59:59.999999', '2037-12-31 23:59:59.999999+00', '23:59:59.999999', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": [1, null, \"x\\\\n\"]}'),
        (2, -32768, -2147483648, -9223372036854775808, -9999999999.99, -0.0000000001, -2.2250738585072014e-308, -1.1754944e-38, false, '', '', '', '\\x', '0001-01-01', '1000-01-01 00:00:00', '1971-01-01 00:00:00.000001+00', '00:00:00', '00000000-0000-0000-0000-000000000000', '[]'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, 0, 0, 0, 0.00, 0, 0.1, 0.1, NULL, E'it''s \\\\ \"quoted\" \\\\N \\t\\r\\n', 'é€😀', E'; DROP TABLE w; -- \\\\'' \\u00df\\u2028 %s \$1 ?', convert_to('; --', 'UTF8'), '2000-02-29', '1999-12-31 23:59:59.5', '2000-01-01 12:00:00+14', '12:34:56.789', gen_random_uuid(), '\"x\"');
        UPDATE @w@ SET u = NULL WHERE id = 4"
    both "$label" "an INSERT of many rows" "INSERT INTO @w@ (id, n4, num, v, t, d) SELECT i, i * 7, i / 8.0, 'v' || i, repeat('x', i % 100), date '2020-01-01' + i FROM generate_series(100, 12000) i"
    both "$label" "an INSERT that reads what it writes" "INSERT INTO @w@ (id, n4, t) SELECT id + 50000, n4, t FROM @w@ WHERE id BETWEEN 100 AND 9000"
    both "$label" "COPY FROM" "COPY @w@ (id, v, flag, b, ts) FROM STDIN;
200001	a\\tb\\\\c	t	\\\\\\\\x0001	2020-02-02 02:02:02.123456
200002	\\N	\\N	\\N	\\N
\\.
SELECT id, v, flag, b, ts FROM @w@ WHERE id > 200000 ORDER BY id"
    both "$label" "UPDATE of one row, of many, of none" "UPDATE @w@ SET v = 'changed', num = num * 2 WHERE id = 100; UPDATE @w@ SET n8 = id * 1000000000::bigint, f8 = id / 4.0 WHERE id BETWEEN 200 AND 2600; UPDATE @w@ SET n4 = 0 WHERE id = -5"
    both "$label" "UPDATE of the key, and of a row as it is" "UPDATE @w@ SET id = id + 1000000 WHERE id BETWEEN 300 AND 310; UPDATE @w@ SET v = v WHERE id = 1"
    both "$label" "UPDATE by a condition that only Postgres knows" "UPDATE @w@ SET n2 = 5 WHERE md5(v) < '2' AND id < 400"
    both "$label" "UPDATE with a local table" "UPDATE @w@ w SET v = m.note FROM plain m WHERE m.id = w.id"
    both "$label" "UPDATE and DELETE that meet a row twice" "UPDATE @w@ w SET n2 = 3 FROM generate_series(1, 4) g WHERE w.id = 100; DELETE FROM @w@ w USING generate_series(1, 4) g WHERE w.id IN (101, 102)"
    both "$label" "DELETE" "DELETE FROM @w@ WHERE id BETWEEN 1000 AND 4000; DELETE FROM @w@ WHERE id = 3; DELETE FROM @w@ WHERE id IN (SELECT id + 110 FROM plain)"
    both "$label" "the rows of a transaction are seen in it" "BEGIN; INSERT INTO @w@ (id, v) VALUES (500001, 'own'); SELECT count(*), min(v) FROM @w@ WHERE id >= 500000; UPDATE @w@ SET v = 'mine' WHERE id = 500001; SELECT v FROM @w@ WHERE id = 500001; DELETE FROM @w@ WHERE id = 500001; SELECT count(*) FROM @w@ WHERE id = 500001; COMMIT"
    route=force both "$label" "the rows of a transaction are seen in it, routed" "BEGIN; INSERT INTO @w@ (id, v) VALUES (500002, 'own'); SELECT count(*), min(v) FROM @w@ WHERE id >= 500000; SELECT count(*) FROM @w@ a JOIN @w@ b USING (id) WHERE id >= 500000; COMMIT"
    both "$label" "ROLLBACK" "BEGIN; INSERT INTO @w@ (id) SELECT i FROM generate_series(600000, 610000) i; DELETE FROM @w@ WHERE id < 500; SELECT count(*) FROM @w@; ROLLBACK; SELECT count(*) FROM @w@"
    both "$label" "savepoints" "BEGIN; INSERT INTO @w@ (id, v) VALUES (700001, 'kept'); SAVEPOINT a; INSERT INTO @w@ (id, v) VALUES (700002, 'not kept'); SAVEPOINT b; UPDATE @w@ SET v = 'never' WHERE id = 700001; ROLLBACK TO b;
        SELECT id, v FROM @w@ WHERE id > 700000 ORDER BY id; ROLLBACK TO a; INSERT INTO @w@ (id, v) VALUES (700003, 'kept, too'); RELEASE a; SELECT id, v FROM @w@ WHERE id > 700000 ORDER BY id; COMMIT"
    both "$label" "an error in a savepoint" "BEGIN; SAVEPOINT a; INSERT INTO @w@ (id) VALUES (700004); INSERT INTO @w@ (id) VALUES (1); ROLLBACK TO a; INSERT INTO @w@ (id) VALUES (700005); COMMIT"
    both "$label" "exceptions in a function" "DO \$\$ BEGIN FOR i IN 1..5 LOOP BEGIN INSERT INTO @w@ (id) VALUES (710000 + i / 2); EXCEPTION WHEN unique_violation THEN NULL; END; END LOOP; END \$\$; SELECT count(*) FROM @w@ WHERE id BETWEEN 710000 AND 710010"
    both "$label" "a duplicate key leaves nothing" "INSERT INTO @w@ (id) SELECT 800000 + i % 9000 FROM generate_series(1, 10000) i; SELECT count(*) FROM @w@ WHERE id >= 800000"
    both "$label" "NOT NULL" "INSERT INTO @w@ (id, must) VALUES (900001, NULL)"
    expect "$label, write: a duplicate key is named with its server" 'ERROR:  23505: server "'"$server"'"' "$(failing "INSERT INTO ${label}_w.w (id) VALUES (1)")"
    expect "$label, write: NOT NULL is named with its server" 'ERROR:  23502: server "'"$server"'"' "$(failing "INSERT INTO ${label}_w.w (id, must) VALUES (900001, NULL)")"
    query "CREATE FOREIGN TABLE ${label}_w.wide (id int OPTIONS (key 'true'), v text, n2 int) SERVER $server OPTIONS (table_name 'w', $([ "$label" = mariadb ] && echo database || echo schema_name) 'shop')"
    expect "$label, write: a value that is too long" 'ERROR:  22001: server "'"$server"'"' "$(failing "INSERT INTO ${label}_w.wide (id, v) VALUES (900002, repeat('x', 41))")"
    expect "$label, write: many rows, one of which is too long" 'ERROR:  22001: server "'"$server"'"' "$(failing "INSERT INTO ${label}_w.wide (id, v) SELECT 900002 + i, repeat('x', i) FROM generate_series(1, 41) i")"
    expect "$label, write: a number out of range" 'ERROR:  22003: server "'"$server"'"' "$(failing "INSERT INTO ${label}_w.wide (id, n2) VALUES (900002, 40000)")"
    expect "$label, write: none of them is there" '^0$' "$("$@" "SELECT count(*) FROM shop.w WHERE id BETWEEN 900000 AND 949999")"

    query "CREATE FOREIGN TABLE ${label}_w.keyless (id int, v text) SERVER $server OPTIONS (table_name 'w', $([ "$label" = mariadb ] && echo database || echo schema_name) 'shop')"
    expect "$label, write: UPDATE without a key" 'ERROR:  0A000: foreign table "keyless" has no key' "$(failing "UPDATE ${label}_w.keyless SET v = 'x'")"
    expect "$label, write: DELETE without a key" 'ERROR:  0A000: foreign table "keyless" has no key' "$(failing "DELETE FROM ${label}_w.keyless")"
    expect "$label, write: INSERT needs none" '^INSERT 0 1$' "$(effect "INSERT INTO ${label}_w.keyless VALUES (950000, 'x')" | tail -n 1)" # must has a default only there
    "$@" "DELETE FROM shop.w WHERE id = 950000" >/dev/null
    query "CREATE FOREIGN TABLE ${label}_w.miskeyed (id int, v text, must int OPTIONS (key 'true')) SERVER $server OPTIONS (table_name 'w', $([ "$label" = mariadb ] && echo database || echo schema_name) 'shop')"
    expect "$label, write: a key that is none" 'ERROR:  21000: server "'"$server" "$(failing "DELETE FROM ${label}_w.miskeyed WHERE id = 1 AND random() < 2")" # as one statement it would need no key

    query "CREATE TABLE IF NOT EXISTS noted (what text); TRUNCATE noted; CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO noted VALUES (TG_OP || '' '' || TG_WHEN || '' '' || TG_LEVEL || coalesce('' '' || CASE WHEN TG_LEVEL = ''ROW'' THEN CASE WHEN TG_OP = ''DELETE'' THEN OLD.id || '' '' || coalesce(OLD.v, '''') ELSE NEW.id || '' '' || coalesce(NEW.v, '''') END END, '''')); IF TG_LEVEL = ''ROW'' AND TG_WHEN = ''BEFORE'' AND TG_OP <> ''DELETE'' THEN NEW.v = NEW.v || ''!''; END IF; RETURN CASE WHEN TG_OP = ''DELETE'' THEN OLD ELSE NEW END; END'"
    local of
    for of in local.w "${label}_w.w"; do
        query "CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON $of FOR EACH ROW EXECUTE FUNCTION note(); CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON $of FOR EACH ROW EXECUTE FUNCTION note(); CREATE TRIGGER s AFTER INSERT OR UPDATE OR DELETE ON $of FOR EACH STATEMENT EXECUTE FUNCTION note()"
    done
    both "$label" "triggers" "TRUNCATE noted; INSERT INTO @w@ (id, v) VALUES (960001, 'one'), (960002, 'two'); UPDATE @w@ SET n4 = 3 WHERE id = 960001; DELETE FROM @w@ WHERE id >= 960001; SELECT * FROM noted ORDER BY 1"
    for of in local.w "${label}_w.w"; do query "DROP TRIGGER a ON $of; DROP TRIGGER b ON $of; DROP TRIGGER s ON $of"; done

    "$@" "CREATE TABLE shop.wp (id int PRIMARY KEY, v varchar(40))" >/dev/null
    query "CREATE TABLE ${label}_w.parted (id int, v text) PARTITION BY RANGE (id); CREATE TABLE ${label}_w.low PARTITION OF ${label}_w.parted FOR VALUES FROM (0) TO (10);
        CREATE FOREIGN TABLE ${label}_w.high PARTITION OF ${label}_w.parted FOR VALUES FROM (970000) TO (980000) SERVER $server OPTIONS (table_name 'wp', $([ "$label" = mariadb ] && echo database || echo schema_name) 'shop');
        ALTER FOREIGN TABLE ${label}_w.high ALTER COLUMN id OPTIONS (ADD key 'true')"
    expect "$label, write: rows routed to a partition" '^2\|970001$' "$(effect "INSERT INTO ${label}_w.parted VALUES (1, 'here'), (970001, 'there'); SELECT count(*), max(id) FROM ${label}_w.parted" | tail -n 1)"
    expect "$label, write: a partitioned table with a remote part is changed" '^1 x\|970001 x$' "$(effect "UPDATE ${label}_w.parted SET v = 'x'; SELECT string_agg(id || ' ' || v, '|' ORDER BY id) FROM ${label}_w.parted" | tail -n 1)"
    expect "$label, write: and emptied" '^0$' "$(effect "DELETE FROM ${label}_w.parted; SELECT count(*) FROM ${label}_w.parted" | tail -n 1)"

    expect "$label, write: ANALYZE counts" '^[1-9][0-9]*\|t$' "$(effect "ANALYZE ${label}_w.w; SELECT c.reltuples, c.reltuples = (SELECT count(*) FROM local.w) FROM pg_class c WHERE c.oid = '${label}_w.w'::regclass" | tail -n 1)"
    expect "$label, write: ANALYZE samples" '^t$' "$(query "SELECT count(*) > 10 FROM pg_stats WHERE schemaname = '${label}_w' AND tablename = 'w'")"
    expect "$label, write: what a role has no privilege for" 'ERROR:  42501: permission denied for foreign table w' "$(failing "SET ROLE pg_read_all_data; INSERT INTO ${label}_w.w (id) VALUES (990001)")"
    expect "$label, write: weir.execute is not for everybody" 'ERROR:  42501: permission denied for function execute' "$(failing "SET ROLE pg_read_all_data; SELECT weir.execute('$server', 'DELETE FROM shop.w')")"
    expect "$label, write: a read only transaction" 'ERROR:  25006' "$(failing "BEGIN READ ONLY; INSERT INTO ${label}_w.w (id) VALUES (990001)")"
    expect "$label, write: PREPARE TRANSACTION is refused" 'ERROR:  0A000: cannot PREPARE' "$(failing "BEGIN; INSERT INTO ${label}_w.w (id) VALUES (990001); PREPARE TRANSACTION 'p'")"
    expect "$label, write: locked rows stay locked" '^locked$' "$(locked "$label" "$@")"
    expect "$label, write: EXPLAIN shows the statement" 'Remote SQL: UPDATE .* SET .* WHERE' "$(query "EXPLAIN UPDATE ${label}_w.w SET v = 'x' WHERE id = 1")"
    insert_speed "$label"
    both "$label" "TRUNCATE is undone with its transaction" "BEGIN; TRUNCATE @w@; SELECT count(*) FROM @w@; ROLLBACK; SELECT count(*) > 0 FROM @w@"
    both "$label" "TRUNCATE" "TRUNCATE @w@; SELECT count(*) FROM @w@; INSERT INTO @w@ (id) VALUES (1)"
    expect "$label, write: no transaction is left open at the remote" '^0$' "$(none_left "$@" "$open_transactions")"
}

# Milliseconds that a statement takes.
took() {
    local from
    from=$(date +%s%N)
    query "$1" >/dev/null
    echo $((($(date +%s%N) - from) / 1000000))
}

# The number that a command prints, when it has become 0 or some seconds are over: a remote ends what was closed at its own pace.
none_left() { # command...
    local left
    for _ in $(seq 50); do
        left=$("$@")
        [ "$left" = 0 ] && break
        sleep 0.1
    done
    echo "$left"
}

# Rows sent one by one and in batches, each in one transaction.
insert_speed() { # label
    local n=2000 single many t=${1}_w.w
    # One measurement may have met a busy moment.
    for _ in 1 2 3; do
        single=$(took "DO \$\$ BEGIN FOR i IN 1..$n LOOP INSERT INTO $t (id, n4, v, t) VALUES (2000000 + i, i, 'v' || i, repeat('x', 50)); END LOOP; END \$\$")
        many=$(took "INSERT INTO $t (id, n4, v, t) SELECT 2100000 + i, i, 'v' || i, repeat('x', 50) FROM generate_series(1, $n) i")
        echo "# $1: $n rows inserted one by one in $single ms, in batches in $many ms"
        query "DELETE FROM $t WHERE id > 2000000"
        [ "$single" -lt $((many * 5)) ] || break
    done
    expect "$1, write: batches are at least five times as fast as rows" '^t$' "$([ "$single" -ge $((many * 5)) ] && echo t || echo "$single ms, $many ms")"
}

# Whether SELECT ... FOR UPDATE keeps others from changing the row.
locked() { # label, command that runs SQL at the remote
    local label=$1 asking
    shift
    pg_client "$cluster" psql -X -q -d "$db" -c "BEGIN; SELECT id FROM ${label}_w.w WHERE id = 1 FOR UPDATE; SELECT pg_sleep(3); COMMIT" >/dev/null 2>&1 &
    asking=$!
    # It sleeps when it has its lock.
    for _ in $(seq 50); do
        [ "$(query "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")" = 0 ] || break
        sleep 0.1
    done
    if "$@" "$impatient; UPDATE shop.w SET n4 = 1 WHERE id = 1" >/dev/null 2>&1; then echo "not locked"; else echo locked; fi
    wait $asking || true
}

write_postgres() {
    local open_transactions="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_weir' AND xact_start IS NOT NULL" impatient="SET lock_timeout = '300ms'"
    counterpart_query "CREATE TABLE shop.w ($(write_columns real bytea timestamp timestamptz time uuid jsonb))" >/dev/null
    writes postgres pg counterpart_query
    at_once postgres
    returning_postgres
    closed_at_once postgres pg pg.parents counterpart_query "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_weir'"
}

write_mariadb() {
    local open_transactions="SELECT count(*) FROM information_schema.innodb_trx" impatient="SET innodb_lock_wait_timeout = 1"
    mariadb_sql "CREATE DATABASE elsewhere CHARACTER SET utf8mb4; CREATE TABLE elsewhere.far (id int PRIMARY KEY, n int); INSERT INTO elsewhere.far VALUES (1, 1), (2, 2), (3, 3)"
    mariadb_sql "CREATE TABLE shop.w ($(write_columns float 'varbinary(200)' 'datetime(6)' 'timestamp(6) NULL' 'time(6)' uuid json))"
    writes mariadb shop mariadb_sql
    at_once mariadb
    query "CREATE FOREIGN TABLE mariadb_w.far (id int OPTIONS (key 'true'), n int) SERVER shop OPTIONS (database 'elsewhere')"
    shown mariadb "a table in another database" 'Remote SQL: DELETE FROM .elsewhere.[.].far. WHERE' "DELETE FROM mariadb_w.far WHERE id = 1"
    expect "mariadb, at once: in another database" '^UPDATE 2#DELETE 1#3:4$' "$(said "UPDATE mariadb_w.far SET n = n + 1 WHERE id > 1; DELETE FROM mariadb_w.far WHERE n = 3; SELECT string_agg(id || ':' || n, ',') FROM mariadb_w.far WHERE id > 1" | paste -sd '#')"
    returning_mariadb
    closed_at_once mariadb shop shop.parents mariadb_sql "SELECT count(*) FROM information_schema.processlist WHERE user = 'weir'"
}
