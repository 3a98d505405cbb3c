#!/usr/bin/env bash
# Kills the engine, the background worker and the server again and again while pgbench writes, and checks after each
# recovery that the mirror holds what the heap holds: no row lost, none doubled.
#
# WEIR_CRASHES: rounds (default 8; each kills one of the three, every fourth while a segment is being written). Prints "ok N - what" and "not ok N - what" lines and
# ends with "crash test done".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

: "${WEIR_CRASHES:=8}"
tables="pgbench_accounts pgbench_tellers pgbench_branches pgbench_history churn keyed emptied bulk grown"
cluster=crash
db=bench
number=0
load=

report() { # ok | "not ok", what
    number=$((number + 1))
    printf '%s %d - %s\n' "$1" "$number" "$2"
}

query() { pg_query $cluster $db "$1"; }

# Only pgbenches of this test: others may run on the machine.
stop_pgbench() {
    local pid
    for pid in $(pgrep -x pgbench || true); do
        if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "-h $(pg_sock $cluster) "; then kill "$pid" 2>/dev/null || true; fi
    done
}

stop_load() {
    # First the shell, which would start it again; then the pgbench that it has left.
    [ -z "$load" ] || { kill "$load" 2>/dev/null && wait "$load" 2>/dev/null; } || true
    load=
    # What it has begun must be over before both sides are compared.
    local end=$((SECONDS + 60)) left
    while [ $SECONDS -lt $end ]; do
        stop_pgbench
        left=$(query "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgbench'" 2>/dev/null) || return 0
        [ "$left" = 0 ] && return 0
        sleep 0.3
    done
    echo "pgbench does not stop" >&2
}

cleanup() {
    stop_load
    pg_stop $cluster
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# pgbench ends when the server goes away; start it again until it is told to stop.
run_load() {
    local child=
    trap 'kill "$child" 2>/dev/null; exit 0' TERM
    while :; do
        pg_client $cluster pgbench -n -c 4 -j 2 -T 600 -f tests/crash/write.sql@60 -f tests/crash/odd.sql@15 -f tests/crash/large.sql@1 -f tests/crash/grown.sql@15 $db >/dev/null 2>&1 &
        child=$!
        wait "$child" || sleep 0.3
    done
}

wait_until() { # seconds, what, command...
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "gave up waiting: $what" >&2
            return 1
        fi
        sleep 0.2
    done
}

worker_pid() { query "SELECT pid FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'pg_weir worker' LIMIT 1"; }

# The engine is a child of the worker.
engine_pid() {
    local worker
    worker=$(worker_pid)
    [ -n "$worker" ] && pgrep -P "$worker" -f weir-engine | head -n 1
}

alive() { [ "$(query 'SELECT 1')" = 1 ]; }
has_worker() { [ -n "$(worker_pid)" ]; }
has_engine() { [ -n "$(engine_pid)" ]; }

# Both sides in one message each: counts and sums that notice a lost, doubled or outdated row.
fingerprint() { # route
    query "SET weir.route = $1; SET weir.freshness_timeout = '60s'; SET statement_timeout = '120s';
        SELECT 'accounts', count(*), count(DISTINCT aid), sum(aid), sum(abalance), sum(abalance::bigint * aid) FROM pgbench_accounts
        UNION ALL SELECT 'tellers', count(*), count(DISTINCT tid), sum(tid), sum(tbalance), sum(tbalance::bigint * tid) FROM pgbench_tellers
        UNION ALL SELECT 'branches', count(*), count(DISTINCT bid), sum(bid), sum(bbalance), sum(bbalance::bigint * bid) FROM pgbench_branches
        UNION ALL SELECT 'history', count(*), count(DISTINCT aid), sum(aid), sum(delta), sum(delta::bigint * aid) FROM pgbench_history
        UNION ALL SELECT 'churn', count(*), count(DISTINCT id), sum(id), sum(v), sum(v::bigint * id) FROM churn
        UNION ALL SELECT 'keyed', count(*), count(DISTINCT id), sum(id), sum(v), sum(v::bigint * id) FROM keyed
        UNION ALL SELECT 'emptied', count(*), count(DISTINCT id), sum(id), sum(v), sum(v::bigint * id) FROM emptied
        UNION ALL SELECT 'bulk', count(*), count(DISTINCT id), sum(id), sum(v), sum(v::bigint * id) FROM bulk
        UNION ALL SELECT 'grown', count(*), count(DISTINCT id), sum(id), sum(v), sum(v::bigint * id) FROM grown
        ORDER BY 1; SELECT 'routed ' || (routed AND NOT fallback) FROM weir.last_route()"
}

# Every column of every row, by checksum.
verify() { # what happened
    local table differ=
    for table in $tables; do
        [ "$(query "SET statement_timeout = '60s'; SELECT matches FROM weir.verify('$table')")" = t ] || differ+=" $table"
    done
    if [ -z "$differ" ]; then report ok "$1: verified"; else report "not ok" "$1: weir.verify finds differences in$differ"; fi
}

# Waits (not for long) until a segment is being written: its file has a number behind its name until it is complete.
while_flushing() {
    local end=$((SECONDS + 8)) segments
    segments=$(pg_dir $cluster)/data/pg_weir
    while [ $SECONDS -lt $end ]; do
        if compgen -G "$segments/*/segments/*/*/*#*" >/dev/null; then return 0; fi
    done
}

compare() { # what happened
    stop_load
    if ! wait_until 120 "the mirror to catch up" query "SELECT weir.sync()"; then
        report "not ok" "$1: the mirror does not catch up"
        query "SELECT * FROM weir.mirrors" || true
        return
    fi
    local heap mirror
    heap=$(fingerprint off | grep -v '^routed') || true
    mirror=$(fingerprint force) || true
    if [ "$(tail -n 1 <<<"$mirror")" != "routed true" ]; then
        report "not ok" "$1: the check itself was not answered by the engine ($(tail -n 1 <<<"$mirror"))"
    elif [ "$heap" = "$(grep -v '^routed' <<<"$mirror")" ]; then
        report ok "$1: mirror and heap agree"
        verify "$1"
    else
        report "not ok" "$1: mirror and heap differ"
        diff <(echo "$heap") <(grep -v '^routed' <<<"$mirror") || true
    fi
}

pg_init $cluster "autovacuum_naptime = 1min" "restart_after_crash = on" "wal_sender_timeout = 10s" "logical_decoding_work_mem = 64kB"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db"
pg_client $cluster pgbench -i -s 1 -q $db >/dev/null 2>&1
query "CREATE EXTENSION pg_weir" >/dev/null
query "ALTER TABLE pgbench_history REPLICA IDENTITY FULL; CREATE TABLE churn (id int PRIMARY KEY, v int, filler text);
    INSERT INTO churn SELECT i, i, repeat('x', i % 3000) FROM generate_series(1, 2000) i;
    CREATE TABLE keyed (id int PRIMARY KEY, v int); INSERT INTO keyed SELECT i, i FROM generate_series(1, 500) i;
    CREATE TABLE emptied (id int PRIMARY KEY, v int); CREATE TABLE bulk (id bigserial PRIMARY KEY, v int, filler text);
    CREATE TABLE grown (id int PRIMARY KEY, v int, filler text); ALTER TABLE grown ALTER filler SET STORAGE EXTERNAL"

run_load &
load=$!
sleep 1
# The initial copy runs beside the writes.
query "SELECT weir.mirror(t::regclass) FROM unnest(string_to_array('$tables', ' ')) t" >/dev/null
compare "copy beside writes"

generation() { query "SELECT generation FROM weir.mirror_table WHERE relid = 'grown'::regclass"; }
first_generation=$(generation)
# Columns that are added while everything is killed, some of them in transactions that write, some never committed.
grow() { # round
    sleep "0.$((RANDOM % 10))"
    query "ALTER TABLE grown ADD COLUMN a$1 text, ADD COLUMN b$1 numeric NOT NULL DEFAULT 1.0$1"
    query "BEGIN; INSERT INTO grown (id, v) VALUES (-$1, 1); ALTER TABLE grown ADD COLUMN c$1 int DEFAULT $1; INSERT INTO grown (id, v, c$1) VALUES (-$1 - 1000, 2, 3);
        SAVEPOINT s; ALTER TABLE grown ADD COLUMN never text DEFAULT 'x'; INSERT INTO grown (id, never) VALUES (-$1 - 2000, 'y'); ROLLBACK TO s; COMMIT"
    query "BEGIN; ALTER TABLE grown ADD COLUMN never int DEFAULT 1; UPDATE grown SET never = 2; ROLLBACK"
}

for round in $(seq "$WEIR_CRASHES"); do
    run_load &
    load=$!
    wait_until 60 "an engine" has_engine || true
    # Not always at the same point of the load.
    sleep "$((1 + RANDOM % 2)).$((RANDOM % 10))"
    grow "$round" >/dev/null 2>&1 &
    growing=$!
    case $((round % 4)) in
        1)
            what="round $round, engine killed"
            before=$(query "SELECT pg_postmaster_start_time()")
            pid=$(engine_pid || true)
            if [ -z "$pid" ]; then
                report "not ok" "$what: no engine found"
                stop_load
                continue
            fi
            kill -9 "$pid"
            sleep 0.5
            if [ "$(query "SELECT pg_postmaster_start_time()")" = "$before" ] && ! as_pg grep -q 'terminating any other active server processes' "$(pg_log $cluster)"; then
                report ok "$what: the server goes on"
            else
                report "not ok" "$what: the server restarted"
            fi
            wait_until 60 "a new engine" has_engine || report "not ok" "$what: no new engine"
            ;;
        2)
            what="round $round, worker killed"
            wait_until 60 "a worker" has_worker || true
            pid=$(worker_pid)
            if [ -z "$pid" ]; then
                report "not ok" "$what: no worker found"
                stop_load
                continue
            fi
            kill -9 "$pid"
            sleep 0.5
            wait_until 60 "the server" alive || report "not ok" "$what: the server does not come back"
            # The server reinitialises after a worker dies by a signal; the next round looks at a new log.
            as_pg truncate -s 0 "$(pg_log $cluster)"
            ;;
        0)
            what="round $round, server killed while it flushes"
            while_flushing
            pg_crash $cluster || report "not ok" "$what: a process outlived the server"
            pg_start $cluster
            ;;
        3)
            what="round $round, server killed"
            pg_crash $cluster || report "not ok" "$what: a process outlived the server"
            pg_start $cluster
            ;;
    esac
    sleep 0.5
    wait $growing || true
    compare "$what"
done

# As many as were committed, and none of them by a new copy.
columns=$(query "SELECT count(*) FROM pg_attribute WHERE attrelid = 'grown'::regclass AND attnum > 3")
mirrored=$(query "SELECT jsonb_array_length(columns) - 3 FROM weir.mirror_table WHERE relid = 'grown'::regclass")
if [ "$columns" -gt 0 ] && [ "$columns" = "$mirrored" ] && [ "$(generation)" = "$first_generation" ]; then
    report ok "$columns columns were added without a new copy"
else
    report "not ok" "$columns columns were added, $mirrored are mirrored; generation $(generation), before $first_generation"
fi

# The engine dies with its worker: nothing is left after a stop.
engine=$(engine_pid || true)
pg_stop $cluster
# A zombie that nobody reaps is dead too.
is_gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
# An engine has much memory to give back.
if [ -n "$engine" ] && ! wait_until 20 "the end of the engine" is_gone "$engine"; then
    report "not ok" "the engine outlives the server"
else
    report ok "no engine is left after the server stopped"
fi
echo "crash test done"
