//! One execution of a routed query: the request, its answer, and the batch being read.

use super::Private;
use crate::client::{self, Client, unexpected};
use crate::datum::{self, Column, Output};
use crate::planner;
use crate::settings;
use crate::translate::constant::datum_to_scalar;
use crate::wal;
use pgrx::pg_sys;
use weir_plan::arrow_ipc::Decoder;
use weir_plan::ir::Scalar;
use weir_plan::manifest::Lsn;
use weir_plan::protocol::{Endpoint, Freshness, FromEngine, Metrics, ToEngine};
use weir_plan::types::PgType;
use weir_plan::{Error, Result};

/// A running query.
pub struct Run {
    client: Option<Client>,
    /// The client does not go back to the idle place: it belongs to a transaction.
    kept: bool,
    decoder: Decoder,
    outputs: Vec<Output>,
    columns: Vec<Column>,
    rows: usize,
    next: usize,
    /// Holds what the Datums of the current batch point to.
    context: pg_sys::MemoryContext,
    pub snapshot_lsn: Lsn,
    pub metrics: Option<Metrics>,
}

impl Run {
    /// Sends the query and waits until its first rows (or its end) are certain. `cost` is that of the standard plan.
    ///
    /// # Errors
    /// Anything that went wrong; the caller decides whether Postgres runs the query instead.
    pub fn start(private: &Private, cost: f64, params: Vec<Scalar>, user: pg_sys::Oid, parent: pg_sys::MemoryContext) -> Result<Run> {
        if let Some(reason) = planner_forbids(private) {
            return Err(Error::refused(reason));
        }
        let mut remotes: Vec<Endpoint> = Vec::new();
        for part in &private.remotes {
            if !remotes.iter().any(|e| e.server == part.server) {
                remotes.push(crate::fdw::catalog::endpoint(part.server, user)?);
            }
        }
        let request = ToEngine::Execute {
            plan: private.plan.clone(),
            params,
            freshness: if private.mirrors { freshness() } else { Freshness::Any },
            freshness_timeout_ms: patience_ms(private, cost),
            query_id: 0,
            remotes,
        };
        Run::open(Client::take()?, &request, &private.output, parent)
    }

    /// Sends a request that is answered by rows of these types.
    ///
    /// # Errors
    /// Anything that went wrong.
    pub fn open(mut client: Client, request: &ToEngine, output: &[PgType], parent: pg_sys::MemoryContext) -> Result<Run> {
        match client.ask(request) {
            Ok(answer) => Run::answered(client, answer, output, parent),
            Err(e) => {
                if client::survives(&e) {
                    client.give_back();
                }
                Err(e)
            }
        }
    }

    /// Reads the rows of a request whose first answer has come.
    ///
    /// # Errors
    /// An answer that is not of rows.
    pub fn answered(client: Client, answer: FromEngine, output: &[PgType], parent: pg_sys::MemoryContext) -> Result<Run> {
        let (schema, columns, snapshot_lsn) = match answer {
            FromEngine::Started { schema, columns, snapshot_lsn } => (schema, columns, snapshot_lsn),
            other => return Err(unexpected(&other)),
        };
        if columns.len() != output.len() {
            return Err(Error::internal("the engine returned another number of columns"));
        }
        let outputs =
            columns.iter().zip(output).map(|((value, dscale), ty)| Output { value: *value as usize, dscale: dscale.map(|d| d as usize), ty: *ty }).collect();
        // SAFETY: the parent is the query's memory context, so the child dies with it.
        let context = unsafe {
            pg_sys::AllocSetContextCreateInternal(
                parent,
                c"weir batch".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        Ok(Run {
            client: Some(client),
            kept: false,
            decoder: Decoder::start(schema)?,
            outputs,
            columns: Vec::new(),
            rows: 0,
            next: 0,
            context,
            snapshot_lsn,
            metrics: None,
        })
    }

    /// Puts the next row into the slot's arrays; `false` at the end.
    ///
    /// # Safety
    /// `values` and `nulls` must have room for all output columns.
    pub unsafe fn next_row(&mut self, values: *mut pg_sys::Datum, nulls: *mut bool) -> Result<bool> {
        while self.next >= self.rows {
            if !self.fetch()? {
                return Ok(false);
            }
        }
        let row = self.next;
        self.next += 1;
        for (i, column) in self.columns.iter().enumerate() {
            let null = column.nulls.get(row).copied().unwrap_or(false);
            let value = column.values.get(row).copied().unwrap_or(pg_sys::Datum::null());
            // SAFETY: one place for each output column, by contract.
            unsafe {
                values.add(i).write(value);
                nulls.add(i).write(null);
            }
        }
        Ok(true)
    }

    /// Reads all rows; then the client is the caller's again.
    ///
    /// # Errors
    /// Anything that went wrong before the end, with the client if it can still be used.
    ///
    /// # Safety
    /// As for [`Run::next_row`].
    pub unsafe fn drain(mut self, values: *mut pg_sys::Datum, nulls: *mut bool, mut each: impl FnMut()) -> (Result<()>, Option<Client>) {
        self.kept = true;
        loop {
            // SAFETY: as promised by the caller.
            match unsafe { self.next_row(values, nulls) } {
                Ok(true) => each(),
                Ok(false) => return (Ok(()), self.client.take()),
                Err(e) => {
                    let client = self.client.take().filter(|_| client::survives(&e));
                    return (Err(e), client);
                }
            }
        }
    }

    /// Reads the next batch; `false` at the end.
    fn fetch(&mut self) -> Result<bool> {
        let Some(client) = self.client.as_mut() else { return Ok(false) };
        let message = client.receive()?;
        self.accept(message)
    }

    /// Whether the next row, or the end, can be had without waiting.
    ///
    /// # Errors
    /// Anything that went wrong.
    pub fn is_ready(&mut self) -> Result<bool> {
        while self.next >= self.rows {
            let Some(client) = self.client.as_mut() else { return Ok(true) };
            match client.receive_now()? {
                Some(message) => self.accept(message)?,
                None => return Ok(false),
            };
        }
        Ok(true)
    }

    /// What becomes readable when more has come; `None` at the end.
    pub fn socket(&self) -> Option<i32> {
        self.client.as_ref().map(Client::socket)
    }

    fn accept(&mut self, message: FromEngine) -> Result<bool> {
        match message {
            FromEngine::Batch { ipc } => {
                let batch = self.decoder.batch(ipc)?;
                // SAFETY: nothing points into the previous batch any more: its last row has been consumed.
                unsafe { pg_sys::MemoryContextReset(self.context) };
                self.columns = self.outputs.iter().map(|o| datum::column(&batch, o, self.context)).collect::<Result<_>>()?;
                self.rows = batch.num_rows();
                self.next = 0;
                Ok(true)
            }
            FromEngine::Done { metrics } => {
                self.metrics = Some(metrics);
                if !self.kept
                    && let Some(client) = self.client.take()
                {
                    client.give_back();
                }
                Ok(false)
            }
            other => Err(unexpected(&other)),
        }
    }
}

/// Why a (cached) plan must not run in the engine now.
fn planner_forbids(private: &Private) -> Option<String> {
    if !settings::enabled() || settings::route() == settings::Route::off {
        return Some("weir.route is off".into());
    }
    if planner::current_session() != private.session {
        planner::forget_cached_plans();
        return Some("a setting changed since the query was planned".into());
    }
    if let Some(reason) = private.remotes.iter().find_map(|part| planner::remote_forbids(part.server.server)) {
        return Some(reason);
    }
    if private.mirrors { planner::transaction_forbids().or_else(|| planner::own_writes_forbid(&private.relids)) } else { None }
}

/// How long to wait for fresh data. Where Postgres can run the query as well, no longer than is worth while: while a mirror catches up with a
/// large transaction, each query would otherwise take that much longer than without us.
fn patience_ms(private: &Private, cost: f64) -> u64 {
    /// What is written a moment before the query is there after this time, whatever the query costs.
    const LEAST_MS: u64 = 20;
    /// Half of the time that Postgres needs for a unit of its cost.
    const MS_PER_COST: f64 = 2e-3;
    let most = settings::freshness_timeout_ms();
    if settings::route() == settings::Route::auto && private.remotes.is_empty() { most.min(LEAST_MS.max((cost * MS_PER_COST) as u64)) } else { most }
}

fn freshness() -> Freshness {
    match settings::freshness() {
        settings::Freshness::Latest => Freshness::Lsn(wal::flush_committed()),
        settings::Freshness::Session => {
            // SAFETY: plain read of this backend's state.
            let own = unsafe { pg_sys::XactLastCommitEnd };
            wal::flush(own);
            Freshness::Lsn(own)
        }
        // What is not flushed is flushed by the worker, if it is needed.
        settings::Freshness::MaxLag { millis } => Freshness::MaxLag { millis, lsn: wal::committed() },
        settings::Freshness::Any => Freshness::Any,
    }
}

/// Evaluates the parameters of a query.
///
/// # Safety
/// `exprs` must be initialised expression states of the plan node whose expression context is given.
pub unsafe fn evaluate(exprs: *mut pg_sys::List, types: &[PgType], econtext: *mut pg_sys::ExprContext) -> Result<Vec<Scalar>> {
    types
        .iter()
        .enumerate()
        .map(|(i, ty)| {
            let mut is_null = false;
            // SAFETY: the list has an entry for each parameter; evaluation happens in per-tuple memory and may raise.
            let datum = unsafe {
                let state = pg_sys::list_nth(exprs, i32::try_from(i).unwrap_or(0)).cast::<pg_sys::ExprState>();
                let previous = pg_sys::MemoryContextSwitchTo((*econtext).ecxt_per_tuple_memory);
                let eval = (*state).evalfunc;
                let datum = match eval {
                    Some(eval) => pg_sys::ffi::pg_guard_ffi_boundary(|| eval(state, econtext, &raw mut is_null)),
                    None => pg_sys::Datum::null(),
                };
                pg_sys::MemoryContextSwitchTo(previous);
                datum
            };
            // SAFETY: a datum of the parameter's type.
            unsafe { datum_to_scalar(datum, is_null, *ty) }.map_err(Error::refused)
        })
        .collect()
}
