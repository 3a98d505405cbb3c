#!/usr/bin/env bash
# shellcheck disable=SC2154 # sourced by bench/remote.sh, whose variables these are
# MariaDB: beside mysql_fdw, where it can be had, and the client mariadb.

mariadb_timed() { mariadb_sql "$1" bench -vvv | awk '/^[0-9]+ rows? in set|^Query OK/ { t = $(NF - 1); gsub(/[(]/, "", t) } END { printf "%.4f\n", t }'; }
empty_my() { mariadb_sql "DELETE FROM w" bench; }

measure_mariadb() {
    local rival=()
    case $("$PG_CONFIG" --bindir) in
        /usr/lib/postgresql/15/bin)
            [ "$(id -u)" -ne 0 ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-15-mysql-fdw >/dev/null
            ;;
    esac
    mariadb_install
    mariadb_start
    mariadb_sql "CREATE DATABASE bench CHARACTER SET utf8mb4; CREATE USER weir@'%' IDENTIFIED BY 'secret word'; GRANT ALL ON *.* TO weir@'%'"
    mariadb_sql "CREATE TABLE f (${columns//timestamp(6)/datetime(6)}); CREATE TABLE w (id int PRIMARY KEY, v varchar(100));
        INSERT INTO f SELECT seq, seq * 1000003, (seq % 100000) / 7.0, seq / 3.0, concat('value ', seq % 1000), md5(seq), '2000-01-01' + interval (seq % 9000) day, '2000-01-01' + interval seq second FROM seq_1_to_$rows" bench
    query "CREATE SCHEMA weir_my; CREATE SERVER weir_my FOREIGN DATA WRAPPER weir_mysql OPTIONS (host '127.0.0.1', port '$WEIR_MARIADB_PORT', database 'bench');
        CREATE USER MAPPING FOR CURRENT_USER SERVER weir_my OPTIONS (user 'weir', password 'secret word');
        CREATE FOREIGN TABLE weir_my.f ($columns) SERVER weir_my; CREATE FOREIGN TABLE weir_my.w (id int, v text) SERVER weir_my"
    if query "CREATE EXTENSION mysql_fdw" 2>/dev/null; then
        rival=(mysql_fdw own_my)
        query "CREATE SCHEMA own_my; CREATE SERVER own_my FOREIGN DATA WRAPPER mysql_fdw OPTIONS (host '127.0.0.1', port '$WEIR_MARIADB_PORT', fetch_size '50000');
            CREATE USER MAPPING FOR CURRENT_USER SERVER own_my OPTIONS (username 'weir', password 'secret word');
            CREATE FOREIGN TABLE own_my.f (${columns//timestamp(6)/timestamp}) SERVER own_my OPTIONS (dbname 'bench', table_name 'f');
            CREATE FOREIGN TABLE own_my.w (id int, v text) SERVER own_my OPTIONS (dbname 'bench', table_name 'w')"
    fi
    for _ in $(seq "$runs"); do
        read_ways MariaDB weir_my "${rival[@]}"
        way "MariaDB: fetch" "the client mariadb" mariadb_timed "SELECT * FROM f"
        way "MariaDB: aggregate pushed down" "the client mariadb" mariadb_timed "$(of "$aggregate" f)"
        insert_way MariaDB pg_weir weir_my "$inserted" empty_my
        if [ ${#rival[@]} -gt 0 ]; then insert_way MariaDB "mysql_fdw, row by row" own_my "$inserted" empty_my; fi
    done
    memory_of MariaDB weir_my
    mariadb_stop
}
