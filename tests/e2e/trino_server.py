#!/usr/bin/env python3
"""A coordinator that speaks Trino's statement protocol, over DuckDB.

usage: trino_server.py PORT TLS_PORT CERTIFICATE KEY AUTHORITY

Written by "Trino client REST API" and "Client protocol" of Trino's documentation; SQL of Trino becomes DuckDB's by sqlglot. What it is for is
the protocol: states, pages, spooled segments, errors, cancel, time types as clients can take them, a coordinator that is not available once in
a while, garbage. What it answers is DuckDB's, which is near enough where this project's dialect does not tread.

- http: nobody is asked for anything, but a bearer token must be "very secret token"; user "token" must have one.
- https: basic authentication, user "weir" with password "secret word"; or a certificate that the authority signed, in the user's name.
- POST /test/duckdb runs DuckDB's own SQL. GET /test/running, /test/unacknowledged, /test/requests?header=X: what a test wants to know.
- Comments in a statement: garbage-page, garbage-json, garbage-rows, unavailable, stall, large-page, large-segment make trouble; wide-page is as large as
  pages may be.
"""
import base64
import datetime
import decimal
import gzip
import itertools
import json
import math
import re
import ssl
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote_plus, unquote_plus, urlparse

import duckdb
import lz4.block
import sqlglot
import zstandard

ROWS_PER_PAGE = 700
DATABASE = duckdb.connect(":memory:")
for statement in (
    "SET TimeZone = 'UTC'",
    "CREATE MACRO at_timezone(x, z) AS x",
    "CREATE MACRO is_nan(x) AS isnan(x)",
    "CREATE MACRO infinity() AS 'Infinity'::double",
    "CREATE MACRO nan() AS 'NaN'::double",
):
    DATABASE.execute(statement)

QUERIES = {}
SEGMENTS = {}
HEADERS = []
COUNTER = itertools.count(1)
SUBMISSIONS = itertools.count(1)
LOCK = threading.Lock()


class Failure(Exception):
    def __init__(self, name, code, message, kind="USER_ERROR"):
        super().__init__(message)
        self.error = {"message": message, "errorCode": code, "errorName": name, "errorType": kind, "failureInfo": {"type": "io.trino", "message": message}}


def failure_of(e):
    text = str(e)
    if isinstance(e, Failure):
        return e
    if isinstance(e, duckdb.InterruptException):
        return Failure("USER_CANCELED", 3, "Query was canceled")
    if isinstance(e, (duckdb.ParserException, sqlglot.errors.ParseError, sqlglot.errors.TokenError)):
        return Failure("SYNTAX_ERROR", 1, f"line 1:1: {text}")
    if isinstance(e, (duckdb.CatalogException, duckdb.BinderException)):
        if "atalog" in text and "does not exist" in text and "Table" not in text and "Scalar" not in text:
            return Failure("CATALOG_NOT_FOUND", 44, text)
        missing = re.search(r'because schema "([^".]+)\.', text)
        if missing and missing.group(1) != "memory":
            return Failure("CATALOG_NOT_FOUND", 44, f"line 1:1: Catalog '{missing.group(1)}' not found")
        if "Table with name" in text:
            return Failure("TABLE_NOT_FOUND", 46, text)
        if "column" in text:
            return Failure("COLUMN_NOT_FOUND", 47, text)
    if isinstance(e, duckdb.ConversionException):
        return Failure("INVALID_CAST_ARGUMENT", 22, text)
    if isinstance(e, duckdb.OutOfRangeException):
        return Failure("NUMERIC_VALUE_OUT_OF_RANGE", 19, text)
    if "More than one row returned" in text:
        return Failure("SUBQUERY_MULTIPLE_ROWS", 28, "Scalar sub-query has returned multiple rows")
    return Failure("GENERIC_INTERNAL_ERROR", 65536, text, "INTERNAL_ERROR")


def exact_literals(sql):
    """Literals for which sqlglot or DuckDB would take another type than Trino does."""

    def number(m):
        digits = m.group(1).lstrip("-").replace(".", "")
        scale = len(m.group(1).split(".")[1]) if "." in m.group(1) else 0
        return f"CAST('{m.group(1)}' AS decimal({len(digits)}, {scale}))"

    def one(piece):
        piece = re.sub(r"DECIMAL '(-?[0-9.]+)'", number, piece)
        piece = re.sub(r"TIMESTAMP '([^']* UTC)'", r"CAST('\1' AS timestamp with time zone)", piece)
        return re.sub(r"X'([0-9A-F]*)'", r"from_hex('\1')", piece)

    # Only outside of other literals: those that are whole in themselves are matched first.
    return re.sub(r"(?:DECIMAL |TIMESTAMP |X)'[^']*'|'(?:[^']|'')*'", lambda m: m.group(0) if m.group(0).startswith("'") else one(m.group(0)), sql)


def trino_type(name):
    name = str(name)
    plain = {
        "BOOLEAN": "boolean", "TINYINT": "tinyint", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint", "HUGEINT": "bigint",
        "FLOAT": "real", "DOUBLE": "double", "VARCHAR": "varchar", "BLOB": "varbinary", "DATE": "date", "TIME": "time(6)", "TIMESTAMP": "timestamp(6)",
        "TIMESTAMP WITH TIME ZONE": "timestamp(6) with time zone", "TIMESTAMP_NS": "timestamp(9)", "UUID": "uuid", "JSON": "json", '"NULL"': "unknown",
        "NULL": "unknown", "INTERVAL": "interval day to second",
    }
    if name in plain:
        return plain[name]
    if name.endswith("[]"):
        return f"array({trino_type(name[:-2])})"
    if name.startswith("DECIMAL"):
        return name.lower()
    if name.startswith("MAP("):
        key, value = name[4:-1].split(", ", 1)
        return f"map({trino_type(key)}, {trino_type(value)})"
    return name.lower()


def signature(kind):
    if kind.startswith("array("):
        return {"rawType": "array", "arguments": [{"kind": "TYPE", "value": signature(kind[6:-1])}]}
    if kind.startswith("map("):
        return {"rawType": "map", "arguments": [{"kind": "TYPE", "value": signature(part)} for part in kind[4:-1].split(", ", 1)]}
    numbers = re.findall(r"\d+", kind)
    return {"rawType": re.sub(r"\(.*?\)", "", kind), "arguments": [{"kind": "LONG", "value": int(n)} for n in numbers]}


def value_of(value, kind, millis):
    if value is None:
        return None
    if kind == "double" or kind == "real":
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return float(f"{value:.9g}") if kind == "real" else value
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        digits = 3 if millis else 6
        text = value.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds" if millis else "microseconds")
        assert len(text.split(".")[1]) == digits
        return f"{text} UTC" if "time zone" in kind else text
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {str(k): value_of(v, kind[4:-1].split(", ", 1)[1], millis) for k, v in value.items()}
    if isinstance(value, list):
        return [value_of(v, kind[6:-1], millis) for v in value]
    return value


class Query:
    def __init__(self, sql, headers):
        self.id, self.slug, self.sql, self.headers = f"q{next(COUNTER)}", uuid.uuid4().hex, sql, headers
        # What the client is to remember, in a header of every answer.
        self.session = None
        self.user = headers.get("X-Trino-User")
        self.millis = "PARAMETRIC_DATETIME" not in headers.get("X-Trino-Client-Capabilities", "")
        self.catalog, self.schema = headers.get("X-Trino-Catalog"), headers.get("X-Trino-Schema")
        offered = [e.strip() for e in headers.get("X-Trino-Query-Data-Encoding", "").split(",") if e.strip()]
        # All of them are to be seen in a test.
        self.encoding = offered[int(self.id[1:]) % len(offered)] if offered else None
        self.state, self.error, self.columns, self.rows, self.update = "QUEUED", None, None, [], None
        self.done, self.sent = threading.Event(), 0
        self.cursor = DATABASE.cursor()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            self.state = "RUNNING"
            self.answer()
            self.state = "FINISHED"
        except Exception as e:  # whatever went wrong is the statement's error
            self.error, self.state = failure_of(e).error, "FAILED"
        finally:
            self.done.set()

    def answer(self):
        sql = self.sql = executed(self.sql, self.headers).strip()
        prepare = re.fullmatch(r"PREPARE\s+(\w+)\s+FROM\s+(.*)", sql, re.S | re.I)
        if prepare:
            self.session = ("X-Trino-Added-Prepare", f"{quote_plus(prepare.group(1))}={quote_plus(prepare.group(2))}")
            return
        if re.match(r"DEALLOCATE\s+PREPARE\s", sql, re.I):
            self.session = ("X-Trino-Deallocated-Prepare", quote_plus(sql.split()[-1]))
            return
        stats = re.fullmatch(r'SHOW STATS FOR (".*")', sql)
        if stats:
            count = self.cursor.execute(f"SELECT count(*) FROM {stats.group(1)}").fetchone()[0]
            names = ["column_name", "data_size", "distinct_values_count", "nulls_fraction", "row_count", "low_value", "high_value"]
            self.columns = [{"name": n, "type": "varchar" if n in (names[0], names[5], names[6]) else "double"} for n in names]
            self.rows = [["id", None, 1.0, 0.0, None, None, None], [None, None, None, None, float(count), None, None]]
            return
        schemata = re.search(r"information_schema\.schemata WHERE schema_name = '([^']*)'", sql)
        if schemata:
            found = self.cursor.execute("SELECT DISTINCT schema_name FROM duckdb_schemas() WHERE schema_name = ?", [schemata.group(1)]).fetchall()
            self.columns, self.rows = [{"name": "schema_name", "type": "varchar"}], [list(r) for r in found]
            return
        columns = re.search(r"information_schema\.columns WHERE table_schema = '([^']*)'", sql)
        if columns:
            found = self.cursor.execute(
                "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE schema_name = ? ORDER BY table_name, column_index",
                [columns.group(1)],
            ).fetchall()
            self.columns = [{"name": n, "type": "varchar"} for n in ("table_name", "column_name", "data_type", "is_nullable")]
            self.rows = [[t, c, trino_type(d), "YES" if n else "NO"] for t, c, d, n in found]
            return
        if "USE " in sql[:4] or (self.catalog and self.schema):
            self.cursor.execute(f'USE "{self.catalog}"."{self.schema}"')
        translated = sqlglot.transpile(exact_literals(sql), read="trino", write="duckdb")
        result = self.cursor.execute(translated[0])
        kind = sql.split(None, 1)[0].upper()
        if kind in ("INSERT", "UPDATE", "DELETE"):
            self.update = result.fetchone()[0]
            if "uncounted" in sql:
                # As connectors that drop partitions do.
                self.update = None
            self.columns, self.rows = [{"name": "rows", "type": "bigint"}], [[self.update]]
        elif kind in ("CREATE", "DROP", "TRUNCATE"):
            return
        else:
            self.columns = [{"name": d[0], "type": trino_type(d[1])} for d in result.description]
            kinds = [c["type"] for c in self.columns]
            if "timestamp(9)" in kinds:
                # Python's moments have no nanoseconds.
                names = ['"' + d[0].replace('"', '""') + '"' for d in result.description]
                texts = [f"CAST({n} AS varchar)" if k == "timestamp(9)" else n for n, k in zip(names, kinds)]
                result = self.cursor.execute(f"SELECT {', '.join(texts)} FROM ({translated[0]})")
            while True:
                part = result.fetchmany(10_000)
                if not part:
                    break
                self.rows.extend([value_of(v, k, self.millis) for v, k in zip(row, kinds)] for row in part)

    def cancel(self):
        self.cursor.interrupt()
        self.state, self.error = "FAILED", Failure("USER_CANCELED", 3, "Query was canceled").error
        self.done.set()


def pieces(sql, at):
    """The text between these characters, where they are neither in quotes nor in parentheses."""
    found, depth, quote, start = [], 0, None, 0
    for i, c in enumerate(sql):
        if quote:
            quote = None if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "()" and at == ",":
            depth += 1 if c == "(" else -1
        elif c == at and depth == 0:
            found.append(sql[start:i])
            start = i + 1
    return found + [sql[start:]]


def executed(sql, headers):
    """The statement that EXECUTE means: what the client says in headers that it has prepared, with the values that follow USING."""
    match = re.fullmatch(r"EXECUTE\s+(IMMEDIATE\s+'(?:[^']|'')*'|\w+)(?:\s+USING\s+(.*))?", sql.strip(), re.S | re.I)
    if not match:
        return sql
    known = {match.group(1): match.group(1).split("'", 1)[1][:-1].replace("''", "'")} if "'" in match.group(1) else {}
    for header in headers.get_all("X-Trino-Prepared-Statement") or []:
        for one in header.split(","):
            name, _, text = one.strip().partition("=")
            known[unquote_plus(name)] = unquote_plus(text)
    if match.group(1) not in known:
        raise Failure("NOT_FOUND", 4, f"Prepared statement not found: {match.group(1)}")
    values = [v.strip() for v in pieces(match.group(2), ",")] if match.group(2) else []
    text = pieces(known[match.group(1)], "?")
    if len(values) != len(text) - 1:
        raise Failure("INVALID_PARAMETER_USAGE", 74, f"line 1:1: Incorrect number of parameters: expected {len(text) - 1} but found {len(values)}")
    return "".join(t + v for t, v in zip(text, values + [""]))


def compressed(encoding, text):
    """The bytes of a segment, and its metadata. Small ones are not worth it."""
    if encoding == "json" or len(text) < 100:
        return text, {"segmentSize": len(text)}
    data = zstandard.ZstdCompressor().compress(text) if encoding == "json+zstd" else lz4.block.compress(text, store_size=False)
    return data, {"segmentSize": len(data), "uncompressedSize": len(text)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes out in one piece.
    wbufsize = -1
    disable_nagle_algorithm = True
    encrypted = False

    def log_message(self, *_):
        pass

    def base(self):
        return f"{'https' if self.encrypted else 'http'}://{self.headers.get('Host')}"

    def reply(self, status, body=b"", kind="application/json", more=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if more:
            self.send_header(*more)
        if len(body) > 200 and "gzip" in self.headers.get("Accept-Encoding", "") and next(COUNTER) % 2:
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def is_let_in(self):
        given = self.headers.get("Authorization", "")
        if self.encrypted:
            shown = (self.connection.getpeercert() or {}).get("subject", ())
            ok = given == "Basic " + base64.b64encode(b"weir:secret word").decode()
            ok = ok or (("commonName", self.headers.get("X-Trino-User")),) in shown
        else:
            ok = given == "Bearer very secret token" if given or self.headers.get("X-Trino-User") == "token" else True
        if not ok:
            self.reply(401, b"Unauthorized", "text/plain")
        return ok

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/test/duckdb":
            try:
                DATABASE.cursor().execute(body)
                self.reply(200)
            except duckdb.Error as e:
                self.reply(500, str(e).encode())
        elif self.path == "/v1/statement":
            HEADERS.append(self.headers)
            if not self.is_let_in():
                return
            if "unavailable" in body or next(SUBMISSIONS) % 6 == 0:
                self.reply(503, b"Service Unavailable", "text/plain")
            elif "garbage-page" in body:
                self.reply(200, b"<html>not what you think</html>", "text/html")
            elif "garbage-json" in body:
                self.reply(200, b'{"id": "x", "columns": [{"name": "a"', "application/json")
            else:
                query = Query(body, self.headers)
                with LOCK:
                    QUERIES[query.id] = query
                self.page(query, 0)
        else:
            self.reply(404)

    def do_GET(self):
        url = urlparse(self.path)
        parts = url.path.strip("/").split("/")
        if parts[:2] == ["test", "running"]:
            self.reply(200, str(sum(1 for q in list(QUERIES.values()) if not q.done.is_set())).encode())
        elif parts[:2] == ["test", "unacknowledged"]:
            self.reply(200, f"{len(SEGMENTS)} of {Handler.spooled}".encode())
        elif parts[:2] == ["test", "requests"]:
            name = parse_qs(url.query)["header"][0]
            self.reply(200, json.dumps(sorted({h.get(name, "") for h in HEADERS})).encode())
        elif parts[:2] == ["v1", "spooled"]:
            self.segment(parts)
        elif parts[:2] == ["v1", "statement"] and len(parts) == 6:
            if not self.is_let_in():
                return
            query = QUERIES.get(parts[3])
            if query is None or query.slug != parts[4]:
                self.reply(404)
            elif next(COUNTER) % 5 == 0:
                self.reply((502, 503, 504)[next(COUNTER) % 3], b"try again", "text/plain")
            else:
                self.page(query, int(parts[5]))
        else:
            self.reply(404)

    do_HEAD = do_GET

    def do_DELETE(self):
        parts = self.path.strip("/").split("/")
        query = QUERIES.get(parts[3]) if len(parts) == 6 else None
        if query is None:
            self.reply(404)
            return
        query.cancel()
        self.reply(204)

    spooled = 0

    def segment(self, parts):
        # Who reads a segment is identified by the segment's own headers, and sends no other credentials.
        if self.headers.get("Authorization") or self.headers.get("X-Amz-Test-Segment") != parts[3]:
            self.reply(403)
        elif parts[2] == "ack":
            SEGMENTS.pop(parts[3], None)
            self.reply(200)
        elif parts[3] in SEGMENTS:
            self.reply(200, SEGMENTS[parts[3]], "application/octet-stream")
        else:
            self.reply(404)

    def page(self, query, token):
        """Answers with the page of this number; asked for again, it is the same."""
        answer = {"id": query.id, "infoUri": f"{self.base()}/ui/query.html?{query.id}", "warnings": []}
        if token > 0:
            # Long polling.
            query.done.wait(1.0 if "stall" not in query.sql else 30)
        stats = {"state": query.state, "queued": query.state == "QUEUED", "scheduled": query.state != "QUEUED"}
        answer["stats"] = stats
        following = f"{self.base()}/v1/statement/executing/{query.id}/{query.slug}/{token + 1}"
        if not query.done.is_set() or token == 0:
            stats["state"] = "QUEUED" if token == 0 else "RUNNING"
            answer["nextUri"] = following if token else following.replace("executing", "queued")
        elif query.error:
            answer["error"] = query.error
        else:
            if query.columns:
                answer["columns"] = [{**c, "typeSignature": signature(c["type"])} for c in query.columns]
            if query.update is not None:
                answer["updateType"], answer["updateCount"] = query.sql.split(None, 1)[0].upper(), query.update
            # The first page with all known is that of this number.
            query.first = getattr(query, "first", token)
            start = (token - query.first) * ROWS_PER_PAGE
            rows = query.rows[start : start + ROWS_PER_PAGE]
            if "garbage-rows" in query.sql:
                rows = [row + ["surplus"] for row in rows]
            if rows and query.encoding:
                answer["data"] = self.encoded(query, rows)
            elif rows:
                answer["data"] = rows
            if start + ROWS_PER_PAGE < len(query.rows):
                answer["nextUri"] = following
                stats["state"] = "RUNNING"
        body = json.dumps(answer).encode()
        if "large-page" in query.sql or "wide-page" in query.sql:
            body += b" " * ((65 if "large-page" in query.sql else 32) << 20)
        self.reply(200, body, more=query.session)

    def encoded(self, query, rows):
        segments = []
        for i, part in enumerate((rows[:5], rows[5:])):
            if not part:
                continue
            data, metadata = compressed(query.encoding, json.dumps(part).encode())
            metadata.update(rowOffset=0, rowsCount=len(part))
            if "large-segment" in query.sql:
                metadata["uncompressedSize"] = "200000000"
            if i == 0:
                segments.append({"type": "inline", "data": base64.b64encode(data).decode(), "metadata": metadata})
                continue
            name = uuid.uuid4().hex
            SEGMENTS[name] = data
            Handler.spooled += 1
            uri = f"{self.base()}/v1/spooled/%s/{name}"
            segments.append(
                {"type": "spooled", "uri": uri % "download", "ackUri": uri % "ack", "headers": {"X-Amz-Test-Segment": [name]}, "metadata": metadata}
            )
        return {"encoding": query.encoding, "metadata": {}, "segments": segments}


class Encrypted(Handler):
    encrypted = True


def main(port, tls_port, certificate, key, authority):
    plain = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    secure = ThreadingHTTPServer(("127.0.0.1", int(tls_port)), Encrypted)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    plain.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
