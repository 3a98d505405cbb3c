#!/usr/bin/env bash
# Every test, in stages; the last line is "N passed, N failed".
#
#   tests/run.sh                 all stages
#   tests/run.sh differential    one stage, or several
#
# Settings: PG_CONFIG (the Postgres under test), WEIR_WORK (where the private servers live), WEIR_SEED and WEIR_QUERIES
# (the generated queries), WEIR_CRASHES (rounds of the crash test).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

: "${CARGO_TARGET_DIR:=$HOME/.cache/pg_weir/target}"
: "${WEIR_QUERIES:=2500}"
: "${WEIR_SEED:=20261121}"
export CARGO_TARGET_DIR
release=$CARGO_TARGET_DIR/release
out=$WEIR_WORK/out
all_stages=(lock unit regress differential isolation readme faults s3 remote crash)

passed=0
failed=0
failed_stages=()
server_is_up=

count() { # stage, passed, failed
    passed=$((passed + $2))
    failed=$((failed + $3))
    if [ "$3" -gt 0 ]; then failed_stages+=("$1"); fi
    printf '== %s: %d passed, %d failed\n' "$1" "$2" "$3"
}

stop_servers() {
    pg_stop test
    pg_stop crash
    pg_stop s3
}
trap stop_servers EXIT
trap 'exit 130' INT TERM

server() {
    [ -z "$server_is_up" ] || return 0
    # Before it starts: a server that has once looked in vain for a locale does not see one that is made later.
    scripts/setup.sh locale || return 1
    echo "== starting a private server of $("$PG_CONFIG" --version)"
    # Nothing here survives a power cut, and nothing has to.
    pg_init test "fsync = off" "synchronous_commit = on" "autovacuum_naptime = 5min" "jit = off"
    pg_start test || return 1
    server_is_up=1
}

# A fresh database with the extension. Stages are called where errors do not end the script: its status is to be
# checked. A database with an engine cannot be dropped while it is at work: FORCE ends it.
database() {
    server || return 1
    pg_query test postgres "DROP DATABASE IF EXISTS $1 WITH (FORCE)" &&
        pg_query test postgres "CREATE DATABASE $1 TEMPLATE template0 $2" &&
        pg_query test "$1" "CREATE EXTENSION pg_weir" >/dev/null
}

stage_lock() {
    local ok=0 bad=0 crate versions
    for crate in arrow datafusion; do
        versions=$(grep -c "^name = \"$crate\"$" Cargo.lock || true)
        if [ "$versions" -eq 1 ]; then
            ok=$((ok + 1))
        else
            echo "Cargo.lock holds $versions versions of $crate, and must hold one"
            bad=$((bad + 1))
        fi
    done
    count lock "$ok" "$bad"
}

# The crates that need no Postgres, and the harness's own.
stage_unit() {
    local ok=0 bad=0 manifest package log=$out/unit.log
    for manifest in plan plan/collate plan/lower fdw bgworker/capture bgworker/engine tests/differential bench; do
        [ -f "$manifest/Cargo.toml" ] || continue
        package=$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest/Cargo.toml" | head -n 1)
        # The clients of the remote engines are a feature, which only the engine asks for.
        local features=()
        if [ "$package" = weir_fdw ]; then features=(--features duckdb); fi
        echo "-- cargo test -p $package ${features[*]}"
        if ! LD_LIBRARY_PATH=${DUCKDB_LIB_DIR:-$HOME/.cache/pg_weir/duckdb} cargo test --release --locked --quiet -p "$package" "${features[@]}" >"$log" 2>&1; then
            grep -E '^(error|test .* FAILED|failures:|---- |thread )' -A 4 "$log" | tail -n 80 || tail -n 40 "$log"
            grep -q '^test result: FAILED' "$log" || bad=$((bad + 1))
        fi
        ok=$((ok + $(sum_results passed)))
        bad=$((bad + $(sum_results failed)))
    done
    count unit "$ok" "$bad"
}

sum_results() { awk -v what="$1" '/^test result:/ {for (i = 2; i <= NF; i++) if ($i ~ "^" what) n += $(i - 1)} END {print n + 0}' "$out/unit.log"; }

pgxs_test() {
    local program
    program=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/$1
    # That of 18 in the package of PyPI does not start, that of 16 beside it does what is needed.
    if ! "$program" --version >/dev/null 2>&1; then program=${program/pginstall18/pginstall}; fi
    echo "$program"
}

# Counts the lines of pg_regress: "test x ... ok" up to 15, "ok 1 - x" from 16 on.
# One that ended before all were run, for want of an expected file perhaps, has failed in the others.
count_regress() { # stage, log, how many tests there are
    local ok bad
    ok=$(grep -cE '^(test .* \.\.\. ok|     .* \.\.\. ok|ok +[0-9]+ )' "$2" || true)
    bad=$(grep -cE '(\.\.\. FAILED|^not ok )' "$2" || true)
    if [ $((ok + bad)) -lt "$3" ]; then
        tail -n 20 "$2"
        bad=$(($3 - ok))
    fi
    count "$1" "$ok" "$bad"
}

regress_like() { # stage, program, directory of inputs, tests...
    local stage=$1 program=$2 input=$3 dir=$out/$1
    shift 3
    rm -rf "$dir"
    mkdir -p "$dir"
    database "weir_$stage" "ENCODING 'UTF8' LOCALE 'C'" || return 1
    (
        cd "$dir"
        PATH="$PGBIN:$PATH" "$program" --inputdir="$input" --outputdir="$dir" --bindir="$PGBIN" --use-existing \
            --dbname="weir_$stage" --host="$(pg_sock test)" --port="$WEIR_PORT" --user=postgres "$@"
    ) >"$dir/log" 2>&1 || true
    grep -E '^(test |ok |not ok |     )' "$dir/log" || true
    if [ -s "$dir/regression.diffs" ]; then
        echo "-- differences ($dir/regression.diffs):"
        head -n 120 "$dir/regression.diffs"
    fi
    count_regress "$stage" "$dir/log" $#
}

stage_regress() {
    local tests
    mapfile -t tests < <(cd tests/pg_regress/sql && ls -- *.sql | sed 's/\.sql$//')
    regress_like regress "$(pgxs_test regress/pg_regress)" "$root/tests/pg_regress" "${tests[@]}"
}

stage_isolation() {
    local tests
    mapfile -t tests < <(cd tests/isolation/specs && ls -- *.spec | sed 's/\.spec$//')
    regress_like isolation "$(pgxs_test isolation/pg_isolation_regress)" "$root/tests/isolation" "${tests[@]}"
}

differential() { # label, arguments...
    local label=$1 log="$out/differential-$1.log" ok bad
    shift
    "$release/weir-differential" --host "$(pg_sock test)" --port "$WEIR_PORT" --user postgres \
        --out "$out/differential-failures/$label" "$@" 2>&1 | tee "$log" || true
    ok=$(sed -n 's/^differential: \([0-9]*\) passed.*/\1/p' "$log" | tail -n 1)
    bad=$(sed -n 's/^differential: .* passed, \([0-9]*\) failed$/\1/p' "$log" | tail -n 1)
    # A harness that did not reach its last line has failed, whatever it printed.
    count "differential ($label)" "${ok:-0}" "${bad:-1}"
}

# How many statements of a run were routed.
routed_at_least() { # label, number
    local routed
    routed=$(sed -n 's/^total: [0-9]* statements, \([0-9]*\) routed.*/\1/p' "$out/differential-$1.log" | tail -n 1)
    if [ "${routed:-0}" -ge "$2" ]; then count "$1 routed" 1 0; else
        echo "only ${routed:-0} statements were routed, not $2"
        count "$1 routed" 0 1
    fi
}

# A query in DuckDB ends when its time is over, and not much later.
duckdb_stops() {
    local started text took try
    # A busy machine may be late once; what does not look at its time is late every time: the query takes minutes.
    for try in 1 2 3; do
        started=$(date +%s%N)
        text=$(pg_client test psql -X -q -d weir_diff -c "SET search_path = tpch; SET weir.route = force; SET weir.engine = duckdb; SET statement_timeout = '500ms'" \
            -c "SELECT count(*) FROM lineitem a JOIN lineitem b ON a.l_shipmode = b.l_shipmode JOIN lineitem c ON c.l_suppkey = a.l_suppkey WHERE a.l_quantity * b.l_quantity > 3 + c.l_tax" 2>&1 || true)
        took=$((($(date +%s%N) - started) / 1000000))
        if [[ $text == *'canceling statement due to statement timeout'* ]] && [ "$took" -lt 1500 ]; then
            count "duckdb stops" 1 0
            return
        fi
        echo "try $try: after $took ms: $text"
        [ "$took" -lt 10000 ] || break
    done
    count "duckdb stops" 0 1
}

stage_differential() {
    rm -rf "$out/differential-failures"
    database weir_diff "ENCODING 'UTF8' LOCALE 'C'" || return 1
    "$release/weir-bench" tpch-load --scale 0.01 --schema tpch --fk-indexes \
        --conn "host=$(pg_sock test) port=$WEIR_PORT user=postgres dbname=weir_diff" || return 1
    differential tpch --db weir_diff --search-path tpch run bench/tpch/q*.sql
    differential files --db weir_diff run tests/differential/sql/*.sql
    differential generated --db weir_diff --seed "$WEIR_SEED" --count "$WEIR_QUERIES" generate
    # DuckDB refuses more than the default engine does: its answers count, and that it does not refuse everything.
    differential duckdb-tpch --db weir_diff --search-path tpch --any-route --set weir.engine=duckdb run bench/tpch/q*.sql
    routed_at_least duckdb-tpch 20
    differential duckdb-files --db weir_diff --any-route --set weir.engine=duckdb run tests/differential/sql/*.sql
    routed_at_least duckdb-files 600
    differential duckdb-generated --db weir_diff --any-route --set weir.engine=duckdb --seed "$((WEIR_SEED + 3))" --count 300 --min-routed 0 generate
    duckdb_stops
    # The same under other settings of the session, and in a database whose collation is not C.
    differential sessions --db weir_diff --set "timezone=America/New_York" --set "datestyle=SQL, DMY" \
        --set "intervalstyle=iso_8601" --set "extra_float_digits=0" --seed "$((WEIR_SEED + 1))" --count 300 \
        --min-routed 70 generate
    database weir_diff_utf8 "ENCODING 'UTF8' LOCALE 'C.UTF-8'" || return 1
    differential collation --db weir_diff_utf8 --seed "$((WEIR_SEED + 2))" --count 500 --min-routed 30 generate
    # Locales of the C library and of ICU.
    database weir_diff_libc "ENCODING 'UTF8' LOCALE 'en_US.UTF-8'" || return 1
    differential libc --db weir_diff_libc run tests/differential/sql/locale/*.sql
    if [ "$(pg_query test postgres "SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'")" = 1 ]; then
        database weir_diff_icu "ENCODING 'UTF8' LOCALE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'" || return 1
        differential icu --db weir_diff_icu run tests/differential/sql/locale/*.sql
    fi
    # Without an encoding: what is ASCII is routed, the rest is not.
    database weir_diff_ascii "ENCODING 'SQL_ASCII' LOCALE 'C'" || return 1
    differential ascii --db weir_diff_ascii run tests/differential/sql/ascii/*.sql
    differential ascii-files --db weir_diff_ascii --any-route run tests/differential/sql/{functions,json,reporting,shapes,hits,retail,star}.sql
    routed_at_least ascii-files 250
    differential ascii-generated --db weir_diff_ascii --seed "$((WEIR_SEED + 4))" --count 300 --min-routed 30 generate
}

# The SQL of the README, executed as a reader would.
stage_readme() {
    local log=$out/readme.log blocks
    server || return 1
    pg_query test postgres "DROP DATABASE IF EXISTS weir_readme WITH (FORCE)"
    pg_query test postgres "CREATE DATABASE weir_readme"
    blocks=$(grep -c '^```sql$' README.md || true)
    awk '/^```sql$/ {on = 1; next} /^```$/ {on = 0} on' README.md >"$out/readme.sql"
    if pg_client test psql -X -e -v ON_ERROR_STOP=1 -d weir_readme -f "$out/readme.sql" >"$log" 2>&1; then
        count readme "$blocks" 0
    else
        tail -n 20 "$log"
        count readme 0 1
    fi
}

# Cancel, kill, exhaust: what one query does must not reach another.
stage_faults() {
    local log=$out/faults.log ok bad
    database weir_faults "ENCODING 'UTF8' LOCALE 'C'" || return 1
    "$release/weir-faults" --conn "host=$(pg_sock test) port=$WEIR_PORT user=postgres dbname=weir_faults" 2>&1 | tee "$log" || true
    ok=$(sed -n 's/^faults: \([0-9]*\) passed.*/\1/p' "$log")
    bad=$(sed -n 's/^faults: .* passed, \([0-9]*\) failed$/\1/p' "$log")
    # A program that did not reach its last line has failed, whatever it printed.
    count faults "${ok:-0}" "${bad:-1}"
    pg_query test postgres "DROP DATABASE weir_faults WITH (FORCE)"
}

stage_s3() {
    local log=$out/s3.log ok bad
    tests/s3/run.sh 2>&1 | tee "$log" || true
    ok=$(grep -c '^ok ' "$log" || true)
    bad=$(grep -c '^not ok ' "$log" || true)
    grep -q '^s3 test done$' "$log" || bad=$((bad + 1))
    count s3 "$ok" "$bad"
}

stage_crash() {
    local log=$out/crash.log ok bad
    { tests/crash/lost.sh || true; tests/crash/states.sh || true; tests/crash/run.sh || true; } 2>&1 | tee "$log" || true
    ok=$(grep -c '^ok ' "$log" || true)
    bad=$(grep -c '^not ok ' "$log" || true)
    grep -q '^lost test done$' "$log" || bad=$((bad + 1))
    grep -q '^states test done$' "$log" || bad=$((bad + 1))
    grep -q '^crash test done$' "$log" || bad=$((bad + 1))
    count crash "$ok" "$bad"
}

# Remote engines against real counterparts.
stage_remote() {
    local log=$out/remote.log ok bad
    tests/e2e/remote.sh 2>&1 | tee "$log" | grep -vE '^ok ' || true
    ok=$(grep -c '^ok ' "$log" || true)
    bad=$(grep -c '^not ok ' "$log" || true)
    grep -q '^remote test done$' "$log" || bad=$((bad + 1))
    count remote "$ok" "$bad"
}

mkdir -p "$out"
stages=("$@")
if [ ${#stages[@]} -eq 0 ]; then stages=("${all_stages[@]}"); fi
for stage in "${stages[@]}"; do
    if ! declare -F "stage_$stage" >/dev/null; then
        echo "no stage \"$stage\"; there are: ${all_stages[*]}" >&2
        exit 2
    fi
done
for stage in "${stages[@]}"; do
    echo "== stage $stage"
    started=$SECONDS
    # A stage that breaks is one failure and does not hide the others.
    "stage_$stage" || count "$stage (broke off)" 0 1
    echo "== stage $stage took $((SECONDS - started)) s"
done
if [ -n "$server_is_up" ] && [ $failed -gt 0 ]; then echo "server log: $(pg_log test)"; fi
if [ ${#failed_stages[@]} -gt 0 ]; then printf 'failed: %s\n' "${failed_stages[*]}"; fi
status=0
if [ $failed -gt 0 ] || [ $passed -eq 0 ]; then status=1; fi
stop_servers
echo "$passed passed, $failed failed"
exit $status
