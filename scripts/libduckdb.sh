#!/usr/bin/env bash
# Fetches DuckDB's library, which weir-engine links, into DUCKDB_LIB_DIR; does nothing when it is there.
# It comes from the npm package that DuckDB's own bindings for Node.js are made of: the newest release whose signed extensions can be had.
set -euo pipefail

: "${DUCKDB_LIB_DIR:=$HOME/.cache/pg_weir/duckdb}"
version=1.5.5-r.5
case $(uname -m) in
    x86_64) arch=x64 digest=fc23f12e376c47be520f75221288281906e7942e8fd6f6ce4849198ba60d0405 ;;
    aarch64) arch=arm64 digest=d00d007f3f7ca1f2896a5e4b89c2ce141bf0508506a9d6d56f9598b8e59d074e ;;
    *) echo "libduckdb: there is no library for $(uname -m); build with: cargo build --release -p weir_engine --no-default-features" >&2; exit 1 ;;
esac

is_right() { [ -f "$1" ] && echo "$digest  $1" | sha256sum --check --status; }

is_right "$DUCKDB_LIB_DIR/libduckdb.so" && exit 0
mkdir -p "$DUCKDB_LIB_DIR"
work=$(mktemp -d "$DUCKDB_LIB_DIR/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "libduckdb: fetching $version"
(cd "$work" && npm pack --loglevel=error "@duckdb/node-bindings-linux-$arch@$version" >/dev/null && tar xzf ./*.tgz package/libduckdb.so package/LICENSE)
is_right "$work/package/libduckdb.so" || { echo "libduckdb: what was fetched has another digest than $digest" >&2; exit 1; }
# Renamed into place, so that nobody ever links half a file.
mv -f "$work/package/LICENSE" "$DUCKDB_LIB_DIR/LICENSE"
mv -f "$work/package/libduckdb.so" "$DUCKDB_LIB_DIR/libduckdb.so"
