//! Time zones, from the same compiled files that the Postgres server reads.
//!
//! Invariants:
//! - A zone is the server's own data (TZif files of its time zone directory), extended by 400 years of the file's rule and then repeated,
//!   as `localtime.c` of Postgres does; so offsets agree at every date, also before 1970 and after 2037.
//! - A name that is not a file there, nor a POSIX zone of one constant offset, is refused.
//! - Gaps and overlaps of local time are resolved as `DetermineTimeZoneOffset` in `datetime.c` does.

use super::calendar::{Civil, SECOND_US, check_timestamp, is_infinite};
use super::tzif;
use crate::error::refused;
use datafusion::common::Result;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Seconds in 400 Gregorian years.
const REPEAT_S: i64 = 146_097 * 86_400;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalType {
    /// Seconds east of UTC.
    pub offset: i32,
    pub is_dst: bool,
    pub abbreviation: String,
}

#[derive(Debug)]
pub struct Zone {
    /// As in the directory, e.g. `Europe/Berlin`.
    pub name: String,
    pub(super) transitions: Vec<i64>,
    /// Index into `types` in force from the transition of the same position on.
    pub(super) kinds: Vec<u8>,
    pub(super) types: Vec<LocalType>,
    /// The table ends with a rule that repeats every 400 years.
    pub(super) repeats: bool,
    /// Index of the type in force before the first transition.
    pub(super) early: u8,
}

static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

/// Sets the server's time zone directory; the first call before any query wins. Without it, the system's directory is read.
pub fn set_timezone_directory(path: impl Into<PathBuf>) {
    let _ = DIRECTORY.set(path.into());
}

fn directory() -> &'static Path {
    DIRECTORY.get_or_init(|| PathBuf::from("/usr/share/zoneinfo"))
}

impl Zone {
    pub fn fixed(name: impl Into<String>, offset: i32, abbreviation: impl Into<String>) -> Zone {
        let only = LocalType { offset, is_dst: false, abbreviation: abbreviation.into() };
        Zone { name: name.into(), transitions: Vec::new(), kinds: Vec::new(), types: vec![only], repeats: false, early: 0 }
    }

    /// The zone of a name as `TimeZone` or `AT TIME ZONE` takes it.
    ///
    /// # Errors
    /// Refused if there is no such zone here.
    pub fn named(name: &str) -> Result<Arc<Zone>> {
        static ZONES: OnceLock<Mutex<HashMap<String, Arc<Zone>>>> = OnceLock::new();
        let key = name.to_ascii_lowercase();
        let zones = ZONES.get_or_init(Mutex::default);
        if let Some(zone) = zones.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(zone));
        }
        let zone = Arc::new(load(name).ok_or_else(|| refused(format!("time zone \"{name}\"")))?);
        zones.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&zone));
        Ok(zone)
    }

    fn local_type(&self, index: u8) -> &LocalType {
        self.types.get(usize::from(index)).unwrap_or(&UTC_TYPE)
    }

    fn kind(&self, position: usize) -> &LocalType {
        self.kinds.get(position).map_or(&UTC_TYPE, |&k| self.local_type(k))
    }

    /// How many whole cycles to go back so that `t` lies within the table.
    fn cycles(&self, t: i64) -> i64 {
        match self.transitions.last() {
            Some(&last) if self.repeats && t > last => (t - last - 1) / REPEAT_S + 1,
            _ => 0,
        }
    }

    /// What is in force at a UTC time in seconds.
    pub fn at(&self, t: i64) -> &LocalType {
        let t = t - self.cycles(t) * REPEAT_S;
        match self.transitions.partition_point(|&x| x <= t) {
            0 => self.local_type(self.early),
            n => self.kind(n - 1),
        }
    }

    /// The lowest-numbered standard type, which Postgres takes for local times before the table.
    fn first_standard(&self) -> &LocalType {
        self.types.iter().find(|t| !t.is_dst).or(self.types.first()).unwrap_or(&UTC_TYPE)
    }

    /// The offset that Postgres chooses for a local time in seconds, as if it were UTC.
    pub fn offset_of_local(&self, local: i64) -> i32 {
        let day_before = local - 86_400;
        let shift = self.cycles(day_before) * REPEAT_S;
        let t = day_before - shift;
        let (Some(&first), Some(&last)) = (self.transitions.first(), self.transitions.last()) else {
            return self.first_standard().offset;
        };
        if t >= last {
            return self.kind(self.transitions.len() - 1).offset;
        }
        let (before, next) = if t < first {
            (self.first_standard(), 0)
        } else {
            let next = self.transitions.partition_point(|&x| x <= t);
            (self.kind(next - 1), next)
        };
        let after = self.kind(next);
        let boundary = self.transitions.get(next).copied().unwrap_or(last) + shift;
        let (before_time, after_time) = (local - i64::from(before.offset), local - i64::from(after.offset));
        if before_time < boundary && after_time < boundary {
            before.offset
        } else if before_time > boundary && after_time >= boundary {
            after.offset
        } else if before_time > after_time {
            // The local time does not exist: as if the clock had not been set yet.
            before.offset
        } else {
            // It exists twice: the second one.
            after.offset
        }
    }

    /// Local wall clock, in microseconds as if UTC, of a finite timestamptz.
    pub fn to_local(&self, t: i64) -> i128 {
        i128::from(t) + i128::from(self.at(t.div_euclid(SECOND_US)).offset) * i128::from(SECOND_US)
    }

    /// As [`Zone::to_local`], infinity kept and checked for range: `timestamptz::timestamp`.
    pub fn to_timestamp(&self, t: i64) -> Result<i64> {
        if is_infinite(t) { Ok(t) } else { check_timestamp(self.to_local(t)) }
    }

    /// The calendar fields of a finite timestamptz.
    pub fn civil(&self, t: i64) -> Result<Civil> {
        let local = self.to_local(t);
        i64::try_from(local).map(Civil::from_timestamp).map_err(|_| refused("a timestamp after the year 294246"))
    }

    /// The moment of a local wall clock.
    #[allow(clippy::wrong_self_convention)] // the counterpart of `civil`
    pub fn from_civil(&self, c: &Civil) -> Result<i64> {
        self.from_local(c.micros())
    }

    /// The moment of a local time in microseconds as if UTC, which may itself lie outside the range of timestamps.
    #[allow(clippy::wrong_self_convention)] // the counterpart of `to_local`
    pub fn from_local(&self, local: i128) -> Result<i64> {
        let seconds = i64::try_from(local.div_euclid(i128::from(SECOND_US))).map_err(|_| super::calendar::timestamp_out_of_range())?;
        check_timestamp(local - i128::from(self.offset_of_local(seconds)) * i128::from(SECOND_US))
    }

    /// `timestamp::timestamptz`.
    #[allow(clippy::wrong_self_convention)] // the counterpart of `to_timestamp`
    pub fn from_timestamp(&self, t: i64) -> Result<i64> {
        if is_infinite(t) { Ok(t) } else { self.from_local(t.into()) }
    }
}

/// The zone that a function's argument names: abbreviations of a constant offset go before names of zones, as in Postgres.
///
/// # Errors
/// Refused for abbreviations whose offset changes over time, and where their meaning depends on the session's zone (release 18).
pub fn of_name(name: &str, session: &weir_plan::ir::Session) -> Result<Arc<Zone>> {
    let key = name.to_ascii_lowercase();
    if matches!(key.as_str(), "utc" | "gmt" | "z" | "zulu" | "ut" | "uct") {
        return Ok(Arc::new(Zone::fixed("UTC", 0, "UTC")));
    }
    match super::abbreviation::offset(&key) {
        Some(Some(offset)) if session.server_version_num < 180_000 => {
            Ok(Arc::new(Zone::fixed(format!("abbreviation {key}"), offset, key.to_ascii_uppercase())))
        }
        Some(_) => Err(refused(format!("time zone abbreviation \"{name}\""))),
        None => Zone::named(name),
    }
}

static UTC_TYPE: LocalType = LocalType { offset: 0, is_dst: false, abbreviation: String::new() };

fn load(name: &str) -> Option<Zone> {
    if name.eq_ignore_ascii_case("GMT") {
        return Some(Zone::fixed("GMT", 0, "GMT"));
    }
    if let Some(path) = find_file(directory(), name) {
        let canonical = path.strip_prefix(directory()).ok()?.to_str()?.to_owned();
        let bytes = std::fs::read(path).ok()?;
        return tzif::parse(canonical, &bytes);
    }
    tzif::posix_fixed(name)
}

/// The file of a zone's name, whose case does not matter, as `pg_open_tzfile` finds it.
fn find_file(root: &Path, name: &str) -> Option<PathBuf> {
    let mut path = root.to_path_buf();
    for part in name.split('/') {
        if part.is_empty() || part.starts_with('.') {
            return None;
        }
        let exact = path.join(part);
        path = if exact.exists() {
            exact
        } else {
            std::fs::read_dir(&path).ok()?.flatten().find(|e| e.file_name().to_str().is_some_and(|n| n.eq_ignore_ascii_case(part)))?.path()
        };
    }
    path.is_file().then_some(path)
}
