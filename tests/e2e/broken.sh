#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2034 # what remote.sh defines, and what `broken` takes from its callers
# Remote servers behind a proxy that breaks connections: whatever it does, a clear error within the time-out, nothing left behind, and the next query
# works. Sourced by remote.sh, which runs these side by side, each with a proxy of its own.

proxy_dir=$WEIR_WORK/proxy

proxy_start() { # label, port to listen on, port to go to
    local dir=$proxy_dir/$1
    mkdir -p "$dir"
    : >"$dir/fault"
    "$CARGO_TARGET_DIR/release/weir-faults" proxy "$2" "127.0.0.1:$3" "$dir/fault" >"$dir/log" 2>&1 &
    echo $! >"$dir/pid"
    for _ in $(seq 200); do
        if grep -q 'proxy ready' "$dir/log"; then return 0; fi
        sleep 0.1
    done
    return 1
}

proxy_stop() { # label; all of them
    local pid file
    for file in "$proxy_dir"/${1:-*}/pid; do
        pid=$(cat "$file" 2>/dev/null || true)
        rm -f "$file"
        if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
    done
}

fault() { echo "$2" >"$proxy_dir/$1/fault"; } # label, what the proxy does

# A statement that must fail as wanted, soon; then one that must work.
breaks() { # label, what, fault, wanted, statement
    local answer started=$SECONDS
    fault "$1" "$3"
    answer=$(failing "$5")
    fault "$1" pass
    expect "$1, broken: $2" "$4" "$answer"
    if [ $((SECONDS - started)) -gt 12 ]; then report "not ok" "$1, broken: $2: took $((SECONDS - started)) s"; fi
    expect "$1, broken: $2: the next query works" '^5$' "$(failing "$five")"
}

# A table `parents` of 5 rows and a table `many` of many are there. The caller says:
#   wrapper, target (port of the server), listen (port of the proxy), options (of the server), user (of the mapping), place (of the tables),
#   bytes (of an answer that is let through), does (insert and transactions, insert, or nothing), lost (what a broken connection is called),
#   page (what an answer in HTML is called; empty if that is not a case), five (a query that gives 5, where counting `parents` is not one)
# and gives a command that counts connections at the remote, if there is one.
broken() { # label, command
    local label=$1 left before=0 t=${1}_broken route q
    local five=${five:-SELECT count(*) FROM $t.parents}
    shift
    [ $# -eq 0 ] || before=$("$@")
    proxy_start "$label" "$listen" "$target" || { report "not ok" "$label: the proxy starts"; return; }
    query "CREATE SERVER $t FOREIGN DATA WRAPPER $wrapper OPTIONS ($options);
        CREATE USER MAPPING FOR CURRENT_USER SERVER $t${user:+ OPTIONS ($user)}; CREATE SCHEMA $t;
        CREATE FOREIGN TABLE $t.parents (id int OPTIONS (key 'true'), name varchar(20), tag varchar(5)) SERVER $t OPTIONS ($place);
        CREATE FOREIGN TABLE $t.many (id int OPTIONS (key 'true'), v text) SERVER $t OPTIONS ($place)"
    expect "$label, broken: nothing, to begin with" '^5$' "$(failing "$five")"
    expect "$label, broken: nor with many rows" '^20000$' "$(failing "SELECT count(v) FROM (SELECT * FROM $t.many OFFSET 0) m")"
    local all="COPY (SELECT id, v FROM $t.many) TO '/dev/null'"
    for route in force off; do
        q="SET weir.route = $route; $all"
        breaks "$label" "reset in mid-result, route $route" "kill $bytes" "ERROR:  ($lost): server \"$t\"" "$q"
        breaks "$label" "cut off in mid-result, route $route" "truncate $bytes" "ERROR:  ($lost): server \"$t\"" "$q"
        breaks "$label" "stalled in mid-result, route $route" "stall $bytes" "ERROR:  57014: server \"$t\": no answer within the time limit" "$q"
    done
    breaks "$label" "garbage in mid-result" "garbage $bytes" "ERROR:  (08006|08P01|HV000|22000|57014): server \"$t\"" "$all"
    breaks "$label" "no answer at all" "stall 0" "ERROR:  (57014|08001|08006): server \"$t\"" "$five"
    if [ -n "$page" ]; then breaks "$label" "a page for humans" "page" "ERROR:  ($page): server \"$t\"" "$five"; fi
    case $does in *insert*) breaks "$label" "reset when it is told to write" "kill 0" "ERROR:  080(01|06): server \"$t\"" "INSERT INTO $t.many VALUES (-1, 'x')" ;; esac
    breaks "$label" "refused" "refuse" "ERROR:  080(01|06): server \"$t\"" "ALTER SERVER $t OPTIONS (SET request_timeout_ms '3001'); $five"
    fault "$label" "idle 300"
    failing "$five" >/dev/null
    sleep 1
    expect "$label, broken: an idle connection that was closed" '^5$' "$(failing "$five")"
    fault "$label" pass
    case $does in *transactions*)
        expect "$label, broken: lost in a transaction, nothing is committed" 'ERROR:  08006: ' "$(
            { echo "BEGIN; INSERT INTO $t.many VALUES (-2, 'x');"; sleep 1; echo "kill 0" >"$proxy_dir/$label/fault"; echo "INSERT INTO $t.many VALUES (-3, 'x'); COMMIT;"; sleep 1; } |
                pg_client "$cluster" psql -X -q -v VERBOSITY=verbose -d "$db" 2>&1)"
        fault "$label" pass
        expect "$label, broken: and nothing is there" '^0$' "$(failing "SELECT count(*) FROM $t.many WHERE id < 0")"
        ;;
    esac
    if [ $# -gt 0 ]; then
        for _ in $(seq 100); do
            left=$("$@")
            [ "$left" -le $((before + 2)) ] && break
            sleep 0.2
        done
        expect "$label, broken: no connection is left at the remote but a few idle ones" '^yes$' "$([ "$left" -le $((before + 2)) ] && echo yes || echo "$left, $before before")"
    fi
    proxy_stop "$label"
}

# Options that all have: where the proxy listens, and how long it may take.
limits() { echo "connect_timeout_ms '3000', request_timeout_ms '3000'"; }
behind() { echo "host '127.0.0.1', port '$listen', $(limits)"; }

broken_postgres() {
    counterpart_query "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_weir'" >/dev/null
    local wrapper=weir_postgres target=$counterpart_port listen=$((WEIR_PORT + 14)) user="user 'weir', password 'secret word'" place="schema_name 'shop'" bytes=200000 does="insert, transactions" lost=08006 page=""
    local options
    options="dbname 'shop', $(behind)"
    broken postgres counterpart_query "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_weir'"
}

broken_mariadb() {
    mariadb_sql "CREATE TABLE many (id int PRIMARY KEY, v text); INSERT INTO many SELECT seq, repeat(md5(seq), 4) FROM seq_1_to_20000" shop
    local wrapper=weir_mysql target=$WEIR_MARIADB_PORT listen=$((WEIR_PORT + 15)) user="user 'weir', password 'secret word'" place="database 'shop'" bytes=200000 does="insert, transactions" lost=08006 page=""
    local options
    options="database 'shop', $(behind)"
    broken mariadb mariadb_sql "SELECT count(*) FROM information_schema.processlist WHERE user = 'weir' AND time < 1000 AND db = 'shop' AND id > 0 AND command <> 'Daemon'"
}

broken_starrocks() {
    mariadb_sql "CREATE TABLE many (id int PRIMARY KEY, v text); INSERT INTO many SELECT seq, repeat(md5(seq), 4) FROM seq_1_to_20000; CREATE TABLE IF NOT EXISTS parents (id int)" rocks
    local wrapper=weir_starrocks target=$WEIR_MARIADB_PORT listen=$((WEIR_PORT + 16)) user="user 'weir', password 'secret word'" place="database 'rocks'" bytes=200000 does="" lost=08006 page=""
    local options
    options="database 'rocks', $(behind)"
    mariadb_sql "DELETE FROM parents WHERE id > 5" rocks
    broken starrocks
}

# Results from the Flight port of a front end, which dies by itself.
broken_starrocks_flight() {
    local port=$((WEIR_PORT + 22))
    flight_start rocks_flight "$port" "$CARGO_TARGET_DIR/release/weir-flight" --port "$port" --second $((WEIR_PORT + 23)) --user root --password 'secret word' || { report "not ok" "the Flight SQL server starts for StarRocks"; return; }
    local wrapper=weir_starrocks target=$port listen=$((WEIR_PORT + 24)) user="user 'root', password 'secret word'" place="database 'shop'" bytes=9000 does="" lost="08006|08P01" page="08[0-9A-Z]*"
    local options five="SELECT count(id) FROM (SELECT * FROM starrocks_flight_broken.parents OFFSET 0) p"
    options="host '127.0.0.1', port '1', flight_port '$listen', database 'shop', $(limits)"
    broken starrocks_flight
    flight_stop rocks_flight
    expect "starrocks_flight, broken: the server is gone" 'ERROR:  080(01|06): server "starrocks_flight_broken"' "$(failing "$five")"
}

broken_clickhouse() {
    clickhouse_sql "CREATE TABLE shop.many (id Int32, v String) ENGINE = MergeTree ORDER BY id"
    clickhouse_sql "INSERT INTO shop.many SELECT number, concat(hex(MD5(toString(number))), hex(MD5(toString(-number))), hex(MD5(toString(number / 3)))) FROM numbers(20000)"
    local wrapper=weir_clickhouse target=$ch_port listen=$((WEIR_PORT + 17)) user="user 'weir', password 'secret word'" place="database 'shop'" bytes=100000 does=insert lost="08006|08P01" page="08P01"
    local options
    options="database 'shop', $(behind)"
    broken clickhouse
}

broken_trino() {
    trino_duckdb "CREATE TABLE shop.many AS SELECT range::int AS id, md5(range::varchar) || md5((range + 1)::varchar) AS v FROM range(20000)"
    local wrapper=weir_trino target=$trino_port listen=$((WEIR_PORT + 18)) user="user 'weir'" place="schema 'shop'" bytes=5000 does=insert lost="08006|08P01" page="08P01"
    local options
    options="url 'http://127.0.0.1:$listen', catalog 'memory', spooling 'false', $(limits)"
    broken trino
}

broken_adbc() {
    local wrapper=weir_adbc target=$counterpart_port listen=$((WEIR_PORT + 19)) user="user 'weir', password 'secret word'" place="schema_name 'shop'" bytes=200000 does=insert lost="08006|08P01|HV000" page=""
    local options
    options="driver '$adbc_dir/libadbc_driver_postgresql.so', uri 'postgresql://{user}:{password}@127.0.0.1:$listen/shop', dialect 'postgres', $(limits)"
    broken adbc
    broken_adbc_flightsql
}

# The Flight SQL driver, before a roapi of its own.
broken_adbc_flightsql() {
    local port=$((WEIR_PORT + 26))
    query "CREATE TABLE local.many_adbc AS SELECT id, repeat(md5(id::text), 4) AS v FROM generate_series(1, 20000) id"
    parquet_of local many_adbc "$flight_dir/many_adbc.parquet"
    flight_start adbc_roapi "$port" "$flight_venv/bin/roapi" --addr-http "127.0.0.1:$((WEIR_PORT + 27))" --addr-postgres "127.0.0.1:$((WEIR_PORT + 28))" \
        --addr-flight-sql "127.0.0.1:$port" --table "parents=$flight_dir/parents.parquet" --table "many=$flight_dir/many_adbc.parquet" || { report "not ok" "roapi starts for the ADBC driver"; return; }
    local wrapper=weir_adbc target=$port listen=$((WEIR_PORT + 29)) user="" place="schema_name 'public'" bytes=9000 does="" lost="08006|08001|08P01|HV000|57014" page="08[0-9A-Z]*|HV000"
    local options
    options="driver '$adbc_dir/libadbc_driver_flightsql.so', uri 'grpc://127.0.0.1:$listen', dialect 'datafusion', $(limits)"
    broken adbc_flightsql
    flight_stop adbc_roapi
}

broken_roapi() {
    query "CREATE TABLE local.many AS SELECT id, repeat(md5(id::text), 4) AS v FROM generate_series(1, 20000) id"
    parquet_of local many "$flight_dir/many.parquet"
    flight_start roapi "$roapi_port" "$flight_venv/bin/roapi" --addr-http "127.0.0.1:$((WEIR_PORT + 12))" --addr-postgres "127.0.0.1:$((WEIR_PORT + 13))" \
        --addr-flight-sql "127.0.0.1:$roapi_port" --table "parents=$flight_dir/parents.parquet" --table "many=$flight_dir/many.parquet" || { report "not ok" "roapi starts"; return; }
    local wrapper=weir_flightsql target=$roapi_port listen=$((WEIR_PORT + 20)) user="" place="schema_name 'public'" bytes=9000 does="" lost="08006|08P01" page="08[0-9A-Z]*"
    local options
    options="dialect 'datafusion', $(behind)"
    broken roapi
    flight_stop roapi
}

# What becomes of a foreign table whose remote table is another one by now. `alters`: statements that add a column, make n text that is no number,
# drop v, drop the table.
changed_since() { # label, server, schema there, command that runs SQL there
    local label=$1 server=$2 schema=$3 s=changed_$2
    shift 3
    query "CREATE SCHEMA $s; IMPORT FOREIGN SCHEMA $schema LIMIT TO (chg) FROM SERVER $server INTO $s" 2>/dev/null
    expect "$label, changed: as imported" '^1\|one\|10#2\|two\|20$' "$(query "SELECT id, v, n FROM $s.chg ORDER BY id" | paste -sd '#')"
    "$@" "${alters[0]}" >/dev/null
    expect "$label, changed: a column that is new there" '^1\|one\|10#2\|two\|20$' "$(query "SELECT * FROM $s.chg ORDER BY id" | paste -sd '#')"
    "$@" "${alters[1]}" >/dev/null
    expect "$label, changed: another type there" "ERROR:  (HV004|22000|08P01|HV000): server \"$server\".*" "$(failing "SELECT id, n FROM $s.chg")"
    expect "$label, changed: other columns are read" '^1,2$' "$(failing "SELECT string_agg(id::text, ',' ORDER BY id) FROM $s.chg")"
    "$@" "${alters[2]}" >/dev/null
    expect "$label, changed: a column that is gone" "ERROR:  HV005: server \"$server\"" "$(failing "SELECT id, v FROM $s.chg")"
    expect "$label, changed: says what to do" 'HINT:  The remote table has changed: import it again' "$(failing "SELECT id, v FROM $s.chg")"
    "$@" "${alters[3]}" >/dev/null
    expect "$label, changed: a table that is gone" "ERROR:  HV00R: server \"$server\"" "$(failing "SELECT id FROM $s.chg")"
}

changed_postgres() {
    counterpart_query "CREATE TABLE shop.chg (id int, v text, n int); INSERT INTO shop.chg VALUES (1, 'one', 10), (2, 'two', 20)" >/dev/null
    local alters=("ALTER TABLE shop.chg ADD COLUMN more int DEFAULT 5" "ALTER TABLE shop.chg ALTER n TYPE text USING 'no number'" "ALTER TABLE shop.chg DROP COLUMN v" "DROP TABLE shop.chg")
    changed_since postgres pg shop counterpart_query
}

changed_mariadb() {
    mariadb_sql "CREATE TABLE chg (id int, v text, n int); INSERT INTO chg VALUES (1, 'one', 10), (2, 'two', 20)" shop
    local alters=("ALTER TABLE shop.chg ADD COLUMN more int DEFAULT 5" "ALTER TABLE shop.chg MODIFY n text; UPDATE shop.chg SET n = 'no number'" "ALTER TABLE shop.chg DROP COLUMN v" "DROP TABLE shop.chg")
    changed_since mariadb shop shop mariadb_sql
}

changed_clickhouse() {
    clickhouse_sql "CREATE TABLE shop.chg (id Int32, v String, n Int32) ENGINE = MergeTree ORDER BY id"
    clickhouse_sql "INSERT INTO shop.chg VALUES (1, 'one', 10), (2, 'two', 20)"
    local alters=("ALTER TABLE shop.chg ADD COLUMN more Int32 DEFAULT 5" "ALTER TABLE shop.chg MODIFY COLUMN n String SETTINGS mutations_sync = 1" "ALTER TABLE shop.chg DROP COLUMN v SETTINGS mutations_sync = 1" "DROP TABLE shop.chg")
    changed_since clickhouse ch shop clickhouse_changes
}

# One more step: a number as text would still be read as one.
clickhouse_changes() {
    clickhouse_sql "$1"
    case $1 in *String*) clickhouse_sql "ALTER TABLE shop.chg UPDATE n = 'no number' WHERE 1 SETTINGS mutations_sync = 1" ;; esac
}

changed_trino() {
    trino_duckdb "CREATE TABLE shop.chg (id int, v varchar, n int); INSERT INTO shop.chg VALUES (1, 'one', 10), (2, 'two', 20)"
    local alters=("ALTER TABLE shop.chg ADD COLUMN more int DEFAULT 5" "ALTER TABLE shop.chg ALTER n TYPE varchar; UPDATE shop.chg SET n = 'no number'" "ALTER TABLE shop.chg DROP COLUMN v" "DROP TABLE shop.chg")
    changed_since trino trino shop trino_duckdb
}

changed_duckdb() {
    duck_script duck "CREATE TABLE shop.shop.chg (id int, v varchar, n int); INSERT INTO shop.shop.chg VALUES (1, 'one', 10), (2, 'two', 20)"
    local alters=("ALTER TABLE shop.shop.chg ADD COLUMN more int DEFAULT 5" "ALTER TABLE shop.shop.chg ALTER n TYPE varchar; UPDATE shop.shop.chg SET n = 'no number'" "ALTER TABLE shop.shop.chg DROP COLUMN v" "DROP TABLE shop.shop.chg")
    changed_since duckdb duck shop duck_script duck
}
