//! `weir.verify`: does the mirror hold exactly what the table holds?
//!
//! Method: writers of the table are locked out for as long as it takes to take a snapshot and to let the engine pin its own; then both are
//! read beside live writes. The rows of the mirror come through the same path as every routed query, and both sides are compared by what
//! their types print: the sum of a hash per row, which does not depend on the order.

use super::{Arguments, fail, jsonb, or_raise, set};
use crate::catalog::{self, MirrorInfo};
use pgrx::pg_sys;
use serde_json::json;
use std::ffi::CString;
use std::hash::Hasher;
use weir_plan::{Error, Result};

/// Rows read at a time.
const FETCH_ROWS: i64 = 2000;

/// `weir._verify(regclass)`
pub fn verify(args: &Arguments) -> Option<pg_sys::Datum> {
    let relid: pg_sys::Oid = args.get(0)?;
    super::mirror::check_owner(relid);
    let Some(info) = catalog::mirror_info(relid) else {
        fail("55000", "the table is not mirrored", Some("Mirror it with weir.mirror()."));
    };
    if !info.active {
        fail("55000", format!("the mirror is not ready: {}", info.reason), Some("Wait for it with weir.sync()."));
    }
    // SAFETY: plain reads of this backend's state.
    unsafe {
        if pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ.cast_signed() || pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId {
            fail("25001", "weir.verify must run in a READ COMMITTED transaction that has not written", None);
        }
    }
    let (heap, mirror) = or_raise(as_table_owner(relid, || both_sides(relid, &info)));
    let unchecked = unchecked_columns(relid, &info);
    jsonb(json!({
        "heap_rows": heap.rows,
        "mirror_rows": mirror.rows,
        "heap_checksum": format!("{:032x}", heap.sum),
        "mirror_checksum": format!("{:032x}", mirror.sum),
        "matches": heap == mirror,
        "unchecked_columns": unchecked,
    }))
}

/// Columns of the table that the mirror does not hold, or not all values of.
fn unchecked_columns(relid: pg_sys::Oid, info: &MirrorInfo) -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: the table is there, as its mirror is; its descriptor is read while it is open.
    unsafe {
        let rel = pg_sys::relation_open(relid, pg_sys::AccessShareLock.cast_signed());
        let tupdesc = pgrx::PgTupleDesc::from_pg_copy((*rel).rd_att);
        for attribute in tupdesc.iter().filter(|a| !a.attisdropped) {
            let is_held = info.columns.iter().any(|c| c.attnum == attribute.attnum) && !info.poisoned.contains(&attribute.attnum);
            if !is_held {
                names.push(attribute.name().to_owned());
            }
        }
        pg_sys::relation_close(rel, pg_sys::AccessShareLock.cast_signed());
    }
    names
}

/// What is compared of one side.
#[derive(Debug, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    sum: u128,
}

/// Reads the columns that the mirror holds, by the names they have now.
fn query(relid: pg_sys::Oid, info: &MirrorInfo) -> Result<CString> {
    let mut columns = Vec::new();
    for c in info.columns.iter().filter(|c| !info.poisoned.contains(&c.attnum)) {
        // SAFETY: returns a palloc'ed name, or null.
        let name = unsafe { pg_sys::get_attname(relid, c.attnum, true) };
        if name.is_null() {
            return Err(Error::internal("the definition of the table has changed"));
        }
        // SAFETY: a C string.
        columns.push(pgrx::spi::quote_identifier(unsafe { std::ffi::CStr::from_ptr(name) }.to_string_lossy()));
    }
    // SAFETY: the relation exists, as its mirror does.
    let table = unsafe {
        let namespace = std::ffi::CStr::from_ptr(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relid)));
        let name = std::ffi::CStr::from_ptr(pg_sys::get_rel_name(relid));
        pgrx::spi::quote_qualified_identifier(namespace.to_string_lossy(), name.to_string_lossy())
    };
    CString::new(format!("SELECT {} FROM ONLY {table}", columns.join(", "))).map_err(|_| Error::internal("a name contains a zero byte"))
}

/// Runs `f` as the owner of the table, as ANALYZE would: the query names the table, and what has that name by the time it is parsed may be a view
/// whose functions the owner has written. Rows that FORCE ROW LEVEL SECURITY hides from him are compared, too.
fn as_table_owner<T>(relid: pg_sys::Oid, f: impl FnOnce() -> Result<T>) -> Result<T> {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: locked against being renamed, replaced or given to somebody else until the transaction ends. The user is restored below, or at the
    // end of an aborted (sub)transaction.
    unsafe {
        pg_sys::LockRelationOid(relid, pg_sys::AccessShareLock.cast_signed());
        let rel = pg_sys::try_relation_open(relid, pg_sys::NoLock.cast_signed());
        if rel.is_null() {
            return Err(Error::internal("the table is gone"));
        }
        let owner = (*(*rel).rd_rel).relowner;
        pg_sys::relation_close(rel, pg_sys::NoLock.cast_signed());
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION | pg_sys::SECURITY_NOFORCE_RLS;
        pg_sys::SetUserIdAndSecContext(owner, context | restricted.cast_signed());
    }
    let result = f();
    // SAFETY: as above.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
    result
}

fn both_sides(relid: pg_sys::Oid, info: &MirrorInfo) -> Result<(Digest, Digest)> {
    let share = pg_sys::ShareLock.cast_signed();
    // SAFETY: the portals belong to this transaction and are closed here; the lock is given back as soon as both sides are pinned (or with
    // the transaction, if an error is raised in between).
    unsafe {
        let nest_level = pg_sys::NewGUCNestLevel();
        pg_sys::SPI_connect();
        pg_sys::LockRelationOid(relid, share);
        // Of the names that it has under the lock.
        let sql = &query(relid, info)?;
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        pg_sys::PushActiveSnapshot(snapshot);
        // What is equal must print equal, and nothing else may.
        set(c"extra_float_digits", c"3");
        set(c"DateStyle", c"ISO, YMD");
        set(c"IntervalStyle", c"postgres");
        set(c"TimeZone", c"UTC");
        set(c"weir.route", c"off");
        let heap_portal = open(sql)?;
        set(c"weir.enabled", c"on");
        set(c"weir.route", c"force");
        set(c"weir.freshness", c"latest");
        // DuckDB does not hold every type that mirrors do.
        set(c"weir.engine", c"datafusion");
        // A snapshot of its own, which holds the same: a query that shares one with another is not answered by the engine.
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        let mirror_portal = open(sql)?;
        pg_sys::PopActiveSnapshot();
        let mut mirror = Digest::default();
        // The first row pins the engine's snapshot.
        let more = fetch(mirror_portal, 1, &mut mirror)?;
        pg_sys::UnlockRelationOid(relid, share);
        let route = crate::planner::last_route();
        if !route.routed || route.fallback {
            return Err(Error::refused(format!("the mirror cannot be read: {}{}", route.reason, route.message)));
        }
        while more && fetch(mirror_portal, FETCH_ROWS, &mut mirror)? {}
        pg_sys::SPI_cursor_close(mirror_portal);
        let mut heap = Digest::default();
        while fetch(heap_portal, FETCH_ROWS, &mut heap)? {}
        pg_sys::SPI_cursor_close(heap_portal);
        pg_sys::PopActiveSnapshot();
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::SPI_finish();
        pg_sys::AtEOXact_GUC(true, nest_level);
        Ok((heap, mirror))
    }
}

/// # Safety
/// Connected to SPI.
unsafe fn open(sql: &CString) -> Result<pg_sys::Portal> {
    // SAFETY: as promised by the caller. Read-only: the query runs under the active snapshot.
    unsafe {
        let plan = pg_sys::SPI_prepare_cursor(sql.as_ptr(), 0, std::ptr::null_mut(), pg_sys::CURSOR_OPT_NO_SCROLL.cast_signed());
        if plan.is_null() {
            return Err(Error::internal("could not prepare the query of weir.verify"));
        }
        let portal = pg_sys::SPI_cursor_open(std::ptr::null(), plan, std::ptr::null_mut(), std::ptr::null(), true);
        if portal.is_null() { Err(Error::internal("could not open the query of weir.verify")) } else { Ok(portal) }
    }
}

/// Adds rows to the digest; `false` at the end.
///
/// # Safety
/// Connected to SPI; an open portal.
unsafe fn fetch(portal: pg_sys::Portal, count: i64, digest: &mut Digest) -> Result<bool> {
    // SAFETY: as promised by the caller; the table of tuples is freed before the next one.
    unsafe {
        pg_sys::SPI_cursor_fetch(portal, true, count);
        let table = pg_sys::SPI_tuptable;
        let n = pg_sys::SPI_processed;
        if table.is_null() {
            return Err(Error::internal("the query of weir.verify returned no rows"));
        }
        let tupdesc = (*table).tupdesc;
        for i in 0..usize::try_from(n).unwrap_or(0) {
            let tuple = *(*table).vals.add(i);
            let mut low = std::hash::DefaultHasher::new();
            let mut high = std::hash::DefaultHasher::new();
            high.write_u8(1);
            for column in 1..=(*tupdesc).natts {
                let text = pg_sys::SPI_getvalue(tuple, tupdesc, column);
                for hasher in [&mut low, &mut high] {
                    if text.is_null() {
                        hasher.write_u8(0);
                    } else {
                        hasher.write_u8(1);
                        hasher.write(std::ffi::CStr::from_ptr(text).to_bytes_with_nul());
                    }
                }
                if !text.is_null() {
                    pg_sys::pfree(text.cast());
                }
            }
            digest.rows += 1;
            digest.sum = digest.sum.wrapping_add(u128::from(high.finish()) << 64 | u128::from(low.finish()));
        }
        pg_sys::SPI_freetuptable(table);
        pgrx::check_for_interrupts!();
        Ok(n > 0)
    }
}
