//! Result batches as the backend reads them: bounded pieces of one IPC stream.
//!
//! String and binary views become plain arrays: a view may share a buffer far larger than what it shows, and all of it would travel.

use arrow::array::{ArrayRef, RecordBatch};
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

    /// A batch as pieces with their row counts.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<(Piece, u64)>> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(Vec::new());
        }
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(c, f)| if c.data_type() == f.data_type() { Ok(Arc::clone(c)) } else { cast(c, f.data_type()) })
            .collect::<Result<_, _>>()
            .map_err(|e| Error::internal(e.to_string()))?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|e| Error::internal(e.to_string()))?;
        let bytes: usize = batch.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let pieces = bytes.div_ceil(PIECE_BYTES).clamp(1, rows);
        let step = rows.div_ceil(pieces);
        (0..rows)
            .step_by(step)
            .map(|from| {
                let n = step.min(rows - from);
                Ok((self.encoder.batch(&batch.slice(from, n))?, n as u64))
            })
            .collect()
    }
}
