//! Lengths and pieces of text, and concatenation.

use super::lower_call::{make, with_args};
use super::rows::kernel;
use crate::error::{raise, refused};
use crate::value::{Call, Value};
use arrow::array::{Int32Builder, StringViewBuilder};
use datafusion::common::Result;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        // Trailing blanks of a bpchar do not count, and are not held.
        1257 | 1317 | 1381 | 1369 | 1318 | 1372 | 1367 => make(call, "char_length", "", kernel!(Int32Builder::new(), |s: text| Some(count(char_count(s))?))),
        1374 => make(call, "octet_length", "", kernel!(Int32Builder::new(), |s: text| Some(count(s.len())?))),
        1811 => make(call, "bit_length", "", kernel!(Int32Builder::new(), |s: text| Some(count(s.len() * 8)?))),
        1375 => super::cast::padded_first(call)
            .and_then(|args| with_args(call, "octet_length", "", args, kernel!(Int32Builder::new(), |s: text| Some(count(s.len())?)))),
        877 | 936 => make(call, "substr", "", kernel!(StringViewBuilder::new(), |s: text, start: int4, length: int4| Some(substr(s, start, Some(length))?))),
        883 | 937 => make(call, "substr_from", "", kernel!(StringViewBuilder::new(), |s: text, start: int4| Some(substr(s, start, None)?))),
        3060 => make(call, "left", "", kernel!(StringViewBuilder::new(), |s: text, n: int4| Some(left(s, n)))),
        3061 => make(call, "right", "", kernel!(StringViewBuilder::new(), |s: text, n: int4| Some(right(s, n)?))),
        1258 => make(call, "textcat", "", kernel!(StringViewBuilder::new(), |a: text, b: text| Some([a, b].concat()))),
        _ => return None,
    })
}

pub(in crate::func) fn count(n: usize) -> Result<i32> {
    i32::try_from(n).map_err(|_| raise("22003", "integer out of range"))
}

pub(super) fn char_count(s: &str) -> usize {
    if s.is_ascii() { s.len() } else { s.chars().count() }
}

/// The byte offset of the `n`th character (from 0), or the end.
pub(super) fn char_offset(s: &str, n: usize) -> usize {
    if n >= s.len() {
        // A character has at least one byte.
        s.len()
    } else if s.is_ascii() {
        n
    } else {
        s.char_indices().nth(n).map_or(s.len(), |(i, _)| i)
    }
}

/// `text_substring` of varlena.c: positions before the first character count towards the length.
pub(super) fn substr(s: &str, start: i32, length: Option<i32>) -> Result<&str> {
    let first = usize::try_from(start.max(1) - 1).unwrap_or_default();
    let end = match length {
        None => None,
        Some(n) if n < 0 => return Err(raise("22011", "negative substring length not allowed")),
        Some(n) => match start.checked_add(n) {
            None => None,
            Some(end) if end < 1 => return Ok(""),
            Some(end) => Some(usize::try_from(end - start.max(1)).unwrap_or_default()),
        },
    };
    let rest = s.get(char_offset(s, first)..).unwrap_or_default();
    Ok(match end {
        None => rest,
        Some(n) => rest.get(..char_offset(rest, n)).unwrap_or_default(),
    })
}

fn left(s: &str, n: i32) -> &str {
    let n = if n < 0 { char_count(s).saturating_sub(n.unsigned_abs() as usize) } else { n.unsigned_abs() as usize };
    s.get(..char_offset(s, n)).unwrap_or_default()
}

fn right(s: &str, n: i32) -> Result<&str> {
    // Its opposite is itself in some minor releases, which then give the whole text, others none of it.
    if n == i32::MIN {
        return Err(refused("right of the least integer"));
    }
    let skip = if n < 0 { n.unsigned_abs() as usize } else { char_count(s).saturating_sub(n.unsigned_abs() as usize) };
    Ok(s.get(char_offset(s, skip)..).unwrap_or_default())
}
