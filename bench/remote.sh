#!/usr/bin/env bash
# Remote engines beside what a user would take instead, on one machine in one run: postgres_fdw, mysql_fdw (if Debian's package for this release of
# Postgres is installed where PG_CONFIG looks) and the engines' own clients. Writes bench/REMOTE.md.
#
# ROWS (default 5000000), RUNS (default 3; the best counts), INSERTED (default 100000).
# shellcheck disable=SC2030,SC2031 # a counterpart has its own port, in a subshell
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh
# shellcheck source=tests/e2e/mariadb.sh
. tests/e2e/mariadb.sh

rows=${ROWS:-5000000}
runs=${RUNS:-3}
inserted=${INSERTED:-100000}
cluster=bench_remote
db=bench
port=$((WEIR_PORT + 2))
report=bench/REMOTE.md
: >"$report.new"

counterpart() { (WEIR_PORT=$port && WEIR_PLAIN=1 && "$@"); }
query() { pg_query $cluster $db "$1"; }
say() { printf '== %s\n' "$1"; }

cleanup() {
    pg_stop $cluster
    counterpart pg_stop bench_counterpart
    mariadb_stop
    rm -f "$report.new"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The best of the runs, in seconds.
best() { # command
    local best='' started took
    for _ in $(seq "$runs"); do
        started=$(date +%s.%N)
        "$@" >/dev/null
        took=$(awk -v a="$started" -v b="$(date +%s.%N)" 'BEGIN { printf "%.3f", b - a }')
        if [ -z "$best" ] || awk -v a="$took" -v b="$best" 'BEGIN { exit !(a < b) }'; then best=$took; fi
    done
    echo "$best"
}

times() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b / a }'; } # how many times as fast as the second the first is

line() { printf '%s\n' "$*" >>"$report.new"; }

columns="id int, n8 bigint, num numeric(12,2), f8 double precision, v varchar(40), t text, d date, ts timestamp(6)"
make="SELECT i, i * 1000003::bigint, (i % 100000) / 7.0, i / 3.0::float8, 'value ' || i % 1000, md5(i::text), date '2000-01-01' + i % 9000, timestamp '2000-01-01' + i * interval '1 second' FROM generate_series(1, $rows) i"

say "servers, $rows rows of 8 columns"
pg_init $cluster "fsync = off" "autovacuum = off" "jit = off" "max_parallel_workers_per_gather = 0"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
counterpart pg_init bench_counterpart "fsync = off" "listen_addresses = '127.0.0.1'" "autovacuum = off" "jit = off" "max_parallel_workers_per_gather = 0"
counterpart pg_start bench_counterpart
counterpart pg_query bench_counterpart postgres "CREATE TABLE f ($columns)" >/dev/null
counterpart pg_query bench_counterpart postgres "INSERT INTO f $make" >/dev/null
counterpart pg_query bench_counterpart postgres "VACUUM ANALYZE f" >/dev/null
counterpart pg_query bench_counterpart postgres "CREATE TABLE w (id int PRIMARY KEY, v text)" >/dev/null
query "CREATE EXTENSION pg_weir; CREATE EXTENSION postgres_fdw; CREATE SCHEMA weir_pg; CREATE SCHEMA own_pg;
    CREATE SERVER weir_pg FOREIGN DATA WRAPPER weir_postgres OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres');
    CREATE SERVER own_pg FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres', fetch_size '50000', batch_size '1');
    CREATE USER MAPPING FOR CURRENT_USER SERVER weir_pg OPTIONS (user 'postgres'); CREATE USER MAPPING FOR CURRENT_USER SERVER own_pg OPTIONS (user 'postgres');
    CREATE FOREIGN TABLE weir_pg.f ($columns) SERVER weir_pg OPTIONS (schema_name 'public'); CREATE FOREIGN TABLE own_pg.f ($columns) SERVER own_pg OPTIONS (schema_name 'public');
    CREATE FOREIGN TABLE weir_pg.w (id int, v text) SERVER weir_pg OPTIONS (schema_name 'public'); CREATE FOREIGN TABLE own_pg.w (id int, v text) SERVER own_pg OPTIONS (schema_name 'public')" >/dev/null

fetch() { query "COPY (SELECT * FROM $1.f) TO '/dev/null' (FORMAT binary)"; }
fetch_native() { counterpart pg_query bench_counterpart postgres "COPY (SELECT * FROM f) TO STDOUT (FORMAT binary)"; }
total() { query "SELECT v, count(*), sum(n8) FROM $1.f GROUP BY v"; }
total_native() { counterpart pg_query bench_counterpart postgres "SELECT v, count(*), sum(n8) FROM f GROUP BY v"; }
insert() {
    counterpart pg_query bench_counterpart postgres "TRUNCATE w"
    query "INSERT INTO $1.w SELECT i, 'value ' || i FROM generate_series(1, $inserted) i"
}

say "Postgres"
weir=$(best fetch weir_pg) rival=$(best fetch own_pg) native=$(best fetch_native)
sum_weir=$(best total weir_pg) sum_rival=$(best total own_pg) sum_native=$(best total_native)
insert_weir=$(best insert weir_pg) insert_rows=$(best insert own_pg)
query "ALTER SERVER own_pg OPTIONS (SET batch_size '1000')" >/dev/null
insert_rival=$(best insert own_pg)

say "MariaDB"
mariadb_install && mariadb_start
mariadb_sql "CREATE DATABASE bench CHARACTER SET utf8mb4; CREATE USER weir@'%' IDENTIFIED BY 'secret word'; GRANT ALL ON *.* TO weir@'%'"
mariadb_sql "CREATE TABLE f (${columns//timestamp(6)/datetime(6)}); CREATE TABLE w (id int PRIMARY KEY, v varchar(100))" bench
mariadb_sql "INSERT INTO f SELECT seq, seq * 1000003, (seq % 100000) / 7.0, seq / 3.0, concat('value ', seq % 1000), md5(seq), '2000-01-01' + interval (seq % 9000) day, '2000-01-01' + interval seq second FROM seq_1_to_$rows" bench
query "CREATE SCHEMA weir_my; CREATE SERVER weir_my FOREIGN DATA WRAPPER weir_mysql OPTIONS (host '127.0.0.1', port '$WEIR_MARIADB_PORT', database 'bench');
    CREATE USER MAPPING FOR CURRENT_USER SERVER weir_my OPTIONS (user 'weir', password 'secret word');
    CREATE FOREIGN TABLE weir_my.f ($columns) SERVER weir_my; CREATE FOREIGN TABLE weir_my.w (id int, v text) SERVER weir_my" >/dev/null
my_native() { mariadb_sql "SELECT * FROM f" bench; }
my_sum_native() { mariadb_sql "SELECT v, count(*), sum(n8) FROM f GROUP BY v" bench; }
my_insert() {
    mariadb_sql "DELETE FROM w" bench
    query "INSERT INTO weir_my.w SELECT i, 'value ' || i FROM generate_series(1, $inserted) i"
}
my_weir=$(best fetch weir_my) my_client=$(best my_native) my_sum=$(best total weir_my) my_sum_client=$(best my_sum_native) my_insert_weir=$(best my_insert)
my_rival='' my_insert_rows=''
if query "CREATE EXTENSION mysql_fdw" >/dev/null 2>&1; then
    query "CREATE SCHEMA own_my; CREATE SERVER own_my FOREIGN DATA WRAPPER mysql_fdw OPTIONS (host '127.0.0.1', port '$WEIR_MARIADB_PORT', fetch_size '50000');
        CREATE USER MAPPING FOR CURRENT_USER SERVER own_my OPTIONS (username 'weir', password 'secret word');
        CREATE FOREIGN TABLE own_my.f (${columns//timestamp(6)/timestamp}) SERVER own_my OPTIONS (dbname 'bench', table_name 'f'); CREATE FOREIGN TABLE own_my.w (id int, v text) SERVER own_my OPTIONS (dbname 'bench', table_name 'w')" >/dev/null
    my_rival=$(best fetch own_my)
    my_insert_rival() {
        mariadb_sql "DELETE FROM w" bench
        query "INSERT INTO own_my.w SELECT i, 'value ' || i FROM generate_series(1, $inserted) i"
    }
    my_insert_rows=$(best my_insert_rival)
fi

line "# Remote engines"
line
line "Written by \`bench/remote.sh\` on $(date +%F): $(nproc) cores, $("$PG_CONFIG" --version), $rows rows of 8 columns, best of $runs, in seconds, with all servers on one machine. Fetching: \`COPY (SELECT * ...) TO '/dev/null'\`."
line
line "| what | pg_weir | rival | native client | times the rival | times the native client |"
line "|---|---|---|---|---|---|"
line "| Postgres: fetch (rival: postgres_fdw, fetch_size 50000) | $weir | $rival | $native | $(times "$weir" "$rival") | $(times "$weir" "$native") |"
line "| Postgres: aggregate pushed down | $sum_weir | $sum_rival | $sum_native | $(times "$sum_weir" "$sum_rival") | $(times "$sum_weir" "$sum_native") |"
line "| Postgres: INSERT of $inserted rows (rival: postgres_fdw, batch_size 1000) | $insert_weir | $insert_rival | | $(times "$insert_weir" "$insert_rival") | |"
line "| Postgres: the same, row by row (rival: postgres_fdw, batch_size 1) | $insert_weir | $insert_rows | | $(times "$insert_weir" "$insert_rows") | |"
if [ -n "$my_rival" ]; then
    line "| MariaDB: fetch (rival: mysql_fdw, fetch_size 50000) | $my_weir | $my_rival | $my_client | $(times "$my_weir" "$my_rival") | $(times "$my_weir" "$my_client") |"
    line "| MariaDB: INSERT of $inserted rows (rival: mysql_fdw, row by row) | $my_insert_weir | $my_insert_rows | | $(times "$my_insert_weir" "$my_insert_rows") | |"
else
    line "| MariaDB: fetch (mysql_fdw is not installed) | $my_weir | | $my_client | | $(times "$my_weir" "$my_client") |"
    line "| MariaDB: INSERT of $inserted rows | $my_insert_weir | | | | |"
fi
line "| MariaDB: aggregate pushed down | $my_sum | | $my_sum_client | | $(times "$my_sum" "$my_sum_client") |"
cp "$report.new" "$report"
cat "$report"
