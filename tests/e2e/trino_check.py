#!/usr/bin/env python3
"""Checks the tests' own coordinator with Trino's official client: trino_check.py PORT [CERTIFICATE TLS_PORT]. Prints "checked"."""
import datetime
import decimal
import os
import sys

import trino


def connection(port, **more):
    more = {"http_scheme": "http", "user": "checker", **more}
    return trino.dbapi.connect(host="127.0.0.1", port=port, catalog="memory", schema="main", **more)


def check(conn):
    cursor = conn.cursor()
    cursor.execute(
        "SELECT INTEGER '1' AS a, BIGINT '9223372036854775807' AS b, DECIMAL '1.50' AS c, 'it''s' AS d, DATE '2024-02-29' AS e,"
        " TIMESTAMP '2024-02-29 12:34:56.789012' AS f, TIMESTAMP '2024-02-29 12:34:56.789012 UTC' AS g, nan() AS h, X'00FF' AS i, NULL AS j"
    )
    row = cursor.fetchone()
    moment = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)
    assert row[:6] == [1, 9223372036854775807, decimal.Decimal("1.50"), "it's", datetime.date(2024, 2, 29), moment], row
    assert row[6] == moment.replace(tzinfo=datetime.timezone.utc) and row[7] != row[7] and row[8] == b"\0\xff" and row[9] is None, row
    cursor.execute("SELECT * FROM range(5000)")
    assert sum(r[0] for r in cursor.fetchall()) == 4999 * 2500
    cursor.execute("SELECT ?, '?', ? + 1", ("it's", 41))
    assert cursor.fetchall() == [["it's", "?", 42]]
    try:
        cursor.execute("SELECT * FROM nothing")
        cursor.fetchall()
    except trino.exceptions.TrinoUserError as e:
        assert e.error_name == "TABLE_NOT_FOUND", e
    else:
        raise AssertionError("a table that is not there")


def main():
    # What the machine trusts is not asked here.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)
    port = int(sys.argv[1])
    for encoding in (None, "json", "json+zstd", "json+lz4"):
        check(connection(port, encoding=encoding))
    check(connection(port, legacy_prepared_statements=True))
    check(connection(port, user="token", auth=trino.auth.JWTAuthentication("very secret token"), allow_insecure_auth=True))
    if len(sys.argv) > 3:
        check(connection(int(sys.argv[3]), http_scheme="https", user="weir", auth=trino.auth.BasicAuthentication("weir", "secret word"), verify=sys.argv[2]))
    print("checked")


main()
