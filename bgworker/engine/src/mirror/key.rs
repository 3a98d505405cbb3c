//! Keys of rows: how a changed row is found again.
//!
//! Invariants:
//! - Two keys are equal exactly if the rows' key values are identical as they are held, with NULL equal to NULL. Postgres logs the old
//!   key as it is stored, so identity is the right equality even under collations that hold different texts for equal.
//! - A single integer column, by far the most frequent key, is held as a number; everything else in Arrow's row format.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use foldhash::quality::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use weir_plan::{Error, Result};

/// The key of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Int(i64),
    Bytes(Box<[u8]>),
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Key::Int(i) => state.write_i64(*i),
            Key::Bytes(b) => state.write(b),
        }
    }
}

/// Reads keys out of batches.
#[derive(Debug)]
pub struct KeyCodec {
    /// Physical columns of the key.
    columns: Vec<usize>,
    form: Form,
    /// No two live rows have the same key, and no key has a NULL.
    pub unique: bool,
}

#[derive(Debug)]
enum Form {
    Int,
    Rows(RowConverter),
}

/// Keys of many rows.
pub enum Keys {
    Ints(Vec<i64>),
    Rows(Rows),
}

impl Keys {
    pub fn key(&self, row: usize) -> Key {
        match self {
            Keys::Ints(v) => Key::Int(v[row]),
            Keys::Rows(rows) => Key::Bytes(rows.row(row).data().into()),
        }
    }

    pub fn equals(&self, row: usize, key: &Key) -> bool {
        match (self, key) {
            (Keys::Ints(v), Key::Int(k)) => v[row] == *k,
            (Keys::Rows(rows), Key::Bytes(k)) => rows.row(row).data() == &**k,
            _ => false,
        }
    }
}

fn arrow_error(e: arrow::error::ArrowError) -> Error {
    Error::internal(format!("key: {e}"))
}

impl KeyCodec {
    /// The key of a mirror without one: the whole row.
    pub fn full_row(schema: &Schema) -> Result<Self> {
        let columns: Vec<usize> = (0..schema.fields().len()).collect();
        Ok(Self { form: Form::Rows(converter(schema, &columns)?), columns, unique: false })
    }

    pub fn columns(schema: &Schema, columns: Vec<usize>) -> Result<Self> {
        let form = match columns.as_slice() {
            [only] if is_int(schema.field(*only).data_type()) => Form::Int,
            _ => Form::Rows(converter(schema, &columns)?),
        };
        Ok(Self { columns, form, unique: true })
    }

    /// The physical columns that make up the key.
    pub fn physical(&self) -> &[usize] {
        &self.columns
    }

    /// Keys of all rows of a batch with all physical columns.
    ///
    /// # Errors
    /// A key column with NULL, which is what a value becomes that Arrow cannot hold.
    pub fn of_batch(&self, batch: &RecordBatch) -> Result<Keys> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|&c| batch.column(c).clone()).collect();
        self.of_columns(&columns)
    }

    /// Keys of all rows, from the key columns only.
    ///
    /// # Errors
    /// As [`KeyCodec::of_batch`].
    pub fn of_columns(&self, columns: &[ArrayRef]) -> Result<Keys> {
        if self.unique && columns.iter().any(|c| c.null_count() > 0) {
            return Err(Error::refused("a key column holds a value that the mirror cannot hold"));
        }
        match &self.form {
            Form::Int => match columns.first() {
                Some(column) => ints(column.as_ref()).map(Keys::Ints).ok_or_else(|| Error::internal("key column is not an integer")),
                None => Err(Error::internal("key without columns")),
            },
            Form::Rows(converter) => converter.convert_columns(columns).map(Keys::Rows).map_err(arrow_error),
        }
    }

    /// The value of the first key column of a key as a number, if it is one: for pruning by range.
    pub fn lead(&self, key: &Key, schema: &Schema) -> Option<i64> {
        let bytes = match key {
            Key::Int(i) => return Some(*i),
            Key::Bytes(bytes) => bytes,
        };
        // Arrow's row format of an integer: a byte 1 for not NULL, then big-endian with the sign bit flipped.
        let (valid, rest) = bytes.split_first()?;
        if *valid != 1 {
            return None;
        }
        Some(match schema.field(*self.columns.first()?).data_type() {
            DataType::Int16 => i64::from(i16::from_be_bytes(*rest.first_chunk()?) ^ i16::MIN),
            DataType::Int32 => i64::from(i32::from_be_bytes(*rest.first_chunk()?) ^ i32::MIN),
            DataType::Int64 => i64::from_be_bytes(*rest.first_chunk()?) ^ i64::MIN,
            _ => return None,
        })
    }
}

fn is_int(ty: &DataType) -> bool {
    matches!(ty, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

fn converter(schema: &Schema, columns: &[usize]) -> Result<RowConverter> {
    RowConverter::new(columns.iter().map(|&c| SortField::new(schema.field(c).data_type().clone())).collect()).map_err(arrow_error)
}

/// The values of an integer column, NULLs as anything.
pub fn ints(column: &dyn Array) -> Option<Vec<i64>> {
    Some(match column.data_type() {
        DataType::Int16 => column.as_primitive::<Int16Type>().values().iter().map(|&v| i64::from(v)).collect(),
        DataType::Int32 => column.as_primitive::<Int32Type>().values().iter().map(|&v| i64::from(v)).collect(),
        DataType::Int64 => column.as_primitive::<Int64Type>().values().to_vec(),
        _ => return None,
    })
}

/// Hashes keys the same way for indexes of segments and of the delta. The filter of a segment takes a hash apart, so all of its bits must be
/// good: with the faster hash of hashbrown, one seed in a hundred let consecutive numbers through five times as often.
#[derive(Debug, Clone, Default)]
pub struct KeyHasher(RandomState);

impl KeyHasher {
    pub fn hash(&self, key: &Key) -> u64 {
        self.0.hash_one(key)
    }

    /// The hash of a row's key in the row format, as [`KeyHasher::hash`] of its `Key::Bytes`.
    pub fn hash_bytes(&self, bytes: &[u8]) -> u64 {
        let mut state = self.0.build_hasher();
        state.write(bytes);
        state.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, Int64Array, StringViewArray};
    use arrow::datatypes::Field;
    use std::sync::Arc;

    #[test]
    fn the_leading_number_is_read_back() {
        let schema =
            Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int64, true), Field::new("c", DataType::Utf8View, true)]);
        let values = [i32::MIN, -1, 0, 1, i32::MAX];
        let a: ArrayRef = Arc::new(Int32Array::from(values.to_vec()));
        let b: ArrayRef = Arc::new(Int64Array::from(values.map(i64::from).to_vec()));
        let c: ArrayRef = Arc::new(StringViewArray::from(vec!["x"; 5]));
        for columns in [vec![0, 2], vec![1, 2], vec![0], vec![1]] {
            let codec = KeyCodec::columns(&schema, columns.clone()).expect("supported");
            let arrays: Vec<ArrayRef> = columns.iter().map(|&i| [&a, &b, &c][i].clone()).collect();
            let keys = codec.of_columns(&arrays).expect("keys");
            for (i, v) in values.iter().enumerate() {
                assert_eq!(codec.lead(&keys.key(i), &schema), Some(i64::from(*v)));
                let hasher = KeyHasher::default();
                if let Key::Bytes(bytes) = keys.key(i) {
                    assert_eq!(hasher.hash(&Key::Bytes(bytes.clone())), hasher.hash_bytes(&bytes));
                }
            }
        }
        let text_first = KeyCodec::columns(&schema, vec![2, 0]).expect("supported");
        let keys = text_first.of_columns(&[c, a]).expect("keys");
        assert_eq!(text_first.lead(&keys.key(0), &schema), None);
    }
}
