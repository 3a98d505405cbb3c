//! Casts among text, varchar, bpchar and name, and the coercions to a declared length.

use super::lower_call::make;
use super::rows::kernel;
use super::slice::{char_count, char_offset};
use crate::error::{raise, refused};
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::StringViewBuilder;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use weir_plan::types::{PgType, oid};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        // bpchar to text drops the trailing blanks, name to text changes nothing: the values are held so already.
        401 | 406 | 1401 => same(call),
        407 | 1400 | 409 => make(call, "to_name", "", kernel!(StringViewBuilder::new(), |s: text| Some(name(s)))),
        668 => make(call, "to_bpchar", "", kernel!(StringViewBuilder::new(), |s: text, typmod: int4, explicit: bool| Some(bpchar(s, typmod, explicit)?))),
        669 => make(call, "to_varchar", "", kernel!(StringViewBuilder::new(), |s: text, typmod: int4, explicit: bool| Some(varchar(s, typmod, explicit)?))),
        _ => return None,
    })
}

fn same(call: &Call<'_>) -> Result<Value> {
    match call.args.as_slice() {
        [arg] if arg.arrow == DataType::Utf8View => Ok(Value::new(arg.expr.clone(), DataType::Utf8View, call.ty)),
        _ => Err(refused(format!("function {} wants one text argument", call.func))),
    }
}

/// A binary-compatible relabelling of a text-like value. Into bpchar it drops the trailing blanks, which are insignificant there.
pub fn relabel(value: Value, ty: PgType) -> Value {
    let into_bpchar = ty.base == oid::BPCHAR && value.ty.base != oid::BPCHAR && value.arrow == DataType::Utf8View;
    let expr = if into_bpchar { strip_blanks(value.expr) } else { value.expr };
    Value { expr, ty, ..value }
}

/// The text without trailing blanks: how a bpchar is held.
pub fn strip_blanks(expr: Expr) -> Expr {
    udf::call("strip_blanks", "", DataType::Utf8View, vec![expr], kernel!(StringViewBuilder::new(), |s: text| Some(s.trim_end_matches(' '))))
}

/// A char(n) that is as long as its n; what has blanks to that is refused.
pub fn unpadded(value: Value, ty: PgType) -> Result<Value> {
    if value.ty.base != oid::BPCHAR {
        return Err(refused("text taken as a character value without blanks"));
    }
    let length = value.ty.char_length().ok_or_else(|| refused("a character value without a declared length"))?;
    let kernel = kernel!(StringViewBuilder::new(), |s: text| Some(if char_count(s) < length {
        return Err(refused("character values with blanks, of different lengths"));
    } else {
        s
    }));
    let expr = udf::call("bpchar_unpadded", length.to_string(), DataType::Utf8View, vec![value.expr], kernel);
    Ok(Value { expr, ty, ..value })
}

/// The bpchar as Postgres stores it: padded to its declared length.
pub(in crate::func) fn pad_bpchar(value: &Value) -> Result<Expr> {
    let length = value.ty.char_length().ok_or_else(|| refused("a character value without a declared length"))?;
    let kernel = kernel!(StringViewBuilder::new(), |s: text| Some(pad(s, length)));
    Ok(udf::call("bpchar_pad", length.to_string(), DataType::Utf8View, vec![value.expr.clone()], kernel))
}

/// The call's argument expressions, the first of them padded if it is a bpchar.
pub(super) fn padded_first(call: &Call<'_>) -> Result<Vec<Expr>> {
    call.args.iter().enumerate().map(|(i, a)| if i == 0 && a.ty.base == oid::BPCHAR { pad_bpchar(a) } else { Ok(a.expr.clone()) }).collect()
}

pub(super) fn pad(s: &str, length: usize) -> String {
    let mut padded = s.to_owned();
    padded.extend(std::iter::repeat_n(' ', length.saturating_sub(char_count(s))));
    padded
}

/// `NAMEDATALEN` - 1 bytes, at a character boundary.
fn name(s: &str) -> &str {
    s.get(..s.floor_char_boundary(63)).unwrap_or(s)
}

fn bpchar(s: &str, typmod: i32, explicit: bool) -> Result<&str> {
    Ok(varying(s, typmod, explicit, "character")?.trim_end_matches(' '))
}

fn varchar(s: &str, typmod: i32, explicit: bool) -> Result<&str> {
    varying(s, typmod, explicit, "character varying")
}

/// Without an explicit cast only blanks may be cut off.
fn varying<'a>(s: &'a str, typmod: i32, explicit: bool, ty: &str) -> Result<&'a str> {
    let Ok(length) = usize::try_from(typmod - 4) else { return Ok(s) };
    let (kept, cut) = s.split_at_checked(char_offset(s, length)).unwrap_or((s, ""));
    if !explicit && cut.bytes().any(|b| b != b' ') {
        return Err(raise("22001", format!("value too long for type {ty}({length})")));
    }
    Ok(kept)
}
