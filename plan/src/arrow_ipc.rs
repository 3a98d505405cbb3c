//! Record batches as bytes: the pieces of an Arrow IPC stream.

use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{CompressionContext, DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteOptions, StreamWriter, write_message};

fn ipc_error(e: ArrowError) -> Error {
    Error::internal(format!("arrow stream: {e}"))
}

/// Writes one IPC stream piece by piece.
pub struct Encoder {
    options: IpcWriteOptions,
    dictionaries: DictionaryTracker,
    compression: CompressionContext,
}

/// The piece with one batch: what stands in front of the values, and the values. Apart, so that they need not be copied together.
pub struct Piece {
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Encoder {
    /// The encoder and the head of the stream, which has the schema. No column may be a dictionary.
    pub fn start(schema: &Schema) -> Result<(Encoder, Vec<u8>)> {
        let head = StreamWriter::try_new(Vec::new(), schema).map_err(ipc_error)?.get_mut().split_off(0);
        let encoder = Encoder { options: IpcWriteOptions::default(), dictionaries: DictionaryTracker::new(true), compression: CompressionContext::default() };
        Ok((encoder, head))
    }

    /// The piece with this batch. String and binary view columns should have been compacted, or their whole buffers travel.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Piece> {
        let (dictionaries, encoded) =
            IpcDataGenerator::default().encode(batch, &mut self.dictionaries, &self.options, &mut self.compression).map_err(ipc_error)?;
        if !dictionaries.is_empty() {
            return Err(Error::internal("arrow stream: a dictionary"));
        }
        let mut head = Vec::new();
        write_message(&mut head, EncodedData { ipc_message: encoded.ipc_message, arrow_data: Vec::new() }, &self.options).map_err(ipc_error)?;
        Ok(Piece { head, body: encoded.arrow_data })
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
    let piece = encoder.batch(batch)?;
    bytes.extend(piece.head);
    bytes.extend(piece.body);
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
            let piece = encoder.batch(&batch).expect("encodes");
            assert_eq!(decoder.batch([piece.head, piece.body].concat()).expect("decodes"), batch);
        }
        assert_eq!(from_bytes(to_bytes(&batch).expect("encodes")).expect("decodes"), batch);
    }
}
