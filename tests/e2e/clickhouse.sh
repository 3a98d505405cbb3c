#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# A private ClickHouse, and what is tested with it. Sourced by tests/e2e/remote.sh: test_clickhouse, clickhouse_stop.
#
# Invariant: as in scripts/pg.sh, nothing here touches a server that it did not create.

ch_home=${WEIR_CLICKHOUSE:-$HOME/.cache/pg_weir/clickhouse}
ch_dir=$WEIR_WORK/clickhouse
ch_port=$((WEIR_PORT + 3))
ch_version=26.7.3-stable.1
ch_digest=36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5

# The server's library, from the npm package of chDB.
clickhouse_install() {
    local library=$ch_home/libchdb.so work
    if [ -f "$library" ]; then return 0; fi
    [ "$(uname -m)" = x86_64 ] && command -v npm >/dev/null && command -v python3 >/dev/null || return 1
    mkdir -p "$ch_home"
    work=$(mktemp -d "$ch_home/fetch.XXXXXX")
    (cd "$work" && npm pack --silent "@chdb/lib-linux-x64-gnu@$ch_version" >/dev/null && tar xzf ./*.tgz package/libchdb.so) &&
        echo "$ch_digest  $work/package/libchdb.so" | sha256sum --check --status && mv -f "$work/package/libchdb.so" "$library"
    rm -rf "$work"
    [ -f "$library" ]
}

clickhouse_start() {
    clickhouse_stop
    rm -rf "$ch_dir"
    mkdir -p "$ch_dir"
    python3 tests/e2e/clickhouse_server.py "$ch_home/libchdb.so" "$ch_port" "$ch_dir" >"$ch_dir/log" 2>&1 &
    echo $! >"$ch_dir/pid"
    for _ in $(seq 300); do
        if [ "$(clickhouse_sql "SELECT 1" 2>/dev/null)" = 1 ]; then return 0; fi
        sleep 0.2
    done
    tail -n 20 "$ch_dir/log" >&2
    return 1
}

clickhouse_stop() {
    local pid
    pid=$(cat "$ch_dir/pid" 2>/dev/null || true)
    [ -n "$pid" ] || return 0
    rm -f "$ch_dir/pid"
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

# clickhouse_sql SQL: as the user default; rows separated by tabs. SQL "-": standard input, statement by statement of one line.
clickhouse_sql() {
    local line
    if [ "$1" != - ]; then
        curl -sS --fail-with-body "http://127.0.0.1:$ch_port/?session_timezone=UTC" --data-binary "$1"
        return
    fi
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        curl -sS --fail-with-body "http://127.0.0.1:$ch_port/?session_timezone=UTC" --data-binary "$line" || return 1
    done
}

# The rows of data.sql within what a Date32 can hold; the local tables get the same ones.
clickhouse_dates() { sed -e "s/'0001-01-01'/'1900-01-01'/; s/'1000-01-01 00/'1900-01-01 00/; s/'9999-12-31/'2299-12-31/g; s/'1582-10-15/'1912-10-15/g" tests/e2e/remote/data.sql; }

clickhouse_tables() {
    cat <<'SQL'
CREATE TABLE shop.items (id Int32, n2 Nullable(Int16), n4 Nullable(Int32), n8 Nullable(Int64), num Nullable(Decimal(12,2)), big Nullable(Decimal(30,10)), f8 Nullable(Float64), f4 Nullable(Float32), flag Nullable(Bool), v LowCardinality(Nullable(String)), c Nullable(String), t Nullable(String), d Nullable(Date32), ts Nullable(DateTime64(6)), tz Nullable(DateTime64(6))) ENGINE = MergeTree ORDER BY id
CREATE TABLE shop.parents (id Int32, name Nullable(String), tag Nullable(String)) ENGINE = MergeTree ORDER BY id
CREATE TABLE shop.children (id Int32, parent Nullable(Int32), amount Nullable(Decimal(8,2))) ENGINE = MergeTree ORDER BY id
SQL
    clickhouse_dates | grep '^INSERT' | sed -e 's/INTO /INTO shop./; s/\\/\\\\/g'
}

# Values at the edges of types, both sides alike. Each query with its own comparison of local and remote rows.
clickhouse_edges() {
    query "CREATE TABLE local_ch.edges (id int, u numeric(20,0), w numeric(39,0), f double precision, e text, d date, dt timestamptz, s text, dec numeric(60,10), low text);
        INSERT INTO local_ch.edges VALUES
            (1, 18446744073709551615, 170141183460469231731687303715884105727, 'NaN', 'b', '1970-01-01', '1970-01-01 00:00:01+00', E'tab\t quote'' back\\\\ \`x\` \"y\"', 99999999999999999999999999999999999999999999999999.9999999999, 'x'),
            (2, 0, -170141183460469231731687303715884105728, '-0', 'a', '2149-06-06', '2106-02-07 06:28:15+00', 'trailing  ', -0.0000000001, NULL),
            (3, 5, 0, 'Infinity', 'a', '2024-02-29', '2024-10-27 01:30:00+00', '', 0, 'y'),
            (4, 6, 1, '-Infinity', 'b', '2000-01-01', '2000-01-01 00:00:00+00', E'line\nbreak', 1.5, 'x'),
            (5, 7, 2, 0.1, 'a', '2000-01-01', '2000-01-01 00:00:00+00', repeat('long é', 2000), 2, 'x'),
            (6, 8, 3, 'NaN', 'a', '1999-12-31', '1999-12-31 23:59:59+00', '%_\\', 3, NULL)"
    clickhouse_sql - <<'SQL'
CREATE TABLE shop.edges (id Int32, u UInt64, w Int128, f Float64, e Enum8('b' = 1, 'a' = 2), d Date, dt DateTime('Europe/Berlin'), s String, dec Decimal(60, 10), low LowCardinality(Nullable(String))) ENGINE = MergeTree ORDER BY (u, d)
INSERT INTO shop.edges VALUES (1, 18446744073709551615, 170141183460469231731687303715884105727, nan, 'b', '1970-01-01', 1, 'tab\t quote\' back\\ `x` "y"', 99999999999999999999999999999999999999999999999999.9999999999, 'x'), (2, 0, -170141183460469231731687303715884105728, -0.0, 'a', '2149-06-06', 4294967295, 'trailing  ', -0.0000000001, NULL), (3, 5, 0, inf, 'a', '2024-02-29', 1729992600, '', 0, 'y'), (4, 6, 1, -inf, 'b', '2000-01-01', 946684800, 'line\nbreak', 1.5, 'x'), (5, 7, 2, 0.1, 'a', '2000-01-01', 946684800, repeat('long é', 2000), 2, 'x'), (6, 8, 3, nan, 'a', '1999-12-31', 946684799, '%_\\', 3, NULL)
SQL
}

test_clickhouse() {
    if ! clickhouse_install; then
        report "not ok" "ClickHouse cannot be installed"
        return
    fi
    clickhouse_start || { report "not ok" "ClickHouse starts"; return; }
    clickhouse_sql "CREATE DATABASE shop"
    clickhouse_sql "CREATE DATABASE tpch"
    clickhouse_tables | clickhouse_sql -
    clickhouse_sql "CREATE TABLE shop.odd (id Int32, \`a \\\`quoted\"\\\\ name\` Nullable(String), arr Array(Int32), u UInt64, m Array(UUID), uu UUID, fs FixedString(4), e Enum16('sad' = -5, 'ok' = 7), i Int128, ns DateTime64(9), b Bool, u8 UInt8, f32 Float32) ENGINE = MergeTree ORDER BY id"
    clickhouse_sql "INSERT INTO shop.odd VALUES (1, 'v', [1], 18446744073709551615, ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', unhex('00ff5c27'), 'ok', -170141183460469231731687303715884105728, 0, true, 255, 0.1)"
    query "CREATE SCHEMA local_ch; CREATE SCHEMA ch; CREATE SCHEMA ch_tpch;
        CREATE SERVER ch FOREIGN DATA WRAPPER weir_clickhouse OPTIONS (host '127.0.0.1', port '$ch_port', database 'shop');
        CREATE USER MAPPING FOR CURRENT_USER SERVER ch OPTIONS (user 'weir', password 'secret word')"
    { echo "SET search_path = local_ch;"; tables real text timestamp timestamptz; clickhouse_dates; } | pg_client $cluster psql -X -q -v ON_ERROR_STOP=1 -d $db -f -
    clickhouse_edges
    # It has no arrays that are NULL.
    query "CREATE TABLE local_ch.lists (id int, i int[], f float8[], t text[], b boolean[]); INSERT INTO local_ch.lists VALUES
        (1, '{1,2}', '{0.5,-Infinity}', '{a,NULL,\"x y\"}', '{t,f}'), (2, '{}', '{}', '{}', '{}'), (3, '{NULL,3}', '{NaN}', '{\"é \\\"q\\\" ,\"}', '{NULL}'), (4, '{1,2}', '{1}', '{\"\"}', '{t,f}')"
    clickhouse_sql "CREATE TABLE shop.lists (id Int32, i Array(Nullable(Int32)), f Array(Float64), t Array(LowCardinality(Nullable(String))), b Array(Nullable(Bool))) ENGINE = MergeTree ORDER BY id"
    clickhouse_sql "INSERT INTO shop.lists VALUES (1, [1,2], [0.5,-inf], ['a',NULL,'x y'], [true,false]), (2, [], [], [], []), (3, [NULL,3], [nan], ['é \"q\" ,'], [NULL]), (4, [1,2], [1], [''], [true,false])"
    clickhouse_sql "CREATE TABLE shop.nested (id Int32, m Map(LowCardinality(String), Nullable(UInt64)), ll Array(Array(Nullable(Int32))), mm Map(Int64, Map(String, Array(Bool))), dd Array(Decimal(9, 2)), f Array(Array(Float64))) ENGINE = MergeTree ORDER BY id"
    clickhouse_sql "INSERT INTO shop.nested VALUES (1, {'k': 18446744073709551615, 'é\"': NULL}, [[1, 2], [], [NULL]], {-5: {'x': [true, false]}}, [1.50, -0.25], [[0.1, 1e300]]), (2, {}, [], {}, [], [[nan]]), (3, {'k': 1, 'k': 2}, [[]], {7: {}}, [0], [])"
    local notices
    notices=$(failing 'IMPORT FOREIGN SCHEMA shop FROM SERVER ch INTO ch')
    expect "clickhouse: columns that cannot be mapped are skipped with a notice" 'column "m" of "odd" is skipped' "$notices"
    expect "clickhouse: nanoseconds are timestamps" '^timestamp with time zone$' "$(query "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'ch.odd'::regclass AND attname = 'ns'")"
    expect "clickhouse: odd names and types" '^1\|v\|\{1\}\|18446744073709551615\|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\|\\x00ff5c27\|ok\|-170141183460469231731687303715884105728\|1970-01-01 00:00:00\+00\|t\|255\|0.1$' "$(query "SET timezone = 'UTC'; SELECT * FROM ch.odd")"
    expect "clickhouse: maps and arrays of arrays are jsonb" '^\{"k": 18446744073709551615, "é\\"": null\}\|\[\[1, 2\], \[\], \[null\]\]\|\{"-5": \{"x": \[true, false\]\}\}\|\[1.50, -0.25\]\|\[\[0.1, 10+\]\]$' "$(query "SELECT m, ll, mm, dd, f FROM ch.nested WHERE id = 1")"
    expect "clickhouse: empty ones" '^\{\}\|\[\]\|\{\}\|\[\]$' "$(query "SELECT m, ll, mm, dd FROM ch.nested WHERE id = 2")"
    expect "clickhouse: and Postgres looks into them" '^1$' "$(query "SELECT id FROM ch.nested WHERE mm -> '-5' -> 'x' @> 'true' AND id < 3")"
    expect "clickhouse: a key that comes twice" 'it has a key twice' "$(failing "SELECT m FROM ch.nested WHERE id = 3")"
    expect "clickhouse: a number that JSON does not have" 'ERROR:  22000: server "ch": a value of column "f" does not fit' "$(failing "SELECT f FROM ch.nested WHERE id = 2")"
    expect "clickhouse: a column by an odd name" '^1$' "$(query "SELECT id FROM ch.odd WHERE \"a \`quoted\"\"\\ name\" = 'v' AND e = 'ok'")"
    expect "clickhouse: a schema that is not there" 'has no database "nowhere"' "$(failing 'IMPORT FOREIGN SCHEMA nowhere FROM SERVER ch INTO ch')"
    expect "clickhouse: rows of a table" '^12$' "$(query "SELECT option_value FROM pg_options_to_table((SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'ch.items'::regclass)) WHERE option_name = 'rows'")"
    query "ALTER FOREIGN TABLE ch.items ALTER COLUMN c TYPE char(10), ALTER COLUMN v TYPE varchar(40), ALTER COLUMN ts TYPE timestamp;
        ALTER FOREIGN TABLE ch.parents ALTER COLUMN name TYPE varchar(20), ALTER COLUMN tag TYPE varchar(5)"
    same_answers clickhouse ch tests/e2e/remote/queries.sql local_ch
    cells clickhouse ch local_ch items
    same_answers "clickhouse, arrays" ch tests/e2e/remote/lists.sql local_ch 12
    lists_written clickhouse ch local_ch
    clickhouse_sql "CREATE TABLE shop.numbered (id Int32, free Decimal(20, 4), k Nullable(Int32), v String, n Decimal(12, 2), ts DateTime64(6, 'UTC'), c String) ENGINE = MergeTree ORDER BY id"
    clickhouse_sql "INSERT INTO shop.numbered SELECT number + 1 AS id, toDecimal64(id, 4) / 4, if(id % 100 = 50, NULL, id % 1000), toString(id % 1000), toDecimal64(id % 1000, 2) * toDecimal64('1.5', 1), toDateTime64('2024-01-01 00:00:00.25', 6, 'UTC') + toIntervalHour(id % 1000), toString(id % 1000) FROM numbers(20000)"
    keys_sent clickhouse ch database
    expect "clickhouse: an array that is NULL" 'ERROR:  23502: server "ch": a value of column "i" cannot be written' "$(failing "INSERT INTO ch.lists (id) VALUES (1000)")"
    expect "clickhouse: an array with an element that does not fit" 'does not fit its remote type Array.Int8' "$(clickhouse_sql "ALTER TABLE shop.lists ADD COLUMN n Array(Int8)"; failing "ALTER FOREIGN TABLE ch.lists ADD COLUMN n int[]; INSERT INTO ch.lists VALUES (1001, '{}', '{}', '{}', '{}', '{1,128}')")"
    same_answers "clickhouse, edges" ch tests/e2e/remote/clickhouse.sql local_ch
    cells "clickhouse, edges" ch local_ch edges
    same_answers "clickhouse, pushed" ch tests/e2e/remote/pushed.sql local_ch
    sets clickhouse ch local_ch
    wrong clickhouse ch ch.parents database
    expect "clickhouse: a user who may not change settings" 'ERROR:  42501: server "ch": .*HINT:  The remote user must be allowed to change settings' \
        "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER ch OPTIONS (SET user 'reader'); SELECT count(*) FROM ch.parents" | tr '\n' ' ')"
    local stranger
    stranger=$(http_stranger_start)
    expect "clickhouse: another server on that port" 'ERROR:  08P01: server "ch": could not understand the answer' \
        "$(failing "BEGIN; ALTER SERVER ch OPTIONS (SET port '$stranger'); SELECT count(*) FROM ch.parents")"
    # Not ClickHouse's own port: what is no HTTP and ends with a reset makes chDB abort.
    expect "clickhouse: an encrypted connection to a port that is none" 'ERROR:  08001: server "ch": could not connect' \
        "$(failing "BEGIN; ALTER SERVER ch OPTIONS (SET port '$stranger', ssl_mode 'required'); SELECT count(*) FROM ch.parents")"
    http_stranger_stop
    query "CREATE FOREIGN TABLE ch.middle (n int) SERVER ch OPTIONS (table_name 'middle')"
    clickhouse_sql "CREATE VIEW shop.middle AS SELECT toInt32(number + throwIf(number = 3000000, 'it broke')) AS n FROM numbers(6000000)"
    expect "clickhouse: an exception in the midst of the rows" 'ERROR:  22000: server "ch": it broke' "$(failing "SELECT count(n), sum(n) FILTER (WHERE random() < 2) FROM ch.middle")"
    clickhouse_sql "CREATE VIEW shop.bad AS SELECT 1 AS id, unhex('ff') AS t, 'too long for it' AS v, toInt64(70000) AS n, toDateTime64('2024-01-01 00:00:00.123456789', 9, 'UTC') AS ns"
    query "CREATE FOREIGN TABLE ch.bad (id int, t text, v varchar(5), n smallint, ns timestamptz) SERVER ch"
    expect "clickhouse: text that is none" 'server "ch": a value of column "t" does not fit' "$(failing "SELECT t FROM ch.bad")"
    expect "clickhouse: text that is too long" 'The value is too long for it: it is too long' "$(failing "SELECT v FROM ch.bad")"
    expect "clickhouse: a number that is too large" 'The value is 70000: it is out of range' "$(failing "SELECT n FROM ch.bad")"
    expect "clickhouse: nanoseconds" 'it is finer than a microsecond' "$(failing "SELECT ns FROM ch.bad")"
    expect "clickhouse: what fits is read" '^1$' "$(failing "SELECT id FROM ch.bad")"
    local t
    for t in region nation part supplier partsupp customer orders lineitem; do
        clickhouse_sql "CREATE TABLE tpch.$t ($(query "SELECT string_agg(attname || ' ' || replace(replace(replace(format_type(atttypid, atttypmod), 'character varying', 'varchar'), 'numeric', 'Decimal'), 'date', 'Date32'), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'tpch.$t'::regclass AND attnum > 0")) ENGINE = MergeTree ORDER BY tuple()"
        pg_client $cluster psql -X -q -d $db -c "\\copy tpch.$t TO STDOUT CSV" | curl -sS --fail-with-body "http://127.0.0.1:$ch_port/?input_format_csv_trim_whitespaces=0&query=INSERT%20INTO%20tpch.$t%20FORMAT%20CSV" --data-binary @-
    done
    query "IMPORT FOREIGN SCHEMA tpch FROM SERVER ch INTO ch_tpch"
    # Types with a length are text there.
    query "$(query "SELECT format('ALTER FOREIGN TABLE ch_tpch.%I ALTER COLUMN %I TYPE %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'tpch'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.atttypid IN (1042, 1043)" | paste -sd ';')"
    tpch clickhouse ch_tpch 20
    local running="SELECT count() FROM system.processes WHERE user = 'weir'"
    cancelled "clickhouse, query" "SELECT count(*) FROM ch_tpch.lineitem a JOIN ch_tpch.lineitem b ON a.l_suppkey = b.l_suppkey JOIN ch_tpch.lineitem c ON c.l_suppkey = b.l_suppkey WHERE a.l_quantity * b.l_quantity > 3" clickhouse_sql "$running"
    cancelled "clickhouse, weir.query" "SELECT * FROM weir.query('ch', 'SELECT sleepEachRow(1) FROM numbers(60) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 100000000')" clickhouse_sql "$running"
    cancelled "clickhouse, weir.execute" "SELECT weir.execute('ch', 'SELECT sleepEachRow(1) FROM numbers(60) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 100000000')" clickhouse_sql "$running"
    as_it_is clickhouse ch "CREATE TABLE shop.made (a Int32, b Nullable(String)) ENGINE = MergeTree ORDER BY a"
    expect "clickhouse: weir.query keeps every digit" '^\{"a": 18446744073709551615, "b": 0.10, "c": \[1, 2\]\}$' "$(failing "SELECT q FROM weir.query('ch', 'SELECT toUInt64(18446744073709551615) AS a, toDecimal64(''0.10'', 2) AS b, [1, 2] AS c') q" | sed 's/0\.1,/0.10,/')"
    expect "clickhouse: weir.query with a format of its own" 'ERROR:  0A000: server "ch": it answered in the format' "$(failing "SELECT * FROM weir.query('ch', 'SELECT 1 FORMAT CSV')")"
    # A count of what matches, as sumIf is one, is 0 there where nothing does.
    clickhouse_sql "CREATE VIEW shop.matches AS SELECT toInt32(id % 2) AS k, sumIf(toInt64(id), id < 0) AS s FROM shop.children GROUP BY k"
    query "CREATE FOREIGN TABLE ch.matches (k int, s bigint) SERVER ch"
    expect "clickhouse: a view has the rows that it has for others" '^0[|]0#1[|]0$' "$(query "SELECT * FROM ch.matches ORDER BY k" | paste -sd '#')"
    expect "clickhouse: as they are, and in a group" '^0[|]2#0[|]0#0$' "$(query "SET weir.route = force; SELECT s, count(*) FROM ch.matches GROUP BY s; SELECT sum(s), min(k) FROM ch.matches; SELECT count(*) FROM ch.matches WHERE s IS NULL" | grep -v SET | paste -sd '#')"
    expect "clickhouse: a sum of what may be nothing" 'Remote SQL: SELECT sumOrNull[(]' "$(query "EXPLAIN SELECT sum(s) FROM ch.matches")"
    expect "clickhouse: a sum of groups" 'Remote SQL: SELECT .*, sum[(]toDecimal128' "$(query "EXPLAIN SELECT k, sum(s) FROM ch.matches GROUP BY k")"
    expect "clickhouse: aggregates of nothing are NULL in weir.query" '^\{"n": null\}$' "$(query "SELECT q FROM weir.query('ch', 'SELECT sum(id) AS n FROM shop.children WHERE id < 0') q")"
    write_clickhouse
    changed_clickhouse
    closed_at_once clickhouse ch ch.parents connections "$ch_port"
    kept clickhouse ch.parents "$ch_port"
    later broken_clickhouse
    tls_clickhouse
}

write_clickhouse() {
    clickhouse_sql "CREATE TABLE shop.w (id Int32, n2 Nullable(Int16), n4 Nullable(Int32), n8 Nullable(Int64), num Nullable(Decimal(12, 2)), big Nullable(Decimal(38, 10)), f8 Nullable(Float64), f4 Nullable(Float32), flag Nullable(Bool), v LowCardinality(Nullable(String)), t Nullable(String), b Nullable(String), d Nullable(Date32), ts Nullable(DateTime64(6)), tz Nullable(DateTime64(6, 'Europe/Berlin')), u Nullable(UUID), must Int32) ENGINE = MergeTree ORDER BY id"
    direct_tables clickhouse ch "database 'shop'" "id int PRIMARY KEY, n2 smallint, n4 int, n8 bigint, num numeric(12,2), big numeric(38,10), f8 double precision, f4 real, flag boolean, v varchar(40), t text, b bytea, d date, ts timestamp, tz timestamptz, u uuid, must int NOT NULL DEFAULT 7"
    both clickhouse "values at the edges of their types" "INSERT INTO @w@ VALUES
        (1, 32767, 2147483647, 9223372036854775807, 9999999999.99, 1234567890123456789012345678.0123456789, 1.7976931348623157e308, 3.4028235e38, true, 'plain', 'text', '\\x00ff275c0a', '2299-12-31', '2299-12-31 23:59:59.999999', '2037-12-31 23:59:59.999999+00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
        (2, -32768, -2147483648, -9223372036854775808, -9999999999.99, -0.0000000001, 'NaN', '-Infinity', false, '', '', '\\x', '1900-01-01', '1900-01-01 00:00:00', '1971-01-01 00:00:00.000001+00', '00000000-0000-0000-0000-000000000000'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, 0, 0, 0, 0.00, 0, 0.1, 0.1, NULL, E'it''s \\\\ \"quoted\" \\t\\r\\n', E'; DROP TABLE w; -- \\\\'' \\u00df\\u2028', '; --', '2000-02-29', '1999-12-31 23:59:59.5', '2024-10-27 02:30:00+02', NULL)"
    direct_rows clickhouse
    direct_changes clickhouse 2600 "database 'shop'"
    changes_clickhouse
    both clickhouse "TRUNCATE" "TRUNCATE @w@; SELECT count(*) FROM @w@; INSERT INTO @w@ (id) VALUES (1)"
    clickhouse_sql "CREATE TABLE shop.narrow (id Int32, n UInt8, num Nullable(Decimal(6, 1)), f Nullable(Float32), d Nullable(Date), dt Nullable(DateTime), e Nullable(Enum8('x' = 1)), fs Nullable(FixedString(2))) ENGINE = MergeTree ORDER BY id"
    query "CREATE FOREIGN TABLE clickhouse_w.narrow (id bigint, n int, num numeric, f float8, d date, dt timestamptz, e text OPTIONS (remote_type 'Enum8'), fs bytea) SERVER ch"
    query "INSERT INTO clickhouse_w.narrow VALUES (1, 255, 1.50, 0.5, '1970-01-02', '2106-02-07 06:28:15+00', 'x', 'ab')"
    expect "clickhouse, write: what fits is stored" '^1\|255\|1\.5\|0\.5\|1970-01-02\|2106-02-07 06:28:15\+00\|x\|\\x6162$' "$(query "SELECT * FROM clickhouse_w.narrow")"
    local row
    for row in "5000000000, 1" "1, 256" "1, -1" "1, 1, 1.05" "1, 1, 1, 0.1" "1, 1, 1, 1, '1969-12-31'" "1, 1, 1, 1, '2149-06-07'" "1, 1, 1, 1, '1890-01-01'" "1, 1, 1, 1, 'infinity'" \
        "1, 1, 1, 1, NULL, '2024-01-01 00:00:00.5+00'" "1, 1, 1, 1, NULL, '2106-02-07 06:28:16+00'" "1, 1, 1, 1, NULL, NULL, 'y'" "1, 1, 1, 1, NULL, NULL, 'x', 'a'" "1, 1, 1, 1, NULL, NULL, 'x', 'abc'" "1, NULL"; do
        expect "clickhouse, write: not stored: ($row)" 'ERROR:  (22000|23502|HV000): server "ch"' "$(failing "INSERT INTO clickhouse_w.narrow SELECT 2, 2; INSERT INTO clickhouse_w.narrow VALUES ($row)" | grep ERROR)"
    done
    expect "clickhouse, write: nothing is said to be stored" 'WARNING:  01000: what a failed command may have written to server "ch" stays' "$(failing "INSERT INTO clickhouse_w.narrow VALUES (1, 256)")"
    expect "clickhouse, write: but for what is" 'WARNING:  01000: what was written to server "ch" stays' "$(failing "BEGIN; INSERT INTO clickhouse_w.narrow VALUES (2, 2); SELECT 1 FROM clickhouse_w.narrow; INSERT INTO clickhouse_w.narrow VALUES (1, 256)")"
    expect "clickhouse, write: none of them is there" '^1$' "$(clickhouse_sql "SELECT count() FROM shop.narrow WHERE id <> 2")"
}

# What ClickHouse has of its own: columns that cannot change, types that cut values off, changes that go on in the background.
changes_clickhouse() {
    clickhouse_sql "CREATE TABLE shop.\`odd \\\`keys\` (\`a b\\\`\` Int64, \`k\"2\` LowCardinality(String), part Int32, n UInt8, num Nullable(Decimal(6, 1)), f Nullable(Float32), dt Nullable(DateTime), e Nullable(Enum8('x' = 1, 'y' = 2)), fs Nullable(FixedString(2)), l Array(Int8), c String) ENGINE = MergeTree ORDER BY (\`a b\\\`\`, \`k\"2\`) PARTITION BY part"
    query "CREATE FOREIGN TABLE clickhouse_w.odd (\"a b\`\" bigint OPTIONS (key 'true'), \"k\"\"2\" text OPTIONS (key 'true'), part int, n int, num numeric, f float8, dt timestamptz, e text OPTIONS (remote_type 'Enum8'), fs bytea, l int[], c char(5)) SERVER ch OPTIONS (table_name 'odd \`keys')"
    local t=clickhouse_w.odd
    query "INSERT INTO $t SELECT i, CASE i % 3 WHEN 0 THEN 'é''s' WHEN 1 THEN 'x ' ELSE 'x' END, i % 2, i, i / 2.0, i / 4.0, '2024-01-01 00:00:00+00', 'x', 'ab', '{1,2}', 'ab' FROM generate_series(1, 30) i; INSERT INTO $t (\"a b\`\", \"k\"\"2\", part, n, l, c) VALUES (1, 'x', 0, 100, '{}', '')"
    expect "clickhouse, write: a key of two columns" '#UPDATE 30#DELETE 10#11[|]100#20 20$' "$(effect "UPDATE $t SET n = n + (random() < 2)::int, num = n, l = ARRAY[n, -1], fs = CASE WHEN n < 5 THEN 'cd'::bytea END, c = 'y ' WHERE n < 100; DELETE FROM $t WHERE \"k\"\"2\" = 'x ' AND random() < 2; SELECT count(*) FILTER (WHERE \"k\"\"2\" = 'x'), max(n) FROM $t; SELECT sum((n = num + 1 AND l = ARRAY[n - 1, -1])::int) || ' ' || count(*) FROM $t WHERE c = 'y'" | paste -sd '#')"
    local change
    for change in "n = 256" "n = -1" "num = 1.05" "f = 0.1" "dt = '2024-01-01 00:00:00.5+00'" "dt = '2106-02-07 06:28:16+00'" "e = 'z'" "fs = 'a'" "n = NULL" "l = '{300}'" "n = n + 240" "num = n + 0.05"; do
        expect "clickhouse, write: not changed to what does not fit: $change" 'ERROR:  (22000|23502|HV000): server "ch"' "$(failing "UPDATE $t SET $change WHERE \"a b\`\" > 20")"
        expect "clickhouse, write: nor by the key: $change" 'ERROR:  (22000|23502|HV000): server "ch"' "$(failing "UPDATE $t SET $change WHERE \"a b\`\" > 20 AND random() < 2")"
    done
    expect "clickhouse, write: none of them is there, and nothing is left to be done" '^0 0$' "$(clickhouse_sql "SELECT countIf(n > 100 OR num = toDecimal32('1.05', 2)), (SELECT count() FROM system.mutations WHERE NOT is_done) FROM shop.\`odd \\\`keys\`" | tr '\t' ' ')"
    expect "clickhouse, write: a column of the partition key" 'ERROR:  0A000: server "ch": Cannot UPDATE key column `?part`?' "$(failing "UPDATE $t SET part = 7")"
    expect "clickhouse, write: a column of the sorting key" 'ERROR:  0A000: server "ch": Cannot UPDATE key column' "$(failing "UPDATE $t SET \"a b\`\" = 7")"
    expect "clickhouse, write: a column of the key" 'ERROR:  0A000: server "ch": column "k"2" is part of the key and cannot be changed' "$(failing "UPDATE $t SET \"k\"\"2\" = \"k\"\"2\" || 'x'")"
    clickhouse_sql "CREATE TABLE shop.logged (id Int32) ENGINE = Log"
    clickhouse_sql "INSERT INTO shop.logged VALUES (1)"
    query "CREATE FOREIGN TABLE clickhouse_w.logged (id int OPTIONS (key 'true')) SERVER ch"
    expect "clickhouse, write: a table that is not of the MergeTree family" 'ERROR:  [0-9A-Z]*: server "ch": DELETE query is not supported' "$(failing "DELETE FROM clickhouse_w.logged WHERE id = 1")"
    clickhouse_sql "CREATE TABLE shop.many ENGINE = MergeTree ORDER BY id AS SELECT toInt32(number) AS id, repeat(toString(cityHash64(number)), 10) AS v FROM numbers(2000000)"
    query "CREATE FOREIGN TABLE clickhouse_w.many (id int OPTIONS (key 'true'), v text) SERVER ch"
    local begun=0
    failing "DELETE FROM clickhouse_w.many WHERE v LIKE '%1%2%3%4%5%6%7%8%9%9%8%7%' OR v LIKE '%9%8%7%6%5%4%3%2%1%5%5%5%'" >"$out/killed" &
    for _ in $(seq 200); do
        begun=$(clickhouse_sql "SELECT count() FROM system.mutations WHERE NOT is_done")
        [ "$begun" = 0 ] || break
        sleep 0.05
    done
    query "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DELETE FROM clickhouse_w.many%'" >/dev/null
    wait $! || true
    expect "clickhouse, write: a change that is cancelled" '57014: canceling statement' "$(<"$out/killed")"
    expect "clickhouse, write: does not go on there" '^1 0 2000000$' "$begun $(none_left clickhouse_sql "SELECT count() FROM system.mutations WHERE NOT is_done") $(clickhouse_sql "SELECT count() FROM shop.many")"
    clickhouse_sql "DROP TABLE shop.many"
}

# Something that speaks HTTP and is no engine; prints its port.
http_stranger_start() {
    local port=$((WEIR_PORT + 4))
    python3 -m http.server --bind 127.0.0.1 --directory "$ch_dir" "$port" >/dev/null 2>&1 &
    echo $! >"$WEIR_WORK/stranger.pid"
    for _ in $(seq 50); do
        curl -s -o /dev/null "http://127.0.0.1:$port/" && break
        sleep 0.1
    done
    echo "$port"
}

http_stranger_stop() {
    if [ -f "$WEIR_WORK/stranger.pid" ]; then kill "$(<"$WEIR_WORK/stranger.pid")" 2>/dev/null || true; fi
    rm -f "$WEIR_WORK/stranger.pid"
}
