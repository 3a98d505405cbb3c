//! What `weir.mirror_table` and `weir.mirror_segment` say, for backends (cached, read without SPI) and for the worker.
//!
//! Invariants:
//! - A backend's copy of a row is dropped by the relcache invalidation of its table; whoever changes state, generation, columns or poisoned
//!   columns of a row sends one in the same transaction.
//! - The shape of a table (its columns as the mirror holds them, and its key) is decided in `define` only.
//! - Looking up a table that is not mirrored costs one hash probe after the first time.

pub mod define;
pub mod store;
pub mod upgrade;

use crate::tuple::is_external_on_disk;
use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;
use weir_plan::manifest::ColumnDef;

/// A mirror as a backend needs to know it.
#[derive(Debug, Clone)]
pub struct MirrorInfo {
    /// The copy is complete and followed.
    pub active: bool,
    pub generation: i64,
    pub columns: Vec<ColumnDef>,
    /// Attnums of columns that hold a value which their Arrow form cannot hold.
    pub poisoned: Vec<i16>,
    /// Why it is not active.
    pub reason: String,
    /// It will not become active unless something is changed.
    pub failed: bool,
}

/// Attribute numbers of `weir.mirror_table`, as the install script defines it.
mod attnum {
    pub const RELID: i16 = 1;
    pub const GENERATION: usize = 2;
    pub const STATE: usize = 3;
    pub const REASON: usize = 4;
    pub const COLUMNS: usize = 5;
    pub const POISONED: usize = 7;
    pub const LAST_ERROR: usize = 12;
}

thread_local! {
    static MIRRORS: RefCell<HashMap<u32, Option<Rc<MirrorInfo>>>> = RefCell::default();
    /// OID of `weir.mirror_table`: unknown, absent, or there.
    static TABLE: Cell<Option<pg_sys::Oid>> = const { Cell::new(None) };
    static CALLBACKS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the extension exists in this database. Needs a transaction.
pub fn installed() -> bool {
    mirror_table() != pg_sys::InvalidOid
}

/// Whether this is the table of the mirrors, over which the views are: their queries are not routed, and not worth a note.
pub fn is_own(relid: pg_sys::Oid) -> bool {
    relid == mirror_table()
}

/// The mirror of a table, if there is one. Needs a transaction.
pub fn mirror_info(relid: pg_sys::Oid) -> Option<Rc<MirrorInfo>> {
    register_callbacks();
    if let Some(known) = MIRRORS.with_borrow(|m| m.get(&relid.to_u32()).cloned()) {
        return known;
    }
    let table = mirror_table();
    if table == pg_sys::InvalidOid {
        return None;
    }
    // SAFETY: in a transaction; the table is there.
    let info = unsafe { read(table, relid) }.map(Rc::new);
    MIRRORS.with_borrow_mut(|m| m.insert(relid.to_u32(), info.clone()));
    info
}

/// The mirrors' table, or invalid. Needs a transaction.
pub fn mirror_table() -> pg_sys::Oid {
    register_callbacks();
    if let Some(oid) = TABLE.get() {
        return oid;
    }
    // SAFETY: catalog look-ups in a transaction.
    let oid = unsafe {
        match pg_sys::get_namespace_oid(c"weir".as_ptr(), true) {
            pg_sys::InvalidOid => pg_sys::InvalidOid,
            // A schema of this name is only ours if the extension owns it.
            namespace if pg_sys::get_extension_oid(c"pg_weir".as_ptr(), true) != pg_sys::InvalidOid => {
                pg_sys::get_relname_relid(c"mirror_table".as_ptr(), namespace)
            }
            _ => pg_sys::InvalidOid,
        }
    };
    TABLE.set(Some(oid));
    oid
}

fn register_callbacks() {
    if CALLBACKS.replace(true) {
        return;
    }
    // SAFETY: once per process; the functions live as long as the library, which is never unloaded.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null());
        pg_sys::CacheRegisterSyscacheCallback(pg_sys::SysCacheIdentifier::NAMESPACEOID.cast_signed(), Some(namespace_changed), pg_sys::Datum::null());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relid: pg_sys::Oid) {
    if relid == pg_sys::InvalidOid || TABLE.get() == Some(relid) {
        MIRRORS.with_borrow_mut(HashMap::clear);
        TABLE.set(None);
    } else {
        MIRRORS.with_borrow_mut(|m| m.remove(&relid.to_u32()));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn namespace_changed(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    MIRRORS.with_borrow_mut(HashMap::clear);
    TABLE.set(None);
}

/// Reads the row of `relid` under a fresh catalog snapshot.
///
/// # Safety
/// In a transaction; `table` is `weir.mirror_table`.
unsafe fn read(table: pg_sys::Oid, relid: pg_sys::Oid) -> Option<MirrorInfo> {
    // SAFETY: the scan is ended and the table closed on every path that does not raise.
    unsafe {
        let rel = pg_sys::table_open(table, pg_sys::AccessShareLock.cast_signed());
        let mut key = pg_sys::ScanKeyData::default();
        let equal = pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber;
        pg_sys::ScanKeyInit(&raw mut key, attnum::RELID, equal, pg_sys::F_OIDEQ.into(), pg_sys::Datum::from(relid));
        let scan = pg_sys::systable_beginscan(rel, pg_sys::InvalidOid, false, std::ptr::null_mut(), 1, &raw mut key);
        let tuple = pg_sys::systable_getnext(scan);
        let info = if tuple.is_null() { None } else { decode(tuple, (*rel).rd_att) };
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(rel, pg_sys::AccessShareLock.cast_signed());
        info
    }
}

/// Which generation of which table's mirror has which columns, by a deformed row of the mirrors' table; `None` if the row does not say.
///
/// # Safety
/// Values of `weir.mirror_table`; those of variable length are there.
pub unsafe fn definition(values: &[pg_sys::Datum], nulls: &[bool]) -> Option<(u32, i64, Vec<ColumnDef>)> {
    let get = |attnum: usize| (nulls.get(attnum - 1) == Some(&false)).then(|| values.get(attnum - 1).copied()).flatten();
    let columns = get(attnum::COLUMNS)?;
    // SAFETY: attributes of the types that the install script gives them.
    unsafe {
        let relid = pg_sys::Oid::from_datum(get(attnum::RELID.unsigned_abs().into())?, false)?;
        let generation = i64::from_datum(get(attnum::GENERATION)?, false)?;
        if is_external_on_disk(columns) {
            return None;
        }
        let json = CStr::from_ptr(pg_sys::OidOutputFunctionCall(pg_sys::F_JSONB_OUT.into(), columns));
        Some((relid.to_u32(), generation, serde_json::from_slice(json.to_bytes()).ok()?))
    }
}

/// # Safety
/// The tuple has this descriptor, which is that of `weir.mirror_table`.
unsafe fn decode(tuple: pg_sys::HeapTuple, tupdesc: pg_sys::TupleDesc) -> Option<MirrorInfo> {
    // SAFETY: the arrays have room for every attribute.
    let (values, nulls) = unsafe {
        let natts = usize::try_from((*tupdesc).natts).ok()?;
        let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); natts], vec![true; natts]);
        pg_sys::heap_deform_tuple(tuple, tupdesc, values.as_mut_ptr(), nulls.as_mut_ptr());
        (values, nulls)
    };
    let get = |attnum: usize| Some((values.get(attnum - 1).copied()?, nulls.get(attnum - 1).copied()?));
    let text = |attnum: usize| {
        let (datum, null) = get(attnum)?;
        // SAFETY: a text attribute of the table.
        unsafe { String::from_datum(datum, null) }
    };
    let (generation, generation_null) = get(attnum::GENERATION)?;
    let (columns, columns_null) = get(attnum::COLUMNS)?;
    let (poisoned, poisoned_null) = get(attnum::POISONED)?;
    if columns_null {
        return None;
    }
    // SAFETY: attributes of the types that the install script gives them.
    let (generation, json, poisoned) = unsafe {
        let json = CStr::from_ptr(pg_sys::OidOutputFunctionCall(pg_sys::F_JSONB_OUT.into(), columns));
        (i64::from_datum(generation, generation_null)?, json.to_bytes(), Vec::<i16>::from_datum(poisoned, poisoned_null).unwrap_or_default())
    };
    let columns: Option<Vec<ColumnDef>> = serde_json::from_slice(json).ok();
    let state = text(attnum::STATE)?;
    let active = state == "active" && columns.is_some();
    let reason = match text(attnum::REASON) {
        _ if columns.is_none() => upgrade::UNREADABLE.into(),
        Some(reason) => reason,
        None if active => String::new(),
        None if state == "copying" => "it is being copied".into(),
        None => format!("its state is {state}"),
    };
    // One that says why there is no progress.
    let reason = match text(attnum::LAST_ERROR).filter(|e| !active && *e != reason) {
        Some(error) => format!("{reason}; {error}"),
        None => reason,
    };
    let columns = columns.unwrap_or_default();
    Some(MirrorInfo { active, generation, columns, poisoned, reason, failed: state == "error" })
}
