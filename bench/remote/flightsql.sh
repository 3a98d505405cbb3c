#!/usr/bin/env bash
# shellcheck disable=SC2154 # sourced by bench/remote.sh, whose variables these are
# A Flight SQL server (roapi, over a Parquet file): beside the ADBC driver for Flight SQL in Python.

measure_flightsql() {
    local uri="grpc://127.0.0.1:$roapi_port" who="ADBC driver in Python, Arrow batches"
    # DataFusion's sum of integers wraps around: the dialect has none, and the columns are fetched.
    local aggregated="aggregate over fetched columns (sums of integers are not pushed)"
    flight_install
    mkdir -p "$flight_dir"
    rm -f "$flight_dir/f.parquet"
    native duckdb :memory: "COPY ($(duckdb_rows)) TO '$flight_dir/f.parquet' (FORMAT parquet)" >/dev/null
    flight_start roapi "$roapi_port" "$flight_venv/bin/roapi" --addr-http "127.0.0.1:$((WEIR_PORT + 12))" --addr-postgres "127.0.0.1:$((WEIR_PORT + 13))" \
        --addr-flight-sql "127.0.0.1:$roapi_port" --table "f=$flight_dir/f.parquet"
    query "CREATE SCHEMA weir_flight; CREATE SERVER weir_flight FOREIGN DATA WRAPPER weir_flightsql OPTIONS (host '127.0.0.1', port '$roapi_port', dialect 'datafusion');
        CREATE USER MAPPING FOR CURRENT_USER SERVER weir_flight; CREATE FOREIGN TABLE weir_flight.f ($columns) SERVER weir_flight OPTIONS (schema_name 'public')"
    for _ in $(seq "$runs"); do
        read_ways "Flight SQL (roapi)" weir_flight
        way "Flight SQL (roapi): fetch" "$who" native adbc adbc_driver_flightsql "$uri" "SELECT * FROM f"
        way "Flight SQL (roapi): $aggregated" "$who" native adbc adbc_driver_flightsql "$uri" "$(of "$aggregate" f)"
    done
    memory_of "Flight SQL" weir_flight
    flight_stop roapi
    rm -f "$flight_dir/f.parquet"
}
