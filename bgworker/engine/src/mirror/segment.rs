//! Segments: immutable Parquet files, read through the shared cache.
//!
//! Invariants:
//! - Whoever holds a segment can read it: its file is deleted only when nobody does (see [`Segment::doom`]).
//! - Arrays come out in the types of the layout, whatever the file has.

use super::cache::ColumnCache;
use super::index::KeyFilter;
use super::layout::{Layout, file_type};
use super::stats::SegmentStats;
use super::storage::Storage;
use super::uploads::Bucket;
use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, ListArray, PrimitiveArray};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNanoType, Schema, SchemaRef};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetObjectReader, ParquetRecordBatchStream};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OnceCell, mpsc};
use weir_plan::manifest::SegmentMeta;
use weir_plan::{Error, Result};

/// Read from the end of a file at once; the footers of most segments are smaller.
const FOOTER_HINT_BYTES: usize = 64 << 10;

/// How long a bucket may take for what is read at once. Then a query runs in Postgres; the client of the bucket would go on trying for minutes.
const LONGEST_READ: Duration = Duration::from_secs(10);

/// What all segments share.
pub struct Io {
    pub store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// What we write is below this, and only that is deleted. Empty, or ends with a slash.
    pub home: String,
    /// If the store is a bucket.
    pub bucket: Option<Bucket>,
    pub cache: ColumnCache,
    /// Mirrors of which a segment is gone or damaged: relation, generation, reason.
    pub lost: parking_lot::Mutex<Vec<(u32, i64, String)>>,
    /// Files that nobody reads any more.
    pub garbage: mpsc::UnboundedSender<Path>,
    next_uid: AtomicU64,
    last_id: AtomicU64,
    /// Ids below are those of earlier engines.
    pub first_id: i64,
}

impl Io {
    pub fn new(storage: Storage, cache_limit_bytes: u64) -> (Arc<Io>, mpsc::UnboundedReceiver<Path>) {
        let (garbage, collected) = mpsc::unbounded_channel();
        let Storage { store, prefix, home, bucket } = storage;
        let mut io = Io {
            store,
            prefix,
            home,
            bucket,
            cache: ColumnCache::new(cache_limit_bytes),
            lost: parking_lot::Mutex::default(),
            garbage,
            next_uid: AtomicU64::new(0),
            last_id: AtomicU64::new(0),
            first_id: 0,
        };
        io.first_id = io.next_segment_id();
        (Arc::new(io), collected)
    }

    /// A number that nothing else in this process has.
    pub fn next_uid(&self) -> u64 {
        self.next_uid.fetch_add(1, Ordering::Relaxed)
    }

    /// A segment id that was never used before, also not by an engine that crashed before its manifest was committed: the time in
    /// microseconds, made unique.
    pub fn next_segment_id(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(0));
        let previous = self.last_id.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1))).unwrap_or(0);
        now.max(previous + 1).cast_signed()
    }

    /// Ids that exist already are not given again.
    pub fn note_segment_id(&self, id: i64) {
        self.last_id.fetch_max(id.cast_unsigned(), Ordering::Relaxed);
    }

    /// The place of a path below the storage root.
    pub fn location(&self, path: &str) -> Path {
        self.prefix.parts().chain(Path::from(path).parts()).collect()
    }
}

pub fn io_error(e: impl std::fmt::Display) -> Error {
    Error::internal(format!("segment storage: {e}"))
}

/// One row group's place in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowGroup {
    pub start: u32,
    pub rows: u32,
}

/// What is known from the file's footer.
pub struct Footer {
    metadata: ArrowReaderMetadata,
    /// The file has the first so many physical columns; the others were added after it was written.
    columns: usize,
    pub row_groups: Vec<RowGroup>,
    pub stats: SegmentStats,
}

pub struct Segment {
    /// Unique in this process; key of the caches.
    pub uid: u64,
    pub id: i64,
    pub path: String,
    pub rows: u32,
    pub size_bytes: u64,
    pub layout: Arc<Layout>,
    io: Arc<Io>,
    footer: OnceCell<Arc<Footer>>,
    /// Known once the segment's keys have been read.
    pub filter: Arc<OnceLock<KeyFilter>>,
    file: Arc<File>,
}

/// The file of a segment, also while it is read with fewer columns.
struct File {
    location: Path,
    doomed: AtomicBool,
    garbage: mpsc::UnboundedSender<Path>,
}

impl Drop for File {
    fn drop(&mut self) {
        if *self.doomed.get_mut() {
            let _ = self.garbage.send(std::mem::take(&mut self.location));
        }
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {}", self.path)
    }
}

impl Segment {
    pub fn new(io: &Arc<Io>, layout: &Arc<Layout>, meta: &SegmentMeta) -> Result<Arc<Segment>> {
        let rows = u32::try_from(meta.rows).map_err(|_| Error::internal(format!("segment {} has too many rows", meta.path)))?;
        io.note_segment_id(meta.id);
        Ok(Arc::new(Segment {
            uid: io.next_uid(),
            id: meta.id,
            path: meta.path.clone(),
            rows,
            size_bytes: meta.size_bytes,
            layout: Arc::clone(layout),
            io: Arc::clone(io),
            footer: OnceCell::new(),
            filter: Arc::default(),
            file: Arc::new(File { location: io.location(&meta.path), doomed: AtomicBool::new(false), garbage: io.garbage.clone() }),
        }))
    }

    /// The same segment with columns added.
    pub fn with_layout(&self, layout: &Arc<Layout>) -> Arc<Segment> {
        Arc::new(Segment {
            uid: self.uid,
            id: self.id,
            path: self.path.clone(),
            rows: self.rows,
            size_bytes: self.size_bytes,
            layout: Arc::clone(layout),
            io: Arc::clone(&self.io),
            footer: OnceCell::new(),
            filter: Arc::clone(&self.filter),
            file: Arc::clone(&self.file),
        })
    }

    /// The file is to be deleted as soon as nobody holds the segment, if it is ours.
    pub fn doom(&self) {
        if self.path.starts_with(&self.io.home) {
            self.file.doomed.store(true, Ordering::Relaxed);
        }
    }

    fn reader(&self) -> ParquetObjectReader {
        ParquetObjectReader::new(Arc::clone(&self.io.store), self.io.location(&self.path))
            .with_file_size(self.size_bytes)
            .with_footer_size_hint(FOOTER_HINT_BYTES)
    }

    /// Something is wrong with the file itself: the mirror has to be copied again.
    fn damaged(&self, e: impl std::fmt::Display) -> Error {
        let message = format!("segment {} of mirror {}: {e}", self.path, self.layout.name);
        self.io.lost.lock().push((self.layout.relid, self.layout.generation, message.clone()));
        Error::internal(message)
    }

    fn error(&self, e: ParquetError) -> Error {
        match &e {
            ParquetError::External(source) => match source.downcast_ref::<object_store::Error>() {
                Some(object_store::Error::NotFound { .. }) => self.damaged("the file is missing"),
                // The storage may answer another time.
                _ => Error::internal(format!("segment {} of mirror {}: {e}", self.path, self.layout.name)),
            },
            _ => self.damaged(e),
        }
    }

    /// What a read gives, if it comes in time.
    async fn in_time<T>(&self, read: impl Future<Output = parquet::errors::Result<T>>) -> Result<T> {
        let read = async { read.await.map_err(|e| self.error(e)) };
        if self.io.bucket.is_none() {
            return read.await;
        }
        let late = |_| Error::internal(format!("segment {} of mirror {}: the storage did not answer within {LONGEST_READ:?}", self.path, self.layout.name));
        tokio::time::timeout(LONGEST_READ, read).await.map_err(late)?
    }

    /// The footer, read at first need.
    pub async fn footer(&self) -> Result<Arc<Footer>> {
        let read = || async {
            let mut reader = self.reader();
            let metadata = self.in_time(reader.get_metadata(None)).await?;
            let whole = file_schema(&self.layout.schema);
            let columns = self.columns_of(metadata.file_metadata().schema_descr().root_schema().get_fields().iter().map(|f| f.name()))?;
            let schema = whole.project(&(0..columns).collect::<Vec<_>>()).map_err(|e| self.damaged(e))?;
            let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
            let metadata = ArrowReaderMetadata::try_new(metadata, options).map_err(|e| self.error(e))?;
            let mut row_groups = Vec::new();
            let mut start = 0u32;
            for group in metadata.metadata().row_groups() {
                let rows = u32::try_from(group.num_rows()).map_err(|e| self.damaged(e))?;
                row_groups.push(RowGroup { start, rows });
                start = start.checked_add(rows).ok_or_else(|| self.damaged("too many rows"))?;
            }
            if start != self.rows {
                return Err(self.damaged(format!("has {start} rows instead of {}", self.rows)));
            }
            let stats = SegmentStats::read(&metadata, &self.layout.schema);
            Ok(Arc::new(Footer { metadata, columns, row_groups, stats }))
        };
        self.footer.get_or_try_init(read).await.cloned()
    }

    /// How many of the physical columns a file with these columns has.
    fn columns_of<'a>(&self, names: impl ExactSizeIterator<Item = &'a str>) -> Result<usize> {
        let fields = self.layout.schema.fields();
        let count = names.len();
        let same = names.zip(fields).all(|(name, field)| name == field.name());
        if !same || count > fields.len() || !(count..fields.len()).all(|c| self.layout.may_lack(c)) {
            return Err(self.damaged("has other columns"));
        }
        Ok(count)
    }

    /// One column of a row group, through the cache.
    pub async fn column(&self, row_group: usize, column: usize) -> Result<ArrayRef> {
        let id = (self.uid, u32::try_from(row_group).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX));
        self.io.cache.get(id, async { Ok(self.decode(row_group, &[column]).await?.swap_remove(0)) }).await
    }

    /// Columns of a row group, past the cache.
    pub async fn decode(&self, row_group: usize, columns: &[usize]) -> Result<Vec<ArrayRef>> {
        let mut batches = self.stream(row_group, columns, usize::MAX).await?;
        let mut pieces: Vec<Vec<ArrayRef>> = columns.iter().map(|_| Vec::new()).collect();
        while let Some((columns, _)) = batches.next().await? {
            pieces.iter_mut().zip(columns).for_each(|(piece, column)| piece.push(column));
        }
        let join = |mut arrays: Vec<ArrayRef>| match (arrays.pop(), arrays.as_slice()) {
            (Some(only), []) => Ok(only),
            (Some(last), _) => {
                arrays.push(last);
                let refs: Vec<_> = arrays.iter().map(AsRef::as_ref).collect();
                arrow::compute::concat(&refs).map_err(|e| self.damaged(e))
            }
            (None, _) => Err(self.damaged("row group without rows")),
        };
        pieces.into_iter().map(join).collect()
    }

    /// Columns of a row group in batches of so many rows, past the cache.
    pub async fn stream<'a>(&'a self, row_group: usize, columns: &'a [usize], batch_rows: usize) -> Result<Batches<'a>> {
        let footer = self.footer().await?;
        let rows = footer.row_groups.get(row_group).ok_or_else(|| self.damaged("no such row group"))?.rows;
        // The file's order is that of the schema; ours is that of the request.
        let mut stored: Vec<usize> = columns.iter().copied().filter(|c| *c < footer.columns).collect();
        stored.sort_unstable();
        let batch_rows = batch_rows.clamp(1, (rows as usize).max(1));
        let mut stream = None;
        if !stored.is_empty() {
            let mask = ProjectionMask::roots(footer.metadata.parquet_schema(), stored.iter().copied());
            let built = ParquetRecordBatchStreamBuilder::new_with_metadata(self.reader(), footer.metadata.clone())
                .with_row_groups(vec![row_group])
                .with_projection(mask)
                .with_batch_size(batch_rows)
                .build();
            stream = Some(built.map_err(|e| self.error(e))?);
        }
        Ok(Batches { segment: self, wanted: columns, stored, stream, batch_rows, rows, done: 0 })
    }

    /// The row group of a row, and its place there.
    pub async fn locate(&self, row: u32) -> Result<(usize, u32)> {
        let footer = self.footer().await?;
        let at = footer.row_groups.partition_point(|g| g.start <= row);
        let group = at.checked_sub(1).and_then(|i| footer.row_groups.get(i)).filter(|g| row - g.start < g.rows);
        match group {
            Some(g) => Ok((at - 1, row - g.start)),
            None => Err(self.damaged(format!("has no row {row}"))),
        }
    }
}

/// Some columns of a row group, batch by batch.
pub struct Batches<'a> {
    segment: &'a Segment,
    wanted: &'a [usize],
    /// Those of them that the file has, in its order.
    stored: Vec<usize>,
    /// `None` if there are none.
    stream: Option<ParquetRecordBatchStream<ParquetObjectReader>>,
    batch_rows: usize,
    rows: u32,
    done: u32,
}

impl Batches<'_> {
    /// The next rows, and how many they are; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<(Vec<ArrayRef>, u32)>> {
        let segment = self.segment;
        let left = self.rows - self.done;
        let batch = match &mut self.stream {
            Some(stream) => segment.in_time(stream.try_next()).await?,
            None => None,
        };
        let rows = match (&batch, &self.stream) {
            (Some(batch), _) => u32::try_from(batch.num_rows()).unwrap_or(u32::MAX),
            (None, None) => left.min(u32::try_from(self.batch_rows).unwrap_or(u32::MAX)),
            (None, Some(_)) => 0,
        };
        if rows > left || batch.as_ref().is_some_and(|b| b.num_columns() != self.stored.len()) || (rows == 0 && left > 0) {
            return Err(segment.damaged("row group is damaged"));
        }
        if rows == 0 {
            return Ok(None);
        }
        self.done += rows;
        let column = |c: &usize| match (self.stored.binary_search(c), &batch) {
            (Ok(at), Some(batch)) => from_file(batch.column(at), segment.layout.schema.field(*c).data_type()),
            _ => segment.layout.fill(*c, rows as usize),
        };
        Ok(Some((self.wanted.iter().map(column).collect::<Result<Vec<_>>>()?, rows)))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some(footer) = self.footer.get() {
            let groups = u32::try_from(footer.row_groups.len()).unwrap_or(u32::MAX);
            let columns = u32::try_from(self.layout.schema.fields().len()).unwrap_or(u32::MAX);
            self.io.cache.forget(self.uid, groups, columns);
        }
    }
}

/// Deletes what became garbage.
pub async fn collect_garbage(io: &Io, garbage: &mut mpsc::UnboundedReceiver<Path>) {
    while let Ok(path) = garbage.try_recv() {
        if let Err(e) = io.store.delete(&path).await
            && !matches!(e, object_store::Error::NotFound { .. })
        {
            tracing::warn!("could not delete segment {path}: {e}");
            // The storage may answer another time; what comes behind waits for it, too.
            let _ = io.garbage.send(path);
            return;
        }
    }
}

/// The schema of the file of a mirror with this schema.
pub fn file_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|f| Field::new(f.name(), file_type(f.data_type()), true)).collect();
    Arc::new(Schema::new(fields))
}

/// A column in the type it has in the file.
pub fn to_file(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Interval(_) => {
            let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
            let mut bytes = Vec::with_capacity(intervals.len() * 16);
            for v in intervals.values() {
                bytes.extend_from_slice(&v.months.to_le_bytes());
                bytes.extend_from_slice(&v.days.to_le_bytes());
                bytes.extend_from_slice(&v.nanoseconds.to_le_bytes());
            }
            Arc::new(FixedSizeBinaryArray::try_new(16, bytes.into(), intervals.nulls().cloned()).map_err(io_error)?)
        }
        DataType::List(item) => {
            let ty = file_type(item.data_type());
            if ty == *item.data_type() {
                return Ok(Arc::clone(array));
            }
            let list = array.as_list::<i32>();
            let field = Arc::new(Field::new(item.name(), ty, true));
            Arc::new(ListArray::try_new(field, list.offsets().clone(), to_file(list.values())?, list.nulls().cloned()).map_err(io_error)?)
        }
        _ => Arc::clone(array),
    })
}

/// The reverse of [`to_file`], checked against the type it must have.
fn from_file(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    let array: ArrayRef = match (array.data_type(), ty) {
        (DataType::FixedSizeBinary(16), DataType::Interval(_)) => {
            let binary = array.as_fixed_size_binary();
            let values: Option<Vec<_>> = (0..binary.len())
                .map(|i| {
                    let bytes: &[u8; 16] = binary.value(i).try_into().ok()?;
                    Some(IntervalMonthDayNanoType::make_value(
                        i32::from_le_bytes(*bytes.first_chunk()?),
                        i32::from_le_bytes(*bytes[4..].first_chunk()?),
                        i64::from_le_bytes(*bytes.last_chunk()?),
                    ))
                })
                .collect();
            let values = values.ok_or_else(|| io_error("damaged interval"))?;
            Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::try_new(values.into(), binary.nulls().cloned()).map_err(io_error)?)
        }
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let values = from_file(list.values(), item.data_type())?;
            Arc::new(ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, list.nulls().cloned()).map_err(io_error)?)
        }
        _ => Arc::clone(array),
    };
    if array.data_type() != ty {
        return Err(io_error(format!("a column is {} instead of {ty}", array.data_type())));
    }
    Ok(array)
}
