#!/usr/bin/env bash
# shellcheck disable=SC2154 # sourced by bench/remote.sh, whose variables these are
# DuckDB, which runs in the engine process: beside its Python package. Each writes to a file of its own, which only one process can have open.

duckdb_dir=$WEIR_WORK/bench_duckdb
empty_duck() { query "TRUNCATE weir_duck_w.w"; }
insert_duck() { native duckdb "$duckdb_dir/own.db" "CREATE OR REPLACE TABLE w (id int, v varchar)" >/dev/null && native insert-duckdb "$duckdb_dir/own.db" "$1" "$2"; }

measure_duckdb() {
    local n
    mkdir -p "$duckdb_dir"
    native duckdb "$duckdb_dir/f.db" "CREATE TABLE f AS $(duckdb_rows)" >/dev/null
    native duckdb "$duckdb_dir/w.db" "CREATE TABLE w (id int, v varchar)" >/dev/null
    if [ "$(id -u)" -eq 0 ]; then chown -R "$(pg_os_user)" "$duckdb_dir"; fi
    query "CREATE SCHEMA weir_duck; CREATE SERVER weir_duck FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$duckdb_dir/f.db', read_only 'true', schema 'main'); CREATE FOREIGN TABLE weir_duck.f ($columns) SERVER weir_duck;
        CREATE SCHEMA weir_duck_w; CREATE SERVER weir_duck_w FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$duckdb_dir/w.db', schema 'main'); CREATE FOREIGN TABLE weir_duck_w.w (id int, v text) SERVER weir_duck_w"
    for _ in $(seq "$runs"); do
        read_ways DuckDB weir_duck
        way "DuckDB: fetch" "Python, Arrow batches" native duckdb "$duckdb_dir/f.db" "SELECT * FROM f"
        way "DuckDB: aggregate pushed down" "Python, Arrow batches" native duckdb "$duckdb_dir/f.db" "$(of "$aggregate" f)"
        for n in "$few" "$inserted"; do
            insert_way DuckDB pg_weir weir_duck_w "$n" empty_duck
            way "DuckDB: INSERT of $n rows" "Python, one Arrow table" insert_duck "$n" batch
        done
        way "DuckDB: INSERT of $few rows" "Python, row by row" insert_duck "$few" rows
    done
    memory_of DuckDB weir_duck
}
