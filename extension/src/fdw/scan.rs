//! Executing a foreign scan: the shims of the callbacks, and what they do.

use super::concurrent::Place;
use super::finish::Finish;
use super::reader::{Reader, Statement};
use crate::error;
use crate::scan::{evaluate, slot, text, texts};
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use weir_plan::ir::Scalar;
use weir_plan::types::PgType;
use weir_plan::{Error, Result};

/// What a plan node carries, as bytes in `fdw_private`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Private {
    pub statement: Statement,
    pub server_name: String,
    /// For EXPLAIN.
    pub sql: String,
    /// What is not done there, and why.
    pub kept: Vec<String>,
    /// The attribute of each output column.
    pub attnums: Vec<i16>,
    /// What the output columns are, if not those of the statement.
    pub finish: Option<Vec<Finish>>,
    /// The parameters that are OFFSET and LIMIT.
    pub limits: [Option<u32>; 2],
    pub params: Vec<PgType>,
}

impl Private {
    pub fn encode(&self) -> Result<Vec<u8>> {
        postcard::to_stdvec(self).map_err(|e| Error::internal(format!("could not encode the plan node: {e}")))
    }

    unsafe fn of(scan: *const pg_sys::ForeignScan) -> Result<Private> {
        // SAFETY: `paths` put one bytea constant there.
        unsafe { Private::of_node(pg_sys::list_nth((*scan).fdw_private, 0).cast()) }
    }

    /// # Safety
    /// The constant was made of `encode`'s bytes.
    pub unsafe fn of_node(constant: *const pg_sys::Const) -> Result<Private> {
        // SAFETY: a bytea, never toasted.
        let bytes = unsafe { pgrx::varlena_to_byte_slice((*constant).constvalue.cast_mut_ptr::<pg_sys::varlena>()) };
        postcard::from_bytes(bytes).map_err(|e| Error::internal(format!("could not decode the plan node: {e}")))
    }
}

pub struct State {
    pub private: Private,
    params: *mut pg_sys::List,
    /// The role whose user mapping is taken.
    user: pg_sys::Oid,
    pub reader: Option<Reader>,
    pub started: bool,
    /// There are no more rows.
    pub at_end: bool,
    /// Of a scan that runs beside others.
    pub place: Option<Place>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

pub unsafe fn state<'a>(node: *mut pg_sys::ForeignScanState) -> Option<&'a mut State> {
    // SAFETY: `begin` put it there; it lives as long as the query's memory context.
    unsafe { (*node).fdw_state.cast::<State>().as_mut() }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn begin(node: *mut pg_sys::ForeignScanState, _eflags: i32) {
    // SAFETY: Postgres passes a new state of our plan node.
    unsafe {
        let scan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        let estate = (*node).ss.ps.state;
        let private = Private::of(scan).unwrap_or_else(|e| error::raise(&e));
        let columns = private.statement.output.len();
        #[cfg(feature = "pg18")]
        super::shown::without_windows(scan);
        let made = State {
            params: pg_sys::ExecInitExprList((*scan).fdw_exprs, node.cast()),
            user: pg_sys::GetUserId(),
            reader: None,
            started: false,
            at_end: false,
            place: None,
            values: vec![pg_sys::Datum::null(); columns],
            nulls: vec![true; columns],
            private,
        };
        (*node).fdw_state = PgMemoryContexts::For((*estate).es_query_cxt).leak_and_drop_on_delete(made).cast();
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn iterate(node: *mut pg_sys::ForeignScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: begun before; the scan slot has the relation's columns.
    unsafe {
        let slot = (*node).ss.ss_ScanTupleSlot;
        next(node, slot);
        slot
    }
}

/// A row of a statement over several tables, when a row of another table is checked again: those tables take no part in that (no row of theirs
/// is locked or changed), and are read anew.
#[pg_guard]
pub unsafe extern "C-unwind" fn recheck(node: *mut pg_sys::ForeignScanState, slot: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: begun before.
    unsafe {
        let scan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        (*scan).scan.scanrelid != 0 || next(node, slot)
    }
}

/// The next row into the slot, which is empty at the end.
unsafe fn next(node: *mut pg_sys::ForeignScanState, slot: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: begun before; the scan slot has the relation's columns.
    unsafe {
        slot::clear(slot);
        let Some(s) = state(node) else { return false };
        if !s.started {
            s.started = true;
            s.reader = Some(start(s, node).unwrap_or_else(|e| error::raise(&e)));
        }
        let Some(reader) = s.reader.as_mut() else { return false };
        // Beside others, nothing is waited for here.
        if (*node).ss.ps.async_capable && !reader.is_ready().unwrap_or_else(|e| error::raise(&e)) {
            return false;
        }
        match reader.next_row(s.values.as_mut_ptr(), s.nulls.as_mut_ptr()) {
            Ok(true) => {}
            Ok(false) => {
                s.at_end = true;
                return false;
            }
            Err(e) => error::raise(&e),
        }
        let natts = usize::try_from((*(*slot).tts_tupleDescriptor).natts).unwrap_or(0);
        for i in 0..natts {
            (*slot).tts_values.add(i).write(pg_sys::Datum::null());
            (*slot).tts_isnull.add(i).write(true);
        }
        for (place, attnum) in s.private.attnums.iter().enumerate() {
            let value = match &s.private.finish {
                Some(finish) => finish.get(place).and_then(|f| f.value(&s.values, &s.nulls)),
                None => s.values.get(place).copied().filter(|_| s.nulls.get(place) == Some(&false)),
            };
            if let (Some(i), Some(value)) = (usize::try_from(*attnum - 1).ok().filter(|i| *i < natts), value) {
                (*slot).tts_values.add(i).write(value);
                (*slot).tts_isnull.add(i).write(false);
            }
        }
        slot::stored(slot);
        true
    }
}

pub unsafe fn start(s: &State, node: *mut pg_sys::ForeignScanState) -> Result<Reader> {
    // SAFETY: begun before.
    unsafe {
        let params = evaluate(s.params, &s.private.params, (*node).ss.ps.ps_ExprContext)?;
        for (limit, (what, sqlstate)) in s.private.limits.iter().zip([("OFFSET", "2201X"), ("LIMIT", "2201W")]) {
            if let Some(Scalar::Int8(..0)) = limit.and_then(|i| params.get(i as usize)) {
                return Err(Error { sqlstate: sqlstate.into(), ..Error::refused(format!("{what} must not be negative")) });
            }
        }
        Reader::open(&s.private.statement, params, s.user, (*node).ss.ps.state)
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: begun before.
    if let Some(s) = unsafe { state(node) } {
        // SAFETY: as above. Parameters that are set anew show in the list of what has changed.
        let same = unsafe { (*node).ss.ps.chgParam.is_null() };
        s.at_end = false;
        if same && s.reader.as_mut().is_some_and(Reader::rewind) {
            return;
        }
        close(s);
        s.started = false;
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn end(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: begun before, unless begin itself failed.
    if let Some(s) = unsafe { state(node) } {
        close(s);
    }
}

/// Closes the connection if the answer was not read to its end, which cancels the statement.
fn close(s: &mut State) {
    if let Some(reader) = s.reader.take() {
        reader.close();
    }
    s.place = None;
}

#[pg_guard]
pub unsafe extern "C-unwind" fn explain(node: *mut pg_sys::ForeignScanState, es: *mut pg_sys::ExplainState) {
    // SAFETY: begun before.
    unsafe {
        let Some(s) = state(node) else { return };
        text(es, c"Remote Server", &s.private.server_name);
        text(es, c"Remote SQL", &s.private.sql);
        if (*es).verbose {
            texts(es, c"Not Pushed", s.private.kept.iter().cloned());
        }
    }
}
