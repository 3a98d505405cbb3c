#!/usr/bin/env bash
# Encrypted connections, with certificates of our own making: for "localhost", so that the address 127.0.0.1 is a wrong name. Sourced by remote.sh.
# shellcheck disable=SC2154 # what remote.sh defines

tls_dir=$WEIR_WORK/tls

# ca.pem, server.pem and server.key; and other.pem, which signed nothing.
tls_certificates() {
    [ -f "$tls_dir/done" ] && return 0
    command -v openssl >/dev/null || return 1
    rm -rf "$tls_dir"
    mkdir -p "$tls_dir"
    chmod 755 "$tls_dir"
    (
        cd "$tls_dir" || exit 1
        for ca in ca other; do
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$ca" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign -keyout $ca.key -out $ca.pem
        done
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' >extensions
        openssl x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions -out server.pem
    ) >/dev/null 2>&1 || return 1
    chmod 644 "$tls_dir"/*.pem
    chmod 600 "$tls_dir"/*.key
    if [ "$(id -u)" -eq 0 ]; then chown "$(pg_os_user)" "$tls_dir/server.key"; fi
    touch "$tls_dir/done"
}

# Each way to connect: whether it is encrypted, or why it is not made.
tls_modes() { # label, server to copy, option of the mode, option of the certificates, query that says t when encrypted, options, then MODE WANTED pairs
    local label=$1 wrapper=$2 mode=$3 roots=$4 asking=$5 options=$6 n=0 host file line wanted answer
    shift 6
    for line in "$@"; do
        n=$((n + 1))
        read -r host file value wanted <<<"$line"
        query "CREATE SERVER tls_${label}_$n FOREIGN DATA WRAPPER $wrapper OPTIONS (host '$host', $options, $mode '$value'$([ "$file" = - ] || echo ", $roots '$tls_dir/$file'"));
            CREATE USER MAPPING FOR CURRENT_USER SERVER tls_${label}_$n OPTIONS (user 'weir', password 'secret word')"
        answer=$(failing "SELECT q ->> 'encrypted' FROM weir.query('tls_${label}_$n', '$asking') q")
        expect "$label, TLS: $mode $value at $host with $file" "$wanted" "$answer"
    done
}

# A reload takes effect when the server gets to it.
tls_is() { # on | off
    for _ in $(seq 100); do
        if [ "$(counterpart_query "SHOW ssl")" = "$1" ]; then return 0; fi
        sleep 0.1
    done
}

tls_postgres() {
    tls_certificates || { report "not ok" "postgres: certificates can be made"; return; }
    if [[ $(counterpart_query "ALTER SYSTEM SET ssl = on" 2>&1 || true) == *'SSL is not supported by this build'* ]]; then
        echo "# this Postgres is built without SSL: as a counterpart it cannot show that connections are encrypted"
        return
    fi
    counterpart_query "ALTER SYSTEM SET ssl_cert_file = '$tls_dir/server.pem'" >/dev/null
    counterpart_query "ALTER SYSTEM SET ssl_key_file = '$tls_dir/server.key'" >/dev/null
    counterpart_query "SELECT pg_reload_conf()" >/dev/null
    tls_is on
    tls_modes postgres weir_postgres sslmode sslrootcert "SELECT ssl AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()" "port '$counterpart_port', dbname 'shop'" \
        "127.0.0.1 - disable ^false$" "127.0.0.1 - prefer ^true$" "127.0.0.1 - require ^true$" "127.0.0.1 ca.pem verify-ca ^true$" "localhost ca.pem verify-full ^true$" \
        "127.0.0.1 ca.pem verify-full ERROR:.*08001:.*server.*tls_postgres_6.*could.not.connect" "127.0.0.1 other.pem verify-ca ERROR:.*08001:.*server.*tls_postgres_7" \
        "127.0.0.1 nothing.pem verify-ca ERROR:.*08001:.*server.*tls_postgres_8" "127.0.0.1 - verify-ca ERROR:.*08001:.*sslmode.verify-ca.needs"
    counterpart_query "ALTER SYSTEM RESET ssl" >/dev/null
    counterpart_query "SELECT pg_reload_conf()" >/dev/null
    tls_is off
    tls_modes plain weir_postgres sslmode sslrootcert "SELECT ssl AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()" "port '$counterpart_port', dbname 'shop'" \
        "127.0.0.1 - prefer ^false$" "127.0.0.1 - require ERROR:.*08001:.*server.*tls_plain_2"
}

tls_mariadb() {
    tls_certificates || { report "not ok" "mariadb: certificates can be made"; return; }
    tls_modes mariadb weir_mysql ssl_mode ssl_ca "SELECT VARIABLE_VALUE <> '''' AS encrypted FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = ''Ssl_cipher''" "port '$WEIR_MARIADB_PORT', database 'shop'" \
        "127.0.0.1 - disabled ^0$" "127.0.0.1 - required ^1$" "localhost ca.pem verify_ca ^1$" "localhost ca.pem verify_identity ^1$" \
        "127.0.0.1 ca.pem verify_identity ERROR:.*08001:.*server.*tls_mariadb_5" "127.0.0.1 other.pem verify_ca ERROR:.*08001:.*server.*tls_mariadb_6" \
        "127.0.0.1 nothing.pem verify_ca ERROR:.*08001:.*server.*tls_mariadb_7"
    query "ALTER SERVER tls_mariadb_5 OPTIONS (ADD ssl_name 'localhost')"
    expect "mariadb, TLS: a certificate for another name that is known" '^1$' "$(failing "SELECT * FROM weir.query('tls_mariadb_5', 'SELECT 1 AS one') q" | grep -c '"one": 1')"
}

# The front ends of StarRocks speak TLS as MySQL's servers do.
tls_starrocks() {
    tls_certificates || { report "not ok" "starrocks: certificates can be made"; return; }
    tls_modes starrocks weir_starrocks ssl_mode ssl_ca "SELECT VARIABLE_VALUE <> '''' AS encrypted FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = ''Ssl_cipher''" "port '$WEIR_MARIADB_PORT', database 'rocks'" \
        "127.0.0.1 - disabled ^0$" "127.0.0.1 - required ^1$" "localhost ca.pem verify_identity ^1$" "127.0.0.1 ca.pem verify_identity ERROR:.*08001:.*server.*tls_starrocks_4" \
        "127.0.0.1 other.pem verify_ca ERROR:.*08001:.*server.*tls_starrocks_5"
}

# This ClickHouse has no TLS of its own.
tls_clickhouse() {
    local port=$((WEIR_PORT + 21)) front
    tls_certificates || { report "not ok" "clickhouse: certificates can be made"; return; }
    python3 tests/e2e/tls_front.py "$port" "$ch_port" "$tls_dir/server.pem" "$tls_dir/server.key" >"$out/tls_front" 2>&1 &
    front=$!
    for _ in $(seq 100); do
        if grep -q ready "$out/tls_front"; then break; fi
        sleep 0.1
    done
    tls_modes clickhouse weir_clickhouse ssl_mode ssl_ca "SELECT 1 AS encrypted" "port '$port', database 'shop'" \
        "127.0.0.1 - disabled ERROR:.*08006:.*server.*tls_clickhouse_1" "127.0.0.1 - required ^1$" "127.0.0.1 ca.pem verify_ca ^1$" "localhost ca.pem verify_identity ^1$" \
        "127.0.0.1 ca.pem verify_identity ERROR:.*08001:.*server.*tls_clickhouse_5" "127.0.0.1 other.pem verify_ca ERROR:.*08001:.*server.*tls_clickhouse_6" \
        "localhost - verify_identity ERROR:.*08001:.*server.*tls_clickhouse_7" "localhost nothing.pem verify_ca ERROR:.*HV00D:.*server.*tls_clickhouse_8.*ssl_ca"
    kill $front
    wait $front 2>/dev/null || true
}
