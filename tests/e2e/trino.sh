#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# The tests' own coordinator with Trino's protocol, and what is tested with it. Sourced by tests/e2e/remote.sh: test_trino, trino_stop.

trino_home=${WEIR_TRINO:-$HOME/.cache/pg_weir/trino}
trino_dir=$WEIR_WORK/trino
trino_port=$((WEIR_PORT + 5))
trino_tls_port=$((WEIR_PORT + 6))
trino_packages=(duckdb==2.0.0 sqlglot==30.30.0 trino==0.340.0)

# Python packages in an environment of their own.
trino_install() {
    local stamp=$trino_home/${trino_packages[*]}
    if [ -f "$stamp" ]; then return 0; fi
    python3 -c 'import ensurepip' 2>/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null 2>&1 || return 1
    rm -rf "$trino_home"
    python3 -m venv "$trino_home" && "$trino_home/bin/pip" install --quiet --disable-pip-version-check "${trino_packages[@]}" && touch "$stamp"
}

# An authority, and a certificate of its for the server.
trino_certificates() {
    (
        cd "$trino_dir" || exit
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >extensions
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=pg_weir test authority" -keyout ca.key -out authority.pem &&
            openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem &&
            openssl x509 -req -in request.pem -CA authority.pem -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out certificate.pem
    ) >"$trino_dir/openssl.log" 2>&1
}

trino_start() {
    trino_stop
    rm -rf "$trino_dir"
    mkdir -p "$trino_dir"
    trino_certificates && tls_certificates || return 1
    chmod 755 "$trino_dir"
    "$trino_home/bin/python" tests/e2e/trino_server.py "$trino_port" "$trino_tls_port" "$trino_dir/certificate.pem" "$trino_dir/key.pem" "$tls_dir/ca.pem" >"$trino_dir/log" 2>&1 &
    echo $! >"$trino_dir/pid"
    for _ in $(seq 300); do
        if [ "$(trino_asks running 2>/dev/null)" = 0 ]; then return 0; fi
        sleep 0.2
    done
    tail -n 20 "$trino_dir/log" >&2
    return 1
}

trino_stop() {
    if [ -f "$trino_dir/pid" ]; then kill "$(<"$trino_dir/pid")" 2>/dev/null || true; fi
    rm -f "$trino_dir/pid"
}

# trino_asks WHAT: what the coordinator knows for tests. trino_duckdb SQL: as DuckDB has it; "-": standard input, one statement a line.
trino_asks() { curl -sS --fail "http://127.0.0.1:$trino_port/test/$1"; }
trino_duckdb() {
    if [ "$1" = - ]; then curl -sS --fail-with-body "http://127.0.0.1:$trino_port/test/duckdb" --data-binary @-; else
        curl -sS --fail-with-body "http://127.0.0.1:$trino_port/test/duckdb" --data-binary "$1"
    fi
}

test_trino() {
    local t
    if ! trino_install; then
        report "not ok" "the packages of Trino's test server can be installed"
        return
    fi
    trino_start || { report "not ok" "Trino's test server starts"; return; }
    expect "trino: the test server is what the official client expects" '^checked$' "$("$trino_home/bin/python" tests/e2e/trino_check.py "$trino_port" "$trino_dir/authority.pem" "$trino_tls_port" 2>&1)"
    { echo "CREATE SCHEMA shop; CREATE SCHEMA tpch; USE memory.shop;"; tables real varchar timestamp timestamptz; cat tests/e2e/remote/data.sql; } | trino_duckdb -
    trino_duckdb "CREATE TABLE shop.odd (id int, \"a 'quoted\"\" name\" varchar, arr interval[], u uuid, b blob, j json, tm time, ns timestamp_ns, big decimal(38,10), neg double, t3 timestamptz);
        INSERT INTO shop.odd VALUES (1, 'v', [interval 1 day], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', from_hex('00ff5c27'), '{\"a\": [1, null]}', '23:59:59.123456', '2024-01-01', -1234567890123456789012345678.0123456789, '-Infinity', '2024-10-27 01:30:00.000001+00')"
    trino_duckdb "CREATE TABLE shop.nested (id int, ll int[][], m map(varchar, decimal(5,2)), dd decimal(9,2)[], f double[][]);
        INSERT INTO shop.nested VALUES (1, [[1, 2], [], NULL], MAP {'k': 1.50, 'é\"': NULL}, [-0.25], [[0.5]]), (2, NULL, NULL, NULL, [['nan']])"
    trino_duckdb "CREATE TABLE shop.lists (id int, i int[], f double[], t varchar[], b boolean[], d date[], ts timestamp[], u uuid[], n2 smallint[]);
        INSERT INTO shop.lists VALUES $(lists_rows | sed "s/'{}'/[]/g; s/'{/[/g; s/}'/]/g; s/\"/'/g")"
    query "CREATE SERVER trino FOREIGN DATA WRAPPER weir_trino OPTIONS (url 'http://127.0.0.1:$trino_port', catalog 'memory', session 'query_priority=2, a.b=x y', client_tags 'one,two');
        CREATE USER MAPPING FOR CURRENT_USER SERVER trino OPTIONS (user 'weir'); CREATE SCHEMA trino; CREATE SCHEMA trino_tpch"
    local notices
    notices=$(failing 'IMPORT FOREIGN SCHEMA shop FROM SERVER trino INTO trino')
    expect "trino: columns that cannot be mapped are skipped with a notice" 'column "arr" of "odd" is skipped' "$notices"
    expect "trino: nanoseconds are timestamps" '^timestamp without time zone$' "$(query "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'trino.odd'::regclass AND attname = 'ns'")"
    expect "trino: those that are whole microseconds are read" '^2024-01-01 00:00:00$' "$(query 'SELECT ns FROM trino.odd')"
    expect "trino: finer ones are errors" 'a value of column "ns" does not fit' "$(trino_duckdb "UPDATE shop.odd SET ns = '2024-01-01 00:00:00.123456789'"; failing "SELECT ns FROM trino.odd")"
    expect "trino: odd names and types" '^1\|v\|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\|\\x00ff5c27\|\{"a": \[1, null\]\}\|23:59:59.123456\|-1234567890123456789012345678.0123456789\|-Infinity\|2024-10-27 01:30:00.000001\+00$' "$(query 'SELECT id, "a '"'"'quoted"" name", u, b, j, tm, big, neg, t3 FROM trino.odd')"
    expect "trino: maps and arrays of arrays are jsonb" '^\[\[1, 2\], \[\], null\]\|\{"k": 1.50, "é\\"": null\}\|\[-0.25\]\|\[\[0.5\]\]$' "$(query "SELECT ll, m, dd, f FROM trino.nested WHERE id = 1")"
    expect "trino: NULLs of them" '^t$' "$(query "SELECT (ll, m, dd) IS NULL FROM trino.nested WHERE id = 2")"
    expect "trino: a number that JSON does not have" 'a value of column "f" does not fit' "$(failing "SELECT f FROM trino.nested WHERE id = 2")"
    expect "trino: rows of a table" '^12$' "$(query "SELECT option_value FROM pg_options_to_table((SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'trino.items'::regclass)) WHERE option_name = 'rows'")"
    expect "trino: a schema that is not there" 'has no schema "nowhere"' "$(failing 'IMPORT FOREIGN SCHEMA nowhere FROM SERVER trino INTO trino')"
    expect "trino: session properties in their header" 'query_priority=2' "$(trino_asks 'requests?header=X-Trino-Session')"
    expect "trino: who, where and what for, in headers" 'memory.*one,two.*pg_weir' "$(trino_asks 'requests?header=X-Trino-Catalog') $(trino_asks 'requests?header=X-Trino-Client-Tags') $(trino_asks 'requests?header=X-Trino-Source')"
    query "ALTER FOREIGN TABLE trino.items ALTER COLUMN c TYPE char(10), ALTER COLUMN v TYPE varchar(40);
        ALTER FOREIGN TABLE trino.parents ALTER COLUMN name TYPE varchar(20), ALTER COLUMN tag TYPE varchar(5)"
    # Products of more than 38 digits, or more than 18 in the test's own server.
    same_answers trino trino tests/e2e/remote/queries.sql local 4
    cells trino trino local items
    same_answers "trino, arrays" trino tests/e2e/remote/lists.sql local 12
    lists_written trino trino local
    sets trino trino
    trino_duckdb "CREATE TABLE shop.numbered AS SELECT range::int AS id, (range / 4)::decimal(20,4) AS free, CASE WHEN range % 100 = 50 THEN NULL ELSE range % 1000 END::int AS k, (range % 1000)::varchar AS v, (range % 1000 * 1.5)::decimal(12,2) AS n, timestamp '2024-01-01 00:00:00.25' + to_hours(range % 1000) AS ts, (range % 1000)::varchar AS c FROM range(1, 20001)"
    keys_sent trino trino schema
    expect "trino: values of parameters go with EXECUTE, the statement in a header" 'weir=SELECT%20.*%3F' "$(trino_asks 'requests?header=X-Trino-Prepared-Statement')"
    query "ALTER SERVER trino OPTIONS (ADD spooling 'false')"
    expect "trino: results without spooling" '^12\|7$' "$(query "SET weir.route = force; SELECT count(v), count(*) FILTER (WHERE flag IS NOT TRUE) FROM trino.items" | sed 's/^11|/12|/')"
    expect "trino: many pages" '^5000\|12497500$' "$(query "SELECT count(*), sum((q ->> 'range')::int) FROM weir.query('trino', 'SELECT range FROM range(5000)') q")"
    query "ALTER SERVER trino OPTIONS (SET spooling 'true')"
    expect "trino: many segments" '^5000\|12497500$' "$(query "SELECT count(*), sum((q ->> 'range')::int) FROM weir.query('trino', 'SELECT range FROM range(5000)') q")"
    expect "trino: every segment was acknowledged" '^0 of [1-9]' "$(trino_asks unacknowledged)"

    expect "trino: wrong port" 'ERROR:  08001: server "trino": could not connect' "$(failing "BEGIN; ALTER SERVER trino OPTIONS (SET url 'http://127.0.0.1:1'); SELECT count(*) FROM trino.parents")"
    expect "trino: wrong host" 'ERROR:  08001: server "trino"' "$(failing "BEGIN; ALTER SERVER trino OPTIONS (SET url 'http://no.such.host.invalid:8080'); SELECT count(*) FROM trino.parents")"
    expect "trino: an address that is none" 'ERROR:  HV00D: server "trino"' "$(failing "BEGIN; ALTER SERVER trino OPTIONS (SET url 'nonsense'); SELECT count(*) FROM trino.parents")"
    expect "trino: wrong catalog" 'ERROR:  3D000: server "trino"' "$(failing "BEGIN; ALTER SERVER trino OPTIONS (SET catalog 'nowhere'); SELECT count(*) FROM trino.parents")"
    expect "trino: wrong table" 'ERROR:  HV00R: server "trino"' "$(failing "BEGIN; ALTER FOREIGN TABLE trino.parents OPTIONS (SET table_name 'nothing'); SELECT count(*) FROM trino.parents")"
    expect "trino: wrong column" 'ERROR:  HV005: server "trino"' "$(failing "BEGIN; ALTER FOREIGN TABLE trino.parents RENAME id TO number; SELECT number FROM trino.parents")"
    expect "trino: another type" 'ERROR:  HV004: server "trino": column "name" has type varchar' "$(failing "BEGIN; ALTER FOREIGN TABLE trino.parents ALTER COLUMN name TYPE int; SELECT name FROM trino.parents")"
    expect "trino: not available for long" 'ERROR:  08006: server "trino": it is not available' "$(failing "SELECT * FROM weir.query('trino', 'SELECT 1 /* unavailable */')")"
    expect "trino: a page that is none" 'ERROR:  08P01: server "trino": could not understand the answer' "$(failing "SELECT * FROM weir.query('trino', 'SELECT 1 /* garbage-page */')")"
    expect "trino: half an answer" 'ERROR:  08P01: server "trino": could not understand the answer' "$(failing "SELECT * FROM weir.query('trino', 'SELECT 1 /* garbage-json */')")"
    expect "trino: a page that is too large" 'ERROR:  54000: server "trino": an answer is too large' "$(failing "SELECT * FROM weir.query('trino', 'SELECT 1 /* large-page */')")"
    expect "trino: a segment that is too large" 'ERROR:  54000: server "trino": an answer is too large' "$(failing "SELECT * FROM weir.query('trino', 'SELECT 1 /* large-segment */')")"
    expect "trino: a page that is not" '^\{"one": 1\}$' "$(failing "SELECT * FROM weir.query('trino', 'SELECT 1 AS one /* wide-page */')")"
    expect "trino: no answer in time" 'ERROR:  57014: server "trino": no answer within the time limit' "$(failing "BEGIN; ALTER SERVER trino OPTIONS (ADD request_timeout_ms '500'); SELECT * FROM weir.query('trino', 'SELECT count(*) FROM range(100000) a, range(1000000) b WHERE a.range + b.range = 7 /* stall */')")"
    expect "trino: the next query works" '^5$' "$(failing "SELECT count(*) FROM trino.parents")"

    query "CREATE SERVER safe FOREIGN DATA WRAPPER weir_trino OPTIONS (url 'https://localhost:$trino_tls_port', catalog 'memory', schema 'shop', ssl_ca '$trino_dir/authority.pem');
        CREATE USER MAPPING FOR CURRENT_USER SERVER safe OPTIONS (user 'weir', password 'secret word')"
    local ask="SELECT q ->> 'n' FROM weir.query('safe', 'SELECT count(*) AS n FROM parents') q"
    expect "trino: encrypted, with a password" '^5$' "$(failing "$ask")"
    expect "trino: wrong password" 'ERROR:  28000: server "safe": the credentials were refused' "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER safe OPTIONS (SET password 'wrong'); $ask")"
    expect "trino: no password" 'ERROR:  28000: server "safe": the credentials were refused' "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER safe OPTIONS (DROP password); $ask")"
    expect "trino: a certificate nobody trusts" 'ERROR:  08001: server "safe": could not connect' "$(failing "BEGIN; ALTER SERVER safe OPTIONS (DROP ssl_ca); $ask")"
    expect "trino: whose certificate is not asked" '^5$' "$(failing "BEGIN; ALTER SERVER safe OPTIONS (DROP ssl_ca, ADD ssl_mode 'required'); $ask")"
    expect "trino: a password in the clear" 'ERROR:  28000: server "safe": credentials are sent over an encrypted connection only' "$(failing "BEGIN; ALTER SERVER safe OPTIONS (SET url 'http://127.0.0.1:$trino_port'); $ask")"
    query "CREATE SERVER jwt FOREIGN DATA WRAPPER weir_trino OPTIONS (url 'http://127.0.0.1:$trino_port', catalog 'memory', schema 'shop');
        CREATE USER MAPPING FOR CURRENT_USER SERVER jwt OPTIONS (user 'token', token 'very secret token')"
    expect "trino: with a token" '^5$' "$(failing "${ask/safe/jwt}")"
    expect "trino: wrong token" 'ERROR:  28000: server "jwt": the credentials were refused' "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER jwt OPTIONS (SET token 'wrong'); ${ask/safe/jwt}")"
    tls_trino
    expect "trino: no secret in a plan or a list of options" '^0$' "$(failing "EXPLAIN (VERBOSE) SELECT * FROM trino.parents; SELECT * FROM weir.engines" | grep -cE 'secret word|very secret token' || true)"

    for t in region nation part supplier partsupp customer orders lineitem; do
        pg_client $cluster psql -X -q -d $db -c "\\copy tpch.$t TO '$out/$t.csv' CSV"
        trino_duckdb "CREATE TABLE tpch.$t ($(query "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'tpch.$t'::regclass AND attnum > 0")); COPY tpch.$t FROM '$out/$t.csv' (FORMAT csv)"
        rm -f "$out/$t.csv"
    done
    query "IMPORT FOREIGN SCHEMA tpch FROM SERVER trino INTO trino_tpch"
    # Types with a length are text there.
    query "$(query "SELECT format('ALTER FOREIGN TABLE trino_tpch.%I ALTER COLUMN %I TYPE %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'tpch'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.atttypid IN (1042, 1043)" | paste -sd ';')"
    tpch trino trino_tpch 19
    cancelled "trino, query" "SELECT count(*) FROM trino_tpch.lineitem a JOIN trino_tpch.lineitem b ON a.l_suppkey = b.l_suppkey JOIN trino_tpch.lineitem c ON c.l_suppkey = b.l_suppkey WHERE a.l_quantity * b.l_quantity > 3" trino_asks running
    cancelled "trino, weir.query" "SELECT * FROM weir.query('trino', 'SELECT count(*) FROM range(100000) a, range(1000000) b WHERE a.range + b.range = 7')" trino_asks running
    cancelled "trino, weir.execute" "SELECT weir.execute('trino', 'SELECT count(*) FROM range(100000) a, range(1000000) b WHERE a.range + b.range = 7')" trino_asks running
    as_it_is trino trino "CREATE TABLE shop.made (a integer, b varchar)"
    write_trino
    changed_trino
    local credentials="user 'weir'"
    closed_at_once trino trino trino.parents connections "$trino_port"
    kept trino trino.parents "$trino_port"
    later broken_trino
}

write_trino() {
    trino_duckdb "CREATE TABLE shop.w (id int PRIMARY KEY, n2 smallint, n4 int, n8 bigint, num decimal(12,2), big decimal(38,10), f8 double, f4 real, flag boolean, v varchar, t varchar, b blob, d date, ts timestamp, tz timestamptz, tm time, u uuid, j json, must int NOT NULL DEFAULT 7)"
    direct_tables trino trino "schema 'shop'" "id int PRIMARY KEY, n2 smallint, n4 int, n8 bigint, num numeric(12,2), big numeric(38,10), f8 double precision, f4 real, flag boolean, v varchar(40), t text, b bytea, d date, ts timestamp, tz timestamptz, tm time, u uuid, j json, must int NOT NULL DEFAULT 7"
    both trino "values at the edges of their types" "INSERT INTO @w@ VALUES
        (1, 32767, 2147483647, 9223372036854775807, 9999999999.99, 1234567890123456789012345678.0123456789, 1.7976931348623157e308, 3.4028235e38, true, 'plain', 'text', '\\x00ff275c0a', '9999-12-31', '9999-12-31 23:59:59.999999', '2037-12-31 23:59:59.999999+00', '23:59:59.999999', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\":[1,null]}'),
        (2, -32768, -2147483648, -9223372036854775808, -9999999999.99, -0.0000000001, 'NaN', '-Infinity', false, '', '', '\\x', '0001-01-01', '1000-01-01 00:00:00', '1971-01-01 00:00:00.000001+00', '00:00:00', '00000000-0000-0000-0000-000000000000', '[]'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (4, 0, 0, 0, 0.00, 0, 0.1, 0.1, NULL, E'it''s \\\\ \"quoted\" \\t\\r\\n', E'; DROP TABLE w; -- \\\\'' \\u00df\\u2028 DECIMAL ''1''', '; --', '2000-02-29', '1999-12-31 23:59:59.5', '2024-10-27 02:30:00+02', '12:34:56.789', NULL, NULL)"
    direct_rows trino
    both trino "UPDATE and DELETE by key" "UPDATE @w@ SET v = 'changed', num = num * 2 WHERE id BETWEEN 100 AND 110; DELETE FROM @w@ WHERE id BETWEEN 200 AND 450; DELETE FROM @w@ WHERE v = 'v500'; UPDATE @w@ SET t = NULL, ts = NULL WHERE id = 4"
    direct_changes trino 1100 "schema 'shop'"
    trino_duckdb "CREATE TABLE shop.uncounted AS SELECT range::int AS id, 'x' AS v FROM range(10)"
    query "CREATE FOREIGN TABLE trino_w.uncounted (id int OPTIONS (key 'true'), v text) SERVER trino OPTIONS (schema 'shop')"
    expect "trino, write: a connector that does not count" '^SET#SET#DELETE 3#UPDATE 2#DELETE 0#5$' "$(effect "DELETE FROM trino_w.uncounted WHERE id < 3; UPDATE trino_w.uncounted SET v = 'y' WHERE id > 7; DELETE FROM trino_w.uncounted WHERE v = 'z'; SELECT count(*) FROM trino_w.uncounted WHERE v = 'x'" | paste -sd '#')"
    expect "trino, write: a key that is there" 'ERROR:  [0-9A-Z]{5}: server "trino"' "$(failing "INSERT INTO trino_w.w (id) VALUES (1)")"
    expect "trino, write: a date that cannot be written" 'server "trino": a value of column "d" cannot be written' "$(failing "INSERT INTO trino_w.w (id, d) VALUES (999999, 'infinity')")"
    both trino "TRUNCATE" "TRUNCATE @w@; SELECT count(*) FROM @w@; INSERT INTO @w@ (id) VALUES (1)"
}
