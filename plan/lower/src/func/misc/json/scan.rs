//! Finds the parts of a JSON text without building it up.

use crate::error::refused;
use datafusion::common::{DataFusionError, Result};
use std::borrow::Cow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Bool => "boolean",
            Kind::Null => "null",
        }
    }
}

fn invalid() -> DataFusionError {
    refused("a JSON text that could not be read")
}

/// JSON's white space.
pub(super) fn trim(j: &str) -> &str {
    j.trim_matches([' ', '\t', '\n', '\r'])
}

pub(super) fn kind(j: &str) -> Result<Kind> {
    Ok(match trim(j).bytes().next().ok_or_else(invalid)? {
        b'{' => Kind::Object,
        b'[' => Kind::Array,
        b'"' => Kind::String,
        b't' | b'f' => Kind::Bool,
        b'n' => Kind::Null,
        _ => Kind::Number,
    })
}

/// The document, if Postgres can turn all its escapes into characters, which it does for a json on most ways into it.
pub(super) fn checked(j: &str) -> Result<&str> {
    let mut rest = j;
    while let Some(at) = rest.find('\\') {
        let escape = rest.get(at..).unwrap_or_default();
        let n = if escape.starts_with("\\u") { unicode_escape(escape)?.1 } else { 2 };
        rest = escape.get(n..).ok_or_else(invalid)?;
    }
    Ok(j)
}

/// The character of `\uXXXX` (or a surrogate pair) at the start, and how many bytes it takes.
fn unicode_escape(s: &str) -> Result<(char, usize)> {
    let unit = |at: usize| {
        let hex = s.get(at..at + 4).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        hex.and_then(|h| u32::from_str_radix(h, 16).ok()).ok_or_else(invalid)
    };
    let first = unit(2)?;
    if (0xd800..0xdc00).contains(&first) && s.get(6..8) == Some("\\u") {
        let second = unit(8)?;
        if (0xdc00..0xe000).contains(&second) {
            let c = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(invalid)?;
            return Ok((c, 12));
        }
    }
    match char::from_u32(first) {
        Some(c) if c != '\0' => Ok((c, 6)),
        _ => Err(refused("a Unicode escape that is no character")),
    }
}

/// Where the string that begins at `at` ends (after its closing quote).
fn string_end(bytes: &[u8], at: usize) -> Result<usize> {
    let mut i = at + 1;
    loop {
        match bytes.get(i).ok_or_else(invalid)? {
            b'"' => return Ok(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
}

/// Where the value that begins at `at` ends.
fn value_end(bytes: &[u8], at: usize) -> Result<usize> {
    let mut depth = 0usize;
    let mut i = at;
    loop {
        match bytes.get(i) {
            None if depth == 0 && i > at => return Ok(i),
            None => return Err(invalid()),
            Some(b'"') => {
                i = string_end(bytes, i)?;
                if depth == 0 {
                    return Ok(i);
                }
            }
            Some(b'{' | b'[') => {
                depth += 1;
                i += 1;
            }
            Some(b'}' | b']') => {
                if depth == 0 {
                    return Ok(i);
                }
                depth -= 1;
                i += 1;
                if depth == 0 {
                    return Ok(i);
                }
            }
            Some(b',' | b' ' | b'\t' | b'\n' | b'\r') if depth == 0 => return Ok(i),
            Some(_) => i += 1,
        }
    }
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The members of an object: names as written (quoted), and values.
pub(super) fn members(j: &str) -> Result<Vec<(&str, &str)>> {
    parts(trim(j), b'{', |j, at| {
        let bytes = j.as_bytes();
        let name_end = string_end(bytes, at)?;
        let colon = skip_blanks(bytes, name_end);
        if bytes.get(colon) != Some(&b':') {
            return Err(invalid());
        }
        let start = skip_blanks(bytes, colon + 1);
        let end = value_end(bytes, start)?;
        Ok(((j.get(at..name_end).ok_or_else(invalid)?, j.get(start..end).ok_or_else(invalid)?), end))
    })
}

/// The elements of an array.
pub(super) fn elements(j: &str) -> Result<Vec<&str>> {
    parts(trim(j), b'[', |j, at| {
        let end = value_end(j.as_bytes(), at)?;
        Ok((j.get(at..end).ok_or_else(invalid)?, end))
    })
}

fn parts<'a, T>(j: &'a str, open: u8, part: impl Fn(&'a str, usize) -> Result<(T, usize)>) -> Result<Vec<T>> {
    let bytes = j.as_bytes();
    let mut out = Vec::new();
    if bytes.first() != Some(&open) {
        return Err(invalid());
    }
    let mut at = skip_blanks(bytes, 1);
    if matches!(bytes.get(at), Some(b'}' | b']')) {
        return Ok(out);
    }
    loop {
        let (item, end) = part(j, at)?;
        out.push(item);
        at = skip_blanks(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = skip_blanks(bytes, at + 1),
            Some(b'}' | b']') => return Ok(out),
            _ => return Err(invalid()),
        }
    }
}

/// The characters of a string as written (quoted).
pub(super) fn unquote(string: &str) -> Result<Cow<'_, str>> {
    let inner = string.strip_prefix('"').and_then(|s| s.strip_suffix('"')).ok_or_else(invalid)?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (c, n) = match escape.as_bytes().get(1) {
            Some(b'u') => unicode_escape(escape)?,
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(c @ (b'"' | b'\\' | b'/')) => (char::from(*c), 2),
            _ => return Err(invalid()),
        };
        out.push(c);
        rest = escape.get(n..).ok_or_else(invalid)?;
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// A value as text: a string without quotes and escapes; `None` for null.
pub(super) fn text_of(j: &str) -> Result<Option<Cow<'_, str>>> {
    Ok(match kind(j)? {
        Kind::Null => None,
        Kind::String => Some(unquote(trim(j))?),
        _ => Some(Cow::Borrowed(trim(j))),
    })
}

/// Of members with one name the last counts.
pub(super) fn field<'a>(j: &'a str, name: &str) -> Result<Option<&'a str>> {
    if kind(j)? != Kind::Object {
        return Ok(None);
    }
    let mut found = None;
    for (key, value) in members(j)? {
        if unquote(key)? == name {
            found = Some(value);
        }
    }
    Ok(found)
}

/// `scalars`: a scalar is its own element 0, as it is in jsonb.
pub(super) fn element(j: &str, n: i32, scalars: bool) -> Result<Option<&str>> {
    let elements = match kind(j)? {
        Kind::Array => elements(j)?,
        Kind::Object => return Ok(None),
        _ if scalars => vec![trim(j)],
        _ => return Ok(None),
    };
    let index = if n < 0 { elements.len().checked_sub(n.unsigned_abs() as usize) } else { usize::try_from(n).ok() };
    Ok(index.and_then(|i| elements.get(i)).copied())
}

/// The value at a path; of several (for names that occur twice) the last in the document.
pub(super) fn follow<'a>(j: &'a str, path: &[&str]) -> Result<Option<&'a str>> {
    let Some((step, rest)) = path.split_first() else { return Ok(Some(trim(j))) };
    let mut found = None;
    match kind(j)? {
        Kind::Object => {
            for (key, value) in members(j)? {
                if unquote(key)? == *step {
                    found = follow(value, rest)?.or(found);
                }
            }
        }
        Kind::Array => {
            if let Some(value) = subscript(step).map(|n| element(j, n, false)).transpose()?.flatten() {
                found = follow(value, rest)?;
            }
        }
        _ => {}
    }
    Ok(found)
}

/// As `strtol` reads it: blanks before, a sign.
pub(super) fn subscript(step: &str) -> Option<i32> {
    let digits = step.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    digits.parse().ok()
}

/// `?`: a key of an object, or a string among the elements of an array, or the string itself.
pub(super) fn exists(j: &str, key: &str) -> Result<bool> {
    let is = |s: &str| Ok::<_, DataFusionError>(kind(s)? == Kind::String && unquote(trim(s))? == key);
    match kind(j)? {
        Kind::Object => Ok(field(j, key)?.is_some()),
        Kind::Array => {
            for e in elements(j)? {
                if is(e)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => is(j),
    }
}
