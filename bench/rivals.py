"""Times the TPC-H queries in DuckDB and DataFusion, hot, and prints `label, query, median seconds, -, rows` lines.

Usage: rivals.py DIRECTORY_OF_PARQUET DIRECTORY_OF_QUERIES RUNS
"""

import statistics
import sys
import time
from pathlib import Path

import datafusion
import duckdb

TABLES = ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"]


def timed(run, runs):
    """Median seconds of `runs` runs after one that warms up, and the number of rows."""
    rows = run()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times), rows


def report(label, run_query, queries, runs):
    for file in queries:
        sql = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))
        sql = sql.strip().rstrip(";")
        try:
            seconds, rows = timed(lambda: run_query(sql), runs)
            print(f"{label}\t{file.stem}\t{seconds:.6f}\t-\t{rows}", flush=True)
        except Exception as error:  # a rival that cannot run a query is reported as such
            print(f"{label}\t{file.stem}\tnan\terror: {str(error).splitlines()[0]}\t0", flush=True)


def duckdb_native(data):
    connection = duckdb.connect()
    for table in TABLES:
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{data}/{table}.parquet'")
    return lambda sql: len(connection.execute(sql).fetchall())


def duckdb_parquet(data):
    connection = duckdb.connect()
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM '{data}/{table}.parquet'")
    return lambda sql: len(connection.execute(sql).fetchall())


def count(batches):
    return sum(batch.num_rows for batch in batches)


def datafusion_parquet(data):
    context = datafusion.SessionContext()
    for table in TABLES:
        context.register_parquet(table, f"{data}/{table}.parquet")
    return lambda sql: count(context.sql(sql).collect())


def datafusion_memory(data):
    context = datafusion.SessionContext()
    for table in TABLES:
        source = datafusion.SessionContext().read_parquet(f"{data}/{table}.parquet")
        context.register_record_batches(table, [source.collect()])
    return lambda sql: count(context.sql(sql).collect())


def main():
    data, queries, runs = Path(sys.argv[1]), sorted(Path(sys.argv[2]).glob("*.sql")), int(sys.argv[3])
    for label, make in [
        ("duckdb", duckdb_native),
        ("duckdb-parquet", duckdb_parquet),
        ("datafusion-parquet", datafusion_parquet),
        ("datafusion-memory", datafusion_memory),
    ]:
        report(label, make(data), queries, runs)


if __name__ == "__main__":
    main()
