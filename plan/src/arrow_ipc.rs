//! Record batches as bytes: the pieces of an Arrow IPC stream.

use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;

fn ipc_error(e: ArrowError) -> Error {
    Error::internal(format!("arrow stream: {e}"))
}

/// Writes one IPC stream piece by piece.
pub struct Encoder {
    writer: StreamWriter<Vec<u8>>,
}

impl Encoder {
    /// The encoder and the head of the stream, which has the schema.
    pub fn start(schema: &Schema) -> Result<(Encoder, Vec<u8>)> {
        let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(ipc_error)?;
        let head = std::mem::take(writer.get_mut());
        Ok((Encoder { writer }, head))
    }

    /// The piece with this batch. String and binary view columns should have been compacted, or their whole buffers travel.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        self.writer.write(batch).map_err(ipc_error)?;
        Ok(std::mem::take(self.writer.get_mut()))
    }
}

/// Reads what [`Encoder`] wrote.
#[derive(Default)]
pub struct Decoder {
    decoder: StreamDecoder,
}

impl Decoder {
    /// A decoder that has read the head of the stream.
    pub fn start(head: Vec<u8>) -> Result<Decoder> {
        let mut d = Decoder::default();
        d.feed(head)?;
        Ok(d)
    }

    /// The schema, once the head has been read.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    /// The batch of this piece.
    pub fn batch(&mut self, piece: Vec<u8>) -> Result<RecordBatch> {
        self.feed(piece)?.ok_or_else(|| Error::internal("arrow stream: piece without a record batch"))
    }

    fn feed(&mut self, piece: Vec<u8>) -> Result<Option<RecordBatch>> {
        let mut buffer = arrow::buffer::Buffer::from_vec(piece);
        let mut batch = None;
        while !buffer.is_empty() {
            if let Some(b) = self.decoder.decode(&mut buffer).map_err(ipc_error)? {
                batch = Some(b);
            }
        }
        Ok(batch)
    }
}

/// One batch as a whole stream.
pub fn to_bytes(batch: &RecordBatch) -> Result<Vec<u8>> {
    let (mut encoder, mut bytes) = Encoder::start(&batch.schema())?;
    bytes.extend(encoder.batch(batch)?);
    Ok(bytes)
}

/// The batch of a whole stream with exactly one.
pub fn from_bytes(bytes: Vec<u8>) -> Result<RecordBatch> {
    Decoder::default().batch(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn batches_survive_the_way() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), Some("longer than twelve bytes"), None]));
        let batch = RecordBatch::try_from_iter(vec![("i", ints), ("t", texts)]).expect("valid batch");
        let (mut encoder, head) = Encoder::start(&batch.schema()).expect("starts");
        let mut decoder = Decoder::start(head).expect("reads the head");
        for _ in 0..3 {
            assert_eq!(decoder.batch(encoder.batch(&batch).expect("encodes")).expect("decodes"), batch);
        }
        assert_eq!(from_bytes(to_bytes(&batch).expect("encodes")).expect("decodes"), batch);
    }
}
