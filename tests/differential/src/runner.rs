//! Runs statements on both sides and judges the answers.
//!
//! Three sessions: `base` changes data, `off` is Postgres's own answer, `on` is routed by force. With `plain` set the
//! server has no pg_weir: then `on` is Postgres under other planner settings, which tests the queries themselves
//! (a query whose answer depends on the plan proves nothing and is reported as unstable).
//!
//! Invariants: a lost connection fails the statement that lost it and no other; a query passes only if the engine
//! produced its rows, unless the statement says otherwise.

use std::time::{Duration, Instant};

use crate::compare::{difference, summary};
use crate::report::{Report, both};
use crate::script::{Expect, Kind, Script, Statement};
use crate::wire::{Address, Answer, Session};

const RECONNECT_TIMEOUT: Duration = Duration::from_secs(120);

/// Disabled plan nodes have a huge cost, for which just-in-time compilation would take longer than the query.
const SESSION: &str = "SET statement_timeout = '60s'; SET jit = off";

const QUERY_CANCELED: &str = "57014";

/// Settings under which Postgres plans the same query differently.
const OTHER_PLANS: [&str; 3] = [
    "SET enable_hashjoin = off; SET enable_hashagg = off; SET enable_memoize = off",
    "SET enable_mergejoin = off; SET enable_nestloop = off; SET enable_sort = off; SET enable_indexscan = off; \
     SET enable_bitmapscan = off; SET enable_indexonlyscan = off",
    "SET join_collapse_limit = 1; SET from_collapse_limit = 1; SET enable_seqscan = off; SET enable_material = off",
];
const RESET_PLANS: &str = "RESET enable_hashjoin; RESET enable_hashagg; RESET enable_memoize; RESET enable_mergejoin; \
    RESET enable_nestloop; RESET enable_sort; RESET enable_indexscan; RESET enable_bitmapscan; \
    RESET enable_indexonlyscan; RESET join_collapse_limit; RESET from_collapse_limit; RESET enable_seqscan; \
    RESET enable_material";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Base,
    Off,
    On,
}

struct Route {
    routed: bool,
    fallback: bool,
    reason: String,
    message: String,
}

pub struct Runner {
    address: Address,
    plain: bool,
    /// Answers count, not who gave them: for an engine that refuses more than the default one.
    pub any_route: bool,
    /// Major release of the server.
    release: u32,
    base: Session,
    off: Session,
    on: Session,
    /// What a session is given after it connects, besides the route.
    session_state: Vec<String>,
    pub report: Report,
}

impl Runner {
    pub fn connect(address: Address, plain: bool, report: Report) -> Result<Self, String> {
        let open = |side| open(&address, plain, side, &[]);
        let (mut base, off, on) = (open(Side::Base)?, open(Side::Off)?, open(Side::On)?);
        let release = release(&mut base)?;
        Ok(Self { address, plain, any_route: false, release, base, off, on, session_state: Vec::new(), report })
    }

    /// A fresh start for a file: new sessions with these settings.
    pub fn start(&mut self, settings: Vec<String>) -> Result<(), String> {
        self.session_state = settings;
        for side in [Side::Base, Side::Off, Side::On] {
            self.reopen(side)?;
        }
        Ok(())
    }

    fn session(&mut self, side: Side) -> &mut Session {
        match side {
            Side::Base => &mut self.base,
            Side::Off => &mut self.off,
            Side::On => &mut self.on,
        }
    }

    /// Connects again, waiting for a server that is recovering.
    fn reopen(&mut self, side: Side) -> Result<(), String> {
        let end = Instant::now() + RECONNECT_TIMEOUT;
        loop {
            match open(&self.address, self.plain, side, &self.session_state) {
                Ok(session) => {
                    *self.session(side) = session;
                    return Ok(());
                }
                Err(message) if Instant::now() > end => return Err(format!("the server does not come back: {message}")),
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    fn query(&mut self, side: Side, sql: &str) -> Result<Answer, String> {
        let answer = self.session(side).query(sql);
        if let Answer::Lost(_) = answer {
            // A server that crashed takes every session with it.
            for side in [Side::Base, Side::Off, Side::On] {
                let alive = matches!(self.session(side).query("SELECT 1"), Answer::Rows(_) | Answer::Error(_));
                if !alive {
                    self.reopen(side)?;
                }
            }
        }
        Ok(answer)
    }

    /// Runs `sql` once for its effect; an error ends the file.
    pub fn execute(&mut self, sql: &str) -> Result<(), String> {
        match self.query(Side::Base, sql)? {
            Answer::Rows(_) => Ok(()),
            other => Err(format!("{}\n{}", summary(&other), sql.chars().take(400).collect::<String>())),
        }
    }

    /// Whether a one-value query of the base session says true.
    fn holds(&mut self, sql: &str) -> Result<bool, String> {
        match self.query(Side::Base, sql)? {
            Answer::Rows(rows) => Ok(rows.rows.first().and_then(|row| row.first()).is_some_and(|v| v.as_deref() == Some("t"))),
            other => Err(summary(&other)),
        }
    }

    /// Mirrors every table of `schemas` that can be and is not yet, and waits for the copies.
    pub fn mirror(&mut self, schemas: &str, unmirrored: &[String]) -> Result<(), String> {
        if self.plain {
            return Ok(());
        }
        let skipped: Vec<String> = unmirrored.iter().map(|name| quote(name)).chain([quote("")]).collect();
        self.execute(&format!(
            "SELECT weir.mirror(c.oid::regclass) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname IN ({}) AND c.relname NOT IN ({}) \
             AND NOT EXISTS (SELECT FROM weir.mirror_table m WHERE m.relid = c.oid)",
            quoted_list(schemas),
            skipped.join(", ")
        ))?;
        self.execute("SELECT weir.sync()")
    }

    /// Runs a file: its setup, its mirrors, its statements.
    pub fn run_script(&mut self, name: &str, script: &Script) -> Result<(), String> {
        let before = self.report.counts;
        let own_schema = script.search_path.is_none();
        let path = script.search_path.clone().unwrap_or_else(|| name.to_string());
        let mut settings = vec![format!("SET search_path = {path}")];
        settings.extend(script.settings.iter().map(|setting| format!("SET {setting}")));
        // What the file before left open must not reach into this one.
        self.start(settings)?;
        if own_schema {
            self.execute(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"))?;
        }
        for missing in &script.requires {
            // Some releases hold a collation of ICU in every build, but not those of single languages.
            let question = match missing.as_str() {
                "icu" => "SELECT count(*) > 0 FROM pg_collation WHERE collname = 'en-x-icu'",
                "xml" => "SELECT count(*) > 0 FROM pg_config WHERE name = 'CONFIGURE' AND setting LIKE '%with-libxml%'",
                other => return Err(format!("{name}: nothing is known about \"{other}\"")),
            };
            if !self.holds(question)? {
                println!("{name}: skipped, this server is built without {missing}");
                return Ok(());
            }
        }
        if !script.setup.trim().is_empty() {
            self.execute(&script.setup)?;
            self.execute(&analyze(&path))?;
        }
        self.mirror(&path, &script.unmirrored)?;
        for statement in &script.statements {
            self.check(&format!("{name}:{}", statement.line), statement, false)?;
        }
        self.report.progress(name, before);
        Ok(())
    }

    /// Judges one statement. `lenient`: a query that Postgres answered itself is counted, not failed.
    /// `Err` only if the server cannot be reached any more.
    pub fn check(&mut self, id: &str, statement: &Statement, lenient: bool) -> Result<(), String> {
        let sql = statement.sql.as_str();
        if statement.kind == Kind::Do {
            if let Err(message) = self.execute(sql) {
                self.report.fail(id, sql, &message);
            }
            return Ok(());
        }
        self.report.counts.statements += 1;
        let off = self.query(Side::Off, sql)?;
        if self.plain {
            return self.check_plain(id, statement, &off);
        }
        let on = self.query(Side::On, sql)?;
        if statement.kind == Kind::Both {
            match difference(&off, &on, statement.ordered) {
                Some(found) => self.report.fail(id, sql, &found),
                None => self.report.counts.passed += 1,
            }
            self.session_state.push(sql.to_string());
            return Ok(());
        }
        if let Some(found) = difference(&off, &on, statement.ordered) {
            if lenient && self.depends_on_plan(statement, &off)? {
                self.report.counts.unstable += 1;
                return Ok(());
            }
            let route = self.route_text();
            self.report.fail(id, sql, &format!("{}\n{found}\n{route}", both(&off, &on)));
            return Ok(());
        }
        let failed = matches!(off, Answer::Error(_));
        if let (true, Answer::Error(error)) = (lenient && *statement.expected(self.release) == Expect::Routed, &off) {
            self.report.fail(id, sql, &format!("the generator made a query that fails: {}", error.message));
            return Ok(());
        }
        let route = match self.route() {
            Ok(route) => route,
            Err(message) => {
                self.report.fail(id, sql, &format!("weir.last_route(): {message}"));
                return Ok(());
            }
        };
        self.judge_route(id, statement, failed, &route, lenient);
        Ok(())
    }

    fn judge_route(&mut self, id: &str, statement: &Statement, failed: bool, route: &Route, lenient: bool) {
        let counts = &mut self.report.counts;
        let by_engine = route.routed && !route.fallback;
        if failed {
            counts.errors += 1;
        } else if by_engine {
            counts.routed += 1;
        } else if route.routed {
            counts.fell_back += 1;
            self.report.reason("fell back", &route.message);
        } else {
            counts.refused += 1;
            self.report.reason("refused", &route.reason);
        }
        let wrong = match statement.expected(self.release) {
            Expect::Any => None,
            Expect::Routed | Expect::Postgres(_) if self.any_route => None,
            Expect::Error if failed => None,
            Expect::Error => Some("an error was expected".to_string()),
            Expect::Routed if by_engine || failed || lenient => None,
            Expect::Routed if route.routed => Some(format!("fell back: {}", route.message)),
            Expect::Routed => Some(format!("not routed: {}", route.reason)),
            Expect::Postgres(reason) if !route.routed && route.reason.contains(reason.as_str()) => None,
            // Found out only when it ran.
            Expect::Postgres(reason) if route.fallback && route.message.contains(reason.as_str()) => None,
            Expect::Postgres(_) if failed => None,
            Expect::Postgres(reason) if route.routed => Some(format!("routed, but expected: {reason}")),
            Expect::Postgres(reason) => Some(format!("expected reason \"{reason}\", found \"{}\"", route.reason)),
        };
        match wrong {
            Some(what) => self.report.fail(id, &statement.sql, &what),
            None => self.report.counts.passed += 1,
        }
    }

    fn route(&mut self) -> Result<Route, String> {
        let answer = self.query(Side::On, "SELECT routed, fallback, reason, message FROM weir.last_route()")?;
        let Answer::Rows(rows) = answer else { return Err(summary(&answer)) };
        let row = rows.rows.into_iter().next().ok_or("no row")?;
        let mut fields = row.into_iter();
        let mut next = || fields.next().flatten().unwrap_or_default();
        Ok(Route { routed: next() == "t", fallback: next() == "t", reason: next(), message: next() })
    }

    fn route_text(&mut self) -> String {
        match self.route() {
            Ok(route) if route.routed && !route.fallback => "answered by the engine".into(),
            Ok(route) if route.routed => format!("fell back: {}", route.message),
            Ok(route) => format!("not routed: {}", route.reason),
            Err(message) => message,
        }
    }

    /// Whether Postgres itself answers differently under another plan. Then the difference proves nothing.
    fn depends_on_plan(&mut self, statement: &Statement, first: &Answer) -> Result<bool, String> {
        let mut depends = false;
        for settings in OTHER_PLANS {
            self.query(Side::Off, settings)?;
            let other = self.query(Side::Off, &statement.sql)?;
            let too_slow = matches!(&other, Answer::Error(error) if error.sqlstate == QUERY_CANCELED);
            depends |= !too_slow && difference(first, &other, statement.ordered).is_some();
            self.query(Side::Off, RESET_PLANS)?;
        }
        Ok(depends)
    }

    fn check_plain(&mut self, id: &str, statement: &Statement, off: &Answer) -> Result<(), String> {
        if statement.kind == Kind::Both {
            self.report.counts.passed += 1;
            return Ok(());
        }
        let expect = statement.expected(self.release);
        let expected_error = *expect == Expect::Error;
        let failed = !matches!(off, Answer::Rows(_));
        let checked = matches!(expect, Expect::Routed | Expect::Error);
        if checked && failed != expected_error {
            self.report.fail(id, &statement.sql, &format!("error expected: {expected_error}; {}", summary(off)));
        } else if !failed && self.depends_on_plan(statement, off)? {
            self.report.counts.unstable += 1;
            self.report.fail(id, &statement.sql, "the answer depends on the plan");
        } else {
            self.report.counts.errors += usize::from(failed);
            self.report.counts.passed += 1;
        }
        Ok(())
    }
}

fn release(session: &mut Session) -> Result<u32, String> {
    let answer = session.query("SELECT current_setting('server_version_num')::int / 10000");
    let Answer::Rows(rows) = &answer else { return Err(summary(&answer)) };
    let value = rows.rows.first().and_then(|row| row.first()).cloned().flatten();
    value.and_then(|text| text.parse().ok()).ok_or_else(|| "the server does not tell its release".into())
}

fn quote(text: &str) -> String {
    format!("'{}'", text.trim().replace('\'', "''"))
}

fn quoted_list(names: &str) -> String {
    names.split(',').map(quote).collect::<Vec<_>>().join(", ")
}

/// Statistics for the tables of these schemas, and no others.
fn analyze(schemas: &str) -> String {
    format!(
        "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' AND n.nspname IN ({}) LOOP EXECUTE 'ANALYZE ' || t; END LOOP; END $$",
        quoted_list(schemas)
    )
}

fn open(address: &Address, plain: bool, side: Side, state: &[String]) -> Result<Session, String> {
    let mut session = Session::connect(address).map_err(|e| e.to_string())?;
    let mut settings = vec![SESSION.to_string()];
    if !plain {
        settings.push(match side {
            Side::Base | Side::Off => "SET weir.route = off".into(),
            Side::On => "SET weir.route = force; SET weir.freshness_timeout = '30s'".into(),
        });
    }
    settings.extend_from_slice(state);
    for setting in settings {
        match session.query(&setting) {
            Answer::Rows(_) => {}
            other => return Err(format!("{setting}: {}", summary(&other))),
        }
    }
    Ok(session)
}
