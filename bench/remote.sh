#!/usr/bin/env bash
# Remote engines beside what a user would take instead, on one machine in one run: postgres_fdw, mysql_fdw (of Debian, if PG_CONFIG is
# Debian's Postgres 15) and the engines' own clients. Writes bench/REMOTE.md.
#
# Each time is of the statement alone, in a session that has connected: psql's \timing, or what the native client says. The ways take turns.
#
# ROWS (default 5000000), RUNS (default 3; the best counts), INSERTED (default 100000).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh
# shellcheck source=tests/e2e/mariadb.sh
. tests/e2e/mariadb.sh
# shellcheck source=tests/e2e/clickhouse.sh
. tests/e2e/clickhouse.sh

rows=${ROWS:-5000000}
runs=${RUNS:-3}
inserted=${INSERTED:-100000}
cache=${WEIR_BENCH_CACHE:-$HOME/.cache/pg_weir/bench}
cluster=bench_remote
db=bench
port=$((WEIR_PORT + 2))
results=$(mktemp)
memory=$(mktemp)
sampler=''

# A counterpart has its own port, and no pg_weir.
# shellcheck disable=SC2030,SC2031
counterpart() { (WEIR_PORT=$port && WEIR_PLAIN=1 && "$@"); }
query() { pg_query $cluster $db "$1" >/dev/null; }
say() { printf '== %s\n' "$1"; }

cleanup() {
    [ -z "$sampler" ] || kill "$sampler" 2>/dev/null || true
    pg_stop $cluster
    counterpart pg_stop bench_counterpart
    mariadb_stop
    clickhouse_stop
    rm -rf "$results" "$memory" "$WEIR_WORK/bench_duckdb"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

columns="id int, n8 bigint, num numeric(12,2), f8 double precision, v varchar(40), t text, d date, ts timestamp(6)"
aggregate="SELECT v, count(*), sum(n8) FROM %s GROUP BY v"

# Seconds of one statement, by psql's clock, after one that makes the session connect.
timed() { # the client's arguments -- warm-up, statement
    local client=()
    while [ "$1" != -- ]; do client+=("$1"); shift; done
    printf '%s;\n\\timing on\n%s;\n' "$2" "$3" | "${client[@]}" -X -q -A -t -v ON_ERROR_STOP=1 -o /dev/null -f - 2>&1 |
        awk '/ERROR/ { print > "/dev/stderr"; bad = 1 } /^Time:/ { printf "%.4f\n", $2 / 1000; seen = 1 } END { exit bad || !seen }'
}
local_sql() { timed pg_client $cluster psql -d $db -- "$1" "$2"; }
postgres_sql() { timed counterpart pg_client bench_counterpart psql -d postgres -- "SELECT 1" "$1"; }
mariadb_timed() { mariadb_sql "$1" bench -vvv | awk '/^[0-9]+ rows? in set|^Query OK/ { t = $(NF - 1); gsub(/[(]/, "", t) } END { printf "%.4f\n", t }'; }
clickhouse_timed() { curl -sS --fail -o /dev/null -w '%{time_total}\n' "http://127.0.0.1:$ch_port/?session_timezone=UTC" --data-binary "$1"; }
clickhouse_client() { "$cache/venv/bin/python" bench/clickhouse_client.py "$ch_port" "$1"; }
duckdb_timed() { "$cache/venv/bin/python" bench/duckdb_client.py "$WEIR_WORK/bench_duckdb/f.db" "$1"; }

# way WHAT WHO command...: one run.
way() {
    local seconds
    seconds=$("${@:3}")
    printf '%s\t%s\t%s\n' "$1" "$2" "$seconds" | tee -a "$results"
}

# All rows reach the executor, which drops them.
fetch="EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, SUMMARY OFF) SELECT * FROM %s"
# shellcheck disable=SC2059 # the formats are ours
of() { printf "$1" "$2"; }

# read_ways ENGINE SCHEMA [RIVAL RIVAL_SCHEMA]: what is the same for all engines.
read_ways() {
    way "$1: fetch" pg_weir local_sql "SELECT count(*) FROM (SELECT 1 FROM $2.f LIMIT 1) AS s" "$(of "$fetch" "$2.f")"
    way "$1: aggregate pushed down" pg_weir local_sql "SELECT count(*) FROM (SELECT 1 FROM $2.f LIMIT 1) AS s" "$(of "$aggregate" "$2.f")"
    if [ -n "${3:-}" ]; then
        way "$1: fetch" "$3" local_sql "SELECT 1 FROM $4.f LIMIT 1" "$(of "$fetch" "$4.f")"
        way "$1: aggregate pushed down" "$3" local_sql "SELECT 1 FROM $4.f LIMIT 1" "$(of "$aggregate" "$4.f")"
    fi
}

# insert_way WHAT WHO SCHEMA EMPTY...: INSERT ... SELECT after the command that empties the table.
insert_way() {
    "${@:4}" >/dev/null
    way "$1" "$2" local_sql "SELECT count(*) FROM $3.w" "INSERT INTO $3.w SELECT i, 'value ' || i FROM generate_series(1, $inserted) i"
}

# Peak memory of the engine and of the backends, in kB, four times a second.
sample_memory() {
    while sleep 0.25; do
        for pid in $(pgrep -x weir-engine); do
            [ "$(readlink "/proc/$pid/cwd")" = "$(pg_dir $cluster)/data" ] && awk '/^VmRSS/ { print $2 }' "/proc/$pid/status" 2>/dev/null
        done
    done >>"$memory"
}

say "what is measured against"
scripts/setup.sh remote
case $("$PG_CONFIG" --bindir) in
    /usr/lib/postgresql/15/bin)
        [ "$(id -u)" -ne 0 ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-15-mysql-fdw >/dev/null
        ;;
esac
[ -x "$cache/venv/bin/python" ] || python3 -m venv "$cache/venv"
"$cache/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==1.5.5 pyarrow clickhouse-connect==1.12.0

say "Postgres, $rows rows of 8 columns"
pg_init $cluster "fsync = off" "autovacuum = off" "jit = off" "max_parallel_workers_per_gather = 0"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
query "CREATE EXTENSION pg_weir"
sample_memory &
sampler=$!
counterpart pg_init bench_counterpart "fsync = off" "listen_addresses = '127.0.0.1'" "autovacuum = off" "jit = off" "max_parallel_workers_per_gather = 0"
counterpart pg_start bench_counterpart
counterpart pg_query bench_counterpart postgres "CREATE TABLE f ($columns); CREATE TABLE w (id int PRIMARY KEY, v text);
    INSERT INTO f SELECT i, i * 1000003::bigint, (i % 100000) / 7.0, i / 3.0::float8, 'value ' || i % 1000, md5(i::text), date '2000-01-01' + i % 9000, timestamp '2000-01-01' + i * interval '1 second' FROM generate_series(1, $rows) i"
counterpart pg_query bench_counterpart postgres "VACUUM ANALYZE f"
query "CREATE EXTENSION postgres_fdw; CREATE SCHEMA weir_pg; CREATE SCHEMA own_pg;
    CREATE SERVER weir_pg FOREIGN DATA WRAPPER weir_postgres OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres');
    CREATE SERVER own_pg FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres', fetch_size '50000', batch_size '1');
    CREATE USER MAPPING FOR CURRENT_USER SERVER weir_pg OPTIONS (user 'postgres'); CREATE USER MAPPING FOR CURRENT_USER SERVER own_pg OPTIONS (user 'postgres')"
for schema in weir_pg own_pg; do
    query "CREATE FOREIGN TABLE $schema.f ($columns) SERVER $schema OPTIONS (schema_name 'public'); CREATE FOREIGN TABLE $schema.w (id int, v text) SERVER $schema OPTIONS (schema_name 'public')"
done
empty_pg() { counterpart pg_query bench_counterpart postgres "TRUNCATE w"; }
for _ in $(seq "$runs"); do
    read_ways Postgres weir_pg postgres_fdw own_pg
    way "Postgres: fetch" "psql, COPY in binary" postgres_sql "COPY f TO STDOUT (FORMAT binary)"
    way "Postgres: fetch" "psql, SELECT" postgres_sql "SELECT * FROM f"
    way "Postgres: aggregate pushed down" psql postgres_sql "$(of "$aggregate" f)"
    insert_way "Postgres: INSERT of $inserted rows" pg_weir weir_pg empty_pg
    insert_way "Postgres: INSERT of $inserted rows" "postgres_fdw, batch_size 1" own_pg empty_pg
    query "ALTER SERVER own_pg OPTIONS (SET batch_size '1000')"
    insert_way "Postgres: INSERT of $inserted rows" "postgres_fdw, batch_size 1000" own_pg empty_pg
    query "ALTER SERVER own_pg OPTIONS (SET batch_size '1')"
done
counterpart pg_stop bench_counterpart

say "MariaDB"
mariadb_install
mariadb_start
mariadb_sql "CREATE DATABASE bench CHARACTER SET utf8mb4; CREATE USER weir@'%' IDENTIFIED BY 'secret word'; GRANT ALL ON *.* TO weir@'%'"
mariadb_sql "CREATE TABLE f (${columns//timestamp(6)/datetime(6)}); CREATE TABLE w (id int PRIMARY KEY, v varchar(100));
    INSERT INTO f SELECT seq, seq * 1000003, (seq % 100000) / 7.0, seq / 3.0, concat('value ', seq % 1000), md5(seq), '2000-01-01' + interval (seq % 9000) day, '2000-01-01' + interval seq second FROM seq_1_to_$rows" bench
query "CREATE SCHEMA weir_my; CREATE SERVER weir_my FOREIGN DATA WRAPPER weir_mysql OPTIONS (host '127.0.0.1', port '$WEIR_MARIADB_PORT', database 'bench');
    CREATE USER MAPPING FOR CURRENT_USER SERVER weir_my OPTIONS (user 'weir', password 'secret word');
    CREATE FOREIGN TABLE weir_my.f ($columns) SERVER weir_my; CREATE FOREIGN TABLE weir_my.w (id int, v text) SERVER weir_my"
rival=()
if query "CREATE EXTENSION mysql_fdw" 2>/dev/null; then
    rival=(mysql_fdw own_my)
    query "CREATE SCHEMA own_my; CREATE SERVER own_my FOREIGN DATA WRAPPER mysql_fdw OPTIONS (host '127.0.0.1', port '$WEIR_MARIADB_PORT', fetch_size '50000');
        CREATE USER MAPPING FOR CURRENT_USER SERVER own_my OPTIONS (username 'weir', password 'secret word');
        CREATE FOREIGN TABLE own_my.f (${columns//timestamp(6)/timestamp}) SERVER own_my OPTIONS (dbname 'bench', table_name 'f');
        CREATE FOREIGN TABLE own_my.w (id int, v text) SERVER own_my OPTIONS (dbname 'bench', table_name 'w')"
fi
empty_my() { mariadb_sql "DELETE FROM w" bench; }
for _ in $(seq "$runs"); do
    read_ways MariaDB weir_my "${rival[@]}"
    way "MariaDB: fetch" "the client mariadb" mariadb_timed "SELECT * FROM f"
    way "MariaDB: aggregate pushed down" "the client mariadb" mariadb_timed "$(of "$aggregate" f)"
    insert_way "MariaDB: INSERT of $inserted rows" pg_weir weir_my empty_my
    if [ ${#rival[@]} -gt 0 ]; then insert_way "MariaDB: INSERT of $inserted rows" "mysql_fdw, row by row" own_my empty_my; fi
done
mariadb_stop

say "ClickHouse"
clickhouse_install
clickhouse_start
clickhouse_sql "CREATE DATABASE bench"
clickhouse_sql "CREATE TABLE bench.f (id Int32, n8 Int64, num Decimal(12,2), f8 Float64, v String, t String, d Date32, ts DateTime64(6)) ENGINE = MergeTree ORDER BY id"
clickhouse_sql "INSERT INTO bench.f SELECT number, number * 1000003, toDecimal64(number % 100000, 2) / 7, number / 3, concat('value ', toString(number % 1000)), lower(hex(MD5(toString(number)))), toDate32('2000-01-01') + number % 9000, toDateTime64('2000-01-01 00:00:00', 6) + number FROM numbers($rows)"
query "CREATE SCHEMA weir_ch; CREATE SERVER weir_ch FOREIGN DATA WRAPPER weir_clickhouse OPTIONS (host '127.0.0.1', port '$ch_port', database 'bench');
    CREATE USER MAPPING FOR CURRENT_USER SERVER weir_ch OPTIONS (user 'default'); CREATE FOREIGN TABLE weir_ch.f ($columns) SERVER weir_ch"
for _ in $(seq "$runs"); do
    read_ways ClickHouse weir_ch
    way "ClickHouse: fetch" "clickhouse-connect, Arrow batches" clickhouse_client "SELECT * FROM bench.f"
    way "ClickHouse: fetch" "curl, format Native, nothing decoded" clickhouse_timed "SELECT * FROM bench.f FORMAT Native"
    way "ClickHouse: aggregate pushed down" "clickhouse-connect, Arrow batches" clickhouse_client "$(of "$aggregate" bench.f)"
    way "ClickHouse: aggregate pushed down" "curl, format Native" clickhouse_timed "$(of "$aggregate" bench.f) FORMAT Native"
done
clickhouse_stop

say "DuckDB"
mkdir -p "$WEIR_WORK/bench_duckdb"
duckdb_timed "CREATE TABLE f AS SELECT i::int AS id, i * 1000003 AS n8, ((i % 100000) / 7.0)::decimal(12,2) AS num, i / 3.0::double AS f8, 'value ' || i % 1000 AS v, md5(i::text) AS t, date '2000-01-01' + (i % 9000)::int AS d, timestamp '2000-01-01' + to_seconds(i) AS ts FROM range($rows) r(i)"
if [ "$(id -u)" -eq 0 ]; then chown -R "$(pg_os_user)" "$WEIR_WORK/bench_duckdb"; fi
query "CREATE SCHEMA weir_duck; CREATE SERVER weir_duck FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$WEIR_WORK/bench_duckdb/f.db', read_only 'true', schema 'main'); CREATE FOREIGN TABLE weir_duck.f ($columns) SERVER weir_duck"
for _ in $(seq "$runs"); do
    read_ways DuckDB weir_duck
    way "DuckDB: fetch" "Python, Arrow batches" duckdb_timed "SELECT * FROM f"
    way "DuckDB: aggregate pushed down" "Python, Arrow batches" duckdb_timed "$(of "$aggregate" f)"
done

kill "$sampler"
sampler=''
{
    printf '# Remote engines\n\n'
    # shellcheck disable=SC2016 # the quotes are of the text
    printf 'Written by `bench/remote.sh` on %s: %s cores, %s, %s rows of 8 columns, best of %s, in seconds, all servers on one machine, one at a time. Fetching is `EXPLAIN (ANALYZE, TIMING OFF) SELECT *`: every row reaches the executor, which drops it. A native client throws the rows away. postgres_fdw and mysql_fdw fetch 50,000 rows at a time.\n\n' \
        "$(date +%F)" "$(nproc)" "$("$PG_CONFIG" --version)" "$rows" "$runs"
    awk -F '\t' '
        { key = $1 SUBSEP $2; if (!($1 in seen)) { seen[$1] = 1; what[++n] = $1 } if (!(key in best)) { best[key] = $3; who[$1] = who[$1] "\t" $2 } else if ($3 < best[key]) best[key] = $3 }
        END {
            print "| what | who | seconds | times pg_weir |\n|---|---|---|---|"
            for (i = 1; i <= n; i++) {
                m = split(substr(who[what[i]], 2), names, "\t")
                for (j = 1; j <= m; j++) printf "| %s | %s | %.3f | %.2f |\n", what[i], names[j], best[what[i], names[j]], best[what[i], names[j]] / best[what[i], "pg_weir"]
            }
        }' "$results"
    printf '\nPeak memory of the engine process: %s MB.\n' "$(sort -n "$memory" | tail -n 1 | awk '{ printf "%d", $1 / 1024 }')"
} >bench/REMOTE.md
cat bench/REMOTE.md
