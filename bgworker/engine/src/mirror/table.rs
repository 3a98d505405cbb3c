//! What readers see of a mirror, and how it is published.
//!
//! A table is a list of *parts*: segments, and pieces of the in-memory delta (frozen ones that are being flushed, and at most one that
//! still grows, the last). Every part has rows numbered from 0 and a delete vector.
//!
//! Invariant: everything here changes only under the write lock of [`Shared`], by whoever also holds the applier's lock; a commit changes
//! all its tables under one hold of it. So a snapshot is consistent over all tables.

use super::deletes::DeleteVector;
use super::layout::Layout;
use super::segment::Segment;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use weir_plan::manifest::Lsn;
use weir_plan::{Error, Result};

/// Consecutive rows of the delta.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub start: u32,
    pub batch: RecordBatch,
}

/// Chunks merge by this many when they have the same order of size, so that a row is copied a few times only and there are never many.
const FAN_IN: usize = 64;
/// Chunks from here on are not merged any more.
const FULL_CHUNK_ROWS: usize = 1 << 15;
/// A reader gets smaller chunks than this merged.
const READ_CHUNK_ROWS: usize = 1 << 12;

/// A piece of the delta.
#[derive(Debug, Default)]
pub struct Mem {
    pub chunks: Vec<Chunk>,
    pub rows: u32,
    pub bytes: usize,
}

fn order_of(rows: usize) -> u32 {
    rows.max(1).ilog(FAN_IN)
}

impl Mem {
    /// Appends rows; the first gets the number returned.
    pub fn append(&mut self, batch: RecordBatch) -> Result<u32> {
        let start = self.rows;
        let rows = u32::try_from(batch.num_rows()).ok().and_then(|n| start.checked_add(n));
        self.rows = rows.ok_or_else(|| Error::internal("too many rows in the delta of a mirror"))?;
        self.bytes += batch_bytes(&batch);
        self.chunks.push(Chunk { start, batch });
        loop {
            let order = order_of(self.chunks.last().map_or(0, |c| c.batch.num_rows()));
            let same = self.chunks.iter().rev().take_while(|c| order_of(c.batch.num_rows()) == order && c.batch.num_rows() < FULL_CHUNK_ROWS).count();
            if same < FAN_IN {
                return Ok(start);
            }
            let tail = self.chunks.split_off(self.chunks.len() - same);
            self.chunks.push(merge(&tail)?);
        }
    }

    /// The chunk of a row and its place there.
    pub fn locate(&self, row: u32) -> Option<(&RecordBatch, usize)> {
        let at = self.chunks.partition_point(|c| c.start <= row).checked_sub(1)?;
        let chunk = self.chunks.get(at)?;
        let place = (row - chunk.start) as usize;
        (place < chunk.batch.num_rows()).then_some((&chunk.batch, place))
    }

    /// The rows from this one on.
    pub fn from(&self, row: u32) -> Vec<RecordBatch> {
        let at = self.chunks.partition_point(|c| u64::from(c.start) + c.batch.num_rows() as u64 <= u64::from(row));
        let rest = self.chunks.get(at..).unwrap_or_default().iter();
        rest.map(|c| {
            let skip = (row.max(c.start) - c.start) as usize;
            c.batch.slice(skip, c.batch.num_rows() - skip)
        })
        .collect()
    }

    fn view(&self) -> Result<Arc<[Chunk]>> {
        let small = self.chunks.iter().rev().take_while(|c| c.batch.num_rows() < READ_CHUNK_ROWS).count();
        if small < 2 {
            return Ok(self.chunks.clone().into());
        }
        let (big, tail) = self.chunks.split_at(self.chunks.len() - small);
        let mut chunks = big.to_vec();
        chunks.push(merge(tail)?);
        Ok(chunks.into())
    }
}

fn merge(chunks: &[Chunk]) -> Result<Chunk> {
    let first = chunks.first().ok_or_else(|| Error::internal("nothing to merge"))?;
    let batch = concat_batches(first.batch.schema_ref(), chunks.iter().map(|c| &c.batch)).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Chunk { start: first.start, batch: compact(batch)? })
}

/// Lets go of the buffers that views of strings and binaries use little of.
pub fn compact(batch: RecordBatch) -> Result<RecordBatch> {
    if !batch.columns().iter().any(|c| matches!(c.data_type(), DataType::Utf8View | DataType::BinaryView)) {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(|c| -> ArrayRef {
        match c.data_type() {
            DataType::Utf8View if !c.as_string_view().data_buffers().is_empty() => Arc::new(c.as_string_view().gc()),
            DataType::BinaryView if !c.as_binary_view().data_buffers().is_empty() => Arc::new(c.as_binary_view().gc()),
            _ => Arc::clone(c),
        }
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).map_err(|e| Error::internal(e.to_string()))
}

/// Bytes that the rows take, without what buffers hold beyond them. (Columns of a message share one buffer, and a slice has its whole.)
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|c| array_bytes(c.as_ref())).sum()
}

fn array_bytes(array: &dyn Array) -> usize {
    // A view has its length in the lowest four bytes, and up to 12 bytes of value beside it.
    let views = |views: &[u128]| views.iter().map(|v| (v & u128::from(u32::MAX)) as usize).map(|len| if len > 12 { 16 + len } else { 16 }).sum::<usize>();
    let values = match array.data_type() {
        DataType::Utf8View => views(array.as_string_view().views()),
        DataType::BinaryView => views(array.as_binary_view().views()),
        DataType::Boolean => array.len().div_ceil(8),
        DataType::FixedSizeBinary(n) => array.len() * usize::try_from(*n).unwrap_or(0),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
            let (first, last) = (usize::try_from(first).unwrap_or(0), usize::try_from(last).unwrap_or(0));
            array_bytes(list.values().slice(first, last - first).as_ref()) + array.len() * 4
        }
        other => array.len() * other.primitive_width().unwrap_or(16),
    };
    values + array.nulls().map_or(0, |n| n.len().div_ceil(8))
}

#[derive(Debug)]
pub enum Rows {
    Mem(Mem),
    File(Arc<Segment>),
}

#[derive(Debug)]
pub struct Part {
    /// Unique in this process.
    pub uid: u64,
    pub rows: Rows,
    pub deletes: DeleteVector,
}

impl Part {
    pub fn file(segment: Arc<Segment>, deletes: DeleteVector) -> Self {
        Part { uid: segment.uid, rows: Rows::File(segment), deletes }
    }

    pub fn row_count(&self) -> u32 {
        match &self.rows {
            Rows::Mem(mem) => mem.rows,
            Rows::File(segment) => segment.rows,
        }
    }

    pub fn live_rows(&self) -> u32 {
        self.row_count() - self.deletes.count()
    }

    /// What it has in memory.
    pub fn delta_bytes(&self) -> usize {
        match &self.rows {
            Rows::Mem(mem) => mem.bytes,
            Rows::File(_) => 0,
        }
    }

    /// The same part, for a fork. Rows are shared.
    pub fn fork(&self) -> Part {
        let rows = match &self.rows {
            Rows::Mem(mem) => Rows::Mem(Mem { chunks: mem.chunks.clone(), rows: mem.rows, bytes: mem.bytes }),
            Rows::File(segment) => Rows::File(Arc::clone(segment)),
        };
        Part { uid: self.uid, rows, deletes: self.deletes.clone() }
    }
}

/// Whether queries may use a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Copying,
    /// Its content is of this position or later; usable once everything up to here is decoded.
    Active {
        from: Lsn,
    },
    /// Cannot be kept exact, and why.
    Invalid(String),
}

#[derive(Debug)]
pub struct Table {
    pub layout: Arc<Layout>,
    pub status: Status,
    pub parts: Vec<Part>,
    pub poisoned: Vec<i16>,
    /// Rows received by the initial copy that runs.
    pub rows_copied: u64,
    /// Grows with every change.
    pub version: u64,
    view: Mutex<Option<(u64, Arc<TableView>)>>,
}

impl Table {
    pub fn new(layout: Arc<Layout>, status: Status, parts: Vec<Part>, poisoned: Vec<i16>) -> Self {
        Self { layout, status, parts, poisoned, rows_copied: 0, version: 0, view: Mutex::default() }
    }

    pub fn part(&self, uid: u64) -> Option<&Part> {
        self.parts.iter().find(|p| p.uid == uid)
    }

    pub fn part_mut(&mut self, uid: u64) -> Option<&mut Part> {
        self.parts.iter_mut().find(|p| p.uid == uid)
    }

    pub fn live_rows(&self) -> u64 {
        self.parts.iter().map(|p| u64::from(p.live_rows())).sum()
    }

    /// What is in memory only.
    pub fn delta_bytes(&self) -> usize {
        self.parts.iter().map(Part::delta_bytes).sum()
    }

    pub fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.parts.iter().filter_map(|p| if let Rows::File(segment) = &p.rows { Some(segment) } else { None })
    }

    pub fn poison(&mut self, columns: &[i16]) {
        for column in columns {
            if !self.poisoned.contains(column) {
                self.poisoned.push(*column);
            }
        }
    }

    /// The content as it is now, for readers.
    pub fn view(&self) -> Result<Arc<TableView>> {
        let mut cached = self.view.lock();
        if let Some((version, view)) = &*cached
            && *version == self.version
        {
            return Ok(Arc::clone(view));
        }
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            if part.live_rows() > 0 {
                let rows = match &part.rows {
                    Rows::Mem(mem) => RowsView::Mem(mem.view()?),
                    Rows::File(segment) => RowsView::File(Arc::clone(segment)),
                };
                parts.push(PartView { uid: part.uid, rows, row_count: part.row_count(), deletes: part.deletes.clone() });
            }
        }
        let view = Arc::new(TableView {
            layout: Arc::clone(&self.layout),
            status: self.status.clone(),
            parts,
            poisoned: self.poisoned.clone(),
            live_rows: self.live_rows(),
        });
        *cached = Some((self.version, Arc::clone(&view)));
        Ok(view)
    }
}

/// Rows of a part, immutable.
#[derive(Debug, Clone)]
pub enum RowsView {
    Mem(Arc<[Chunk]>),
    File(Arc<Segment>),
}

#[derive(Debug, Clone)]
pub struct PartView {
    pub uid: u64,
    pub rows: RowsView,
    pub row_count: u32,
    pub deletes: DeleteVector,
}

/// A table at one point in the commit order; never changes.
#[derive(Debug)]
pub struct TableView {
    pub layout: Arc<Layout>,
    pub status: Status,
    pub parts: Vec<PartView>,
    pub poisoned: Vec<i16>,
    pub live_rows: u64,
}

/// All tables, and how far the change stream is applied to them.
#[derive(Debug, Default)]
pub struct Shared {
    pub tables: HashMap<u32, Table>,
    /// Every commit that begins before this position is applied.
    pub decoded: Lsn,
}
