//! Finding and replacing fixed strings. Under a deterministic collation that is a search for bytes.

use super::lower_call::make;
use super::rows::kernel;
use super::slice::{char_count, count};
use crate::error::raise;
use crate::value::{Call, Value};
use arrow::array::{BooleanBuilder, Int32Builder, StringViewBuilder};
use datafusion::common::Result;
use std::borrow::Cow;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        868 | 849 => make(call, "strpos", "", kernel!(Int32Builder::new(), |s: text, part: text| Some(strpos(s, part)?))),
        2087 => make(call, "replace", "", kernel!(StringViewBuilder::new(), |s: text, from: text, to: text| Some(replace(s, from, to)))),
        2088 => make(call, "split_part", "", kernel!(StringViewBuilder::new(), |s: text, by: text, n: int4| Some(split_part(s, by, n)?))),
        3696 => make(call, "starts_with", "", kernel!(BooleanBuilder::new(), |s: text, start: text| Some(s.starts_with(start)))),
        _ => return None,
    })
}

fn strpos(s: &str, part: &str) -> Result<i32> {
    match s.find(part) {
        None => Ok(0),
        Some(at) => count(char_count(s.get(..at).unwrap_or_default()) + 1),
    }
}

fn replace<'a>(s: &'a str, from: &str, to: &str) -> Cow<'a, str> {
    if from.is_empty() || !s.contains(from) { Cow::Borrowed(s) } else { Cow::Owned(s.replace(from, to)) }
}

fn split_part<'a>(s: &'a str, by: &str, n: i32) -> Result<&'a str> {
    if n == 0 {
        return Err(raise("22023", "field position must not be zero"));
    }
    if by.is_empty() {
        return Ok(if n == 1 || n == -1 { s } else { "" });
    }
    let index = if n > 0 {
        (n.unsigned_abs() - 1) as usize
    } else {
        // Fields are counted from the left, also where separators could overlap.
        match s.split(by).count().checked_sub(n.unsigned_abs() as usize) {
            Some(index) => index,
            None => return Ok(""),
        }
    };
    Ok(s.split(by).nth(index).unwrap_or_default())
}
