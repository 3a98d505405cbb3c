#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2086,SC2016,SC2001 # sourced by remote.sh, whose variables these are; SQL has quotes of its own
# Writing to engines without transactions: what is written takes effect at once. Sourced by remote.sh, after write.sh, whose `both` is used.
# shellcheck disable=SC2154 # what remote.sh defines

# The local table, and the foreign table over one that is there; the columns that both have.
direct_tables() { # label, server, options of the foreign table, columns
    query "DROP TABLE IF EXISTS local.w; CREATE TABLE local.w ($4); CREATE SCHEMA ${1}_w;
        CREATE FOREIGN TABLE ${1}_w.w ($(sed "s/id int PRIMARY KEY/id int OPTIONS (key 'true') NOT NULL/" <<<"$4")) SERVER $2 OPTIONS ($3)"
}

direct_rows() { # label, table of one's own there: UPDATE, DELETE too, or not
    local label=$1
    both "$label" "many rows" "INSERT INTO @w@ (id, n4, num, v, t, d) SELECT i, i * 7, i / 8.0, 'v' || i, repeat('x', i % 100), date '2020-01-01' + i % 10000 FROM generate_series(100, 12000) i"
    both "$label" "COPY FROM" "COPY @w@ (id, v, flag, ts) FROM STDIN;
200001	a\\tb\\\\c	t	2020-02-02 02:02:02.123456
200002	\\N	\\N	\\N
\\.
SELECT id, v, flag, ts FROM @w@ WHERE id > 200000 ORDER BY id"
    both "$label" "INSERT ... SELECT from itself" "INSERT INTO @w@ (id, n4, t) SELECT id + 50000, n4, t FROM @w@ WHERE id BETWEEN 100 AND 1500"
}
