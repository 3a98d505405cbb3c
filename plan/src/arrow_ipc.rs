//! Record batches as bytes: the pieces of an Arrow IPC stream.

use crate::error::{Error, Result};
use arrow::array::Array;
use arrow::array::{ArrayData, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{CompressionContext, DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteOptions, StreamWriter, write_message};
use arrow::ipc::{Buffer as Place, FieldNode, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder};
use flatbuffers::FlatBufferBuilder;

fn ipc_error(e: ArrowError) -> Error {
    Error::internal(format!("arrow stream: {e}"))
}

/// Writes one IPC stream piece by piece.
pub struct Encoder {
    options: IpcWriteOptions,
    dictionaries: DictionaryTracker,
    compression: CompressionContext,
}

/// The piece with one batch: what stands in front of the values, and the values, which are those of the batch itself.
pub struct Piece {
    pub head: Vec<u8>,
    body: Vec<Buffer>,
}

impl Piece {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.iter().map(|b| padded(b.len())).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, one part after the other.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let filled = |b: &Buffer| PADDING.get(..padded(b.len()) - b.len()).unwrap_or_default();
        std::iter::once(self.head.as_slice()).chain(self.body.iter().flat_map(move |b| [b.as_slice(), filled(b)])).filter(|part| !part.is_empty())
    }
}

/// What each buffer begins at a multiple of.
const ALIGNMENT: usize = 64;
const PADDING: [u8; ALIGNMENT] = [0; ALIGNMENT];

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// The buffers of a batch as they lie, and what a reader has to know of them.
#[derive(Default)]
struct Body {
    nodes: Vec<FieldNode>,
    places: Vec<Place>,
    buffers: Vec<Buffer>,
    end: usize,
}

impl Body {
    fn buffer(&mut self, buffer: Buffer) {
        self.places.push(Place::new(self.end as i64, buffer.len() as i64));
        self.end += padded(buffer.len());
        self.buffers.push(buffer);
    }

    /// `None` for a type whose buffers are not sent as they lie.
    fn array(&mut self, data: &ArrayData) -> Option<()> {
        let values = || data.buffers().first().cloned();
        self.nodes.push(FieldNode::new(data.len() as i64, data.null_count() as i64));
        self.buffer(data.nulls().filter(|n| n.null_count() > 0).map(|n| n.inner().sliced()).unwrap_or_default());
        match data.data_type() {
            DataType::Boolean => self.buffer(values()?.bit_slice(data.offset(), data.len())),
            DataType::Utf8 | DataType::Binary => {
                let (from, n) = self.offsets(data)?;
                self.buffer(data.buffers().get(1)?.slice_with_length(from, n));
            }
            DataType::List(_) => {
                let (from, n) = self.offsets(data)?;
                self.array(&data.child_data().first()?.slice(from, n))?;
            }
            DataType::FixedSizeBinary(width) => self.fixed(data, usize::try_from(*width).ok()?)?,
            other => self.fixed(data, other.primitive_width()?)?,
        }
        Some(())
    }

    fn fixed(&mut self, data: &ArrayData, width: usize) -> Option<()> {
        let values = data.buffers().first()?;
        self.buffer(values.slice_with_length(data.offset() * width, data.len() * width));
        Some(())
    }

    /// Adds offsets that begin at 0; where what they are of begins, and how much it is.
    fn offsets(&mut self, data: &ArrayData) -> Option<(usize, usize)> {
        let all = data.buffers().first()?;
        if data.is_empty() {
            self.buffer(Buffer::from_slice_ref([0i32]));
            return Some((0, 0));
        }
        let offsets = all.slice_with_length(data.offset() * size_of::<i32>(), (data.len() + 1) * size_of::<i32>());
        let own = offsets.typed_data::<i32>();
        let (first, last) = (*own.first()?, *own.last()?);
        if first == 0 {
            self.buffer(offsets);
        } else {
            self.buffer(Buffer::from_vec(own.iter().map(|o| o - first).collect::<Vec<i32>>()));
        }
        Some((usize::try_from(first).ok()?, usize::try_from(last - first).ok()?))
    }

    fn message(self, rows: usize) -> EncodedMessage {
        let mut fbb = FlatBufferBuilder::new();
        let (places, nodes) = (fbb.create_vector(&self.places), fbb.create_vector(&self.nodes));
        let mut batch = RecordBatchBuilder::new(&mut fbb);
        batch.add_length(rows as i64);
        batch.add_nodes(nodes);
        batch.add_buffers(places);
        let header = batch.finish().as_union_value();
        let mut message = MessageBuilder::new(&mut fbb);
        message.add_version(MetadataVersion::V5);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_bodyLength(self.end as i64);
        message.add_header(header);
        let root = message.finish();
        fbb.finish(root, None);
        EncodedMessage { ipc_message: fbb.finished_data().to_vec(), body: self.buffers }
    }
}

struct EncodedMessage {
    ipc_message: Vec<u8>,
    body: Vec<Buffer>,
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
        let mut body = Body::default();
        let as_they_lie = batch.columns().iter().try_for_each(|c| body.array(&c.to_data())).is_some();
        let EncodedMessage { ipc_message, body } = if as_they_lie {
            body.message(batch.num_rows())
        } else {
            let (dictionaries, encoded) =
                IpcDataGenerator::default().encode(batch, &mut self.dictionaries, &self.options, &mut self.compression).map_err(ipc_error)?;
            if !dictionaries.is_empty() {
                return Err(Error::internal("arrow stream: a dictionary"));
            }
            EncodedMessage { ipc_message: encoded.ipc_message, body: vec![Buffer::from_vec(encoded.arrow_data)] }
        };
        let mut head = Vec::new();
        write_message(&mut head, EncodedData { ipc_message, arrow_data: Vec::new() }, &self.options).map_err(ipc_error)?;
        Ok(Piece { head, body })
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
    bytes.reserve(piece.len());
    piece.parts().for_each(|part| bytes.extend_from_slice(part));
    Ok(bytes)
}

/// The batch of a whole stream with exactly one.
pub fn from_bytes(bytes: Vec<u8>) -> Result<RecordBatch> {
    Decoder::default().batch(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Int16Array, Int32Array, IntervalMonthDayNanoArray, ListArray, NullArray,
        StringArray, StringViewArray,
    };
    use arrow::datatypes::{Int32Type, IntervalMonthDayNano};
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
            assert_eq!(decoder.batch(piece.parts().collect::<Vec<_>>().concat()).expect("decodes"), batch);
        }
        assert_eq!(from_bytes(to_bytes(&batch).expect("encodes")).expect("decodes"), batch);
    }

    /// Of each type that travels, with and without NULLs, and in the midst of longer arrays, whose buffers do not begin where they do.
    #[test]
    fn slices_arrive_as_what_they_show() {
        let some = |i: i32| i % 5 != 1;
        let ints = |some: &dyn Fn(i32) -> bool| -> ArrayRef { Arc::new((0..100).map(|i| some(i).then_some(i)).collect::<Int32Array>()) };
        let text = |i: i32| "é".repeat(usize::try_from(i % 7).expect("small"));
        let columns: Vec<ArrayRef> = vec![
            ints(&some),
            ints(&|_| true),
            ints(&|i| i < 10),
            Arc::new((0..100).map(|i| some(i).then_some(i % 3 == 0)).collect::<BooleanArray>()),
            Arc::new((0..100).map(|i| some(i).then_some(i as i16)).collect::<Int16Array>()),
            Arc::new((0..100).map(|i| some(i).then(|| i128::from(i) << 70)).collect::<Decimal128Array>()),
            Arc::new((0..100).map(|i| some(i).then(|| text(i))).collect::<StringArray>()),
            Arc::new((0..100).map(|i| some(i).then(|| text(i).into_bytes())).collect::<BinaryArray>()),
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size((0..100).map(|i| some(i).then_some([i as u8; 16])), 16).expect("of one size")),
            Arc::new((0..100).map(|i| some(i).then(|| IntervalMonthDayNano::new(i, -i, 7))).collect::<IntervalMonthDayNanoArray>()),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
                (0..100).map(|i| some(i).then(move || (0..i % 4).map(move |j| (j != 2).then_some(i * j)))),
            )),
            Arc::new((0..100).map(|i| some(i).then(|| format!("{}, longer than twelve bytes", text(i)))).collect::<StringViewArray>()),
            Arc::new(NullArray::new(100)),
        ];
        for n in [columns.len(), columns.len() - 2] {
            let named = columns.iter().take(n).enumerate().map(|(i, c)| (format!("c{i}"), Arc::clone(c), true));
            let batch = RecordBatch::try_from_iter_with_nullable(named).expect("valid batch");
            let (mut encoder, head) = Encoder::start(&batch.schema()).expect("starts");
            let mut decoder = Decoder::start(head).expect("reads the head");
            for (from, rows) in [(0, 100), (0, 0), (50, 0), (0, 1), (1, 1), (7, 64), (8, 33), (99, 1), (13, 87)] {
                let slice = batch.slice(from, rows);
                let piece = encoder.batch(&slice).expect("encodes");
                let bytes = piece.parts().collect::<Vec<_>>().concat();
                assert_eq!(bytes.len(), piece.len());
                assert_eq!(decoder.batch(bytes).expect("decodes"), slice, "{rows} rows from {from}");
            }
        }
    }
}
