//! Whole documents: read from any JSON text, written as `jsonb_out` prints them.
//!
//! Invariants:
//! - Members of an object are in jsonb's order (by length, then bytes), each name once; numbers are as `numeric_out` prints them.
//! - What Postgres would not accept, or what is nested deeper than [`MAX_DEPTH`], is refused.

use super::scan::unquote;
use super::write::{is_number, quote};
use crate::error::refused;
use datafusion::common::{DataFusionError, Result};

/// More levels than this are left to Postgres.
const MAX_DEPTH: usize = 200;
/// Wider exponents are left to Postgres, which has bounds of its own.
const MAX_EXPONENT: i64 = 10_000;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    String(String),
    Number(String),
    Bool(bool),
    Null,
}

impl Node {
    pub(super) fn read(text: &str) -> Result<Node> {
        let mut reader = Reader { text, at: 0 };
        let node = reader.value(0)?;
        reader.blanks();
        if reader.at == text.len() { Ok(node) } else { Err(invalid()) }
    }

    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self, Node::Object(_) | Node::Array(_))
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Node::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    quote(name, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
            Node::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Node::String(s) => quote(s, out),
            Node::Number(n) => out.push_str(n),
            Node::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Node::Null => out.push_str("null"),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// As `jsonb_pretty` writes it: containers over several lines, four blanks a level.
    pub(super) fn pretty(&self, level: usize, out: &mut String) {
        let (open, close, count) = match self {
            Node::Object(members) => ('{', '}', members.len()),
            Node::Array(items) => ('[', ']', items.len()),
            scalar => return scalar.write(out),
        };
        let line = |level: usize, out: &mut String| {
            out.push('\n');
            out.extend(std::iter::repeat_n("    ", level));
        };
        out.push(open);
        for i in 0..count {
            if i > 0 {
                out.push(',');
            }
            line(level + 1, out);
            match self {
                Node::Object(members) => {
                    if let Some((name, value)) = members.get(i) {
                        quote(name, out);
                        out.push_str(": ");
                        value.pretty(level + 1, out);
                    }
                }
                Node::Array(items) => {
                    if let Some(item) = items.get(i) {
                        item.pretty(level + 1, out);
                    }
                }
                _ => {}
            }
        }
        line(level, out);
        out.push(close);
    }

    /// Without members that are null, on every level. Source: `jsonb_strip_nulls`.
    pub(super) fn without_nulls(self) -> Node {
        match self {
            Node::Object(members) => Node::Object(members.into_iter().filter(|(_, v)| *v != Node::Null).map(|(k, v)| (k, v.without_nulls())).collect()),
            Node::Array(items) => Node::Array(items.into_iter().map(Node::without_nulls).collect()),
            scalar => scalar,
        }
    }
}

/// The members in jsonb's order; of those with one name the last is kept.
pub(super) fn object(mut members: Vec<(String, Node)>) -> Node {
    members.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes())));
    let mut kept: Vec<(String, Node)> = Vec::with_capacity(members.len());
    for (name, value) in members {
        match kept.last_mut() {
            Some(last) if last.0 == name => last.1 = value,
            _ => kept.push((name, value)),
        }
    }
    Node::Object(kept)
}

/// The text as jsonb prints it.
pub(super) fn canonical(text: &str) -> Result<String> {
    Ok(Node::read(text)?.text())
}

fn invalid() -> DataFusionError {
    refused("a text that is no JSON")
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether the next character that is no blank is this one, which is then read.
    fn take(&mut self, wanted: u8) -> bool {
        self.blanks();
        let is = self.peek() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    fn value(&mut self, depth: usize) -> Result<Node> {
        if depth > MAX_DEPTH {
            return Err(refused("a deeply nested JSON value"));
        }
        self.blanks();
        match self.peek().ok_or_else(invalid)? {
            b'{' => {
                self.at += 1;
                let mut members = Vec::new();
                if self.take(b'}') {
                    return Ok(Node::Object(members));
                }
                loop {
                    self.blanks();
                    let name = self.string()?;
                    if !self.take(b':') {
                        return Err(invalid());
                    }
                    members.push((name, self.value(depth + 1)?));
                    if self.take(b',') {
                        continue;
                    }
                    return if self.take(b'}') { Ok(object(members)) } else { Err(invalid()) };
                }
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                if self.take(b']') {
                    return Ok(Node::Array(items));
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    if self.take(b',') {
                        continue;
                    }
                    return if self.take(b']') { Ok(Node::Array(items)) } else { Err(invalid()) };
                }
            }
            b'"' => Ok(Node::String(self.string()?)),
            _ => {
                let n = self.rest().bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')).count();
                let word = self.rest().get(..n).unwrap_or_default();
                self.at += n;
                match word {
                    "true" => Ok(Node::Bool(true)),
                    "false" => Ok(Node::Bool(false)),
                    "null" => Ok(Node::Null),
                    number if is_number(number) => Ok(Node::Number(plain(number)?)),
                    _ => Err(invalid()),
                }
            }
        }
    }

    fn string(&mut self) -> Result<String> {
        if self.peek() != Some(b'"') {
            return Err(invalid());
        }
        let bytes = self.rest().as_bytes();
        let mut end = 1;
        loop {
            match bytes.get(end).ok_or_else(invalid)? {
                b'"' => break,
                b'\\' => end += 2,
                0..=31 => return Err(invalid()),
                _ => end += 1,
            }
        }
        let quoted = self.rest().get(..=end).ok_or_else(invalid)?;
        self.at += end + 1;
        Ok(unquote(quoted)?.into_owned())
    }
}

/// A JSON number without exponent. Source: `set_var_from_str` in `numeric.c`.
fn plain(number: &str) -> Result<String> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i64>().ok().filter(|e| e.abs() <= MAX_EXPONENT).ok_or_else(|| refused("a JSON number of a wide range"))?),
        None => (number, 0),
    };
    let (negative, unsigned) = mantissa.strip_prefix('-').map_or((false, mantissa), |m| (true, m));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    if digits.len() > 10_000 {
        return Err(refused("a JSON number of many digits"));
    }
    let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    // The point stands after this many digits.
    let point = length(whole.len()) + exponent;
    let scale = (length(fraction.len()) - exponent).max(0);
    let digit = |i: i64| usize::try_from(i).ok().and_then(|i| digits.as_bytes().get(i)).map_or('0', |b| char::from(*b));
    let mut integer: String = (0..point.max(0)).map(digit).collect::<String>().trim_start_matches('0').to_string();
    if integer.is_empty() {
        integer.push('0');
    }
    let fraction: String = (point..point + scale).map(digit).collect();
    let zero = integer == "0" && fraction.bytes().all(|b| b == b'0');
    let sign = if negative && !zero { "-" } else { "" };
    Ok(if fraction.is_empty() { format!("{sign}{integer}") } else { format!("{sign}{integer}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonb_orders_members_by_length_and_keeps_the_last() {
        let text = canonical(r#" {"bb": 1, "a": [1 , 2], "b":{"x":null}, "a": "\u00e4\n"} "#).unwrap();
        assert_eq!(text, "{\"a\": \"ä\\n\", \"b\": {\"x\": null}, \"bb\": 1}");
    }

    #[test]
    fn numbers_lose_their_exponent_and_keep_their_scale() {
        for (number, expected) in [
            ("1.50", "1.50"),
            ("1e2", "100"),
            ("1.50e1", "15.0"),
            ("1.5e3", "1500"),
            ("12e-3", "0.012"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            ("-1.5E+1", "-15"),
            ("0.001e1", "0.01"),
            ("0e5", "0"),
        ] {
            assert_eq!(plain(number).unwrap(), expected, "{number}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "[1,]", "{\"a\"}", "01", "1.", "tru", "\"a", "\"\n\"", "\"\\x\"", "1 2", "{a: 1}", "'a'", "\"\\u0000\""] {
            assert!(canonical(text).is_err(), "{text}");
        }
    }
}
