#!/usr/bin/env bash
# States that nobody plans for: a catalog and segments that another build has left, an extension that was dropped and created in one transaction,
# databases that are renamed, copied and dropped, storage that cannot be used or written, commits that wait for a standby that is not there. Queries
# are answered rightly all the time, the views say what is wrong, and the mirror is there again when it no longer is. Prints "ok N - what" and
# "not ok N - what" lines and ends with "states test done".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

cluster=states
db=d
number=0

query() { pg_query $cluster "$db" "$1"; }
of() { pg_query $cluster "$1" "$2"; }

cleanup() { pg_stop $cluster; }
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

# The rows as a query sees them with routing forced, and whether the engine answered: "rows|sum|routed".
seen() { # database
    of "${1:-$db}" "SET weir.route = force; SET weir.freshness_timeout = '10s'; SELECT count(*), sum(v) FROM t; SELECT routed AND NOT fallback FROM weir.last_route()" | paste -sd '|'
}

expect_routed() { # what, wanted rows|sum, database
    local got=
    for _ in $(seq 150); do
        got=$(seen "${3:-$db}")
        [ "$got" = "$2|t" ] && break
        sleep 0.2
    done
    expect "$1" "^${2/|/\\|}\\|t$" "$got"
}

# What weir.progress says, once it says that.
expect_reason() { # what, wanted (a regular expression), database
    local got=
    for _ in $(seq 300); do
        got=$(of "${3:-$db}" "SELECT reason FROM weir.progress WHERE relation = 't'::regclass")
        grep -qE -- "$2" <<<"$got" && break
        sleep 0.2
    done
    expect "$1" "$2" "$got"
}

worker_pid() { query "SELECT pid FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'pg_weir worker'"; }

# What is changed in the catalog is seen by the next worker.
while_no_worker() { # sql
    query "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_weir worker'; $1" >/dev/null
}

pg_init $cluster "fsync = off" "max_replication_slots = 3"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db"
query "CREATE EXTENSION pg_weir; CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 1 FROM generate_series(1, 1000) i"
query "SELECT weir.mirror('t')" >/dev/null
expect_routed "to begin with" "1000|1000"

# The catalog of another build.
query "ALTER TABLE weir.mirror_table DROP COLUMN attributes, DROP COLUMN form; ALTER TABLE t ADD COLUMN added int DEFAULT 5; UPDATE t SET v = 2 WHERE id = 1"
expect "a table's columns are added when somebody needs them" '^2$' \
    "$(query "SELECT count(*) FROM pg_attribute WHERE attrelid = 'weir.mirror_table'::regclass AND attname IN ('attributes', 'form')")"
expect_routed "the catalog lacked columns: routed and right" "1000|1001"
while_no_worker "ALTER TABLE weir.mirror_table DROP COLUMN form"
expect_routed "the catalog lacks a column when the worker starts" "1000|1001"
generation=$(query "SELECT generation FROM weir.mirror_table")
while_no_worker "UPDATE weir.mirror_table SET form = 0"
query "UPDATE t SET v = 3 WHERE id = 1"
expect_routed "segments of another form: routed and right" "1000|1002"
expect "segments of another form: copied again" "^t$" "$(query "SELECT generation > $generation FROM weir.mirror_table")"
generation=$(query "SELECT generation FROM weir.mirror_table")
while_no_worker "UPDATE weir.mirror_table SET columns = '[{\"unheard\": \"of\"}]'"
query "UPDATE t SET v = 4 WHERE id = 1"
expect_routed "an unreadable definition: routed and right" "1000|1003"
expect "an unreadable definition: copied again" "^t$" "$(query "SELECT generation > $generation FROM weir.mirror_table")"
query "ALTER TABLE weir.mirror_table RENAME COLUMN live_rows TO was_live_rows"
expect_reason "a catalog that cannot be followed: the views say so" 'the tables of extension pg_weir are of another build'
expect "a catalog that cannot be followed: the answer is right" '^1000\|1003\|f$' "$(seen)"
expect "a catalog that cannot be followed: EXPLAIN says so" 'the tables of extension pg_weir are of another build' \
    "$(query "SET weir.route = force; EXPLAIN SELECT count(*) FROM t")"
expect "a catalog that cannot be followed: the remedy" 'Create the extension anew' "$(query "SELECT weir.mirror('t')" 2>&1 || true)"

# Dropped and created again before the worker has a chance to notice.
query "DROP EXTENSION pg_weir CASCADE; CREATE EXTENSION pg_weir; SELECT weir.mirror('t')" >/dev/null
query "UPDATE t SET v = 5 WHERE id = 1"
expect_routed "created anew" "1000|1004"
query "DROP EXTENSION pg_weir CASCADE; CREATE EXTENSION pg_weir; SELECT weir.mirror('t')" >/dev/null
expect_routed "created anew in one transaction" "1000|1004"

# A copy that takes its time (each row is a megabyte) is in nobody's way.
query "CREATE TABLE fat (id int PRIMARY KEY, filler text); INSERT INTO fat SELECT i, repeat('x', 1000000) FROM generate_series(1, 3000) i; SELECT weir.mirror('fat')" >/dev/null
for _ in $(seq 300); do
    [ "$(query "SELECT count(*) FROM pg_locks WHERE relation = 'fat'::regclass AND granted")" = 1 ] && break
    sleep 0.1
done
expect "a command waits for a table that is being copied: not for long" '^locked$' \
    "$(query "SET lock_timeout = '4s'; BEGIN; LOCK TABLE fat IN ACCESS EXCLUSIVE MODE; SELECT 'locked'; COMMIT" 2>&1)"
expect "the copy says why it begins again" 'gave way' "$(query "SELECT reason FROM weir.progress WHERE relation = 'fat'::regclass")"
query "DROP TABLE fat"

# The log is decoded again from before a truncation that is in the segments already, together with what is not: another table had changed before,
# and was not written yet.
query "CREATE TABLE refilled (id int PRIMARY KEY, v int, filler text); INSERT INTO refilled SELECT i, 1, '' FROM generate_series(1, 1000) i; SELECT weir.mirror('refilled')" >/dev/null
query "SELECT weir.sync('refilled')"
query "UPDATE t SET v = 10 WHERE id = 1"
position=$(query "SELECT pg_current_wal_insert_lsn()")
query "BEGIN; TRUNCATE refilled; INSERT INTO refilled SELECT i, 2, repeat('x', 1500) FROM generate_series(1, 50000) i; COMMIT"
for _ in $(seq 300); do
    [ "$(query "SELECT durable_lsn >= '$position' FROM weir.mirrors WHERE relation = 'refilled'::regclass")" = t ] && break
    sleep 0.1
done
expect "a truncation is in the segments, what was before it is not" '^t\|t$' \
    "$(query "SELECT (SELECT durable_lsn >= '$position' FROM weir.mirrors WHERE relation = 'refilled'::regclass), confirmed_flush_lsn < '$position' FROM pg_replication_slots")"
pg_crash $cluster
pg_start $cluster
query "INSERT INTO refilled VALUES (0, 3)"
for _ in $(seq 150); do
    got=$(query "SET weir.route = force; SET weir.freshness_timeout = '10s'; SELECT count(*), sum(v) FROM refilled; SELECT routed AND NOT fallback FROM weir.last_route()" | paste -sd '|')
    [ "${got: -1}" = t ] && break
    sleep 0.2
done
expect "a truncation is not repeated" '^50001\|100003\|t$' "$got"
expect "a truncation is not repeated: nothing differs from the heap" '^t\|50001\|50001\|' "$(query "SELECT * FROM weir.verify('refilled')")"
query "DROP TABLE refilled"

# Freshness as an interval counts from when a transaction committed, also if the log is flushed much later.
set_to() { # setting, value
    query "ALTER SYSTEM SET $1 = '$2'"
    query "SELECT pg_reload_conf()" >/dev/null
}
reset() { # setting
    query "ALTER SYSTEM RESET $1"
    query "SELECT pg_reload_conf()" >/dev/null
}
set_to wal_writer_delay 10s
got=
for v in 11 12 13; do
    query "SET synchronous_commit = off; UPDATE t SET v = $v WHERE id = 1"
    sleep 0.4
    got+=$(query "SET weir.route = force; SET weir.freshness = '200ms'; SELECT v FROM t WHERE id = 1; SELECT routed AND NOT fallback FROM weir.last_route()" | paste -sd '|')
done
reset wal_writer_delay
expect "not flushed yet, but older than the freshness asked for: seen" '^11\|t12\|t13\|t$' "$got"

# A mirror is given up (the engine does not hold NaN in a key), and somebody has its row of the catalog locked, so that this cannot be noted: what is
# committed meanwhile is not lost when a worker starts anew by a catalog that still says that the mirror is to be used.
query "CREATE TABLE keyed (id numeric PRIMARY KEY, v int); INSERT INTO keyed SELECT i, 1 FROM generate_series(1, 1000) i; SELECT weir.mirror('keyed')" >/dev/null
query "SELECT weir.sync('keyed')"
pg_client $cluster psql -X -q -d "$db" -c "BEGIN; SELECT weir.unmirror('keyed'); SELECT pg_sleep(6); ROLLBACK" >/dev/null &
holding=$!
for _ in $(seq 100); do
    [ "$(query "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")" = 1 ] && break
    sleep 0.1
done
query "INSERT INTO keyed VALUES ('NaN', 1000)"
query "INSERT INTO keyed VALUES (5001, 7)"
position=$(query "SELECT pg_current_wal_insert_lsn()")
for i in $(seq 20); do
    query "UPDATE t SET v = v WHERE id = $i"
    sleep 0.1
done
expect "a mirror given up, while that cannot be noted: the log is kept" '^f$' "$(query "SELECT confirmed_flush_lsn >= '$position' FROM pg_replication_slots WHERE slot_type = 'logical'")"
while_no_worker "SELECT 1"
wait $holding
for _ in $(seq 150); do
    got=$(query "SET weir.route = force; SET weir.freshness_timeout = '10s'; SELECT count(*), sum(v) FROM keyed")
    [ "$got" = '1002|2007' ] && break
    sleep 0.2
done
expect "a mirror given up, while that cannot be noted: nothing is lost" '^1002\|2007$' "$got"
query "DELETE FROM keyed WHERE id = 'NaN'"
for _ in $(seq 150); do
    # Not yet, as long as it is the old one or being copied.
    got=$(query "SELECT * FROM weir.verify('keyed')" 2>&1 || true)
    [ "${got:0:1}" = t ] && break
    sleep 0.2
done
expect "a mirror given up: copied again, nothing differs from the heap" '^t\|1001\|1001\|' "$got"
query "DROP TABLE keyed"

# A row that fits into no message: this table runs in Postgres, and says why; the others stay.
query "CREATE TABLE giant (id int PRIMARY KEY, v text); INSERT INTO giant VALUES (1, 'small'); SELECT weir.mirror('giant')" >/dev/null
query "SELECT weir.sync('giant')"
query "INSERT INTO giant VALUES (2, repeat('x', 300000000))"
query "UPDATE t SET v = 14 WHERE id = 1"
for _ in $(seq 150); do
    [ "$(query "SELECT state FROM weir.mirrors WHERE relation = 'giant'::regclass")" = error ] && break
    sleep 0.2
done
expect "a giant row: its table is not mirrored any more, and says so" '^error\|a row of the table is larger than 255 MB$' \
    "$(query "SELECT state, reason FROM weir.mirrors WHERE relation = 'giant'::regclass")"
expect "a giant row: the answer is right" '^2\|300000005$' "$(query "SET weir.route = force; SELECT count(*), sum(length(v)) FROM giant")"
expect_routed "a giant row: other mirrors are used" "1000|1013"
query "DROP TABLE giant"

# The worker is nobody in particular, whatever the database says.
query "CREATE ROLE somebody; ALTER DATABASE $db SET role = somebody"
pg_query $cluster postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_weir worker'" >/dev/null
query "SET ROLE NONE; UPDATE t SET v = 15 WHERE id = 1"
expect "a role of the database's settings: not the worker's" '^1000\|1014\|t$' "$(
    for _ in $(seq 100); do
        got=$(query "SET ROLE NONE; SET weir.route = force; SET weir.freshness_timeout = '10s'; SELECT count(*), sum(v) FROM t; SELECT routed AND NOT fallback FROM weir.last_route()" | paste -sd '|')
        [ "${got: -1}" = t ] && break
        sleep 0.2
    done
    echo "$got"
)"
query "SET ROLE NONE; ALTER DATABASE $db RESET role"

# An engine that hangs: another takes its place, and nobody waits for longer than that takes.
engine=$(pgrep -P "$(worker_pid)" -f weir-engine | head -n 1)
kill -STOP "$engine"
started=$SECONDS
expect "the engine hangs: the answer is right" '^1000\|1014\|' "$(seen)"
expect "the engine hangs: nobody waits for long ($((SECONDS - started)) s)" '^t$' "$(query "SELECT $((SECONDS - started)) < 40")"
expect_routed "the engine hangs: another one is there" "1000|1014"

# The database itself.
pg_query $cluster postgres "ALTER DATABASE $db RENAME TO renamed"
db=renamed
query "UPDATE t SET v = 6 WHERE id = 1"
expect_routed "a database is renamed" "1000|1005"
pg_query $cluster postgres "CREATE DATABASE twin TEMPLATE $db"
of twin "UPDATE t SET v = 100 WHERE id = 1"
expect_routed "a database made of one with mirrors has its own" "1000|1099" twin
expect_routed "its template goes on" "1000|1005"
pg_query $cluster postgres "DROP DATABASE twin"
expect "a database with mirrors is dropped, and its slot" '^1$' "$(query "SELECT count(*) FROM pg_replication_slots")"
pg_query $cluster postgres "SELECT pg_create_physical_replication_slot('a'), pg_create_physical_replication_slot('b')" >/dev/null
pg_query $cluster postgres "CREATE DATABASE twin TEMPLATE $db"
expect "no slot is free: the answer is right" '^1000\|1005\|f$' "$(seen twin)"
expect_reason "no slot is free: the views say so" 'all replication slots are in use' twin
pg_query $cluster postgres "SELECT pg_drop_replication_slot('a'), pg_drop_replication_slot('b')" >/dev/null
expect_routed "a slot is free again" "1000|1005" twin
pg_query $cluster postgres "DROP DATABASE twin WITH (FORCE)"
pg_query $cluster postgres "CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'"
of latin "CREATE EXTENSION pg_weir; CREATE TABLE t (id int PRIMARY KEY, v int)"
expect "another encoding" 'tables of a database with encoding LATIN1 cannot be mirrored' "$(of latin "SELECT weir.mirror('t')" 2>&1 || true)"
pg_query $cluster postgres "DROP DATABASE latin WITH (FORCE)"

# A schema of the extension's name in which somebody else may do what he likes.
pg_query $cluster postgres "CREATE ROLE squatter LOGIN"
pg_query $cluster postgres "CREATE DATABASE squatted TEMPLATE template0"
of squatted "CREATE SCHEMA weir AUTHORIZATION squatter"
expect "a schema of another role's: not used" 'schema "weir" exists and is not empty, or belongs to a role that is no superuser' \
    "$(of squatted "CREATE EXTENSION pg_weir" 2>&1 || true)"
of squatted "DROP SCHEMA weir; CREATE SCHEMA weir; CREATE FUNCTION weir.mirror(text) RETURNS text LANGUAGE sql AS 'SELECT 1'"
expect "a schema that is not empty: not used" 'schema "weir" exists and is not empty' "$(of squatted "CREATE EXTENSION pg_weir" 2>&1 || true)"
of squatted "DROP FUNCTION weir.mirror; GRANT CREATE ON SCHEMA weir TO squatter"
expect "a schema in which another role may create: not used" 'schema "weir" exists and' "$(of squatted "CREATE EXTENSION pg_weir" 2>&1 || true)"
of squatted "REVOKE CREATE ON SCHEMA weir FROM squatter; CREATE EXTENSION pg_weir"
expect "an empty schema of an administrator's: used" '^weir$' "$(of squatted "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_weir'")"
pg_query $cluster postgres "DROP DATABASE squatted WITH (FORCE)"

# Storage.
set_to weir.storage "/proc/nowhere"
expect_reason "storage that cannot be used: the views say so" 'the engine is not running: storage directory "/proc/nowhere'
expect "storage that cannot be used: the answer is right" '^1000\|1005\|f$' "$(seen)"
expect "storage that cannot be used: weir.sync says so" 'storage directory "/proc/nowhere' "$(query "SELECT weir.sync('t', '200ms')" 2>&1 || true)"
query "CREATE ROLE nosy LOGIN; GRANT SELECT ON t TO nosy"
as_nosy() { pg_client $cluster psql -X -q -A -t -d "$db" -U nosy -c "$1" 2>&1 || true; }
expect "storage that cannot be used: its place is for administrators" '^the engine is not running$' "$(as_nosy "SELECT reason FROM weir.progress")"
storage=$WEIR_WORK/states_storage
rm -rf "$storage"
mkdir -m 700 "$storage"
if [ "$(id -u)" -eq 0 ]; then chown "$(pg_os_user)" "$storage"; fi
set_to weir.storage "$storage"
expect_routed "another place: copied again" "1000|1005"
query "CREATE TABLE filled (id int PRIMARY KEY, filler text); SELECT weir.mirror('filled')" >/dev/null
query "SELECT weir.sync('filled')"
# Nothing can be written there: what the manifest has stays, and what is new stays in memory.
find "$storage" -type d -exec chmod 500 {} +
query "UPDATE t SET v = 7 WHERE id = 1; CREATE TABLE new (id int PRIMARY KEY); INSERT INTO new SELECT generate_series(1, 10); SELECT weir.mirror('new')" >/dev/null
for _ in $(seq 300); do
    [[ "$(query "SELECT last_error FROM weir.mirrors WHERE relation = 'new'::regclass")" == *"Permission denied"* ]] && break
    sleep 0.2
done
expect "storage that cannot be written: a copy says so" 'Permission denied' "$(query "SELECT reason FROM weir.progress WHERE relation = 'new'::regclass")"
expect "storage that cannot be written: EXPLAIN says so" 'Permission denied' "$(query "SET weir.route = force; EXPLAIN SELECT count(*) FROM new")"
query "DROP TABLE new"
expect_routed "storage that cannot be written: the engine answers from memory" "1000|1006"

# Not without bound: a mirror whose changes would fill the memory is given up, and the others stay.
set_to weir.memory_limit 64MB
most_kb=0
for i in $(seq 24); do
    query "INSERT INTO filled SELECT i, repeat('x', 1500) FROM generate_series($i * 100000, $i * 100000 + 19999) i"
    engine=$(pgrep -P "$(worker_pid)" -f weir-engine | head -n 1)
    kb=$(awk '/^VmRSS/ { print $2 }' "/proc/$engine/status")
    [ "$kb" -le "$most_kb" ] || most_kb=$kb
    sleep 0.5
done
expect "changes that cannot be written: the mirror with the most of them is given up" 'could not be written|Permission denied' \
    "$(query "SELECT state, reason, last_error FROM weir.mirrors WHERE relation = 'filled'::regclass")"
expect "changes that cannot be written: the engine's memory is bounded (720 MB were written, it had $most_kb kB)" '^t$' "$(query "SELECT $most_kb < 550000")"
expect "changes that cannot be written: the answer is right" '^480000$' "$(query "SET weir.route = force; SELECT count(*) FROM filled")"
expect_routed "changes that cannot be written: other mirrors are used" "1000|1006"
reset weir.memory_limit

# A standby that is not there: what was committed before it had to be waited for goes on, what waits is named.
set_to synchronous_standby_names nobody
pg_client $cluster psql -X -q -d "$db" -c "UPDATE t SET v = 9 WHERE id = 1" >/dev/null &
waiting=$!
for _ in $(seq 100); do
    [ "$(query "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")" = 1 ] && break
    sleep 0.1
done
query "SET synchronous_commit = local; CREATE TABLE late (id int PRIMARY KEY); SELECT weir.mirror('late')" >/dev/null
expect_reason "a commit waits for a standby: the views say so" 'waited for a synchronous standby'
reset synchronous_standby_names
wait $waiting
expect_routed "a commit waits no longer: seen, though it cannot be written" "1000|1008"
query "DROP TABLE late"

expect_reason "storage that cannot be written: the views say so" 'segments cannot be written, which is tried again'
find "$storage" -type d -exec chmod 700 {} +
for _ in $(seq 300); do
    [ "$(query "SELECT count(*) FROM weir.progress WHERE reason IS NOT NULL")" = 0 ] && break
    sleep 0.2
done
expect "storage that can be written again: nothing is wrong any more" '^0$' "$(query "SELECT count(*) FROM weir.progress WHERE reason IS NOT NULL")"
expect_routed "storage that can be written again" "1000|1008"
query "SELECT weir.sync('filled')"
expect "storage that can be written again: what was given up is copied" '^t\|480000\|480000\|' "$(query "SELECT * FROM weir.verify('filled')")"
expect "nothing differs from the heap" '^t\|1000\|1000\|' "$(query "SELECT * FROM weir.verify('t')")"
cleanup
rm -rf "$storage"
echo "states test done"
