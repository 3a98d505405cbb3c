"""Runs one statement in a DuckDB file, reads all of its rows as Arrow batches, and prints the seconds that took.

Usage: duckdb_client.py FILE STATEMENT
"""

import sys
import time

import duckdb

connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2].startswith("SELECT"))
started = time.perf_counter()
result = connection.execute(sys.argv[2])
for _ in result.to_arrow_reader(100_000):
    pass
print(f"{time.perf_counter() - started:.4f}")
