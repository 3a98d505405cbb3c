//! Writing segments: rows in, files of bounded size out.
//!
//! Invariants:
//! - Rows keep their order, within a file and over the files.
//! - Memory is bounded by one row group and one part of an upload; encoding runs off the threads that serve sockets.
//! - Files of a writer that is dropped before [`SegmentWriter::finish`] are deleted.

use super::flush::Limits;
use super::layout::Layout;
use super::segment::{Io, Segment, file_schema, io_error, to_file};
use super::table::batch_bytes;
use arrow::array::RecordBatch;
use object_store::{ObjectStoreExt, WriteMultipart};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::sync::Arc;
use weir_plan::manifest::SegmentMeta;
use weir_plan::{Error, Result};

/// Rows of a row group: the unit of caching, pruning and stealing.
pub const ROW_GROUP_ROWS: usize = 1 << 17;
/// A row group ends earlier at so many bytes of values in all, since it is read at once, and compressed they say little; batches are written in parts
/// of this part of it.
const BATCH_PART: usize = 4;
/// Rows of a segment.
pub const SEGMENT_ROWS: u32 = 1 << 20;
/// Encoded bytes at which a segment ends earlier.
const SEGMENT_BYTES: u64 = 512 << 20;
/// A dictionary that outgrows this is given up: looking values up in it costs more than it saves.
const DICTIONARY_BYTES: usize = 64 << 10;
/// Encoded bytes that are kept before an upload in parts begins, and the size of a part.
const PART_BYTES: usize = 8 << 20;
/// Parts of one upload under way at once.
const PARTS_AT_ONCE: usize = 4;

struct Current {
    id: i64,
    path: String,
    /// `None` only while a blocking task has it.
    writer: Option<ArrowWriter<Vec<u8>>>,
    rows: u32,
    /// Bytes of the values in the row group that is not complete.
    group_bytes: usize,
    size_bytes: u64,
    encoded: Vec<u8>,
    upload: Option<WriteMultipart>,
}

pub struct SegmentWriter {
    io: Arc<Io>,
    layout: Arc<Layout>,
    segment_rows: u32,
    row_group_rows: usize,
    row_group_bytes: usize,
    current: Option<Current>,
    done: Vec<Arc<Segment>>,
}

/// LZ4: the initial copy is bound by the processor, and cold columns are decoded while queries wait.
fn properties(row_group_rows: usize) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_max_row_group_row_count(Some(row_group_rows))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build()
}

impl SegmentWriter {
    pub fn new(io: &Arc<Io>, layout: &Arc<Layout>, limits: &Limits) -> Self {
        Self {
            io: Arc::clone(io),
            layout: Arc::clone(layout),
            segment_rows: limits.segment_rows.clamp(1, SEGMENT_ROWS),
            row_group_rows: limits.row_group_rows.max(1),
            row_group_bytes: limits.row_group_bytes.max(1),
            current: None,
            done: Vec::new(),
        }
    }

    /// Adds rows in the layout's schema.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let bytes = batch_bytes(batch);
        let most_rows = (self.row_group_bytes / BATCH_PART).saturating_mul(batch.num_rows()) / bytes.max(1);
        let mut at = 0;
        while at < batch.num_rows() {
            let current = match &mut self.current {
                Some(current) => current,
                None => self.current.insert(start(&self.io, &self.layout, self.row_group_rows)?),
            };
            let room = (self.segment_rows - current.rows) as usize;
            let piece = batch.slice(at, room.min(most_rows.max(1)).min(batch.num_rows() - at));
            at += piece.num_rows();
            current.write(&self.io, &piece, self.row_group_bytes).await?;
            if current.rows >= self.segment_rows || current.size_bytes >= SEGMENT_BYTES {
                self.end_segment().await?;
            }
        }
        Ok(())
    }

    /// All segments, complete and durable.
    pub async fn finish(mut self) -> Result<Vec<Arc<Segment>>> {
        self.end_segment().await?;
        Ok(std::mem::take(&mut self.done))
    }

    async fn end_segment(&mut self) -> Result<()> {
        if let Some(current) = self.current.take() {
            let meta = current.finish(&self.io).await?;
            self.done.push(Segment::new(&self.io, &self.layout, &meta)?);
        }
        Ok(())
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.done.iter().for_each(|segment| segment.doom());
    }
}

fn start(io: &Io, layout: &Layout, row_group_rows: usize) -> Result<Current> {
    let id = io.next_segment_id();
    let writer = ArrowWriter::try_new(Vec::new(), file_schema(&layout.schema), Some(properties(row_group_rows))).map_err(io_error)?;
    Ok(Current {
        id,
        path: format!("{}{}/{}/{id}.parquet", io.home, layout.relid, layout.generation),
        writer: Some(writer),
        rows: 0,
        group_bytes: 0,
        size_bytes: 0,
        encoded: Vec::new(),
        upload: None,
    })
}

impl Current {
    async fn write(&mut self, io: &Io, batch: &RecordBatch, row_group_bytes: usize) -> Result<()> {
        let bytes = batch_bytes(batch);
        let full = self.group_bytes > 0 && self.group_bytes.saturating_add(bytes) > row_group_bytes;

        let columns = batch.columns().iter().map(to_file).collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(file_schema(batch.schema_ref()), columns).map_err(io_error)?;
        let mut writer = self.take_writer()?;
        let rows = batch.num_rows();
        let encode = move || -> Result<_> {
            if full {
                writer.flush().map_err(io_error)?;
            }
            writer.write(&batch).map_err(io_error)?;
            Ok((std::mem::take(writer.inner_mut()), writer))
        };
        let (encoded, writer) = tokio::task::spawn_blocking(encode).await.map_err(io_error)??;
        self.rows += u32::try_from(rows).map_err(io_error)?;
        // The row group may have ended within the batch.
        let open = writer.in_progress_rows();
        self.group_bytes = if open > rows { self.group_bytes + bytes } else { bytes * open / rows.max(1) };
        self.writer = Some(writer);
        self.push(io, encoded).await
    }

    fn take_writer(&mut self) -> Result<ArrowWriter<Vec<u8>>> {
        self.writer.take().ok_or_else(|| Error::internal("a segment is written to after an error"))
    }

    async fn push(&mut self, io: &Io, bytes: Vec<u8>) -> Result<()> {
        self.size_bytes += bytes.len() as u64;
        if self.encoded.is_empty() {
            self.encoded = bytes;
        } else {
            self.encoded.extend_from_slice(&bytes);
        }
        if self.encoded.len() < PART_BYTES {
            return Ok(());
        }
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => {
                let upload = io.store.put_multipart(&io.location(&self.path)).await.map_err(io_error)?;
                self.upload.insert(WriteMultipart::new_with_chunk_size(upload, PART_BYTES))
            }
        };
        upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(io_error)?;
        upload.put(std::mem::take(&mut self.encoded).into());
        Ok(())
    }

    async fn finish(mut self, io: &Io) -> Result<SegmentMeta> {
        let writer = self.take_writer()?;
        let bytes = tokio::task::spawn_blocking(move || writer.into_inner()).await.map_err(io_error)?.map_err(io_error)?;
        self.push(io, bytes).await?;
        match self.upload.take() {
            Some(mut upload) => {
                upload.put(std::mem::take(&mut self.encoded).into());
                upload.finish().await.map_err(io_error)?;
            }
            None => {
                let bytes = std::mem::take(&mut self.encoded);
                io.store.put(&io.location(&self.path), bytes.into()).await.map_err(io_error)?;
            }
        }
        Ok(SegmentMeta { id: self.id, path: self.path, rows: u64::from(self.rows), size_bytes: self.size_bytes, deletes: Vec::new() })
    }
}
