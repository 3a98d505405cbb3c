//! How far the worker has decoded, in a file of the database's directory, for every session to read: three numbers, each in the form of this machine.
//!
//! Invariant: only the worker writes. A reader that comes in between takes what is there: the numbers are for views.

use super::paths;
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_plan::manifest::Lsn;

const LSN: u64 = 0;
const TIME: u64 = 8;
const HELD: u64 = 16;

#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Everything before this is decoded.
    pub lsn: Lsn,
    /// Everything committed before this time (Unix epoch, microseconds) is decoded.
    pub time_us: i64,
    /// Since when a commit is held that other sessions do not see yet, as while it waits for a synchronous standby; 0: none is.
    pub held_since_us: i64,
}

thread_local! {
    static FILE: RefCell<Option<File>> = const { RefCell::new(None) };
    static IS_HELD: Cell<bool> = const { Cell::new(false) };
}

/// Begins anew, with nothing decoded.
pub fn create(database: pg_sys::Oid) {
    FILE.set(File::create(paths::position_file(database)).ok());
}

fn write(at: u64, bytes: &[u8]) {
    FILE.with_borrow(|file| {
        if let Some(file) = file {
            let _ = file.write_all_at(bytes, at);
        }
    });
}

/// `time_us`: what was committed before it is decoded; if it is not given, no more is known of that than before.
pub fn caught_up(lsn: Lsn, time_us: Option<i64>) {
    write(LSN, &lsn.to_ne_bytes());
    if let Some(time_us) = time_us {
        write(TIME, &time_us.to_ne_bytes());
    }
}

/// Whether a commit is held. Cheap if that has not changed.
pub fn held(is_held: bool) {
    if IS_HELD.replace(is_held) != is_held {
        write(HELD, &if is_held { now_us() } else { 0 }.to_ne_bytes());
    }
}

pub fn read(database: pg_sys::Oid) -> Option<Position> {
    let record = std::fs::read(paths::position_file(database)).ok()?;
    let number = |at: u64| {
        let at = usize::try_from(at).ok()?;
        record.get(at..at + 8).and_then(|b| b.try_into().ok()).map(i64::from_ne_bytes)
    };
    Some(Position { lsn: number(LSN)?.cast_unsigned(), time_us: number(TIME)?, held_since_us: number(HELD).unwrap_or(0) })
}

pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}
