//! Rows on their way to a remote table.
//!
//! Invariant: a value that its Arrow form cannot hold exactly is an error before anything of its row is sent.

use super::target::engine_of;
use super::transaction;
use crate::tuple::RowBuilder;
use arrow::datatypes::SchemaRef;
use pgrx::pg_sys;
use weir_plan::ir::ServerRef;
use weir_plan::manifest::ColumnDef;
use weir_plan::protocol::{Work, WriteTarget};
use weir_plan::types::{PgType, oid};
use weir_plan::{Error, Kind, Result, arrow_ipc};

/// A batch is sent when it has this many rows or bytes.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 4 << 20;

pub struct Buffer {
    server: ServerRef,
    server_name: String,
    relid: pg_sys::Oid,
    command: pg_sys::CommandId,
    level: u32,
    target: WriteTarget,
    rows: RowBuilder,
    schema: SchemaRef,
}

impl Buffer {
    /// # Errors
    /// A column whose values cannot be sent.
    pub fn new(server: ServerRef, server_name: &str, relid: pg_sys::Oid, command: pg_sys::CommandId, mut target: WriteTarget) -> Result<Buffer> {
        if engine_of(server)?.has_all_numerics() {
            for c in target.columns.iter_mut().filter(|c| c.ty.base == oid::NUMERIC) {
                c.ty = PgType::numeric_as_printed(c.ty.typmod);
            }
        }
        // The builder picks values by their place.
        let columns: Vec<ColumnDef> =
            target.columns.iter().zip(1i16..).map(|(c, attnum)| ColumnDef { attnum, name: c.name.clone(), ty: c.ty, not_null: false, before: None }).collect();
        let rows = RowBuilder::new(&columns, 0)?;
        let schema = rows.schema();
        Ok(Buffer { server, server_name: server_name.to_owned(), relid, command, level: transaction::current_level(), target, rows, schema })
    }

    pub fn server(&self) -> ServerRef {
        self.server
    }

    pub fn command(&self) -> pg_sys::CommandId {
        self.command
    }

    pub fn level(&self) -> u32 {
        self.level
    }

    /// The subtransaction in which it was made has become part of the one at this level.
    pub fn raise_to(&mut self, level: u32) {
        self.level = self.level.min(level);
    }

    /// Takes a row, with a value for each column of the target.
    ///
    /// # Errors
    /// A value that cannot be sent.
    ///
    /// # Safety
    /// The values are of the columns' types and alive.
    pub unsafe fn append(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) -> Result<()> {
        // SAFETY: as promised by the caller.
        unsafe { self.rows.append(values, nulls) };
        let Some(place) = self.rows.take_poisoned().first().copied() else { return Ok(()) };
        let found = usize::try_from(place - 1).ok().and_then(|i| self.target.columns.get(i));
        let column = found.map_or("?", |c| c.name.as_str());
        let detail = match found.and_then(|c| c.ty.element()) {
            Some(_) => "Only arrays of one dimension that begin at 1 can be sent, of values that can be.",
            None => "It has more digits than can be sent, or is no number.",
        };
        Err(Error {
            sqlstate: "22000".into(),
            ..Error::new(Kind::Query, format!("server \"{}\": a value of column \"{column}\" cannot be written", self.server_name))
        }
        .with_detail(detail))
    }

    pub fn is_full(&self) -> bool {
        self.rows.rows() >= BATCH_ROWS || self.rows.size_bytes() >= BATCH_BYTES
    }

    /// Sends what there is; the number of rows it changed.
    ///
    /// # Errors
    /// Whatever the remote server says.
    pub fn flush(&mut self) -> Result<u64> {
        if self.rows.rows() == 0 {
            return Ok(0);
        }
        let ipc = arrow_ipc::to_bytes(&self.rows.finish_batch(&self.schema)?)?;
        let changed = transaction::work(self.server, Work::Write { target: Box::new(self.target.clone()), ipc });
        transaction::note_written(self.server, self.relid, self.command, changed.is_ok());
        changed
    }
}
