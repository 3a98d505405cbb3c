//! Heap tuples as Arrow columns: the conversion that the initial copy and the capture of changes share.
//!
//! Invariants:
//! - A value is held exactly or not at all: what its Arrow form cannot hold is stored as NULL and its column is reported as poisoned.
//! - The physical columns are those of `weir_plan::types::column_fields` for each mirrored column, all nullable (a poisoned value is NULL
//!   also in a NOT NULL column).
//! - Values are read in place; what must be copied (compressed or out-of-line values, jsonb as text) is palloc'ed in the current memory
//!   context, which the caller resets.

mod column;
mod numeric;
mod text;
mod varlena;

pub use varlena::is_external_on_disk;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use column::Column;
use pgrx::pg_sys;
use std::collections::BTreeSet;
use std::sync::Arc;
use text::TextReader;
use weir_plan::manifest::ColumnDef;
use weir_plan::{Error, Result};

/// The value cannot be held exactly by the column's Arrow form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit;

/// Collects rows of one table.
pub struct RowBuilder {
    columns: Vec<(i16, Column)>,
    fields: Vec<Field>,
    text: TextReader,
    rows: usize,
    size_bytes: usize,
    poisoned: BTreeSet<i16>,
}

impl RowBuilder {
    /// A builder for these columns with room for `capacity` rows. Needs a transaction.
    ///
    /// # Errors
    /// A column whose type is not supported.
    pub fn new(columns: &[ColumnDef], capacity: usize) -> Result<Self> {
        let mut fields = Vec::new();
        let mut builders = Vec::new();
        for c in columns {
            let unsupported = || Error::internal(format!("column \"{}\" has a type that cannot be mirrored", c.name));
            fields.extend(weir_plan::types::column_fields(&c.physical_name(), &c.ty, true).ok_or_else(unsupported)?);
            builders.push((c.attnum, Column::new(&c.ty, capacity).ok_or_else(unsupported)?));
        }
        Ok(Self { columns: builders, fields, text: TextReader::new(), rows: 0, size_bytes: 0, poisoned: BTreeSet::new() })
    }

    /// The physical fields, in the order of the arrays of [`RowBuilder::finish`].
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The schema of [`RowBuilder::finish_batch`].
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.clone()))
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Approximate size of what is collected.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Appends a deformed tuple.
    ///
    /// # Safety
    /// `values` and `nulls` come from deforming a tuple whose descriptor has the types of this builder's columns, and what they point to is
    /// alive. Needs a transaction.
    pub unsafe fn append(&mut self, values: &[pg_sys::Datum], nulls: &[bool]) {
        // SAFETY: as promised by the caller.
        unsafe { self.append_picked(|i| nulls.get(i).is_some_and(|null| !null).then(|| values.get(i).copied()).flatten()) }
    }

    /// Appends a row whose values are given by `pick` (by attnum - 1); `None` is NULL.
    ///
    /// # Safety
    /// As for [`RowBuilder::append`].
    pub unsafe fn append_picked(&mut self, mut pick: impl FnMut(usize) -> Option<pg_sys::Datum>) {
        for (attnum, column) in &mut self.columns {
            let index = usize::try_from(*attnum - 1).unwrap_or(usize::MAX);
            match pick(index) {
                None => column.append_null(),
                // SAFETY: as promised by the caller.
                Some(datum) => match unsafe { column.append(datum, &mut self.text) } {
                    Ok(size) => self.size_bytes += size,
                    Err(Unfit) => {
                        column.append_null();
                        self.poisoned.insert(*attnum);
                    }
                },
            }
        }
        self.rows += 1;
    }

    /// The arrays of the rows so far; the builder is empty afterwards.
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        let mut arrays = Vec::with_capacity(self.fields.len());
        for (_, column) in &mut self.columns {
            column.finish(&mut arrays);
        }
        self.rows = 0;
        self.size_bytes = 0;
        arrays
    }

    /// The rows so far as a batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// None that an intact builder can raise.
    pub fn finish_batch(&mut self, schema: &SchemaRef) -> Result<RecordBatch> {
        let arrays = self.finish();
        RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|e| Error::internal(format!("could not build a batch: {e}")))
    }

    /// The columns that were poisoned since the last call.
    pub fn take_poisoned(&mut self) -> Vec<i16> {
        std::mem::take(&mut self.poisoned).into_iter().collect()
    }
}
