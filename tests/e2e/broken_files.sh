#!/usr/bin/env bash
# shellcheck disable=SC2154,SC2034 # what remote.sh defines, and what `file_breaks` takes from its callers
# Databases that are files, and files that go bad: whatever they have become, a clear error, no crash of the engine, and the next query works when the
# file is right again. Sourced by remote.sh.

# The engine of this database, which none of this may end.
engine_pid() {
    local pid of
    of=$(query "SELECT oid FROM pg_database WHERE datname = current_database()")
    for pid in $(pgrep -x weir-engine); do
        [ "$(readlink "/proc/$pid/cwd")" = "$(pg_dir $cluster)/data" ] || continue
        if [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") =~ pg_weir/$of( |$|/) ]]; then echo "$pid"; fi
    done
}

# The callers say: label, server, files_dir (of their own), file (the database), good (a copy of it), five (a query that gives 5), long (one that reads much of the file).
file_restore() {
    as_pg cp "$good" "$file.new"
    if [ -d "$file" ]; then as_pg rmdir "$file"; fi
    as_pg mv "$file.new" "$file"
    as_pg rm -f "$file.wal" "$file-journal"
}

file_breaks() { # what, command that breaks the file, wanted, query
    local started=$SECONDS
    file_restore
    failing "$five" >/dev/null
    as_pg sh -c "$2"
    expect "$label, broken file: $1" "$3" "$(failing "$4" | paste -sd ' ')"
    if [ $((SECONDS - started)) -gt 12 ]; then report "not ok" "$label, broken file: $1: took $((SECONDS - started)) s"; fi
    file_restore
    expect "$label, broken file: $1: the next query works" '^5$' "$(failing "$five")"
}

# A process that holds the file, until its own end of the pipe is closed.
file_held() { # python that locks `path`
    as_pg python3 -c "
import fcntl, sqlite3, sys
path = sys.argv[1]
$1
print('held', flush=True)
sys.stdin.read()" "$file" <"$files_dir/pipe" >"$files_dir/held" 2>&1 &
    exec 7>"$files_dir/pipe"
    for _ in $(seq 100); do
        if grep -q held "$files_dir/held"; then return 0; fi
        sleep 0.1
    done
}

files_begin() {
    rm -rf "$files_dir"
    mkdir -m 755 "$files_dir"
    mkfifo "$files_dir/pipe"
    if [ "$(id -u)" -eq 0 ]; then chown -R "$(pg_os_user)" "$files_dir"; fi
}

broken_duckdb() {
    local label=duckdb server=duck_file files_dir=$WEIR_WORK/broken_duckdb
    local file=$files_dir/x.db good=$files_dir/good.db five="SELECT count(*) FROM duck_file.parents" engine
    local long="SELECT count(v), max(v) FROM (SELECT * FROM duck_file.many OFFSET 0) m" unopened='ERROR:  08001: server "duck_file": could not open the database.*DETAIL: .*HINT: '
    files_begin
    query "CREATE SERVER duck_file FOREIGN DATA WRAPPER weir_duckdb OPTIONS (database '$file', create 'true'); CREATE SCHEMA duck_file"
    duck_script duck_file "CREATE TABLE parents AS SELECT range::int AS id FROM range(5); CREATE TABLE many AS SELECT range::int AS id, md5(range::varchar) || md5((range + 1)::varchar) AS v FROM range(200000)"
    query "IMPORT FOREIGN SCHEMA main FROM SERVER duck_file INTO duck_file; SELECT weir.refresh('duck_file'); ALTER SERVER duck_file OPTIONS (DROP create)" >/dev/null
    as_pg cp "$file" "$good"
    engine=$(engine_pid)
    file_breaks "noise" "head -c 300000 /dev/urandom >$file.new; mv $file.new $file" "$unopened" "$five"
    file_breaks "half of it" "head -c $(($(stat -c %s "$good") / 2)) $good >$file.new; mv $file.new $file" 'ERROR:  (08001|58030|XX001): server "duck_file"' "$long"
    file_breaks "the beginning of it" "head -c 5000 $good >$file.new; mv $file.new $file" "$unopened" "$five"
    file_breaks "noise within" "cp $good $file.new; dd if=/dev/urandom of=$file.new bs=4096 seek=80 count=500 conv=notrunc status=none; mv $file.new $file" 'ERROR:  (08001|58030|XX001): server "duck_file"' "$long"
    file_breaks "cut off while it is open" "truncate -s 300000 $file" 'ERROR:  (08001|58030|XX001): server "duck_file"' "$long"
    file_breaks "removed while it is open" "rm $file" 'ERROR:  58P01: server "duck_file": there is no file .*HINT: ' "$five"
    file_breaks "a directory" "rm $file; mkdir $file" 'ERROR:  58P01: server "duck_file": .* is not a file.*HINT: ' "$five"
    file_breaks "nobody may read it" "cp $good $file.new; chmod 0 $file.new; mv $file.new $file" "$unopened" "$five"
    file_restore
    query "SELECT weir.refresh('duck_file')" >/dev/null
    file_held "file = open(path, 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX)"
    expect "duckdb, broken file: locked by another process" "$unopened" "$(failing "$five" | paste -sd ' ')"
    exec 7>&-
    sleep 0.5
    expect "duckdb, broken file: and not any more" '^5$' "$(failing "$five")"
    expect "duckdb, broken file: one engine has seen it all" "^$engine\$" "$(engine_pid)"
}

broken_adbc_sqlite() {
    local label=sqlite server=lite_file files_dir=$WEIR_WORK/broken_sqlite
    local file=$files_dir/x.sqlite good=$files_dir/good.sqlite five="SELECT count(*) FROM lite_file.parents" engine
    local long="SELECT count(v), max(v) FROM (SELECT * FROM lite_file.many OFFSET 0) m" bad='ERROR:  [0-9A-Z]*: server "lite_file": '
    files_begin
    as_pg python3 -c "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('CREATE TABLE parents (id integer primary key)')
db.executemany('INSERT INTO parents VALUES (?)', [(i,) for i in range(5)])
db.execute('CREATE TABLE many (id integer primary key, v text)')
db.executemany('INSERT INTO many VALUES (?, ?)', [(i, f'{i:08x}' * 8) for i in range(50000)])
db.commit()" "$good"
    query "CREATE SERVER lite_file FOREIGN DATA WRAPPER weir_adbc OPTIONS (driver '$adbc_dir/libadbc_driver_sqlite.so', uri 'file:$file', dialect 'sqlite', request_timeout_ms '8000');
        CREATE USER MAPPING FOR CURRENT_USER SERVER lite_file; CREATE SCHEMA lite_file; CREATE FOREIGN TABLE lite_file.parents (id int) SERVER lite_file; CREATE FOREIGN TABLE lite_file.many (id int, v text) SERVER lite_file"
    file_restore
    engine=$(failing "$five" >/dev/null; engine_pid)
    file_breaks "noise" "head -c 300000 /dev/urandom >$file.new; mv $file.new $file" "$bad.*not a database" "$five"
    file_breaks "half of it" "head -c $(($(stat -c %s "$good") / 2)) $good >$file.new; mv $file.new $file" "$bad" "$long"
    file_breaks "noise within" "cp $good $file.new; dd if=/dev/urandom of=$file.new bs=4096 seek=80 count=200 conv=notrunc status=none; mv $file.new $file" "$bad" "$long"
    file_breaks "cut off while it is open" "truncate -s 300000 $file" "$bad" "$long"
    file_breaks "removed while it is open" "rm $file" 'ERROR:  HV[0-9A-Z]*: server "lite_file": .*no such table' "$five"
    file_breaks "nobody may read it" "cp $good $file.new; chmod 0 $file.new; mv $file.new $file" "$bad" "$five"
    file_restore
    expect "sqlite, broken file: to begin with" '^5$' "$(failing "$five")"
    as_pg python3 -c "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('INSERT INTO parents VALUES (77)')
db.commit()" "$good"
    file_restore
    expect "sqlite, broken file: replaced by another, which is read" '^6$' "$(failing "$five")"
    file_held "db = sqlite3.connect(path, isolation_level=None); db.execute('BEGIN EXCLUSIVE')"
    expect "sqlite, broken file: locked by another process" "$bad.*locked" "$(failing "$five" | paste -sd ' ')"
    exec 7>&-
    sleep 0.5
    expect "sqlite, broken file: and not any more" '^6$' "$(failing "$five")"
    as_pg sh -c "echo 'no library' >$files_dir/text.so; head -c 200000 $adbc_dir/libadbc_driver_sqlite.so >$files_dir/half.so; : >$files_dir/empty.so"
    local driver
    for driver in text half empty none; do
        expect "adbc: a driver that is no library: $driver" 'ERROR:  HV00D: server "lite_file": could not load the driver.*DETAIL: .*HINT: ' \
            "$(failing "BEGIN; ALTER SERVER lite_file OPTIONS (SET driver '$files_dir/$driver.so'); $five" | paste -sd ' ')"
    done
    expect "sqlite, broken file: one engine has seen it all" "^$engine\$" "$(engine_pid)"
}
