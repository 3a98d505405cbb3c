//! The main loop of the background worker.
//!
//! Invariants:
//! - A mirror is loaded into the engine only after everything that was flushed when its row was read has been decoded: older changes may
//!   have another shape, and the initial copy sees them.
//! - Manifests are committed in the order in which the engine proposes them, and the slot advances after that.
//! - An error of Postgres ends the process; the launcher starts another one, which rebuilds everything.

mod follow;

use super::capture;
use super::copies::Copies;
use super::decode::{self, Decoder, Progress};
use super::engine::{Engine, Supervisor};
use super::moment::Moments;
use super::process::{self, transaction};
use super::sync;
use super::{copy, paths, position};
use crate::catalog::store::{self, Outcome};
use crate::settings;
use crate::wal;
use follow::{OBSTACLE_INTERVAL, RETRY_INTERVAL, relation_changed};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};
use weir_plan::manifest::{Lsn, ManifestChange, MirrorState};
use weir_plan::protocol::{FromEngineControl, LogLevel, ManifestOutcome, ToEngineControl};
use weir_plan::{Result, greeting};

/// How often the worker decodes while queries ask for fresh data, and for how long after the last one that holds.
const BUSY_INTERVAL: Duration = Duration::from_millis(10);
const BUSY_FOR: Duration = Duration::from_secs(3);

/// How the error begins that says why changes stay in memory.
const UNWRITTEN: &str = "segments cannot be written, which is tried again";

/// How long a manifest waits for a transaction that has changed one of its mirrors.
const BUSY_MANIFEST_PATIENCE: Duration = Duration::from_secs(2);

/// Time for decoding before messages are looked at again.
const DECODE_BUDGET: Duration = Duration::from_millis(50);

/// How often a commit that others do not see yet is looked at.
const HELD_INTERVAL: Duration = Duration::from_millis(1);

/// Failures further apart than this have nothing to do with each other.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// How long an engine of another build is kept, which tells so to whoever asks, before the installed one is looked at again.
const STRANGER_FOR: Duration = Duration::from_secs(30);

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn weir_worker_main(database: pg_sys::Datum) {
    process::set_up_signals();
    let database = pg_sys::Oid::from(u32::try_from(database.value()).unwrap_or(0));
    let Some(_sole) = become_sole(database) else { return };
    // SAFETY: once, at the start of the process; as the bootstrap superuser.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database, pg_sys::InvalidOid, 0);
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null());
    }
    process::fix_settings();
    PgTryBuilder::new(AssertUnwindSafe(|| {
        if let Err(e) = Worker::new(database).run() {
            crate::error::raise(&e);
        }
    }))
    .catch_others(|e| {
        if let pgrx::pg_sys::panic::CaughtError::PostgresError(r) | pgrx::pg_sys::panic::CaughtError::ErrorReport(r) = &e {
            note_failure(database, r.message());
        }
        e.rethrow()
    })
    .execute();
}

/// Takes the lock of this database, waiting a little for a predecessor that is ending.
fn become_sole(database: pg_sys::Oid) -> Option<paths::Sole> {
    let dir = paths::database_dir(database);
    for _ in 0..50 {
        match paths::Sole::take(dir.join("worker.lock"), paths::worker_pid_file(database)) {
            Ok(Some(sole)) => return Some(sole),
            Ok(None) => {
                process::wait(None, 0, Duration::from_millis(100));
            }
            Err(e) => {
                pgrx::log!("pg_weir: could not lock \"{}\": {e}", dir.display());
                return None;
            }
        }
    }
    None
}

/// An error while decoding a table's change would come again after a restart: the next worker has to know.
fn note_failure(database: pg_sys::Oid, message: &str) {
    let count = read_failure(database).map_or(0, |f| f.count) + 1;
    if capture::current_transaction() != 0 {
        pgrx::log!("pg_weir: the error was raised while transaction {} was decoded", capture::current_transaction());
    }
    let text = format!("{} {count} {message}", capture::current_table());
    let _ = paths::write_file(&paths::failure_file(database), text.as_bytes());
}

struct Failure {
    /// 0 if it was not about one table.
    relid: u32,
    count: u32,
    message: String,
}

fn read_failure(database: pg_sys::Oid) -> Option<Failure> {
    let text = std::fs::read_to_string(paths::failure_file(database)).ok()?;
    let mut parts = text.splitn(3, ' ');
    Some(Failure { relid: parts.next()?.parse().ok()?, count: parts.next()?.parse().ok()?, message: parts.next()?.to_owned() })
}

/// The error that the worker ended with, unless one has lived for a while since.
pub fn last_failure(database: pg_sys::Oid) -> Option<String> {
    read_failure(database).map(|f| f.message)
}

struct Manifest {
    token: u64,
    changes: Vec<ManifestChange>,
    slot_lsn: Lsn,
    since: Instant,
}

struct Worker {
    database: pg_sys::Oid,
    started: Instant,
    supervisor: Supervisor,
    engine: Option<Engine>,
    /// The engine has said that it accepts connections.
    ready: bool,
    /// Since when the engine is known to be of another build.
    stranger_since: Option<Instant>,
    decoder: Option<Decoder>,
    copies: Copies,
    manifests: VecDeque<Manifest>,
    /// Mirrors to be marked for another copy, as soon as their rows are not locked.
    marks: Vec<capture::Lost>,
    target: Option<Lsn>,
    asked_at: Option<Instant>,
    decoded_at: Instant,
    moments: Moments,
    catalog_due: Instant,
    obstacles_due: Instant,
    /// The mirrors' table: another one if the extension was created anew.
    catalog: u32,
    /// Whether there may be a slot to drop when nothing is mirrored.
    slot_may_exist: bool,
    /// The note of an earlier failure is forgotten once this worker has lived for a while.
    remembers_failure: bool,
}

impl Worker {
    fn new(database: pg_sys::Oid) -> Self {
        position::create(database);
        let now = Instant::now();
        Self {
            database,
            started: now,
            supervisor: Supervisor::default(),
            engine: None,
            ready: false,
            stranger_since: None,
            decoder: None,
            copies: Copies::default(),
            manifests: VecDeque::new(),
            marks: Vec::new(),
            target: None,
            asked_at: None,
            decoded_at: now,
            moments: Moments::default(),
            catalog_due: now,
            obstacles_due: now + OBSTACLE_INTERVAL,
            catalog: 0,
            slot_may_exist: true,
            remembers_failure: true,
        }
    }

    /// Runs until the extension is gone.
    fn run(&mut self) -> Result<()> {
        self.heed_last_failure()?;
        loop {
            self.keep_engine();
            self.handle_messages()?;
            self.commit_manifests()?;
            self.mark_lost()?;
            if Instant::now() >= self.catalog_due && !self.follow_catalog()? {
                self.clean_up();
                return Ok(());
            }
            let paused = self.decode()?;
            self.watch_copies()?;
            if self.remembers_failure && self.started.elapsed() > HEALTHY_AFTER {
                self.remembers_failure = false;
                let _ = std::fs::remove_file(paths::failure_file(self.database));
            }
            if !paused {
                self.wait();
            }
        }
    }

    /// What ended the previous worker must not end this one.
    fn heed_last_failure(&mut self) -> Result<()> {
        let Some(failure) = read_failure(self.database) else { return Ok(()) };
        if failure.relid != 0 {
            let reason = format!("a change could not be decoded: {}", failure.message);
            transaction(|| -> Result<()> {
                if sync::is_installed() {
                    store::mark_error_any(failure.relid, &reason)?;
                }
                Ok(())
            })?;
        } else if failure.count >= 3 {
            pgrx::warning!("pg_weir: the worker failed {} times ({}), all mirrors are copied again", failure.count, failure.message);
            self.reset_all("the worker failed repeatedly")?;
        } else {
            return Ok(());
        }
        let _ = std::fs::remove_file(paths::failure_file(self.database));
        Ok(())
    }

    /// Starts the engine if there is none and it is time; notices when it is gone.
    fn keep_engine(&mut self) {
        if let Some(engine) = &self.engine
            && let Some(why) = engine.link.lost()
        {
            pgrx::log!("pg_weir: engine process {} ended: {why}", engine.pid());
            self.stop_engine();
        }
        self.heed_stranger();
        if self.engine.is_none() && self.supervisor.pause().is_zero() {
            match self.supervisor.start(self.database) {
                Ok(engine) => self.engine = Some(engine),
                Err(e) => {
                    pgrx::warning!("pg_weir: could not start the engine: {e}");
                    let text = format!("program \"{}\": {e}", super::engine::program().display());
                    let _ = paths::write_file(&paths::engine_failure_file(self.database), text.as_bytes());
                }
            }
            self.catalog_due = Instant::now();
        }
    }

    /// With an engine of another build nothing is done; it stays, because it answers those who ask for one with the reason.
    fn heed_stranger(&mut self) {
        let Some(e) = self.engine.as_ref().and_then(|engine| engine.link.stranger()) else { return };
        match self.stranger_since {
            None => {
                pgrx::warning!("pg_weir: {e}: {}", e.detail.as_deref().unwrap_or_default());
                self.forget_engine_work();
                self.stranger_since = Some(Instant::now());
                self.catalog_due = Instant::now();
            }
            Some(since) if since.elapsed() > STRANGER_FOR => self.stop_engine(),
            Some(_) => {}
        }
    }

    fn stop_engine(&mut self) {
        self.engine = None;
        self.stranger_since = None;
        self.supervisor.ended();
        self.forget_engine_work();
    }

    fn forget_engine_work(&mut self) {
        self.ready = false;
        self.copies.forget_all();
        self.manifests.clear();
        self.target = None;
        self.moments = Moments::default();
        // Everything is decoded again from the confirmed position for the next engine.
        if let Some(decoder) = self.decoder.take() {
            decoder.close();
        }
    }

    fn restart_engine(&mut self) {
        self.stop_engine();
        self.catalog_due = Instant::now();
    }

    fn send(&mut self, message: &ToEngineControl) {
        if let Some(engine) = &mut self.engine {
            engine.link.send(message);
        }
    }

    fn handle_messages(&mut self) -> Result<()> {
        while let Some(message) = self.engine.as_mut().and_then(|e| e.link.receive()) {
            match message {
                FromEngineControl::Ready { .. } => {
                    self.ready = true;
                    let _ = std::fs::remove_file(paths::engine_failure_file(self.database));
                    transaction(|| -> Result<()> {
                        if sync::is_installed() {
                            store::forget_errors(greeting::MISMATCH)?;
                            store::forget_errors(UNWRITTEN)?;
                        }
                        Ok(())
                    })?;
                }
                FromEngineControl::Storage { error } => {
                    transaction(|| match error {
                        _ if !sync::is_installed() => Ok(()),
                        None => store::forget_errors(UNWRITTEN),
                        Some(e) => store::note_error_of_active(&format!("{UNWRITTEN}: {e}")),
                    })?;
                }
                FromEngineControl::CatchUp { lsn } => {
                    // Nobody waits for what has not been written.
                    let lsn = lsn.min(wal::inserted());
                    self.target = Some(self.target.map_or(lsn, |t| t.max(lsn)));
                    self.asked_at = Some(Instant::now());
                }
                FromEngineControl::CommitManifest { token, changes, slot_lsn } => {
                    self.manifests.push_back(Manifest { token, changes, slot_lsn, since: Instant::now() });
                }
                FromEngineControl::Resync { relid, generation, reason } => self.marks.push(capture::Lost { relid, generation, reason }),
                FromEngineControl::Alive => {}
                FromEngineControl::Log { level: LogLevel::Info, message } => pgrx::log!("pg_weir engine: {message}"),
                FromEngineControl::Log { level: LogLevel::Warning, message } => pgrx::warning!("pg_weir engine: {message}"),
            }
        }
        Ok(())
    }

    /// Commits what the engine proposes; one transaction each. For a transaction of somebody else that changes a mirror it waits a little only: it
    /// may go on for long, and what is not written stays in the engine's memory.
    fn commit_manifests(&mut self) -> Result<()> {
        while let Some(manifest) = self.manifests.front() {
            let outcome = if manifest.changes.is_empty() {
                ManifestOutcome::Committed
            } else {
                transaction(|| if sync::is_installed() { store::apply_manifest(&manifest.changes) } else { Ok(ManifestOutcome::Refused) })?
            };
            if matches!(outcome, ManifestOutcome::Busy { .. }) && manifest.since.elapsed() < BUSY_MANIFEST_PATIENCE {
                return Ok(());
            }
            if let Some(Manifest { token, slot_lsn, changes, .. }) = self.manifests.pop_front() {
                self.send(&ToEngineControl::ManifestCommitted { token, outcome });
                if let (ManifestOutcome::Committed, Some(decoder)) = (outcome, &mut self.decoder) {
                    decoder.confirm(slot_lsn);
                    for change in changes.iter().filter(|c| c.state == MirrorState::Active) {
                        decoder.capture().copied(change.relid, change.generation);
                    }
                }
            }
        }
        Ok(())
    }

    /// Marks mirrors that must be copied again.
    fn mark_lost(&mut self) -> Result<()> {
        if self.marks.is_empty() {
            return Ok(());
        }
        let marks = std::mem::take(&mut self.marks);
        self.marks = transaction(|| -> Result<Vec<capture::Lost>> {
            let mut busy = Vec::new();
            if !sync::is_installed() {
                return Ok(busy);
            }
            for mark in marks {
                match store::lock_state(mark.relid, mark.generation)? {
                    Outcome::Taken => {
                        pgrx::log!("pg_weir: the mirror of table {} is copied again: {}", mark.relid, mark.reason);
                        store::mark_resync(mark.relid, Some(mark.generation), &mark.reason)?;
                    }
                    Outcome::Gone => {}
                    Outcome::Busy => busy.push(mark),
                }
            }
            Ok(busy)
        })?;
        self.catalog_due = Instant::now();
        Ok(())
    }

    /// Decodes everything that is flushed now.
    fn decode_all(&mut self) -> Result<()> {
        let target = decode::flushed();
        while let (Some(decoder), Some(engine)) = (&mut self.decoder, &mut self.engine) {
            let progress = decoder.run(&mut engine.link, target, DECODE_BUDGET)?;
            self.marks.extend(decoder.capture().take_lost());
            let pause = match progress {
                Progress::Paused => Duration::ZERO,
                Progress::Held => HELD_INTERVAL,
                Progress::Reached | Progress::EndOfWal => break,
            };
            if engine.link.lost().is_some() {
                break;
            }
            engine.link.wait(pause);
        }
        Ok(())
    }

    /// Decodes if it is time. `true`: there is more.
    fn decode(&mut self) -> Result<bool> {
        let interval = self.decode_interval();
        if self.target.is_none() && self.decoded_at.elapsed() < interval {
            return Ok(false);
        }
        let Some(engine) = &mut self.engine else { return Ok(false) };
        let Some(decoder) = &mut self.decoder else {
            // Nothing is mirrored: whatever is asked for is there.
            if let Some(lsn) = self.target.take() {
                engine.link.send(&ToEngineControl::CaughtUp { lsn, time_us: None });
            }
            return Ok(false);
        };
        // What was asked for is answered at once; without being asked, everything is decoded.
        self.moments.note();
        if let Some(target) = self.target {
            // Who puts up with some age has not flushed it.
            wal::flush(target.min(wal::inserted()));
        }
        let target = self.target.unwrap_or_else(decode::flushed);
        let progress = decoder.run(&mut engine.link, target, DECODE_BUDGET)?;
        self.marks.extend(decoder.capture().take_lost());
        let position = decoder.position();
        match progress {
            Progress::Paused => return Ok(true),
            Progress::Held => {
                self.decoded_at = Instant::now();
                return Ok(false);
            }
            Progress::EndOfWal if self.target.is_some() => {
                // The position asked for is not flushed yet: look again soon.
                self.decoded_at = Instant::now();
                return Ok(false);
            }
            Progress::EndOfWal | Progress::Reached => {}
        }
        self.target = None;
        self.decoded_at = Instant::now();
        let moment = self.moments.reached(position);
        engine.link.send(&ToEngineControl::CaughtUp { lsn: position, time_us: moment.map(|m| m.monotonic_us) });
        position::caught_up(position, moment.map(|m| m.unix_us));
        Ok(false)
    }

    fn decode_interval(&self) -> Duration {
        let lazy = Duration::from_millis(settings::apply_interval_ms());
        if self.asked_at.is_some_and(|t| t.elapsed() < BUSY_FOR) { lazy.min(BUSY_INTERVAL) } else { lazy }
    }

    /// Notices which copies ended, and starts those that wait.
    fn watch_copies(&mut self) -> Result<()> {
        if self.copies.is_empty() {
            return Ok(());
        }
        for ended in self.copies.poll(self.database, self.ready) {
            let Some(error) = ended.error else { continue };
            pgrx::log!("pg_weir: the copy of table {} failed: {error}", ended.relid);
            if let Some(reason) = error.strip_prefix(copy::CHANGED) {
                self.marks.push(capture::Lost { relid: ended.relid, generation: ended.generation, reason: reason.to_owned() });
            } else if error.starts_with(store::ROW_TOO_LARGE) {
                transaction(|| if sync::is_installed() { store::mark_error(ended.relid, ended.generation, &error) } else { Ok(()) })?;
                self.catalog_due = Instant::now();
            } else {
                transaction(|| if sync::is_installed() { store::note_error(ended.relid, ended.generation, &error) } else { Ok(()) })?;
            }
        }
        Ok(())
    }

    fn wait(&mut self) {
        let now = Instant::now();
        let mut timeout = self.catalog_due.saturating_duration_since(now);
        if self.decoder.is_some() {
            timeout = timeout.min(self.decode_interval().saturating_sub(self.decoded_at.elapsed()));
        }
        if self.target.is_some() {
            timeout = timeout.min(Duration::from_millis(1));
        }
        if !self.manifests.is_empty() || !self.marks.is_empty() {
            timeout = timeout.min(RETRY_INTERVAL);
        }
        // A wait is at least a millisecond long, or a busy loop could come of rounding.
        let timeout = timeout.max(Duration::from_millis(1));
        let woken = match &mut self.engine {
            Some(engine) => engine.link.wait(timeout),
            // Woken by the death of a child or by the time of the next start.
            None => process::wait(None, 0, timeout.min(self.supervisor.pause().max(Duration::from_millis(1)))) & pg_sys::WL_LATCH_SET != 0,
        };
        if woken {
            self.catalog_due = Instant::now();
        }
        if process::reload_configuration()
            && let Some(engine) = &mut self.engine
        {
            engine.configure();
        }
    }

    /// The extension is gone from this database.
    fn clean_up(&mut self) {
        pgrx::log!("pg_weir: the extension is not installed in this database, the worker ends");
        self.stop_engine();
        if let Err(e) = self.end_decoding() {
            pgrx::warning!("pg_weir: could not drop the replication slot: {e}");
        }
        let _ = std::fs::remove_dir_all(paths::database_dir(self.database));
    }
}
