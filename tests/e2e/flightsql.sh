#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# Flight SQL servers as counterparts: roapi (DataFusion) and Sail (Spark's SQL), both from PyPI, over Parquet files with the rows of the local
# tables. Sourced by tests/e2e/remote.sh.

flight_venv=$HOME/.cache/pg_weir/flightsql
flight_dir=$WEIR_WORK/flightsql
roapi_port=$((WEIR_PORT + 10))
sail_port=$((WEIR_PORT + 11))

# The servers, in a directory of their own; "done" is written when all is there.
flight_install() {
    local wanted="roapi==0.12.7 pysail==0.7.2 pyarrow==26.0.1"
    [ "$(cat "$flight_venv/done" 2>/dev/null)" = "$wanted" ] && return 0
    command -v python3 >/dev/null || { [ "$(id -u)" -eq 0 ] && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null 2>&1; }
    rm -rf "$flight_venv"
    # shellcheck disable=SC2086 # a list of packages
    { python3 -m venv "$flight_venv" && "$flight_venv/bin/pip" install --quiet --disable-pip-version-check $wanted; } >"$out/flight-install.log" 2>&1 || return 1
    echo "$wanted" >"$flight_venv/done"
}

# A local table as a Parquet file, character(n) without its padding.
parquet_of() { # schema, table, file
    local columns selected
    columns=$(query "SELECT string_agg(attname || ':' || CASE WHEN typname = 'numeric' THEN format('decimal(%s,%s)', (atttypmod - 4) >> 16, (atttypmod - 4) & 65535)
        WHEN typname IN ('varchar', 'bpchar') THEN 'text' ELSE typname END, ' ' ORDER BY attnum) FROM pg_attribute JOIN pg_type t ON t.oid = atttypid WHERE attrelid = '$1.$2'::regclass AND attnum > 0")
    selected=$(query "SELECT string_agg(CASE WHEN atttypid = 'bpchar'::regtype THEN attname || '::text' ELSE attname END, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$1.$2'::regclass AND attnum > 0")
    pg_client $cluster psql -X -q -d $db -c "SET timezone = 'UTC'" -c "\\copy (SELECT $selected FROM $1.$2) TO '$3.csv' CSV FORCE QUOTE *"
    # shellcheck disable=SC2086 # a list of columns
    "$flight_venv/bin/python" tests/e2e/remote/to_parquet.py "$3.csv" "$3" $columns
    rm -f "$3.csv"
}

# A foreign table in the types of a local one.
foreign_like() { # local table, foreign table, server, options
    query "CREATE FOREIGN TABLE $2 ($(query "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$1'::regclass AND attnum > 0")) SERVER $3 OPTIONS ($4)"
}

flight_stop() { # name
    local pid
    pid=$(cat "$flight_dir/$1.pid" 2>/dev/null || true)
    rm -f "$flight_dir/$1.pid"
    [ -n "$pid" ] || return 0
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

flight_start() { # name, port, command...
    local name=$1 port=$2
    shift 2
    # Sail puts its files where it is started.
    (cd "$flight_dir" && exec "$@") >"$flight_dir/$name.log" 2>&1 &
    echo $! >"$flight_dir/$name.pid"
    for _ in $(seq 300); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
        sleep 0.2
    done
    tail -n 20 "$flight_dir/$name.log" >&2
    return 1
}

flight_files() {
    [ -e "$flight_dir/done" ] && return 0
    mkdir -p "$flight_dir"
    local t
    for t in items parents children; do parquet_of local $t "$flight_dir/$t.parquet"; done
    for t in region nation part supplier partsupp customer orders lineitem; do parquet_of tpch $t "$flight_dir/$t.parquet"; done
    touch "$flight_dir/done"
}

# Errors of a server that knows no password.
wrong_arrow() { # label, server, foreign table, a port where something else answers
    local label=$1 server=$2 table=$3
    expect "$label: wrong port" 'ERROR:  08001: server "'"$server"'": could not connect' "$(failing "BEGIN; ALTER SERVER $server OPTIONS (SET port '1'); SELECT count(*) FROM $table")"
    expect "$label: wrong host" 'ERROR:  08001: server "'"$server" "$(failing "BEGIN; ALTER SERVER $server OPTIONS (SET host 'no.such.host.invalid'); SELECT count(*) FROM $table")"
    expect "$label: no TLS there" 'ERROR:  08001: server "'"$server" "$(failing "BEGIN; ALTER SERVER $server OPTIONS (ADD tls 'verify_full'); SELECT count(*) FROM $table")"
    expect "$label: not Flight" 'ERROR:  (08|0A)[0-9]*: server "'"$server" "$(failing "BEGIN; ALTER SERVER $server OPTIONS (SET port '$4'); SELECT count(*) FROM $table")"
    expect "$label: wrong table" 'ERROR:  HV[0-9A-Z]*: server "'"$server" "$(failing "BEGIN; ALTER FOREIGN TABLE $table OPTIONS (SET table_name 'nothing'); SELECT count(*) FROM $table")"
    expect "$label: wrong column" 'ERROR:  HV[0-9A-Z]*: server "'"$server" "$(failing "BEGIN; ALTER FOREIGN TABLE $table RENAME id TO number; SELECT number FROM $table")"
    expect "$label: wrong type" 'a value of column "name" does not fit' "$(failing "BEGIN; ALTER FOREIGN TABLE $table ALTER COLUMN name TYPE date; SELECT name FROM $table")"
    expect "$label: the next query works" '^5$' "$(failing "SELECT count(*) FROM $table")"
}

# A server of our own: what the others lack (authentication, TLS, results in parts and places, everything that can go wrong with a result).
test_flight() {
    local port=$((WEIR_PORT + 7)) server="$CARGO_TARGET_DIR/release/weir-flight"
    mkdir -p "$flight_dir"
    flight_start own "$port" "$server" --port "$port" --second $((WEIR_PORT + 8)) --user weir --password 'secret word' || { report "not ok" "the Flight SQL server starts"; return; }
    query "CREATE SERVER flight FOREIGN DATA WRAPPER weir_flightsql OPTIONS (host '127.0.0.1', port '$port');
        CREATE USER MAPPING FOR CURRENT_USER SERVER flight OPTIONS (user 'weir', password 'secret word'); CREATE SCHEMA flight"
    expect "flight: import by GetTables" '^broken,changed,endless,forbidden,garbage,numbers,slow,stalled$' \
        "$(query "IMPORT FOREIGN SCHEMA shop FROM SERVER flight INTO flight; SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'flight'::regnamespace")"
    expect "flight: keys" '^id$' "$(query "SELECT attname FROM pg_attribute WHERE attrelid = 'flight.numbers'::regclass AND attfdwoptions @> '{key=true}'")"
    expect "flight: a schema that is not there" 'ERROR:  HV00P: server "flight" has no schema "nowhere"' "$(failing "IMPORT FOREIGN SCHEMA nowhere FROM SERVER flight INTO flight")"
    expect "flight: all parts of a result, also in another place" '^100000\|4999950000\|75000\|3$' "$(failing "SELECT count(id), sum(id::bigint), count(word), count(DISTINCT word) FROM (SELECT * FROM flight.numbers OFFSET 0) n")"
    local e
    e=$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER flight OPTIONS (SET password 'wrong word'); SELECT id FROM flight.numbers")
    expect "flight: wrong password" 'ERROR:  28000: server "flight": wrong user or password' "$e"
    expect "flight: wrong token" 'ERROR:  28000: server "flight": who are you' "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER flight OPTIONS (ADD token 'wrong word'); SELECT id FROM flight.numbers")"
    expect "flight: a token" '^99999$' "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER flight OPTIONS (ADD token 'given by the handshake'); SELECT max(id) FROM (SELECT * FROM flight.numbers OFFSET 0) n")"
    expect "flight: no right" 'ERROR:  42501: server "flight": not for you' "$(failing "SELECT id FROM flight.forbidden")"
    expect "flight: a result that breaks off" 'ERROR:  HV000: server "flight": the disk is gone' "$(failing "SELECT id FROM flight.broken")"
    expect "flight: garbage" 'ERROR:  [0-9A-Z]*: server "flight": could not understand the answer' "$(failing "SELECT id FROM flight.garbage")"
    expect "flight: another type than declared" 'a value of column "id" does not fit' "$(failing "BEGIN; ALTER FOREIGN TABLE flight.changed ALTER COLUMN id TYPE int; SELECT id FROM flight.changed")"
    expect "flight: a result that stalls" 'ERROR:  57014: server "flight": no answer within the time limit' "$(failing "BEGIN; ALTER SERVER flight OPTIONS (ADD request_timeout_ms '500'); SELECT id FROM flight.stalled")"
    expect "flight: a LIMIT ends a result without end" '^100$' "$(failing "SELECT count(*) FROM (SELECT id FROM flight.endless WHERE word <> 'none' LIMIT 100) n")"
    cancelled "flight, query" "SELECT sum(id) FROM flight.slow" flight_counts running
    cancelled "flight, weir.query" "SELECT count(*) FROM weir.query('flight', 'SELECT \"id\" FROM \"slow\"')" flight_counts running
    expect "flight: the server was told" '^[1-9]' "$(flight_counts cancelled)"
    query "CREATE FOREIGN TABLE flight.made (id int, n numeric(8,2), v text, d date, ts timestamptz, b bytea) SERVER flight OPTIONS (schema_name 'shop')"
    expect "flight: rows are taken as Arrow" '^10000\|1.50\|5000\|2024-02-29$' "$(query "INSERT INTO flight.made SELECT i, 1.50, CASE WHEN i % 2 = 0 THEN 'it''s ' || i END, '2024-02-29', '2024-02-29 12:34:56.789012+00', '\\x00ff' FROM generate_series(1, 10000) i;
        SELECT count(id), max(n), count(v), min(d) FROM (SELECT * FROM flight.made OFFSET 0) m")"
    expect "flight: as they were" '^2\|1.50\|it.s 2\|2024-02-29\|t\|\\x00ff$' "$(query "SELECT id, n, v, d, ts = '2024-02-29 12:34:56.789012+00', b FROM flight.made WHERE id = 2 OFFSET 0")"
    expect "flight: a value that has no plain form" 'ERROR:  22000: server "flight": a value of column "d" cannot be written' "$(failing "INSERT INTO flight.made (id, d) VALUES (1, 'infinity')")"
    expect "flight: weir.execute" '^7$' "$(failing "SELECT weir.execute('flight', 'DELETE')")"
    flight_stop own
    expect "flight: gone" 'ERROR:  08[0-9]*: server "flight"' "$(failing "SELECT id FROM flight.numbers")"
    flight_start own "$port" "$server" --port "$port" --second $((WEIR_PORT + 8)) --token 'secret word' --prepared
    query "ALTER USER MAPPING FOR CURRENT_USER SERVER flight OPTIONS (DROP user, DROP password, ADD token 'secret word')"
    expect "flight: prepared statements where there are no others" '^99999$' "$(failing "SELECT max(id) FROM (SELECT * FROM flight.numbers OFFSET 0) n")"
    flight_stop own
    flight_certificates || { report "not ok" "no certificates"; return; }
    flight_start own "$port" "$server" --port "$port" --second $((WEIR_PORT + 8)) --token 'secret word' --certificate "$flight_dir/server.pem" --key "$flight_dir/server.key"
    expect "flight: encrypted there, not here" 'ERROR:  08[0-9]*: server "flight"' "$(failing "SELECT id FROM flight.numbers")"
    query "ALTER SERVER flight OPTIONS (ADD tls 'verify_full')"
    expect "flight: a certificate that nobody trusts" 'ERROR:  08001: server "flight": could not connect' "$(failing "SELECT id FROM flight.numbers")"
    query "ALTER SERVER flight OPTIONS (ADD tls_ca '$flight_dir/ca.pem')"
    expect "flight: TLS" '^99999$' "$(failing "SELECT max(id) FROM (SELECT * FROM flight.numbers OFFSET 0) n")"
    expect "flight: another name than in the certificate" 'ERROR:  08001: server "flight": could not connect' "$(failing "BEGIN; ALTER SERVER flight OPTIONS (ADD tls_name 'other.example'); SELECT id FROM flight.numbers")"
    flight_stop own
    tls_certificates || { report "not ok" "flight: certificates can be made"; return; }
    flight_start own "$port" "$server" --port "$port" --second $((WEIR_PORT + 8)) --token 'secret word' --certificate "$flight_dir/server.pem" --key "$flight_dir/server.key" --client-ca "$tls_dir/ca.pem"
    tls_flight "$port"
    flight_stop own
}

flight_counts() { # running or cancelled
    query "SELECT q ->> '$1' FROM weir.query('flight', 'SELECT \"$1\" FROM \"counts\"') q"
}

# A certificate for 127.0.0.1, and the authority that signed it.
flight_certificates() {
    command -v openssl >/dev/null || { [ "$(id -u)" -eq 0 ] && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssl >/dev/null 2>&1; }
    (
        cd "$flight_dir"
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=weir-ca -keyout ca.key -out ca.pem &&
            openssl req -newkey rsa:2048 -nodes -subj /CN=weir -keyout server.key -out server.csr &&
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile <(echo "subjectAltName=IP:127.0.0.1") -out server.pem
    ) >"$flight_dir/certificates.log" 2>&1 && chmod 644 "$flight_dir"/*.pem
}

test_roapi() {
    flight_install || { report "not ok" "roapi and Sail cannot be installed"; return; }
    flight_files
    local tables=() t
    for t in items parents children; do tables+=(--table "$t=$flight_dir/$t.parquet"); done
    for t in region nation part supplier partsupp customer orders lineitem; do tables+=(--table "tpch_$t=$flight_dir/$t.parquet"); done
    flight_start roapi "$roapi_port" "$flight_venv/bin/roapi" --addr-http "127.0.0.1:$((WEIR_PORT + 12))" --addr-postgres "127.0.0.1:$((WEIR_PORT + 13))" \
        --addr-flight-sql "127.0.0.1:$roapi_port" "${tables[@]}" || { report "not ok" "roapi starts"; return; }
    query "CREATE SERVER roapi FOREIGN DATA WRAPPER weir_flightsql OPTIONS (host '127.0.0.1', port '$roapi_port', dialect 'datafusion');
        CREATE USER MAPPING FOR CURRENT_USER SERVER roapi; CREATE SCHEMA roapi; CREATE SCHEMA roapi_types; CREATE SCHEMA roapi_tpch"
    query "IMPORT FOREIGN SCHEMA public LIMIT TO (items) FROM SERVER roapi INTO roapi_types"
    expect "roapi: types" '^integer,smallint,integer,bigint,numeric\(12,2\),numeric\(30,10\),double precision,real,boolean,text,text,text,date,timestamp without time zone,timestamp with time zone$' \
        "$(query "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'roapi_types.items'::regclass AND attnum > 0")"
    expect "roapi: a schema that is not there" 'ERROR:  HV00P: server "roapi" has no schema "nowhere"' "$(failing "IMPORT FOREIGN SCHEMA nowhere FROM SERVER roapi INTO roapi_types")"
    for t in items parents children; do foreign_like local.$t roapi.$t roapi "schema_name 'public', table_name '$t'"; done
    # Products of many digits are not computed there, nor in the engine. Every third query, for time.
    grep -v '[*] big' tests/e2e/remote/queries.sql | awk 'NR % 3 == 1' >"$out/queries.sql"
    same_answers roapi roapi "$out/queries.sql"
    cells roapi roapi local items
    # Nothing is known of it: less is sent, and the answers are the same.
    query "ALTER SERVER roapi OPTIONS (SET dialect 'generic')"
    same_answers "roapi, generic dialect" roapi tests/e2e/remote/queries_few.sql
    cells "roapi, generic dialect" roapi local items
    query "ALTER SERVER roapi OPTIONS (SET dialect 'datafusion')"
    wrong_arrow roapi roapi roapi.parents $((WEIR_PORT + 5))
    for t in region nation part supplier partsupp customer orders lineitem; do foreign_like tpch.$t roapi_tpch.$t roapi "schema_name 'public', table_name 'tpch_$t'"; done
    tpch roapi roapi_tpch 11
    expect "roapi: weir.query" '^\{"a": 1, "b": "x"\}$' "$(failing "SELECT q::text FROM weir.query('roapi', 'SELECT 1 AS a, ''x'' AS b') q")"
    expect "roapi: weir.query of nonsense" 'ERROR:  [0-9A-Z]*: server "roapi"' "$(failing "SELECT * FROM weir.query('roapi', 'SELEKT')")"
    flight_stop roapi
    expect "roapi: a server that is gone" 'ERROR:  08[0-9]*: server "roapi"' "$(failing "SELECT count(*) FROM roapi.parents")"
    flight_start roapi "$roapi_port" "$flight_venv/bin/roapi" --addr-http "127.0.0.1:$((WEIR_PORT + 12))" --addr-postgres "127.0.0.1:$((WEIR_PORT + 13))" \
        --addr-flight-sql "127.0.0.1:$roapi_port" "${tables[@]}"
    expect "roapi: and back" '^5$' "$(failing "SELECT count(*) FROM roapi.parents")"
    flight_stop roapi
    later broken_roapi
}

test_sail() {
    flight_install || { report "not ok" "roapi and Sail cannot be installed"; return; }
    flight_files
    flight_start sail "$sail_port" "$flight_venv/bin/sail" flight server --ip 127.0.0.1 --port "$sail_port" || { report "not ok" "Sail starts"; return; }
    query "CREATE SERVER sail FOREIGN DATA WRAPPER weir_flightsql OPTIONS (host '127.0.0.1', port '$sail_port', dialect 'spark');
        CREATE USER MAPPING FOR CURRENT_USER SERVER sail; CREATE SCHEMA sail; CREATE SCHEMA sail_types"
    local t
    query "SELECT weir.execute('sail', 'CREATE DATABASE shop')" >/dev/null
    for t in items parents children; do query "SELECT weir.execute('sail', 'CREATE TABLE shop.$t USING parquet LOCATION ''$flight_dir/$t.parquet''')" >/dev/null; done
    expect "sail: import without GetTables" '^children,items,parents$' "$(query "IMPORT FOREIGN SCHEMA shop FROM SERVER sail INTO sail_types; SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'sail_types'::regnamespace")"
    for t in items parents children; do foreign_like local.$t sail.$t sail "schema_name 'shop', table_name '$t'"; done
    same_answers sail sail tests/e2e/remote/queries_few.sql
    cells sail sail local items
    wrong_arrow sail sail sail.parents 1
    expect "sail: statements as they are" '^\{"id": 1, "name": "x"\}$' "$(query "SELECT weir.execute('sail', 'CREATE TABLE shop.made (id int, name string)'); SELECT weir.execute('sail', 'INSERT INTO shop.made VALUES (1, ''x'')'); SELECT q::text FROM weir.query('sail', 'SELECT * FROM shop.made') q" | tail -n 1)"
    query "CREATE FOREIGN TABLE sail.made (id int, name text) SERVER sail OPTIONS (schema_name 'shop')"
    expect "sail: rows as SQL" '^3\|it.s \$\{x\} \\ .$' "$(query "INSERT INTO sail.made VALUES (2, NULL), (3, E'it''s \${x} \\\\ é'); SELECT * FROM sail.made WHERE id = 3")"
    rm -rf "$flight_dir/kept"
    query "SELECT weir.execute('sail', 'CREATE TABLE shop.kept (id int, v string) USING delta LOCATION ''$flight_dir/kept''')" >/dev/null
    query "CREATE FOREIGN TABLE sail.kept (id int OPTIONS (key 'true'), v text) SERVER sail OPTIONS (schema_name 'shop')"
    expect "sail: UPDATE and DELETE by key" '^INSERT 0 3#UPDATE 2#DELETE 1#1:x,3:x$' "$(said "INSERT INTO sail.kept VALUES (1, 'a'), (2, 'b'), (3, 'c'); UPDATE sail.kept SET v = 'x' WHERE id <> 2; DELETE FROM sail.kept WHERE id = 2; SELECT string_agg(id || ':' || v, ',' ORDER BY id) FROM sail.kept" | paste -sd '#')"
    flight_stop sail
}
