//! A table function through which DuckDB reads batches of this process: `weir_scan(name, number)`.
//!
//! Invariants:
//! - A scan is found by its number, which is never used twice; who registered it removes it.
//! - Only the columns that a query uses are read. Strings are not copied: a chunk points into its batch, which the reader keeps until it is
//!   asked for the rows after the next (an operator that keeps rows copies their strings).
//! - No panic crosses into DuckDB: it becomes an error of the query.
#![allow(unsafe_code)]

use arrow::array::{Array, ArrayRef, AsArray, GenericByteViewArray, RecordBatch};
use arrow::datatypes::*;
use duckdb::ffi;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_plan::types::{PgType, oid};
use weir_plan::{Error, Result};

const NAME: &CStr = c"weir_scan";

/// A table that can be read.
pub trait Feed: Send + Sync {
    fn schema(&self) -> SchemaRef;
    /// About how many rows it has.
    fn rows(&self) -> u64;
    /// Begins to read these columns. Each row goes to one of the readers.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn open(&self, columns: &[usize]) -> Result<Box<dyn Opened>>;
}

/// One pass over a table.
pub trait Opened: Send + Sync {
    fn readers(&self) -> usize;
    /// The i-th reader; asked for once.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn reader(&self, i: usize) -> Result<Reader>;
}

/// The batches of one reader.
pub type Reader = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Whether values of this type go to DuckDB and back without any change.
pub fn holds(ty: &PgType) -> bool {
    match ty.base {
        oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::BYTEA => true,
        oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => true,
        oid::NUMERIC => ty.numeric_precision_scale().is_some_and(|(p, s)| (1..=38).contains(&p) && (0..=p).contains(&s)),
        _ => false,
    }
}

/// The scans that can be read at the moment.
#[derive(Default)]
pub struct Scans(Mutex<HashMap<i64, Arc<dyn Feed>>>);

/// A number for a scan in a database where others run SQL of their own: they cannot guess it.
pub fn secret_number() -> i64 {
    use std::hash::BuildHasher;
    (std::hash::RandomState::new().hash_one(next_number()) >> 1).cast_signed()
}

/// A number for a scan.
pub fn next_number() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Scans {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<dyn Feed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn insert(&self, number: i64, feed: Arc<dyn Feed>) {
        self.lock().insert(number, feed);
    }

    pub fn remove(&self, number: i64) {
        self.lock().remove(&number);
    }

    fn get(&self, number: i64) -> Option<Arc<dyn Feed>> {
        self.lock().get(&number).cloned()
    }
}

/// Makes the function known to the database of a connection.
///
/// # Errors
/// DuckDB does not take it.
///
/// # Safety
/// The connection must be open.
pub unsafe fn register(connection: ffi::duckdb_connection, scans: &Arc<Scans>) -> Result<(), String> {
    // SAFETY: handles are made here and destroyed once; the function holds a reference of its own to `scans`, which `drop_scans` gives back.
    unsafe {
        let mut function = ffi::duckdb_create_table_function();
        ffi::duckdb_table_function_set_name(function, NAME.as_ptr());
        for id in [ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR, ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT] {
            let mut ty = ffi::duckdb_create_logical_type(id);
            ffi::duckdb_table_function_add_parameter(function, ty);
            ffi::duckdb_destroy_logical_type(&raw mut ty);
        }
        ffi::duckdb_table_function_set_extra_info(function, Arc::into_raw(Arc::clone(scans)).cast_mut().cast(), Some(drop_scans));
        ffi::duckdb_table_function_set_bind(function, Some(bind));
        ffi::duckdb_table_function_set_init(function, Some(init));
        ffi::duckdb_table_function_set_local_init(function, Some(local_init));
        ffi::duckdb_table_function_set_function(function, Some(produce));
        ffi::duckdb_table_function_supports_projection_pushdown(function, true);
        let state = ffi::duckdb_register_table_function(connection, function);
        ffi::duckdb_destroy_table_function(&raw mut function);
        if state == ffi::DuckDBSuccess { Ok(()) } else { Err("the table function cannot be registered".into()) }
    }
}

unsafe extern "C" fn drop_scans(data: *mut c_void) {
    // SAFETY: the pointer of `register`, given back once.
    drop(unsafe { Arc::from_raw(data.cast_const().cast::<Scans>()) });
}

unsafe extern "C" fn drop_box<T>(data: *mut c_void) {
    // SAFETY: the pointer of a `Box<T>` handed over by the callbacks below, given back once.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
}

/// What a callback returns, with panics as errors.
fn guarded(work: impl FnOnce() -> Result<()>) -> Option<CString> {
    let message = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return None,
        Ok(Err(e)) => e.message,
        Err(_) => "a scan failed".into(),
    };
    Some(CString::new(message.replace('\0', "")).unwrap_or_default())
}

/// The type of a column there; `None` where `holds` says no.
fn logical_type(ty: &DataType) -> Option<ffi::duckdb_logical_type> {
    let id = match ty {
        // SAFETY: makes a new handle.
        DataType::Decimal128(p, s) => return Some(unsafe { ffi::duckdb_create_decimal_type(*p, u8::try_from(*s).ok()?) }),
        DataType::Boolean => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN,
        DataType::Int16 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT,
        DataType::Int32 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER,
        DataType::Int64 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT,
        DataType::Float32 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT,
        DataType::Float64 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE,
        DataType::Utf8View => ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
        DataType::BinaryView => ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB,
        DataType::Date32 => ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE,
        DataType::Time64(TimeUnit::Microsecond) => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIME,
        DataType::Timestamp(TimeUnit::Microsecond, None) => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ,
        _ => return None,
    };
    // SAFETY: makes a new handle.
    Some(unsafe { ffi::duckdb_create_logical_type(id) })
}

unsafe extern "C" fn bind(info: ffi::duckdb_bind_info) {
    let failed = guarded(|| {
        // SAFETY: DuckDB passes a live `info`; its extra info is that of `register`; the value is destroyed once.
        let (scans, number) = unsafe {
            let scans = &*ffi::duckdb_bind_get_extra_info(info).cast_const().cast::<Scans>();
            let mut value = ffi::duckdb_bind_get_parameter(info, 1);
            let number = ffi::duckdb_get_int64(value);
            ffi::duckdb_destroy_value(&raw mut value);
            (scans, number)
        };
        let feed = scans.get(number).ok_or_else(|| Error::internal("a scan that is gone"))?;
        let schema = feed.schema();
        // There has to be a column, even where only rows are counted.
        let none = Arc::new(Field::new("none", DataType::Int64, true));
        for field in schema.fields().iter().chain(schema.fields().is_empty().then_some(&none)) {
            let name = CString::new(field.name().as_str()).map_err(|_| Error::internal("a column name with a zero byte"))?;
            let mut ty = logical_type(field.data_type()).ok_or_else(|| Error::refused(format!("DuckDB has no type for {}", field.data_type())))?;
            // SAFETY: a live `info`, a C string and a type, both copied; the type is destroyed once.
            unsafe {
                ffi::duckdb_bind_add_result_column(info, name.as_ptr(), ty);
                ffi::duckdb_destroy_logical_type(&raw mut ty);
            }
        }
        // SAFETY: a live `info`; the box is given back by `drop_box` of the same type.
        unsafe {
            ffi::duckdb_bind_set_cardinality(info, feed.rows(), false);
            ffi::duckdb_bind_set_bind_data(info, Box::into_raw(Box::new(feed)).cast(), Some(drop_box::<Arc<dyn Feed>>));
        }
        Ok(())
    });
    if let Some(message) = failed {
        // SAFETY: a live `info`; the message is copied.
        unsafe { ffi::duckdb_bind_set_error(info, message.as_ptr()) };
    }
}

/// A pass, shared by its threads.
struct Pass {
    opened: Box<dyn Opened>,
    /// For each column that is wanted, its place in the batches; `None` where only rows are counted.
    places: Vec<Option<usize>>,
    next: AtomicUsize,
}

/// What one thread reads.
#[derive(Default)]
struct Local {
    reader: Option<Reader>,
    batch: Option<RecordBatch>,
    /// Rows of it that have been given out.
    given: usize,
    /// Rows given out last may still be looked at.
    last: Option<RecordBatch>,
    ended: bool,
}

unsafe extern "C" fn init(info: ffi::duckdb_init_info) {
    let failed = guarded(|| {
        // SAFETY: a live `info`, whose bind data is the box of `bind`.
        let (feed, wanted) = unsafe {
            let feed = &*ffi::duckdb_init_get_bind_data(info).cast_const().cast::<Arc<dyn Feed>>();
            let n = ffi::duckdb_init_get_column_count(info);
            (feed, (0..n).map(|i| ffi::duckdb_init_get_column_index(info, i)).collect::<Vec<_>>())
        };
        let width = feed.schema().fields().len();
        let mut columns: Vec<usize> = Vec::new();
        let places = wanted
            .into_iter()
            .map(|i| {
                let column = usize::try_from(i).ok().filter(|c| *c < width)?;
                Some(columns.iter().position(|c| *c == column).unwrap_or_else(|| {
                    columns.push(column);
                    columns.len() - 1
                }))
            })
            .collect();
        let opened = feed.open(&columns)?;
        let readers = opened.readers().max(1) as u64;
        let pass = Box::new(Pass { opened, places, next: AtomicUsize::new(0) });
        // SAFETY: a live `info`; the box is given back by `drop_box` of the same type.
        unsafe {
            ffi::duckdb_init_set_max_threads(info, readers);
            ffi::duckdb_init_set_init_data(info, Box::into_raw(pass).cast(), Some(drop_box::<Pass>));
        }
        Ok(())
    });
    if let Some(message) = failed {
        // SAFETY: a live `info`; the message is copied.
        unsafe { ffi::duckdb_init_set_error(info, message.as_ptr()) };
    }
}

unsafe extern "C" fn local_init(info: ffi::duckdb_init_info) {
    // SAFETY: a live `info`; the box is given back by `drop_box` of the same type.
    unsafe { ffi::duckdb_init_set_init_data(info, Box::into_raw(Box::new(Local::default())).cast(), Some(drop_box::<Local>)) };
}

unsafe extern "C" fn produce(info: ffi::duckdb_function_info, chunk: ffi::duckdb_data_chunk) {
    let failed = guarded(|| {
        // SAFETY: a live `info`, whose data are the boxes of `init` and `local_init`; a thread has its own local data.
        let (pass, local) = unsafe {
            (&*ffi::duckdb_function_get_init_data(info).cast_const().cast::<Pass>(), &mut *ffi::duckdb_function_get_local_init_data(info).cast::<Local>())
        };
        let rows = local.advance(pass)?;
        if let Some(batch) = &local.batch {
            for (i, place) in pass.places.iter().enumerate() {
                // SAFETY: a live chunk with as many vectors as columns are wanted.
                let vector = unsafe { ffi::duckdb_data_chunk_get_vector(chunk, i as u64) };
                match place.and_then(|p| batch.columns().get(p)) {
                    Some(column) => fill(vector, &column.slice(local.given, rows))?,
                    // SAFETY: a vector of row numbers, eight bytes each, of which nobody looks at the values.
                    None => unsafe { ffi::duckdb_vector_get_data(vector).cast::<i64>().write_bytes(0, rows) },
                }
            }
            local.given += rows;
        }
        // SAFETY: a live chunk; not more rows than a vector holds.
        unsafe { ffi::duckdb_data_chunk_set_size(chunk, rows as u64) };
        Ok(())
    });
    if let Some(message) = failed {
        // SAFETY: a live `info`; the message is copied.
        unsafe { ffi::duckdb_function_set_error(info, message.as_ptr()) };
    }
}

impl Local {
    /// How many rows come next; 0 at the end.
    fn advance(&mut self, pass: &Pass) -> Result<usize> {
        // SAFETY: asks for a constant.
        let most = usize::try_from(unsafe { ffi::duckdb_vector_size() }).unwrap_or(2048);
        loop {
            if let Some(batch) = &self.batch
                && self.given < batch.num_rows()
            {
                return Ok(most.min(batch.num_rows() - self.given));
            }
            if self.ended {
                return Ok(0);
            }
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => {
                    let i = pass.next.fetch_add(1, Ordering::Relaxed);
                    if i >= pass.opened.readers() {
                        self.ended = true;
                        continue;
                    }
                    self.reader.insert(pass.opened.reader(i)?)
                }
            };
            let next = reader.next().transpose()?;
            self.ended = next.is_none();
            self.given = 0;
            self.last = std::mem::replace(&mut self.batch, next);
        }
    }
}

/// Puts the values into a vector.
fn fill(vector: ffi::duckdb_vector, array: &ArrayRef) -> Result<()> {
    match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean();
            write(vector, (0..values.len()).map(|i| values.value(i)));
        }
        DataType::Int16 => copy(vector, array.as_primitive::<Int16Type>().values()),
        DataType::Int32 => copy(vector, array.as_primitive::<Int32Type>().values()),
        DataType::Int64 => copy(vector, array.as_primitive::<Int64Type>().values()),
        DataType::Float32 => copy(vector, array.as_primitive::<Float32Type>().values()),
        DataType::Float64 => copy(vector, array.as_primitive::<Float64Type>().values()),
        DataType::Time64(TimeUnit::Microsecond) => copy(vector, array.as_primitive::<Time64MicrosecondType>().values()),
        // Minus infinity is the least value but one there.
        DataType::Date32 => write(vector, array.as_primitive::<Date32Type>().values().iter().map(|d| (*d).max(-i32::MAX))),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            write(vector, array.as_primitive::<TimestampMicrosecondType>().values().iter().map(|t| (*t).max(-i64::MAX)));
        }
        DataType::Decimal128(p, _) => {
            let values = array.as_primitive::<Decimal128Type>().values().iter();
            // Held in the least width that has the digits. What lies below a NULL may be anything.
            match p {
                ..=4 => write(vector, values.map(|v| *v as i16)),
                5..=9 => write(vector, values.map(|v| *v as i32)),
                10..=18 => write(vector, values.map(|v| *v as i64)),
                _ => write(vector, values.map(|v| [*v as u64, (*v >> 64) as u64])),
            }
        }
        DataType::Utf8View => strings(vector, array.as_string_view()),
        DataType::BinaryView => strings(vector, array.as_binary_view()),
        other => return Err(Error::refused(format!("DuckDB has no type for {other}"))),
    }
    if let Some(nulls) = array.nulls().filter(|n| n.null_count() > 0) {
        // SAFETY: makes the mask writable, which then has a bit for each row that a vector holds.
        let mask = unsafe {
            ffi::duckdb_vector_ensure_validity_writable(vector);
            ffi::duckdb_vector_get_validity(vector)
        };
        for word in 0..nulls.len().div_ceil(64) {
            let from = word * 64;
            let bits = (from..nulls.len().min(from + 64)).fold(0u64, |bits, i| bits | (u64::from(nulls.is_valid(i)) << (i - from)));
            // SAFETY: within the mask.
            unsafe { mask.add(word).write(bits) };
        }
    }
    Ok(())
}

fn copy<T: Copy>(vector: ffi::duckdb_vector, values: &[T]) {
    // SAFETY: the vector's values have the type that `logical_type` gave it, of this width; not more than a vector holds.
    unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), ffi::duckdb_vector_get_data(vector).cast::<T>(), values.len()) };
}

fn write<T>(vector: ffi::duckdb_vector, values: impl ExactSizeIterator<Item = T>) {
    // SAFETY: as in `copy`.
    let to = unsafe { ffi::duckdb_vector_get_data(vector) }.cast::<T>();
    for (i, value) in values.enumerate() {
        // SAFETY: as in `copy`.
        unsafe { to.add(i).write(value) };
    }
}

/// A string is 16 bytes there as in Arrow: the length, then up to 12 bytes of text, or the first 4 of it and where it is; a pointer there, a
/// buffer's number and an offset in Arrow.
fn strings<T: ByteViewType>(vector: ffi::duckdb_vector, array: &GenericByteViewArray<T>) {
    let buffers = array.data_buffers();
    let views = array.views().iter().map(|view| {
        let length = (*view & u128::from(u32::MAX)) as u32;
        if length <= 12 {
            return *view;
        }
        let (buffer, offset) = ((*view >> 64) as u32 as usize, (*view >> 96) as u32 as usize);
        // What lies below a NULL may be anything.
        match buffers.get(buffer).and_then(|b| b.as_slice().get(offset..)).filter(|rest| rest.len() >= length as usize) {
            Some(text) => (*view & u128::from(u64::MAX)) | ((text.as_ptr() as usize as u128) << 64),
            None => 0,
        }
    });
    write(vector, views);
}
