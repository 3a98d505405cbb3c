#!/usr/bin/env bash
# Private Postgres clusters: one directory per name under WEIR_WORK, a unix socket, no TCP, an ordinary user.
#
# Sourced: pg_init, pg_start, pg_stop, pg_crash, pg_query, pg_sock, as_pg (see each).
# Called:  pg.sh start NAME | stop NAME | psql NAME [args] | clean
#
# Invariant: nothing here touches a server that it did not create; a server is found through the pid file of its
# own data directory.
set -euo pipefail

: "${PG_CONFIG:=$("$(dirname "${BASH_SOURCE[0]}")/pg_config.sh" "${PG:-15}")}"
: "${WEIR_WORK:=/tmp/pg_weir-$(id -u)}"
: "${WEIR_PORT:=6543}"
PGBIN=$("$PG_CONFIG" --bindir)
export PG_CONFIG WEIR_WORK WEIR_PORT PGBIN
# Settings of the caller's shell must not lead a client to another server.
unset PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD PGSERVICE PGOPTIONS PGTZ PGDATESTYLE PGCLIENTENCODING PGAPPNAME PGSSLMODE
# Nor must its language or time zone show in what servers and clients print, or in how files are sorted.
unset LANGUAGE
export LC_ALL=C.UTF-8 TZ=UTC

# The user who runs the servers: Postgres refuses to run as root.
pg_os_user() {
    if [ "$(id -u)" -ne 0 ]; then
        id -un
    elif id postgres >/dev/null 2>&1; then
        echo postgres
    else
        id weir >/dev/null 2>&1 || useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin weir
        echo weir
    fi
}

# Runs a command as that user.
as_pg() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec runuser -u "$(pg_os_user)" -- "$@")
    else
        "$@"
    fi
}

pg_dir() { echo "$WEIR_WORK/$1"; }
pg_sock() { pg_dir "$1"; }
pg_log() { echo "$(pg_dir "$1")/server.log"; }

# pg_init NAME [postgresql.conf lines...]: a new, empty cluster; one of the same name is stopped and deleted.
pg_init() {
    local name=$1 dir
    shift
    dir=$(pg_dir "$name")
    pg_stop "$name"
    mkdir -p "$WEIR_WORK"
    chmod 711 "$WEIR_WORK"
    rm -rf "$dir"
    mkdir -m 700 "$dir"
    if [ "$(id -u)" -eq 0 ]; then chown "$(pg_os_user)" "$dir"; fi
    as_pg "$PGBIN/initdb" -D "$dir/data" -U postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >/dev/null
    {
        cat <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
port = $WEIR_PORT
wal_level = logical
max_replication_slots = 20
max_wal_senders = 20
max_worker_processes = 32
max_prepared_transactions = 8
max_connections = 100
shared_buffers = 256MB
max_wal_size = 4GB
log_line_prefix = '%m [%p] %q%a '
log_min_messages = warning
timezone = 'UTC'
CONF
        if [ -z "${WEIR_PLAIN:-}" ]; then echo "shared_preload_libraries = 'pg_weir'"; fi
        printf '%s\n' "$@"
    } | as_pg tee -a "$dir/data/postgresql.conf" >/dev/null
}

pg_pid() { as_pg head -n 1 "$(pg_dir "$1")/data/postmaster.pid" 2>/dev/null || true; }

pg_running() {
    local pid
    pid=$(pg_pid "$1")
    [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

pg_start() {
    local name=$1 dir
    dir=$(pg_dir "$name")
    if ! as_pg "$PGBIN/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 120 start >/dev/null; then
        as_pg tail -n 30 "$dir/server.log" >&2
        return 1
    fi
}

pg_stop() {
    local dir
    dir=$(pg_dir "$1")
    if pg_running "$1"; then
        as_pg "$PGBIN/pg_ctl" -D "$dir/data" -m fast -w -t 60 stop >/dev/null ||
            as_pg "$PGBIN/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null || true
    fi
}

# kill -9 of the postmaster. Its children end by themselves when they notice; wait until the directory is free.
pg_crash() {
    local dir pid children
    dir=$(pg_dir "$1")
    pid=$(pg_pid "$1")
    [ -n "$pid" ] || return 1
    children=$(pgrep -P "$pid" || true)
    kill -9 "$pid"
    for _ in $(seq 300); do
        local alive=
        for child in $children; do
            if kill -0 "$child" 2>/dev/null; then alive=1; fi
        done
        [ -z "$alive" ] && return 0
        sleep 0.1
    done
    echo "children of the killed postmaster are still there: $children" >&2
    return 1
}

pg_client() { # NAME command args...
    local name=$1 command=$2
    shift 2
    "$PGBIN/$command" -h "$(pg_sock "$name")" -p "$WEIR_PORT" -U postgres "$@"
}

# pg_query NAME DATABASE SQL: the result, unaligned, without header.
pg_query() { pg_client "$1" psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$2" -c "$3"; }

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    case "${1:-}" in
        start) pg_start "${2:?name of the cluster}" ;;
        stop) pg_stop "${2:?name of the cluster}" ;;
        psql)
            name=${2:?name of the cluster}
            shift 2
            pg_client "$name" psql "$@"
            ;;
        clean)
            for data in "$WEIR_WORK"/*/data; do
                [ -d "$data" ] || continue
                name=$(basename "$(dirname "$data")")
                pg_stop "$name"
                rm -rf "$(pg_dir "$name")"
                echo "deleted $(pg_dir "$name")"
            done
            ;;
        *)
            echo "usage: pg.sh start NAME | stop NAME | psql NAME [args] | clean" >&2
            exit 2
            ;;
    esac
fi
