//! `weir.mirror`, `weir.unmirror`, `weir.sync`.

use super::{Arguments, VOID, as_owner, fail, or_raise};
use crate::catalog::define::{self, NoKey, Shape};
use crate::catalog::{self, store, upgrade};
use crate::client::{Client, pause, unexpected};
use crate::partition;
use crate::translate::encoding;
use crate::worker::{self, wake};
use pgrx::datum::Interval;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::CStr;
use std::time::{Duration, Instant};
use weir_plan::manifest::{Key, Lsn};
use weir_plan::protocol::{FromEngine, ToEngine};

const WRONG_OBJECT_TYPE: &str = "42809";
const PREREQUISITE: &str = "55000";
const TOO_MANY: &str = "53400";

/// `weir._start_worker()`: what the install script calls.
pub fn start_worker(_: &Arguments) -> Option<pg_sys::Datum> {
    wake::at_commit();
    VOID
}

/// `weir.mirror(regclass)`
pub fn mirror(args: &Arguments) -> Option<pg_sys::Datum> {
    let relid: pg_sys::Oid = args.get(0)?;
    check_owner(relid);
    check_server();
    for relid in tables_of(relid) {
        let (shape, key, expected_rows) = check_table(relid);
        let added = as_owner(|| {
            or_raise(upgrade::ensure_current());
            check_slot();
            or_raise(store::insert(relid, &shape, &key, expected_rows))
        });
        if added {
            wake::at_commit();
        } else {
            pgrx::notice!("table \"{}\" is already mirrored", name(relid));
        }
    }
    VOID
}

/// The table, or the leaves of a partitioned one.
fn tables_of(relid: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: inside a transaction; nothing changes a partition under a lock of this kind.
    let leaves = unsafe {
        pg_sys::LockRelationOid(relid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        partition::leaves(relid, pg_sys::AccessShareLock as pg_sys::LOCKMODE)
    };
    match leaves {
        Some(leaves) if leaves.is_empty() => fail(PREREQUISITE, format!("partitioned table \"{}\" has no partitions", name(relid)), None),
        Some(leaves) => leaves,
        None => vec![relid],
    }
}

/// `weir.unmirror(regclass)`
pub fn unmirror(args: &Arguments) -> Option<pg_sys::Datum> {
    let relid: pg_sys::Oid = args.get(0)?;
    check_owner(relid);
    for relid in tables_of(relid) {
        check_owner(relid);
        if as_owner(|| or_raise(store::delete(relid))) {
            wake::at_commit();
        } else {
            pgrx::notice!("table \"{}\" is not mirrored", name(relid));
        }
    }
    VOID
}

/// `weir.sync(regclass, interval)`: returns when everything that was committed before is in the mirror (or in all of them).
pub fn sync(args: &Arguments) -> Option<pg_sys::Datum> {
    let table: Option<pg_sys::Oid> = args.get(0);
    // Before it is locked: a lock is not for those who may not read.
    if let Some(relid) = table {
        check_reader(relid);
    }
    let timeout = args.get::<Interval>(1).map_or(Duration::from_secs(60), |i| Duration::from_micros(u64::try_from(i.as_micros()).unwrap_or(0)));
    let deadline = Instant::now() + timeout;
    let tables = table.map(tables_of);
    for relid in tables.iter().flatten() {
        if catalog::mirror_info(*relid).is_none() {
            fail(PREREQUISITE, format!("table \"{}\" is not mirrored", name(*relid)), Some("Mirror it with weir.mirror()."));
        }
    }
    let of: Vec<Option<pg_sys::Oid>> = tables.map_or_else(|| vec![None], |t| t.into_iter().map(Some).collect());
    // What was ready may have to be copied again after all, which an engine that has just started finds out.
    while of.iter().fold(false, |waited, table| waited | wait_for_copies(*table, deadline)) | wait_for_changes(deadline) {}
    if table.is_none() {
        warn_of_errors();
    }
    VOID
}

/// Names the mirrors that are not followed, of tables that the caller may read: whoever waits for all has not got these.
fn warn_of_errors() {
    for row in as_owner(|| or_raise(store::load())).into_iter().filter(|r| r.state == "error") {
        let relid = pg_sys::Oid::from(row.def.relid);
        let Some(info) = catalog::mirror_info(relid).filter(|i| i.failed) else { continue };
        if super::status::may_read(relid) || owns(relid) {
            pgrx::warning!("the mirror of \"{}\" is not followed: {}", row.def.name, info.reason);
        }
    }
}

/// Waits until everything that is committed now is applied. Gives whether it had to wait for the engine to come up.
fn wait_for_changes(deadline: Instant) -> bool {
    let lsn = crate::wal::flush_committed();
    let mut waited = false;
    loop {
        match apply(lsn, deadline) {
            Ok(()) => return waited,
            Err(e) if e.kind == weir_plan::Kind::Unreachable && Instant::now() < deadline => {
                waited = true;
                worker::ensure_started();
                pause(Duration::from_millis(50));
            }
            Err(e) => crate::error::raise(&e),
        }
    }
}

fn apply(lsn: Lsn, deadline: Instant) -> weir_plan::Result<()> {
    let mut client = Client::take()?;
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    match client.ask(&ToEngine::Sync { lsn, timeout_ms })? {
        FromEngine::Done { .. } => {
            client.give_back();
            Ok(())
        }
        other => Err(unexpected(&other)),
    }
}

/// Waits until the mirror (or each of them) is active. Gives whether it had to.
fn wait_for_copies(table: Option<pg_sys::Oid>, deadline: Instant) -> bool {
    let mut waited = false;
    loop {
        // SAFETY: in a transaction; lets what this session knows of the catalog be invalidated by what others have committed.
        unsafe { pg_sys::AcceptInvalidationMessages() };
        let waiting = match table {
            Some(relid) => catalog::mirror_info(relid).filter(|i| !i.active).map(|i| (name(relid), i)),
            None => as_owner(|| or_raise(store::load()))
                .into_iter()
                .filter(|r| r.state != "error")
                .find_map(|r| catalog::mirror_info(r.def.relid.into()).filter(|i| !i.active).map(|i| (r.def.name, i))),
        };
        let Some((name, info)) = waiting else { return waited };
        waited = true;
        if info.failed {
            fail(PREREQUISITE, format!("the mirror of \"{name}\" is not followed: {}", info.reason), None);
        }
        if own_writes() {
            fail(PREREQUISITE, format!("the mirror of \"{name}\" cannot become ready while this transaction is open"), Some("Commit before waiting for it."));
        }
        if Instant::now() >= deadline {
            fail("57014", format!("the mirror of \"{name}\" is not ready yet: {}", info.reason), Some("See weir.progress."));
        }
        worker::ensure_started();
        match Client::take() {
            Ok(client) => client.give_back(),
            Err(e) if e.kind == weir_plan::Kind::OtherBuild => crate::error::raise(&e),
            Err(_) => {}
        }
        pause(Duration::from_millis(20));
    }
}

fn own_writes() -> bool {
    // SAFETY: plain read of this backend's state.
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

fn name(relid: pg_sys::Oid) -> String {
    // SAFETY: returns a palloc'ed name, or null if there is no such relation.
    unsafe {
        let name = pg_sys::get_rel_name(relid);
        if name.is_null() { relid.to_u32().to_string() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// What the server must be like.
fn check_server() {
    // SAFETY: plain reads.
    unsafe {
        if pg_sys::RecoveryInProgress() {
            fail(PREREQUISITE, "tables cannot be mirrored while the server is in recovery", None);
        }
        if pg_sys::wal_level < pg_sys::WalLevel::WAL_LEVEL_LOGICAL.cast_signed() {
            fail(PREREQUISITE, "mirroring a table requires wal_level = logical", Some("Set wal_level = logical in postgresql.conf and restart the server."));
        }
        if encoding::check().is_err() {
            let encoding = CStr::from_ptr(pg_sys::GetDatabaseEncodingName()).to_string_lossy();
            fail(
                "0A000",
                format!("tables of a database with encoding {encoding} cannot be mirrored"),
                Some("The engine reads databases with encoding UTF8 or SQL_ASCII."),
            );
        }
    }
}

/// There must be a slot, or room for one.
fn check_slot() {
    let room: Option<bool> = Spi::connect(|client| {
        client
            .select(
                "SELECT count(*) FILTER (WHERE slot_name = 'pg_weir_' || (SELECT oid FROM pg_database WHERE datname = current_database())) > 0
                     OR count(*) < current_setting('max_replication_slots')::int8 FROM pg_replication_slots",
                None,
                &[],
            )
            .and_then(|t| t.first().get_one())
    })
    .unwrap_or(None);
    if room == Some(false) {
        fail(TOO_MANY, "all replication slots are in use", Some("Raise max_replication_slots and restart the server, or drop a slot."));
    }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
fn owns(relid: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up; superusers own everything.
    unsafe { pg_sys::pg_class_ownercheck(relid, pg_sys::GetUserId()) }
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
fn owns(relid: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up; superusers own everything.
    unsafe { pg_sys::object_ownercheck(pg_sys::RelationRelationId, relid, pg_sys::GetUserId()) }
}

pub fn check_owner(relid: pg_sys::Oid) {
    // SAFETY: a catalog look-up.
    let exists = unsafe { !pg_sys::get_rel_name(relid).is_null() };
    if !exists {
        fail("42P01", format!("relation with OID {} does not exist", relid.to_u32()), None);
    }
    if !owns(relid) {
        fail("42501", format!("must be owner of table {}", name(relid)), None);
    }
}

fn check_reader(relid: pg_sys::Oid) {
    // SAFETY: a catalog look-up.
    let exists = unsafe { !pg_sys::get_rel_name(relid).is_null() };
    if exists && !super::status::may_read(relid) && !owns(relid) {
        fail("42501", format!("permission denied for table {}", name(relid)), None);
    }
}

/// What the table must be like; gives its shape.
fn check_table(relid: pg_sys::Oid) -> (Shape, Key, i64) {
    check_owner(relid);
    let table = name(relid);
    // SAFETY: locked as by any reader until the transaction ends, so that its shape cannot change before the mirror is known.
    let (shape, expected_rows) = unsafe {
        let rel = pg_sys::relation_open(relid, pg_sys::AccessShareLock.cast_signed());
        check_kind(rel, &table);
        let found = (define::shape(rel), worker::expected_rows(rel));
        pg_sys::relation_close(rel, pg_sys::NoLock.cast_signed());
        found
    };
    if shape.columns.is_empty() {
        fail("0A000", format!("table \"{table}\" has no column of a type that can be mirrored"), None);
    }
    match shape.key.clone() {
        Ok(key) => (shape, key, expected_rows),
        Err(e) => fail(PREREQUISITE, format!("cannot mirror table \"{table}\": {}", worker::explain(&e)), Some(&key_hint(relid, &e))),
    }
}

/// What makes a table one with a key.
fn key_hint(relid: pg_sys::Oid, lacks: &NoKey) -> String {
    // SAFETY: the relation exists; both functions return palloc'ed C strings.
    let qualified = unsafe {
        let namespace = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relid));
        CStr::from_ptr(pg_sys::quote_qualified_identifier(namespace, pg_sys::get_rel_name(relid))).to_string_lossy().into_owned()
    };
    let remedy = match lacks {
        NoKey::NoPrimaryKey => "Add a primary key",
        NoKey::Deferrable => "Make the primary key one that is NOT DEFERRABLE",
        NoKey::Nothing { keyed: true } => return format!("Use ALTER TABLE {qualified} REPLICA IDENTITY DEFAULT."),
        NoKey::Nothing { keyed: false } => return format!("Use ALTER TABLE {qualified} REPLICA IDENTITY FULL."),
        NoKey::NoIndex => "Use ALTER TABLE … REPLICA IDENTITY USING INDEX with another index",
        NoKey::Unsupported(_) => "Make other columns the key",
    };
    format!("{remedy}, or use ALTER TABLE {qualified} REPLICA IDENTITY FULL.")
}

/// # Safety
/// An open relation.
unsafe fn check_kind(rel: pg_sys::Relation, table: &str) {
    // SAFETY: as promised by the caller.
    let (kind, persistence, relid, heap) = unsafe {
        let form = &*(*rel).rd_rel;
        let heap = form.relam == pg_sys::HEAP_TABLE_AM_OID;
        (form.relkind.cast_unsigned(), form.relpersistence.cast_unsigned(), form.oid, heap)
    };
    let what = match kind {
        pg_sys::RELKIND_RELATION => None,
        pg_sys::RELKIND_VIEW => Some(("view", "Mirror the tables that it reads.")),
        pg_sys::RELKIND_MATVIEW => Some(("materialized view", "Mirror the tables that it reads.")),
        pg_sys::RELKIND_FOREIGN_TABLE => Some(("foreign table", "Only tables of this database can be mirrored.")),
        _ => Some(("relation of this kind", "Only ordinary tables can be mirrored.")),
    };
    if let Some((what, hint)) = what {
        fail(WRONG_OBJECT_TYPE, format!("cannot mirror \"{table}\": a {what} cannot be mirrored"), Some(hint));
    }
    if relid.to_u32() < pg_sys::FirstNormalObjectId {
        fail(WRONG_OBJECT_TYPE, format!("cannot mirror \"{table}\": it is a system catalog"), Some("Only ordinary tables can be mirrored."));
    }
    match persistence {
        pg_sys::RELPERSISTENCE_PERMANENT => {}
        pg_sys::RELPERSISTENCE_TEMP => fail(
            WRONG_OBJECT_TYPE,
            format!("cannot mirror \"{table}\": it is a temporary table, whose changes are not logged"),
            Some("Only ordinary tables can be mirrored."),
        ),
        _ => fail(
            WRONG_OBJECT_TYPE,
            format!("cannot mirror \"{table}\": it is an unlogged table, whose changes are not logged"),
            Some("ALTER TABLE … SET LOGGED makes it an ordinary table."),
        ),
    }
    if !heap {
        fail("0A000", format!("cannot mirror \"{table}\": its access method is not heap"), None);
    }
}
