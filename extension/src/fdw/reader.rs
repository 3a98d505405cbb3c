//! The rows of one remote statement: streamed, or, where the transaction is open at the server, read to the end at once and kept.

use super::{catalog, transaction};
use crate::client::{Client, survives};
use crate::scan::Run;
use pgrx::pg_sys;
use serde::{Deserialize, Serialize};
use weir_fdw::descriptor::Engine;
use weir_plan::ir::{Plan, Rel, Remote, RemoteColumn, Scalar, ServerRef};
use weir_plan::protocol::{Freshness, FromEngine, ToEngine};
use weir_plan::types::{PgType, oid};
use weir_plan::{Error, Result};

/// What is read: a plan that is one remote statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    pub server: ServerRef,
    /// OIDs of the foreign tables in it.
    pub relids: Vec<u32>,
    pub output: Vec<PgType>,
    /// It locks rows, which the transaction must hold.
    pub locks: bool,
    /// The encoded `weir_plan::ir::Plan`.
    pub plan: Vec<u8>,
}

pub enum Reader {
    /// The statement is sent, and nothing has come yet.
    Asked(Asked),
    Stream(Box<Run>),
    Kept(Kept),
}

/// Who is to answer a statement, until it does.
pub struct Asked {
    client: Option<Client>,
    output: Vec<PgType>,
    context: pg_sys::MemoryContext,
}

/// Rows in a tuplestore of the query.
pub struct Kept {
    store: *mut pg_sys::Tuplestorestate,
    slot: *mut pg_sys::TupleTableSlot,
    width: usize,
    /// Rows that come back from a file are made there.
    context: pg_sys::MemoryContext,
}

impl Reader {
    /// Sends the statement; where the transaction is open at the server, reads all its rows.
    ///
    /// # Errors
    /// Anything that goes wrong before that.
    ///
    /// # Safety
    /// `estate` is that of the running query.
    pub unsafe fn open(statement: &Statement, params: Vec<Scalar>, user: pg_sys::Oid, estate: *mut pg_sys::EState) -> Result<Reader> {
        let server = transaction::resolved(statement.server, user);
        // SAFETY: by contract.
        let (context, command) = unsafe { ((*estate).es_query_cxt, pg_sys::GetCurrentCommandId(false)) };
        if statement.locks || transaction::is_open(server) {
            transaction::before_read(server, &statement.relids, command)?;
        }
        // What had waited in a buffer may have begun the transaction.
        if statement.locks || transaction::is_open(server) {
            // SAFETY: the context is that of the query.
            return unsafe { keep(statement, server, &params, context) }.map(Reader::Kept);
        }
        let request = ToEngine::Execute {
            plan: statement.plan.clone(),
            params,
            freshness: Freshness::Any,
            freshness_timeout_ms: 0,
            query_id: 0,
            remotes: vec![catalog::endpoint(statement.server, user)?],
        };
        let mut client = Client::take_when_up()?;
        client.send(&request)?;
        Ok(Reader::Asked(Asked { client: Some(client), output: statement.output.clone(), context }))
    }

    /// The answer of who was asked.
    fn answered(&mut self, message: Result<FromEngine>) -> Result<()> {
        let Reader::Asked(asked) = self else { return Ok(()) };
        let Some(client) = asked.client.take() else { return Err(Error::internal("a statement whose answer was read")) };
        match message {
            Ok(answer) => {
                *self = Reader::Stream(Box::new(Run::answered(client, answer, &asked.output, asked.context)?));
                Ok(())
            }
            Err(e) => {
                if survives(&e) {
                    client.give_back();
                }
                Err(e)
            }
        }
    }

    /// Whether the next row, or the end, can be had without waiting.
    ///
    /// # Errors
    /// Anything that went wrong.
    pub fn is_ready(&mut self) -> Result<bool> {
        if let Reader::Asked(asked) = self {
            match asked.client.as_mut().map(Client::receive_now).transpose() {
                Ok(Some(None)) => return Ok(false),
                Ok(Some(Some(answer))) => self.answered(Ok(answer))?,
                Ok(None) => return Err(Error::internal("a statement whose answer was read")),
                Err(e) => self.answered(Err(e))?,
            }
        }
        match self {
            Reader::Stream(run) => run.is_ready(),
            _ => Ok(true),
        }
    }

    /// What becomes readable when more has come; `None` if nothing is waited for.
    pub fn socket(&self) -> Option<i32> {
        match self {
            Reader::Asked(asked) => asked.client.as_ref().map(Client::socket),
            Reader::Stream(run) => run.socket(),
            Reader::Kept(_) => None,
        }
    }

    /// The next row into the arrays; `false` at the end.
    ///
    /// # Safety
    /// The arrays have room for all output columns. Values are alive until the next call.
    pub unsafe fn next_row(&mut self, values: *mut pg_sys::Datum, nulls: *mut bool) -> Result<bool> {
        if let Reader::Asked(asked) = self
            && let Some(client) = asked.client.as_mut()
        {
            let message = client.receive();
            self.answered(message)?;
        }
        // SAFETY: by contract; the slot is of the kind that tuplestores fill.
        unsafe {
            match self {
                Reader::Asked(_) => Ok(false),
                Reader::Stream(run) => run.next_row(values, nulls),
                Reader::Kept(kept) => {
                    let previous = pg_sys::MemoryContextSwitchTo(kept.context);
                    let there = pg_sys::tuplestore_gettupleslot(kept.store, true, false, kept.slot);
                    pg_sys::MemoryContextSwitchTo(previous);
                    if !there {
                        return Ok(false);
                    }
                    let width = i32::try_from(kept.width).unwrap_or(0);
                    if i32::from((*kept.slot).tts_nvalid) < width {
                        pg_sys::slot_getsomeattrs_int(kept.slot, width);
                    }
                    std::ptr::copy_nonoverlapping((*kept.slot).tts_values, values, kept.width);
                    std::ptr::copy_nonoverlapping((*kept.slot).tts_isnull, nulls, kept.width);
                    Ok(true)
                }
            }
        }
    }

    /// Back to the first row, where that is possible.
    pub fn rewind(&mut self) -> bool {
        match self {
            Reader::Asked(_) | Reader::Stream(_) => false,
            Reader::Kept(kept) => {
                // SAFETY: the store lives as long as the query.
                unsafe { pg_sys::tuplestore_rescan(kept.store) };
                true
            }
        }
    }

    /// Releases what a kept result holds.
    pub fn close(self) {
        if let Reader::Kept(kept) = self {
            // SAFETY: made by `keep`, ended once.
            unsafe {
                pg_sys::ExecDropSingleTupleTableSlot(kept.slot);
                pg_sys::tuplestore_end(kept.store);
            }
        }
    }
}

/// Has the numerics of a plan that is one statement come as Postgres stores them, where the remote is a Postgres: what is left to do with them is done
/// by Postgres, which knows all of them.
pub fn numerics_as_stored(plan: &mut Plan, engine: &Engine) {
    let Rel::Remote(remote) = &mut plan.root else { return };
    if !engine.has_all_numerics() {
        return;
    }
    for column in remote.columns.iter_mut().filter(|c| c.ty.base == oid::NUMERIC) {
        column.ty = PgType::numeric_as_stored(column.ty.typmod);
        for (_, ty) in plan.output.iter_mut().filter(|(id, _)| *id == column.id) {
            *ty = column.ty;
        }
    }
}

/// The remote statement of a plan.
pub fn remote_of(plan: &[u8]) -> Result<(Remote, Vec<usize>)> {
    let plan = Plan::decode(plan)?;
    let Rel::Remote(remote) = plan.root else { return Err(Error::internal("the plan is not one statement")) };
    let place = |id| remote.columns.iter().position(|c| c.id == id).ok_or_else(|| Error::internal("a column is lost"));
    let places = plan.output.iter().map(|(id, _)| place(*id)).collect::<Result<_>>()?;
    Ok((*remote, places))
}

unsafe fn keep(statement: &Statement, server: ServerRef, params: &[Scalar], context: pg_sys::MemoryContext) -> Result<Kept> {
    let (remote, places) = remote_of(&statement.plan)?;
    let engine = catalog::engine_of_server(server.server.into()).ok_or_else(|| Error::internal("a server of no engine"))?;
    let sql = weir_fdw::text(&remote.sql, Some(params), engine.dialect_of(&catalog::server_options(server)))
        .map_err(|why| Error::refused(format!("server \"{}\" cannot hold the value of a parameter: {why}", remote.name)))?;
    // A statement without columns says 1 for each row.
    let columns = if remote.columns.is_empty() { vec![column("one", PgType::INT4)] } else { remote.columns };
    let width = columns.len();
    let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); width], vec![true; width]);
    let (mut out, mut out_nulls) = (vec![pg_sys::Datum::null(); places.len()], vec![true; places.len()]);
    let read = (values.as_mut_ptr(), nulls.as_mut_ptr());
    // SAFETY: the store and its slot are made in the query's context; the arrays have room for all columns and outlive the reading.
    unsafe {
        let previous = pg_sys::MemoryContextSwitchTo(context);
        let store = pg_sys::tuplestore_begin_heap(true, false, pg_sys::work_mem);
        let tupdesc = descriptor(&statement.output);
        let slot = pg_sys::MakeSingleTupleTableSlot(tupdesc, &raw const pg_sys::TTSOpsMinimalTuple);
        pg_sys::MemoryContextSwitchTo(previous);
        transaction::query(server, sql, columns, context, read, || {
            for (i, place) in places.iter().enumerate() {
                if let (Some(v), Some(n)) = (out.get_mut(i), out_nulls.get_mut(i)) {
                    *v = read.0.add(*place).read();
                    *n = read.1.add(*place).read();
                }
            }
            pg_sys::tuplestore_putvalues(store, tupdesc, out.as_mut_ptr(), out_nulls.as_mut_ptr());
        })?;
        Ok(Kept { store, slot, width: places.len(), context })
    }
}

/// A row type with these columns.
unsafe fn descriptor(types: &[PgType]) -> pg_sys::TupleDesc {
    // SAFETY: made in the current memory context.
    unsafe {
        let tupdesc = pg_sys::CreateTemplateTupleDesc(i32::try_from(types.len()).unwrap_or(0));
        for (ty, n) in types.iter().zip(1i16..) {
            pg_sys::TupleDescInitEntry(tupdesc, n, c"c".as_ptr(), ty.oid.into(), -1, 0);
        }
        tupdesc
    }
}

/// A column of a statement that is not of a plan.
pub fn column(name: &str, ty: PgType) -> RemoteColumn {
    RemoteColumn { id: weir_plan::ir::ColId(1), ty, name: name.to_owned() }
}
