#!/usr/bin/env bash
# What the mirror relies on is lost: the replication slot is dropped, or invalidated for the WAL that it keeps; the server is a standby, is
# promoted, or is restored from a copy of its files that is older than what the mirror applied. The mirror never answers from what it cannot
# know to be complete, says why, and is copied again. Prints "ok N - what" and "not ok N - what" lines and ends with "lost test done".
# shellcheck disable=SC2030,SC2031 # the standby has its own port, in a subshell
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

cluster=lost
standby=lost_standby
standby_port=$((WEIR_PORT + 1))
db=d
number=0

at_standby() { (WEIR_PORT=$standby_port && "$@"); }
query() { pg_query $cluster $db "$1"; }
standby_query() { at_standby pg_query $standby $db "$1"; }

cleanup() {
    at_standby pg_stop $standby
    pg_stop $cluster
}
trap cleanup EXIT
trap 'exit 130' INT TERM

expect() { # what, wanted (a regular expression), text
    number=$((number + 1))
    if grep -qE -- "$2" <<<"$3"; then
        printf 'ok %d - %s\n' "$number" "$1"
    else
        printf 'not ok %d - %s\n#   wanted: %s\n#   got: %s\n' "$number" "$1" "$2" "$3"
    fi
}

# The rows as a query sees them with routing forced, and who answered: "rows|sum|routed".
seen() { # query function
    "$1" "SET weir.route = force; SELECT count(*) || '|' || sum(v) FROM t" | tr '\n' '|'
    "$1" "SET weir.route = force; SELECT count(*) FROM t; SELECT routed AND NOT fallback FROM weir.last_route()" | tail -n 1
}

routed_again() { # query function
    for _ in $(seq 300); do
        [ "$(seen "$1" | cut -d'|' -f3)" = t ] && return 0
        sleep 0.2
    done
}

pg_init $cluster "fsync = off" "max_slot_wal_keep_size = 32MB" "max_wal_size = 64MB" "min_wal_size = 32MB" "autovacuum = off"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db"
query "CREATE EXTENSION pg_weir; CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 1000) i; CREATE TABLE bulk (x text)"
query "SELECT weir.mirror('t')" >/dev/null
query "SELECT weir.sync('t')" >/dev/null
expect "routed before anything is lost" '^1000\|0\|t$' "$(seen query)"
slot=$(query "SELECT slot_name FROM pg_replication_slots")

# A commit that waits for a standby is in the log, and not visible yet: not in the engine either.
query "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"
query "SELECT pg_reload_conf()" >/dev/null
pg_client $cluster psql -X -q -d $db -c "UPDATE t SET v = v + 1 WHERE id = 9" -c "SELECT 'was one transaction'" >/dev/null &
waiting=$!
for _ in $(seq 300); do
    [ "$(query "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")" = 1 ] && break
    sleep 0.1
done
expect "a commit waits for a standby" '^1$' "$(query "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")"
for freshness in latest 60s any; do
    expect "a commit waits for a standby: nobody sees it (freshness $freshness)" '^1000\|0$' \
        "$(query "SET weir.route = force; SET weir.freshness = '$freshness'; SET weir.freshness_timeout = '700ms'; SELECT count(*), sum(v) FROM t")"
done
expect "a commit waits for a standby: the engine answers of before" '^1000\|0\|t$' \
    "$(query "SET weir.route = force; SET weir.freshness = 'any'; SELECT count(*), sum(v) FROM t; SELECT routed AND NOT fallback FROM weir.last_route()" | paste -sd '|')"
query "ALTER SYSTEM RESET synchronous_standby_names"
query "SELECT pg_reload_conf()" >/dev/null
wait $waiting
expect "a standby is waited for no more: the engine sees the commit" '^1000\|1\|t$' \
    "$(query "SET weir.route = force; SET weir.freshness_timeout = '20s'; SELECT count(*), sum(v) FROM t; SELECT routed AND NOT fallback FROM weir.last_route()" | paste -sd '|')"
query "UPDATE t SET v = v - 1 WHERE id = 9"

# Dropped by somebody, between two lives of the worker.
for _ in $(seq 300); do
    query "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active" >/dev/null
    query "SELECT pg_drop_replication_slot('$slot')" >/dev/null 2>&1 && break
done
query "UPDATE t SET v = v + 1 WHERE id = 1"
expect "the slot is dropped: the answer is right" '^1000\|1\|' "$(seen query)"
routed_again query
expect "the slot is dropped: copied again" '^1000\|1\|t$' "$(seen query)"
expect "the slot is dropped: the log says why" 'all mirrors are copied again: the replication slot is gone' "$(as_pg cat "$(pg_log $cluster)")"

# Moved by somebody, while no worker has it: what was changed meanwhile is in no mirror. And dropped and created again by somebody.
in_between() { # sql about the slot
    for _ in $(seq 100); do
        query "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_weir worker'; UPDATE t SET v = v + 1 WHERE id = 1" >/dev/null
        query "$1" >/dev/null 2>&1 && return
    done
}
in_between "SELECT pg_replication_slot_advance('$slot', pg_current_wal_insert_lsn())"
sum=$(query "SELECT sum(v) FROM t")
expect "the slot is moved: the answer is right" "^1000\|$sum\|" "$(seen query)"
routed_again query
expect "the slot is moved: copied again" "^1000\|$sum\|t$" "$(seen query)"
expect "the slot is moved: the log says why" 'all mirrors are copied again: the replication slot was moved' "$(as_pg cat "$(pg_log $cluster)")"
in_between "SELECT pg_drop_replication_slot('$slot'), pg_create_logical_replication_slot('$slot', 'pgoutput')"
sum=$(query "SELECT sum(v) FROM t")
expect "another slot of the same name: the answer is right" "^1000\|$sum\|" "$(seen query)"
routed_again query
expect "another slot of the same name: copied again" "^1000\|$sum\|t$" "$(seen query)"
query "UPDATE t SET v = 0 WHERE id = 1"
query "UPDATE t SET v = 1 WHERE id = 1"

# Invalidated: the worker stands still while more WAL is written than the slot may keep.
worker=$(query "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_weir worker'")
kill -STOP "$worker"
for _ in 1 2 3 4; do
    query "INSERT INTO bulk SELECT repeat('z', 1000) FROM generate_series(1, 20000)"
done
pg_client $cluster psql -X -q -d $db -c CHECKPOINT &
checkpoint=$!
# The server wants the slot back from a process that does not listen; only then may it go on.
for _ in $(seq 300); do
    if as_pg grep -q "terminating process $worker to release replication slot" "$(pg_log $cluster)"; then break; fi
    sleep 0.2
done
kill -CONT "$worker" 2>/dev/null || true
wait $checkpoint || true
query "UPDATE t SET v = v + 1 WHERE id = 2"
expect "the slot is invalidated: the answer is right" '^1000\|2\|' "$(seen query)"
routed_again query
expect "the slot is invalidated: copied again" '^1000\|2\|t$' "$(seen query)"
expect "the slot is invalidated: the log says why" 'all mirrors are copied again: WAL that the mirror needs was removed' "$(as_pg cat "$(pg_log $cluster)")"

# A standby from a base backup, and its promotion.
rm -rf "$(pg_dir $standby)"
mkdir -m 700 "$(pg_dir $standby)"
if [ "$(id -u)" -eq 0 ]; then chown "$(pg_os_user)" "$(pg_dir $standby)"; fi
as_pg "$PGBIN/pg_basebackup" -h "$(pg_sock $cluster)" -p "$WEIR_PORT" -U postgres -D "$(pg_dir $standby)/data" -R -X stream -c fast 2>/dev/null
printf "port = %s\nunix_socket_directories = '%s'\n" "$standby_port" "$(pg_sock $standby)" | as_pg tee -a "$(pg_dir $standby)/data/postgresql.auto.conf" >/dev/null
query "UPDATE t SET v = v + 1 WHERE id = 3"
at_standby pg_start $standby
for _ in $(seq 600); do
    [ "$(standby_query 'SELECT sum(v) FROM t')" = 3 ] && break
    sleep 0.1
done
expect "a standby answers from its heap" '^1000\|3\|f$' "$(seen standby_query)"
expect "a standby says why" 'not routed: the server is in recovery' "$(standby_query 'EXPLAIN SELECT count(*) FROM t')"
as_pg "$PGBIN/pg_ctl" -D "$(pg_dir $standby)/data" -w promote >/dev/null
standby_query "UPDATE t SET v = v + 1 WHERE id = 4"
expect "promoted: the answer is right" '^1000\|4\|' "$(seen standby_query)"
routed_again standby_query
expect "promoted: copied again" '^1000\|4\|t$' "$(seen standby_query)"
expect "the old primary goes on" '^1000\|3\|t$' "$(seen query)"
at_standby pg_stop $standby

# All files of the stopped server are put back as they were; the server's slot and the mirror's files are of the past, too.
query "SELECT weir.sync('t')" >/dev/null
pg_stop $cluster
as_pg rm -rf "$(pg_dir $cluster)/past"
as_pg cp -a "$(pg_dir $cluster)/data" "$(pg_dir $cluster)/past"
pg_start $cluster
query "UPDATE t SET v = v + 10; DELETE FROM t WHERE id > 900"
query "SELECT weir.sync('t')" >/dev/null
query "CHECKPOINT"
expect "before the files are put back" '^900\|9003\|t$' "$(seen query)"
pg_stop $cluster
as_pg rm -rf "$(pg_dir $cluster)/data"
as_pg mv "$(pg_dir $cluster)/past" "$(pg_dir $cluster)/data"
pg_start $cluster
expect "the files are put back: the answer is right" '^1000\|3\|' "$(seen query)"
routed_again query
query "UPDATE t SET v = v + 1 WHERE id = 5"
expect "the files are put back: routed and right" '^1000\|4\|t$' "$(seen query)"
expect "nothing differs from the heap" '^t\|1000\|1000\|' "$(query "SELECT * FROM weir.verify('t')")"
echo "lost test done"
