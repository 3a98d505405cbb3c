#!/usr/bin/env bash
# Remote engines against real counterparts: each query over foreign tables must answer as over local tables with the same rows, taken over as a
# whole and through foreign scans alike. Prints "ok N - what" and "not ok N - what" lines and ends with "remote test done".
# shellcheck disable=SC2030,SC2031,SC2086 # a counterpart has its own port, in a subshell; names of databases need no quotes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

# The counterparts listen on ports above WEIR_PORT, up to this many. If somebody else has one of them, others are taken.
ports=30
ports_are_free() {
    local port
    for port in $(seq $((WEIR_PORT + 1)) $((WEIR_PORT + ports))); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "# port $port is in use"
            return 1
        fi
    done
}
for _ in $(seq 20); do
    ports_are_free && break
    WEIR_PORT=$((WEIR_PORT + ports + 5))
done

# shellcheck source=tests/e2e/mariadb.sh
. tests/e2e/mariadb.sh
# shellcheck source=tests/e2e/clickhouse.sh
. tests/e2e/clickhouse.sh
# shellcheck source=tests/e2e/write.sh
. tests/e2e/write.sh
# shellcheck source=tests/e2e/returning.sh
. tests/e2e/returning.sh
# shellcheck source=tests/e2e/at_once.sh
. tests/e2e/at_once.sh
# shellcheck source=tests/e2e/indexed.sh
. tests/e2e/indexed.sh
# shellcheck source=tests/e2e/direct.sh
. tests/e2e/direct.sh
# shellcheck source=tests/e2e/flightsql.sh
. tests/e2e/flightsql.sh
# shellcheck source=tests/e2e/adbc.sh
. tests/e2e/adbc.sh
# shellcheck source=tests/e2e/duckdb.sh
. tests/e2e/duckdb.sh
# shellcheck source=tests/e2e/duckdb_write.sh
. tests/e2e/duckdb_write.sh
# shellcheck source=tests/e2e/starrocks.sh
. tests/e2e/starrocks.sh
# shellcheck source=tests/e2e/trino.sh
. tests/e2e/trino.sh
# shellcheck source=tests/e2e/push.sh
. tests/e2e/push.sh
# shellcheck source=tests/e2e/cells.sh
. tests/e2e/cells.sh
# shellcheck source=tests/e2e/broken.sh
. tests/e2e/broken.sh
# shellcheck source=tests/e2e/broken_files.sh
. tests/e2e/broken_files.sh
# shellcheck source=tests/e2e/numerics.sh
. tests/e2e/numerics.sh
# shellcheck source=tests/e2e/tls.sh
. tests/e2e/tls.sh

: "${CARGO_TARGET_DIR:=$HOME/.cache/pg_weir/target}"
cluster=remote
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

failing() { pg_client $cluster psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -d $db -c "$1" 2>&1 || true; }

cleanup() {
    proxy_stop
    pg_stop $cluster
    counterpart pg_stop counterpart
    mariadb_stop
    clickhouse_stop
    http_stranger_stop
    flight_stop own
    flight_stop front_end
    flight_stop roapi
    flight_stop adbc_roapi
    flight_stop rocks_flight
    flight_stop sail
    trino_stop
}
trap cleanup EXIT
trap 'exit 130' INT TERM

same_answers() { # label, schema, file with one query a line, schema of the same tables here, how many may fall back
    local label=$1 schema=$2 here=${4:-local} sql local_rows taken scanned asking explained wholly=0 total=0 fallbacks=0
    while IFS= read -r sql; do
        [ -n "$sql" ] || continue
        total=$((total + 1))
        answer "$schema" force "$sql" >"$out/taken" &
        asking=$!
        answer "$schema" off "$sql" >"$out/scanned" &
        asking="$asking $!"
        local_rows=$(answer "$here" off "$sql")
        # shellcheck disable=SC2086 # two of them
        wait $asking
        taken=$(<"$out/taken") scanned=$(<"$out/scanned")
        if [ "$local_rows" != "$taken" ]; then
            report "not ok" "$label, taken over: $sql"
            diff <(echo "$local_rows") <(echo "$taken") | head -n 10 | sed 's/^/#   /' || true
        elif [ "$local_rows" != "$scanned" ]; then
            report "not ok" "$label, foreign scans: $sql"
            diff <(echo "$local_rows") <(echo "$scanned") | head -n 10 | sed 's/^/#   /' || true
        else
            report ok "$label: $sql"
        fi
        explained=$(pg_client $cluster psql -X -q -A -t -v ON_ERROR_STOP=1 -d $db -c "SET search_path = $schema, public; SET weir.route = force" -c "$sql" \
            -c "SELECT 'fell back: ' || message FROM weir.last_route() WHERE fallback" -c "EXPLAIN $sql" 2>/dev/null || true)
        # What fails here has failed there first.
        case $local_rows:$explained in
            *ERROR:*) ;;
            *'fell back: '*) fallbacks=$((fallbacks + 1)) && echo "# $sql" && grep 'fell back: ' <<<"$explained" | sed 's/^/#   /' ;;
        esac
        if [ "$(grep -c 'Remote SQL' <<<"$explained" || true)" = 1 ]; then wholly=$((wholly + 1)); fi
    done <"$3"
    echo "# $label: $wholly of $total queries ask the remote once"
    if [ $fallbacks -le "${5:-0}" ]; then report ok "$label: $fallbacks queries fell back"; else report "not ok" "$label: $fallbacks queries fell back"; fi
}

# Queries that read an ordinary table, too: foreign scans, of which the planner makes joins, aggregates and look-ups of one statement.
mixed() { # label, server and schema, option of the remote schema
    same_answers "$1, mixed" "$2" tests/e2e/remote/mixed.sql
    query "ANALYZE $2.parents, $2.children, plain; CREATE FOREIGN TABLE $2.big (id int OPTIONS (key 'true'), parent int, amount numeric(8,2)) SERVER $2 OPTIONS (table_name 'children', $3 'shop', rows '10000000')"
    expect "$1, mixed: a join is one statement" 'Remote SQL: SELECT .* JOIN ' "$(query "SET search_path = $2, public; EXPLAIN SELECT m.note, c.amount FROM plain m JOIN parents p ON p.id = m.id JOIN children c ON c.parent = p.id")"
    expect "$1, mixed: an aggregate is one statement" 'Remote SQL: SELECT .* GROUP BY .*' "$(query "SET search_path = $2, public; EXPLAIN SELECT * FROM plain m JOIN (SELECT parent, count(*) FROM big GROUP BY parent HAVING count(*) > 1) s ON s.parent = m.id")"
    expect "$1, mixed: a look-up for each row" 'Remote SQL: SELECT .* WHERE .*[$]1' "$(query "SET search_path = $2, public; EXPLAIN SELECT m.note, b.amount FROM plain m JOIN big b ON b.id = m.id")"
    expect "$1, mixed: and it finds them" '^6$' "$(query "SET search_path = $2, public; SELECT count(*) FROM plain m JOIN big b ON b.parent = m.id")"
}

tables() { sed -e "s/@float4@/$1/; s/@text@/$2/; s/@timestamp@/$3/; s/@timestamptz@/$4/" tests/e2e/remote/tables.sql; }

# Rows of the table of arrays, in the spelling of Postgres.
lists_rows() {
    cat <<'SQL'
(1, '{1,2}', '{0.5,-1e300}', '{"a",NULL,"x y"}', '{true,false}', '{"2024-02-29",NULL}', '{"2024-02-29 01:02:03.000004"}', '{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}', '{1,NULL,-32768}'),
(2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(4, '{NULL,3}', '{0}', '{"","é , q"}', '{NULL}', '{"1900-01-01"}', '{"1900-01-01 00:00:00"}', '{NULL}', '{}'),
(5, '{1,2}', '{1}', '{"a",NULL,"x y"}', '{true,false}', NULL, NULL, NULL, NULL)
SQL
}

# What a remote server runs must end when nobody waits for it any more: looked up in the remote's own list.
cancelled() { # label, statement that runs long, command that counts what runs there
    local label=$1 sql=$2 seen=0 left=none time asking
    shift 2
    # A busy machine may need more than the first time-out to send the statement.
    for time in 1500 6000; do
        pg_client $cluster psql -X -q -d $db -c "SET weir.route = force" -c "SET statement_timeout = '${time}ms'" -c "$sql" >"$out/cancel" 2>&1 &
        asking=$!
        while [ "$seen" = 0 ] && kill -0 $asking 2>/dev/null; do
            sleep 0.1
            seen=$("$@")
        done
        wait $asking || true
        [ "$seen" = 0 ] || break
    done
    expect "$label: runs at the remote" '^[1-9]' "$seen"
    # By itself it would run for a minute or longer.
    for _ in $(seq 50); do
        left=$("$@")
        [ "$left" = 0 ] && break
        sleep 0.2
    done
    expect "$label: cancelled at the remote" '^0$' "$left"
    expect "$label: says so" 'canceling statement due to statement timeout' "$(<"$out/cancel")"
}

# Errors of one server that is there: what is wrong, and what is right again afterwards.
wrong() { # label, server, foreign table, option of the database
    local label=$1 server=$2 table=$3 database=$4
    expect "$label: wrong password" 'ERROR:  28000: server "'"$server" "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER $server OPTIONS (SET password 'wrong'); SELECT count(*) FROM $table")"
    expect "$label: wrong port" 'ERROR:  08001: server "'"$server"'": could not connect' "$(failing "BEGIN; ALTER SERVER $server OPTIONS (SET port '1'); SELECT count(*) FROM $table")"
    expect "$label: wrong host" 'ERROR:  08001: server "'"$server" "$(failing "BEGIN; ALTER SERVER $server OPTIONS (SET host 'no.such.host.invalid'); SELECT count(*) FROM $table")"
    [ -z "$database" ] || expect "$label: wrong database" 'ERROR:  3D000: server "'"$server" "$(failing "BEGIN; ALTER SERVER $server OPTIONS (SET $database 'nowhere'); SELECT count(*) FROM $table")"
    expect "$label: wrong table" 'ERROR:  HV00R: server "'"$server" "$(failing "BEGIN; ALTER FOREIGN TABLE $table OPTIONS (SET table_name 'nothing'); SELECT count(*) FROM $table")"
    expect "$label: wrong column" 'ERROR:  HV005: server "'"$server" "$(failing "BEGIN; ALTER FOREIGN TABLE $table RENAME id TO number; SELECT number FROM $table")"
    expect "$label: the next query works" '^5$' "$(failing "SELECT count(*) FROM $table")"
    expect "$label: no secret in a plan or a list of options" '^0$' "$(failing "EXPLAIN (VERBOSE) SELECT * FROM $table; SELECT * FROM weir.engines" | grep -c 'secret word' || true)"
}

# A second Postgres, as a counterpart.
counterpart_port=$((WEIR_PORT + 2))
counterpart() { (WEIR_PORT=$counterpart_port && WEIR_PLAIN=1 && "$@"); }
counterpart_query() { counterpart pg_query counterpart shop "$1"; }

# Started once, for whoever needs it.
counterpart_start() {
    [ -z "${counterpart_is_up:-}" ] || return 0
    counterpart pg_init counterpart "fsync = off" "listen_addresses = '127.0.0.1'" "autovacuum = off" "jit = off"
    echo "host all weir 127.0.0.1/32 scram-sha-256" | as_pg tee "$WEIR_WORK/counterpart/hba" >/dev/null
    as_pg sh -c "cat '$WEIR_WORK/counterpart/data/pg_hba.conf' >>'$WEIR_WORK/counterpart/hba' && cp '$WEIR_WORK/counterpart/hba' '$WEIR_WORK/counterpart/data/pg_hba.conf'"
    counterpart pg_start counterpart || { report "not ok" "the second Postgres starts"; return 1; }
    counterpart pg_query counterpart postgres "CREATE ROLE weir SUPERUSER LOGIN PASSWORD 'secret word'" >/dev/null
    counterpart pg_query counterpart postgres "CREATE DATABASE shop TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'" >/dev/null
    { echo "CREATE SCHEMA shop; SET search_path = shop;"; tables real text timestamp timestamptz; cat tests/e2e/remote/data.sql; } |
        counterpart pg_client counterpart psql -X -q -v ON_ERROR_STOP=1 -d shop -f -
    counterpart_query "CREATE TABLE shop.many AS SELECT id, repeat(md5(id::text), 4) AS v FROM generate_series(1, 20000) id; ALTER TABLE shop.many ADD PRIMARY KEY (id)" >/dev/null
    counterpart_is_up=1
}

test_postgres() {
    counterpart_start || return
    counterpart_query "CREATE TYPE shop.mood AS ENUM ('sad', 'ok'); CREATE TABLE shop.odd (id int PRIMARY KEY, \"a 'quoted\"\" name\" varchar(10), m shop.mood, p point, j jsonb, u uuid, n numeric);
        INSERT INTO shop.odd VALUES (1, 'v', 'ok', '(1,2)', '{\"a\": [1, null]}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1.50)"
    counterpart_query "CREATE TABLE shop.lists (id int, i int[], f float8[], t varchar(9)[], b boolean[], d date[], ts timestamp[], u uuid[], n2 smallint[]); INSERT INTO shop.lists VALUES $(lists_rows);
        CREATE TABLE shop.more_lists (id int, n numeric[], tz timestamptz[], f4 real[], n8 bigint[]); INSERT INTO shop.more_lists VALUES
        (1, '{1.50,NULL,-0.001,12345678901234567890123456789012345678901234567890}', '{2000-01-01 00:00+00}', '{1.5}', '{9223372036854775807}'), (2, '{NaN}', NULL, '[0:0]={1}', '{{1,2}}')"
    query "CREATE SERVER pg FOREIGN DATA WRAPPER weir_postgres OPTIONS (host '127.0.0.1', port '$counterpart_port', dbname 'shop');
        CREATE USER MAPPING FOR CURRENT_USER SERVER pg OPTIONS (user 'weir', password 'secret word'); CREATE SCHEMA pg; CREATE SCHEMA remote_tpch"
    expect "postgres: columns that cannot be mapped are skipped with a notice" 'column "p" of "odd" is skipped' "$(failing 'IMPORT FOREIGN SCHEMA shop FROM SERVER pg INTO pg')"
    expect "postgres: odd names and types" '^1\|v\|ok\|\{"a": \[1, null\]\}\|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\|1.50$' "$(query 'SELECT * FROM pg.odd')"
    counterpart_query "CREATE TABLE shop.moods (id int PRIMARY KEY, ms shop.mood[]); INSERT INTO shop.moods VALUES (1, '{ok,NULL,sad}'), (2, '{}'), (3, NULL), (4, '{sad}')"
    # The order of the labels is another one here.
    query "CREATE TYPE feeling AS ENUM ('ok', 'sad'); CREATE FOREIGN TABLE pg.moods (id int OPTIONS (key 'true'), ms feeling[]) SERVER pg OPTIONS (schema_name 'shop')"
    expect "postgres: arrays of an enum" '^1:\{ok,NULL,sad\},4:\{sad\},2:\{\},3:-$' "$(query "SELECT string_agg(id || ':' || coalesce(ms::text, '-'), ',' ORDER BY cardinality(ms) DESC NULLS LAST) FROM pg.moods")"
    expect "postgres: the order of arrays of an enum is that of the local one" '^\{ok,NULL,sad\} \{sad\} 2,1,4,3 1 4$' \
        "$(query "SELECT min(ms) FILTER (WHERE ms <> '{}'), max(ms), string_agg(id::text, ',' ORDER BY ms), count(*) FILTER (WHERE ms < '{sad}' AND ms > '{}'), count(DISTINCT coalesce(ms, '{NULL}')) FROM pg.moods" | tr '|' ' ')"
    expect "postgres: equality of arrays of an enum" '^1,4$' "$(query "SELECT string_agg(id::text, ',' ORDER BY id) FROM pg.moods WHERE ms = '{sad}' OR 'ok' = ANY (ms)")"
    expect "postgres: written arrays of an enum" '^\{sad,NULL,ok\}\|\{sad,ok\}$' \
        "$(query "INSERT INTO pg.moods VALUES (5, '{sad,NULL,ok}'); UPDATE pg.moods SET ms = ms || 'ok'::feeling WHERE id = 4; SELECT (SELECT ms FROM pg.moods WHERE id = 5), (SELECT ms FROM pg.moods WHERE id = 4)")"
    same_answers postgres pg tests/e2e/remote/queries.sql
    same_answers "postgres, arrays" pg tests/e2e/remote/lists.sql local 12
    cells postgres pg local items
    local columns="id int, d date, ts timestamp, tz timestamptz, f8 float8, f4 real"
    query "CREATE TABLE local.extremes ($columns); INSERT INTO local.extremes VALUES $(extremes)"
    counterpart_query "CREATE TABLE shop.extremes ($columns); INSERT INTO shop.extremes VALUES $(extremes)"
    foreign_like local.extremes pg.extremes pg "schema_name 'shop'"
    cells "postgres, extremes" pg local extremes
    expect "postgres: arrays of other types" '^\{1.50,NULL,-0.001,12345678901234567890123456789012345678901234567890\}\|\{"1999-12-31 19:00:00-05"\}\|\{1.5\}\|\{9223372036854775807\}$' "$(query "SET timezone = 'America/New_York'; SELECT n, tz, f4, n8 FROM pg.more_lists WHERE id = 1")"
    expect "postgres: an array of two dimensions" 'ERROR:  22000: server "pg": a value of column "n8" does not fit' "$(failing "SELECT id, n8 FROM pg.more_lists WHERE id = 2")"
    expect "postgres: an array that begins elsewhere" 'The value is an array that begins at 0: only arrays that begin at 1 are read' "$(failing "SELECT id, f4 FROM pg.more_lists WHERE id = 2")"
    expect "postgres: a number in an array that is none" 'The value is NaN' "$(failing "SELECT id, n FROM pg.more_lists WHERE id = 2")"
    lists_written postgres pg local
    query "INSERT INTO pg.more_lists VALUES (3, '{1.50,-0.001,NaN}', '{infinity,2000-01-01 00:00+00}', '{1e-40,NULL}', '{-9223372036854775808}')"
    expect "postgres: written arrays of other types" '^\{1.50,-0.001,NaN\}\|t\|\{1e-40,NULL\}$' "$(counterpart_query "SELECT n, tz = '{infinity,2000-01-01 00:00+00}', f4 FROM shop.more_lists WHERE id = 3")"
    expect "postgres: an array of two dimensions is not written" 'Only arrays of one dimension that begin at 1 can be sent' "$(failing "INSERT INTO pg.more_lists (id, n8) VALUES (4, '{{1,2}}')")"
    counterpart_query "DELETE FROM shop.more_lists WHERE id > 2"
    local join
    for join in "mirrored m LEFT JOIN children c" "children c RIGHT JOIN mirrored m"; do
        expect "postgres: a condition about the side that is filled is asked there: $join" 'Remote SQL: SELECT .* WHERE .*amount.* > ' \
            "$(query "SET search_path = pg, public; SET weir.route = force; EXPLAIN SELECT m.note, c.id FROM $join ON c.parent = m.id AND c.amount > 5")"
    done
    expect "postgres: not that of a full join" 'Remote SQL: SELECT [^>]*$' \
        "$(query "SET search_path = pg, public; SET weir.route = force; EXPLAIN SELECT m.note, c.id FROM mirrored m FULL JOIN children c ON c.parent = m.id AND c.amount > 5" | grep 'Remote SQL')"
    mixed postgres pg schema_name
    same_answers "postgres, what decides comes first" pg tests/e2e/remote/order.sql local 7
    pushed postgres pg
    apart postgres pg schema_name counterpart_query
    at_once_postgres
    counterpart_query "CREATE TABLE shop.numbered AS SELECT id, id / 4.0 AS free, CASE WHEN id % 100 = 50 THEN NULL ELSE id % 1000 END AS k, (id % 1000)::varchar(20) AS v, (id % 1000 * 1.5)::numeric(12,2) AS n,
        timestamp '2024-01-01 00:00:00.25' + id % 1000 * interval '1 hour' AS ts, (id % 1000)::char(5) AS c FROM generate_series(1, 20000) id"
    keys_sent postgres pg schema_name
    wrong postgres pg pg.parents dbname
    "$CARGO_TARGET_DIR/release/weir-bench" tpch-load --scale 0.01 --schema tpch --fk-indexes --conn "host=$(pg_sock counterpart) port=$counterpart_port user=postgres dbname=shop" >/dev/null 2>&1
    query "IMPORT FOREIGN SCHEMA tpch FROM SERVER pg INTO remote_tpch"
    tpch postgres remote_tpch 22
    local running="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_weir' AND state = 'active'"
    cancelled "postgres, query" "SELECT count(*) FROM remote_tpch.lineitem a JOIN remote_tpch.lineitem b ON a.l_suppkey = b.l_suppkey WHERE a.l_quantity * b.l_quantity > 3" counterpart_query "$running"
    cancelled "postgres, weir.query" "SELECT * FROM weir.query('pg', 'SELECT pg_sleep(60)')" counterpart_query "$running"
    cancelled "postgres, weir.execute" "SELECT weir.execute('pg', 'SELECT pg_sleep(60)')" counterpart_query "$running"
    as_it_is postgres pg
    postgres_as_it_is
    write_postgres
    indexed_postgres
    changed_postgres
    numerics_postgres
    later broken_postgres
    tls_postgres
    query "CREATE ROLE somebody LOGIN; GRANT USAGE ON FOREIGN SERVER pg TO somebody; GRANT USAGE ON SCHEMA pg TO somebody; GRANT SELECT ON ALL TABLES IN SCHEMA pg TO somebody;
        CREATE USER MAPPING FOR somebody SERVER pg OPTIONS (user 'postgres', password 'any')"
    expect "postgres: a server that asks for no password lets nobody in who is no superuser" 'ERROR:  28000: server "pg": the remote server did not ask for the password' "$(failing "SET ROLE somebody; SELECT count(*) FROM pg.parents")"
    query "ALTER USER MAPPING FOR somebody SERVER pg OPTIONS (SET user 'weir', SET password 'secret word')"
    expect "postgres: one that does is open" '^5$' "$(failing "SET ROLE somebody; SELECT count(*) FROM pg.parents")"
    query "ALTER USER MAPPING FOR somebody SERVER pg OPTIONS (DROP password)"
    expect "postgres: a mapping without a password" 'ERROR:  28000: server "pg": a password is required' "$(failing "SET ROLE somebody; SELECT count(*) FROM pg.parents")"
    counterpart_socket
    # A leaky filter of the reader must not run before the view's own: at the remote nobody says which comes first.
    query "CREATE VIEW own AS SELECT * FROM pg.parents WHERE id <> 3; ALTER VIEW own SET (security_barrier); GRANT SELECT ON own TO somebody"
    expect "postgres: a security barrier holds back what leaks" '^5\|five$' "$(failing "SET ROLE somebody; SELECT id, name FROM own WHERE 10 / (id - 3) > 4 AND id > 3")"
    expect "postgres: a view is read as its owner" '^4$' "$(failing "SET ROLE somebody; SELECT count(*) FROM own")"
    expect "postgres: weir.query is not for everybody" 'ERROR:  42501: permission denied for function query' "$(failing "SET ROLE somebody; SELECT * FROM weir.query('pg', 'SELECT 1')")"
}

# What is no query that can stand in FROM, or does not end where one does.
postgres_as_it_is() {
    local sql
    for sql in 'SELECT 1 AS a;' 'SELECT 1 AS a; ' 'SELECT 1 AS a -- the end' 'SELECT 1 AS a; -- the end' 'SELECT 1 AS a /* the end; */ ;' 'VALUES (1)' 'TABLE shop.one' \
        'INSERT INTO shop.one VALUES (2) RETURNING 1 AS a' 'WITH w AS (UPDATE shop.one SET a = a + 0 RETURNING a) SELECT min(a) AS a FROM w'; do
        expect "postgres: weir.query: $sql" '^1$' "$(failing "SELECT weir.execute('pg', 'DROP TABLE IF EXISTS shop.one'), weir.execute('pg', 'CREATE TABLE shop.one AS SELECT 1 AS a');
            SELECT value FROM weir.query('pg', '$sql') q, jsonb_each(q) WHERE key IN ('a', 'column1')" | tail -n 1)"
    done
    expect "postgres: weir.query: SHOW" '^{"TimeZone": "UTC"}$' "$(failing "SELECT * FROM weir.query('pg', 'SHOW timezone')")"
    expect "postgres: weir.query: EXPLAIN" 'Seq Scan on one' "$(failing "SELECT * FROM weir.query('pg', 'EXPLAIN SELECT * FROM shop.one;')")"
    expect "postgres: weir.query: values of a statement by itself are those of a query" '^t$' "$(failing "SELECT weir.execute('pg', 'DROP TABLE shop.one; CREATE TABLE shop.one (b boolean, i int, n numeric, f float8, t text, d date, ts timestamp, tz timestamptz, j jsonb, u uuid, x text)');
        CREATE TEMP TABLE made AS SELECT * FROM weir.query('pg', 'INSERT INTO shop.one VALUES (true, -1, 0.10, ''NaN'', E''q\"\\\\\n'', ''2024-02-29'', ''2024-02-29 01:02:03.5'', ''2024-02-29 01:02:03+02'', ''{\"k\": [1, null]}'', ''a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'', NULL) RETURNING *') q;
        SELECT made.q::text = t.q::text FROM made, weir.query('pg', 'TABLE shop.one') t(q)" | tail -n 1)"
    expect "postgres: weir.query: a statement without rows" 'ERROR:  0A000: server "pg": the statement returns no rows HINT:  weir.execute' "$(failing "SELECT * FROM weir.query('pg', 'DROP TABLE shop.one')" | paste -sd ' ')"
    expect "postgres: weir.query: two statements" 'ERROR:  42601: server "pg": cannot insert multiple commands' "$(failing "SELECT * FROM weir.query('pg', 'SELECT 1; DROP TABLE shop.one')")"
    expect "postgres: weir.query: what closes the parenthesis around it" 'ERROR:  42601: server "pg": syntax error' "$(failing "SELECT * FROM weir.query('pg', 'SELECT 1) AS q; DROP TABLE shop.one; SELECT (1')")"
    expect "postgres: weir.query: its table is still there" '^1$' "$(failing "SELECT weir.execute('pg', 'DROP TABLE shop.one')" | grep -c . || true)"
}

# Over the Unix socket of the second Postgres, which lets everybody in.
counterpart_socket() {
    query "CREATE SERVER pg_socket FOREIGN DATA WRAPPER weir_postgres OPTIONS (host '$(pg_sock counterpart)', port '$counterpart_port', dbname 'shop', sslmode 'verify-full');
        CREATE USER MAPPING FOR CURRENT_USER SERVER pg_socket OPTIONS (user 'postgres'); CREATE USER MAPPING FOR somebody SERVER pg_socket OPTIONS (user 'postgres');
        CREATE FOREIGN TABLE pg_over_socket (id int, name varchar(20)) SERVER pg_socket OPTIONS (schema_name 'shop', table_name 'parents'); GRANT SELECT ON pg_over_socket TO somebody"
    expect "postgres: over a Unix socket" '^5$' "$(failing "SELECT count(*) FROM pg_over_socket")"
    cancelled "postgres, over a Unix socket" "SELECT * FROM weir.query('pg_socket', 'SELECT pg_sleep(60)')" counterpart_query "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_weir' AND state = 'active'"
    expect "postgres: a socket lets nobody in who is no superuser, without a password" 'ERROR:  28000: server "pg_socket": a password is required' "$(failing "SET ROLE somebody; SELECT count(*) FROM pg_over_socket")"
    query "ALTER USER MAPPING FOR somebody SERVER pg_socket OPTIONS (ADD password 'any')"
    expect "postgres: nor with one that it does not ask for" 'ERROR:  28000: server "pg_socket": the remote server did not ask for the password' "$(failing "SET ROLE somebody; SELECT count(*) FROM pg_over_socket")"
    expect "postgres: a socket that is not there" 'ERROR:  08001: server "pg_socket": could not connect' "$(failing "BEGIN; ALTER SERVER pg_socket OPTIONS (SET port '1'); SELECT count(*) FROM pg_over_socket")"
}

# Over the Unix socket of MariaDB, which knows the user of the operating system that runs Postgres.
mariadb_socket() {
    local user
    user=$(pg_os_user)
    mariadb_sql "CREATE USER $user@localhost IDENTIFIED VIA unix_socket; GRANT SELECT ON shop.* TO $user@localhost; CREATE USER IF NOT EXISTS weir@localhost IDENTIFIED BY 'secret word'; GRANT ALL ON *.* TO weir@localhost"
    query "CREATE ROLE someone LOGIN; CREATE SERVER shop_socket FOREIGN DATA WRAPPER weir_mysql OPTIONS (host 'localhost', socket '$maria_dir/s', database 'shop'); GRANT USAGE ON FOREIGN SERVER shop_socket TO someone;
        CREATE USER MAPPING FOR CURRENT_USER SERVER shop_socket OPTIONS (user '$user'); CREATE USER MAPPING FOR someone SERVER shop_socket OPTIONS (user '$user');
        CREATE FOREIGN TABLE my_over_socket (id int, name varchar(20)) SERVER shop_socket OPTIONS (table_name 'parents'); GRANT SELECT ON my_over_socket TO someone"
    expect "mariadb: over a Unix socket, as the user of the operating system" '^5$' "$(failing "SELECT count(*) FROM my_over_socket")"
    expect "mariadb: a socket lets nobody in who is no superuser, without a password" 'ERROR:  28000: server "shop_socket": a password is required' "$(failing "SET ROLE someone; SELECT count(*) FROM my_over_socket")"
    query "ALTER USER MAPPING FOR someone SERVER shop_socket OPTIONS (ADD password 'any')"
    expect "mariadb: nor with one that it does not ask for" 'ERROR:  28000: server "shop_socket": the remote server did not ask for the password' "$(failing "SET ROLE someone; SELECT count(*) FROM my_over_socket")"
    query "ALTER USER MAPPING FOR someone SERVER shop_socket OPTIONS (SET user 'weir', SET password 'secret word')"
    expect "mariadb: with one that it asks for" '^5$' "$(failing "SET ROLE someone; SELECT count(*) FROM my_over_socket")"
    expect "mariadb: only superusers name a socket" 'ERROR:  42501' "$(failing "GRANT USAGE ON FOREIGN DATA WRAPPER weir_mysql TO someone; SET ROLE someone; CREATE SERVER somewhere FOREIGN DATA WRAPPER weir_mysql OPTIONS (host 'localhost', socket '$maria_dir/s')")"
}

# SQL that is sent as it is.
as_it_is() { # label, server, statement that makes a table, its schema
    local made=${3:-CREATE TABLE shop.made (a int, b varchar(5))}
    expect "$1: weir.execute" '^2$' "$(failing "SELECT weir.execute('$2', '$made'); SELECT weir.execute('$2', 'INSERT INTO ${4:-shop}.made VALUES (1, ''x''), (2, NULL)')" | tail -n 1)"
    expect "$1: weir.query" '^\{"a": 1, "b": "x"\}\|\{"a": 2, "b": null\}$' "$(failing "SELECT string_agg(q::text, '|' ORDER BY q ->> 'a') FROM weir.query('$2', 'SELECT a, b FROM ${4:-shop}.made') q")"
    expect "$1: weir.query of nonsense" 'ERROR:  [0-9A-Z]*: server "'"$2" "$(failing "SELECT * FROM weir.query('$2', 'SELEKT')")"
}

# All queries, of which so many at least are one statement; of each other the plan says why.
tpch() { # label, schema, how many
    local label=$1 schema=$2 sql text here there plan pushed=0
    for sql in bench/tpch/q*.sql; do
        text=$(<"$sql")
        here=$(answer tpch off "$text")
        there=$(answer "$schema" force "$text")
        if [ "$here" = "$there" ]; then report ok "$label: $(basename "$sql")"; else
            report "not ok" "$label: $(basename "$sql")"
            diff <(echo "$here") <(echo "$there") | head -n 6 | sed 's/^/#   /' || true
        fi
        plan=$(pg_client $cluster psql -X -q -A -t -d $db -c "SET search_path = $schema; SET weir.route = force" -c "EXPLAIN (VERBOSE, COSTS OFF) $(grep -v '^--' "$sql")" 2>/dev/null || true)
        if [ "$(grep -c 'Remote SQL' <<<"$plan" || true)" = 1 ]; then pushed=$((pushed + 1)); else
            expect "$label: why $(basename "$sql") is not one statement" 'Not Pushed: [a-z -]+: .' "$plan"
            grep 'Not Pushed' <<<"$plan" | sed "s/^ */# $label: $(basename "$sql"): /"
        fi
    done
    echo "# $label: $pushed of 22 TPC-H queries are pushed as one statement"
    if [ $pushed -ge "$3" ]; then report ok "$label: $3 of 22 TPC-H queries are pushed as one statement"; else report "not ok" "$label: $3 of 22 TPC-H queries are pushed as one statement"; fi
}

test_mariadb() {
    if ! mariadb_install; then
        report "not ok" "MariaDB cannot be installed"
        return
    fi
    tls_certificates || true
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
    cells mariadb shop local items
    mixed mariadb shop database
    pushed mariadb shop
    apart mariadb shop database mariadb_sql
    mariadb_sql "CREATE TABLE numbered AS SELECT seq AS id, seq / 4 AS free, CASE WHEN seq % 100 = 50 THEN NULL ELSE seq % 1000 END AS k, CAST(seq % 1000 AS CHAR(20)) AS v,
        CAST(seq % 1000 * 1.5 AS DECIMAL(12,2)) AS n, TIMESTAMP('2024-01-01 00:00:00.25') + INTERVAL seq % 1000 HOUR AS ts, CAST(seq % 1000 AS CHAR(5)) AS c FROM seq_1_to_20000" shop
    keys_sent mariadb shop database
    wrong mariadb shop shop.parents database
    local t
    for t in region nation part supplier partsupp customer orders lineitem; do
        mariadb_sql "CREATE TABLE $t ($(query "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'tpch.$t'::regclass AND attnum > 0"))" tpch
        pg_client $cluster psql -X -q -d $db -c "\\copy tpch.$t TO '$out/$t.csv' CSV"
        mariadb_sql "LOAD DATA LOCAL INFILE '$out/$t.csv' INTO TABLE $t CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'" tpch
        rm -f "$out/$t.csv"
    done
    mariadb_sql "CREATE INDEX l ON lineitem (l_orderkey); CREATE INDEX l2 ON lineitem (l_partkey, l_suppkey); CREATE INDEX o ON orders (o_orderkey); CREATE INDEX o2 ON orders (o_custkey);
        CREATE INDEX c ON customer (c_custkey); CREATE INDEX ps ON partsupp (ps_partkey, ps_suppkey); CREATE INDEX p ON part (p_partkey); CREATE INDEX s ON supplier (s_suppkey)" tpch
    query "IMPORT FOREIGN SCHEMA tpch FROM SERVER shop INTO shop_tpch"
    tpch mariadb shop_tpch 20
    local running="SELECT count(*) FROM information_schema.processlist WHERE user = 'weir' AND command <> 'Sleep'"
    cancelled "mariadb, query" "SELECT count(*) FROM shop_tpch.lineitem a JOIN shop_tpch.lineitem b ON a.l_suppkey = b.l_suppkey WHERE a.l_quantity * b.l_quantity > 3" mariadb_sql "$running"
    cancelled "mariadb, weir.query" "SELECT * FROM weir.query('shop', 'SELECT SLEEP(60)')" mariadb_sql "$running"
    cancelled "mariadb, weir.execute" "SELECT weir.execute('shop', 'DO SLEEP(60)')" mariadb_sql "$running"
    as_it_is mariadb shop
    mariadb_socket
    write_mariadb
    indexed_mariadb
    changed_mariadb
    later broken_mariadb
    tls_mariadb
    mariadb_sql "CREATE TABLE bad (id int, d date, v varchar(20)); SET sql_mode=''; INSERT INTO bad VALUES (1, '0000-00-00', 'x'), (2, '2024-01-01', 'too long for it')" shop
    query "CREATE FOREIGN TABLE bad (id int, d date, v varchar(5)) SERVER shop"
    expect "mariadb: a date that is none" 'ERROR:  22000: server "shop": a value of column "d" does not fit' "$(failing "SELECT id, d FROM bad")"
    expect "mariadb: text that is too long" 'The value is too long for it: it is too long' "$(failing "SELECT v FROM bad")"
    expect "mariadb: what fits is read" '^1,2$' "$(failing "SELECT string_agg(id::text, ',' ORDER BY id) FROM bad")"
}

# A database of its own, with the local tables and the extension.
database() { # name
    db=$1
    pg_query $cluster postgres "CREATE DATABASE $db TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
    query "CREATE EXTENSION pg_weir" >/dev/null
    query "CREATE SCHEMA local"
    { echo "SET search_path = local;"; tables real text timestamp timestamptz; cat tests/e2e/remote/data.sql; } | pg_client $cluster psql -X -q -v ON_ERROR_STOP=1 -d $db -f -
    query "CREATE TABLE local.lists (id int, i int[], f float8[], t text[], b boolean[], d date[], ts timestamp[], u uuid[], n2 smallint[]); INSERT INTO local.lists VALUES $(lists_rows)"
    query "CREATE TABLE mirrored AS SELECT id, 'note ' || id AS note FROM generate_series(1, 6) id; ALTER TABLE mirrored ADD PRIMARY KEY (id); CREATE TABLE plain AS SELECT * FROM mirrored"
    query "SELECT weir.mirror('mirrored')" >/dev/null
    query "SELECT weir.sync()" >/dev/null
    "$CARGO_TARGET_DIR/release/weir-bench" tpch-load --scale 0.01 --schema tpch --fk-indexes --conn "host=$(pg_sock $cluster) port=$WEIR_PORT user=postgres dbname=$db" >/dev/null
}

# Tests that wait more than they work run side by side, when all else of their group is done: `later` notes one, `now` runs them.
waiting=()
later() { waiting+=("$*"); }
now() {
    local test n=0 pids=() pid
    for test in "${waiting[@]}"; do
        n=$((n + 1))
        # shellcheck disable=SC2086 # a function and its arguments
        $test >"$out/later.$n" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || echo "not ok 0 - a test broke off"; done
    for n in $(seq ${#waiting[@]}); do cat "$out/later.$n"; done
    waiting=()
}

# Some engines, one after the other, in a database of their own.
group() { # name, engines
    local engine started
    out=$out/$1
    mkdir -p "$out"
    database "remote_$1"
    shift
    for engine in "$@"; do
        started=$SECONDS
        "test_$engine"
        echo "# $engine took $((SECONDS - started)) s"
    done
    started=$SECONDS
    now
    echo "# what had waited took $((SECONDS - started)) s"
    echo "group done"
}

# What shares a counterpart, or a port, is in one group; groups run side by side.
groups=("one mariadb starrocks flight" "two postgres roapi sail adbc" "three clickhouse trino duckdb")

mkdir -p "$out"
scripts/setup.sh remote
tls_certificates || true
pg_init $cluster "fsync = off" "autovacuum = off" "jit = off" "max_worker_processes = 32"
pg_start $cluster
if [ $# -gt 0 ]; then groups=("some $*"); fi
running=()
for g in "${groups[@]}"; do
    # shellcheck disable=SC2086 # a name and engines
    (group $g) >"$out/${g%% *}.log" 2>&1 &
    running+=($!)
done
for i in "${!groups[@]}"; do
    log=$out/${groups[$i]%% *}.log
    wait "${running[$i]}" || true
    grep -q '^group done$' "$log" || echo "not ok 0 - the tests of ${groups[$i]} ran to their end" >>"$log"
done
# Numbered as if they had run one after the other.
for g in "${groups[@]}"; do cat "$out/${g%% *}.log"; done | awk '/^ok [0-9]+ - / {sub(/^ok [0-9]+/, "ok " ++n)} /^not ok [0-9]+ - / {sub(/^not ok [0-9]+/, "not ok " ++n)} {print}' | grep -v '^group done$'
echo "remote test done"
