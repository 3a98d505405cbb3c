//! The server under test: sessions, waiting, signals.

use postgres::{Client, NoTls, SimpleQueryMessage};
use std::process::Command;
use std::time::{Duration, Instant};

/// `Err` says what was not as it must be.
pub type Outcome<T = ()> = Result<T, String>;

/// How long anything that happens by itself may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Server {
    conn: String,
}

/// What an error of the server says.
pub fn describe(e: &postgres::Error) -> String {
    match e.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => e.to_string(),
    }
}

pub fn sqlstate(e: &postgres::Error) -> String {
    e.code().map(|c| c.code().to_owned()).unwrap_or_default()
}

impl Server {
    pub fn new(conn: &str) -> Outcome<Server> {
        let server = Server { conn: conn.to_owned() };
        server.connect().map(|_| server)
    }

    /// Nothing here takes longer than the time-out: what hangs is an error, and not the end of the run.
    pub fn connect(&self) -> Outcome<Client> {
        let mut client = Client::connect(&self.conn, NoTls).map_err(|e| format!("could not connect: {}", describe(&e)))?;
        self.batch(&mut client, "SET statement_timeout = '60s'")?;
        Ok(client)
    }

    /// A session whose queries are answered by the engine.
    pub fn connect_routed(&self) -> Outcome<Client> {
        let mut client = self.connect()?;
        self.batch(&mut client, "SET weir.route = force")?;
        Ok(client)
    }

    pub fn batch(&self, client: &mut Client, sql: &str) -> Outcome {
        client.batch_execute(sql).map_err(|e| format!("{sql}: {}", describe(&e)))
    }

    pub fn value<T: for<'a> postgres::types::FromSql<'a>>(&self, client: &mut Client, before: &str, sql: &str) -> Outcome<T> {
        self.batch(client, before)?;
        let row = client.query_one(sql, &[]).map_err(|e| format!("{sql}: {}", describe(&e)))?;
        row.try_get(0).map_err(|e| format!("{sql}: {e}"))
    }

    /// All rows as text, one line each.
    pub fn text(&self, client: &mut Client, sql: &str) -> Outcome<String> {
        let answer = client.simple_query(sql).map_err(|e| format!("{sql}: {}", describe(&e)))?;
        let mut lines = Vec::new();
        for message in answer {
            if let SimpleQueryMessage::Row(row) = message {
                lines.push((0..row.len()).map(|i| row.get(i).unwrap_or("").to_owned()).collect::<Vec<_>>().join("|"));
            }
        }
        Ok(lines.join("\n"))
    }

    pub fn pid(&self, client: &mut Client) -> Outcome<i32> {
        self.value(client, "", "SELECT pg_backend_pid()")
    }

    /// Fails unless the session's last query was answered by the engine.
    pub fn must_be_routed(&self, client: &mut Client) -> Outcome {
        match self.text(client, "SELECT routed AND NOT fallback, reason, message FROM weir.last_route()")? {
            routed if routed.starts_with("t|") => Ok(()),
            other => Err(format!("the query was not answered by the engine: {other}")),
        }
    }

    /// Queries that the engine runs, and that wait there; none if it is not there.
    pub fn queries(&self) -> Outcome<(i32, i32)> {
        let mut client = self.connect()?;
        let rows = client.query("SELECT running_queries, waiting_queries FROM weir.memory", &[]).map_err(|e| describe(&e))?;
        Ok(rows.first().map_or((0, 0), |row| (row.get(0), row.get(1))))
    }

    pub fn wait_for(&self, what: &str, mut is_so: impl FnMut() -> Outcome<bool>) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while !is_so()? {
            if Instant::now() > deadline {
                return Err(format!("waited {} s in vain: {what}", PATIENCE.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    pub fn wait_for_queries(&self, running: i32, waiting: i32) -> Outcome {
        let mut seen = (0, 0);
        self.wait_for("queries in the engine", || {
            seen = self.queries()?;
            Ok(seen == (running, waiting))
        })
        .map_err(|e| format!("{e}: {running} running and {waiting} waiting, there are {seen:?}"))
    }

    /// The engine stops what nobody waits for.
    pub fn is_quiet(&self) -> Outcome {
        let started = Instant::now();
        self.wait_for_queries(0, 0)?;
        let took = started.elapsed();
        // None of the queries comes to its end within this time.
        if took > Duration::from_secs(5) { Err(format!("the engine went on for {took:?}")) } else { Ok(()) }
    }

    pub fn worker_pid(&self) -> Outcome<i32> {
        let mut client = self.connect()?;
        self.value(&mut client, "", "SELECT coalesce(min(pid), 0) FROM pg_stat_activity WHERE backend_type = 'pg_weir worker' AND datname = current_database()")
    }

    /// The engine is a child of the worker.
    pub fn engine_pid(&self) -> Outcome<i32> {
        let worker = self.worker_pid()?.to_string();
        let output = Command::new("pgrep").args(["-P", &worker]).output().map_err(|e| format!("pgrep: {e}"))?;
        String::from_utf8_lossy(&output.stdout).split_whitespace().next().and_then(|pid| pid.parse().ok()).ok_or_else(|| "there is no engine".to_owned())
    }

    pub fn signal(&self, signal: &str, pid: i32) -> Outcome {
        let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status().map_err(|e| format!("kill: {e}"))?;
        if status.success() { Ok(()) } else { Err(format!("could not send SIG{signal} to {pid}")) }
    }

    /// The engine's memory limit; none while there is no engine.
    fn memory_limit(&self) -> Outcome<Option<i64>> {
        let mut client = self.connect()?;
        let rows = client.query("SELECT limit_bytes FROM weir.memory", &[]).map_err(|e| describe(&e))?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    /// Changes settings of the server for the time of `f`. The engine gets all of them at once, at its own pace: a new memory limit, or a new engine
    /// with fewer places, is waited for; for others `f` has to wait.
    pub fn with_settings(&self, settings: &[(&str, &str)], f: impl FnOnce() -> Outcome) -> Outcome {
        let mut client = self.connect()?;
        let mut before = None;
        self.wait_for("an engine", || {
            before = self.memory_limit()?;
            Ok(before.is_some())
        })?;
        let engine = self.engine_pid()?;
        for (name, value) in settings {
            self.batch(&mut client, &format!("ALTER SYSTEM SET {name} = '{value}'"))?;
        }
        self.batch(&mut client, "SELECT pg_reload_conf()")?;
        let outcome = if settings.iter().any(|(name, _)| *name == "weir.memory_limit") {
            self.wait_for("the new memory limit", || Ok(self.memory_limit()?.is_some_and(|limit| Some(limit) != before))).and_then(|()| f())
        } else if settings.iter().any(|(name, _)| *name == "weir.max_concurrent_queries") {
            // The checks want fewer places, for which the engine is replaced; what ran now would only hold that up.
            self.wait_for("a new engine", || Ok(self.engine_pid().is_ok_and(|pid| pid != engine) && self.memory_limit()?.is_some())).and_then(|()| f())
        } else {
            f()
        };
        for (name, _) in settings {
            self.batch(&mut client, &format!("ALTER SYSTEM RESET {name}"))?;
        }
        self.batch(&mut client, "SELECT pg_reload_conf()")?;
        // More places are given at once; an engine is only replaced for fewer.
        self.wait_for("the old memory limit", || Ok(self.memory_limit()? == before))?;
        self.wait_for("the engine", || {
            let mut client = self.connect_routed()?;
            self.text(&mut client, "SELECT count(*) FROM small")?;
            Ok(self.must_be_routed(&mut client).is_ok())
        })?;
        outcome
    }

    /// After a check that failed: nothing of it may disturb the next.
    pub fn recover(&self) {
        if let Ok(worker) = self.worker_pid() {
            let _ = self.signal("CONT", worker);
        }
        if let Ok(mut client) = self.connect() {
            let _ = client
                .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
        }
        let _ = self.is_quiet();
    }
}
