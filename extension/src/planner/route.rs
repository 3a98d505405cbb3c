//! Routed or not: the one place that decides.

use super::learned::Estimate;
use super::relations::{self, Relations};
use super::rights::Rights;
use super::{BRIEF, Brief, LastRoute, cached, heavy, insert, learned, lookups, set_last_route, texts, windows, wrap};
use crate::attempt::attempt;
use crate::catalog;
use crate::client::{Client, described, unexpected};
use crate::fdw;
use crate::partition;
use crate::scan::RemotePart;
use crate::settings::{self, Freshness, Route};
use crate::translate;
use pgrx::pg_sys;
use std::ffi::CStr;
use weir_plan::ir::{Plan, Session};
use weir_plan::protocol::{FromEngine, ToEngine};

/// What reading one value costs the engine, in the planner's units, for routing.
///
/// From `make bench`, TPC-H at scale factor 1 on two cores: Postgres needs 4 to 12 µs for a unit of its cost, the engine 2.5 ns for a
/// value of a scan. The quotient of the figures that favour Postgres most, so that a query is not routed to where it is slower.
const COST_PER_VALUE_READ: f64 = 2.5e-9 / 4.0e-6;

/// The same for a value of the result, which crosses the socket and becomes a datum again: 50 ns there.
const COST_PER_VALUE_RETURNED: f64 = 50e-9 / 4.0e-6;

/// The same for a row that passes a window: 0.7 µs, at which small partitions that come sorted from an index stay in Postgres.
const COST_PER_WINDOW_ROW: f64 = 0.7e-6 / 4.0e-6;

/// What Postgres needs for a unit of its cost, see [`COST_PER_VALUE_READ`].
const NANOSECONDS_PER_COST: f64 = 4000.0;

/// The same for a pair of rows that a join compares where Postgres looks up an index: 12 ns.
const COST_PER_PAIR: f64 = 12e-9 / 4.0e-6;

/// The same for a comparison of two texts under a locale: 0.4 µs by glibc.
const COST_PER_COMPARISON: f64 = 0.4e-6 / 4.0e-6;

/// So many of those that Postgres may never look at the engine compares in some milliseconds.
const PAIRS_WORTH_WHILE: f64 = 2e6;

/// The same for planning and starting one more scan, such as of a partition: 0.5 ms. A few are covered by `weir.min_cost`.
const COST_PER_SCAN: f64 = 0.5e-3 / 4.0e-6;
const SCANS_COVERED: f64 = 8.0;

/// A query that may be routed.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Candidate {
    /// A copy of the query, null if there is none.
    pub query: *mut pg_sys::Query,
    /// What it must cost in Postgres to be worth a second look.
    pub least_cost: f64,
}

impl Candidate {
    pub const NONE: Self = Self { query: std::ptr::null_mut(), least_cost: 0.0 };
}

/// A first look, before the standard planner changes the query.
///
/// # Safety
/// `parse` must be a valid analysed query.
pub unsafe fn consider(parse: *mut pg_sys::Query) -> Option<Candidate> {
    if !settings::enabled() || settings::route() == Route::off {
        if catalog::installed() {
            cached::note_planned();
            set_last_route(LastRoute { reason: "routing is off".into(), unasked: true, ..LastRoute::default() });
        }
        return None;
    }
    // SAFETY: valid by contract.
    let is_select = unsafe { (*parse).commandType == pg_sys::CmdType::CMD_SELECT && (*parse).utilityStmt.is_null() };
    // SAFETY: valid by contract.
    let is_insert = !is_select && unsafe { insert::is_insert_select(parse) };
    if !(is_select || is_insert) || !catalog::installed() {
        return None;
    }
    let mut query = parse;
    if is_insert {
        // SAFETY: copies a valid tree, and changes the copy.
        unsafe {
            query = pg_sys::copyObjectImpl(parse.cast()).cast();
            insert::into_select(query);
        }
    }
    // SAFETY: valid by contract.
    let mut found = unsafe { relations::collect(query) };
    if !found.has_user_tables() && found.functions {
        // SAFETY: copies a valid tree, and changes the copy.
        unsafe {
            query = pg_sys::copyObjectImpl(query.cast()).cast();
            translate::inline_functions(query);
            found = relations::collect(query);
        }
    }
    if !found.has_user_tables() {
        return None;
    }
    if found.plain.iter().any(|relid| catalog::is_own(*relid)) {
        return None;
    }
    if let [relid] = found.plain[..]
        && found.partitioned.is_empty()
        && !found.foreign
        && catalog::mirror_info(relid).is_none()
    {
        BRIEF.set(Some(Brief::NotMirrored(relid)));
        return None;
    }
    if let Some(reason) = not_ours(&found.plain) {
        let unasked = found.partitioned.is_empty() && !found.plain.iter().any(|r| catalog::mirror_info(*r).is_some() || fdw::catalog::server_of(*r).is_some());
        set_last_route(LastRoute { reason, unasked, ..LastRoute::default() });
        return None;
    }
    cached::note_planned();
    if query == parse {
        // SAFETY: copies a valid tree.
        query = unsafe { pg_sys::copyObjectImpl(parse.cast()) }.cast();
    }
    // What a foreign table costs nobody knows.
    let least_cost = if settings::route() == Route::auto && !found.foreign { settings::min_cost() } else { 0.0 };
    Some(Candidate { query, least_cost })
}

/// Why some relation is neither mirrored nor a foreign table of ours, if so.
fn not_ours<'a>(relids: impl IntoIterator<Item = &'a pg_sys::Oid>) -> Option<String> {
    relids.into_iter().find_map(|&relid| match catalog::mirror_info(relid) {
        None if fdw::catalog::server_of(relid).is_some() => None,
        None => Some(not_mirrored(relid)),
        Some(info) if !info.active => Some(format!("the mirror of \"{}\" is not ready: {}", relation_name(relid), info.reason)),
        Some(_) => None,
    })
}

pub fn not_mirrored(relid: pg_sys::Oid) -> String {
    format!("table \"{}\" is not mirrored", relation_name(relid))
}

fn relation_name(relid: pg_sys::Oid) -> String {
    // SAFETY: returns a palloc'd name or null.
    let name = unsafe { pg_sys::get_rel_name(relid) };
    if name.is_null() {
        return relid.to_u32().to_string();
    }
    // SAFETY: a C string.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

fn refuse(reason: String) {
    set_last_route(LastRoute { reason, ..LastRoute::default() });
}

/// The second look, with the standard plan at hand: that plan, or ours around it.
///
/// # Safety
/// `query` must be what [`consider`] made of the query for which Postgres made the plan `standard`.
pub unsafe fn decide(
    query: *mut pg_sys::Query,
    standard: *mut pg_sys::PlannedStmt,
    cursor_options: i32,
    bound_params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: as passed.
    match unsafe { take_over(query, standard, cursor_options, bound_params) } {
        Ok(()) => set_last_route(LastRoute { routed: true, engine: settings::engine_name().into(), ..LastRoute::default() }),
        Err(reason) => refuse(reason),
    }
    super::note_fill();
    standard
}

unsafe fn take_over(
    query: *mut pg_sys::Query,
    standard: *mut pg_sys::PlannedStmt,
    cursor_options: i32,
    bound_params: pg_sys::ParamListInfo,
) -> Result<(), String> {
    // SAFETY: valid by contract.
    let Relations { plain, partitioned, .. } = unsafe { relations::collect(query) };
    let (foreign, mut mirrored): (Vec<_>, Vec<_>) = plain.into_iter().partition(|r| fdw::catalog::server_of(*r).is_some());
    mirrored.extend(&partitioned);
    // SAFETY: a finished plan has a plan tree.
    let (cost, rows) = unsafe { ((*(*standard).planTree).total_cost, (*(*standard).planTree).plan_rows) };
    // SAFETY: a finished plan. Another transaction is to plan anew, if the plan is cached.
    let in_this_transaction = move |reason| unsafe {
        (*standard).transientPlan = true;
        Err(reason)
    };
    if !mirrored.is_empty()
        && let Some(reason) = transaction_forbids()
    {
        return in_this_transaction(reason);
    }
    if let Some(reason) = foreign.iter().find_map(|r| fdw::catalog::server_of(*r).and_then(|s| remote_forbids(s.to_u32()))) {
        return Err(reason);
    }
    // SAFETY: a finished plan.
    let planned = unsafe { relations::planned(standard) };
    for relid in &partitioned {
        // SAFETY: in a transaction; the planner has locked the leaves that it has not excluded.
        let leaves = unsafe { partition::leaves(*relid, pg_sys::NoLock as pg_sys::LOCKMODE) }.unwrap_or_default();
        if let Some(reason) = not_ours(leaves.iter().filter(|leaf| planned.contains(leaf))) {
            return Err(reason);
        }
    }
    // SAFETY: the place of the whole plan, or of the rows to insert, in a finished plan.
    let slot =
        unsafe { if (*standard).commandType == pg_sys::CmdType::CMD_INSERT { insert::rows_of(query, standard)? } else { &raw mut (*standard).planTree } };
    let session = current_session();
    let mirrors = |relid: pg_sys::Oid| {
        let info = catalog::mirror_info(relid).filter(|info| info.active)?;
        Some(translate::MirrorInfo { generation: info.generation, columns: info.columns.clone(), poisoned: info.poisoned.clone() })
    };
    // SAFETY: a finished plan.
    let rights = unsafe { Rights::new(standard) };
    let reads = |leaf| planned.contains(&leaf);
    // SAFETY: entries of the query at hand.
    let checked = |query, rte| unsafe { rights.allow(query, rte) };
    // SAFETY: the query is a copy that may be changed.
    let translate = || unsafe { translate::translate(query, bound_params, &mirrors, &fdw::catalog::server_of, &reads, &checked, session.clone()) };
    // Constants are folded that Postgres may have left out with what it knows to be empty: only it says whether they are an error.
    // SAFETY: planning happens in a transaction; a translation only looks things up.
    let mut translated = unsafe {
        if pg_sys::IsInParallelMode() {
            translate()
        } else {
            attempt(translate).unwrap_or_else(|| Err("an expression of constants that raises an error".into()))
        }
    }?;
    if let Some(reason) = own_writes_forbid(&translated.mirrors) {
        return in_this_transaction(reason);
    }
    if foreign.is_empty() && settings::route() == Route::auto && translated.recursive {
        return Err("WITH RECURSIVE, whose cost cannot be known (weir.route = auto)".into());
    }
    let values_returned = rows * translated.top.engine_columns.len() as f64;
    // SAFETY: a finished plan.
    let (window_rows, groups, pairs, comparisons) =
        unsafe { (windows::rows(standard), windows::groups(standard), lookups::pairs(standard), texts::comparisons(standard)) };
    let heavy = heavy::heavy(&mut translated.plan.root, groups);
    if foreign.is_empty() && settings::route() == Route::auto && heavy.pairs > PAIRS_WORTH_WHILE {
        return Err("ANY or ALL by another operator than =, whose cost cannot be known (weir.route = auto)".into());
    }
    let engine_cost = settings::min_cost()
        + translated.values_read * COST_PER_VALUE_READ
        + values_returned * COST_PER_VALUE_RETURNED
        + window_rows * COST_PER_WINDOW_ROW
        + pairs * COST_PER_PAIR
        + comparisons * COST_PER_COMPARISON
        + heavy.nanoseconds / NANOSECONDS_PER_COST
        + (translated.scans - SCANS_COVERED).max(0.0) * COST_PER_SCAN;
    // What a foreign table costs nobody knows here, and not to ask for all of it is always worth while.
    let mut watched = None;
    if foreign.is_empty() && settings::route() == Route::auto {
        let milliseconds = |cost: f64| cost * NANOSECONDS_PER_COST / 1e6;
        let fingerprint = learned::fingerprint(&translated.plan, cost).map_err(|e| e.to_string())?;
        let in_engine = learned::belongs_to_engine(fingerprint, Estimate { postgres: milliseconds(cost), engine: milliseconds(engine_cost) });
        if !in_engine {
            // SAFETY: a finished plan in the current memory context.
            unsafe { learned::watch(standard, fingerprint, false) };
            return Err(if cost < engine_cost {
                format!("cost {cost:.0} is below the engine's, estimated at {engine_cost:.0}")
            } else {
                format!("the engine took longer than Postgres, whose cost is {cost:.0}, has taken or may take")
            });
        }
        watched = Some(fingerprint);
    }
    let pushed = push(&mut translated.plan, !mirrored.is_empty())?;
    let bytes = translated.plan.encode().map_err(|e| e.to_string())?;
    prepare(&bytes)?;
    // SAFETY: the standard plan is complete, in the current memory context; only its top is wrapped.
    unsafe {
        wrap::wrap(slot, translated, bytes, &pushed, &session, cursor_options)?;
        rights.complete();
        if let Some(fingerprint) = watched {
            learned::watch(standard, fingerprint, true);
        }
    }
    Ok(())
}

/// What of a plan remote servers do.
#[derive(Debug, Default)]
pub struct Pushed {
    /// It reads mirrors, too.
    pub mirrors: bool,
    pub parts: Vec<RemotePart>,
    pub kept: Vec<String>,
}

/// Gives remote servers what they can answer.
fn push(plan: &mut Plan, mirrors: bool) -> Result<Pushed, String> {
    let mut pushed = Pushed { mirrors, ..Pushed::default() };
    if !weir_fdw::push::has_foreign(&mut plan.root) {
        return Ok(pushed);
    }
    let tables = fdw::catalog::Tables::new();
    pushed.kept = weir_fdw::push::push(plan, &|scan| tables.get(scan))?.kept;
    for remote in weir_fdw::push::remotes(&mut plan.root) {
        let engine = fdw::catalog::engine_of_server(remote.server.server.into()).ok_or("a server of no engine")?;
        let sql = weir_fdw::text(&remote.sql, None, engine.dialect)?;
        pushed.parts.push(RemotePart { server: remote.server, name: remote.name, sql, rows: remote.rows });
    }
    Ok(pushed)
}

/// The engine's word that it can answer the plan.
fn prepare(plan: &[u8]) -> Result<(), String> {
    let mut client = Client::take().map_err(|e| {
        crate::worker::ensure_started();
        if e.kind == weir_plan::Kind::Unreachable { described(&e) } else { e.to_string() }
    })?;
    match client.ask(&ToEngine::Prepare { plan: plan.to_vec(), explain: false }) {
        Ok(FromEngine::Prepared { .. }) => {
            client.give_back();
            Ok(())
        }
        Ok(other) => Err(unexpected(&other).to_string()),
        Err(e) => {
            if e.kind == weir_plan::Kind::Refused {
                client.give_back();
            }
            Err(e.detail.map_or(e.message.clone(), |d| format!("{}: {d}", e.message)))
        }
    }
}

/// Why a remote server must be read by foreign scans, in the transaction that is open there, if so. Checked again when a plan starts.
pub fn remote_forbids(server: u32) -> Option<String> {
    fdw::transaction::is_open_for_anybody(server).then(|| "the transaction has written to a remote server of the query, or locked rows there".into())
}

/// Why the current transaction must not read from mirrors, if so. Checked again when a plan starts.
pub fn transaction_forbids() -> Option<String> {
    // SAFETY: plain reads of this backend's state.
    unsafe {
        if pg_sys::RecoveryInProgress() {
            return Some("the server is in recovery".into());
        }
        if settings::freshness() == Freshness::Any {
            return None;
        }
        if pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ.cast_signed() {
            return Some("the isolation level is higher than READ COMMITTED".into());
        }
    }
    None
}

/// Why the mirrors of these tables lack what the current transaction has written, if they may. Checked again when a plan starts.
///
/// Whoever writes a table, or makes it another one, holds a lock on it that readers do not take, until his transaction ends, or the part of it that is
/// rolled back: without such a lock, the table is for this transaction what it is for others, whatever else was written, such as the table that
/// CREATE TABLE AS fills, or the schema of the session's temporary tables.
pub fn own_writes_forbid(mirrors: &[u32]) -> Option<String> {
    // SAFETY: plain reads of this backend's state.
    unsafe {
        if settings::freshness() == Freshness::Any || pg_sys::GetTopTransactionIdIfAny() == pg_sys::InvalidTransactionId {
            return None;
        }
        // The locks are the leader's.
        if pg_sys::ParallelWorkerNumber >= 0 {
            return Some("the transaction has written".into());
        }
    }
    mirrors
        .iter()
        .find(|&&relid| is_locked_as_by_a_writer(relid))
        .map(|&relid| format!("the transaction has written, perhaps to table \"{}\"", relation_name(relid.into())))
}

/// Whether this transaction holds a lock on a table of this database that is one of writers, or stronger.
fn is_locked_as_by_a_writer(relid: u32) -> bool {
    // SAFETY: the database is set when the session connected.
    let database = unsafe { pg_sys::MyDatabaseId };
    let tag = pg_sys::LOCKTAG {
        locktag_field1: database.to_u32(),
        locktag_field2: relid,
        locktag_type: pg_sys::LockTagType::LOCKTAG_RELATION as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        ..Default::default()
    };
    // The functions that ask for a lock or a stronger one are not in every minor release.
    // SAFETY: looks at this backend's own table of locks.
    (pg_sys::RowExclusiveLock..=pg_sys::AccessExclusiveLock).any(|mode| unsafe { held(&raw const tag, mode.cast_signed()) })
}

#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
unsafe fn held(tag: *const pg_sys::LOCKTAG, mode: pg_sys::LOCKMODE) -> bool {
    // SAFETY: by contract.
    unsafe { pg_sys::LockHeldByMe(tag, mode) }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
unsafe fn held(tag: *const pg_sys::LOCKTAG, mode: pg_sys::LOCKMODE) -> bool {
    // SAFETY: by contract.
    unsafe { pg_sys::LockHeldByMe(tag, mode, false) }
}

/// The settings of this session on which shipped functions depend.
pub fn current_session() -> Session {
    let option = |name: &CStr| -> String {
        // SAFETY: the setting exists; the value is a C string or null.
        let value = unsafe { pg_sys::GetConfigOption(name.as_ptr(), true, false) };
        // SAFETY: as above.
        if value.is_null() { String::new() } else { unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned() }
    };
    Session {
        timezone: option(c"TimeZone"),
        date_style: option(c"DateStyle"),
        interval_style: option(c"IntervalStyle"),
        extra_float_digits: option(c"extra_float_digits").parse().unwrap_or(1),
        fidelity: settings::fidelity(),
        engine: settings::engine(),
        ctypes: Vec::new(),
        collate_is_bytes: crate::translate::default_collation_is_bytes(),
        quote_all_identifiers: option(c"quote_all_identifiers") == "on",
        server_version_num: i32::try_from(pg_sys::PG_VERSION_NUM).unwrap_or(0),
    }
}

/// Bytes as a bytea constant, which `copyObject` can copy.
///
/// # Safety
/// Allocates in the current memory context, which must be that of the plan.
pub unsafe fn bytes_node(bytes: &[u8]) -> *mut pg_sys::Node {
    let total = bytes.len() + pg_sys::VARHDRSZ;
    // SAFETY: `total` bytes are allocated; header and bytes fill exactly these.
    unsafe {
        let p = pg_sys::palloc(total).cast::<u8>();
        pgrx::set_varsize_4b(p.cast(), i32::try_from(total).unwrap_or(i32::MAX));
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), p.add(pg_sys::VARHDRSZ), bytes.len());
        pg_sys::makeConst(pg_sys::BYTEAOID, -1, pg_sys::InvalidOid, -1, pg_sys::Datum::from(p), false, false).cast()
    }
}
