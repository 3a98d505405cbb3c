//! What the views show of the engine and of the worker.

use super::{Arguments, jsonb};
use crate::client::Client;
use crate::worker::paths;
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
fn may_read(relid: pg_sys::Oid) -> bool {
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
    // SAFETY: set when the session connected.
    let database = unsafe { pg_sys::MyDatabaseId };
    let record = std::fs::read(paths::position_file(database)).ok()?;
    let word = |at: usize| record.get(at..at + 8).and_then(|b| b.try_into().ok());
    let (position, time_us) = (u64::from_ne_bytes(word(0)?), i64::from_ne_bytes(word(8)?));
    jsonb(json!({ "lsn": lsn(position), "time_us": time_us }))
}

/// `weir._last_route()`
pub fn last_route(_: &Arguments) -> Option<pg_sys::Datum> {
    let last = crate::planner::last_route();
    jsonb(json!({ "routed": last.routed, "engine": last.engine, "reason": last.reason, "fallback": last.fallback, "message": last.message }))
}
