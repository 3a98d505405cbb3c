#!/usr/bin/env bash
# shellcheck disable=SC2154 # sourced by bench/remote.sh, whose variables these are
# ClickHouse: beside curl, which decodes nothing, and its Python client.

clickhouse_timed() { curl -sS --fail -o /dev/null -w '%{time_total}\n' "http://127.0.0.1:$ch_port/?session_timezone=UTC" --data-binary "$1"; }
empty_ch() { clickhouse_sql "TRUNCATE TABLE bench.w"; }
insert_ch() { empty_ch && native insert-clickhouse "$ch_port" "$1" "$2"; }

measure_clickhouse() {
    local exact n
    clickhouse_install
    clickhouse_start
    clickhouse_sql "CREATE DATABASE bench"
    clickhouse_sql "CREATE TABLE bench.f (id Int32, n8 Int64, num Decimal(12,2), f8 Float64, v String, t String, d Date32, ts DateTime64(6)) ENGINE = MergeTree ORDER BY id"
    clickhouse_sql "CREATE TABLE bench.w (id Int32, v String) ENGINE = MergeTree ORDER BY id"
    clickhouse_sql "INSERT INTO bench.f SELECT number, number * 1000003, toDecimal64(number % 100000, 2) / 7, number / 3, concat('value ', toString(number % 1000)), lower(hex(MD5(toString(number)))), toDate32('2000-01-01') + number % 9000, toDateTime64('2000-01-01 00:00:00', 6) + number FROM numbers($rows)"
    query "CREATE SCHEMA weir_ch; CREATE SERVER weir_ch FOREIGN DATA WRAPPER weir_clickhouse OPTIONS (host '127.0.0.1', port '$ch_port', database 'bench');
        CREATE USER MAPPING FOR CURRENT_USER SERVER weir_ch OPTIONS (user 'default'); CREATE FOREIGN TABLE weir_ch.f ($columns) SERVER weir_ch; CREATE FOREIGN TABLE weir_ch.w (id int, v text) SERVER weir_ch"
    # ClickHouse's own sum of integers wraps around; what is sent is a sum of decimals, which does not.
    exact=$(pg_query $cluster $db "EXPLAIN $(of "$aggregate" weir_ch.f)" | sed -n 's/.*Remote SQL: //p')
    for _ in $(seq "$runs"); do
        read_ways ClickHouse weir_ch
        way "ClickHouse: fetch" "clickhouse-connect, Arrow batches" native clickhouse "$ch_port" "SELECT * FROM bench.f"
        way "ClickHouse: fetch" "curl, format Native, nothing decoded" clickhouse_timed "SELECT * FROM bench.f FORMAT Native"
        way "ClickHouse: aggregate pushed down" "clickhouse-connect, Arrow batches" native clickhouse "$ch_port" "$(of "$aggregate" bench.f)"
        way "ClickHouse: aggregate pushed down" "curl, format Native" clickhouse_timed "$(of "$aggregate" bench.f) FORMAT Native"
        way "ClickHouse: aggregate pushed down" "curl, format Native, the statement of pg_weir" clickhouse_timed "$exact FORMAT Native"
        # A statement for each row makes a part of the table each: not for many.
        for n in "$few" "$inserted"; do
            insert_way ClickHouse pg_weir weir_ch "$n" empty_ch
            way "ClickHouse: INSERT of $n rows" "clickhouse-connect, one batch" insert_ch "$n" batch
        done
        way "ClickHouse: INSERT of $few rows" "clickhouse-connect, row by row" insert_ch "$few" rows
    done
    memory_of ClickHouse weir_ch
    clickhouse_stop
}
