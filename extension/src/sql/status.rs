//! What the views show of the engine and of the worker.

use super::{Arguments, jsonb};
use crate::client::{Client, described};
use crate::worker::position;
use pgrx::pg_sys;
use serde_json::json;
use weir_plan::protocol::{EngineStatus, FromEngine, ToEngine};

/// `weir._status()`: the engine's figures, NULL if it is not running.
pub fn status(_: &Arguments) -> Option<pg_sys::Datum> {
    let status = ask()?;
    jsonb(json!({
        "memory_used_bytes": status.memory_used_bytes,
        "memory_limit_bytes": status.memory_limit_bytes,
        "cache_used_bytes": status.cache_used_bytes,
        "running_queries": status.running_queries,
        "waiting_queries": status.waiting_queries,
        "mirrors": status.mirrors.iter().filter(|m| may_read(m.relid.into())).map(|m| json!({
            "relid": m.relid,
            "generation": m.generation,
            "copying": m.copying,
            "rows_copied": m.rows_copied,
            "live_rows": m.live_rows,
            "size_bytes": m.size_bytes,
            "delta_rows": m.delta_rows,
            "segments": m.segments,
            "applied_lsn": lsn(m.applied_lsn),
        })).collect::<Vec<_>>(),
    }))
}

/// How many rows a table has is not for those who may not read it.
pub fn may_read(relid: pg_sys::Oid) -> bool {
    let mut is_missing = false;
    // SAFETY: a catalog look-up.
    let answer = unsafe { pg_sys::pg_class_aclcheck_ext(relid, pg_sys::GetUserId(), pg_sys::ACL_SELECT as pg_sys::AclMode, &raw mut is_missing) };
    !is_missing && answer == pg_sys::AclResult::ACLCHECK_OK
}

/// As `pg_lsn` is written.
fn lsn(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}

fn ask() -> Option<EngineStatus> {
    let mut client = Client::take().ok()?;
    match client.ask(&ToEngine::Status) {
        Ok(FromEngine::Status(status)) => {
            client.give_back();
            Some(*status)
        }
        _ => None,
    }
}

/// `weir._position()`: how far the worker has decoded, and when it began that round.
pub fn position(_: &Arguments) -> Option<pg_sys::Datum> {
    let position = position::read(this_database()).filter(|p| p.lsn > 0)?;
    jsonb(json!({ "lsn": lsn(position.lsn), "time_us": position.time_us }))
}

fn this_database() -> pg_sys::Oid {
    // SAFETY: set when the session connected.
    unsafe { pg_sys::MyDatabaseId }
}

/// Commits that are held this long are worth a word.
const HELD_LONG_US: i64 = 1_000_000;

/// `weir._obstacle()`: what keeps all mirrors from being read or followed, NULL if nothing does.
pub fn obstacle(_: &Arguments) -> Option<pg_sys::Datum> {
    // SAFETY: plain read.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return None;
    }
    let text = match Client::take() {
        Err(e) => described(&e),
        Ok(client) => {
            client.give_back();
            let since = position::read(this_database()).map_or(0, |p| p.held_since_us);
            let held_us = position::now_us() - since;
            if since == 0 || held_us < HELD_LONG_US {
                return None;
            }
            format!("a commit has waited for a synchronous standby for {} s, and all after it with it", held_us / 1_000_000)
        }
    };
    pgrx::IntoDatum::into_datum(text)
}

/// `weir._last_route()`
pub fn last_route(_: &Arguments) -> Option<pg_sys::Datum> {
    let last = crate::planner::last_route();
    jsonb(json!({ "routed": last.routed, "engine": last.engine, "reason": last.reason, "fallback": last.fallback, "message": last.message }))
}
