//! Changes as they come from the log, and their net effect on one table.
//!
//! Invariant: a value that was not in the log (unchanged TOAST) is taken from the row that the update replaced. Where the message itself
//! names that row with the value (key columns, and all columns of a mirror by full row) it is filled in here; else it becomes a patch.

use super::key::Key;
use super::layout::Layout;
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int8Array, RecordBatch, UInt32Array};
use arrow::compute::{concat, concat_batches, take};
use arrow::datatypes::{DataType, Field, Int8Type, Schema};
use std::sync::Arc;
use weir_capture::net::{Net, Source};
use weir_plan::protocol::op;
use weir_plan::{Error, Result};

/// Rows of one message.
#[derive(Debug, Clone)]
pub struct ChangedRows {
    ops: Int8Array,
    rows: RecordBatch,
    unchanged: Option<BinaryArray>,
}

/// One step of a transaction on one table.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // nearly all are the large one
pub enum Op {
    Rows(ChangedRows),
    Truncate,
}

impl Op {
    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Op::Rows(rows) => rows.bytes(),
            Op::Truncate => size_of::<Op>(),
        }
    }
}

/// About what a changed row takes while its place is looked for, beside its values.
const ROW_COST_BYTES: usize = 128;

fn bad(layout: &Layout, what: &str) -> Error {
    Error::internal(format!("changes of mirror {}: {what}", layout.name))
}

impl ChangedRows {
    /// Checks a batch of [`weir_plan::protocol::ToEngineControl::Changes`].
    ///
    /// # Errors
    /// A batch that does not fit the mirror.
    pub fn read(layout: &Layout, batch: &RecordBatch) -> Result<ChangedRows> {
        let ops = batch.column_by_name("op").and_then(|c| c.as_primitive_opt::<Int8Type>()).ok_or_else(|| bad(layout, "no column op"))?.clone();
        if ops.null_count() > 0 {
            return Err(bad(layout, "op is null"));
        }
        let unchanged = match batch.column_by_name("unchanged") {
            Some(c) if c.null_count() < c.len() => Some(c.as_binary_opt::<i32>().ok_or_else(|| bad(layout, "unchanged is not binary"))?.clone()),
            _ => None,
        };
        let columns = layout.schema.fields().iter().enumerate().map(|(i, field)| match batch.column_by_name(field.name()) {
            Some(column) => Ok(Arc::clone(column)),
            None if layout.may_lack(i) => layout.fill(i, batch.num_rows()),
            None => Err(bad(layout, "a column is missing")),
        });
        let rows = layout.normalise(&columns.collect::<Result<Vec<_>>>()?, batch.num_rows())?;
        Ok(ChangedRows { ops, rows, unchanged })
    }

    fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn bytes(&self) -> usize {
        super::table::batch_bytes(&self.rows) + self.len()
    }

    /// As a batch that [`ChangedRows::read`] takes.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        let mut fields = vec![Field::new("op", DataType::Int8, false)];
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.ops.clone())];
        fields.extend(self.rows.schema_ref().fields().iter().map(|f| f.as_ref().clone()));
        columns.extend_from_slice(super::table::compact(self.rows.clone())?.columns());
        if let Some(unchanged) = &self.unchanged {
            fields.push(Field::new("unchanged", DataType::Binary, true));
            columns.push(Arc::new(unchanged.clone()));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| Error::internal(e.to_string()))
    }

    fn slice(&self, start: usize, len: usize) -> ChangedRows {
        ChangedRows { ops: self.ops.slice(start, len), rows: self.rows.slice(start, len), unchanged: self.unchanged.as_ref().map(|u| u.slice(start, len)) }
    }

    fn is_unchanged(&self, row: usize, column: usize) -> bool {
        match &self.unchanged {
            Some(bits) if bits.is_valid(row) => bits.value(row).get(column / 8).is_some_and(|byte| byte >> (column % 8) & 1 == 1),
            _ => false,
        }
    }

    /// One message after the other, as one.
    fn join(&self, next: &ChangedRows) -> Result<ChangedRows> {
        let failed = |e: arrow::error::ArrowError| Error::internal(e.to_string());
        let empty = |n: usize| BinaryArray::new_null(n);
        let unchanged = match (&self.unchanged, &next.unchanged) {
            (None, None) => None,
            (a, b) => {
                let (a, b) = (a.clone().unwrap_or_else(|| empty(self.len())), b.clone().unwrap_or_else(|| empty(next.len())));
                Some(concat(&[&a, &b]).map_err(failed)?.as_binary::<i32>().clone())
            }
        };
        Ok(ChangedRows {
            ops: concat(&[&self.ops, &next.ops]).map_err(failed)?.as_primitive::<Int8Type>().clone(),
            rows: concat_batches(self.rows.schema_ref(), [&self.rows, &next.rows]).map_err(failed)?,
            unchanged,
        })
    }
}

/// The net effect of changes on one table, with the rows.
#[derive(Debug)]
pub struct NetRows {
    layout: Arc<Layout>,
    pub net: Net<Key>,
    batches: Vec<RecordBatch>,
    /// Batch and place there of each new row.
    origin: Vec<(u32, u32)>,
    /// The old half of an update whose new half is in the next message.
    held: Option<ChangedRows>,
    /// About what all this takes in memory.
    pub cost_bytes: usize,
}

/// A value that has to be fetched: which new row and physical column, and from where.
pub struct Fetched {
    pub row: u32,
    pub column: usize,
    pub array: ArrayRef,
    pub at: usize,
}

impl NetRows {
    pub fn new(layout: &Arc<Layout>) -> Self {
        Self { layout: Arc::clone(layout), net: Net::new(layout.key.unique), batches: Vec::new(), origin: Vec::new(), held: None, cost_bytes: 0 }
    }

    /// Adds the next step.
    ///
    /// # Errors
    /// The changes cannot be followed exactly; what is here is of no use then.
    pub fn absorb(&mut self, op: Op) -> Result<()> {
        match op {
            Op::Truncate => {
                self.net.truncate();
                self.held = None;
                Ok(())
            }
            Op::Rows(mut rows) => {
                // Columns may have been added since it came.
                rows.rows = self.layout.widen(&rows.rows)?;
                if let Some(held) = self.held.take() {
                    rows = held.join(&rows)?;
                }
                if rows.len() > 0 && rows.ops.value(rows.len() - 1) == op::UPDATE_OLD {
                    self.held = Some(rows.slice(rows.len() - 1, 1));
                    rows = rows.slice(0, rows.len() - 1);
                }
                self.rows(rows)
            }
        }
    }

    fn rows(&mut self, changed: ChangedRows) -> Result<()> {
        let layout = Arc::clone(&self.layout);
        let filled = self.fill(&changed)?;
        let keys = layout.key.of_batch(&filled)?;
        let batch = u32::try_from(self.batches.len()).map_err(|_| bad(&layout, "too many batches"))?;
        let conflict = |c: weir_capture::net::Conflict| Error::refused(c.to_string());
        let mut replaced: Option<Source> = None;
        let mut inserted = false;
        for row in 0..changed.len() {
            let key = keys.key(row);
            match changed.ops.value(row) {
                op::INSERT => {
                    let open = (0..layout.columns.len()).filter(|&c| changed.is_unchanged(row, c) && !layout.old_has(c));
                    let open = open.map(|c| u16::try_from(c).unwrap_or(u16::MAX));
                    self.net.insert(key, open, replaced.take()).map_err(conflict)?;
                    self.origin.push((batch, u32::try_from(row).unwrap_or(u32::MAX)));
                    inserted = true;
                }
                op::DELETE => {
                    self.net.delete(key).map_err(conflict)?;
                }
                op::UPDATE_OLD => replaced = Some(self.net.delete(key).map_err(conflict)?),
                _ => return Err(bad(&layout, "unknown operation")),
            }
        }
        self.cost_bytes += changed.len() * ROW_COST_BYTES;
        if inserted {
            self.cost_bytes += super::table::batch_bytes(&filled);
            self.batches.push(filled);
        }
        Ok(())
    }

    /// What is to follow when this has been applied: the old half of an update goes with its new half.
    pub fn successor(&mut self) -> Self {
        Self { held: self.held.take(), ..Self::new(&self.layout) }
    }

    /// The rows with unchanged values filled in where the preceding old half has them.
    fn fill(&self, changed: &ChangedRows) -> Result<RecordBatch> {
        if changed.unchanged.is_none() {
            return Ok(changed.rows.clone());
        }
        let mut columns = changed.rows.columns().to_vec();
        for column in (0..self.layout.columns.len()).filter(|&c| self.layout.old_has(c)) {
            let from: UInt32Array = (0..changed.len())
                .map(|row| {
                    let old = changed.ops.value(row) == op::INSERT && changed.is_unchanged(row, column) && row > 0;
                    u32::try_from(if old { row - 1 } else { row }).ok()
                })
                .collect();
            if from.values().iter().enumerate().any(|(i, &f)| f as usize != i) {
                for physical in self.layout.physical(column) {
                    columns[physical] = take(&columns[physical], &from, None).map_err(|e| Error::internal(e.to_string()))?;
                }
            }
        }
        self.layout.normalise(&columns, changed.len())
    }

    /// The array and place of a new row's value as it came from the log.
    pub fn logged(&self, row: u32, column: usize) -> Option<(ArrayRef, usize)> {
        let (batch, at) = *self.origin.get(row as usize)?;
        Some((Arc::clone(self.batches.get(batch as usize)?.columns().get(column)?), at as usize))
    }

    /// The rows that remain, with the fetched values, and their keys; batches that were nothing but changes stay as they are.
    ///
    /// # Errors
    /// An update without its new half.
    pub fn finish(self, mut fetched: Vec<Fetched>) -> Result<(Vec<RecordBatch>, Vec<Key>)> {
        if self.held.is_some() {
            return Err(bad(&self.layout, "an update has no new row"));
        }
        let failed = |e: arrow::error::ArrowError| Error::internal(e.to_string());
        let mut rows_of: Vec<Vec<u32>> = vec![Vec::new(); self.batches.len()];
        for (row, (batch, at)) in self.origin.iter().enumerate() {
            let row = u32::try_from(row).unwrap_or(u32::MAX);
            if self.net.is_live(row)
                && let Some(rows) = rows_of.get_mut(*batch as usize)
            {
                rows.push(*at);
            }
        }
        // (batch, column, place) of each fetched value.
        fetched.retain(|f| self.net.is_live(f.row));
        fetched.sort_by_key(|f| (self.origin[f.row as usize].0, f.column, self.origin[f.row as usize].1));
        let mut fetched = fetched.as_slice();
        let mut result = Vec::with_capacity(self.batches.len());
        for (b, (batch, rows)) in self.batches.iter().zip(&rows_of).enumerate() {
            let mine = fetched.partition_point(|f| self.origin[f.row as usize].0 as usize <= b);
            let (patches, rest) = fetched.split_at(mine);
            fetched = rest;
            let mut batch = batch.clone();
            if !patches.is_empty() {
                let mut columns = batch.columns().to_vec();
                for patch in patches.chunk_by(|x, y| x.column == y.column) {
                    let column = patch[0].column;
                    let mut picks: Vec<(usize, usize)> = (0..batch.num_rows()).map(|i| (0, i)).collect();
                    let mut arrays: Vec<&dyn Array> = vec![columns[column].as_ref()];
                    for f in patch {
                        picks[self.origin[f.row as usize].1 as usize] = (arrays.len(), f.at);
                        arrays.push(f.array.as_ref());
                    }
                    columns[column] = arrow::compute::interleave(&arrays, &picks).map_err(failed)?;
                }
                batch = self.layout.normalise(&columns, batch.num_rows())?;
            }
            match (rows.first(), rows.last()) {
                (Some(&first), Some(&last)) if (last - first) as usize + 1 == rows.len() => result.push(batch.slice(first as usize, rows.len())),
                (Some(_), Some(_)) => {
                    result.push(arrow::compute::take_record_batch(&batch, &UInt32Array::from(rows.clone())).map_err(failed)?);
                }
                _ => {}
            }
        }
        let Self { net, origin, .. } = self;
        let live: Vec<bool> = (0..origin.len()).map(|r| net.is_live(u32::try_from(r).unwrap_or(u32::MAX))).collect();
        let keys = net.into_keys().into_iter().zip(live).filter_map(|(key, live)| live.then_some(key)).collect();
        Ok((result, keys))
    }
}
