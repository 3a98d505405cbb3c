#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2059 # sourced by bench/remote.sh, whose variables these are; the formats are ours
# What is measured, and how a time is taken. Sourced by bench/remote.sh.

columns="id int, n8 bigint, num numeric(12,2), f8 double precision, v varchar(40), t text, d date, ts timestamp(6)"
# All rows reach the executor, which drops them.
fetch="EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, SUMMARY OFF) SELECT * FROM %s"
aggregate="SELECT v, count(*), sum(n8) FROM %s GROUP BY v"
of() { printf "$1" "$2"; }

# The same rows for engines that are filled by DuckDB.
duckdb_rows() {
    echo "SELECT i::int AS id, i * 1000003 AS n8, ((i % 100000) / 7.0)::decimal(12,2) AS num, i / 3.0::double AS f8, 'value ' || i % 1000 AS v, md5(i::text) AS t, date '2000-01-01' + (i % 9000)::int AS d, timestamp '2000-01-01' + to_seconds(i) AS ts FROM range($rows) r(i)"
}

# A counterpart has its own port, and no pg_weir.
# shellcheck disable=SC2030,SC2031
counterpart() { (WEIR_PORT=$port && WEIR_PLAIN=1 && "$@"); }
query() { pg_query $cluster $db "$1" >/dev/null; }
say() { printf '== %s\n' "$1"; }

# Seconds of one statement, by psql's clock, after one that makes the session connect.
timed() { # the client's arguments -- warm-up, statement
    local client=()
    while [ "$1" != -- ]; do client+=("$1"); shift; done
    printf '%s;\n\\timing on\n%s;\n' "$2" "$3" | "${client[@]}" -X -q -A -t -v ON_ERROR_STOP=1 -o /dev/null -f - 2>&1 |
        awk '/ERROR/ { print > "/dev/stderr"; bad = 1 } /^Time:/ { printf "%.4f\n", $2 / 1000; seen = 1 } END { exit bad || !seen }'
}
local_sql() { timed pg_client $cluster psql -d $db -- "$1" "$2"; }
native() { "$cache/venv/bin/python" bench/remote/client.py "$@"; }

# way WHAT WHO command...: one run.
way() {
    local seconds
    seconds=$("${@:3}")
    printf '%s\t%s\t%s\n' "$1" "$2" "$seconds" | tee -a "$results"
}

# read_ways ENGINE SCHEMA [RIVAL RIVAL_SCHEMA]: what is the same for all engines. aggregated: what the second is called where it is not pushed down.
read_ways() {
    local aggregated=${aggregated:-aggregate pushed down}
    way "$1: fetch" pg_weir local_sql "SELECT count(*) FROM (SELECT 1 FROM $2.f LIMIT 1) AS s" "$(of "$fetch" "$2.f")"
    way "$1: $aggregated" pg_weir local_sql "SELECT count(*) FROM (SELECT 1 FROM $2.f LIMIT 1) AS s" "$(of "$aggregate" "$2.f")"
    if [ -n "${3:-}" ]; then
        way "$1: fetch" "$3" local_sql "SELECT 1 FROM $4.f LIMIT 1" "$(of "$fetch" "$4.f")"
        way "$1: $aggregated" "$3" local_sql "SELECT 1 FROM $4.f LIMIT 1" "$(of "$aggregate" "$4.f")"
    fi
}

# insert_way ENGINE WHO SCHEMA ROWS EMPTY...: INSERT ... SELECT after the command that empties the table.
insert_way() {
    "${@:5}" >/dev/null
    way "$1: INSERT of $4 rows" "$2" local_sql "SELECT count(*) FROM $3.w" "INSERT INTO $3.w SELECT i, 'value ' || i FROM generate_series(1, $4) i"
}

engine_pid() {
    local pid
    for pid in $(pgrep -x weir-engine); do
        if [ "$(readlink "/proc/$pid/cwd")" = "$(pg_dir $cluster)/data" ]; then echo "$pid"; fi
    done
}

# memory_of ENGINE SCHEMA: the most memory that the engine process has had while so many rows were fetched.
memory_of() {
    local n pid
    for n in $((rows / 5)) $((rows * 2 / 5)) "$rows"; do
        pid=$(engine_pid)
        # The kernel forgets what there was before (proc(5): clear_refs).
        echo 5 >"/proc/$pid/clear_refs"
        query "$(of "$fetch" "$2.f") WHERE id <= $n"
        printf '%s\t%s\t%s\n' "$1" "$n" "$(awk '/^VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$pid/status")" | tee -a "$memory"
    done
}

# The tables of REMOTE.md.
report() {
    awk -F '\t' '
        { key = $1 SUBSEP $2; if (!($1 in seen)) { seen[$1] = 1; what[++n] = $1 } if (!(key in best)) { best[key] = $3; who[$1] = who[$1] "\t" $2 } else if ($3 < best[key]) best[key] = $3 }
        END {
            print "| what | who | seconds | times pg_weir |\n|---|---|---|---|"
            for (i = 1; i <= n; i++) {
                m = split(substr(who[what[i]], 2), names, "\t")
                for (j = 1; j <= m; j++) printf "| %s | %s | %.3f | %.2f |\n", what[i], names[j], best[what[i], names[j]], best[what[i], names[j]] / best[what[i], "pg_weir"]
            }
        }' "$results"
    # shellcheck disable=SC2016 # the quotes are of the text
    printf '\nThe most memory that the engine process had (`VmHWM`) while so many rows were fetched, in MB, after all of the above; an embedded DuckDB counts, other servers do not.\n\n'
    awk -F '\t' '
        { if (!($1 in seen)) { seen[$1] = 1; who[++n] = $1 } if (!($2 in rows)) { rows[$2] = 1; of[++m] = $2 } mb[$1, $2] = $3 }
        END {
            printf "| rows |"; for (i = 1; i <= n; i++) printf " %s |", who[i]
            printf "\n|---|"; for (i = 1; i <= n; i++) printf "---|"
            for (j = 1; j <= m; j++) { printf "\n| %s |", of[j]; for (i = 1; i <= n; i++) printf " %s |", mb[who[i], of[j]] }
            print ""
        }' "$memory"
}
