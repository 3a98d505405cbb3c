//! Result batches as the backend reads them: bounded pieces of one IPC stream.
//!
//! String and binary views become plain arrays: a view may share a buffer far larger than what it shows, and all of it would travel.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;
use weir_plan::arrow_ipc::{Encoder, Piece};
use weir_plan::{Error, Result};

/// Aim for the size of one piece; a single row may exceed it.
const PIECE_BYTES: usize = 4 << 20;

pub struct Output {
    encoder: Encoder,
    schema: SchemaRef,
}

fn wire_type(t: &DataType) -> DataType {
    match t {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => wire_type(value),
        DataType::List(item) => DataType::List(Arc::new(Field::new(item.name(), wire_type(item.data_type()), item.is_nullable()))),
        other => other.clone(),
    }
}

impl Output {
    /// The output and the head of its stream.
    pub fn start(schema: &SchemaRef) -> Result<(Output, Vec<u8>)> {
        let fields: Vec<Field> = schema.fields().iter().enumerate().map(|(i, f)| Field::new(format!("o{i}"), wire_type(f.data_type()), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let (encoder, head) = Encoder::start(&schema)?;
        Ok((Output { encoder, schema }, head))
    }

    /// A batch as pieces with their row counts, each made when it is asked for: of wide rows a batch may have gigabytes.
    pub fn encode(&mut self, batch: &RecordBatch) -> impl Iterator<Item = Result<(Piece, u64)>> {
        let mut from = 0;
        parts(batch).into_iter().map(move |rows| {
            let part = batch.slice(from, rows);
            from += rows;
            let columns = part.columns().iter().zip(self.schema.fields());
            let columns = columns.map(|(c, f)| if c.data_type() == f.data_type() { Ok(Arc::clone(c)) } else { cast(c, f.data_type()) });
            let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(|e| Error::internal(e.to_string()))?;
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
            let part = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|e| Error::internal(e.to_string()))?;
            Ok((self.encoder.batch(&part)?, rows as u64))
        })
    }
}

/// The numbers of rows that make up a piece each.
fn parts(batch: &RecordBatch) -> Vec<usize> {
    let rows = batch.num_rows();
    if rows == 0 {
        return Vec::new();
    }
    let total: usize = batch.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or(0) + view_bytes(c)).sum();
    if total <= PIECE_BYTES {
        return vec![rows];
    }
    let fixed = batch.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or(0)).sum::<usize>() / rows;
    let mut bytes = vec![fixed; rows];
    for column in batch.columns() {
        let lengths: Box<dyn Iterator<Item = u32>> = match column.data_type() {
            DataType::Utf8View => Box::new(column.as_string_view().lengths()),
            DataType::BinaryView => Box::new(column.as_binary_view().lengths()),
            _ => continue,
        };
        bytes.iter_mut().zip(lengths).for_each(|(b, n)| *b += n as usize);
    }
    let (mut parts, mut count, mut sum) = (Vec::new(), 0, 0usize);
    for row in bytes {
        if count > 0 && sum + row > PIECE_BYTES {
            parts.push(count);
            (count, sum) = (0, 0);
        }
        (count, sum) = (count + 1, sum + row);
    }
    parts.push(count);
    parts
}

/// The bytes of its values that lie outside of the views.
fn view_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => column.as_binary_view().total_buffer_bytes_used(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, Int32Array, StringViewArray};

    #[test]
    fn wide_rows_make_many_pieces_and_each_is_small() {
        // Many views of one long value: together more than an array with offsets can have.
        let mut texts = arrow::array::StringViewBuilder::new();
        let block = texts.append_block("x".repeat(1 << 20).into_bytes().into());
        (0..3000).for_each(|i| if i % 3 == 0 { texts.try_append_view(block, 0, 1 << 20).expect("a view") } else { texts.append_value("short") });
        let texts: StringViewArray = texts.finish();
        let numbers = Int32Array::from_iter_values(0..3000);
        let columns: Vec<(&str, ArrayRef)> = vec![("i", Arc::new(numbers)), ("t", Arc::new(texts))];
        let batch = RecordBatch::try_from_iter(columns).expect("builds");
        assert_eq!(parts(&batch).iter().sum::<usize>(), 3000);
        let (mut output, _) = Output::start(&batch.schema()).expect("starts");
        let mut rows = 0;
        for piece in output.encode(&batch) {
            let (piece, n) = piece.expect("encodes");
            assert!(piece.len() < PIECE_BYTES + (1 << 20));
            rows += n;
        }
        assert_eq!(rows, 3000);
        assert_eq!(parts(&batch.slice(1, 2)), [2]);
        assert!(batch.slice(0, 0).column(0).is_empty() && parts(&batch.slice(0, 0)).is_empty());
    }
}
