#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# ADBC drivers from PyPI, and DuckDB's library as one, as counterparts. Sourced by tests/e2e/remote.sh after flightsql.sh.

adbc_venv=$HOME/.cache/pg_weir/adbc
adbc_dir=$WEIR_WORK/adbc

adbc_install() {
    local wanted="adbc-driver-sqlite==1.13.0 adbc-driver-postgresql==1.13.0 adbc-driver-flightsql==1.13.0"
    [ "$(cat "$adbc_venv/done" 2>/dev/null)" = "$wanted" ] && return 0
    rm -rf "$adbc_venv"
    # shellcheck disable=SC2086 # a list of packages
    { python3 -m venv "$adbc_venv" && "$adbc_venv/bin/pip" install --quiet --disable-pip-version-check $wanted; } >"$out/adbc-install.log" 2>&1 || return 1
    echo "$wanted" >"$adbc_venv/done"
}

# The engine, which is not root, loads the libraries from here and may write here.
adbc_files() {
    mkdir -p "$adbc_dir"
    local driver
    for driver in sqlite postgresql flightsql; do
        cp "$adbc_venv"/lib/python3*/site-packages/adbc_driver_$driver/libadbc_driver_$driver.so "$adbc_dir/"
    done
    if [ "$(id -u)" -eq 0 ]; then chown -R "$(pg_os_user)" "$adbc_dir"; fi
    rm -f "$adbc_dir"/shop.*
}

# The statements of a file or of standard input, one by one, by weir.execute.
adbc_run() { # server
    python3 -c "
import sys
server = sys.argv[1]
for statement in sys.stdin.read().split(';\n'):
    lines = [l for l in statement.splitlines() if not l.startswith('--')]
    text = ' '.join(lines).strip().rstrip(';')
    if text:
        print('SELECT weir.execute(\'%s\', \$weir\$%s\$weir\$);' % (server, text))
" "$1" | pg_client $cluster psql -X -q -A -t -v ON_ERROR_STOP=1 -d $db -f - >/dev/null
}

test_adbc_sqlite() {
    query "CREATE SERVER lite FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$adbc_dir/libadbc_driver_sqlite.so', uri 'file:$adbc_dir/shop.sqlite', dialect 'sqlite');
        CREATE USER MAPPING FOR CURRENT_USER SERVER lite; CREATE SCHEMA lite; CREATE SCHEMA lite_types"
    { echo "CREATE TABLE items (id integer primary key, n2 integer, n4 integer, n8 integer, f8 real, v text collate nocase, t text);"
        echo "CREATE TABLE parents (id integer primary key, name text, tag text);"
        query "SELECT format('INSERT INTO items VALUES (%s, %s, %s, %s, %s, %L, %L);', id, coalesce(n2::text, 'NULL'), coalesce(n4::text, 'NULL'),
            CASE WHEN n8 = -9223372036854775808 THEN '-9223372036854775807 - 1' ELSE coalesce(n8::text, 'NULL') END, coalesce(f8::text, 'NULL'), v, replace(t, '\\', '<backslash>')) FROM local.items" |
            sed 's/<backslash>/\\/g'
        query "SELECT format('INSERT INTO parents VALUES (%s, %L, %L);', id, name, tag) FROM local.parents"; } | adbc_run lite
    expect "adbc, sqlite: import" '^bigint,bigint,bigint,bigint,double precision,text,text$' \
        "$(query "IMPORT FOREIGN SCHEMA main FROM SERVER lite INTO lite_types; SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'lite_types.items'::regclass AND attnum > 0")"
    expect "adbc, sqlite: keys" '^id$' "$(query "SELECT attname FROM pg_attribute WHERE attrelid = 'lite_types.items'::regclass AND attfdwoptions @> '{key=true}'")"
    query "CREATE FOREIGN TABLE lite.items (id int, n2 smallint, n4 int, n8 bigint, f8 float8, v varchar(40), t text) SERVER lite OPTIONS (schema_name 'main');
        CREATE FOREIGN TABLE lite.parents (id int, name varchar(20), tag varchar(5)) SERVER lite"
    same_answers "adbc, sqlite" lite tests/e2e/remote/queries_few.sql
    cells "adbc, sqlite" lite local items
    expect "adbc, sqlite: wrong table" 'ERROR:  HV[0-9A-Z]*: server "lite": .*nothing' "$(failing "BEGIN; ALTER FOREIGN TABLE lite.parents OPTIONS (ADD table_name 'nothing'); SELECT count(*) FROM lite.parents")"
    expect "adbc, sqlite: wrong column" 'ERROR:  HV[0-9A-Z]*: server "lite": .*number' "$(failing "BEGIN; ALTER FOREIGN TABLE lite.parents RENAME id TO number; SELECT number FROM lite.parents")"
    expect "adbc, sqlite: wrong type" 'a value of column "name" does not fit' "$(failing "BEGIN; ALTER FOREIGN TABLE lite.parents ALTER COLUMN name TYPE int; SELECT name FROM lite.parents")"
    query "ALTER FOREIGN TABLE lite.parents ALTER COLUMN id OPTIONS (ADD key 'true')"
    expect "adbc, sqlite: writing" '^10\|it.s\|$' "$(query "INSERT INTO lite.parents VALUES (10, 'ten', 'x'), (11, 'it''s', NULL); DELETE FROM lite.parents WHERE id = 10; UPDATE lite.parents SET id = 10 WHERE id = 11; SELECT * FROM lite.parents WHERE id >= 10")"
    expect "adbc, sqlite: one statement" 'Foreign Update on .*Remote SQL: UPDATE "parents" .*SET "tag" = .z. WHERE' "$(query "EXPLAIN (COSTS off) UPDATE lite.parents SET tag = 'z' WHERE id >= 10" | paste -sd ' ')"
    expect "adbc, sqlite: counts the rows" '^UPDATE 1#UPDATE 0#DELETE 0#z$' "$(said "UPDATE lite.parents SET tag = 'z' WHERE id >= 10 AND name = 'it''s'; UPDATE lite.parents SET tag = 'z' WHERE name = 'IT''S'; DELETE FROM lite.parents WHERE id > 10; SELECT tag FROM lite.parents WHERE id = 10" | paste -sd '#')"
    expect "adbc, sqlite: and back" '^5$' "$(query "DELETE FROM lite.parents WHERE id = 10; SELECT count(*) FROM lite.parents")"
    expect "adbc, sqlite: weir.query" '^\{"a": 1, "b": "x"\}$' "$(failing "SELECT q::text FROM weir.query('lite', 'SELECT 1 AS a, ''x'' AS b') q")"
    expect "adbc, sqlite: weir.query of nonsense" 'ERROR:  [0-9A-Z]*: server "lite"' "$(failing "SELECT * FROM weir.query('lite', 'SELEKT')")"
    expect "adbc, sqlite: the next query works" '^5$' "$(failing "SELECT count(*) FROM lite.parents")"
}

test_adbc_duckdb() {
    cp "${DUCKDB_LIB_DIR:-$HOME/.cache/pg_weir/duckdb}/libduckdb.so" "$adbc_dir/"
    query "CREATE SERVER adbc_duck FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$adbc_dir/libduckdb.so', entrypoint 'duckdb_adbc_init', \"option.path\" '$adbc_dir/shop.duckdb');
        CREATE USER MAPPING FOR CURRENT_USER SERVER adbc_duck; CREATE SCHEMA duck_adbc; CREATE SCHEMA duck_types"
    { tables real text timestamp timestamptz; cat tests/e2e/remote/data.sql; } | sed "s/^CREATE TABLE items/SET TimeZone = 'UTC';\n&/" | adbc_run adbc_duck
    expect "adbc, duckdb: import" '^integer,smallint,integer,bigint,numeric\(12,2\),numeric\(30,10\),double precision,real,boolean,text,text,text,date,timestamp without time zone,timestamp with time zone$' \
        "$(query "IMPORT FOREIGN SCHEMA main LIMIT TO (items) FROM SERVER adbc_duck INTO duck_types; SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'duck_types.items'::regclass AND attnum > 0")"
    local t
    for t in items parents children; do foreign_like local.$t duck_adbc.$t adbc_duck "schema_name 'main'"; done
    same_answers "adbc, duckdb" duck_adbc tests/e2e/remote/queries_few.sql
    query "ALTER FOREIGN TABLE duck_adbc.items ALTER COLUMN id OPTIONS (ADD key 'true'); INSERT INTO duck_adbc.items SELECT id + 100, n2, n4, n8, num, big, f8, f4, flag, v, c, t, d, ts, tz FROM local.items"
    expect "adbc, duckdb: rows come back as they were written" '^0$' "$(query "SELECT count(*) FROM ((SELECT * FROM local.items) EXCEPT (SELECT id - 100, n2, n4, n8, num, big, f8, f4, flag, v, c, t, d, ts, tz FROM duck_adbc.items WHERE id > 100)) x")"
    expect "adbc, duckdb: UPDATE, DELETE, TRUNCATE" '^11\|55\|0$' "$(query "UPDATE duck_adbc.items SET n4 = 5 WHERE id > 101; DELETE FROM duck_adbc.items WHERE id <= 101; SELECT count(*), sum(n4) FROM duck_adbc.items" | tr '\n' '|'; query "TRUNCATE duck_adbc.children; SELECT count(*) FROM duck_adbc.children")"
    expect "adbc, duckdb: an error of the query" 'ERROR:  [0-9A-Z]*: server "adbc_duck"' "$(failing "SELECT * FROM weir.query('adbc_duck', 'SELECT CAST(''x'' AS int)')")"
    # With one connection, the next query waits for the one before to have ended.
    query "ALTER SERVER adbc_duck OPTIONS (ADD max_connections '1', ADD request_timeout_ms '700')"
    expect "adbc, duckdb: a query that is late" 'ERROR:  57014: server "adbc_duck": no answer within the time limit' "$(failing "SELECT * FROM weir.query('adbc_duck', 'SELECT count(*) AS n FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3')")"
    expect "adbc, duckdb: was cancelled" '^5$' "$(failing "SELECT count(*) FROM duck_adbc.parents")"
}

test_adbc_postgres() {
    counterpart_start || return
    query "CREATE SERVER adbc_pg FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$adbc_dir/libadbc_driver_postgresql.so',
            uri 'postgresql://{user}:{password}@127.0.0.1:$counterpart_port/shop', dialect 'postgres');
        CREATE USER MAPPING FOR CURRENT_USER SERVER adbc_pg OPTIONS (user 'weir', password 'secret word'); CREATE SCHEMA adbc_pg; CREATE SCHEMA adbc_pg_types"
    query "IMPORT FOREIGN SCHEMA shop FROM SERVER adbc_pg INTO adbc_pg_types" 2>/dev/null
    expect "adbc, postgres: import" '^children,items,parents' "$(query "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'adbc_pg_types'::regnamespace AND relname IN ('items', 'parents', 'children')")"
    local t
    for t in items parents children; do foreign_like local.$t adbc_pg.$t adbc_pg "schema_name 'shop'"; done
    # An error in the midst of a result comes without its SQLSTATE: of drivers' streams only the text is to be had.
    grep -v 'n4 + 1' tests/e2e/remote/queries_few.sql >"$out/queries.sql"
    same_answers "adbc, postgres" adbc_pg "$out/queries.sql"
    local e
    e=$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER adbc_pg OPTIONS (SET password 'wrong word'); SELECT count(*) FROM adbc_pg.parents")
    expect "adbc, postgres: wrong password" 'ERROR:  (28000|08001): server "adbc_pg"' "$e"
    expect "adbc, postgres: which is not shown" '^0$' "$(grep -cE 'wrong(%20| )word' <<<"$e" || true)"
    expect "adbc, postgres: wrong port" 'ERROR:  08001: server "adbc_pg": could not connect' "$(failing "BEGIN; ALTER SERVER adbc_pg OPTIONS (SET uri 'postgresql://{user}:{password}@127.0.0.1:1/shop'); SELECT count(*) FROM adbc_pg.parents")"
    expect "adbc, postgres: wrong table" 'ERROR:  HV00R: server "adbc_pg"' "$(failing "BEGIN; ALTER FOREIGN TABLE adbc_pg.parents OPTIONS (ADD table_name 'nothing'); SELECT count(*) FROM adbc_pg.parents")"
    expect "adbc, postgres: wrong column" 'ERROR:  HV005: server "adbc_pg"' "$(failing "BEGIN; ALTER FOREIGN TABLE adbc_pg.parents RENAME id TO number; SELECT number FROM adbc_pg.parents")"
    counterpart_query "CREATE TABLE IF NOT EXISTS shop.written (LIKE shop.items)"
    foreign_like local.items adbc_pg.written adbc_pg "schema_name 'shop'"
    expect "adbc, postgres: rows come back as they were written" '^0$' "$(query "INSERT INTO adbc_pg.written SELECT * FROM local.items; SELECT count(*) FROM ((SELECT * FROM local.items) EXCEPT (SELECT * FROM adbc_pg.written)) x")"
    query "ALTER FOREIGN TABLE adbc_pg.written ALTER COLUMN id OPTIONS (ADD key 'true')"
    expect "adbc, postgres: UPDATE and DELETE by key" '^UPDATE 3#DELETE 2#10\|21$' "$(said "UPDATE adbc_pg.written SET n4 = 7, v = 'changed' WHERE id IN (1, 2, 3); DELETE FROM adbc_pg.written WHERE id IN (5, 6); SELECT count(*), sum(n4) FILTER (WHERE v = 'changed') FROM adbc_pg.written" | paste -sd '#')"
    expect "adbc, postgres: an UPDATE that fails" 'ERROR:  22003: .*' "$(failing "UPDATE adbc_pg.written SET n2 = 40000 WHERE id = 1")"
    local running="SELECT count(*) FROM pg_stat_activity WHERE usename = 'weir' AND state = 'active'"
    cancelled "adbc, weir.query" "SELECT * FROM weir.query('adbc_pg', 'SELECT pg_sleep(60)::text AS s')" counterpart_query "$running"
    cancelled "adbc, weir.execute" "SELECT weir.execute('adbc_pg', 'SELECT pg_sleep(60)')" counterpart_query "$running"
    counterpart pg_stop counterpart
    expect "adbc, postgres: a server that is gone" 'ERROR:  [0-9A-Z]*: server "adbc_pg"' "$(failing "SELECT id FROM adbc_pg.parents")"
    counterpart pg_start counterpart
    expect "adbc, postgres: the next query works" '^5$' "$(failing "SELECT count(*) FROM adbc_pg.parents")"
}

test_adbc_flightsql() {
    flight_install || { report "not ok" "roapi and Sail cannot be installed"; return; }
    flight_files
    flight_start sail "$sail_port" "$flight_venv/bin/sail" flight server --ip 127.0.0.1 --port "$sail_port" || { report "not ok" "Sail starts"; return; }
    query "CREATE SERVER adbc_sail FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$adbc_dir/libadbc_driver_flightsql.so', uri 'grpc://127.0.0.1:$sail_port', dialect 'spark');
        CREATE USER MAPPING FOR CURRENT_USER SERVER adbc_sail; CREATE SCHEMA adbc_sail; CREATE SCHEMA adbc_sail_types"
    query "SELECT weir.execute('adbc_sail', 'CREATE DATABASE shop')" >/dev/null
    query "SELECT weir.execute('adbc_sail', 'CREATE TABLE shop.parents USING parquet LOCATION ''$flight_dir/parents.parquet''')" >/dev/null
    expect "adbc, flightsql: import without GetObjects" '^parents$' "$(query "IMPORT FOREIGN SCHEMA shop FROM SERVER adbc_sail INTO adbc_sail_types; SELECT relname FROM pg_class WHERE relnamespace = 'adbc_sail_types'::regnamespace")"
    expect "adbc, flightsql: rows" '^1\|one\|X$' "$(query "SELECT * FROM adbc_sail_types.parents WHERE id = 1")"
    flight_stop sail
    expect "adbc, flightsql: a server that is gone" 'ERROR:  [0-9A-Z]*: server "adbc_sail"' "$(failing "SELECT * FROM adbc_sail_types.parents")"
}

test_adbc_options() {
    local e
    query "CREATE ROLE plain_user; GRANT USAGE ON FOREIGN DATA WRAPPER weir_adbc TO plain_user"
    expect "adbc: drivers are a superuser's" 'ERROR:  42501: only superusers may set option "driver"' "$(failing "SET ROLE plain_user; CREATE SERVER x FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '/tmp/x.so')")"
    expect "adbc: no password in a uri" 'ERROR:  HV00D: invalid value for option "uri"' "$(failing "CREATE SERVER x FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '/x.so', uri 'postgresql://u:secret@h/db')")"
    query "CREATE SERVER snow FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$adbc_dir/libadbc_driver_snowflake.so', \"adbc.snowflake.sql.account\" 'acc', \"adbc.snowflake.sql.db\" 'DB', token_option 'adbc.snowflake.sql.client_option.auth_token');
        CREATE USER MAPPING FOR CURRENT_USER SERVER snow OPTIONS (user 'u', token 'secret word');
        CREATE SERVER big FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$adbc_dir/libadbc_driver_bigquery.so', \"adbc.bigquery.sql.project_id\" 'p', dialect 'backtick');
        CREATE USER MAPPING FOR CURRENT_USER SERVER big OPTIONS (\"adbc.bigquery.sql.auth_credentials\" '{}')"
    expect "adbc: no driver there" 'ERROR:  HV00D: server "snow": could not load the driver' "$(failing "SELECT * FROM weir.query('snow', 'SELECT 1')")"
    query "CREATE SERVER other FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$(ldd "$(command -v sh)" | awk '/libc\.so/ { print $3 }')'); CREATE USER MAPPING FOR CURRENT_USER SERVER other"
    expect "adbc: a library that is no driver" 'ERROR:  HV00D: server "other": could not load the driver' "$(failing "SELECT * FROM weir.query('other', 'SELECT 1')")"
    query "ALTER SERVER other OPTIONS (SET driver 'not/absolute.so')"
    expect "adbc: a path that is not absolute" 'ERROR:  HV00D: server "other": the driver.s path is not absolute' "$(failing "SELECT * FROM weir.query('other', 'SELECT 1')")"
    query "ALTER SERVER other OPTIONS (SET driver '$adbc_dir/libadbc_driver_sqlite.so', ADD \"adbc.no.such.option\" 'v'); ALTER USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (ADD \"adbc.sqlite.hidden\" 'secret word')"
    e=$(failing "SELECT * FROM weir.query('other', 'SELECT 1')")
    expect "adbc: an option that the driver does not know" 'ERROR:  08001: server "other": could not connect' "$e"
    expect "adbc: no secret in an error or a list of options" '^0$' "$({ echo "$e"; failing "SELECT * FROM weir.engines"; } | grep -c 'secret word' || true)"
}

test_adbc() {
    adbc_install || { report "not ok" "the ADBC drivers cannot be installed"; return; }
    adbc_files
    test_adbc_options
    test_adbc_sqlite
    test_adbc_duckdb
    test_adbc_postgres
    test_adbc_flightsql
    later broken_adbc
    later broken_adbc_sqlite
}
