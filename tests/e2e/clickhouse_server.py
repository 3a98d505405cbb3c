#!/usr/bin/env python3
"""A real ClickHouse server: the library of chDB, told to listen.

usage: clickhouse_server.py LIBRARY PORT DIRECTORY

Runs in the foreground until it gets SIGTERM. The directory gets its data and configuration: user `weir` with password `secret word`, user
`reader` with the same one and a profile that may not change settings, and user `default` without any, who is the tests' own.
"""
import ctypes
import os
import sys

USERS = """<clickhouse>
  <profiles><default/><fixed><readonly>1</readonly></fixed></profiles>
  <quotas><default/></quotas>
  <users>
    <default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default>
    <weir><password>secret word</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></weir>
    <reader><password>secret word</password><networks><ip>127.0.0.1</ip></networks><profile>fixed</profile><quota>default</quota></reader>
  </users>
</clickhouse>
"""

# A statement that never ends keeps the server up.
SERVE = """SYSTEM START LISTEN HTTP;
SELECT sleepEachRow(1) FROM numbers(1000000) SETTINGS max_block_size = 1 FORMAT Null"""


def main(library, port, directory):
    directory = os.path.abspath(directory)
    os.makedirs(os.path.join(directory, "data"), exist_ok=True)
    users, config = os.path.join(directory, "users.xml"), os.path.join(directory, "config.xml")
    with open(users, "w", encoding="utf-8") as f:
        f.write(USERS)
    with open(config, "w", encoding="utf-8") as f:
        f.write(f"<clickhouse><users_config>{users}</users_config></clickhouse>\n")
    arguments = [
        "clickhouse",
        "--listen_host=127.0.0.1",
        f"--http_port={int(port)}",
        f"--path={directory}/data",
        f"--config-file={config}",
        "--multiquery",
        "--query",
        SERVE,
    ]
    raw = [a.encode() for a in arguments]
    chdb = ctypes.CDLL(library)
    chdb.query_stable_v2.restype = ctypes.c_void_p
    chdb.query_stable_v2(len(raw), (ctypes.c_char_p * (len(raw) + 1))(*raw, None))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
