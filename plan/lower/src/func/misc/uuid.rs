//! Input of uuid, and a builder of uuid arrays.

use crate::error::raise;
use arrow::array::{FixedSizeBinaryArray, FixedSizeBinaryBuilder};
use datafusion::common::Result;

/// With `append_option`, as the row loops want it.
pub(super) struct UuidBuilder(FixedSizeBinaryBuilder);

impl UuidBuilder {
    pub(super) fn new() -> Self {
        Self(FixedSizeBinaryBuilder::new(16))
    }
    pub(super) fn append_null(&mut self) {
        self.0.append_null();
    }
    pub(super) fn append_option(&mut self, value: Option<[u8; 16]>) {
        match value {
            // The only error is another width.
            Some(v) => {
                let _ = self.0.append_value(v);
            }
            None => self.0.append_null(),
        }
    }
    pub(super) fn finish(&mut self) -> FixedSizeBinaryArray {
        self.0.finish()
    }
}

impl crate::func::text::rows::Results for UuidBuilder {}

/// Source: `string_to_uuid`: braces around, and a hyphen after any two bytes, are optional.
pub(super) fn parse(s: &str) -> Result<[u8; 16]> {
    parts(s).ok_or_else(|| raise("22P02", format!("invalid input syntax for type uuid: \"{s}\"")))
}

fn parts(s: &str) -> Option<[u8; 16]> {
    let digits = match s.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => s,
    };
    let mut bytes = digits.bytes().peekable();
    let digit = |bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>| bytes.next().and_then(|b| char::from(b).to_digit(16));
    let mut out = [0u8; 16];
    for (i, byte) in out.iter_mut().enumerate() {
        let (high, low) = (digit(&mut bytes)?, digit(&mut bytes)?);
        *byte = u8::try_from(high << 4 | low).ok()?;
        if i % 2 == 1 && i < 15 && bytes.peek() == Some(&b'-') {
            bytes.next();
        }
    }
    bytes.next().is_none().then_some(out)
}
