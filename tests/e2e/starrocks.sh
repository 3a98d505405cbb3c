#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# StarRocks, of which there is no server to be had here: MariaDB for the wire and for SQL that both know, and a front end that answers as the
# documentation says. Sourced by tests/e2e/remote.sh after mariadb.sh and flightsql.sh.

starrocks_venv=$HOME/.cache/pg_weir/starrocks
starrocks_port=$((WEIR_PORT + 9))

starrocks_install() {
    local wanted="mysql-mimic==3.0.5"
    [ "$(cat "$starrocks_venv/done" 2>/dev/null)" = "$wanted" ] && return 0
    rm -rf "$starrocks_venv"
    { python3 -m venv "$starrocks_venv" && "$starrocks_venv/bin/pip" install --quiet --disable-pip-version-check "$wanted"; } >"$out/starrocks-install.log" 2>&1 || return 1
    echo "$wanted" >"$starrocks_venv/done"
}

test_starrocks() {
    starrocks_install || { report "not ok" "mysql-mimic cannot be installed"; return; }
    mkdir -p "$flight_dir"
    flight_start front_end "$starrocks_port" "$starrocks_venv/bin/python" "$PWD/tests/e2e/remote/starrocks_fe.py" "$starrocks_port" "$flight_dir/statements" || { report "not ok" "the front end starts"; return; }
    query "CREATE SERVER rocks FOREIGN DATA WRAPPER weir_starrocks OPTIONS (host '127.0.0.1', port '$starrocks_port');
        CREATE USER MAPPING FOR CURRENT_USER SERVER rocks OPTIONS (user 'root'); CREATE SCHEMA rocks; CREATE SCHEMA rocks_lake"
    expect "starrocks: columns that cannot be mapped are skipped with a notice" 'column "bm" of "types" is skipped: no type holds its values \(bitmap\)' "$(failing 'IMPORT FOREIGN SCHEMA shop FROM SERVER rocks INTO rocks')"
    expect "starrocks: types" '^bigint,boolean,smallint,numeric\(39,0\),numeric\(38,10\),real,double precision,character varying\(10\),character varying\(20\),character varying\(65533\),bytea,date,timestamp without time zone,json$' \
        "$(query "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'rocks.types'::regclass AND attnum > 0")"
    expect "starrocks: values" '^9223372036854775807\|t\|-128\|-170141183460469231731687303715884105728\|1234567890123456789012345678.0123456789\|0.1\|0.1\|a  \|naïve . . "\|100\|\\x6279746573\|0001-01-01\|2024-02-29 12:34:56.789012\|\{"a": \[1, null\]\}$' \
        "$(query "SELECT k, b, ti, li, de, fl, db, ch, va, length(st), bi, da, dt, js FROM rocks.types WHERE li IS NOT NULL" | tr "'\\\\" '..' | sed 's/|.x62/|\\x62/')"
    expect "starrocks: NULLs" '^2\|\|\|$' "$(query "SELECT k, b, de, dt FROM rocks.types OFFSET 1")"
    expect "starrocks: a database that is not there" 'ERROR:  HV00P: server "rocks" has no database "nowhere"' "$(failing 'IMPORT FOREIGN SCHEMA nowhere FROM SERVER rocks INTO rocks')"
    query "CREATE SERVER rocks_lake FOREIGN DATA WRAPPER weir_starrocks OPTIONS (host '127.0.0.1', port '$starrocks_port', catalog 'lake');
        CREATE USER MAPPING FOR CURRENT_USER SERVER rocks_lake OPTIONS (user 'root')"
    query "IMPORT FOREIGN SCHEMA raw LIMIT TO (types) FROM SERVER rocks_lake INTO rocks_lake" 2>/dev/null
    expect "starrocks: an external catalog" '^9223372036854775807$' "$(query "SELECT k FROM rocks_lake.types LIMIT 1")"
    expect "starrocks: a catalog that is not there" 'ERROR:  HV000: server "rocks_lake": Unknown catalog' "$(failing "BEGIN; ALTER SERVER rocks_lake OPTIONS (SET catalog 'nothing'); IMPORT FOREIGN SCHEMA raw FROM SERVER rocks_lake INTO rocks_lake")"
    expect "starrocks: what is summed, ordered and bounded there" 'SUM\(CAST\(`t1`.`k` AS LARGEINT\)\)' "$(query "EXPLAIN SELECT sum(k) FROM rocks.types WHERE dt > '2024-01-01' AND va = 'it''s'")"
    pg_client $cluster psql -X -q -d $db -c "SET statement_timeout = '700ms'" -c "SELECT * FROM weir.query('rocks', 'SELECT SLEEP(60)')" >/dev/null 2>&1 || true
    for _ in $(seq 50); do
        if grep -q '^KILL' "$flight_dir/statements"; then break; fi
        sleep 0.1
    done
    expect "starrocks: a query is killed" '^KILL QUERY [0-9]+$' "$(grep '^KILL' "$flight_dir/statements" | tail -n 1)"
    flight_start own $((WEIR_PORT + 7)) "$CARGO_TARGET_DIR/release/weir-flight" --port $((WEIR_PORT + 7)) --second $((WEIR_PORT + 8)) --user root --password 'secret word'
    query "CREATE SERVER rocks_flight FOREIGN DATA WRAPPER weir_starrocks OPTIONS (host '127.0.0.1', port '$starrocks_port', flight_port '$((WEIR_PORT + 7))', database 'shop');
        CREATE USER MAPPING FOR CURRENT_USER SERVER rocks_flight OPTIONS (user 'root', password 'secret word'); CREATE FOREIGN TABLE rocks.numbers (id int, word text) SERVER rocks_flight"
    expect "starrocks: its Flight SQL port" '^100000\|4999950000\|75000$' "$(failing "SELECT count(id), sum(id::bigint), count(word) FROM (SELECT * FROM rocks.numbers OFFSET 0) n")"
    flight_stop own
    flight_stop front_end

    if ! mariadb_install; then
        report "not ok" "MariaDB cannot be installed"
        return
    fi
    mariadb_sql "SELECT 1" >/dev/null 2>&1 || mariadb_start || { report "not ok" "MariaDB starts"; return; }
    mariadb_sql "CREATE DATABASE rocks CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin; CREATE USER IF NOT EXISTS weir@'%' IDENTIFIED BY 'secret word'; GRANT ALL ON *.* TO weir@'%'"
    { tables float longtext 'datetime(6)' 'timestamp(6) NULL'; cat tests/e2e/remote/data.sql; } | mariadb_sql - rocks
    query "CREATE SERVER maria_rocks FOREIGN DATA WRAPPER weir_starrocks OPTIONS (host '127.0.0.1', port '$WEIR_MARIADB_PORT', database 'rocks');
        CREATE USER MAPPING FOR CURRENT_USER SERVER maria_rocks OPTIONS (user 'weir', password 'secret word'); CREATE SCHEMA maria_rocks"
    local t
    query "CREATE FOREIGN TABLE maria_rocks.items (id int, n2 smallint, n4 int, n8 bigint, num numeric(12,2), big numeric(30,10), f8 float8, flag boolean, v varchar(40), t text, d date, ts timestamp) SERVER maria_rocks"
    for t in parents children; do foreign_like local.$t maria_rocks.$t maria_rocks "database 'rocks', table_name '$t'"; done
    # What only one of the two knows: LARGEINT, fractions of a second in a cast, the length of a text before it is cut.
    { grep -v 'sum(n8)' tests/e2e/remote/queries_few.sql
        echo "SELECT id, num, big, flag, d, ts FROM items
SELECT id FROM items WHERE num = 0.3 OR num > 9999999999.98
SELECT id, num * 2, num + num FROM items
SELECT id FROM items WHERE d = '2024-02-29' OR d < '1900-01-01'
SELECT id FROM items WHERE ts < '1583-01-01'
SELECT id FROM items WHERE flag = true OR flag IS NULL
SELECT extract(year FROM d) AS y, count(*) FROM items GROUP BY 1
SELECT min(d), max(num), min(v COLLATE \"C\") FROM items
SELECT flag, avg(num), sum(num) FROM items GROUP BY flag
SELECT parent, sum(amount), avg(amount) FROM children GROUP BY parent"; } >"$out/starrocks.sql"
    same_answers starrocks maria_rocks "$out/starrocks.sql"
    # Without what only one of the two knows, all timestamps and the sum of BIGINTs.
    query "CREATE OR REPLACE VIEW local.untimed AS SELECT * FROM local.items;
        CREATE FOREIGN TABLE maria_rocks.untimed (id int, n2 smallint, n4 int, n8 bigint, num numeric(12,2), big numeric(30,10), f8 float8, flag boolean, v varchar(40), t text, d date) SERVER maria_rocks OPTIONS (table_name 'items')"
    cells starrocks maria_rocks local untimed "sum(bigint)"
    expect "starrocks: INSERT" '^20\|it.s . x\|1.25\|2024-02-29$' "$(query "INSERT INTO maria_rocks.items (id, v, num, d) VALUES (20, E'it''s \\\\ x', 1.25, '2024-02-29'), (21, NULL, -0.5, NULL); SELECT id, v, num, d FROM maria_rocks.items WHERE id = 20")"
    mariadb_sql "CREATE TABLE w (id int PRIMARY KEY, n2 smallint, n4 int, n8 bigint, num decimal(12,2), f8 double, flag boolean, v varchar(40), t longtext, b varbinary(200), d date, ts datetime(6), must int NOT NULL DEFAULT 7)" rocks
    direct_tables starrocks maria_rocks "database 'rocks'" "id int PRIMARY KEY, n2 smallint, n4 int, n8 bigint, num numeric(12,2), f8 double precision, flag boolean, v varchar(40), t text, b bytea, d date, ts timestamp, must int NOT NULL DEFAULT 7"
    # A cast to DATETIME keeps fractions of a second in StarRocks, and not in MariaDB.
    query "CREATE FUNCTION whole_seconds() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.ts = date_trunc(''second'', NEW.ts); RETURN NEW; END'; CREATE TRIGGER whole BEFORE INSERT OR UPDATE ON local.w FOR EACH ROW EXECUTE FUNCTION whole_seconds()"
    both starrocks "values of all types" "INSERT INTO @w@ VALUES (1, 32767, 2147483647, 9223372036854775807, 9999999999.99, 0.5, true, 'plain', 'text', '\\x00ff275c0a', '9999-12-31', '9999-12-31 23:59:59.999999'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, 0, 0, 0, 0.00, 0.1, false, '', E'; -- ''', '', '2000-02-29', '1999-12-31 23:59:59.5')"
    direct_rows starrocks
    direct_changes starrocks 1100 "database 'rocks'"
    expect "starrocks: TRUNCATE" '^0$' "$(query "TRUNCATE maria_rocks.items; SELECT count(*) FROM maria_rocks.items")"
    wrong starrocks maria_rocks maria_rocks.parents ""
    expect "starrocks: weir.query" '^\{"a": 1, "b": "x", "c": 1.50\}$' "$(failing "SELECT q::text FROM weir.query('maria_rocks', 'SELECT 1 AS a, ''x'' AS b, 1.50 AS c') q")"
    expect "starrocks: weir.execute" '^1$' "$(failing "SELECT weir.execute('maria_rocks', 'INSERT INTO rocks.parents VALUES (77, ''x'', NULL)')")"
    later broken_starrocks
    later broken_starrocks_flight
    tls_starrocks
}
