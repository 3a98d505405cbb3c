//! Executing INSERT, UPDATE and DELETE on a foreign table, COPY FROM and rows routed to a partition.
//!
//! Rows are collected and sent in batches. They go one by one where somebody looks after each: triggers for rows, RETURNING, ON CONFLICT, the
//! check of a view.

use super::buffer::Buffer;
use super::target::{self, Private, Wish, junk_name};
use super::transaction;
use crate::error;
use crate::scan::text;
use crate::translate::constant::datum_to_scalar;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use weir_fdw::descriptor::Engine;
use weir_plan::ir::{RemoteColumn, Scalar, ServerRef};
use weir_plan::protocol::Change;
use weir_plan::types::{PgType, oid};
use weir_plan::{Error, Result};

/// Hashes of keys, and the two ways to hash.
type Seen = (HashSet<(u64, u64)>, RandomState, RandomState);

struct State {
    private: Private,
    /// The user is resolved.
    server: ServerRef,
    buffer: Rc<RefCell<Buffer>>,
    /// Each row is sent at once.
    at_once: bool,
    /// Rows are read back as they were stored.
    read_back: bool,
    /// Rows must fit the partition that they are written to, of which Postgres does not make sure.
    fits: bool,
    /// Where the plan's rows have the key.
    junk: Vec<i16>,
    /// Keys that were changed by this statement, as pairs of hashes; only where a row may come twice.
    seen: Option<Seen>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Drop for State {
    fn drop(&mut self) {
        transaction::remove_buffer(&self.buffer);
    }
}

unsafe fn state<'a>(rri: *mut pg_sys::ResultRelInfo) -> Option<&'a mut State> {
    // SAFETY: `install` put it there; it lives as long as the query's memory context.
    unsafe { (*rri).ri_FdwState.cast::<State>().as_mut() }
}

/// The role as which the target is reached, 0 for whoever runs the statement.
unsafe fn user_of(estate: *mut pg_sys::EState, rri: *mut pg_sys::ResultRelInfo) -> pg_sys::Oid {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: a target of the running statement; a partition that rows are routed to is reached as its root.
    let user = unsafe {
        let of = if (*rri).ri_RangeTableIndex == 0 && !(*rri).ri_RootResultRelInfo.is_null() { (*rri).ri_RootResultRelInfo } else { rri };
        let rti = i32::try_from((*of).ri_RangeTableIndex).unwrap_or(0);
        if rti == 0 { pg_sys::InvalidOid } else { (*pg_sys::list_nth((*estate).es_range_table, rti - 1).cast::<pg_sys::RangeTblEntry>()).checkAsUser }
    };
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: as above.
    let user = unsafe { pg_sys::ExecGetResultRelCheckAsUser(rri, estate) };
    // SAFETY: asks who runs this.
    if user == pg_sys::InvalidOid { unsafe { pg_sys::GetUserId() } } else { user }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn begin(
    mtstate: *mut pg_sys::ModifyTableState,
    rri: *mut pg_sys::ResultRelInfo,
    private: *mut pg_sys::List,
    _index: i32,
    eflags: i32,
) {
    if eflags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY.cast_signed() != 0 {
        return;
    }
    // SAFETY: Postgres passes what `target::plan` made.
    unsafe {
        let made = Private::of(private).and_then(|p| install(mtstate, rri, p));
        made.unwrap_or_else(|e| error::raise(&e));
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn begin_insert(mtstate: *mut pg_sys::ModifyTableState, rri: *mut pg_sys::ResultRelInfo) {
    // SAFETY: Postgres passes a target of COPY FROM, or a partition that rows are routed to.
    if let Err(e) = unsafe { install_insert(mtstate, rri) } {
        error::raise(&e);
    }
}

unsafe fn install_insert(mtstate: *mut pg_sys::ModifyTableState, rri: *mut pg_sys::ResultRelInfo) -> Result<()> {
    // SAFETY: as passed.
    unsafe {
        let relid = (*(*rri).ri_RelationDesc).rd_id;
        let modify = (*mtstate).ps.plan.cast::<pg_sys::ModifyTable>();
        let (mut skip_conflicts, mut returning) = (false, false);
        if !modify.is_null() {
            if (*modify).operation == pg_sys::CmdType::CMD_UPDATE && !(*rri).ri_FdwState.is_null() {
                return Err(Error::refused(format!("cannot route rows into foreign table \"{}\" while the statement updates it", target::name_of(relid))));
            }
            skip_conflicts = target::skip_conflicts(modify)?;
            returning = !(*modify).returningLists.is_null();
        }
        let wish = Wish { operation: pg_sys::CmdType::CMD_INSERT, set: None, skip_conflicts, returning, user: 0 };
        install(mtstate, rri, target::describe(relid, &wish)?)
    }
}

unsafe fn install(mtstate: *mut pg_sys::ModifyTableState, rri: *mut pg_sys::ResultRelInfo, private: Private) -> Result<()> {
    // SAFETY: a target of the running statement.
    unsafe {
        let estate = (*mtstate).ps.state;
        let server = transaction::resolved(private.server, user_of(estate, rri));
        let engine = target::engine_of(server)?;
        // COPY FROM marks its command as one that writes, but not in the state.
        let command = pg_sys::GetCurrentCommandId(true);
        let buffer = Rc::new(RefCell::new(Buffer::new(server, &private.server_name, private.relid.into(), command, private.target.clone())?));
        let triggers = (*rri).ri_TrigDesc;
        let by_row = !triggers.is_null() && {
            let t = &*triggers;
            match private.target.change {
                Change::Insert { .. } => t.trig_insert_before_row || t.trig_insert_after_row || t.trig_insert_instead_row,
                Change::Update => t.trig_update_before_row || t.trig_update_after_row,
                Change::Delete => t.trig_delete_before_row || t.trig_delete_after_row,
            }
        };
        // What the plan says: the checks themselves are prepared later.
        let modify = (*mtstate).ps.plan.cast::<pg_sys::ModifyTable>();
        let checked = !modify.is_null() && !(*modify).withCheckOptionLists.is_null();
        let skips = private.target.change == (Change::Insert { skip_conflicts: true });
        // What a trigger or a view's check looks at is the row as it was stored, where the engine tells.
        let looked_at = private.returning || ((by_row || checked) && private.target.change != Change::Delete);
        let (mut junk, mut twice) = (Vec::new(), false);
        if private.target.keys > 0 {
            let subplan = (*(*mtstate).ps.lefttree).plan;
            for attnum in private.attnums.iter().rev().take(private.target.keys).rev() {
                let place = pg_sys::ExecFindJunkAttributeInTlist((*subplan).targetlist, junk_name(private.relid, *attnum).as_ptr());
                if place <= 0 {
                    return Err(Error::internal("the key of the row to be changed is not in the plan"));
                }
                junk.push(place);
            }
            // One row of a scan comes once; one of a join perhaps more often, and only the first counts.
            twice = (*subplan).type_ != pg_sys::NodeTag::T_ForeignScan;
        }
        let width = private.attnums.len();
        let routed = !(*rri).ri_RootResultRelInfo.is_null() && matches!(private.target.change, Change::Insert { .. });
        let fits = (*(*(*rri).ri_RelationDesc).rd_rel).relispartition && !routed && private.target.change != Change::Delete;
        let made = State {
            server,
            at_once: by_row || checked || skips || private.returning,
            read_back: private.returning || (looked_at && engine.can.returning),
            fits,
            junk,
            seen: twice.then(|| (HashSet::new(), RandomState::new(), RandomState::new())),
            values: vec![pg_sys::Datum::null(); width],
            nulls: vec![true; width],
            buffer: Rc::clone(&buffer),
            private,
        };
        transaction::add_buffer(&buffer);
        (*rri).ri_FdwState = PgMemoryContexts::For((*estate).es_query_cxt).leak_and_drop_on_delete(made).cast();
        #[cfg(not(feature = "pg14"))]
        {
            (*rri).ri_BatchSize = 1;
        }
        Ok(())
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn insert(
    estate: *mut pg_sys::EState,
    rri: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: Postgres passes a target that was begun, and the row.
    unsafe { change(estate, rri, slot, plan_slot) }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn update(
    estate: *mut pg_sys::EState,
    rri: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: as above.
    unsafe { change(estate, rri, slot, plan_slot) }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn delete(
    estate: *mut pg_sys::EState,
    rri: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: as above.
    unsafe { change(estate, rri, slot, plan_slot) }
}

/// One row; null if it was not changed after all.
unsafe fn change(
    estate: *mut pg_sys::EState,
    rri: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: as passed. What conversions allocate lives until the next row.
    unsafe {
        let Some(s) = state(rri) else { return std::ptr::null_mut() };
        if s.fits {
            pg_sys::ExecPartitionCheck(rri, slot, estate, true);
        }
        let per_row = pg_sys::MakePerTupleExprContext(estate);
        let context = if (*estate).es_per_tuple_exprcontext.is_null() { per_row } else { (*estate).es_per_tuple_exprcontext };
        let previous = pg_sys::MemoryContextSwitchTo((*context).ecxt_per_tuple_memory);
        let done = change_row(s, slot, plan_slot, (*estate).es_query_cxt);
        pg_sys::MemoryContextSwitchTo(previous);
        match done {
            Ok(true) => slot,
            Ok(false) => std::ptr::null_mut(),
            Err(e) => error::raise(&e),
        }
    }
}

unsafe fn change_row(
    s: &mut State,
    slot: *mut pg_sys::TupleTableSlot,
    plan_slot: *mut pg_sys::TupleTableSlot,
    query_context: pg_sys::MemoryContext,
) -> Result<bool> {
    // SAFETY: as passed; the arrays have a place for each column of the target.
    unsafe {
        let set = s.private.attnums.len() - s.private.target.keys;
        for (i, attnum) in s.private.attnums.iter().enumerate() {
            let (from, place) = match i.checked_sub(set).and_then(|k| s.junk.get(k)) {
                Some(place) => (plan_slot, *place),
                None => (slot, *attnum),
            };
            let mut null = true;
            let value = pg_sys::slot_getattr(from, i32::from(place), &raw mut null);
            if let (Some(v), Some(n)) = (s.values.get_mut(i), s.nulls.get_mut(i)) {
                (*v, *n) = (value, null);
            }
        }
        if s.seen.is_some() && !first_time(s, set)? {
            return Ok(false);
        }
        if s.read_back {
            return read_back(s, slot, query_context);
        }
        let mut buffer = s.buffer.borrow_mut();
        buffer.append(&s.values, &s.nulls)?;
        if s.at_once {
            return Ok(buffer.flush()? > 0);
        }
        if buffer.is_full() {
            buffer.flush()?;
        }
        Ok(true)
    }
}

unsafe fn scalars(s: &State, from: usize) -> Result<Vec<Scalar>> {
    let columns = s.private.target.columns.iter().zip(s.values.iter().zip(&s.nulls)).skip(from);
    // SAFETY: values of the columns' types.
    columns.map(|(c, (value, null))| unsafe { datum_to_scalar(*value, *null, c.ty) }.map_err(Error::refused)).collect()
}

/// Whether the key of the row has not been met yet.
unsafe fn first_time(s: &mut State, set: usize) -> Result<bool> {
    // SAFETY: values of the columns' types.
    let key = format!("{:?}", unsafe { scalars(s, set) }?);
    let Some((seen, one, other)) = &mut s.seen else { return Ok(true) };
    Ok(seen.insert((one.hash_one(&key), other.hash_one(&key))))
}

/// Sends one row and reads it back as it was stored; `false` if it was not.
unsafe fn read_back(s: &mut State, slot: *mut pg_sys::TupleTableSlot, query_context: pg_sys::MemoryContext) -> Result<bool> {
    let p = &s.private;
    let engine = target::engine_of(s.server)?;
    let options = super::catalog::server_options(s.server);
    let writer = weir_fdw::write::Writer::new(engine, &p.server_name, &options, &p.target)?;
    // SAFETY: values of the columns' types.
    let sql = writer.row(&unsafe { scalars(s, 0) }?)?;
    let mut columns: Vec<RemoteColumn> = p.readable.iter().map(|(_, c)| c.clone()).collect();
    let (mut list, dialect) = (Vec::new(), engine.dialect_of(&options));
    for c in &columns {
        list.push(dialect.output(&dialect.column(dialect.ident(&c.name).map_err(Error::refused)?, c.ty, &[])));
    }
    let sql = format!("{sql} RETURNING {}", list.join(", "));
    if engine.has_all_numerics() {
        for c in columns.iter_mut().filter(|c| c.ty.base == oid::NUMERIC) {
            c.ty = PgType::numeric_as_stored(c.ty.typmod);
        }
    }
    let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); columns.len()], vec![true; columns.len()]);
    let mut rows = 0u64;
    // SAFETY: the slot is that of a row of the table; values are copied into it before they go.
    let asked = unsafe {
        let natts = usize::try_from((*(*slot).tts_tupleDescriptor).natts).unwrap_or(0);
        let places: Vec<i16> = p.readable.iter().map(|(attnum, _)| *attnum).collect();
        let arrays = (values.as_mut_ptr(), nulls.as_mut_ptr());
        transaction::query(s.server, sql, columns, query_context, arrays, || {
            rows += 1;
            if let Some(clear) = (*(*slot).tts_ops).clear {
                pg_sys::ffi::pg_guard_ffi_boundary(|| clear(slot));
            }
            for i in 0..natts {
                (*slot).tts_values.add(i).write(pg_sys::Datum::null());
                (*slot).tts_isnull.add(i).write(true);
            }
            for (i, attnum) in places.iter().enumerate() {
                if let Some(at) = usize::try_from(*attnum - 1).ok().filter(|at| *at < natts) {
                    (*slot).tts_values.add(at).write(arrays.0.add(i).read());
                    (*slot).tts_isnull.add(at).write(arrays.1.add(i).read());
                }
            }
            pg_sys::ExecStoreVirtualTuple(slot);
            pg_sys::ffi::pg_guard_ffi_boundary(|| {
                if let Some(materialize) = (*(*slot).tts_ops).materialize {
                    materialize(slot);
                }
            });
        })
    };
    asked.map_err(|e| without_returning(engine, &p.server_name, e))?;
    transaction::note_written(s.server, p.relid.into(), s.buffer.borrow().command(), true);
    writer.check(1, rows)?;
    Ok(rows > 0)
}

/// What an error of syntax means where only some servers of an engine know RETURNING.
fn without_returning(engine: &Engine, server: &str, e: Error) -> Error {
    if engine.can.returning || e.sqlstate != "42601" {
        return e;
    }
    Error::refused(format!("server \"{server}\" does not tell what it has stored"))
        .with_detail("RETURNING is known to MariaDB from 10.5 on, and not to MySQL.")
        .with_hint("Read the rows in a statement of their own.")
}

#[pg_guard]
pub unsafe extern "C-unwind" fn end(_estate: *mut pg_sys::EState, rri: *mut pg_sys::ResultRelInfo) {
    // SAFETY: begun before, or only explained.
    let Some(s) = (unsafe { state(rri) }) else { return };
    let sent = s.buffer.borrow_mut().flush();
    transaction::remove_buffer(&s.buffer);
    if let Err(e) = sent {
        error::raise(&e);
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn explain(
    _mtstate: *mut pg_sys::ModifyTableState,
    _rri: *mut pg_sys::ResultRelInfo,
    private: *mut pg_sys::List,
    _index: i32,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: Postgres passes what `target::plan` made.
    unsafe {
        let Ok(p) = Private::of(private) else { return };
        text(es, c"Remote Server", &p.server_name);
        text(es, c"Remote SQL", &p.sql);
    }
}
