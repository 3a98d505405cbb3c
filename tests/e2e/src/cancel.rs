//! Cancel, terminate and statement_timeout take effect at once, wherever the query is.

use crate::Check;
use crate::server::{Outcome, Server, describe, sqlstate};
use postgres::fallible_iterator::FallibleIterator;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How soon the session must know.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A machine that does something else for a moment is late now and then; what is too slow is late every time.
const TRIES: u32 = 4;

/// How late is too late even once.
const NEVER: Duration = Duration::from_secs(5);

/// Where the query is when it is stopped.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The engine computes; there are no rows yet.
    Computing,
    /// Rows arrive.
    Streaming,
    /// The mirror is not fresh enough.
    WaitingForFreshData,
}

#[derive(Clone, Copy)]
enum How {
    Cancel,
    Terminate,
    Timeout,
}

pub fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for (stage, when) in [
        (Stage::Computing, "while the engine computes"),
        (Stage::Streaming, "in the middle of the rows"),
        (Stage::WaitingForFreshData, "while it waits for fresh data"),
    ] {
        for (how, what) in [(How::Cancel, "pg_cancel_backend"), (How::Terminate, "pg_terminate_backend"), (How::Timeout, "statement_timeout")] {
            checks.push((format!("{what} {when}"), Box::new(move |server| stop(server, stage, how))));
        }
    }
    checks.push(("a session goes on after a cancelled query".into(), Box::new(goes_on)));
    checks.push(("a cancelled query makes way for others".into(), Box::new(makes_way)));
    checks
}

/// Half a minute of logarithms, whose rows all are in memory: the engine must stop all the same, or nobody else gets a turn.
fn makes_way(server: &Server) -> Outcome {
    let mut session = server.connect_routed()?;
    server.batch(&mut session, "SET statement_timeout = '500ms'")?;
    match session.simple_query("SELECT count(ln(v + id::numeric)) FROM big") {
        Err(e) if sqlstate(&e) == "57014" => {}
        other => return Err(format!("the logarithms ended with {}", other.map_or_else(|e| describe(&e), |_| "rows".into()))),
    }
    let mut other = server.connect_routed()?;
    let started = Instant::now();
    server.text(&mut other, "SELECT v, count(*) FROM big GROUP BY v")?;
    server.must_be_routed(&mut other)?;
    let took = started.elapsed();
    if took < Duration::from_secs(6) { Ok(()) } else { Err(format!("the next query took {took:?}")) }
}

impl Stage {
    fn sql(self) -> &'static str {
        match self {
            // More pairs than anyone lives to see.
            Stage::Computing | Stage::WaitingForFreshData => "SELECT count(*) FROM big a JOIN big b ON a.v < b.v AND a.t > b.t",
            // The same in a form that begins to answer: every row of the outer side as often as there are rows.
            Stage::Streaming => "SELECT a.t, b.t FROM big a CROSS JOIN big b",
        }
    }
}

/// What the session saw: rows, when it ended, and how.
struct Ending {
    rows: u64,
    at: Instant,
    sqlstate: String,
    closed: bool,
    message: String,
}

fn stop(server: &Server, stage: Stage, how: How) -> Outcome {
    let worker = server.worker_pid()?;
    if stage == Stage::WaitingForFreshData {
        // A worker that is held cannot make anything fresh.
        server.signal("STOP", worker)?;
    }
    let outcome = in_time(server, stage, how);
    if stage == Stage::WaitingForFreshData {
        server.signal("CONT", worker)?;
    }
    outcome
}

fn in_time(server: &Server, stage: Stage, how: How) -> Outcome {
    let mut all = Vec::new();
    for n in 1..=TRIES {
        // A slow machine needs longer for the first rows.
        let late = stop_in(server, stage, how, Duration::from_millis(800) * n)?;
        if late <= AT_ONCE {
            return Ok(());
        }
        all.push(late);
        if late > NEVER {
            break;
        }
        server.is_quiet()?;
    }
    Err(format!("it took {all:?}"))
}

/// How long after it was stopped the session knew.
fn stop_in(server: &Server, stage: Stage, how: How, timeout: Duration) -> Outcome<Duration> {
    let mut control = server.connect()?;
    server.batch(&mut control, "UPDATE small SET v = v WHERE id = 1")?;
    let mut session = server.connect_routed()?;
    server.batch(&mut session, "SET weir.freshness_timeout = '60s'")?;
    let pid = server.pid(&mut session)?;
    if matches!(how, How::Timeout) {
        server.batch(&mut session, &format!("SET statement_timeout = {}", timeout.as_millis()))?;
    }
    let (sender, first_rows) = mpsc::channel();
    let started = Instant::now();
    let reader = thread::spawn(move || {
        let mut rows = 0;
        let error = match session.query_raw::<_, &str, _>(stage.sql(), []) {
            Ok(mut answer) => loop {
                match answer.next() {
                    Ok(Some(_)) => {
                        rows += 1;
                        if rows == 10_000 {
                            let _ = sender.send(());
                        }
                    }
                    Ok(None) => break None,
                    Err(e) => break Some(e),
                }
            },
            Err(e) => Some(e),
        };
        Ending {
            rows,
            at: Instant::now(),
            sqlstate: error.as_ref().map(sqlstate).unwrap_or_default(),
            closed: session.is_closed(),
            message: error.as_ref().map_or("it came to its end".to_owned(), describe),
        }
    });
    let asked = match how {
        How::Timeout => started + timeout,
        How::Cancel | How::Terminate => {
            match stage {
                Stage::Computing => server.wait_for_queries(1, 0)?,
                Stage::Streaming => first_rows.recv_timeout(Duration::from_secs(20)).map_err(|_| "no rows came".to_owned())?,
                Stage::WaitingForFreshData => thread::sleep(Duration::from_millis(500)),
            }
            let function = if matches!(how, How::Cancel) { "pg_cancel_backend" } else { "pg_terminate_backend" };
            let asked = Instant::now();
            server.batch(&mut control, &format!("SELECT {function}({pid})"))?;
            asked
        }
    };
    let ending = reader.join().map_err(|_| "the session's thread panicked".to_owned())?;
    let expected = if matches!(how, How::Terminate) { "57P01" } else { "57014" };
    // A server that ends a session in the middle of writing to it does not say why, and what it says may be lost with the connection.
    let silent = matches!(how, How::Terminate) && ending.closed;
    if ending.sqlstate != expected && !silent {
        return Err(format!("the session was told: {}", ending.message));
    }
    if stage == Stage::Streaming && ending.rows == 0 {
        // As good as too late: the next try gives it more time.
        return if timeout > Duration::from_secs(3) { Err("no row had come".into()) } else { Ok(AT_ONCE * 2) };
    }
    // Planning is not part of the promise, but what was sent before the time-out was set off may be in it.
    Ok(ending.at.saturating_duration_since(asked))
}

fn goes_on(server: &Server) -> Outcome {
    let mut session = server.connect_routed()?;
    server.batch(&mut session, "SET statement_timeout = 200")?;
    for _ in 0..3 {
        match session.query(Stage::Streaming.sql(), &[]) {
            Err(e) if sqlstate(&e) == "57014" => {}
            Err(e) => return Err(describe(&e)),
            Ok(_) => return Err("it came to its end".into()),
        }
        let count: i64 = server.value(&mut session, "", "SELECT count(*) FROM small")?;
        server.must_be_routed(&mut session)?;
        if count != 1000 {
            return Err(format!("{count} rows"));
        }
    }
    Ok(())
}
