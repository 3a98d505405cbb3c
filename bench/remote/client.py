"""Runs one statement, or inserts rows one by one, by an engine's own Python client, and prints the seconds that took.

Usage: client.py clickhouse PORT STATEMENT          its rows are read as Arrow batches
       client.py duckdb FILE STATEMENT              likewise
       client.py adbc MODULE URI STATEMENT          likewise; MODULE is that of an ADBC driver, such as adbc_driver_postgresql
       client.py insert-clickhouse PORT ROWS HOW    into bench.w (id, v); HOW is "batch", or "rows": one statement each
       client.py insert-duckdb FILE ROWS HOW        into w (id, v), in one transaction

Connecting, and starting Python, are not measured.
"""

import importlib
import sys
import time


def clickhouse(port):
    import clickhouse_connect

    return clickhouse_connect.get_client(host="127.0.0.1", port=int(port), username="default")


def read(batches):
    for _ in batches:
        pass


def rows(n):
    return [[i, f"value {i}"] for i in range(1, int(n) + 1)]


def query_clickhouse(port, statement):
    client = clickhouse(port)

    def run():
        with client.query_arrow_stream(statement) as batches:
            read(batches)

    return run


def query_duckdb(file, statement):
    import duckdb
    import pyarrow  # noqa: F401, else it is imported while the time runs

    connection = duckdb.connect(file, read_only=statement.startswith("SELECT"))
    return lambda: read(connection.execute(statement).to_arrow_reader(100_000))


def query_adbc(module, uri, statement):
    cursor = importlib.import_module(f"{module}.dbapi").connect(uri, autocommit=True).cursor()

    def run():
        cursor.execute(statement)
        read(cursor.fetch_record_batch())

    return run


def insert_clickhouse(port, n, how):
    client, new = clickhouse(port), rows(n)
    if how == "batch":
        return lambda: client.insert("bench.w", new, column_names=["id", "v"])
    return lambda: read(client.insert("bench.w", [row], column_names=["id", "v"]) for row in new)


def insert_duckdb(file, n, how):
    import duckdb
    import pyarrow
    import pyarrow.dataset  # noqa: F401, likewise

    connection, new = duckdb.connect(file), rows(n)
    table = pyarrow.table({"id": [row[0] for row in new], "v": [row[1] for row in new]})

    def run():
        connection.execute("BEGIN")
        if how == "batch":
            connection.register("new_rows", table)
            connection.execute("INSERT INTO w SELECT id, v FROM new_rows")
        else:
            for row in new:
                connection.execute("INSERT INTO w VALUES (?, ?)", row)
        connection.execute("COMMIT")

    return run


WAYS = {
    "clickhouse": query_clickhouse,
    "duckdb": query_duckdb,
    "adbc": query_adbc,
    "insert-clickhouse": insert_clickhouse,
    "insert-duckdb": insert_duckdb,
}

if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in WAYS:
        sys.exit(__doc__)
    measured = WAYS[sys.argv[1]](*sys.argv[2:])
    started = time.perf_counter()
    measured()
    print(f"{time.perf_counter() - started:.4f}")
