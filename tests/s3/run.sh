#!/usr/bin/env bash
# Mirrors in a bucket of a real S3 server (moto, from PyPI, which checks signatures): copy, query, change, restart, wrong
# credentials, unmirror. Prints "ok N - what" and "not ok N - what" lines and ends with "s3 test done".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/pg.sh
. scripts/pg.sh

if [ -z "${WEIR_S3_PORT:-}" ]; then
    WEIR_S3_PORT=$((WEIR_PORT + 1000))
    # Somebody else may have it.
    while (exec 3<>"/dev/tcp/127.0.0.1/$WEIR_S3_PORT") 2>/dev/null; do WEIR_S3_PORT=$((WEIR_S3_PORT + 1)); done
fi
cluster=s3
db=shop
number=0
moto=
endpoint=http://127.0.0.1:$WEIR_S3_PORT
venv=$HOME/.cache/pg_weir/moto
log=$WEIR_WORK/out/moto.log

report() { # ok | "not ok", what
    number=$((number + 1))
    printf '%s %d - %s\n' "$1" "$number" "$2"
}

check() { # what, got, wanted
    if [ "$2" = "$3" ]; then report ok "$1"; else report "not ok" "$1: \"$2\" instead of \"$3\""; fi
}

cleanup() {
    pg_stop $cluster
    [ -z "$moto" ] || { kill "$moto" 2>/dev/null && wait "$moto" 2>/dev/null; } || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

query() { pg_query $cluster $db "$1"; }

wait_until() { # seconds, what, command...
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "gave up waiting: $what" >&2
            return 1
        fi
        sleep 0.2
    done
}

if [ ! -x "$venv/bin/moto_server" ]; then
    scripts/setup.sh python
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'moto[server]==5.2.5'
fi
mkdir -p "$WEIR_WORK/out"
# The four requests of bucket.py are made without a check, all others with one.
INITIAL_NO_AUTH_ACTION_COUNT=4 "$venv/bin/moto_server" -H 127.0.0.1 -p "$WEIR_S3_PORT" >"$log" 2>&1 &
moto=$!
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$WEIR_S3_PORT"); }
wait_until 60 "the S3 server" answers
read -r key secret < <("$venv/bin/python" tests/s3/bucket.py make "$endpoint")
names() { "$venv/bin/python" tests/s3/bucket.py list "$endpoint" "$key" "$secret" | cut -d ' ' -f 1; }
objects() { names | wc -l; }
put() { "$venv/bin/python" tests/s3/bucket.py put "$endpoint" "$key" "$secret" "$@"; }

options() { # secret
    echo "endpoint=$endpoint allow_http=true region=us-east-1 access_key_id=$key secret_access_key=$1"
}

pg_init $cluster "weir.storage = 's3://weir-test/mirrors'" "weir.storage_options = '$(options wrong)'"
pg_start $cluster
pg_query $cluster postgres "CREATE DATABASE $db"
query "CREATE EXTENSION pg_weir; CREATE TABLE orders (id int PRIMARY KEY, status text, amount numeric(12,2));
    INSERT INTO orders SELECT i, (ARRAY['open', 'paid', 'shipped'])[1 + i % 3], i % 1000 + 0.25 FROM generate_series(1, 200000) i; ANALYZE orders;
    CREATE ROLE clerk LOGIN; GRANT SELECT ON orders TO clerk" >/dev/null

total="SELECT status, count(*), sum(amount) FROM orders GROUP BY status ORDER BY status"
agree() { # what
    local mirror heap
    mirror=$(query "SET weir.route = force; SET weir.freshness_timeout = '30s'; $total; SELECT routed AND NOT fallback FROM weir.last_route()") || true
    heap=$(query "SET weir.route = off; $total; SELECT true")
    check "$1" "$mirror" "$heap"
}
routed() { [ "$(query "SET weir.route = force; SELECT count(*) FROM orders; SELECT routed AND NOT fallback FROM weir.last_route()" | tail -n 1)" = t ]; }

query "SELECT weir.mirror('orders')" >/dev/null
says_why() { query "SELECT last_error FROM weir.mirrors" | grep -qiE 'privileges|credential|denied|signature|forbidden'; }
if wait_until 90 "an error" says_why; then report ok "wrong credentials are a clear error"; else report "not ok" "nothing says that the credentials are wrong: $(query "SELECT * FROM weir.mirrors")"; fi
check "meanwhile Postgres answers" "$(query "SET weir.route = force; SELECT count(*) FROM orders")" 200000
query "ALTER SYSTEM SET weir.storage_options = '$(options "$secret")'" >/dev/null
query "SELECT pg_reload_conf()" >/dev/null
sleep 0.5
pg_stop $cluster
pg_start $cluster
wait_until 60 "the copy" query "SET statement_timeout = '20s'; SELECT weir.sync()"
agree "a mirror in a bucket answers as the heap does"
if [ "$(objects)" -gt 0 ]; then report ok "its segments are objects of the bucket"; else report "not ok" "the bucket is empty"; fi

query "UPDATE orders SET status = 'returned' WHERE id % 7 = 0; DELETE FROM orders WHERE id % 11 = 0"
agree "changes are seen"

pg_stop $cluster
pg_start $cluster
wait_until 60 "the engine" routed
agree "after a restart"
check "it was not copied again" "$(query "SELECT state FROM weir.mirrors")" active

# What a crash left goes when the next engine starts: what is ours and no manifest names. Nothing of anybody else's does.
named=$(names)
home=$(head -n 1 <<<"$named")
home=${home%/*/*/*}
database=${home%/*}
theirs="$database/0123456789abcdef/1/1/1000.parquet $database/1/1/1000.parquet mirrors/1${database##*/}/${home##*/}/1/1/1000.parquet mirrors/1000.parquet"
# shellcheck disable=SC2086
put "$home/1/1/1000.parquet" "$home/${named##*"$home/"}.left" "$home/1/2/2000.parquet" $theirs
"$venv/bin/python" tests/s3/bucket.py begin "$endpoint" "$key" "$secret" "$home/1/1/3000.parquet" "$home/1/1/3000.left" "$database/0123456789abcdef/1/1/3000.parquet"
uploads() { "$venv/bin/python" tests/s3/bucket.py uploads "$endpoint" "$key" "$secret" | LC_ALL=C sort | paste -sd ' '; }
worker=$(query "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_weir worker' LIMIT 1")
kill -9 "$(pgrep -P "$worker" -f weir-engine)"
collected() { ! names | grep -qE "^$home/1/[12]/"; }
wait_until 60 "what a crash left to go" collected || true
# shellcheck disable=SC2086
check "what a crash left is deleted, and nothing else" "$(names)" "$(printf '%s\n' $named "$home/${named##*"$home/"}.left" $theirs | LC_ALL=C sort)"
aborted() { ! uploads | grep -qF "$home/1/1/3000.parquet"; }
wait_until 60 "the end of an unfinished upload" aborted || true
check "an upload that a crash left is aborted, and no other" "$(uploads)" "$(printf '%s\n' "$home/1/1/3000.left" "$database/0123456789abcdef/1/1/3000.parquet" | LC_ALL=C sort | paste -sd ' ')"
wait_until 60 "the engine" routed
agree "after the engine was killed"
# shellcheck disable=SC2086
"$venv/bin/python" tests/s3/bucket.py delete "$endpoint" "$key" "$secret" "$home/${named##*"$home/"}.left" $theirs

# A bucket that takes connections and does not answer: queries run in Postgres after a while, and in the engine when it answers again.
kill -STOP "$moto"
started=$SECONDS
check "the storage does not answer: Postgres does" "$(query "SET weir.route = force; SELECT max(id) FROM orders; SELECT fallback FROM weir.last_route()" | paste -sd ' ')" "200000 t"
took=$((SECONDS - started))
kill -CONT "$moto"
if [ "$took" -lt 40 ]; then report ok "it did so in time"; else report "not ok" "it took $took s"; fi
back() { [ "$(query "SET weir.route = force; SELECT max(id) FROM orders; SELECT routed AND NOT fallback FROM weir.last_route()" | paste -sd ' ')" = "200000 t" ]; }
wait_until 60 "the storage" back || true
agree "the storage answers again"

# Who is not a superuser learns nothing of the credentials, and the log does not hold them.
as_clerk() { pg_client $cluster psql -X -q -A -t -d $db -U clerk -c "$1" 2>&1 || true; }
shown="$(as_clerk "SHOW weir.storage_options") $(as_clerk "SELECT * FROM pg_settings") $(as_clerk "SELECT * FROM weir.mirrors")
    $(as_clerk "SELECT * FROM pg_file_settings") $(as_clerk "SELECT current_setting('weir.storage_options')")"
if grep -qF "$secret" <<<"$shown"; then report "not ok" "an ordinary user sees the secret"; else report ok "an ordinary user does not see the secret"; fi

query "SELECT weir.unmirror('orders')" >/dev/null
empty() { [ "$(objects)" -eq 0 ]; }
wait_until 30 "an empty bucket" empty || true
check "the end of the mirror removes its objects" "$(objects)" 0

if as_pg grep -qF "$secret" "$(pg_log $cluster)"; then report "not ok" "the log holds the secret"; else report ok "the log does not hold the secret"; fi
echo "s3 test done"
