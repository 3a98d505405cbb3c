//! A result's bytes as they arrive: record batches out of them, and the exception that may stand in their midst.
//!
//! A server that fails after it began to answer writes, where the next bytes of the result would be, `\r\n__exception__\r\n`, the tag that it
//! announced in a header, the message, and breaks off. A server without such tags writes the bare message.
//!
//! Invariants:
//! - No byte that may belong to an exception is taken for data: the last bytes are held back until it is known what follows them.
//! - A result that does not end with the end-of-stream mark is an error, wherever it was cut off.

use super::error;
use crate::client::http::not_understood;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Result};

/// An exception's message is at most 16 KiB long, and stands at the end.
const EXCEPTION_BYTES: usize = 20 << 10;
/// One record batch may not be larger: a block of the server's is, but for absurd rows, far smaller.
const BATCH_BYTES: usize = 512 << 20;
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A marker to look for, and how far it can be skipped to the right past each byte that is no part of it. Source: Horspool, Practical fast
/// searching in strings, 1980. A result of gigabytes is searched whole, byte for byte that would take longer than to decode it.
struct Marker {
    bytes: Vec<u8>,
    skip: [usize; 256],
}

impl Marker {
    fn new(bytes: Vec<u8>) -> Marker {
        let mut skip = [bytes.len(); 256];
        let last = bytes.len().saturating_sub(1);
        for (i, b) in bytes.iter().enumerate().take(last) {
            if let Some(s) = skip.get_mut(usize::from(*b)) {
                *s = last - i;
            }
        }
        Marker { bytes, skip }
    }

    /// Where it begins first.
    fn find(&self, haystack: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(window) = haystack.get(at..at + self.bytes.len()) {
            if window == self.bytes {
                return Some(at);
            }
            at += window.last().and_then(|b| self.skip.get(usize::from(*b))).copied().unwrap_or(1);
        }
        None
    }
}

/// Finds the exception in a body that arrives in pieces.
pub struct Watch {
    marker: Option<Marker>,
    /// Bytes not yet passed on.
    held: Vec<u8>,
    /// What was passed on last, of a server without tags: its exception is at the end.
    tail: Vec<u8>,
    exception: Option<Vec<u8>>,
}

impl Watch {
    pub fn new(tag: Option<&str>) -> Watch {
        let marker = tag.filter(|t| !t.is_empty()).map(|t| Marker::new(format!("__exception__\r\n{t}").into_bytes()));
        Watch { marker, held: Vec::new(), tail: Vec::new(), exception: None }
    }

    /// Takes what arrived; what of before and of it is surely data. The two parts follow each other.
    pub fn push(&mut self, mut chunk: Bytes) -> [Bytes; 2] {
        if let Some(exception) = &mut self.exception {
            let room = EXCEPTION_BYTES.saturating_sub(exception.len()).min(chunk.len());
            exception.extend_from_slice(chunk.get(..room).unwrap_or_default());
            return [Bytes::new(), Bytes::new()];
        }
        let Some(marker) = &self.marker else {
            self.remember(&chunk);
            return [Bytes::new(), chunk];
        };
        let length = marker.bytes.len();
        // It begins with what was held back, or within the last bytes: after it, only the message comes.
        let mut first = std::mem::take(&mut self.held);
        let before = first.len();
        first.extend_from_slice(chunk.get(..length.min(chunk.len())).unwrap_or_default());
        if let Some(at) = marker.find(&first) {
            let mut exception = first.split_off(at);
            exception.extend_from_slice(chunk.get(length.min(chunk.len())..).unwrap_or_default());
            self.exception = Some(exception);
            return [first.into(), Bytes::new()];
        }
        if chunk.len() <= length {
            let after = first.split_off(first.len().saturating_sub(length));
            self.held = after;
            return [first.into(), Bytes::new()];
        }
        first.truncate(before);
        let start = chunk.len().saturating_sub(EXCEPTION_BYTES);
        if let Some(at) = marker.find(chunk.get(start..).unwrap_or_default()) {
            self.exception = Some(chunk.split_off(start + at).into());
        } else {
            self.held = chunk.split_off(chunk.len() - length).into();
        }
        [first.into(), chunk]
    }

    /// The rest, when nothing more comes.
    pub fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }

    fn remember(&mut self, bytes: &[u8]) {
        if bytes.len() >= EXCEPTION_BYTES {
            self.tail.clear();
        }
        self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(EXCEPTION_BYTES)..).unwrap_or_default());
        let surplus = self.tail.len().saturating_sub(EXCEPTION_BYTES);
        self.tail.drain(..surplus);
    }

    /// An exception has begun.
    pub fn has_exception(&self) -> bool {
        self.exception.is_some()
    }

    /// The exception of a body that has ended, or has broken off.
    pub fn exception(&self, endpoint: &Endpoint) -> Option<Error> {
        match &self.exception {
            Some(text) => Some(
                error::of_text(endpoint, &String::from_utf8_lossy(text))
                    .unwrap_or_else(|| not_understood(endpoint, "It broke off with an exception without a message.")),
            ),
            None => {
                let at = self.tail.windows(6).rposition(|w| w == b"Code: ")?;
                let text = String::from_utf8_lossy(self.tail.get(at..)?).into_owned();
                if text.contains("DB::Exception") { error::of_text(endpoint, &text) } else { None }
            }
        }
    }
}

/// Record batches out of the bytes of an Arrow stream.
pub struct Decoder {
    inner: StreamDecoder,
    /// Bytes since the last batch.
    waiting: usize,
    end: Vec<u8>,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder { inner: StreamDecoder::new(), waiting: 0, end: Vec::new() }
    }

    /// Takes bytes; gives the batches that are complete.
    pub fn push(&mut self, endpoint: &Endpoint, bytes: Bytes) -> Result<Vec<RecordBatch>> {
        self.waiting += bytes.len();
        self.end.extend_from_slice(bytes.get(bytes.len().saturating_sub(END_OF_STREAM.len())..).unwrap_or_default());
        let surplus = self.end.len().saturating_sub(END_OF_STREAM.len());
        self.end.drain(..surplus);
        let mut buffer = Buffer::from(bytes);
        let mut batches = Vec::new();
        while !buffer.is_empty() {
            match self.inner.decode(&mut buffer) {
                Ok(Some(batch)) => {
                    self.waiting = buffer.len();
                    batches.push(batch);
                }
                Ok(None) => {}
                Err(e) => return Err(not_understood(endpoint, format!("The result is no Arrow stream: {e}"))),
            }
        }
        if self.waiting > BATCH_BYTES {
            return Err(not_understood(endpoint, format!("A single batch of the result is larger than {BATCH_BYTES} bytes.")));
        }
        Ok(batches)
    }

    /// # Errors
    /// The stream has not come to its end.
    pub fn finish(&mut self, endpoint: &Endpoint) -> Result<()> {
        match self.inner.finish() {
            Ok(()) if self.end == END_OF_STREAM => Ok(()),
            _ => Err(not_understood(endpoint, "The result ended too early.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::ir::ServerRef;

    fn endpoint() -> Endpoint {
        Endpoint { server: ServerRef { server: 1, user: 1 }, name: "ch".into(), engine: "clickhouse".into(), options: Vec::new(), trusted: false }
    }

    #[test]
    fn an_exception_is_found_however_it_is_cut() {
        let text = b"data data\r\n__exception__\r\nabcdefghijklmnop\r\nCode: 395. DB::Exception: no. (X) (version 1)\n9 abcdefghijklmnop\r\n__exception__\r\n";
        for cut in 1..text.len() {
            let mut watch = Watch::new(Some("abcdefghijklmnop"));
            let mut data = watch.push(Bytes::from_static(&text[..cut])).concat();
            data.extend(watch.push(Bytes::from_static(&text[cut..])).concat());
            data.extend(watch.rest());
            assert_eq!(data, b"data data\r\n", "cut at {cut}");
            let e = watch.exception(&endpoint()).expect("an exception");
            assert!(e.message.contains("no. (X)"), "{e:?}");
        }
    }

    #[test]
    fn the_marker_is_found_wherever_it_is() {
        let marker = Marker::new(b"abcab".to_vec());
        for text in ["abcab", "ababcab", "xxxabcabcab", "aabcabxx", "abcaabcab", "abca", "", "bcab", "abcxabcxab"] {
            assert_eq!(marker.find(text.as_bytes()), text.find("abcab"), "{text}");
        }
    }

    #[test]
    fn data_pass_whole() {
        let mut watch = Watch::new(Some("abcdefghijklmnop"));
        let text: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
        let mut data = Vec::new();
        for chunk in text.chunks(777) {
            data.extend(watch.push(Bytes::copy_from_slice(chunk)).concat());
        }
        data.extend(watch.rest());
        assert_eq!(data, text);
        assert!(watch.exception(&endpoint()).is_none());
    }

    #[test]
    fn a_bare_exception_at_the_end_is_found() {
        let mut watch = Watch::new(None);
        watch.push(Bytes::from_static(b"1234Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)"));
        assert_eq!(watch.exception(&endpoint()).map(|e| e.sqlstate), Some("53200".into()));
    }

    #[test]
    fn a_stream_that_is_cut_off_is_no_result() {
        assert!(Decoder::new().finish(&endpoint()).is_err());
        let mut decoder = Decoder::new();
        assert!(
            decoder.push(&endpoint(), Bytes::from_static(b"<html>not an arrow stream at all, but long enough</html>")).is_err()
                || decoder.finish(&endpoint()).is_err()
        );
    }
}
