#!/usr/bin/env bash
# Remote engines beside what a user would take instead, on one machine in one run: postgres_fdw, mysql_fdw (of Debian, if PG_CONFIG is
# Debian's Postgres 15) and the engines' own clients. bench/remote/ has a file for each; the ways take turns.
#
# usage: bench/remote.sh            all of them, and writes bench/REMOTE.md
#        bench/remote.sh ENGINE...  only these (postgres, mariadb, clickhouse, duckdb, flightsql), and prints what it would have written
#
# Each time is of the statement alone, in a session that has connected: psql's \timing, or what the native client says.
#
# ROWS (default 5000000), RUNS (default 3; the best counts), INSERTED (default 100000), FEW (rows that are also inserted one by one where that is slow,
# default 1000).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

rows=${ROWS:-5000000}
runs=${RUNS:-3}
inserted=${INSERTED:-100000}
few=${FEW:-1000}
cache=${WEIR_BENCH_CACHE:-$HOME/.cache/pg_weir/bench}
cluster=bench_remote
db=bench
port=$((WEIR_PORT + 2))
engines=("$@")
[ $# -gt 0 ] || engines=(postgres mariadb clickhouse duckdb flightsql)
results=$(mktemp)
memory=$(mktemp)
# What the installers of tests/e2e write.
out=$WEIR_WORK/out/bench
mkdir -p "$out"

# The counterparts are those of the tests.
for part in mariadb clickhouse flightsql adbc; do
    # shellcheck source=/dev/null
    . "tests/e2e/$part.sh"
done
for part in ways postgres mariadb clickhouse duckdb flightsql; do
    # shellcheck source=/dev/null
    . "bench/remote/$part.sh"
done

cleanup() {
    pg_stop $cluster
    counterpart pg_stop bench_counterpart
    mariadb_stop
    clickhouse_stop
    flight_stop roapi
    rm -rf "$results" "$memory" "$duckdb_dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say "what is measured against"
scripts/setup.sh remote
[ -x "$cache/venv/bin/python" ] || python3 -m venv "$cache/venv"
"$cache/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.5 pyarrow clickhouse-connect==1.12.0 adbc-driver-postgresql==1.13.0 adbc-driver-flightsql==1.13.0

pg_init $cluster "fsync = off" "autovacuum = off" "jit = off" "max_parallel_workers_per_gather = 0"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
query "CREATE EXTENSION pg_weir"
for engine in "${engines[@]}"; do
    say "$engine, $rows rows of 8 columns"
    "measure_$engine"
done

written=$(
    printf '# Remote engines\n\n'
    # shellcheck disable=SC2016 # the quotes are of the text
    printf 'Written by `bench/remote.sh` on %s: %s cores, %s, %s rows of 8 columns, best of %s, in seconds, all servers on one machine, one at a time. Fetching is `EXPLAIN (ANALYZE, TIMING OFF) SELECT *`: every row reaches the executor, which drops it. A native client throws the rows away. postgres_fdw and mysql_fdw fetch 50,000 rows at a time.\n\n' \
        "$(date +%F)" "$(nproc)" "$("$PG_CONFIG" --version)" "$rows" "$runs"
    printf "Trino and StarRocks are not measured: none of their servers could be had where this was run, and the stand-ins that the tests talk to say nothing of their speed.\n\n"
    report
)
if [ $# -eq 0 ]; then printf '%s\n' "$written" >bench/REMOTE.md; fi
printf '%s\n' "$written"
