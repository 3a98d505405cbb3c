#!/usr/bin/env bash
# shellcheck disable=SC2154 # sourced by bench/remote.sh, whose variables these are
# A second Postgres: by weir_postgres beside postgres_fdw and psql, and by weir_adbc with its ADBC driver beside that driver in Python.

postgres_sql() { timed counterpart pg_client bench_counterpart psql -d postgres -- "SELECT 1" "$1"; }
empty_pg() { counterpart pg_query bench_counterpart postgres "TRUNCATE w"; }

measure_postgres() {
    local schema
    counterpart pg_init bench_counterpart "fsync = off" "listen_addresses = '127.0.0.1'" "autovacuum = off" "jit = off" "max_parallel_workers_per_gather = 0"
    counterpart pg_start bench_counterpart
    counterpart pg_query bench_counterpart postgres "CREATE TABLE f ($columns); CREATE TABLE w (id int PRIMARY KEY, v text);
        INSERT INTO f SELECT i, i * 1000003::bigint, (i % 100000) / 7.0, i / 3.0::float8, 'value ' || i % 1000, md5(i::text), date '2000-01-01' + i % 9000, timestamp '2000-01-01' + i * interval '1 second' FROM generate_series(1, $rows) i"
    counterpart pg_query bench_counterpart postgres "VACUUM ANALYZE f"
    query "CREATE EXTENSION postgres_fdw; CREATE SCHEMA weir_pg; CREATE SCHEMA own_pg;
        CREATE SERVER weir_pg FOREIGN DATA WRAPPER weir_postgres OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres');
        CREATE SERVER own_pg FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '$port', dbname 'postgres', fetch_size '50000', batch_size '1');
        CREATE USER MAPPING FOR CURRENT_USER SERVER weir_pg OPTIONS (user 'postgres'); CREATE USER MAPPING FOR CURRENT_USER SERVER own_pg OPTIONS (user 'postgres')"
    for schema in weir_pg own_pg; do
        query "CREATE FOREIGN TABLE $schema.f ($columns) SERVER $schema OPTIONS (schema_name 'public'); CREATE FOREIGN TABLE $schema.w (id int, v text) SERVER $schema OPTIONS (schema_name 'public')"
    done
    for _ in $(seq "$runs"); do
        read_ways Postgres weir_pg postgres_fdw own_pg
        way "Postgres: fetch" "psql, COPY in binary" postgres_sql "COPY f TO STDOUT (FORMAT binary)"
        way "Postgres: fetch" "psql, SELECT" postgres_sql "SELECT * FROM f"
        way "Postgres: aggregate pushed down" psql postgres_sql "$(of "$aggregate" f)"
        insert_way Postgres pg_weir weir_pg "$inserted" empty_pg
        insert_way Postgres "postgres_fdw, batch_size 1" own_pg "$inserted" empty_pg
        query "ALTER SERVER own_pg OPTIONS (SET batch_size '1000')"
        insert_way Postgres "postgres_fdw, batch_size 1000" own_pg "$inserted" empty_pg
        query "ALTER SERVER own_pg OPTIONS (SET batch_size '1')"
    done
    memory_of Postgres weir_pg
    measure_adbc
    counterpart pg_stop bench_counterpart
}

measure_adbc() {
    local uri="postgresql://postgres@127.0.0.1:$port/postgres"
    say "ADBC, driver for Postgres"
    adbc_install && adbc_files
    query "CREATE SCHEMA weir_adbc; CREATE SERVER weir_adbc FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$adbc_dir/libadbc_driver_postgresql.so', uri '$uri', dialect 'postgres');
        CREATE USER MAPPING FOR CURRENT_USER SERVER weir_adbc; CREATE FOREIGN TABLE weir_adbc.f ($columns) SERVER weir_adbc OPTIONS (schema_name 'public')"
    for _ in $(seq "$runs"); do
        read_ways "ADBC, driver for Postgres" weir_adbc
        way "ADBC, driver for Postgres: fetch" "the driver in Python, Arrow batches" native adbc adbc_driver_postgresql "$uri" "SELECT * FROM f"
        way "ADBC, driver for Postgres: aggregate pushed down" "the driver in Python, Arrow batches" native adbc adbc_driver_postgresql "$uri" "$(of "$aggregate" f)"
    done
    memory_of "ADBC" weir_adbc
}
