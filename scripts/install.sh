#!/usr/bin/env bash
# Installs the built extension into the Postgres of PG_CONFIG. Argument: the directory with the built files.
# Each file is written beside its target and renamed over it, so that a running server keeps what it has loaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
built=$1
pg_config=${PG_CONFIG:?PG_CONFIG is not set}
lib=$("$pg_config" --pkglibdir)
extension=$("$pg_config" --sharedir)/extension

as_root=()
if ! { [ -w "$lib" ] && [ -w "$extension" ]; }; then
    if [ "$(id -u)" -eq 0 ]; then
        echo "install: $lib or $extension does not exist" >&2
        exit 1
    elif command -v sudo >/dev/null 2>&1; then
        as_root=(sudo)
    else
        echo "install: $lib is not writable and sudo is not installed; run make install as root" >&2
        exit 1
    fi
fi

put() { # mode, source, target
    "${as_root[@]}" install -m "$1" "$2" "$3.new"
    "${as_root[@]}" mv -f "$3.new" "$3"
}
put 755 "$built/libpg_weir.so" "$lib/pg_weir.so"
put 755 "$built/weir-engine" "$lib/weir-engine"
# In a directory of its own: other extensions bring a libduckdb.so of another release.
# An engine without the feature duckdb does not ask for it.
if grep -q 'libduckdb\.so' "$built/weir-engine"; then
    "${as_root[@]}" mkdir -p "$lib/pg_weir"
    put 644 "${DUCKDB_LIB_DIR:-$HOME/.cache/pg_weir/duckdb}/libduckdb.so" "$lib/pg_weir/libduckdb.so"
fi
for file in sql/pg_weir.control sql/pg_weir--*.sql; do
    put 644 "$file" "$extension/$(basename "$file")"
done
echo "installed into $lib and $extension"
