"""Runs one query at a ClickHouse by its own Python client, reads all of its rows as Arrow batches, and prints the seconds that took.

Usage: clickhouse_client.py PORT STATEMENT
"""

import sys
import time

import clickhouse_connect

client = clickhouse_connect.get_client(host="127.0.0.1", port=int(sys.argv[1]), username="default")
started = time.perf_counter()
with client.query_arrow_stream(sys.argv[2]) as batches:
    for _ in batches:
        pass
print(f"{time.perf_counter() - started:.4f}")
