//! UPDATE and DELETE of one foreign table that the remote server does by itself, as one statement.
//!
//! Invariants:
//! - Only where every condition and every assigned expression is exact there, and nobody here looks at the rows: no triggers for rows (Postgres
//!   does not even ask), no RETURNING, no partitions.
//! - It happens in the remote transaction of the local one, as rows sent one by one do, or at once where there is none and they do, too.

use super::catalog::{self, Tables, foreign_table};
use super::paths::length;
use super::target::remote_column_name;
use super::transaction;
use crate::error;
use crate::planner::{self, bytes_node};
use crate::scan::{evaluate, text};
use crate::translate;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use weir_plan::ir::{ServerRef, SqlPart};
use weir_plan::protocol::Work;
use weir_plan::types::PgType;
use weir_plan::{Error, Result};

/// What the plan node carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Private {
    server: ServerRef,
    server_name: String,
    relid: u32,
    sql: Vec<SqlPart>,
    /// A query for the number of rows, of an engine that does not tell.
    count: Option<Vec<SqlPart>>,
    params: Vec<PgType>,
    /// The rows are counted for the command's tag.
    counted: bool,
    /// For EXPLAIN.
    shown: String,
}

struct State {
    private: Private,
    params: *mut pg_sys::List,
    user: pg_sys::Oid,
    done: bool,
}

/// Makes the scan below the plan node a statement that changes the rows; `false` if that cannot be.
#[pg_guard]
pub unsafe extern "C-unwind" fn plan(root: *mut pg_sys::PlannerInfo, modify: *mut pg_sys::ModifyTable, rti: u32, _index: i32) -> bool {
    // SAFETY: Postgres passes the node under construction and one of its targets.
    unsafe {
        let Some(scan) = scan_of(root, modify, rti) else { return false };
        // Why not shows in nothing but the plan, in which the scan stays.
        let Ok((private, params)) = plan_statement(root, modify, rti, scan) else { return false };
        let bytes = postcard::to_stdvec(&private).unwrap_or_else(|e| error::raise(&Error::internal(format!("could not encode the plan node: {e}"))));
        let mut exprs = std::ptr::null_mut();
        for p in params {
            exprs = pg_sys::lappend(exprs, p.cast());
        }
        (*scan).operation = (*modify).operation;
        (*scan).resultRelation = rti;
        (*scan).fdw_exprs = exprs;
        (*scan).fdw_private = pg_sys::lappend(std::ptr::null_mut(), bytes_node(&bytes).cast());
        true
    }
}

/// The scan whose rows are changed, if all of them are.
unsafe fn scan_of(root: *mut pg_sys::PlannerInfo, modify: *mut pg_sys::ModifyTable, rti: u32) -> Option<*mut pg_sys::ForeignScan> {
    // SAFETY: as passed.
    unsafe {
        let named = (*(*root).parse).resultRelation;
        let operation = (*modify).operation;
        if !matches!(operation, pg_sys::CmdType::CMD_UPDATE | pg_sys::CmdType::CMD_DELETE)
            || u32::try_from(named) != Ok(rti)
            || length((*modify).resultRelations) != 1
            || !(*modify).returningLists.is_null()
            || !(*modify).withCheckOptionLists.is_null()
        {
            return None;
        }
        let below = (*modify).plan.lefttree;
        let scan = below.cast::<pg_sys::ForeignScan>();
        let whole = !below.is_null()
            && (*below).type_ == pg_sys::NodeTag::T_ForeignScan
            && (*scan).scan.scanrelid == rti
            && (*scan).operation == pg_sys::CmdType::CMD_SELECT
            && (*below).qual.is_null();
        whole.then_some(scan)
    }
}

type Planned = (Private, Vec<*mut pg_sys::Expr>);

unsafe fn plan_statement(
    root: *mut pg_sys::PlannerInfo,
    modify: *mut pg_sys::ModifyTable,
    rti: u32,
    scan: *mut pg_sys::ForeignScan,
) -> std::result::Result<Planned, String> {
    // SAFETY: as passed; expressions are copied before they are changed.
    unsafe {
        let rte = *(*root).simple_rte_array.add(rti as usize);
        let relid = (*rte).relid;
        let user = translate::check_as_user((*root).parse, rte);
        let table = foreign_table(relid, user).ok_or("a foreign table of no engine")?;
        let engine = weir_fdw::registry::by_name(table.engine).ok_or("an unknown engine")?;
        if !engine.can.update || !(engine.can.transactions || engine.dialect_of(&table.server_options).modifies_at_once()) {
            return Err("an engine without transactions, or one that does not count".into());
        }
        // A row that it would no longer take has to be noticed here.
        if pg_sys::get_rel_relispartition(relid) && (*modify).operation == pg_sys::CmdType::CMD_UPDATE {
            return Err("an UPDATE of a partition".into());
        }
        let quals: Vec<*mut pg_sys::Node> = (0..length((*scan).fdw_recheck_quals)).map(|i| pg_sys::list_nth((*scan).fdw_recheck_quals, i).cast()).collect();
        let (mut names, mut values) = (Vec::new(), Vec::new());
        if (*modify).operation == pg_sys::CmdType::CMD_UPDATE {
            let (mut tlist, mut attnums) = (std::ptr::null_mut(), std::ptr::null_mut());
            pg_sys::get_translated_update_targetlist(root, rti, &raw mut tlist, &raw mut attnums);
            for i in 0..length(attnums) {
                let attnum = i16::try_from(pg_sys::list_nth_int(attnums, i)).map_err(|_| "a column without a number")?;
                let entry = pg_sys::list_nth(tlist, i).cast::<pg_sys::TargetEntry>();
                if attnum <= 0 || (*entry).resjunk {
                    return Err("a column that cannot be assigned".into());
                }
                names.push((remote_column_name(&table, engine, attnum).ok_or("a column that is gone")?, translate::column_type(relid, attnum)?));
                values.push((*entry).expr.cast::<pg_sys::Node>());
            }
            if names.is_empty() {
                return Err("nothing to assign".into());
            }
        }
        let asked = translate::Asked { quals: &quals, values: &values, order: &[] };
        let made = translate::changed_relation(rte, rti, table.server, &BTreeSet::new(), &asked, planner::current_session())?;
        if !made.plan.params.iter().all(|ty| engine.dialect.holds(ty)) {
            return Err("a parameter of this type".into());
        }
        let set: Vec<weir_fdw::Assignment> = names.into_iter().zip(made.values).map(|((name, ty), e)| (name, ty, e)).collect();
        let set = ((*modify).operation == pg_sys::CmdType::CMD_UPDATE).then_some(set);
        let tables = Tables::new();
        let done = weir_fdw::modification(&made.plan.root, set.as_deref(), &|s| tables.get(s))?;
        let shown = weir_fdw::text(&done.sql, None, engine.dialect_of(&table.server_options))?;
        let private = Private {
            server: done.server,
            server_name: done.server_name,
            relid: relid.to_u32(),
            sql: done.sql,
            count: done.count,
            params: made.plan.params,
            counted: (*modify).canSetTag,
            shown,
        };
        Ok((private, made.params))
    }
}

unsafe fn state<'a>(node: *mut pg_sys::ForeignScanState) -> Option<&'a mut State> {
    // SAFETY: `begin` put it there; it lives as long as the query's memory context.
    unsafe { (*node).fdw_state.cast::<State>().as_mut() }
}

unsafe fn private(scan: *const pg_sys::ForeignScan) -> Result<Private> {
    // SAFETY: `plan` put one bytea constant there, never toasted.
    let bytes = unsafe {
        let constant = pg_sys::list_nth((*scan).fdw_private, 0).cast::<pg_sys::Const>();
        pgrx::varlena_to_byte_slice((*constant).constvalue.cast_mut_ptr::<pg_sys::varlena>())
    };
    postcard::from_bytes(bytes).map_err(|e| Error::internal(format!("could not decode the plan node: {e}")))
}

#[pg_guard]
pub unsafe extern "C-unwind" fn begin(node: *mut pg_sys::ForeignScanState, _eflags: i32) {
    // SAFETY: Postgres passes a new state of our plan node.
    unsafe {
        let scan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        let made = State {
            private: private(scan).unwrap_or_else(|e| error::raise(&e)),
            params: pg_sys::ExecInitExprList((*scan).fdw_exprs, node.cast()),
            user: pg_sys::GetUserId(),
            done: false,
        };
        (*node).fdw_state = PgMemoryContexts::For((*(*node).ss.ps.state).es_query_cxt).leak_and_drop_on_delete(made).cast();
    }
}

/// Changes all rows when it is asked for the first; there is never one to return.
#[pg_guard]
pub unsafe extern "C-unwind" fn iterate(node: *mut pg_sys::ForeignScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: begun before.
    unsafe {
        let slot = (*node).ss.ss_ScanTupleSlot;
        if let Some(clear) = (*(*slot).tts_ops).clear {
            pg_sys::ffi::pg_guard_ffi_boundary(|| clear(slot));
        }
        let Some(s) = state(node).filter(|s| !s.done) else { return slot };
        s.done = true;
        let rows = run(s, node).unwrap_or_else(|e| error::raise(&e));
        if s.private.counted {
            (*(*node).ss.ps.state).es_processed += rows;
        }
        let instrument = (*node).ss.ps.instrument;
        if !instrument.is_null() {
            (*instrument).tuplecount += rows as f64;
        }
        slot
    }
}

unsafe fn run(s: &State, node: *mut pg_sys::ForeignScanState) -> Result<u64> {
    let p = &s.private;
    let server = transaction::resolved(p.server, s.user);
    let engine = super::target::engine_of(server)?;
    // SAFETY: begun before.
    let params = unsafe { evaluate(s.params, &p.params, (*node).ss.ps.ps_ExprContext) }?;
    let options = catalog::server_options(server);
    let spelled = |parts: &[SqlPart]| {
        weir_fdw::text(parts, Some(&params), engine.dialect_of(&options))
            .map_err(|why| Error::refused(format!("server \"{}\" cannot hold the value of a parameter: {why}", p.server_name)))
    };
    let (sql, count) = (spelled(&p.sql)?, p.count.as_deref().map(spelled).transpose()?);
    // SAFETY: marks the command as one that writes.
    let command = unsafe { pg_sys::GetCurrentCommandId(true) };
    transaction::before_read(server, &[p.relid], command)?;
    let rows = transaction::work(server, Work::Execute { sql, count });
    transaction::note_written(server, p.relid.into(), command, rows.is_ok());
    rows
}

/// Nothing is held.
#[pg_guard]
pub unsafe extern "C-unwind" fn end(_node: *mut pg_sys::ForeignScanState) {}

#[pg_guard]
pub unsafe extern "C-unwind" fn explain(node: *mut pg_sys::ForeignScanState, es: *mut pg_sys::ExplainState) {
    // SAFETY: begun before.
    unsafe {
        let Some(s) = state(node) else { return };
        text(es, c"Remote Server", &s.private.server_name);
        text(es, c"Remote SQL", &s.private.shown);
    }
}
