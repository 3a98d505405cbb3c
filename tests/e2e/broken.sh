#!/usr/bin/env bash
# Remote servers behind a proxy that breaks connections: whatever it does, a clear error within the time-out, nothing left behind, and the next query
# works. Sourced by remote.sh.
# shellcheck disable=SC2154 # what remote.sh defines

proxy_dir=$WEIR_WORK/proxy

proxy_start() { # port to listen on, port to go to
    proxy_stop
    mkdir -p "$proxy_dir"
    : >"$proxy_dir/fault"
    "$CARGO_TARGET_DIR/release/weir-faults" proxy "$1" "127.0.0.1:$2" "$proxy_dir/fault" >"$proxy_dir/log" 2>&1 &
    echo $! >"$proxy_dir/pid"
    for _ in $(seq 50); do
        if grep -q 'proxy ready' "$proxy_dir/log"; then return 0; fi
        sleep 0.1
    done
    return 1
}

proxy_stop() {
    local pid
    pid=$(cat "$proxy_dir/pid" 2>/dev/null || true)
    rm -f "$proxy_dir/pid"
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
}

fault() { echo "$1" >"$proxy_dir/fault"; }

# A statement that must fail as wanted, soon; then one that must work.
breaks() { # label, what, fault, wanted, statement
    local answer started=$SECONDS
    fault "$3"
    answer=$(failing "$5")
    fault pass
    expect "$1, broken: $2" "$4" "$answer"
    if [ $((SECONDS - started)) -gt 12 ]; then report "not ok" "$1, broken: $2: took $((SECONDS - started)) s"; fi
    expect "$1, broken: $2: the next query works" '^5$' "$(failing "SELECT count(*) FROM ${1}_broken.parents")"
}

# The server of the engine, reached through the proxy; a table `parents` of 5 rows and a table `many` of many are there.
broken() { # label, wrapper, port of the server, options of the server, schema option and name, command that counts connections at the remote
    local label=$1 wrapper=$2 port=$3 options=$4 place=$5 left before
    shift 5
    local t="${label}_broken"
    before=$("$@")
    proxy_start $((WEIR_PORT + 14)) "$port" || { report "not ok" "$label: the proxy starts"; return; }
    query "CREATE SERVER $t FOREIGN DATA WRAPPER $wrapper OPTIONS (host '127.0.0.1', port '$((WEIR_PORT + 14))', connect_timeout_ms '2000', request_timeout_ms '3000', $options);
        CREATE USER MAPPING FOR CURRENT_USER SERVER $t OPTIONS (user 'weir', password 'secret word'); CREATE SCHEMA $t;
        CREATE FOREIGN TABLE $t.parents (id int OPTIONS (key 'true'), name varchar(20), tag varchar(5)) SERVER $t OPTIONS ($place);
        CREATE FOREIGN TABLE $t.many (id int OPTIONS (key 'true'), v text) SERVER $t OPTIONS ($place)"
    expect "$label, broken: nothing, to begin with" '^5$' "$(failing "SELECT count(*) FROM $t.parents")"
    local all="COPY (SELECT id, v FROM $t.many) TO '/dev/null'" route
    for route in force off; do
        local q="SET weir.route = $route; $all"
        breaks "$label" "reset in mid-result, route $route" "kill 200000" 'ERROR:  08006: server "'"$t"'": lost the connection' "$q"
        breaks "$label" "cut off in mid-result, route $route" "truncate 200000" 'ERROR:  08006: server "'"$t"'": lost the connection' "$q"
        breaks "$label" "stalled in mid-result, route $route" "stall 200000" 'ERROR:  57014: server "'"$t"'": no answer within the time limit' "$q"
        breaks "$label" "garbage in mid-result, route $route" "garbage 200000" 'ERROR:  (08006|08P01|HV000|22000|57014): server "'"$t" "$q"
    done
    breaks "$label" "no answer at all" "stall 0" 'ERROR:  (57014|08001|08006): server "'"$t" "SELECT count(*) FROM $t.parents"
    breaks "$label" "reset when it is told to write" "kill 0" 'ERROR:  080(01|06): server "'"$t" "INSERT INTO $t.many VALUES (-1, 'x')"
    breaks "$label" "refused" "refuse" 'ERROR:  080(01|06): server "'"$t" "ALTER SERVER $t OPTIONS (SET request_timeout_ms '3001'); SELECT count(*) FROM $t.parents"
    fault "idle 300"
    failing "SELECT count(*) FROM $t.parents" >/dev/null
    sleep 1
    expect "$label, broken: an idle connection that was closed" '^5$' "$(failing "SELECT count(*) FROM $t.parents")"
    fault pass
    expect "$label, broken: lost in a transaction, nothing is committed" 'ERROR:  08006: ' "$(
        { echo "BEGIN; INSERT INTO $t.many VALUES (-2, 'x');"; sleep 1; echo "kill 0" >"$proxy_dir/fault"; echo "INSERT INTO $t.many VALUES (-3, 'x'); COMMIT;"; sleep 1; } |
            pg_client "$cluster" psql -X -q -v VERBOSITY=verbose -d "$db" 2>&1)"
    fault pass
    expect "$label, broken: and nothing is there" '^0$' "$(failing "SELECT count(*) FROM $t.many WHERE id < 0")"
    for _ in $(seq 30); do
        left=$("$@")
        [ "$left" -le $((before + 2)) ] && break
        sleep 0.2
    done
    expect "$label, broken: no connection is left at the remote but a few idle ones" '^yes$' "$([ "$left" -le $((before + 2)) ] && echo yes || echo "$left, $before before")"
    proxy_stop
}

broken_postgres() {
    counterpart_query "CREATE TABLE shop.many AS SELECT id, repeat(md5(id::text), 4) AS v FROM generate_series(1, 20000) id; ALTER TABLE shop.many ADD PRIMARY KEY (id)" >/dev/null
    counterpart_query "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_weir'" >/dev/null
    broken postgres weir_postgres "$counterpart_port" "dbname 'shop'" "schema_name 'shop'" counterpart_query "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_weir'"
}

broken_mariadb() {
    mariadb_sql "CREATE TABLE many (id int PRIMARY KEY, v text); INSERT INTO many SELECT seq, repeat(md5(seq), 4) FROM seq_1_to_20000" shop
    broken mariadb weir_mysql "$WEIR_MARIADB_PORT" "database 'shop'" "database 'shop'" mariadb_sql "SELECT count(*) FROM information_schema.processlist WHERE user = 'weir' AND time < 1000 AND db = 'shop' AND id > 0 AND command <> 'Daemon'"
}
