#!/usr/bin/env bash
# shellcheck disable=SC2154 # what remote.sh defines
# Numerics that only Postgres has: NaN, infinity, hundreds of digits. The engine computes with none of them; from one Postgres to another they travel.
# Sourced by remote.sh.

numerics_rows="(1, 'NaN', 'NaN', 'NaN', 'NaN', 1), (2, 'Infinity', 1.5, 7, 1000, 2), (3, '-Infinity', -999.99, -7, -999000, -3), (4, repeat('9', 200)::numeric, 0, repeat('8', 50)::numeric, 0, NULL),
    (5, ('0.' || repeat('0', 300) || '1')::numeric, 0.01, ('0.' || repeat('0', 49) || '1')::numeric, NULL, 5), (6, -12345678901234567890.000100, NULL, NULL, 12000, 6), (7, 0.00, 10, -0.5, -1000, 7), (8, NULL, NULL, NULL, NULL, NULL)"
numerics_table="(id int PRIMARY KEY, n numeric, p numeric(5,2), w numeric(100,50), k numeric(3,-3), i int)"

# The same query here and there, by both ways, must give the same text.
numerics_same() { # what, query with @ for the schema
    local here route
    here=$(failing "${2//@/local}")
    for route in off force; do expect_same "postgres, numerics, route $route: $1" "$here" "$(failing "SET weir.route = $route; ${2//@/pg}")"; done
}

expect_same() { # what, wanted, text
    if [ "$2" = "$3" ]; then report ok "$1"; else
        report "not ok" "$1"
        printf '#   wanted: %s\n#   got: %s\n' "$2" "$3"
    fi
}

numerics_postgres() {
    local rest="id, n::text, p::text, w::text, k::text, i"
    counterpart_query "CREATE TABLE shop.numerics $numerics_table; INSERT INTO shop.numerics VALUES $numerics_rows; CREATE TABLE shop.numerics_back (LIKE shop.numerics INCLUDING ALL)" >/dev/null
    query "CREATE TABLE local.numerics $numerics_table; INSERT INTO local.numerics VALUES $numerics_rows; IMPORT FOREIGN SCHEMA shop LIMIT TO (numerics, numerics_back) FROM SERVER pg INTO pg; CREATE TABLE numbers AS SELECT id FROM local.numerics"
    numerics_same "rows" "SELECT $rest FROM @.numerics ORDER BY id"
    numerics_same "rows without a cast" "SELECT n, p, w, k, i FROM @.numerics ORDER BY id"
    numerics_same "filters" "SELECT id FROM @.numerics WHERE n = 'NaN' OR n > 1e100 OR p = 'NaN' OR w < -5 ORDER BY id"
    numerics_same "order" "SELECT n FROM @.numerics ORDER BY n DESC NULLS LAST, id LIMIT 4"
    numerics_same "aggregates" "SELECT max(n), min(n), sum(p), sum(w) FILTER (WHERE id > 3), count(k) FROM @.numerics"
    numerics_same "averages" "SELECT avg(n) FILTER (WHERE id > 5), avg(p) FILTER (WHERE id > 1), avg(i) FROM @.numerics"
    numerics_same "groups" "SELECT k, count(*), max(w) FROM @.numerics GROUP BY k ORDER BY k NULLS FIRST"
    numerics_same "beside an ordinary table" "SELECT m.id, s.n + 1, s.p * 2 FROM numbers m JOIN @.numerics s USING (id) ORDER BY 1"
    numerics_same "a join with parameters" "SELECT (SELECT sum(s.n) FROM @.numerics s WHERE s.id <= m.id AND s.id > 3) FROM numbers m ORDER BY m.id"
    expect "postgres, numerics: ANALYZE" '^1$' "$(failing "ANALYZE pg.numerics; SELECT count(*) FROM pg_stats WHERE schemaname = 'pg' AND tablename = 'numerics' AND attname = 'n' AND null_frac > 0")"
    # A few rows are statements, many are COPY; both in a transaction of their own, of which reads are kept.
    query "INSERT INTO pg.numerics_back SELECT * FROM local.numerics"
    expect_same "postgres, numerics: written by statements" "$(query "SELECT $rest FROM local.numerics ORDER BY id")" "$(counterpart_query "SELECT $rest FROM shop.numerics_back ORDER BY id")"
    query "INSERT INTO pg.numerics_back SELECT id + 8 * j, n, p, w, k, i FROM local.numerics, generate_series(1, 5) j"
    expect_same "postgres, numerics: written by COPY" "$(query "SELECT id + 40, n::text, p::text, w::text, k::text, i FROM local.numerics ORDER BY id")" "$(counterpart_query "SELECT $rest FROM shop.numerics_back WHERE id > 40 ORDER BY id")"
    expect_same "postgres, numerics: read within the transaction that wrote" "NaN|12.50" "$(failing "BEGIN; UPDATE pg.numerics_back SET n = 'NaN', p = 12.5 WHERE id = 3; SELECT n, p FROM pg.numerics_back WHERE id = 3")"
    expect_same "postgres, numerics: RETURNING" "100|Infinity|NaN" "$(failing "INSERT INTO pg.numerics_back (id, n, p) VALUES (100, 'Infinity', 'NaN') RETURNING id, n, p")"
    expect_same "postgres, numerics: UPDATE of what Postgres computes" "-Infinity|1.00" "$(failing "UPDATE pg.numerics_back b SET n = -b.n, p = m.id FROM numbers m WHERE b.id = 100 AND m.id = 1; SELECT n, p FROM pg.numerics_back WHERE id = 100")"
    counterpart_query "DROP TABLE shop.numerics_back" >/dev/null
    # What the declared type does not hold.
    query "CREATE FOREIGN TABLE narrow (id numeric(4,1), n numeric(5,2), w numeric(52,50)) SERVER pg OPTIONS (schema_name 'shop', table_name 'numerics')"
    expect "postgres, numerics: infinity has no place in a declared type" 'a value of column "n" does not fit its declared type.*The value is Infinity: it is out of range' "$(failing "SET weir.route = off; SELECT n FROM narrow WHERE id = 2" | paste -sd ' ')"
    expect "postgres, numerics: too many digits" 'The value is -12345678901234567890.000100: it is out of range' "$(failing "SET weir.route = off; SELECT n FROM narrow WHERE id = 6")"
    expect "postgres, numerics: too many digits after the point" 'The value is 0.0+1: it has too many digits after the point' "$(failing "SET weir.route = off; SELECT n FROM narrow WHERE id = 5")"
    expect_same "postgres, numerics: what fits" "1.0|NaN
7.0|0.00" "$(failing "SET weir.route = off; SELECT id, n FROM narrow WHERE id IN (1, 7) ORDER BY id")"
}
