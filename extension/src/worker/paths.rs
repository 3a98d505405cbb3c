//! Where a database's files are: `pg_weir/<oid of the database>/` below the data directory.
//!
//! Paths are relative: every server process runs in the data directory, and the path of a Unix socket may have 107 bytes at most.

use pgrx::pg_sys;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

pub const ROOT: &str = "pg_weir";

/// The directory of a database. It exists as long as a worker is wanted for it.
pub fn database_dir(database: pg_sys::Oid) -> PathBuf {
    PathBuf::from(format!("{ROOT}/{}", database.to_u32()))
}

pub fn worker_pid_file(database: pg_sys::Oid) -> PathBuf {
    database_dir(database).join("worker.pid")
}

pub fn launcher_pid_file() -> PathBuf {
    PathBuf::from(ROOT).join("launcher.pid")
}

/// What a copy worker says when it ends: `ok`, or an error.
pub fn copy_result_file(database: pg_sys::Oid, relid: u32, generation: i64) -> PathBuf {
    database_dir(database).join(format!("copy.{relid}.{generation}"))
}

/// Names the process that needs the database for itself for a while.
pub fn hold_file(database: pg_sys::Oid) -> PathBuf {
    database_dir(database).join("hold")
}

/// Says that the worker was stopped for somebody who needed the database for himself, and that he needs it no longer.
pub fn released_file(database: pg_sys::Oid) -> PathBuf {
    database_dir(database).join("released")
}

/// Whether some process needs the database for itself.
pub fn is_held(database: pg_sys::Oid) -> bool {
    // SAFETY: signal 0 only asks whether the process exists.
    read_pid(&hold_file(database)).is_some_and(|pid| unsafe { libc::kill(pid, 0) } == 0)
}

/// How far the worker has decoded, for the views.
pub fn position_file(database: pg_sys::Oid) -> PathBuf {
    database_dir(database).join("position")
}

/// How far the slot was confirmed, at the most, by us.
pub fn confirmed_file(database: pg_sys::Oid) -> PathBuf {
    database_dir(database).join("confirmed")
}

/// What went wrong when the worker last died of an error.
pub fn failure_file(database: pg_sys::Oid) -> PathBuf {
    database_dir(database).join("worker.failed")
}

/// Why the engine could not start, as it or the worker says. Gone when one is up.
pub fn engine_failure_file(database: pg_sys::Oid) -> PathBuf {
    database_dir(database).join(weir_plan::protocol::FAILURE_FILE)
}

/// Makes the directory of a database if it is not there.
pub fn create_database_dir(database: pg_sys::Oid) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(database_dir(database))
}

/// The databases that have a directory.
pub fn database_dirs() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(ROOT) else { return Vec::new() };
    entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// A process is the only one of its kind as long as this lives; the kernel ends it with the process.
pub struct Sole {
    _lock: File,
}

impl Sole {
    /// Takes the lock and leaves this process's id in the pid file beside it. `None`: another process holds it.
    pub fn take(lock: PathBuf, pid_file: PathBuf) -> io::Result<Option<Sole>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock)?;
        // SAFETY: the descriptor is open.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            let e = io::Error::last_os_error();
            return if e.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(e) };
        }
        write_file(&pid_file, std::process::id().to_string().as_bytes())?;
        Ok(Some(Sole { _lock: file }))
    }
}

/// Replaces a small file as a whole.
pub fn write_file(path: &PathBuf, contents: &[u8]) -> io::Result<()> {
    let mut new = path.clone();
    new.as_mut_os_string().push(".new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(contents)?;
    drop(file);
    std::fs::rename(new, path)
}

/// The same, and it is there after a crash.
pub fn write_durable_file(path: &PathBuf, contents: &[u8]) -> io::Result<()> {
    let mut new = path.clone();
    new.as_mut_os_string().push(".new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The process id in a pid file.
pub fn read_pid(path: &PathBuf) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
}
