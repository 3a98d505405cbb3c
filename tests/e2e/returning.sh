#!/usr/bin/env bash
# Rows as they were stored (RETURNING, checks of views, generated columns), ON CONFLICT DO NOTHING, and partitions at remote servers. Sourced by
# remote.sh, after write.sh.
# shellcheck disable=SC2154 # what remote.sh defines

# As `effect`, without what it says of its own settings.
said() { effect "$1" | sed '/^SET$/d'; }

# The remote table is r: id, a, b (to which the remote adds a + when it stores it), g = 2 a, made there.
returning_tables() { # label, server, options of the foreign tables
    query "CREATE FOREIGN TABLE ${1}_w.r (id int OPTIONS (key 'true') NOT NULL, a int, b text DEFAULT 'ours', g int GENERATED ALWAYS AS (a * 2) STORED) SERVER $2 OPTIONS ($3)"
}

returning() { # label; UPDATE, too, or not
    local label=$1 t=${1}_w.r
    expect "$label, returning: what the remote made of new rows" '^1\|5\|x\+\|10#2\|\|ours\+\|#INSERT 0 2$' \
        "$(said "INSERT INTO $t (id, a, b) VALUES (1, 5, 'x'), (2, NULL, DEFAULT) RETURNING *" | paste -sd '#')"
    expect "$label, returning: of many rows" '^300\|150300\|ours\+\|300600$' \
        "$(said "WITH n AS (INSERT INTO $t (id, a) SELECT i, i * 2 FROM generate_series(101, 400) i RETURNING *, tableoid) SELECT count(*), sum(a), min(b), sum(g) FROM n WHERE tableoid = '$t'::regclass")"
    expect "$label, returning: deleted rows, with the columns of another table" '^2\|ours\+\|note 2#DELETE 1$' "$(said "DELETE FROM $t USING plain p WHERE p.id = $t.id AND p.id = 2 RETURNING $t.id, b, note" | paste -sd '#')"
    expect "$label, returning: of nothing" '^DELETE 0$' "$(said "DELETE FROM $t WHERE id = -1 RETURNING *")"
    if [ "${2:-}" = update ]; then
        expect "$label, returning: changed rows" '^1\|6\|y\+\|12#UPDATE 1$' "$(said "UPDATE $t SET a = a + 1, b = 'y' WHERE id = 1 RETURNING *" | paste -sd '#')"
        expect "$label, returning: changed with another table" '^3\|note 3\+\|note 3#UPDATE 1$' "$(said "INSERT INTO $t (id, a) VALUES (3, 3); UPDATE $t SET b = note FROM plain p WHERE p.id = $t.id AND p.id = 3 RETURNING $t.id, b, note" | tail -n 2 | paste -sd '#')"
        query "CREATE VIEW ${label}_w.stored AS SELECT id, a, b FROM $t WHERE b LIKE '%+' AND a > 0 WITH CHECK OPTION"
        expect "$label, returning: a view checks what is stored" '^INSERT 0 1$' "$(said "INSERT INTO ${label}_w.stored VALUES (20, 1, 'checked')")"
        expect "$label, returning: and holds back the rest" 'ERROR:  44000' "$(said "INSERT INTO ${label}_w.stored VALUES (21, 1, 'x'), (22, -1, 'x')")"
        expect "$label, returning: of UPDATE, too" 'ERROR:  44000' "$(said "UPDATE ${label}_w.stored SET a = -a WHERE id = 20")"
        expect "$label, returning: what was held back is not there" '^20\|1\|checked\+$' "$(said "SELECT id, a, b FROM $t WHERE id BETWEEN 20 AND 22")"
    else
        expect "$label, returning: changed rows" 'ERROR:  0A000' "$(said "UPDATE $t SET a = 6 WHERE id = 1 RETURNING *")"
    fi
    expect "$label, returning: generated columns without it" '^7\|14$' "$(said "INSERT INTO $t (id, a) VALUES (30, 3); UPDATE $t SET a = 7 WHERE id = 30; SELECT a, g FROM $t WHERE id = 30" | tail -n 1)"
    expect "$label, returning: after a savepoint that was left" '^41\|ours\+$' "$(said "BEGIN; SAVEPOINT s; INSERT INTO $t (id) VALUES (40) RETURNING id; ROLLBACK TO s; INSERT INTO $t (id) VALUES (41) RETURNING id, b; COMMIT" | grep '41')"
}

conflicts() { # label
    local label=$1 t=${1}_w.r
    expect "$label, conflicts: passed over one by one" '^INSERT 0 2$' "$(said "INSERT INTO $t (id, a) VALUES (50, 1), (51, 1); INSERT INTO $t (id, a) VALUES (50, 2), (52, 2), (51, 2), (53, 2) ON CONFLICT DO NOTHING" | tail -n 1)"
    expect "$label, conflicts: only new rows are returned" '^54\|3#INSERT 0 1$' "$(said "INSERT INTO $t (id, a) VALUES (50, 3), (54, 3) ON CONFLICT DO NOTHING RETURNING id, a" | paste -sd '#')"
    expect "$label, conflicts: what was there stays" '^50:1,51:1,52:2,53:2,54:3$' "$(said "SELECT string_agg(id || ':' || a, ',' ORDER BY id) FROM $t WHERE id BETWEEN 50 AND 59")"
    expect "$label, conflicts: of many rows" '^INSERT 0 46$' "$(said "INSERT INTO $t (id) SELECT i FROM generate_series(50, 149) i ON CONFLICT DO NOTHING")"
    expect "$label, conflicts: DO UPDATE" 'ERROR:  (0A000|42P10)' "$(said "INSERT INTO $t (id) VALUES (50) ON CONFLICT (id) DO UPDATE SET a = 4")"
}

# A partitioned table with one partition here (0 to 9) and one there (1000 to 1999).
partitions() { # label, server, options of the foreign table
    local label=$1 p=${1}_w.spread
    query "CREATE TABLE $p (id int, v text) PARTITION BY RANGE (id); CREATE TABLE ${p}_here PARTITION OF $p FOR VALUES FROM (0) TO (10);
        CREATE FOREIGN TABLE ${p}_there PARTITION OF $p FOR VALUES FROM (1000) TO (2000) SERVER $2 OPTIONS ($3); ALTER FOREIGN TABLE ${p}_there ALTER COLUMN id OPTIONS (ADD key 'true')"
    expect "$label, partitions: COPY FROM" '^COPY 4$' "$(said "COPY $p FROM STDIN;
1	one
1001	there
2	two
1002	there, too
\\.")"
    if [ "${4:-}" = returning ]; then
        expect "$label, partitions: routed rows are returned" '^3\|a\|.*_here#1003\|b\|.*_there#INSERT 0 2$' "$(said "INSERT INTO $p VALUES (3, 'a'), (1003, 'b') RETURNING *, tableoid::regclass" | paste -sd '#')"
    else
        effect "INSERT INTO $p VALUES (3, 'a'), (1003, 'b')" >/dev/null
    fi
    expect "$label, partitions: a row moves from here to there" '^UPDATE 1#1,3,1001,1002,1003,1004$' "$(said "UPDATE $p SET id = 1004 WHERE id = 2; SELECT string_agg(id::text, ',' ORDER BY id) FROM $p" | paste -sd '#')"
    expect "$label, partitions: it is there" '^two$' "$(said "SELECT v FROM ${p}_there WHERE id = 1004")"
    expect "$label, partitions: and back is not possible" 'ERROR:  23514' "$(said "UPDATE $p SET id = 4 WHERE id = 1004")"
    expect "$label, partitions: nor by its own name" 'ERROR:  23514' "$(said "UPDATE ${p}_there SET id = 4 WHERE id = 1004")"
    expect "$label, partitions: a row that does not belong there" 'ERROR:  23514' "$(said "INSERT INTO ${p}_there VALUES (4, 'x')")"
    expect "$label, partitions: nothing was lost" '^1,3,1001,1002,1003,1004$' "$(said "SELECT string_agg(id::text, ',' ORDER BY id) FROM $p")"
    expect "$label, partitions: UPDATE and DELETE of all" '^UPDATE 6#DELETE 6#0$' "$(said "UPDATE $p SET v = v || '!'; DELETE FROM $p WHERE v LIKE '%!'; SELECT count(*) FROM $p" | paste -sd '#')"
}

returning_postgres() {
    counterpart_query "CREATE TABLE shop.r (id int PRIMARY KEY, a int, b text DEFAULT 'theirs', g int GENERATED ALWAYS AS (a * 2) STORED); CREATE TABLE shop.spread (id int PRIMARY KEY, v text);
        CREATE FUNCTION shop.plus() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b = NEW.b || ''+''; RETURN NEW; END'; CREATE TRIGGER plus BEFORE INSERT OR UPDATE OF b ON shop.r FOR EACH ROW EXECUTE FUNCTION shop.plus()" >/dev/null
    returning_tables postgres pg "schema_name 'shop'"
    returning postgres update
    conflicts postgres
    query "CREATE FOREIGN TABLE postgres_w.strange (id int OPTIONS (key 'true'), a point) SERVER pg OPTIONS (schema_name 'shop', table_name 'r')"
    expect "postgres, returning: a column whose type is not known" 'ERROR:  0A000' "$(said "DELETE FROM postgres_w.strange WHERE id = 1 RETURNING *")"
    partitions postgres pg "schema_name 'shop', table_name 'spread'" returning
}

returning_mariadb() {
    mariadb_sql "CREATE TABLE r (id int PRIMARY KEY, a int, b varchar(40) DEFAULT 'theirs', g int GENERATED ALWAYS AS (a * 2) STORED); CREATE TABLE spread (id int PRIMARY KEY, v text);
        CREATE TRIGGER plus BEFORE INSERT ON r FOR EACH ROW SET NEW.b = CONCAT(NEW.b, '+')" shop
    returning_tables mariadb shop "database 'shop'"
    returning mariadb
    partitions mariadb shop "database 'shop', table_name 'spread'" returning
    expect "mariadb, conflicts: passed over one by one" '^INSERT 0 2$' "$(said "INSERT INTO mariadb_w.r (id, a) VALUES (50, 1), (51, 1); INSERT INTO mariadb_w.r (id, a) VALUES (50, 2), (52, 2), (51, 2), (53, 2) ON CONFLICT DO NOTHING" | tail -n 1)"
    expect "mariadb, conflicts: what was there stays" '^50:1,51:1,52:2,53:2$' "$(said "SELECT string_agg(id || ':' || a, ',' ORDER BY id) FROM mariadb_w.r WHERE id BETWEEN 50 AND 59")"
    expect "mariadb, conflicts: of many rows" '^INSERT 0 46$' "$(said "INSERT INTO mariadb_w.r (id) SELECT i FROM generate_series(50, 99) i ON CONFLICT DO NOTHING")"
    expect "mariadb, conflicts: of a key that counts by itself" '^INSERT 0 1#INSERT 0 1#INSERT 0 0$' "$(mariadb_sql "CREATE TABLE counted (id int AUTO_INCREMENT PRIMARY KEY, v varchar(9) UNIQUE)" shop
        query "CREATE FOREIGN TABLE mariadb_w.counted (id int OPTIONS (key 'true'), v text) SERVER shop OPTIONS (database 'shop')"
        said "INSERT INTO mariadb_w.counted VALUES (5, 'x'); INSERT INTO mariadb_w.counted VALUES (6, 'y') ON CONFLICT DO NOTHING; INSERT INTO mariadb_w.counted VALUES (7, 'x') ON CONFLICT DO NOTHING" | paste -sd '#')"
    expect "mariadb, conflicts: other errors stay" 'ERROR:  2[23]' "$(said "INSERT INTO mariadb_w.r (id, b) VALUES (50, repeat('x', 100)) ON CONFLICT DO NOTHING")"
    expect "mariadb, conflicts: and nothing is returned" 'ERROR:  0A000' "$(said "INSERT INTO mariadb_w.r (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING id")"
}
