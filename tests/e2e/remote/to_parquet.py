"""Makes a Parquet file of a CSV file: to_parquet.py in.csv out.parquet name:type..., where type is one of Arrow's, or decimal(p,s)."""

import re
import sys

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

TYPES = {
    "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "float4": pa.float32(), "float8": pa.float64(), "bool": pa.bool_(),
    "text": pa.string(), "date": pa.date32(), "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", tz="UTC"),
}


def arrow_type(name):
    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", name)
    return pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else TYPES[name]


source, target, *columns = sys.argv[1:]
names = [c.split(":")[0] for c in columns]
types = {c.split(":")[0]: arrow_type(c.split(":")[1]) for c in columns}
# What is between quotes is never NULL; a line break may be.
table = csv.read_csv(
    source,
    read_options=csv.ReadOptions(column_names=names),
    parse_options=csv.ParseOptions(newlines_in_values=True),
    convert_options=csv.ConvertOptions(
        column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False, true_values=["t"], false_values=["f"]
    ),
)
parquet.write_table(table, target)
