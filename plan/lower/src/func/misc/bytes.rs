//! Functions of bytea.

use super::super::text::lower_call::make;
use super::super::text::rows::kernel;
use super::super::text::slice::count;
use crate::error::{raise, refused};
use crate::value::{Call, Value};
use arrow::array::{BinaryViewBuilder, BooleanBuilder, Int32Builder, Int64Builder};
use datafusion::common::Result;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        2010 | 720 => make(call, "bytea_length", "", kernel!(Int32Builder::new(), |b: bytes| Some(count(b.len())?))),
        1810 => make(call, "bytea_bit_length", "", kernel!(Int32Builder::new(), |b: bytes| Some(count(b.len() * 8)?))),
        6163 => make(call, "bytea_bit_count", "", kernel!(Int64Builder::new(), |b: bytes| Some(b.iter().map(|x| i64::from(x.count_ones())).sum()))),
        2011 => make(call, "byteacat", "", kernel!(BinaryViewBuilder::new(), |a: bytes, b: bytes| Some([a, b].concat()))),
        2012 | 2085 => make(call, "bytea_substr", "", kernel!(BinaryViewBuilder::new(), |b: bytes, start: int4, n: int4| Some(substr(b, start, Some(n))?))),
        2013 | 2086 => make(call, "bytea_substr_from", "", kernel!(BinaryViewBuilder::new(), |b: bytes, start: int4| Some(substr(b, start, None)?))),
        2014 => make(
            call,
            "bytea_position",
            "",
            kernel!(Int32Builder::new(), |b: bytes, part: bytes| Some(count(memchr::memmem::find(b, part).map_or(0, |i| i + 1))?)),
        ),
        721 => make(call, "get_byte", "", kernel!(Int32Builder::new(), |b: bytes, n: int4| Some(get_byte(b, n)?))),
        2015 => make(call, "bytea_btrim", "", kernel!(BinaryViewBuilder::new(), |b: bytes, set: bytes| Some(trim(b, set, true, true)))),
        6195 => make(call, "bytea_ltrim", "", kernel!(BinaryViewBuilder::new(), |b: bytes, set: bytes| Some(trim(b, set, true, false)))),
        6196 => make(call, "bytea_rtrim", "", kernel!(BinaryViewBuilder::new(), |b: bytes, set: bytes| Some(trim(b, set, false, true)))),
        2005 | 2007 => make(call, "bytealike", "", kernel!(BooleanBuilder::new(), |b: bytes, pattern: bytes| Some(like(b, pattern)?))),
        2006 | 2008 => make(call, "byteanlike", "", kernel!(BooleanBuilder::new(), |b: bytes, pattern: bytes| Some(!like(b, pattern)?))),
        _ => return None,
    })
}

/// Source: `like_match.c`; as there for text, a pattern that ends in its escape character is refused.
fn like(b: &[u8], pattern: &[u8]) -> Result<bool> {
    let escapes = pattern.iter().rev().take_while(|c| **c == b'\\').count();
    if escapes % 2 == 1 {
        return Err(refused("LIKE pattern ends with its escape character"));
    }
    let (mut at, mut in_pattern) = (0, 0);
    // Where the last `%` began to match, and what follows it.
    let mut last_any: Option<(usize, usize)> = None;
    loop {
        let byte = b.get(at);
        let step = match (pattern.get(in_pattern), byte) {
            (Some(b'%'), _) => {
                last_any = Some((at, in_pattern + 1));
                in_pattern += 1;
                continue;
            }
            (None, None) => return Ok(true),
            (Some(b'_'), Some(_)) => 1,
            (Some(b'\\'), Some(_)) if pattern.get(in_pattern + 1) == byte => 2,
            (Some(c), Some(_)) if Some(c) == byte && *c != b'\\' => 1,
            _ => 0,
        };
        if step > 0 {
            at += 1;
            in_pattern += step;
            continue;
        }
        match last_any {
            Some((from, next)) if from < b.len() => {
                last_any = Some((from + 1, next));
                at = from + 1;
                in_pattern = next;
            }
            _ => return Ok(false),
        }
    }
}

/// Source: `bytea_substring`.
fn substr(b: &[u8], start: i32, length: Option<i32>) -> Result<&[u8]> {
    let first = usize::try_from(start.max(1) - 1).unwrap_or_default().min(b.len());
    let rest = b.get(first..).unwrap_or_default();
    let n = match length {
        Some(n) if n < 0 => return Err(raise("22011", "negative substring length not allowed")),
        Some(n) => match start.checked_add(n) {
            Some(end) if end < 1 => return Ok(&[]),
            end => end.map(|end| usize::try_from(end - start.max(1)).unwrap_or_default()),
        },
        None => None,
    };
    Ok(rest.get(..n.unwrap_or(rest.len()).min(rest.len())).unwrap_or_default())
}

fn get_byte(b: &[u8], n: i32) -> Result<i32> {
    match usize::try_from(n).ok().and_then(|n| b.get(n)) {
        Some(byte) => Ok(i32::from(*byte)),
        None => Err(raise("2202E", format!("index {n} out of valid range, 0..{}", i64::try_from(b.len()).unwrap_or(i64::MAX) - 1))),
    }
}

fn trim<'a>(b: &'a [u8], set: &[u8], left: bool, right: bool) -> &'a [u8] {
    let mut b = b;
    while let (true, [first, rest @ ..]) = (left, b) {
        if !set.contains(first) {
            break;
        }
        b = rest;
    }
    while let (true, [rest @ .., last]) = (right, b) {
        if !set.contains(last) {
            break;
        }
        b = rest;
    }
    b
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns_match_bytes() {
        for (b, pattern, expected) in [
            (&b"abc"[..], &b"a%c"[..], true),
            (b"abc", b"_b_", true),
            (b"abc", b"%b", false),
            (b"a%c", b"a\\%c", true),
            (b"abc", b"a\\%c", false),
            (b"", b"", true),
            (b"", b"%", true),
            (b"\xff\x00", b"\xff_", true),
            (b"aab", b"%a%b", true),
            (b"a\\", b"a\\\\", true),
        ] {
            assert_eq!(like(b, pattern).unwrap(), expected, "{b:?} {pattern:?}");
        }
        assert!(like(b"a", b"a\\").is_err());
    }
}
