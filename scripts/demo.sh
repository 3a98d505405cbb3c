#!/usr/bin/env bash
# make demo: a private server with TPC-H; each query in Postgres and in the engine, side by side; a row updated under
# load and seen by the next query. The server stays: the last lines say how to connect and how to stop it.
# SCALE: TPC-H scale factor (default 0.1).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

: "${SCALE:=0.1}"
: "${CARGO_TARGET_DIR:=$HOME/.cache/pg_weir/target}"
bench=$CARGO_TARGET_DIR/release/weir-bench
cluster=demo
db=tpch
load=

finished=
cleanup() {
    if [ -n "$load" ]; then kill "$load" 2>/dev/null || true; fi
    # A demo that breaks off leaves no server behind.
    if [ -z "$finished" ]; then pg_stop $cluster; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }
query() { pg_query $cluster $db "$1"; }
show() { pg_client $cluster psql -X -q -d $db -c "$1"; }

say "A private server ($("$PG_CONFIG" --version)) in $(pg_dir $cluster)"
pg_init $cluster "fsync = off" "shared_buffers = 512MB" "work_mem = 64MB"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db"
conn="host=$(pg_sock $cluster) port=$WEIR_PORT user=postgres dbname=$db"

say "TPC-H at scale factor $SCALE"
"$bench" tpch-load --conn "$conn" --scale "$SCALE" --fk-indexes
query "CREATE EXTENSION pg_weir" >/dev/null

say "SELECT weir.mirror(...) for its eight tables"
query "SELECT weir.mirror(t::regclass) FROM unnest(ARRAY['region', 'nation', 'part', 'supplier', 'partsupp', 'customer', 'orders', 'lineitem']) t" >/dev/null
sleep 0.3
show "SELECT * FROM weir.progress"
query "SELECT weir.sync(timeout => '10min')" >/dev/null
show "SELECT * FROM weir.mirrors"

say "How a query is planned"
explained="SELECT o_orderpriority, count(*), sum(l_extendedprice) FROM orders JOIN lineitem ON l_orderkey = o_orderkey GROUP BY 1"
show "SET weir.route = force; EXPLAIN (COSTS OFF) $explained"

say "The 22 queries of TPC-H: median of 3 runs, hot"
results=$(mktemp)
"$bench" tpch-run --conn "$conn" --queries bench/tpch --runs 3 --label postgres --set weir.route=off >"$results"
"$bench" tpch-run --conn "$conn" --queries bench/tpch --runs 3 --label weir --set weir.route=force >>"$results"
awk -F'\t' '
    $1 == "postgres" {pg[$2] = $3; rows[$2] = $5; order[++n] = $2}
    $1 == "weir" {w[$2] = $3; who[$2] = $4; other[$2] = $5}
    END {
        printf "%-6s %12s %12s %8s  %-9s %s\n", "query", "Postgres s", "pg_weir s", "faster", "answered", "rows"
        for (i = 1; i <= n; i++) {
            q = order[i]
            printf "%-6s %12.4f %12.4f %7.1fx  %-9s %s%s\n", q, pg[q], w[q], (w[q] > 0 ? pg[q] / w[q] : 0), who[q], rows[q],
                (rows[q] == other[q] ? "" : " (" other[q] ": rows differ!)")
            if (pg[q] > 0 && w[q] > 0) {a += log(pg[q]); b += log(w[q]); m++}
        }
        if (m > 0) printf "%-6s %12.4f %12.4f %7.1fx\n", "geomean", exp(a / m), exp(b / m), exp((a - b) / m)
    }' "$results"
rm -f "$results"

say "One query, both answers"
one="SELECT o_orderpriority, count(*), sum(o_totalprice) FROM orders GROUP BY 1 ORDER BY 1"
show "SET weir.route = off; $one"
show "SET weir.route = force; $one; SELECT * FROM weir.last_route()"

say "A row updated under load is seen by the next query"
cat >"$WEIR_WORK/demo-load.sql" <<'SQL'
\set key random(1, 60000)
UPDATE lineitem SET l_comment = 'touched' WHERE l_orderkey = :key;
SQL
chmod 644 "$WEIR_WORK/demo-load.sql"
pg_client $cluster pgbench -n -c 2 -T 60 -f "$WEIR_WORK/demo-load.sql" $db >/dev/null 2>&1 &
load=$!
sleep 1
for n in 1 2 3; do
    query "UPDATE orders SET o_orderpriority = 'demo $n' WHERE o_orderkey = 7"
    seen=$(query "SET weir.route = force; SET weir.freshness_timeout = '20s';
        SELECT o_orderpriority FROM orders WHERE o_orderkey = 7;
        SELECT CASE WHEN routed THEN 'answered by the engine' ELSE 'answered by Postgres: ' || reason END FROM weir.last_route()" | tr -s ' ' | paste -sd'|')
    printf '  set "demo %d", the next query reads: %s\n' "$n" "$seen"
done
kill "$load" 2>/dev/null || true
wait "$load" 2>/dev/null || true
load=

finished=1
say "The server stays for you"
cat <<EOT
  connect:  $PGBIN/psql -h $(pg_sock $cluster) -p $WEIR_PORT -U postgres $db
  compare:  SET weir.route = off;  SET weir.route = force;  SELECT * FROM weir.last_route();
  stop:     make demo-stop
EOT
