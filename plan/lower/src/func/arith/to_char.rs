//! `to_char` of numbers, for the patterns of reports: digits, group and decimal marks, a leading FM, and literal marks such as `$` and `%`.
//!
//! Source: `NUM_processor` and `NUM_numpart_to_char` in `formatting.c`. Everything else (signs, currency, D and G, which follow
//! `lc_numeric`, exponents, Roman numbers) is `Refused`.

use super::cast::output;
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Expr, lit};
use std::sync::Arc;
use weir_plan::types::PgType;

/// Digits of a double that are always right (`DBL_DIG`).
const DOUBLE_DIGITS: usize = 15;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    if !matches!(call.func, 1772 | 1773 | 1774 | 1776) {
        return None;
    }
    Some(to_char(call))
}

fn to_char(call: &Call<'_>) -> Result<Value> {
    let [number, pattern] = call.args.as_slice() else { return Err(refused("to_char of other than a number and a pattern")) };
    let Expr::Literal(ScalarValue::Utf8View(text), _) = &pattern.expr else { return Err(refused("to_char with a pattern that is not constant")) };
    let Some(text) = text else {
        return Ok(Value::new(Expr::Literal(ScalarValue::Utf8View(None), None), DataType::Utf8View, call.ty));
    };
    let picture = Picture::parse(text)?;
    let key = text.clone();
    if call.func == 1776 {
        let kernel = udf::over_arrays(move |arrays| {
            let Some(values) = arrays.first().and_then(|a| a.as_primitive_opt::<Float64Type>()) else { return internal_err!("to_char of no double") };
            let mut out = StringViewBuilder::with_capacity(values.len());
            for v in values {
                match v {
                    None => out.append_null(),
                    Some(v) => out.append_value(picture.show(&fixed(v, picture.post)?)),
                }
            }
            Ok(Arc::new(out.finish()) as ArrayRef)
        });
        let expr = udf::call("pg_float_to_char", key, DataType::Utf8View, vec![number.expr.clone()], kernel);
        return Ok(Value::new(expr, DataType::Utf8View, call.ty));
    }
    let digits = if call.func == 1772 {
        // round(numeric, integer)
        let places = i32::try_from(picture.post).map_err(|_| refused("to_char with so many digits"))?;
        let args = vec![number.clone(), Value::new(lit(places), DataType::Int32, PgType::INT4)];
        let rounded = Call { func: 1707, args, ty: PgType::NUMERIC, collation: call.collation, session: call.session };
        super::numeric::lower(&rounded).ok_or_else(|| refused("to_char without rounding"))??
    } else {
        number.clone()
    };
    let digits = output(&digits, call.session).ok_or_else(|| refused("to_char of other than a number"))??;
    let is_integer = call.func != 1772;
    let kernel = udf::over_arrays(move |arrays| {
        let Some(texts) = arrays.first().and_then(|a| a.as_string_view_opt()) else { return internal_err!("to_char of no text") };
        let mut out = StringViewBuilder::with_capacity(texts.len());
        for text in texts {
            match text {
                None => out.append_null(),
                Some(t) if is_integer && picture.post > 0 => out.append_value(picture.show(&format!("{t}.{}", "0".repeat(picture.post)))),
                Some(t) => out.append_value(picture.show(t)),
            }
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    Ok(Value::new(udf::call("pg_number_to_char", format!("{is_integer} {key}"), DataType::Utf8View, vec![digits], kernel), DataType::Utf8View, call.ty))
}

/// With so many digits after the point, of which all are right.
fn fixed(v: f64, post: usize) -> Result<String> {
    if !v.is_finite() || format!("{:.0}", v.abs()).len() + post > DOUBLE_DIGITS {
        return Err(refused("to_char of a double with more digits than it has"));
    }
    Ok(format!("{v:.post$}"))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    Nine,
    Zero,
    Point,
    Comma,
    Literal(char),
}

#[derive(Debug)]
struct Picture {
    nodes: Vec<Node>,
    fill: bool,
    /// Digits before and after the point.
    pre: usize,
    post: usize,
    has_point: bool,
    /// The place of the first 0 before the point.
    zero_start: Option<usize>,
    /// Digits up to the last 0.
    zero_end: usize,
}

impl Picture {
    fn parse(pattern: &str) -> Result<Picture> {
        let stripped = pattern.strip_prefix("FM").or_else(|| pattern.strip_prefix("fm"));
        let mut p = Picture { nodes: vec![], fill: stripped.is_some(), pre: 0, post: 0, has_point: false, zero_start: None, zero_end: 0 };
        for c in stripped.unwrap_or(pattern).chars() {
            let node = match c {
                '9' => Node::Nine,
                '0' => Node::Zero,
                ',' => Node::Comma,
                '.' if p.has_point => return Err(refused("to_char with two decimal points")),
                '.' => Node::Point,
                '$' | '%' | ' ' | '-' | '+' | '(' | ')' | '/' | ':' | '#' | '*' | '=' | '_' => Node::Literal(c),
                _ => return Err(refused("to_char of a number with such a pattern")),
            };
            match node {
                Node::Point => p.has_point = true,
                Node::Nine | Node::Zero => {
                    if node == Node::Zero && !p.has_point && p.zero_start.is_none() {
                        p.zero_start = Some(p.pre);
                    }
                    if p.has_point {
                        p.post += 1;
                    } else {
                        p.pre += 1;
                    }
                    if node == Node::Zero {
                        p.zero_end = p.pre + p.post;
                    }
                }
                _ => {}
            }
            p.nodes.push(node);
        }
        if p.pre == 0 || p.has_point != (p.post > 0) || p.post > 30 {
            return Err(refused("to_char of a number with such a pattern"));
        }
        Ok(p)
    }

    /// `number`: its digits, with exactly `post` after the point.
    fn show(&self, number: &str) -> String {
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number),
        };
        let whole = digits.find('.').unwrap_or(digits.len());
        let spaces = self.pre.saturating_sub(whole);
        let number: Vec<char> = if whole > self.pre {
            let mut full = vec!['#'; self.pre + self.post + 1];
            full[self.pre] = '.';
            full
        } else {
            digits.chars().collect()
        };
        Writer {
            picture: self,
            negative,
            spaces,
            last: self.last_relevant(&number, spaces),
            number,
            at: 0,
            place: 0,
            signed: !negative && self.fill,
            in_number: false,
            out: String::new(),
        }
        .run()
    }

    /// With FM, the last digit after the point that is shown.
    fn last_relevant(&self, number: &[char], spaces: usize) -> Option<usize> {
        if !self.fill || !self.has_point {
            return None;
        }
        let point = number.iter().position(|c| *c == '.')?;
        let mut last = number.iter().rposition(|c| *c != '0').filter(|at| *at > point).unwrap_or(point);
        if self.zero_end > spaces {
            last = last.max((number.len() - 1).min(self.zero_end - spaces));
        }
        Some(last)
    }
}

struct Writer<'a> {
    picture: &'a Picture,
    negative: bool,
    /// Places before the first digit.
    spaces: usize,
    last: Option<usize>,
    number: Vec<char>,
    /// The next character of the number, and the next place of the picture.
    at: usize,
    place: usize,
    signed: bool,
    in_number: bool,
    out: String,
}

impl Writer<'_> {
    fn run(mut self) -> String {
        let picture = self.picture;
        for node in &picture.nodes {
            match node {
                Node::Literal(c) => self.out.push(*c),
                Node::Comma if self.in_number => self.out.push(','),
                Node::Comma if picture.fill => {}
                Node::Comma => self.out.push(' '),
                part => self.part(*part),
            }
        }
        self.out
    }

    /// 0.1 by the picture 9.9 has a blank in place of its 0.
    fn blank_before_point(&self) -> bool {
        self.picture.zero_start.is_none() && self.at == 0 && self.number.first() == Some(&'0') && self.picture.post != 0
    }

    fn part(&mut self, node: Node) {
        let p = self.picture;
        self.in_number = false;
        let last_is_point = self.last.is_some_and(|l| self.number.get(l) == Some(&'.'));
        let begins = self.place >= self.spaces || p.zero_start == Some(self.place);
        if !self.signed && begins && (!self.blank_before_point() || last_is_point) {
            if self.negative {
                self.out.push('-');
            } else if !p.fill {
                self.out.push(' ');
            }
            self.signed = true;
        }
        if self.place < self.spaces {
            if p.zero_start.is_some_and(|z| z <= self.place) {
                self.out.push('0');
                self.in_number = true;
            } else if !p.fill {
                self.out.push(' ');
            }
        } else {
            match self.number.get(self.at) {
                Some('.') => self.out.push('.'),
                Some(_) if self.last.is_some_and(|l| self.at > l) && node != Node::Zero => {}
                Some(_) if self.blank_before_point() => {
                    if !p.fill {
                        self.out.push(' ');
                    } else if last_is_point {
                        self.out.push('0');
                    }
                }
                Some(digit) => {
                    self.out.push(*digit);
                    self.in_number = true;
                }
                None => {}
            }
            self.at += 1;
        }
        self.place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_filled_as_postgres_fills_them() {
        for (number, pattern, shown) in [
            ("1234.50", "999,999.99", "   1,234.50"),
            ("-1234.50", "999,999.99", "  -1,234.50"),
            ("0.10", "9.99", "  .10"),
            ("-0.10", "9.99", " -.10"),
            ("0.10", "0.99", " 0.10"),
            ("0.00", "FM9.99", "0."),
            ("1.50", "FM9.99", "1.5"),
            ("1.50", "FM9.00", "1.50"),
            ("12345", "999", " ###"),
            ("7", "0000", " 0007"),
            ("-7", "0000", "-0007"),
            ("7", "FM0000", "0007"),
            ("1234567", "FM999,999,999", "1,234,567"),
            ("12", "$999", "$  12"),
        ] {
            let picture = Picture::parse(pattern).expect("a pattern");
            assert_eq!(picture.show(number), shown, "{number} as {pattern}");
        }
    }
}
