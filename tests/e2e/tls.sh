#!/usr/bin/env bash
# Encrypted connections, with certificates of our own making: for "localhost", so that the address 127.0.0.1 is a wrong name. Sourced by remote.sh.
# shellcheck disable=SC2154 # what remote.sh defines

tls_dir=$WEIR_WORK/tls

# ca.pem, and what it signed: server.pem, client.pem, and ec.pem with a key that is not RSA; other.pem, which signed stranger.pem. Of the client's key
# also locked.key, which has a passphrase, open.key, which everybody can read, and old.pem, of X.509 version 1.
tls_certificates() {
    [ -f "$tls_dir/done" ] && openssl x509 -checkend 3600 -noout -in "$tls_dir/old.pem" >/dev/null 2>&1 && return 0
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
        printf 'extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n' >client_extensions
        for of in "client ca rsa:2048" "stranger other rsa:2048" "ec ca ec:params"; do
            read -r who ca kind <<<"$of"
            openssl ecparam -name prime256v1 -out params
            openssl req -newkey $kind -nodes -subj /CN=$who -keyout $who.key -out $who.csr
            openssl x509 -req -days 2 -in $who.csr -CA $ca.pem -CAkey $ca.key -CAcreateserial -extfile client_extensions -out $who.pem
        done
        openssl x509 -req -days 2 -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out old.pem
        openssl pkey -in client.key -aes256 -passout pass:word -out locked.key
        cp client.key open.key
        echo nothing >junk.key
    ) >/dev/null 2>&1 || return 1
    chmod 644 "$tls_dir"/*.pem
    chmod 600 "$tls_dir"/*.key
    chmod 644 "$tls_dir/open.key"
    if [ "$(id -u)" -eq 0 ]; then chown "$(pg_os_user)" "$tls_dir"/*.key; fi
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

# A server that asks for the client's certificate: with which it lets in, and why not with others.
tls_identities() { # label, wrapper, options of the server and of the mapping, the two options, query that says t or 1, what is said without a certificate, and of one that nobody trusts
    local label=$1 wrapper=$2 options=$3 user=$4 certificate=$5 key=$6 asking=$7 none=$8 server=tls_${1}_who c k wanted changed
    local strange=${9:-}
    [ -n "$strange" ] || strange="ERROR: +28000: server \"$server\": the client certificate was refused"
    query "CREATE SERVER $server FOREIGN DATA WRAPPER $wrapper OPTIONS ($options); CREATE USER MAPPING FOR CURRENT_USER SERVER $server OPTIONS ($user)"
    while read -r c k wanted; do
        changed=""
        [ "$c" = - ] || changed="ADD $certificate '$tls_dir/$c'"
        [ "$k" = - ] || changed="${changed:+$changed, }ADD $key '$tls_dir/$k'"
        expect "$label, client certificate: $c with $k" "$wanted" \
            "$(failing "BEGIN; ${changed:+ALTER USER MAPPING FOR CURRENT_USER SERVER $server OPTIONS ($changed);} $asking")"
    done <<-END
	client.pem client.key ^(1|t|true)\$
	- - $none
	stranger.pem stranger.key $strange
	client.pem - ERROR: +HV00D: server "$server": option "$certificate" needs the option "$key"
	- client.key ERROR: +HV00D: server "$server": option "$key" needs the option "$certificate"
	client.pem stranger.key ERROR: +HV00D: server "$server": the client certificate and the key do not belong together
	nothing.pem client.key ERROR: +HV00D: server "$server": could not read the file of option "$certificate"
	client.pem nothing.key ERROR: +HV00D: server "$server": could not read the file of option "$key"
	client.key client.key It has no certificate in PEM form
	client.pem junk.key It has no private key in PEM form
	client.pem open.key Others may read or write it
	old.pem client.key It must be one of X.509 version 3
	client.pem locked.key The key is encrypted: only keys without a passphrase can be used
	client.pem client.key ^(1|t|true)\$
END
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
    tls_postgres_client
    counterpart_query "ALTER SYSTEM RESET ssl" >/dev/null
    counterpart_query "SELECT pg_reload_conf()" >/dev/null
    tls_is off
    tls_modes plain weir_postgres sslmode sslrootcert "SELECT ssl AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()" "port '$counterpart_port', dbname 'shop'" \
        "127.0.0.1 - prefer ^false$" "127.0.0.1 - require ERROR:.*08001:.*server.*tls_plain_2"
}

# A role that needs a certificate and a password, and one that is known by the name in its certificate.
tls_postgres_client() {
    local hba
    hba=$(counterpart_query "SHOW hba_file")
    counterpart_query "CREATE ROLE certified SUPERUSER LOGIN PASSWORD 'secret word'; CREATE ROLE client LOGIN" >/dev/null
    counterpart_query "ALTER SYSTEM SET ssl_ca_file = '$tls_dir/ca.pem'" >/dev/null
    { echo "hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-ca"; echo "hostssl all client 127.0.0.1/32 cert"; as_pg cat "$hba"; } >"$out/hba"
    as_pg tee "$hba" <"$out/hba" >/dev/null
    counterpart_query "SELECT pg_reload_conf()" >/dev/null
    for _ in $(seq 100); do
        if [ "$(counterpart_query "SELECT count(*) > 0 AND current_setting('ssl_ca_file') <> '' FROM pg_hba_file_rules WHERE auth_method = 'cert'")" = t ]; then break; fi
        sleep 0.1
    done
    tls_identities postgres weir_postgres "host 'localhost', port '$counterpart_port', dbname 'shop', sslmode 'verify-full', sslrootcert '$tls_dir/ca.pem'" "user 'certified', password 'secret word'" \
        sslcert sslkey "SELECT q ->> 'is' FROM weir.query('tls_postgres_who', 'SELECT client_dn = ''/CN=client'' AS is FROM pg_stat_ssl WHERE pid = pg_backend_pid()') q" 'ERROR: +28000: server "tls_postgres_who": connection requires a valid client certificate'
    local change="ALTER USER MAPPING FOR CURRENT_USER SERVER tls_postgres_who OPTIONS (SET user 'client', DROP password, ADD sslcert '$tls_dir/client.pem', ADD sslkey '$tls_dir/client.key')"
    expect "postgres, client certificate: instead of a password" '^client$' "$(failing "BEGIN; $change; SELECT q ->> 'u' FROM weir.query('tls_postgres_who', 'SELECT current_user AS u') q")"
    expect "postgres, client certificate: of a key that is not RSA" '^t$' "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER tls_postgres_who OPTIONS (ADD sslcert '$tls_dir/ec.pem', ADD sslkey '$tls_dir/ec.key'); SELECT q ->> 'c' = '/CN=ec' FROM weir.query('tls_postgres_who', 'SELECT client_dn AS c FROM pg_stat_ssl WHERE pid = pg_backend_pid()') q")"
    expect "postgres, client certificate: not without encryption" 'ERROR:  HV00D: server "tls_postgres_who": a client certificate needs an encrypted connection' "$(failing "BEGIN; $change; ALTER SERVER tls_postgres_who OPTIONS (SET sslmode 'disable'); SELECT * FROM weir.query('tls_postgres_who', 'SELECT 1')")"
    # Whoever is no superuser shows more than a certificate that somebody else has put there.
    query "CREATE ROLE tls_somebody; GRANT USAGE ON FOREIGN SERVER tls_postgres_who TO tls_somebody; GRANT USAGE ON SCHEMA weir TO tls_somebody; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA weir TO tls_somebody;
        CREATE USER MAPPING FOR tls_somebody SERVER tls_postgres_who OPTIONS (user 'client', sslcert '$tls_dir/client.pem', sslkey '$tls_dir/client.key')"
    expect "postgres, client certificate: no way in without a password for others" 'ERROR:  28000: server "tls_postgres_who": a password is required' "$(failing "SET ROLE tls_somebody; SELECT * FROM weir.query('tls_postgres_who', 'SELECT 1')")"
    expect "postgres, client certificate: others cannot name files" 'ERROR:  42501: only superusers may set option "sslcert"' "$(failing "SET ROLE tls_somebody; ALTER USER MAPPING FOR CURRENT_USER SERVER tls_postgres_who OPTIONS (SET user 'x')")"
    query "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA weir FROM tls_somebody"
    counterpart_query "ALTER SYSTEM RESET ssl_ca_file" >/dev/null
}

tls_mariadb() {
    tls_certificates || { report "not ok" "mariadb: certificates can be made"; return; }
    tls_modes mariadb weir_mysql ssl_mode ssl_ca "SELECT VARIABLE_VALUE <> '''' AS encrypted FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = ''Ssl_cipher''" "port '$WEIR_MARIADB_PORT', database 'shop'" \
        "127.0.0.1 - disabled ^0$" "127.0.0.1 - required ^1$" "localhost ca.pem verify_ca ^1$" "localhost ca.pem verify_identity ^1$" \
        "127.0.0.1 ca.pem verify_identity ERROR:.*08001:.*server.*tls_mariadb_5" "127.0.0.1 other.pem verify_ca ERROR:.*08001:.*server.*tls_mariadb_6" \
        "127.0.0.1 nothing.pem verify_ca ERROR:.*08001:.*server.*tls_mariadb_7"
    mariadb_sql "CREATE USER certified@'%' IDENTIFIED BY 'secret word' REQUIRE X509; GRANT ALL ON shop.* TO certified@'%'"
    tls_identities mariadb weir_mysql "host 'localhost', port '$WEIR_MARIADB_PORT', database 'shop', ssl_mode 'verify_identity', ssl_ca '$tls_dir/ca.pem'" "user 'certified', password 'secret word'" \
        ssl_cert ssl_key "SELECT q ->> 'one' FROM weir.query('tls_mariadb_who', 'SELECT 1 AS one') q" 'ERROR: +28000: server "tls_mariadb_who": Access denied'
    expect "mariadb, client certificate: of a key that is not RSA" 'ERROR:  0A000: server "tls_mariadb_who": the key of the client certificate is not an RSA key' \
        "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER tls_mariadb_who OPTIONS (ADD ssl_cert '$tls_dir/ec.pem', ADD ssl_key '$tls_dir/ec.key'); SELECT * FROM weir.query('tls_mariadb_who', 'SELECT 1')")"
    query "ALTER USER MAPPING FOR CURRENT_USER SERVER tls_mariadb_who OPTIONS (ADD ssl_cert '$tls_dir/client.pem', ADD ssl_key '$tls_dir/client.key')"
    cancelled "mariadb, with a client certificate" "SELECT * FROM weir.query('tls_mariadb_who', 'SELECT SLEEP(60)')" mariadb_sql "SELECT count(*) FROM information_schema.processlist WHERE user = 'certified' AND command <> 'Sleep'"
    query "ALTER SERVER tls_mariadb_5 OPTIONS (ADD ssl_name 'localhost')"
    expect "mariadb, TLS: a certificate for another name that is known" '^1$' "$(failing "SELECT * FROM weir.query('tls_mariadb_5', 'SELECT 1 AS one') q" | grep -c '"one": 1')"
}

# The front ends of StarRocks speak TLS as MySQL's servers do.
tls_starrocks() {
    tls_certificates || { report "not ok" "starrocks: certificates can be made"; return; }
    tls_modes starrocks weir_starrocks ssl_mode ssl_ca "SELECT VARIABLE_VALUE <> '''' AS encrypted FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = ''Ssl_cipher''" "port '$WEIR_MARIADB_PORT', database 'rocks'" \
        "127.0.0.1 - disabled ^0$" "127.0.0.1 - required ^1$" "localhost ca.pem verify_identity ^1$" "127.0.0.1 ca.pem verify_identity ERROR:.*08001:.*server.*tls_starrocks_4" \
        "127.0.0.1 other.pem verify_ca ERROR:.*08001:.*server.*tls_starrocks_5"
    mariadb_sql "CREATE USER IF NOT EXISTS certified@'%' IDENTIFIED BY 'secret word' REQUIRE X509; GRANT ALL ON rocks.* TO certified@'%'"
    tls_identities starrocks weir_starrocks "host 'localhost', port '$WEIR_MARIADB_PORT', database 'rocks', ssl_mode 'verify_identity', ssl_ca '$tls_dir/ca.pem'" "user 'certified', password 'secret word'" \
        ssl_cert ssl_key "SELECT q ->> 'one' FROM weir.query('tls_starrocks_who', 'SELECT 1 AS one') q" 'ERROR: +28000: server "tls_starrocks_who": Access denied'
}

# This ClickHouse has no TLS of its own.
tls_front_start() { # arguments of the front
    python3 tests/e2e/tls_front.py "$@" >"$out/tls_front" 2>&1 &
    front=$!
    for _ in $(seq 100); do
        if grep -q ready "$out/tls_front"; then break; fi
        sleep 0.1
    done
}

tls_front_stop() {
    kill "$front"
    wait "$front" 2>/dev/null || true
}

tls_clickhouse() {
    local port=$((WEIR_PORT + 21)) front
    tls_certificates || { report "not ok" "clickhouse: certificates can be made"; return; }
    tls_front_start "$port" "$ch_port" "$tls_dir/server.pem" "$tls_dir/server.key"
    tls_modes clickhouse weir_clickhouse ssl_mode ssl_ca "SELECT 1 AS encrypted" "port '$port', database 'shop'" \
        "127.0.0.1 - disabled ERROR:.*08006:.*server.*tls_clickhouse_1" "127.0.0.1 - required ^1$" "127.0.0.1 ca.pem verify_ca ^1$" "localhost ca.pem verify_identity ^1$" \
        "127.0.0.1 ca.pem verify_identity ERROR:.*08001:.*server.*tls_clickhouse_5" "127.0.0.1 other.pem verify_ca ERROR:.*08001:.*server.*tls_clickhouse_6" \
        "localhost - verify_identity ERROR:.*08001:.*server.*tls_clickhouse_7" "localhost nothing.pem verify_ca ERROR:.*HV00D:.*server.*tls_clickhouse_8.*ssl_ca"
    tls_front_stop
    tls_front_start "$port" "$ch_port" "$tls_dir/server.pem" "$tls_dir/server.key" "$tls_dir/ca.pem"
    tls_identities clickhouse weir_clickhouse "host 'localhost', port '$port', database 'shop', ssl_mode 'verify_identity', ssl_ca '$tls_dir/ca.pem'" "user 'weir', password 'secret word'" \
        ssl_cert ssl_key "SELECT q ->> 'one' FROM weir.query('tls_clickhouse_who', 'SELECT 1 AS one') q" 'ERROR: +28000: server "tls_clickhouse_who": a client certificate is required'
    tls_front_stop
}

# The coordinator takes a certificate for a password.
tls_trino() {
    tls_certificates || { report "not ok" "trino: certificates can be made"; return; }
    tls_identities trino weir_trino "url 'https://localhost:$trino_tls_port', catalog 'memory', schema 'shop', ssl_ca '$trino_dir/authority.pem'" "user 'client'" \
        ssl_cert ssl_key "SELECT q ->> 'one' FROM weir.query('tls_trino_who', 'SELECT 1 AS one') q" 'ERROR: +28000: server "tls_trino_who": the credentials were refused'
    expect "trino, client certificate: not without encryption" 'ERROR:  HV00D: server "tls_trino_who": a client certificate needs an encrypted connection' \
        "$(failing "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER tls_trino_who OPTIONS (ADD ssl_cert '$tls_dir/client.pem', ADD ssl_key '$tls_dir/client.key'); ALTER SERVER tls_trino_who OPTIONS (SET url 'http://127.0.0.1:$trino_port'); SELECT * FROM weir.query('tls_trino_who', 'SELECT 1')")"
}

# A server that asks for certificates runs at the port; parts of its results are at another one, which asks, too. Under HTTP/2 the request may be given
# up before the server's reason has been read: then it is a connection that was lost.
tls_flight() { # port
    tls_identities flight weir_flightsql "host '127.0.0.1', port '$1', tls 'verify_full', tls_ca '$flight_dir/ca.pem'" "token 'secret word'" \
        tls_cert tls_key "SELECT count(*) = 100000 FROM weir.query('tls_flight_who', 'SELECT \"id\" FROM \"numbers\"') q" 'ERROR: +(28000: server "tls_flight_who": a client certificate is required|08006: server "tls_flight_who": lost the connection)' \
        'ERROR: +(28000: server "tls_flight_who": the client certificate was refused|08006: server "tls_flight_who": lost the connection)'
}
