#!/usr/bin/env bash
# A private MariaDB, as a counterpart for tests. Sourced after scripts/pg.sh: mariadb_start, mariadb_stop, mariadb_sql.
#
# Invariant: as in scripts/pg.sh, nothing here touches a server that it did not create.

maria_dir=$WEIR_WORK/mariadb
: "${WEIR_MARIADB_PORT:=$((WEIR_PORT + 1))}"

mariadb_installed() { command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null && command -v mariadb >/dev/null; }

# Debian's server and client without what starts a server by itself.
mariadb_install() {
    mariadb_installed && return 0
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mariadb-server-core mariadb-client-core >/dev/null 2>&1
    mariadb_installed
}

mariadb_start() {
    mariadb_stop
    mkdir -p "$WEIR_WORK"
    chmod 711 "$WEIR_WORK"
    rm -rf "$maria_dir"
    mkdir -m 755 "$maria_dir"
    if [ "$(id -u)" -eq 0 ]; then chown "$(pg_os_user)" "$maria_dir"; fi
    as_pg mariadb-install-db --no-defaults --datadir="$maria_dir/data" --auth-root-authentication-method=normal --skip-test-db >"$maria_dir.log" 2>&1 ||
        { tail -n 20 "$maria_dir.log" >&2; return 1; }
    # With certificates, if the test has made some.
    local tls=()
    if [ -f "$WEIR_WORK/tls/done" ]; then tls=("--ssl-ca=$WEIR_WORK/tls/ca.pem" "--ssl-cert=$WEIR_WORK/tls/server.pem" "--ssl-key=$WEIR_WORK/tls/server.key"); fi
    # The server outlives this shell's job; its pid file says which process to stop.
    as_pg mariadbd --no-defaults --datadir="$maria_dir/data" --socket="$maria_dir/s" --pid-file="$maria_dir/pid" \
        --bind-address=127.0.0.1 --port="$WEIR_MARIADB_PORT" --skip-log-bin --local-infile=1 "${tls[@]}" \
        --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=256M >>"$maria_dir.log" 2>&1 &
    for _ in $(seq 300); do
        if mariadb_sql "SELECT 1" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    tail -n 20 "$maria_dir.log" >&2
    return 1
}

mariadb_stop() {
    local pid
    pid=$(as_pg cat "$maria_dir/pid" 2>/dev/null || true)
    [ -n "$pid" ] || return 0
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

# mariadb_sql SQL [DATABASE [option of the client...]]: as root, over the socket; rows separated by tabs, without header. SQL "-": standard input.
mariadb_sql() {
    local args=(--no-defaults --socket="$maria_dir/s" --user=root --batch --skip-column-names --default-character-set=utf8mb4
        --local-infile=1 --init-command="SET sql_mode='NO_BACKSLASH_ESCAPES,ANSI_QUOTES', time_zone='+00:00'")
    if [ $# -gt 1 ]; then args+=("${@:2}"); fi
    if [ "$1" = - ]; then mariadb "${args[@]}"; else mariadb "${args[@]}" -e "$1"; fi
}
