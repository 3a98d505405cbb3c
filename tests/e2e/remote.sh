#!/usr/bin/env bash
# Remote engines against real counterparts: each query over foreign tables must answer as over local tables with the same rows, taken over as a
# whole and through foreign scans alike. Prints "ok N - what" and "not ok N - what" lines and ends with "remote test done".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh
# shellcheck source=tests/e2e/mariadb.sh
. tests/e2e/mariadb.sh

: "${CARGO_TARGET_DIR:=$HOME/.cache/pg_weir/target}"
cluster=remote
db=remote
number=0
out=$WEIR_WORK/out/remote

report() { # ok | "not ok", what
    number=$((number + 1))
    printf '%s %d - %s\n' "$1" "$number" "$2"
}

query() { pg_query $cluster $db "$1"; }

# psql that goes on after errors and shows them, without the parts that name tables.
answer() { # search path, route, query
    # The server's messages go with the rows.
    { pg_client $cluster psql -X -q -A -t -d $db -v VERBOSITY=terse \
        -c "SET search_path = $1, public; SET weir.route = $2; SET weir.test_value = 'apple'; SET timezone = 'America/New_York'" -c "$3" 2>&1 || true; } | sort
}

expect() { # what, wanted (a regular expression), text
    if grep -qE -- "$2" <<<"$3"; then report ok "$1"; else
        report "not ok" "$1"
        printf '#   wanted: %s\n#   got: %s\n' "$2" "$3"
    fi
}

failing() { query "$1" 2>&1 || true; }

cleanup() {
    pg_stop $cluster
    mariadb_stop
}
trap cleanup EXIT
trap 'exit 130' INT TERM

same_answers() { # label, schema, file with one query a line
    local label=$1 schema=$2 sql local_rows taken scanned explained wholly=0 total=0 fallbacks=0
    while IFS= read -r sql; do
        [ -n "$sql" ] || continue
        total=$((total + 1))
        local_rows=$(answer local off "$sql")
        taken=$(answer "$schema" force "$sql")
        scanned=$(answer "$schema" off "$sql")
        if [ "$local_rows" != "$taken" ]; then
            report "not ok" "$label, taken over: $sql"
            diff <(echo "$local_rows") <(echo "$taken") | head -n 10 | sed 's/^/#   /'
        elif [ "$local_rows" != "$scanned" ]; then
            report "not ok" "$label, foreign scans: $sql"
            diff <(echo "$local_rows") <(echo "$scanned") | head -n 10 | sed 's/^/#   /'
        else
            report ok "$label: $sql"
        fi
        explained=$(pg_client $cluster psql -X -q -A -t -v ON_ERROR_STOP=1 -d $db -c "SET search_path = $schema, public; SET weir.route = force" -c "$sql" \
            -c "SELECT 'fell back: ' || message FROM weir.last_route() WHERE fallback" -c "EXPLAIN $sql" 2>/dev/null || true)
        case $explained in *'fell back: '*) fallbacks=$((fallbacks + 1)) ;; esac
        if [ "$(grep -c 'Remote SQL' <<<"$explained" || true)" = 1 ]; then wholly=$((wholly + 1)); fi
    done <"$3"
    echo "# $label: $wholly of $total queries ask the remote once"
    if [ $fallbacks -eq 0 ]; then report ok "$label: no query fell back"; else report "not ok" "$label: $fallbacks queries fell back"; fi
}

tables() { sed -e "s/@float4@/$1/; s/@text@/$2/; s/@timestamp@/$3/; s/@timestamptz@/$4/" tests/e2e/remote/tables.sql; }

test_mariadb() {
    if ! mariadb_install; then
        report "not ok" "MariaDB cannot be installed"
        return
    fi
    mariadb_start || { report "not ok" "MariaDB starts"; return; }
    mariadb_sql "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci; CREATE DATABASE tpch CHARACTER SET latin1;
        CREATE USER weir@'%' IDENTIFIED BY 'secret word'; GRANT ALL ON *.* TO weir@'%'"
    { tables float longtext 'datetime(6)' 'timestamp(6) NULL'; cat tests/e2e/remote/data.sql; } | mariadb_sql - shop
    mariadb_sql "CREATE TABLE odd (id int PRIMARY KEY, \"a \`quoted\"\" name\" varchar(10), shape geometry, u bigint unsigned, y year, blob_ varbinary(20), e enum('x','Y'), tm time, b bit(3));
        INSERT INTO odd VALUES (1, 'v', NULL, 18446744073709551615, 1999, X'00ff5c27', 'Y', '23:59:59', b'101')" shop
    query "CREATE SERVER shop FOREIGN DATA WRAPPER weir_mysql OPTIONS (host '127.0.0.1', port '$WEIR_MARIADB_PORT', database 'shop');
        CREATE USER MAPPING FOR CURRENT_USER SERVER shop OPTIONS (user 'weir', password 'secret word'); CREATE SCHEMA shop; CREATE SCHEMA shop_tpch"
    expect "mariadb: columns that cannot be mapped are skipped with a notice" 'column "shape" of "odd" is skipped' "$(failing 'IMPORT FOREIGN SCHEMA shop FROM SERVER shop INTO shop')"
    query "ALTER FOREIGN TABLE shop.items ALTER COLUMN flag TYPE boolean" || true
    expect "mariadb: odd names and types" '^1\|v\|18446744073709551615\|1999\|\\x00ff5c27\|Y\|23:59:59$' "$(query 'SELECT * FROM shop.odd')"
    expect "mariadb: LIMIT TO" '^parents$' "$(query "CREATE SCHEMA part; IMPORT FOREIGN SCHEMA shop LIMIT TO (parents) FROM SERVER shop INTO part; SELECT relname FROM pg_class WHERE relnamespace = 'part'::regnamespace")"
    expect "mariadb: EXCEPT" '^children,odd$' "$(query "CREATE SCHEMA most; IMPORT FOREIGN SCHEMA shop EXCEPT (parents, items) FROM SERVER shop INTO most; SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'most'::regnamespace" | tail -n 1)"
    expect "mariadb: a schema that is not there" 'has no database "nowhere"' "$(failing 'IMPORT FOREIGN SCHEMA nowhere FROM SERVER shop INTO part')"
    same_answers mariadb shop tests/e2e/remote/queries.sql

    local t sql pushed=0
    for t in region nation part supplier partsupp customer orders lineitem; do
        mariadb_sql "CREATE TABLE $t ($(query "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'tpch.$t'::regclass AND attnum > 0"))" tpch
        pg_client $cluster psql -X -q -d $db -c "\\copy tpch.$t TO '$out/$t.csv' CSV"
        mariadb_sql "LOAD DATA LOCAL INFILE '$out/$t.csv' INTO TABLE $t CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'" tpch
        rm -f "$out/$t.csv"
    done
    mariadb_sql "CREATE INDEX l ON lineitem (l_orderkey); CREATE INDEX l2 ON lineitem (l_partkey, l_suppkey); CREATE INDEX o ON orders (o_orderkey); CREATE INDEX o2 ON orders (o_custkey);
        CREATE INDEX c ON customer (c_custkey); CREATE INDEX ps ON partsupp (ps_partkey, ps_suppkey); CREATE INDEX p ON part (p_partkey); CREATE INDEX s ON supplier (s_suppkey)" tpch
    query "IMPORT FOREIGN SCHEMA tpch FROM SERVER shop INTO shop_tpch"
    for sql in bench/tpch/q*.sql; do
        local text here there
        text=$(<"$sql")
        here=$(answer tpch off "$text")
        there=$(answer shop_tpch force "$text")
        if [ "$here" = "$there" ]; then report ok "mariadb: $(basename "$sql")"; else
            report "not ok" "mariadb: $(basename "$sql")"
            diff <(echo "$here") <(echo "$there") | head -n 6 | sed 's/^/#   /'
        fi
        if [ "$(pg_client $cluster psql -X -q -A -t -d $db -c "SET search_path = shop_tpch; SET weir.route = force" -c "EXPLAIN $(grep -v '^--' "$sql")" 2>/dev/null |
            grep -c 'Remote SQL' || true)" = 1 ]; then pushed=$((pushed + 1)); fi
    done
    echo "# mariadb: $pushed of 22 TPC-H queries are pushed as one statement"
}

mkdir -p "$out"
pg_init $cluster "fsync = off" "autovacuum = off" "jit = off"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
query "CREATE EXTENSION pg_weir" >/dev/null
query "CREATE SCHEMA local"
{ echo "SET search_path = local;"; tables real text timestamp timestamptz; cat tests/e2e/remote/data.sql; } | pg_client $cluster psql -X -q -v ON_ERROR_STOP=1 -d $db -f -
query "CREATE TABLE mirrored AS SELECT id, 'note ' || id AS note FROM generate_series(1, 6) id; ALTER TABLE mirrored ADD PRIMARY KEY (id); CREATE TABLE plain AS SELECT * FROM mirrored"
query "SELECT weir.mirror('mirrored')" >/dev/null
query "SELECT weir.sync()" >/dev/null
"$CARGO_TARGET_DIR/release/weir-bench" tpch-load --scale 0.01 --schema tpch --fk-indexes --conn "host=$(pg_sock $cluster) port=$WEIR_PORT user=postgres dbname=$db" >/dev/null

engines=("$@")
if [ ${#engines[@]} -eq 0 ]; then engines=(mariadb); fi
for engine in "${engines[@]}"; do "test_$engine"; done
echo "remote test done"
