//! Memory and disk: bounded.

use crate::Check;
use crate::server::{Outcome, Server, describe, sqlstate};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// As many groups as rows, with wide keys: more than the memory of the checks.
const MANY_GROUPS: &str = "SELECT count(*), sum(n), min(t), max(t) FROM (SELECT t, v, count(*) AS n FROM big GROUP BY t, v) AS s";
const NUMBER_GROUPS: &str = "SELECT count(*), sum(n), min(id) FROM (SELECT id, v, count(*) AS n FROM big GROUP BY id, v) AS s";
const BIG_SORT: &str = "SELECT count(*), min(r), max(r) FROM (SELECT row_number() OVER (ORDER BY v DESC, id) AS r, t FROM big) AS s WHERE t > 'a'";
/// Its hash table is more than the memory of the checks, and cannot spill.
const BIG_JOIN: &str = "SELECT count(*), sum(a.v - b.v), min(a.t || b.t), max(b.t || a.t) FROM big a JOIN big b ON a.id = b.id AND a.t = b.t";

pub fn checks() -> Vec<Check> {
    vec![
        ("a million groups fit under the default settings".into(), Box::new(fits_by_default)),
        ("counts of different values in many groups take no more than their values".into(), Box::new(distinct_counts)),
        ("what exceeds weir.memory_limit spills, and the answer is the same".into(), Box::new(spills)),
        ("texts that exceed weir.memory_limit spill in little more than their size".into(), Box::new(texts_spill)),
        ("a function whose results are much larger than its arguments runs in Postgres".into(), Box::new(large_results)),
        ("a join beyond weir.memory_limit runs in Postgres".into(), Box::new(join_falls_back)),
        ("what exceeds weir.temp_limit ends with 53200".into(), Box::new(disk_ends)),
        ("a transaction may change more than the engine has memory for".into(), Box::new(large_transaction)),
        ("a query does not wait long for a mirror that lags behind".into(), Box::new(lags)),
    ]
}

pub fn same_as_postgres(server: &Server, sql: &str) -> Outcome {
    let mut session = server.connect_routed()?;
    let engine = server.text(&mut session, sql)?;
    server.must_be_routed(&mut session)?;
    server.batch(&mut session, "SET weir.route = off")?;
    let postgres = server.text(&mut session, sql)?;
    if engine == postgres { Ok(()) } else { Err(format!("{sql}: the engine says {engine}, Postgres says {postgres}")) }
}

/// A number of EXPLAIN ANALYZE in kilobytes.
fn figure(server: &Server, sql: &str, label: &str) -> Outcome<u64> {
    let mut session = server.connect_routed()?;
    let plan = server.text(&mut session, &format!("EXPLAIN (ANALYZE, TIMING OFF) {sql}"))?;
    let line = plan.lines().find_map(|line| line.trim().strip_prefix(label)?.strip_prefix(": "));
    line.and_then(|value| value.strip_suffix(" kB")?.parse().ok()).ok_or_else(|| format!("no \"{label}\" in {plan}"))
}

fn fits_by_default(server: &Server) -> Outcome {
    same_as_postgres(server, MANY_GROUPS)?;
    let memory = figure(server, MANY_GROUPS, "Engine Memory")?;
    if memory < 10_000 { Err(format!("a million groups in {memory} kB cannot be")) } else { Ok(()) }
}

/// With the worker stopped nothing is applied, as while a very large transaction is.
fn lags(server: &Server) -> Outcome {
    const QUERY: &str = "SELECT v, count(*) FROM big GROUP BY v";
    let mut session = server.connect()?;
    server.text(&mut session, QUERY)?;
    server.must_be_routed(&mut session)?;
    let worker = server.worker_pid()?;
    let mut writer = server.connect()?;
    server.signal("STOP", worker)?;
    // So long that waiting for its end cannot be taken for a slow machine.
    server.batch(&mut session, "SET weir.freshness_timeout = '30s'")?;
    let outcome = server.batch(&mut writer, "UPDATE small SET v = v WHERE id = 1").and_then(|()| {
        let started = Instant::now();
        server.text(&mut session, QUERY)?;
        let took = started.elapsed();
        let route = server.text(&mut session, "SELECT fallback, message FROM weir.last_route()")?;
        // Postgres's own time and a wait of at most a part of it.
        if route.starts_with("t|the mirror did not catch up") && took < Duration::from_secs(15) { Ok(()) } else { Err(format!("it took {took:?}: {route}")) }
    });
    server.signal("CONT", worker)?;
    outcome?;
    server.wait_for("the mirror", || {
        server.text(&mut session, QUERY)?;
        Ok(server.must_be_routed(&mut session).is_ok())
    })
}

/// A set of its own for each group would take gigabytes.
fn distinct_counts(server: &Server) -> Outcome {
    const QUERY: &str = "SELECT count(*), sum(c), sum(n) FROM (SELECT id % 50000, count(DISTINCT left(t, 2)) AS c, count(*) AS n FROM big GROUP BY 1) AS s";
    const MOST_MB: u64 = 500;
    let growth = growth_mb(server.engine_pid()?, || same_as_postgres(server, QUERY))?;
    println!("   {growth} MB in the engine");
    if growth <= MOST_MB { Ok(()) } else { Err(format!("the engine took {growth} MB")) }
}

fn spills(server: &Server) -> Outcome {
    server.with_settings(&[("weir.memory_limit", "80MB"), ("weir.cache_limit", "16MB")], || {
        for sql in [MANY_GROUPS, NUMBER_GROUPS, BIG_SORT] {
            same_as_postgres(server, sql)?;
            figure(server, sql, "Engine Spilled")?;
        }
        Ok(())
    })
}

/// Groups by texts and the extremes of texts.
fn texts_spill(server: &Server) -> Outcome {
    const MOST_KB: u64 = 1_200_000;
    let texts = "SELECT DISTINCT t || repeat('x', 60) || id AS a, v FROM big";
    let queries = [
        format!("SELECT count(*), min(a), max(v) FROM ({texts}) AS s"),
        format!("SELECT count(*), max(b) FROM (SELECT a, v, max(a || 'b') AS b FROM ({texts}) AS r GROUP BY GROUPING SETS ((a, v), (v))) AS s"),
        format!("SELECT count(*) FROM (({texts}) INTERSECT (SELECT t || repeat('x', 60) || id, v FROM big)) AS s"),
    ];
    server.with_settings(&[("weir.memory_limit", "120MB"), ("weir.cache_limit", "16MB")], || {
        for sql in &queries {
            same_as_postgres(server, sql)?;
            let spilled = figure(server, sql, "Engine Spilled")?;
            println!("   {} MB spilled", spilled / 1000);
            if spilled > MOST_KB {
                return Err(format!("{sql}: {spilled} kB spilled"));
            }
        }
        Ok(())
    })
}

fn join_falls_back(server: &Server) -> Outcome {
    server.with_settings(&[("weir.memory_limit", "80MB"), ("weir.cache_limit", "16MB")], || {
        let mut session = server.connect_routed()?;
        let engine = server.text(&mut session, BIG_JOIN)?;
        let why = server.text(&mut session, "SELECT message FROM weir.last_route()")?;
        server.batch(&mut session, "SET weir.route = off")?;
        let postgres = server.text(&mut session, BIG_JOIN)?;
        if engine == postgres && why.contains("weir.memory_limit") { Ok(()) } else { Err(format!("{engine}, Postgres says {postgres}: {why}")) }
    })
}

fn disk_ends(server: &Server) -> Outcome {
    let settings = [("weir.memory_limit", "80MB"), ("weir.cache_limit", "16MB"), ("weir.temp_limit", "1MB")];
    server.with_settings(&settings, || {
        let mut session = server.connect_routed()?;
        for sql in [MANY_GROUPS, BIG_SORT] {
            match session.query(sql, &[]) {
                Err(e) if sqlstate(&e) == "53200" && e.as_db_error().and_then(|e| e.detail()).is_some_and(|d| d.contains("has reached weir.temp_limit")) => {}
                Err(e) => return Err(format!("{sql}: {}", describe(&e))),
                Ok(_) => return Err(format!("{sql} came to its end")),
            }
        }
        let count: i64 = server.value(&mut session, "", "SELECT count(*) FROM big")?;
        server.must_be_routed(&mut session)?;
        if count == i64::from(crate::ROWS) { Ok(()) } else { Err(format!("{count} rows")) }
    })
}

/// Megabytes of memory that a process has.
fn resident_mb(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

/// The most that it has while `f` runs.
fn peak_mb(pid: i32, f: impl FnOnce() -> Outcome) -> Outcome<u64> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = resident_mb(pid).max(most);
                thread::sleep(Duration::from_millis(5));
            }
            most
        });
        let outcome = f();
        over.store(true, Ordering::Relaxed);
        outcome?;
        watching.join().map_err(|_| "nobody watched".to_owned())
    })
}

/// What it grows by at most while `f` runs.
fn growth_mb(pid: i32, f: impl FnOnce() -> Outcome) -> Outcome<u64> {
    let before = resident_mb(pid);
    peak_mb(pid, f).map(|most| most.saturating_sub(before))
}

/// Ends the engine and waits for the next one, whose memory is not that of earlier checks.
fn new_engine(server: &Server) -> Outcome<i32> {
    let old = server.engine_pid()?;
    server.signal("KILL", old)?;
    let mut session = server.connect_routed()?;
    server.wait_for("another engine", || {
        let is_there = server.engine_pid().is_ok_and(|pid| pid != old);
        Ok(is_there && server.text(&mut session, "SELECT count(*) FROM small").is_ok() && server.must_be_routed(&mut session).is_ok())
    })?;
    server.engine_pid()
}

/// An engine with a limit of 4 GB takes 760 MB for it. A segment that is written or read takes its part whatever the limit
/// is, and what was freed stays in part with the threads that freed it.
fn large_transaction(server: &Server) -> Outcome {
    const MOST_MB: (u64, u64) = (700, 160);
    const WHOLE: &str = "SELECT count(*), sum(v), min(id), max(t) FROM huge";
    let mut session = server.connect()?;
    let outcome = server.with_settings(&[("weir.memory_limit", "80MB"), ("weir.cache_limit", "16MB")], || {
        let engine = new_engine(server)?;
        server.batch(&mut session, "CREATE TABLE huge (id bigint PRIMARY KEY, v int, t text); SELECT weir.mirror('huge')")?;
        server.wait_for("the mirror", || Ok(session.batch_execute("SELECT weir.sync()").is_ok()))?;
        let changes = [
            "INSERT INTO huge SELECT i, i % 7, repeat(md5(i::text), 3) FROM generate_series(1, 3000000) i",
            "UPDATE huge SET v = v + 1, id = id + 10000000 WHERE id % 2 = 0",
            "DELETE FROM huge WHERE id % 3 = 0",
        ];
        for sql in changes {
            let mut session = server.connect()?;
            let mut of_engine = 0;
            let of_worker = growth_mb(server.worker_pid()?, || {
                of_engine = peak_mb(engine, || {
                    server.batch(&mut session, sql)?;
                    server.batch(&mut session, "SELECT weir.sync()")
                })?;
                Ok(())
            })?;
            println!("   the engine had {of_engine} MB, the worker {of_worker} MB more: {sql}");
            if of_engine > MOST_MB.0 || of_worker > MOST_MB.1 {
                return Err(format!("{sql}: the engine had {of_engine} MB, the worker {of_worker} MB more"));
            }
            same_as_postgres(server, WHOLE)?;
        }
        Ok(())
    });
    server.batch(&mut session, "DROP TABLE huge")?;
    outcome
}

/// A gigabyte in one batch of rows, which Postgres has one after the other.
fn large_results(server: &Server) -> Outcome {
    const QUERY: &str = "SELECT sum(length(repeat(t, 10000))), max(length(lpad(t, v))) FROM big WHERE id <= 2000";
    let mut session = server.connect_routed()?;
    let answer = server.text(&mut session, QUERY)?;
    let routed = server.text(&mut session, "SELECT routed, fallback, message FROM weir.last_route()")?;
    if answer != "1280000000|999" {
        return Err(format!("the answer is {answer}"));
    }
    if routed.starts_with("t|t|") && routed.contains("256 MB") { Ok(()) } else { Err(format!("it did not fall back for that: {routed}")) }
}
