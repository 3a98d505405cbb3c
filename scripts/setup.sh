#!/usr/bin/env bash
# Installs what the build and the tests need and is missing: Debian packages, DuckDB's library. Does nothing when all is there.
# setup.sh          what every target needs
# setup.sh python   also python3-venv (Postgres 16 from PyPI, the rivals of the benchmark)
# setup.sh locale   also the locale en_US.UTF-8, for a database of the tests
# setup.sh remote   also what the tests of remote engines need for their counterparts
set -euo pipefail

packages=(
    postgresql-15 postgresql-client-15 postgresql-server-dev-15
    clang libclang-dev mold pkg-config gcc libc6-dev make procps
)
# DuckDB's library comes as an npm package; any npm will do.
command -v npm >/dev/null 2>&1 || packages+=(npm)
if [ "${1:-}" = python ] || [ "${1:-}" = remote ]; then packages+=(python3-venv); fi
if [ "${1:-}" = remote ]; then packages+=(curl openssl); fi
if [ "${1:-}" = locale ]; then packages+=(locales); fi

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

if ! command -v cargo >/dev/null 2>&1; then
    fail "cargo is not installed; install a Rust toolchain (1.95 or newer) from https://rustup.rs and run this again"
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
library=$(dirname "${BASH_SOURCE[0]}")/libduckdb.sh
with_locale() { [ "${1:-}" != locale ] || locale -a 2>/dev/null | grep -i '^en_US\.utf-\?8$' >/dev/null; }
[ ${#missing[@]} -eq 0 ] && with_locale "$@" && exec "$library"

command -v apt-get >/dev/null 2>&1 || fail "this is not Debian: please install the counterparts of: ${missing[*]}"
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null 2>&1; then
    as_root=(sudo)
else
    fail "these packages are missing and neither root nor sudo is at hand; as root: apt-get install ${missing[*]}"
fi

[ ${#missing[@]} -eq 0 ] || printf 'setup: installing %s\n' "${missing[*]}"
install_missing() {
    [ ${#missing[@]} -gt 0 ] || return 0
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
# A package list that is present may be enough, and is faster than a new one.
install_missing 2>/dev/null || { "${as_root[@]}" apt-get update -qq && install_missing; }
with_locale "$@" || "${as_root[@]}" localedef -i en_US -f UTF-8 en_US.UTF-8
exec "$library"
