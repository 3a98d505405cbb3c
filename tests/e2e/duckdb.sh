#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# DuckDB as a remote engine. Sourced by tests/e2e/remote.sh, whose functions it uses. Its counterpart is a database file that the engine itself
# opens: nothing has to be installed.

duck_dir=$WEIR_WORK/duckdb
# Named as one of its schemas is.
duck_file=$duck_dir/shop.db

# The threads of this database's engine that run at the moment.
engine_threads() {
    local pid stat running=0
    : "${engine_of:=$(query "SELECT oid FROM pg_database WHERE datname = current_database()")}"
    for pid in $(pgrep -x weir-engine); do
        [ "$(readlink "/proc/$pid/cwd")" = "$(pg_dir $cluster)/data" ] || continue
        [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") =~ pg_weir/$engine_of( |$|/) ]] || continue
        for stat in /proc/"$pid"/task/*/stat; do
            if [[ $(sed 's/^.*) //' "$stat" 2>/dev/null) == R* ]]; then running=$((running + 1)); fi
        done
    done
    echo $running
}

# weir.execute of a whole script.
duck_script() { pg_client $cluster psql -X -q -A -t -v ON_ERROR_STOP=1 -d $db -v script="$2" <<<"SELECT weir.execute('$1', :'script')" >/dev/null; }

test_duckdb() {
    rm -rf "$duck_dir"
    mkdir -m 755 "$duck_dir"
    if [ "$(id -u)" -eq 0 ]; then chown "$(pg_os_user)" "$duck_dir"; fi
    query "CREATE SERVER duck FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$duck_file'); CREATE SCHEMA duck; CREATE SCHEMA duck_tpch"
    expect "duckdb: a missing file" 'ERROR:  58P01: server "duck": there is no file' "$(failing "IMPORT FOREIGN SCHEMA main FROM SERVER duck INTO duck")"
    query "ALTER SERVER duck OPTIONS (ADD create 'true', ADD schema 'shop')"
    duck_script duck "CREATE SCHEMA shop; CREATE SCHEMA tpch; USE shop; $(tables real text timestamp timestamptz) $(<tests/e2e/remote/data.sql)" 2>"$out/use" || true
    expect "duckdb: SET and USE are out of reach" 'a statement that reaches beyond the tables' "$(<"$out/use")"
    duck_script duck "$( (tables real text timestamp timestamptz; cat tests/e2e/remote/data.sql) | sed -E 's/^(CREATE TABLE|INSERT INTO) /\1 shop.shop./')"
    duck_script duck "CREATE TYPE shop.shop.mood AS ENUM ('sad', 'ok'); CREATE TABLE shop.shop.odd (id int PRIMARY KEY, \"a 'quoted\"\" name\" varchar, m shop.shop.mood, l int[], j json, u uuid,
        b blob, h hugeint, ub ubigint, tm time, d date, ts timestamp, tz timestamptz, inf date, s interval);
        INSERT INTO shop.shop.odd VALUES (1, 'v', 'ok', [1], '{\"a\": [1, null]}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00\\xFF''', 99999999999999999999999999999999999999,
        18446744073709551615, '23:59:59.5', '0044-03-15 (BC)', 'infinity', '-infinity', '-infinity', NULL)"
    duck_script duck "CREATE TABLE shop.shop.nested (id int, m map(varchar, decimal(5,2)), ll int[][], st struct(a int, \"b c\" varchar[]), fx int[2], im map(int, boolean), d double[][]);
        INSERT INTO shop.shop.nested VALUES (1, MAP {'k': 1.50, 'é\"': NULL}, [[1, 2], [], NULL], {'a': 7, 'b c': ['x', NULL]}, [1, 2], MAP {1: true, -2: false}, [[0.1]]), (2, NULL, NULL, NULL, NULL, MAP {}, [['nan']])"
    duck_script duck "CREATE TABLE shop.shop.lists (id int, i int[], f double[], t varchar[], b boolean[], d date[], ts timestamp[], u uuid[], n2 smallint[]);
        INSERT INTO shop.shop.lists VALUES $(lists_rows | sed "s/'{}'/[]/g; s/'{/[/g; s/}'/]/g; s/\"/'/g")"
    expect "duckdb: columns that cannot be mapped are skipped with a notice" 'column "s" of "odd" is skipped' "$(failing 'IMPORT FOREIGN SCHEMA shop FROM SERVER duck INTO duck')"
    expect "duckdb: odd names and types" '^1\|v\|ok\|\{1\}\|\{"a": \[1, null\]\}\|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\|\\x00ff27\|9{38}\|18446744073709551615\|23:59:59.5\|0044-03-15 BC\|infinity\|-infinity\|-infinity$' "$(query 'SELECT * FROM duck.odd')"
    expect "duckdb: maps, lists of lists and structures are jsonb" '^\{"k": 1.50, "é\\"": null\}\|\[\[1, 2\], \[\], null\]\|\{"a": 7, "b c": \["x", null\]\}\|\[1, 2\]\|\{"1": true, "-2": false\}$' "$(query "SELECT m, ll, st, fx, im FROM duck.nested WHERE id = 1")"
    expect "duckdb: and Postgres looks into them" '^3 7 x$' "$(query "SELECT concat_ws(' ', jsonb_array_length(ll), st -> 'a', st -> 'b c' ->> 0) FROM duck.nested WHERE m ->> 'k' = '1.50'")"
    expect "duckdb: a number that JSON does not have" 'ERROR:  22000: server "duck": a value of column "d" does not fit' "$(failing "SELECT d FROM duck.nested WHERE id = 2")"
    expect "duckdb: infinity is compared" '^1$' "$(query "SELECT id FROM duck.odd WHERE inf = '-infinity' AND ts = 'infinity' AND tz < '2000-01-01'")"
    expect "duckdb: a schema that is not there" 'ERROR:  HV00P: server "duck" has no schema "nowhere"' "$(failing 'IMPORT FOREIGN SCHEMA nowhere FROM SERVER duck INTO duck')"
    query "ALTER FOREIGN TABLE duck.items ALTER COLUMN c TYPE char(10), ALTER COLUMN v TYPE varchar(40)"
    # Two of them multiply to more digits than a DECIMAL has, and than our engine has.
    same_answers duckdb duck tests/e2e/remote/queries.sql local 2
    cells duckdb duck local items
    same_answers "duckdb, arrays" duck tests/e2e/remote/lists.sql local 12
    lists_written duckdb duck local
    duck_script duck "CREATE TABLE shop.shop.numbered AS SELECT range::int AS id, (range / 4)::decimal(20,4) AS free, CASE WHEN range % 100 = 50 THEN NULL ELSE range % 1000 END::int AS k, (range % 1000)::varchar AS v, (range % 1000 * 1.5)::decimal(12,2) AS n, timestamp '2024-01-01 00:00:00.25' + to_hours(range % 1000) AS ts, (range % 1000)::varchar AS c FROM range(1, 20001)"
    keys_sent duckdb duck schema_name
    same_answers "duckdb, pushed" duck tests/e2e/remote/pushed.sql
    sets duckdb duck
    same_answers "duckdb, what decides comes first" duck tests/e2e/remote/order.sql local 7
    local moments="(1, '0044-03-15 (BC)', '0044-03-15 (BC) 12:00:00', -2147483648, 3), (2, '0001-12-31 (BC)', '0001-12-31 (BC) 00:00:00', 7, 0), (3, '0001-01-01', '0001-01-01 00:00:00', 8, 2), (4, '2024-02-29', '2024-02-29 23:59:59.999999', 9, 3),
        (5, NULL, NULL, NULL, NULL), (6, 'infinity', 'infinity', 1, 1), (7, '-infinity', '-infinity', 2, 2), (8, '9999-12-31', '9999-12-31 23:59:59.999999', 0, -1)"
    query "CREATE TABLE local.moments (id int, d date, ts timestamp, n int, m int); INSERT INTO local.moments VALUES $(sed -E "s/'([0-9-]+) \(BC\)( [0-9:]+)?'/'\1\2 BC'/g" <<<"$moments")"
    duck_script duck "CREATE TABLE shop.shop.moments (id int, d date, ts timestamp, n int, m int); INSERT INTO shop.shop.moments VALUES $moments"
    query "IMPORT FOREIGN SCHEMA shop LIMIT TO (moments) FROM SERVER duck INTO duck"
    cells "duckdb, moments" duck local moments
    local floats
    floats=$(extremes | sed -E "s/\(([0-9]+), ([^,]*, ){3}/(\1, /g")
    query "CREATE TABLE local.floats (id int, f8 float8, f4 real); INSERT INTO local.floats VALUES $floats"
    duck_script duck "CREATE TABLE shop.shop.floats (id int, f8 double, f4 real); INSERT INTO shop.shop.floats VALUES $floats"
    foreign_like local.floats duck.floats duck "schema_name 'shop'"
    cells "duckdb, floats" duck local floats
    same_answers "duckdb, dates" duck tests/e2e/remote/dates.sql local 23
    expect "duckdb: an infinite year is named" 'ERROR:  0A000: server "duck": the year of an infinite date or timestamp is infinite' "$(failing "SELECT id FROM duck.moments WHERE extract(year FROM d) = 2024")"
    expect "duckdb: wrong table" 'ERROR:  HV00R: server "duck"' "$(failing "BEGIN; ALTER FOREIGN TABLE duck.parents OPTIONS (SET table_name 'nothing'); SELECT count(*) FROM duck.parents")"
    expect "duckdb: wrong column" 'ERROR:  HV005: server "duck"' "$(failing "BEGIN; ALTER FOREIGN TABLE duck.parents RENAME id TO number; SELECT number FROM duck.parents")"
    expect "duckdb: a value that does not fit" 'a value of column "n8" does not fit its declared type' "$(failing "BEGIN; ALTER FOREIGN TABLE duck.items ALTER COLUMN n8 TYPE int; SELECT n8 FROM duck.items")"
    expect "duckdb: no database" 'ERROR:  08001: server "none": could not open the database' "$(failing "CREATE SERVER none FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$WEIR_WORK/$cluster/data/PG_VERSION'); SELECT weir.execute('none', 'SELECT 1')")"
    expect "duckdb: the next query works" '^5$' "$(failing "SELECT count(*) FROM duck.parents")"

    write_duckdb
    changed_duckdb
    duck_tpch
    local slow="SELECT count(*) FROM range(100000000000) r WHERE r.range % 7 = r.range % 11"
    cancelled "duckdb, query" "SELECT count(*) FROM duck_tpch.lineitem a JOIN duck_tpch.lineitem b ON a.l_suppkey = b.l_suppkey JOIN duck_tpch.lineitem c ON c.l_suppkey = a.l_suppkey WHERE a.l_quantity * b.l_quantity > 3 + c.l_tax" engine_threads
    cancelled "duckdb, weir.query" "SELECT * FROM weir.query('duck', '$slow')" engine_threads
    cancelled "duckdb, weir.execute" "SELECT weir.execute('duck', 'CREATE TABLE big AS $slow')" engine_threads
    as_it_is duckdb duck 'CREATE TABLE shop.shop.made (a int, b varchar(5))' shop.shop
    duck_closed
    later broken_duckdb
}

duck_tpch() {
    local t
    # A superuser's server over the same file, through which files can be read; it takes turns with the other.
    query "CREATE SERVER duck_open FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$duck_file', external_access 'true')"
    for t in region nation part supplier partsupp customer orders lineitem; do
        pg_client $cluster psql -X -q -d $db -c "\\copy tpch.$t TO '$out/$t.csv' CSV"
        query "SELECT weir.execute('duck_open', \$\$CREATE TABLE tpch.$t ($(query "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'tpch.$t'::regclass AND attnum > 0"));
            COPY tpch.$t FROM '$out/$t.csv' (FORMAT csv, HEADER false)\$\$)" >/dev/null
        rm -f "$out/$t.csv"
    done
    query "IMPORT FOREIGN SCHEMA tpch FROM SERVER duck INTO duck_tpch"
    # It has no type that is padded.
    query "DO \$\$ DECLARE c record; BEGIN
        FOR c IN SELECT attrelid::regclass::text AS t, attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
            WHERE atttypid = 'bpchar'::regtype AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'tpch'::regnamespace AND relkind = 'r') LOOP
            EXECUTE format('ALTER FOREIGN TABLE duck_%s ALTER COLUMN %I TYPE %s', c.t, c.attname, c.type);
        END LOOP; END \$\$"
    tpch duckdb duck_tpch 20
}

# Nobody gets out of the database.
duck_closed() {
    local sql
    while IFS= read -r sql; do
        [ -n "$sql" ] || continue
        expect "duckdb: refused: $sql" 'ERROR:  (42501|42601|HV00R|HV005|22023): server "duck"' "$(failing "SELECT * FROM weir.query('duck', \$\$$sql\$\$)")"
        expect "duckdb: refused to execute: $sql" 'ERROR:  (42501|HV00R|HV005|22023): server "duck"' "$(failing "SELECT weir.execute('duck', \$\$$sql\$\$)")"
    done <<<"SELECT * FROM read_text('/etc/passwd')
SELECT * FROM '/etc/passwd'
SELECT * FROM glob('/*')
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM sniff_csv('/etc/passwd')
SELECT content FROM read_text('http://127.0.0.1:1/')
SELECT 1; COPY (SELECT 1) TO '$duck_file.wal'
COPY (SELECT 1) TO '$duck_dir/out.csv'
COPY (SELECT 1) TO '$duck_file.wal'
EXPLAIN ANALYZE COPY (SELECT 1) TO '$duck_file.wal'
PREPARE p AS COPY (SELECT 1) TO '$duck_file.wal'
EXPORT DATABASE '$duck_dir/out'
ATTACH '$duck_dir/other.db'
ATTACH ':memory:' AS m
INSTALL httpfs
LOAD httpfs
SET lock_configuration = false
SET TimeZone = 'Asia/Tokyo'
PRAGMA enable_profiling
CALL enable_logging('QueryLog', storage = 'file', storage_path = '$duck_dir/log')
SELECT * FROM \"Enable_Logging\"('QueryLog', storage = 'file', storage_path = '$duck_dir/log')
CREATE PERSISTENT SECRET s (TYPE http)"
    expect "duckdb: nothing was written" '^0$' "$(find "$duck_dir" -type f ! -name 'shop.db*' | wc -l)"
    query "CREATE ROLE duckling LOGIN; GRANT USAGE ON FOREIGN DATA WRAPPER weir_duckdb TO duckling; GRANT EXECUTE ON FUNCTION weir.query(name, text), weir.execute(name, text) TO duckling"
    expect "duckdb: a file is for superusers" 'ERROR:  42501: only superusers may set option "database"' "$(failing "SET ROLE duckling; CREATE SERVER mine FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '/tmp/x')")"
    expect "duckdb: files are for superusers" 'ERROR:  42501: only superusers may set option "external_access"' "$(failing "SET ROLE duckling; CREATE SERVER mine FOREIGN DATA WRAPPER weir_duckdb OPTIONS (external_access 'true')")"
    expect "duckdb: memory is for everybody" '^\{"a": 1\}$' "$(failing "SET ROLE duckling; CREATE SERVER mine FOREIGN DATA WRAPPER weir_duckdb; SELECT weir.execute('mine', 'CREATE TABLE t AS SELECT 1 AS a'); SELECT * FROM weir.query('mine', 'SELECT * FROM t')" | tail -n 1)"
    expect "duckdb: a server that is somebody else's" 'ERROR:  42501: permission denied for foreign server duck' "$(failing "SET ROLE duckling; SELECT * FROM weir.query('duck', 'SELECT 1')")"
    query "CREATE SERVER duck_ro FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$duck_file', read_only 'true')"
    expect "duckdb: read only" 'ERROR:  25006: server "duck_ro": cannot execute the statement in a database opened for reading only' "$(failing "SELECT weir.execute('duck_ro', 'DELETE FROM shop.shop.parents')")"
    expect "duckdb: read only is read" '^\{"n": 5\}$' "$(failing "SELECT * FROM weir.query('duck_ro', 'SELECT count(*) AS n FROM shop.shop.parents')")"
    expect "duckdb: read only needs a file" 'a database in memory cannot be read only' "$(failing "CREATE SERVER none FOREIGN DATA WRAPPER weir_duckdb OPTIONS (read_only 'true'); SELECT weir.execute('none', 'SELECT 1')")"
    expect "duckdb: a relative path" 'ERROR:  HV00D: server "none": "x.db" is not an absolute path' "$(failing "CREATE SERVER none FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database 'x.db'); SELECT weir.execute('none', 'SELECT 1')")"
    expect "duckdb: memory is bounded" 'ERROR:  53200: server "tight"' "$(failing "CREATE SERVER tight FOREIGN DATA WRAPPER weir_duckdb OPTIONS (memory_limit_mb '32'); SELECT * FROM weir.query('tight', 'SELECT list(range) FROM range(100000000)')")"
}
