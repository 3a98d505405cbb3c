#!/usr/bin/env bash
# UPDATE and DELETE that the remote server does by itself, as one statement. Sourced by remote.sh, after write.sh, whose tables are used.
# shellcheck disable=SC2154 # what remote.sh defines

shown() { # label, what, wanted, statement
    expect "$1, at once: $2" "$3" "$(query "SET timezone = 'UTC'; EXPLAIN (COSTS off) $4" | paste -sd ' ')"
}

at_once() { # label
    local label=$1 t=${1}_w.w
    both "$label" "at once, rows to begin with" "TRUNCATE @w@; INSERT INTO @w@ (id, n2, n4, n8, num, v, t, d) SELECT i, i, i * 10, i * 100, i / 4.0, 'v' || i, CASE WHEN i % 3 > 0 THEN 't' || i % 5 END, date '2024-01-01' + i FROM generate_series(1, 200) i"
    shown "$label" "EXPLAIN shows an UPDATE" '^Update on [^ ]*w( w)? +->  Foreign Update on [^ ]*w( w)? +Remote Server: [^ ]* +Remote SQL: UPDATE [^?]*$' "UPDATE $t SET n4 = n4 + 1 WHERE id < 10"
    shown "$label" "EXPLAIN shows a DELETE" 'Foreign Delete on .* Remote SQL: DELETE [^?]*$' "DELETE FROM $t WHERE id < 10"
    shown "$label" "a function that only Postgres knows" 'Remote SQL: UPDATE .*[?]' "UPDATE $t SET v = md5(random()::text) WHERE id < 10"
    shown "$label" "a condition that only Postgres knows" 'Remote SQL: DELETE .*[?]' "DELETE FROM $t WHERE random() < 2"
    shown "$label" "rows that are returned" 'Remote SQL: DELETE .*[?]' "DELETE FROM $t WHERE id < 10 RETURNING id"
    both "$label" "at once, UPDATE of some, of none, of all" "UPDATE @w@ SET n4 = n4 + 1 WHERE id BETWEEN 10 AND 19; UPDATE @w@ SET n4 = 5 WHERE id = -1; UPDATE @w@ SET n8 = n8 - 7"
    both "$label" "at once, a row that stays as it is counts" "UPDATE @w@ SET v = 'same' WHERE id = 3; UPDATE @w@ SET v = 'same' WHERE id IN (3, 4)"
    both "$label" "at once, NULLs and constants of all types" "UPDATE @w@ SET n2 = NULL, num = 1.25, big = -0.0000000001, f8 = 0.1, flag = true, v = E'it''s \\\\ x', t = '', b = '\\x00ff', d = '0001-01-01', ts = '2024-02-29 12:34:56.789012', tm = '12:34:56' WHERE id = 5"
    both "$label" "at once, what meets NULL" "UPDATE @w@ SET n2 = n2 + 1::smallint, n4 = n4 * 2, n8 = n8 + 1 WHERE t IS NULL"
    both "$label" "at once, columns that change each other" "UPDATE @w@ SET n4 = n4 + 1, n8 = n8 + 1 WHERE id = 6; UPDATE @w@ SET n4 = n8::int, n8 = n4 WHERE id = 7; UPDATE @w@ SET id = id + 1000, n4 = n4 + id WHERE id = 8"
    both "$label" "at once, an integer that becomes too large" "UPDATE @w@ SET n4 = 2147483647 WHERE id = 9; UPDATE @w@ SET n4 = n4 + 1 WHERE id BETWEEN 9 AND 12; SELECT n4 FROM @w@ WHERE id BETWEEN 9 AND 12 ORDER BY id"
    both "$label" "at once, or too small" "UPDATE @w@ SET n2 = -32768 WHERE id = 9; UPDATE @w@ SET n2 = n2 - 1::smallint WHERE id = 9; UPDATE @w@ SET n8 = -9223372036854775808 WHERE id = 9; UPDATE @w@ SET n8 = n8 - 1::bigint WHERE id = 9"
    both "$label" "at once, decimals and text are rounded and cut as they should be" "UPDATE @w@ SET num = num * 1.115 WHERE id BETWEEN 20 AND 40; UPDATE @w@ SET v = v || 'x' WHERE id BETWEEN 20 AND 40; UPDATE @w@ SET v = repeat('x', 41) WHERE id = 20"
    both "$label" "at once, parameters" "PREPARE p (int, int, text) AS UPDATE @w@ SET n4 = n4 + \$1, v = \$3 WHERE id = \$2; SET plan_cache_mode = force_generic_plan; EXECUTE p (5, 50, 'a'); EXECUTE p (NULL, 51, 'b'); EXECUTE p (7, NULL, 'c'); PREPARE q (int) AS DELETE FROM @w@ WHERE id = \$1; EXECUTE q (52); EXECUTE q (52)"
    both "$label" "at once, a stable function" "UPDATE @w@ SET d = current_date, n4 = length(current_setting('timezone')) WHERE d < current_date - 100 AND id = 53; SELECT d = current_date FROM @w@ WHERE id = 53"
    both "$label" "at once, a subquery whose value is known" "UPDATE @w@ SET n4 = (SELECT max(id) FROM plain) WHERE id = (SELECT max(id) + 50 FROM plain)"
    both "$label" "at once, after rows of the same transaction" "BEGIN; INSERT INTO @w@ (id, n4) VALUES (5001, 1), (5002, 2); UPDATE @w@ SET n4 = n4 + 1 WHERE id > 5000; SELECT id, n4 FROM @w@ WHERE id > 5000 ORDER BY id; DELETE FROM @w@ WHERE n4 = 3; SELECT id FROM @w@ WHERE id > 5000; ROLLBACK; SELECT count(*) FROM @w@ WHERE id > 5000"
    both "$label" "at once, DELETE" "DELETE FROM @w@ WHERE t = 't1'; DELETE FROM @w@ WHERE n4 IS NULL AND id < 3; DELETE FROM @w@ WHERE id % 2 = 0 AND id > 150; DELETE FROM @w@; SELECT count(*) FROM @w@"
    expect "$label, at once: EXPLAIN ANALYZE counts" 'Foreign Delete on .* rows=3( |\.00 )' "$(query "INSERT INTO $t (id) VALUES (1), (2), (3); EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DELETE FROM $t WHERE id < 10")"
}

# Connections of one server after what it says of itself has changed: those that wait are closed, at once.
# credentials: those of the server's mapping, if they are not the usual ones.
closed_at_once() { # label, server, table, command that counts idle connections at the remote
    local label=$1 server=$2 table=$3 what before mapping=${credentials:-"user 'weir', password 'secret word'"}
    shift 3
    local changes=("ALTER SERVER $server OPTIONS (ADD connect_timeout_ms '9000')" "ALTER SERVER $server OPTIONS (DROP connect_timeout_ms)"
        "ALTER USER MAPPING FOR CURRENT_USER SERVER $server OPTIONS (SET ${mapping##*, })" "SELECT weir.refresh('$server') > 0")
    for what in "${changes[@]}"; do
        failing "SELECT count(*) FROM $table" >/dev/null
        before=$("$@")
        query "$what" >/dev/null
        # Idle connections are kept for minutes.
        for _ in $(seq 50); do
            [ "$("$@")" = 0 ] && break
            sleep 0.1
        done
        expect "$label, closed at once: ${what%% OPTIONS*}" '^[1-9][0-9]* 0$' "$before $("$@")"
    done
    # What is dropped with them, of a server like this one.
    query "$(query "SELECT format('CREATE SERVER gone_$server FOREIGN DATA WRAPPER %s OPTIONS (%s)', w.fdwname, (SELECT string_agg(format('%s %L', option_name, option_value), ', ') FROM pg_options_to_table(s.srvoptions)))
        FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE s.srvname = '$server'")"
    query "SELECT weir.refresh()" >/dev/null
    for what in "DROP USER MAPPING FOR CURRENT_USER SERVER gone_$server" "DROP SERVER gone_$server CASCADE"; do
        query "CREATE USER MAPPING FOR CURRENT_USER SERVER gone_$server OPTIONS ($mapping); CREATE SCHEMA gone_$server"
        query "IMPORT FOREIGN SCHEMA shop LIMIT TO (parents) FROM SERVER gone_$server INTO gone_$server; SELECT count(*) FROM gone_$server.parents; DROP SCHEMA gone_$server CASCADE" >/dev/null
        before=$("$@")
        query "$what" >/dev/null
        for _ in $(seq 50); do
            [ "$("$@")" = 0 ] && break
            sleep 0.1
        done
        expect "$label, closed at once: ${what%%[ _]$server*}" '^[1-9][0-9]* 0$' "$before $("$@")"
    done
    failing "ALTER SERVER $server OPTIONS (ADD idle_timeout_ms '1000')" >/dev/null
    failing "SELECT count(*) FROM $table" >/dev/null
    before=$("$@")
    for _ in $(seq 50); do
        [ "$("$@")" = 0 ] && break
        sleep 0.1
    done
    expect "$label, closed when nobody has used it for as long as the server's option says" '^[1-9][0-9]* 0$' "$before $("$@")"
    query "ALTER SERVER $server OPTIONS (DROP idle_timeout_ms)"
    expect "$label, closed at once: the next query works" '^5$' "$(failing "SELECT count(*) FROM $table")"
    failing "BEGIN; ALTER SERVER $server OPTIONS (ADD connect_timeout_ms '9000'); ROLLBACK" >/dev/null
    expect "$label, closed at once: not by what is rolled back" '^[1-9]' "$("$@")"
    expect "$label, closed at once: not for everybody" 'ERROR:  42501: permission denied for function refresh' "$(failing "SET ROLE pg_read_all_data; SELECT weir.refresh()")"
}

# Local ports of what is connected to a port of this machine: the client's ends. connections PORT: how many there are.
ends() { awk -v port="$(printf '%04X' "$1")" '$4 == "01" && $3 ~ ":" port "$" { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp | sort; }
connections() { ends "$1" | wc -l; }

# Connections over HTTP, which were closed after two seconds once.
kept() { # label, table, port
    local label=$1 table=$2 before
    query "SELECT weir.refresh()" >/dev/null
    failing "SELECT count(*) FROM $table" >/dev/null
    before=$(ends "$3")
    sleep 5
    expect "$label: a connection stays when nobody uses it" "^([0-9A-F]+) \\1$" "$(echo $before $(ends "$3"))"
    expect "$label: and the next query works" '^5$' "$(failing "SELECT count(*) FROM $table")"
}
