//! The engine is killed: one query notices.

use crate::Check;
use crate::server::{Outcome, Server, describe, sqlstate};
use postgres::fallible_iterator::FallibleIterator;

pub fn checks() -> Vec<Check> {
    vec![
        ("kill -9 of the engine in the middle of the rows".into(), Box::new(killed_while_streaming)),
        ("kill -9 of the engine before the first row".into(), Box::new(killed_before_rows)),
    ]
}

/// What must not change when an engine dies.
struct Bystander {
    client: postgres::Client,
    started: String,
}

impl Bystander {
    fn new(server: &Server) -> Outcome<Bystander> {
        let mut client = server.connect()?;
        server.batch(&mut client, "CREATE TEMPORARY TABLE mine AS SELECT 42 AS answer; BEGIN; UPDATE small SET v = -1 WHERE id = 7")?;
        let started = server.text(&mut client, "SELECT pg_postmaster_start_time(), pg_backend_pid()")?;
        Ok(Bystander { client, started })
    }

    fn stays_undisturbed(mut self, server: &Server) -> Outcome {
        let now = server.text(&mut self.client, "SELECT pg_postmaster_start_time(), pg_backend_pid()")?;
        let mine = server.text(&mut self.client, "SELECT answer FROM mine")?;
        server.batch(&mut self.client, "COMMIT")?;
        if now == self.started && mine == "42" { Ok(()) } else { Err(format!("another session was disturbed: {now}, {mine}")) }
    }
}

fn killed_while_streaming(server: &Server) -> Outcome {
    let bystander = Bystander::new(server)?;
    let mut session = server.connect_routed()?;
    let pid = server.engine_pid()?;
    let mut rows = 0u64;
    let error = {
        let mut answer = session.query_raw::<_, &str, _>("SELECT a.t, b.t FROM big a CROSS JOIN big b", []).map_err(|e| describe(&e))?;
        loop {
            match answer.next() {
                Ok(Some(_)) => rows += 1,
                Ok(None) => return Err("it came to its end".into()),
                Err(e) => break e,
            }
            if rows == 1000 {
                server.signal("KILL", pid)?;
            }
        }
    };
    if rows < 1000 || sqlstate(&error) != "08006" || !describe(&error).contains("lost the connection to the engine") {
        return Err(format!("after {rows} rows the session was told: {}", describe(&error)));
    }
    is_recovered(server, &mut session, bystander, pid)
}

fn killed_before_rows(server: &Server) -> Outcome {
    let bystander = Bystander::new(server)?;
    let mut session = server.connect_routed()?;
    let pid = server.engine_pid()?;
    let waiting = std::thread::spawn(move || {
        // Slow in the engine, because it must produce every group first; Postgres can run it, too.
        let answer = session.query_one("SELECT count(*) FROM (SELECT t, v, count(*) FROM big a GROUP BY t, v HAVING max(id) > 0) AS s", &[]);
        (answer.map(|row| row.get::<_, i64>(0)).map_err(|e| describe(&e)), session)
    });
    server.wait_for("a query in the engine", || Ok(server.queries()?.0 == 1))?;
    server.signal("KILL", pid)?;
    let (answer, mut session) = waiting.join().map_err(|_| "the session's thread panicked".to_owned())?;
    match answer {
        Ok(n) if n == i64::from(crate::ROWS) => {}
        other => return Err(format!("Postgres should have run the query: {other:?}")),
    }
    is_recovered(server, &mut session, bystander, pid)
}

/// Queries run in Postgres until the engine is back, and nothing is lost.
fn is_recovered(server: &Server, session: &mut postgres::Client, bystander: Bystander, killed: i32) -> Outcome {
    let count = "SELECT count(*), sum(v) FROM small";
    // Whoever answers: it is right.
    let mut other = server.connect()?;
    server.batch(&mut other, "UPDATE small SET v = v + 1 WHERE id BETWEEN 100 AND 199")?;
    server.batch(&mut other, "SET weir.route = off")?;
    let expected = server.text(&mut other, count)?;
    let seen = server.text(session, count)?;
    if seen != expected {
        return Err(format!("right after the engine died a query said {seen} and not {expected}"));
    }
    bystander.stays_undisturbed(server)?;
    server.wait_for("the engine is back", || {
        server.text(session, count)?;
        Ok(server.must_be_routed(session).is_ok())
    })?;
    let expected = server.text(&mut other, count)?;
    let seen = server.text(session, count)?;
    server.must_be_routed(session)?;
    if seen != expected {
        return Err(format!("the new engine says {seen} and not {expected}"));
    }
    if server.engine_pid()? == killed {
        return Err("the engine was not killed at all".into());
    }
    let verified = server.text(&mut other, "SELECT b.matches AND s.matches FROM weir.verify('big') b, weir.verify('small') s")?;
    if verified == "t" { Ok(()) } else { Err(format!("weir.verify says {verified}")) }
}
