//! The launcher: one process per server that starts a worker for every database that has a directory below `pg_weir/`.
//!
//! Started by the postmaster when the library is preloaded, else by the first session that needs a worker. It is not connected to a
//! database and holds no state: what is wanted is what has a directory, what runs is what has a live process id in it.

use super::process::{self, Spec};
use super::{paths, wake};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the launcher looks without being woken.
const INTERVAL: Duration = Duration::from_secs(2);

/// A worker that ends again and again is started at growing intervals up to this.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

fn spec() -> Spec<'static> {
    Spec {
        name: "pg_weir launcher",
        kind: "pg_weir launcher",
        function: c"weir_launcher_main",
        argument: pg_sys::Datum::null(),
        extra: &[],
        restart_time: 2,
        notify_pid: 0,
    }
}

/// Registers the launcher with the postmaster that preloads the library.
pub fn register() {
    let mut worker = spec().build();
    // SAFETY: called from _PG_init under shared_preload_libraries.
    unsafe { pg_sys::RegisterBackgroundWorker(&raw mut worker) };
}

/// Has the launcher look at once. `false`: there is none.
pub fn wake() -> bool {
    let pid = paths::read_pid(&paths::launcher_pid_file());
    wake::is_worker(pid, pg_sys::InvalidOid) && pid.is_some_and(wake::set_latch)
}

/// Has the launcher look at once; starts it if there is none.
pub fn wake_or_start() {
    if wake() {
        return;
    }
    if spec().start().is_none() {
        pgrx::ereport!(
            WARNING,
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
            "could not start the background worker of pg_weir",
            "All max_worker_processes are in use. Raise the setting and restart the server."
        );
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn weir_launcher_main(_arg: pg_sys::Datum) {
    process::set_up_signals();
    // SAFETY: once, at the start of the process: shared catalogs only.
    unsafe { pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0) };
    if let Err(e) = run() {
        pgrx::warning!("pg_weir launcher: {e}");
        // SAFETY: ends the process; the postmaster starts it again later.
        unsafe { pg_sys::proc_exit(1) };
    }
}

fn run() -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(paths::ROOT)?;
    let root = std::path::PathBuf::from(paths::ROOT);
    let Some(_sole) = paths::Sole::take(root.join("launcher.lock"), paths::launcher_pid_file())? else {
        return Ok(());
    };
    let mut attempts: HashMap<u32, Attempt> = HashMap::new();
    loop {
        let wanted = paths::database_dirs();
        attempts.retain(|oid, _| wanted.contains(oid));
        for database in existing_databases(&wanted) {
            start_if_missing(database, attempts.entry(database.to_u32()).or_default());
        }
        process::wait(None, 0, INTERVAL);
        process::reload_configuration();
    }
}

/// When a worker was last started, and how long to wait before the next time.
struct Attempt {
    at: Option<Instant>,
    backoff: Duration,
}

impl Default for Attempt {
    fn default() -> Self {
        Self { at: None, backoff: Duration::ZERO }
    }
}

fn start_if_missing(database: pg_sys::Oid, attempt: &mut Attempt) {
    if wake::is_worker(paths::read_pid(&paths::worker_pid_file(database)), database) || paths::is_held(database) {
        return;
    }
    if std::fs::remove_file(paths::released_file(database)).is_ok() {
        // It has not failed.
        *attempt = Attempt::default();
    }
    if let Some(at) = attempt.at {
        if at.elapsed() < attempt.backoff.max(Duration::from_millis(500)) {
            return;
        }
        // One that lived for a while is started again at once.
        attempt.backoff = if at.elapsed() > MAX_BACKOFF { Duration::ZERO } else { (attempt.backoff * 2).clamp(Duration::from_secs(1), MAX_BACKOFF) };
    }
    attempt.at = Some(Instant::now());
    let name = format!("pg_weir worker for database {}", database.to_u32());
    let spec = Spec {
        name: &name,
        kind: "pg_weir worker",
        function: c"weir_worker_main",
        argument: pg_sys::Datum::from(database),
        extra: &[],
        restart_time: pg_sys::BGW_NEVER_RESTART,
        // SAFETY: this process's id.
        notify_pid: unsafe { pg_sys::MyProcPid },
    };
    if spec.start().is_none() {
        pgrx::ereport!(
            WARNING,
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
            "could not start the pg_weir worker of a database",
            "All max_worker_processes are in use. Raise the setting and restart the server."
        );
    }
}

/// Those of the wanted databases that exist; the directory of one that does not is removed.
fn existing_databases(wanted: &[u32]) -> Vec<pg_sys::Oid> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let all = process::transaction(all_databases);
    let (exist, gone): (Vec<u32>, Vec<u32>) = wanted.iter().partition(|oid| all.contains(oid));
    for oid in gone {
        let _ = std::fs::remove_dir_all(paths::database_dir(oid.into()));
    }
    exist.into_iter().map(pg_sys::Oid::from).collect()
}

/// The databases that allow connections.
fn all_databases() -> Vec<u32> {
    let mut oids = Vec::new();
    // SAFETY: in a transaction; the scan is ended and the catalog closed.
    unsafe {
        let rel = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock.cast_signed());
        let scan = pg_sys::table_beginscan_catalog(rel, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            if (*form).datallowconn {
                oids.push((*form).oid.to_u32());
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(rel, pg_sys::AccessShareLock.cast_signed());
    }
    oids
}
