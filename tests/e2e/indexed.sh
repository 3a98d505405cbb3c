#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2016 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# What the import learns of indexes, and look-ups by them. Sourced by remote.sh.

indexed() { # label, server, schema for the import, command that runs SQL there, its rows from 1 to 50000 called i
    local label=$1 table=indexed_$1.looked
    "$4" "CREATE TABLE shop.looked (id int PRIMARY KEY, k int, t varchar(20), second int, rest int)" >/dev/null
    "$4" "INSERT INTO shop.looked SELECT i, i % 5000, concat('t', i % 5000), i % 5000, i % 5000 FROM $5" >/dev/null
    "$4" "CREATE INDEX looked_k ON shop.looked (k, second)" >/dev/null
    "$4" "CREATE INDEX looked_t ON shop.looked (t)" >/dev/null
    query "CREATE SCHEMA indexed_$label; IMPORT FOREIGN SCHEMA shop LIMIT TO (looked) FROM SERVER $2 INTO indexed_$label; ANALYZE $table;
        CREATE TABLE $3.few AS SELECT i AS id, i * 7 AS k, 't' || i * 7 AS t FROM generate_series(1, 20) i; ANALYZE $3.few" >/dev/null
    expect "$label: the import knows the key and the first columns of indexes" '^id:key=true k:indexed=true t:indexed=true$' \
        "$(query "SELECT string_agg(attname || ':' || array_to_string(attfdwoptions, ','), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$table'::regclass AND attfdwoptions IS NOT NULL")"
    looks_up "$label: an index of integers" yes "$table" "$3.few f JOIN $table l ON l.k = f.k"
    looks_up "$label: the second column of one" no "$table" "$3.few f JOIN $table l ON l.second = f.k"
    looks_up "$label: no index" no "$table" "$3.few f JOIN $table l ON l.rest = f.k"
}

looks_up() { # what, yes or no, table, FROM
    local wanted='Hash Join|Merge Join' rows
    if [ "$2" = yes ]; then wanted='Nested Loop.*[$]1'; fi
    expect "$1: is it looked up: $2" "$wanted" "$(query "SET weir.route = off; EXPLAIN SELECT count(*), sum(l.id) FROM $4" | paste -sd ' ')"
    rows=$(query "SET weir.route = off; SELECT count(*), sum(l.id) FROM $4")
    expect_same "$1: the same rows" "$(query "SET weir.route = off; SET enable_nestloop = off; SELECT count(*), sum(l.id) FROM $4")" "$rows"
}

indexed_postgres() {
    indexed postgres pg local counterpart_query "generate_series(1, 50000) i"
    local table=indexed_postgres.looked text
    looks_up "postgres: an index of text" yes "$table" "local.few f JOIN $table l ON l.t = f.t"
    # What is sent is what its index finds, whatever the locale is.
    text=$(query "SET weir.route = off; EXPLAIN SELECT l.id FROM local.few f JOIN $table l ON l.t = f.t" | sed -n "s/.*Remote SQL: //p" | sed "s/[$]1/'t7'::text/g")
    expect "postgres: its index is used" 'Index.* looked_t' "$(counterpart_query "EXPLAIN $text")"
    query "DROP TABLE local.few"
    counterpart_query "DROP TABLE shop.looked" >/dev/null
}

mariadb_shop() { mariadb_sql "$1" shop; }

indexed_mariadb() {
    indexed mariadb shop local mariadb_shop "(SELECT seq AS i FROM seq_1_to_50000) s"
    looks_up "mariadb: text, which is compared as bytes" no indexed_mariadb.looked "local.few f JOIN indexed_mariadb.looked l ON l.t = f.t"
    query "DROP TABLE local.few"
    mariadb_sql "DROP TABLE shop.looked"
}
