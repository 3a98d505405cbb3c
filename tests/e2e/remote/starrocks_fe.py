"""A front end of StarRocks as far as its documentation says what it answers: the catalog statements, a table of every type, KILL. It runs no SQL.

starrocks_fe.py PORT LOG: listens on 127.0.0.1; each statement is a line of LOG.
"""

import asyncio
import re
import sys

from mysql_mimic import MysqlServer, Session
from mysql_mimic.results import ResultColumn, ResultSet
from mysql_mimic.types import ColumnType
from mysql_mimic.errors import ErrorCode, MysqlError

TEXT = ColumnType.VAR_STRING

# name, DATA_TYPE, COLUMN_TYPE, COLUMN_KEY, type on the wire, value of row 1; row 2 is NULL but for the key.
TYPES = [
    ("k", "bigint", "bigint(20)", "PRI", ColumnType.LONGLONG, "9223372036854775807"),
    ("b", "tinyint", "tinyint(1)", "", ColumnType.TINY, "1"),
    ("ti", "tinyint", "tinyint(4)", "", ColumnType.TINY, "-128"),
    ("li", "bigint unsigned", "bigint(20) unsigned", "", TEXT, "-170141183460469231731687303715884105728"),
    ("de", "decimal", "decimal(38, 10)", "", ColumnType.NEWDECIMAL, "1234567890123456789012345678.0123456789"),
    ("fl", "float", "float", "", ColumnType.FLOAT, "0.1"),
    ("db", "double", "double", "", ColumnType.DOUBLE, "0.1"),
    ("ch", "char", "char(10)", "", TEXT, "a  "),
    ("va", "varchar", "varchar(20)", "", TEXT, "naïve ' \\ \""),
    ("st", "varchar", "varchar(65533)", "", TEXT, "x" * 100),
    ("bi", "varbinary", "varbinary", "", ColumnType.BLOB, "bytes"),
    ("da", "date", "date", "", ColumnType.DATE, "0001-01-01"),
    ("dt", "datetime", "datetime", "", ColumnType.DATETIME, "2024-02-29 12:34:56.789012"),
    ("js", "json", "json", "", TEXT, '{"a": [1, null]}'),
    ("bm", "bitmap", "bitmap", "", TEXT, None),
    ("hl", "hll", "hll", "", TEXT, None),
    ("ar", "array", "array<int(11)>", "", TEXT, None),
]
DATABASES = {"default_catalog": "shop", "lake": "raw"}
log = open(sys.argv[2], "a", buffering=1)


def result(columns, rows):
    # A value is sent as it stands here.
    encode = lambda _, value: str(value).encode()
    return ResultSet(rows=rows, columns=[ResultColumn(name, kind, text_encoder=encode) for name, kind in columns])


class FrontEnd(Session):
    catalog = "default_catalog"

    async def handle_query(self, sql, attrs):
        log.write(sql.replace("\n", " ") + "\n")
        upper = sql.upper()
        if upper.startswith("KILL") or "@@" in sql:
            return await super().handle_query(sql, attrs)
        if upper.startswith("SET CATALOG"):
            self.catalog = sql.split()[-1].strip("`")
            if self.catalog not in DATABASES:
                raise MysqlError(f"Unknown catalog '{self.catalog}'", code=ErrorCode.UNKNOWN_ERROR)
            return None
        if upper.startswith("SET "):
            return None
        if "SLEEP" in upper:
            await asyncio.sleep(60)
            return result([("sleep", ColumnType.TINY)], [("1",)])
        wanted = re.search(r"(?:SCHEMA_NAME|TABLE_SCHEMA) = '([^']*)'", sql)
        there = wanted and wanted[1] == DATABASES[self.catalog]
        if "information_schema.schemata" in sql:
            return result([("SCHEMA_NAME", TEXT)], [(wanted[1],)] if there else [])
        if "information_schema.tables" in sql:
            return result([("TABLE_NAME", TEXT), ("TABLE_ROWS", ColumnType.LONGLONG)], [("types", 2)] if there else [])
        if "information_schema.columns" in sql:
            names = "TABLE_NAME COLUMN_NAME DATA_TYPE COLUMN_TYPE IS_NULLABLE COLUMN_KEY NUMERIC_PRECISION NUMERIC_SCALE".split()
            rows = [("types", t[0], t[1], t[2], "NO" if t[3] else "YES", t[3], None, None) for t in TYPES]
            return result([(n, TEXT) for n in names], rows if there else [])
        if re.search(r"FROM (`lake`\.`raw`|`shop`)\.`types`", sql):
            listed = re.findall(r"`t1`\.`(\w+)`", sql.split(" FROM ")[0])
            columns = [next(t for t in TYPES if t[0] == name) for name in listed]
            rows = [[t[5] for t in columns], ["2" if t[0] == "k" else None for t in columns]]
            return result([(t[0], t[4]) for t in columns], rows)
        raise MysqlError(f"Getting analyzing error. Detail message: {sql[:40]}.", code=ErrorCode.PARSE_ERROR)


async def main():
    server = MysqlServer(session_factory=FrontEnd)
    await server.start_server(host="127.0.0.1", port=int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
