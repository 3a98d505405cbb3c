#!/usr/bin/env bash
# make bench: pg_weir beside its rivals, in one run on one machine. Writes bench/RESULTS.md and bench/results.svg.
#
# SCALE (default 1), RUNS (default 5, medians), SECONDS_EACH (default 30, for the pgbench parts).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

scale=${BENCH_SCALE:-1}
runs=${RUNS:-5}
seconds=${SECONDS_EACH:-30}
: "${CARGO_TARGET_DIR:=$HOME/.cache/pg_weir/target}"
tool=$CARGO_TARGET_DIR/release/weir-bench
cache=$HOME/.cache/pg_weir/bench
out=$WEIR_WORK/bench-out
cluster=bench
db=bench
sampler=
jobs=()

cleanup() {
    for job in $sampler "${jobs[@]}"; do kill "$job" 2>/dev/null || true; done
    pg_stop $cluster
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '== %s\n' "$1"; }
query() { pg_query $cluster $db "$1"; }

rm -rf "$out"
mkdir -p "$out" "$cache"

say "rivals: DuckDB and DataFusion from PyPI, TPC-H as Parquet"
scripts/setup.sh python
[ -x "$cache/venv/bin/python" ] || python3 -m venv "$cache/venv"
"$cache/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.5 datafusion==53.0.0 tpchgen-cli==4.0.0 pyarrow
if [ ! -f "$cache/sf$scale/lineitem.parquet" ]; then
    "$cache/venv/bin/tpchgen-cli" parquet -s "$scale" --output-dir "$cache/sf$scale"
fi

# pgbench_mirror measures pg_weir's cost, so the extension is loaded for all parts; "without" means no table is mirrored.
say "Postgres: $("$PG_CONFIG" --version), TPC-H $scale"
pg_init $cluster "shared_buffers = 4GB" "effective_cache_size = 12GB" "work_mem = 512MB" "maintenance_work_mem = 512MB" \
    "max_wal_size = 16GB" "checkpoint_timeout = 30min" "max_parallel_workers_per_gather = 2" "random_page_cost = 1.1" \
    "jit = off" "autovacuum_naptime = 1h" "fsync = on" "synchronous_commit = on" "weir.memory_limit = 4GB"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db"
conn="host=$(pg_sock $cluster) port=$WEIR_PORT user=postgres dbname=$db"
"$tool" tpch-load --conn "$conn" --scale "$scale" --fk-indexes
query "CREATE EXTENSION pg_weir" >/dev/null

worker_pid() { query "SELECT pid FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'pg_weir worker' LIMIT 1"; }

# Memory of backends (by the labels of weir-bench, without shared memory), worker and engine, twice a second.
sample_memory() {
    local worker pid label engine
    while sleep 0.5; do
        query "SELECT pid, application_name FROM pg_stat_activity WHERE application_name LIKE 'bench %'" 2>/dev/null | while IFS='|' read -r pid label; do
            awk -v l="$label" '/^RssAnon/ {print "backend\t" l "\t" $2}' "/proc/$pid/status" 2>/dev/null || true
        done
        worker=$(worker_pid 2>/dev/null) || continue
        [ -n "$worker" ] || continue
        awk -v w=worker '/^Pss_Anon|^Pss:/ {print w "\t" $1 "\t" $2}' "/proc/$worker/smaps_rollup" 2>/dev/null || true
        for engine in $(pgrep -P "$worker" -f weir-engine || true); do
            awk '/^VmHWM/ {print "engine\tVmHWM\t" $2}' "/proc/$engine/status" 2>/dev/null || true
        done
    done >>"$out/memory.tsv"
}

say "copy"
copy_rate() {
    local started ended rows
    rows=$(query "SELECT count(*) FROM lineitem")
    started=$(date +%s.%N)
    query "COPY lineitem TO '/dev/null' (FORMAT binary)"
    ended=$(date +%s.%N)
    awk -v a="$started" -v b="$ended" -v r="$rows" 'BEGIN {printf "copy-to-null\t%.2f\t%d\t%.0f\n", b - a, r, r / (b - a)}'
}
mirror_rate() {
    local started ended
    started=$(date +%s.%N)
    query "SELECT weir.mirror('lineitem')" >/dev/null
    query "SELECT weir.sync('lineitem', '30min')" >/dev/null
    ended=$(date +%s.%N)
    awk -v a="$started" -v b="$ended" -v r="$(query 'SELECT count(*) FROM lineitem')" 'BEGIN {printf "mirror-copy\t%.2f\t%d\t%.0f\n", b - a, r, r / (b - a)}'
}
copy_rate >/dev/null
sample_memory &
sampler=$!
for round in 1 2 3; do
    if [ "$round" -gt 1 ]; then query "SELECT weir.unmirror('lineitem')" >/dev/null; fi
    copy_rate | tee -a "$out/copy.tsv"
    mirror_rate | tee -a "$out/copy.tsv"
done
query "SELECT weir.mirror(t::regclass) FROM unnest(ARRAY['region', 'nation', 'part', 'supplier', 'partsupp', 'customer', 'orders']) t" >/dev/null
query "SELECT weir.sync(timeout => '30min')" >/dev/null

say "TPC-H, $runs runs each"
"$tool" tpch-run --conn "$conn" --queries bench/tpch --runs "$runs" \
    --way postgres,weir.route=off --way weir-force,weir.route=force --way weir-auto,weir.route=auto | tee "$out/tpch.tsv"
"$cache/venv/bin/python" bench/rivals.py "$cache/sf$scale" bench/tpch "$runs" | tee -a "$out/tpch.tsv"

say "SELECT * of lineitem"
"$tool" scan --conn "$conn" --sql "SELECT * FROM lineitem" --label heap --set weir.route=off | tee "$out/scan.tsv"
"$tool" scan --conn "$conn" --sql "SELECT * FROM lineitem" --label weir --set weir.route=force | tee -a "$out/scan.tsv"

say "pgbench, $seconds s each"
pgbench_tps() { # label, arguments
    local label=$1
    shift
    pg_client $cluster pgbench -n -T "$seconds" "$@" $db 2>/dev/null | awk -v l="$label" '/^tps = / {print l "\t" $3}' | tee -a "$out/pgbench.tsv"
}
pg_client $cluster pgbench -i -s 10 -q $db >/dev/null 2>&1
query "ALTER TABLE pgbench_history REPLICA IDENTITY FULL"
pgbench_tables="unnest(ARRAY['pgbench_accounts', 'pgbench_tellers', 'pgbench_branches', 'pgbench_history']) t"
pgbench_be() { # with or without a mirror, from now on
    if [ "$1" = "$pgbench_is" ]; then return 0; fi
    if [ "$1" = mirrored ]; then
        query "SELECT weir.mirror(t::regclass) FROM $pgbench_tables" >/dev/null
        query "SELECT weir.sync(timeout => '10min')" >/dev/null
    else
        query "SELECT weir.unmirror(t::regclass) FROM $pgbench_tables" >/dev/null
    fi
    pgbench_is=$1
}
pgbench_is=without
pgbench_part() { # read or write, with or without a mirror
    pgbench_be "$2"
    query "VACUUM pgbench_branches, pgbench_tellers" >/dev/null
    query CHECKPOINT
    if [ "$1" = read ]; then pgbench_tps "$1-$2" -c 8 -j 2 -S; else pgbench_tps "$1-$2" -c 8 -j 2; fi
}
# Five pairs, in which one and the other come first in turn: from one round to the next the machine drifts by more than what is looked for.
# All reads come before the first write: what writes leave to be done is part of their cost.
for part in read write; do
    for round in 1 2 3 4 5; do
        if [ $((round % 2)) -eq 1 ]; then
            pgbench_part $part without
            pgbench_part $part mirrored
        else
            pgbench_part $part mirrored
            pgbench_part $part without
        fi
    done
done
query "SELECT weir.sync(timeout => '10min')" >/dev/null

say "fresh reads at 1,000 transactions a second"
pg_client $cluster pgbench -n -c 8 -j 2 -R 1000 -T "$((2 * seconds + 10))" $db >/dev/null 2>&1 &
jobs+=($!)
sleep 2
# The wait for fresh data is the difference to the same query with weir.freshness = any.
fresh() { # label, seconds, settings
    local label=$1 duration=$2
    shift 2
    "$tool" fresh --conn "$conn" --table pgbench_tellers --seconds "$duration" --label "$label" "$@" | tee -a "$out/fresh.tsv"
}
for round in 1 2 3; do
    fresh any "$((seconds / 4))" --set weir.route=force --set weir.freshness=any
    fresh latest "$((seconds / 4))" --set weir.route=force
done
fresh postgres "$((seconds / 4))" --set weir.route=off
wait "${jobs[0]}" || true
jobs=()

kill "$sampler" 2>/dev/null || true
sampler=
query "SHOW weir.memory_limit" >"$out/memory_limit" || true
"$cache/venv/bin/python" bench/report.py "$out" bench "$scale" "$runs" "$("$PG_CONFIG" --version)"
say "written: bench/RESULTS.md, bench/results.svg"
