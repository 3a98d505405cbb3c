//! Rows of a query out of DuckDB's own vectors: many of its small chunks as one batch, each value copied once.
//!
//! Invariants:
//! - The arrays are of the types that DuckDB itself gives its columns in Arrow, bytes in their plain form; a result with a column of any other
//!   type is not begun here.
//! - A fetched chunk is flat, and destroyed before the next is fetched.
#![allow(unsafe_code)]

use super::raw::{Message, Prepared, text};
use crate::client::{BATCH_BYTES, BATCH_ROWS};
use arrow::array::{ArrayData, ArrayRef, BooleanBufferBuilder, NullBufferBuilder, RecordBatch, make_array};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use duckdb::ffi;
use std::sync::Arc;

/// Bytes of a value of this kind in a vector, where they are those of the Arrow type; and the Arrow type.
fn fixed(id: ffi::duckdb_type) -> Option<(usize, DataType)> {
    Some(match id {
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => (2, DataType::Int16),
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => (4, DataType::Int32),
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => (8, DataType::Int64),
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_FLOAT => (4, DataType::Float32),
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE => (8, DataType::Float64),
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_DATE => (4, DataType::Date32),
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP => (8, DataType::Timestamp(TimeUnit::Microsecond, None)),
        ffi::DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ => (8, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        _ => return None,
    })
}

/// Values of one column so far.
enum Values {
    Bool(BooleanBufferBuilder),
    Fixed {
        width: usize,
        bytes: MutableBuffer,
    },
    /// Decimals held in fewer bytes than Arrow's.
    Decimal {
        width: usize,
        values: Vec<i128>,
    },
    Text {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
    },
}

struct Column {
    ty: DataType,
    values: Values,
    nulls: NullBufferBuilder,
}

impl Column {
    /// `None` for a type that is not read here.
    fn of(ty: ffi::duckdb_logical_type) -> Option<Column> {
        // SAFETY: a live type.
        let id = unsafe { ffi::duckdb_get_type_id(ty) };
        let (ty, values) = match id {
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN => (DataType::Boolean, Values::Bool(BooleanBufferBuilder::new(0))),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR => (DataType::Utf8, Values::Text { offsets: vec![0], bytes: Vec::new() }),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_BLOB => (DataType::Binary, Values::Text { offsets: vec![0], bytes: Vec::new() }),
            ffi::DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL => {
                // SAFETY: a live type, which is a decimal.
                let (precision, scale, held) = unsafe { (ffi::duckdb_decimal_width(ty), ffi::duckdb_decimal_scale(ty), ffi::duckdb_decimal_internal_type(ty)) };
                let values = match held {
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT => Values::Decimal { width: 2, values: Vec::new() },
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_INTEGER => Values::Decimal { width: 4, values: Vec::new() },
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_BIGINT => Values::Decimal { width: 8, values: Vec::new() },
                    // Two words, the lower one first.
                    ffi::DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT if cfg!(target_endian = "little") => Values::Fixed { width: 16, bytes: MutableBuffer::new(0) },
                    _ => return None,
                };
                (DataType::Decimal128(precision, i8::try_from(scale).ok()?), values)
            }
            _ => {
                let (width, ty) = fixed(id)?;
                (ty, Values::Fixed { width, bytes: MutableBuffer::new(0) })
            }
        };
        Some(Column { ty, values, nulls: NullBufferBuilder::new(BATCH_ROWS) })
    }

    /// As [`Column::of`], of a type that is destroyed here.
    fn owned(mut ty: ffi::duckdb_logical_type) -> Option<Column> {
        // SAFETY: a live type, destroyed once; its alias is ours.
        unsafe {
            // A type with a name of its own, JSON for one, has another form in Arrow.
            let alias = ffi::duckdb_logical_type_get_alias(ty);
            let column = if alias.is_null() { Column::of(ty) } else { None };
            if !alias.is_null() {
                ffi::duckdb_free(alias.cast());
            }
            ffi::duckdb_destroy_logical_type(&raw mut ty);
            column
        }
    }

    /// Adds the rows of a vector.
    ///
    /// # Safety
    /// A flat vector of this column's type with so many rows.
    unsafe fn add(&mut self, vector: ffi::duckdb_vector, rows: usize) -> Result<(), Message> {
        // SAFETY: by contract the data has `rows` values, and the mask, if there is one, a bit for each.
        let (data, mask) = unsafe {
            let mask = ffi::duckdb_vector_get_validity(vector).cast_const();
            let mask = (!mask.is_null()).then(|| std::slice::from_raw_parts(mask, rows.div_ceil(64)));
            (ffi::duckdb_vector_get_data(vector).cast_const(), mask)
        };
        // Most vectors with a mask have no NULL in it.
        let mask = mask.filter(|words| !all_valid(words, rows));
        let valid = |row: usize| mask.is_none_or(|words| words.get(row / 64).is_none_or(|w| w >> (row % 64) & 1 == 1));
        match mask {
            None => self.nulls.append_n_non_nulls(rows),
            Some(_) => (0..rows).for_each(|row| self.nulls.append(valid(row))),
        }
        // SAFETY: as above, in the width of the type; at a NULL there is some value of that width.
        unsafe {
            match &mut self.values {
                Values::Bool(bits) => std::slice::from_raw_parts(data.cast::<u8>(), rows).iter().for_each(|b| bits.append(*b != 0)),
                Values::Fixed { width, bytes } => bytes.extend_from_slice(std::slice::from_raw_parts(data.cast::<u8>(), rows * *width)),
                Values::Decimal { width: 2, values } => values.extend(std::slice::from_raw_parts(data.cast::<i16>(), rows).iter().map(|v| i128::from(*v))),
                Values::Decimal { width: 4, values } => values.extend(std::slice::from_raw_parts(data.cast::<i32>(), rows).iter().map(|v| i128::from(*v))),
                Values::Decimal { values, .. } => values.extend(std::slice::from_raw_parts(data.cast::<i64>(), rows).iter().map(|v| i128::from(*v))),
                Values::Text { offsets, bytes } => strings(std::slice::from_raw_parts(data.cast(), rows), valid, offsets, bytes)?,
            }
        }
        Ok(())
    }

    /// The array, which leaves the column empty.
    fn finish(&mut self, rows: usize) -> Result<ArrayRef, Message> {
        let wrong = |e: arrow::error::ArrowError| format!("Internal Error: a result that cannot be read: {e}");
        let builder = ArrayData::builder(self.ty.clone()).len(rows).nulls(self.nulls.finish());
        let data = match &mut self.values {
            Values::Bool(bits) => builder.add_buffer(bits.finish().into_inner()).build(),
            Values::Fixed { width, bytes } => builder.add_buffer(std::mem::replace(bytes, MutableBuffer::with_capacity(BATCH_ROWS * *width)).into()).build(),
            Values::Decimal { values, .. } => builder.add_buffer(Buffer::from_vec(std::mem::replace(values, Vec::with_capacity(BATCH_ROWS)))).build(),
            Values::Text { offsets, bytes } => {
                let mut next = Vec::with_capacity(BATCH_ROWS + 1);
                next.push(0);
                let room = Vec::with_capacity(bytes.len());
                let builder = builder.add_buffer(Buffer::from_vec(std::mem::replace(offsets, next)));
                let builder = builder.add_buffer(Buffer::from_vec(std::mem::replace(bytes, room)));
                // SAFETY: the offsets ascend from 0 to the length, and DuckDB lets nothing into a VARCHAR that is not UTF-8.
                Ok(unsafe { builder.build_unchecked() })
            }
        };
        data.map(make_array).map_err(wrong)
    }
}

/// Whether the first so many bits are all set.
fn all_valid(words: &[u64], rows: usize) -> bool {
    let whole = rows / 64;
    let rest = rows % 64;
    words.iter().take(whole).all(|w| *w == u64::MAX) && (rest == 0 || words.get(whole).is_none_or(|w| w.trailing_ones() as usize >= rest))
}

/// Adds strings one after the other.
///
/// # Safety
/// Strings of a live vector; what stands where `valid` says no is not looked at.
unsafe fn strings(from: &[ffi::duckdb_string_t], valid: impl Fn(usize) -> bool, offsets: &mut Vec<i32>, bytes: &mut Vec<u8>) -> Result<(), Message> {
    /// The longest string that is held in place. Source: `string_t::INLINE_LENGTH` of DuckDB.
    const INLINE: usize = 12;
    // SAFETY: both forms begin with the length.
    let length = |s: &ffi::duckdb_string_t| unsafe { s.value.inlined.length } as usize;
    let more: usize = from.iter().enumerate().filter(|(row, _)| valid(*row)).map(|(_, s)| length(s)).sum();
    // One past the end of the last: short strings are copied in their whole place.
    bytes.reserve(more + INLINE);
    if i32::try_from(bytes.len() + more).is_err() {
        return Err("Out of Range Error: text of more than 2 GB in a few rows".into());
    }
    offsets.reserve(from.len());
    for (row, s) in from.iter().enumerate() {
        if valid(row) {
            let n = length(s);
            // SAFETY: there is room for all strings and the place of one; a longer string lives as long as its vector.
            unsafe {
                let end = bytes.len();
                let to = bytes.as_mut_ptr().add(end);
                if n <= INLINE {
                    std::ptr::copy_nonoverlapping((&raw const s.value.inlined.inlined).cast::<u8>(), to, INLINE);
                } else {
                    std::ptr::copy_nonoverlapping(s.value.pointer.ptr.cast::<u8>(), to, n);
                }
                bytes.set_len(end + n);
            }
        }
        offsets.push(bytes.len() as i32);
    }
    Ok(())
}

/// A query that runs.
pub struct Chunks {
    result: ffi::duckdb_result,
    columns: Vec<Column>,
    schema: SchemaRef,
    ended: bool,
}

impl Chunks {
    /// Starts a prepared query; `None`, and nothing is started, if it has a column of a type that is not read here.
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn start(statement: &Prepared) -> Result<Option<Chunks>, Message> {
        // SAFETY: a prepared statement; a new handle for each of its columns.
        let announced = unsafe {
            let count = ffi::duckdb_prepared_statement_column_count(statement.raw());
            (0..count).map(|i| Column::owned(ffi::duckdb_prepared_statement_column_logical_type(statement.raw(), i))).collect::<Option<Vec<_>>>()
        };
        if announced.is_none_or(|columns| columns.is_empty()) {
            return Ok(None);
        }
        // SAFETY: a result is plain data that DuckDB fills; all zero is how its users begin.
        let mut chunks = Chunks { result: unsafe { std::mem::zeroed() }, columns: Vec::new(), schema: Arc::new(Schema::empty()), ended: false };
        // SAFETY: a prepared statement and a place for its result, which is destroyed with `chunks`.
        let state = unsafe { ffi::duckdb_execute_prepared_streaming(statement.raw(), &raw mut chunks.result) };
        if state != ffi::DuckDBSuccess {
            return Err(chunks.error());
        }
        // A table that has changed since may have changed the types, too.
        // SAFETY: a result that is there; a new handle for each of its columns.
        let columns = unsafe {
            let count = ffi::duckdb_column_count(&raw mut chunks.result);
            (0..count).map(|i| Column::owned(ffi::duckdb_column_logical_type(&raw mut chunks.result, i))).collect::<Option<Vec<_>>>()
        };
        chunks.columns = columns.ok_or("Invalid Input Error: a table has changed while it was asked for")?;
        let fields: Vec<_> = chunks.columns.iter().enumerate().map(|(i, c)| Field::new(format!("c{i}"), c.ty.clone(), true)).collect();
        chunks.schema = Arc::new(Schema::new(fields));
        Ok(Some(chunks))
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn error(&mut self) -> Message {
        // SAFETY: a result holds its message, if there is one.
        text(unsafe { ffi::duckdb_result_error(&raw mut self.result) })
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn next(&mut self) -> Result<Option<RecordBatch>, Message> {
        let (mut rows, mut bytes) = (0, 0);
        while !self.ended && rows < BATCH_ROWS && bytes < BATCH_BYTES {
            // SAFETY: a running result; what is fetched is ours until it is destroyed.
            let mut chunk = unsafe { ffi::duckdb_fetch_chunk(self.result) };
            if chunk.is_null() {
                self.ended = true;
                // SAFETY: as above.
                if unsafe { !ffi::duckdb_result_error(&raw mut self.result).is_null() } {
                    return Err(self.error());
                }
                break;
            }
            // SAFETY: a live chunk.
            let n = usize::try_from(unsafe { ffi::duckdb_data_chunk_get_size(chunk) }).unwrap_or(0);
            let mut added = Ok(());
            for (i, column) in self.columns.iter_mut().enumerate() {
                // SAFETY: the chunk has a vector for each column of the result, in the announced types, with `n` rows.
                added = added.and_then(|()| unsafe { column.add(ffi::duckdb_data_chunk_get_vector(chunk, i as u64), n) });
            }
            // SAFETY: fetched above, destroyed once; nothing points into it any more.
            unsafe { ffi::duckdb_destroy_data_chunk(&raw mut chunk) };
            added?;
            self.ended = n == 0;
            rows += n;
            bytes = self.columns.iter().map(|c| if let Values::Text { bytes, .. } = &c.values { bytes.len() } else { 0 }).sum();
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = self.columns.iter_mut().map(|c| c.finish(rows)).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map(Some).map_err(|e| format!("Internal Error: a result that cannot be read: {e}"))
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        // SAFETY: filled by `start`, destroyed once.
        unsafe { ffi::duckdb_destroy_result(&raw mut self.result) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::duckdb::raw::Database;

    fn rows(sql: &str) -> Result<Option<Vec<RecordBatch>>, Message> {
        let database = Database::open(":memory:", &[])?;
        let session = database.session()?;
        let statement = session.statements(sql)?.prepare(0)?;
        let Some(mut chunks) = Chunks::start(&statement)? else { return Ok(None) };
        let mut out = Vec::new();
        while let Some(batch) = chunks.next()? {
            out.push(batch);
        }
        Ok(Some(out))
    }

    /// What the crate makes of the same query.
    fn as_the_crate(sql: &str) -> Vec<RecordBatch> {
        let database = Database::open(":memory:", &[("arrow_output_version", "1.4".into()), ("produce_arrow_string_view", "false".into())]).expect("opens");
        let connection = database.connect().expect("connects");
        let mut statement = connection.prepare(sql).expect("prepares");
        statement.stream_arrow([]).expect("runs").collect()
    }

    fn columns(batches: &[RecordBatch]) -> Vec<ArrayRef> {
        let width = batches.first().map_or(0, RecordBatch::num_columns);
        (0..width)
            .map(|i| {
                let parts: Vec<&dyn arrow::array::Array> = batches.iter().map(|b| b.column(i).as_ref()).collect();
                arrow::compute::concat(&parts).expect("of one type")
            })
            .collect()
    }

    #[test]
    fn rows_are_those_of_the_crate() {
        let values = "i::SMALLINT - 7 AS a, i::INTEGER AS b, i * 1000003 AS c, (i / 7)::FLOAT AS d, i / 3.0::DOUBLE AS e, (i % 2 = 0) AS f, DATE '2000-01-01' + i::INTEGER AS g, \
            TIMESTAMP '2000-01-01' + to_seconds(i) AS h, TIMESTAMPTZ '2000-01-01 00:00:00+00' + to_seconds(i) AS j, (i / 7)::DECIMAL(4, 1) AS k, \
            (i / 7)::DECIMAL(9, 2) AS l, (i / 7)::DECIMAL(18, 3) AS m, (i / -7)::DECIMAL(38, 9) AS n, repeat('é', i::INTEGER % 9) AS o, md5(i::VARCHAR) AS p, md5(i::VARCHAR)::BLOB AS q";
        let some = |every: &str| format!("SELECT {every} FROM (SELECT {values} FROM range(20000) t(i) WHERE i < 200 OR i % 100 < 60)");
        let holes = "abcdefghjklmnopq".chars().map(|c| format!("CASE WHEN b % 11 <> 3 OR b BETWEEN 2000 AND 9000 THEN {c} END AS {c}"));
        for sql in [
            some("*"),
            some(&holes.collect::<Vec<_>>().join(", ")),
            some("NULL::INTEGER, NULL::VARCHAR, NULL::DECIMAL(18,2)"),
            format!("{} ORDER BY b DESC", some("*")),
        ] {
            // Smallint holds no more.
            let sql = sql.replace("i::SMALLINT - 7", "(i % 30000)::SMALLINT - 7");
            let sql = sql.replace("(i / 7)::DECIMAL(4, 1)", "(i % 700 / 7)::DECIMAL(4, 1)");
            let ours = rows(&sql).expect("runs").expect("all types are read");
            assert!(ours.iter().all(|b| b.num_rows() <= BATCH_ROWS + 2048));
            let (ours, theirs) = (columns(&ours), columns(&as_the_crate(&sql)));
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.data_type().primitive_width(), theirs.data_type().primitive_width());
                let theirs = arrow::compute::cast(theirs, ours.data_type()).expect("plain, or another name of UTC");
                assert_eq!(ours.to_data().nulls(), theirs.to_data().nulls());
                assert_eq!(ours, &theirs);
            }
        }
    }

    #[test]
    fn what_is_not_read_here_is_not_begun() {
        for ty in ["'1'::JSON", "1::HUGEINT", "[1]", "TIME '01:02'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID", "1::UTINYINT"] {
            assert!(rows(&format!("SELECT 1, {ty}")).expect("prepares").is_none(), "{ty}");
        }
    }

    #[test]
    fn an_error_in_the_midst_is_one() {
        let e = rows("SELECT CASE WHEN i < 90000 THEN i ELSE CAST('x' AS BIGINT) END FROM range(100000) t(i)").expect_err("fails");
        assert!(e.contains("Could not convert"), "{e}");
        assert_eq!(rows("SELECT 1 AS a WHERE false").expect("runs").map(|b| b.len()), Some(0));
    }
}
