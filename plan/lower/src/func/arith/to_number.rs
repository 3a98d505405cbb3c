//! `to_number`, for patterns of digits, group marks and a decimal point, with a leading FM, and texts of a sign, digits and marks.
//!
//! Source: `NUM_processor` and `NUM_numpart_from_char` in `formatting.c`. Everything else is `Refused`.

use crate::error::refused;
use crate::func;
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::Expr;
use std::sync::Arc;
use weir_plan::types::PgType;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    (call.func == 1777).then(|| to_number(call))
}

fn to_number(call: &Call<'_>) -> Result<Value> {
    let [text, pattern] = call.args.as_slice() else { return Err(refused("to_number of other than a text and a pattern")) };
    let Expr::Literal(ScalarValue::Utf8View(Some(pattern)), _) = &pattern.expr else { return Err(refused("to_number with a pattern that is not constant")) };
    let picture = Picture::parse(pattern)?;
    let kernel = udf::over_arrays(move |arrays| {
        let Some(texts) = arrays.first().and_then(|a| a.as_string_view_opt()) else { return internal_err!("to_number of no text") };
        let mut out = StringViewBuilder::with_capacity(texts.len());
        for text in texts {
            out.append_option(text.map(|t| picture.read(t)).transpose()?);
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    let digits = udf::call("pg_to_number", pattern.clone(), DataType::Utf8View, vec![text.expr.clone()], kernel);
    func::via_text(&Value::new(digits, DataType::Utf8View, PgType::TEXT), call.ty, call.session)
}

fn unusual() -> DataFusionError {
    refused("to_number of such a text or pattern")
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    Digit,
    Point,
    Comma,
}

struct Picture {
    nodes: Vec<Node>,
    fill: bool,
    /// Digits before and after the point.
    pre: usize,
    post: usize,
    has_point: bool,
}

impl Picture {
    fn parse(pattern: &str) -> Result<Picture> {
        let stripped = pattern.strip_prefix("FM").or_else(|| pattern.strip_prefix("fm"));
        let mut p = Picture { nodes: vec![], fill: stripped.is_some(), pre: 0, post: 0, has_point: false };
        for c in stripped.unwrap_or(pattern).chars() {
            p.nodes.push(match c {
                '9' | '0' => {
                    *(if p.has_point { &mut p.post } else { &mut p.pre }) += 1;
                    Node::Digit
                }
                ',' if !p.has_point => Node::Comma,
                '.' if !p.has_point => {
                    p.has_point = true;
                    Node::Point
                }
                _ => return Err(unusual()),
            });
        }
        // A sign is read at the first digit only.
        if p.nodes.first() == Some(&Node::Digit) && p.pre + p.post <= 60 { Ok(p) } else { Err(unusual()) }
    }

    /// The number as numeric_in reads it.
    fn read(&self, text: &str) -> Result<String> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if !rest.iter().all(|b| matches!(b, b'0'..=b'9' | b',' | b'.')) {
            return Err(unusual());
        }
        let (mut number, mut pre, mut post, mut point) = (String::new(), 0, 0, false);
        let mut at = 0;
        for node in &self.nodes {
            let Some(byte) = rest.get(at) else { break };
            if *node == Node::Comma {
                // FM passes over group marks of the pattern, not of the text.
                at += usize::from(!self.fill && *byte == b',');
                continue;
            }
            // What is not read is passed over.
            at += 1;
            match byte {
                b'0'..=b'9' if !point => {
                    pre += 1;
                    number.push(char::from(*byte));
                }
                b'0'..=b'9' if post < self.post => {
                    post += 1;
                    number.push(char::from(*byte));
                }
                b'.' if self.has_point && !point => {
                    point = true;
                    number.push('.');
                }
                _ => {}
            }
        }
        // More digits than the pattern's overflow, none are no number.
        if pre + post == 0 || pre > self.pre {
            return Err(unusual());
        }
        let number = number.strip_suffix('.').unwrap_or(&number);
        Ok(format!("{}{number}", if negative { "-" } else { "" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_postgres_reads_them() {
        for (text, pattern, number) in [
            ("123", "999", "123"),
            ("123", "99999", "123"),
            ("-12,345.67", "99,999.99", "-12345.67"),
            ("1,234", "99,999", "1234"),
            ("1234", "9,999", "1234"),
            ("12345", "999", "123"),
            ("1.5", "999", "15"),
            ("1.5", "99", "1"),
            ("0012.50", "0000.00", "0012.50"),
            ("12.", "99.99", "12"),
            ("+7", "9", "7"),
            ("1.239", "9.99", "1.23"),
            (".5", "9.9", ".5"),
        ] {
            assert_eq!(Picture::parse(pattern).unwrap().read(text).unwrap(), number, "{text} {pattern}");
        }
        for (text, pattern) in [("1234", "99.99"), ("", "9"), ("-", "9"), ("1 2", "999"), ("12-", "999"), ("x", "9"), ("$5", "9")] {
            assert!(Picture::parse(pattern).unwrap().read(text).is_err(), "{text} {pattern}");
        }
        for pattern in ["", ".99", "S99", "99D9", "9G999", "9.9.9", "99V9", "\"x\"9"] {
            assert!(Picture::parse(pattern).is_err(), "{pattern}");
        }
    }
}
