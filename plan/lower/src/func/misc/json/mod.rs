//! json and jsonb, both held as text: jsonb as `jsonb_out` prints it, so that a part of it is a slice of it.
//!
//! Invariant: documents are valid; what Postgres would complain about when it looks closer (escapes that are no characters) is refused.

use super::super::text::lower_call::{compare, make};
use super::super::text::rows::{Args, kernel};
use super::super::text::slice::count;
use crate::error::refused;
use crate::func;
use crate::udf::{self, Kernel};
use crate::value::{Call, Value};
use arrow::array::{
    Array, AsArray, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, StringViewArray, StringViewBuilder,
};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, Operator, ScalarFunctionArgs};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;
use weir_plan::types::{PgType, oid};

mod build;
mod contain;
mod document;
mod edit;
mod number;
mod order;
mod path;
mod rows;
mod scan;
mod write;

pub(crate) use build::{jsonb, jsonb_text};
pub(crate) use path::path_rows;
pub(crate) use rows::json_rows;
use scan::{Kind, kind, text_of};
pub(crate) use write::{json_name, json_text};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        // -> and ->> with a field name
        3947 => make(call, "json_field", "", kernel!(StringViewBuilder::new(), |j: text, name: text| scan::field(scan::checked(j)?, name)?)),
        3478 => make(call, "json_field", "b", kernel!(StringViewBuilder::new(), |j: text, name: text| scan::field(j, name)?)),
        3948 => make(call, "json_field_text", "", kernel!(StringViewBuilder::new(), |j: text, name: text| printed(scan::field(scan::checked(j)?, name)?)?)),
        3214 => make(call, "json_field_text", "b", kernel!(StringViewBuilder::new(), |j: text, name: text| printed(scan::field(j, name)?)?)),
        // -> and ->> with an index
        3949 => make(call, "json_element", "", kernel!(StringViewBuilder::new(), |j: text, n: int4| scan::element(scan::checked(j)?, n, false)?)),
        3215 => make(call, "json_element", "b", kernel!(StringViewBuilder::new(), |j: text, n: int4| scan::element(j, n, true)?)),
        3950 => {
            make(call, "json_element_text", "", kernel!(StringViewBuilder::new(), |j: text, n: int4| printed(scan::element(scan::checked(j)?, n, false)?)?))
        }
        3216 => make(call, "json_element_text", "b", kernel!(StringViewBuilder::new(), |j: text, n: int4| printed(scan::element(j, n, true)?)?)),
        // Fields of records.
        3204 => make(call, "json_record_text", "", kernel!(StringViewBuilder::new(), |j: text, name: text| printed(record_field(scan::checked(j)?, name)?)?)),
        3490 => make(call, "json_record_text", "b", kernel!(StringViewBuilder::new(), |j: text, name: text| printed(record_field(j, name)?)?)),
        3205 => make(call, "json_record_field", "", kernel!(StringViewBuilder::new(), |j: text, name: text| record_field(scan::checked(j)?, name)?)),
        3491 => make(call, "json_record_field", "b", kernel!(StringViewBuilder::new(), |j: text, name: text| record_field(j, name)?)),
        // #> and #>>
        3951 => path(call, true, false),
        3217 => path(call, false, false),
        3953 => path(call, true, true),
        3940 => path(call, false, true),
        3956 | 3207 => make(call, "json_array_length", "", kernel!(Int32Builder::new(), |j: text| Some(array_length(j)?))),
        3968 | 3210 => make(call, "json_typeof", "", kernel!(StringViewBuilder::new(), |j: text| Some(kind(j)?.name()))),
        4043 => jsonb_compare(call, Operator::Eq),
        4038 => jsonb_compare(call, Operator::NotEq),
        4039 => jsonb_order(call, "jsonb_lt", Ordering::is_lt),
        4040 => jsonb_order(call, "jsonb_gt", Ordering::is_gt),
        4041 => jsonb_order(call, "jsonb_le", Ordering::is_le),
        4042 => jsonb_order(call, "jsonb_ge", Ordering::is_ge),
        4046 => make(call, "jsonb_contains", "", kernel!(BooleanBuilder::new(), |a: text, b: text| Some(contain::contains(a, b)?))),
        4050 => make(call, "jsonb_contained", "", kernel!(BooleanBuilder::new(), |a: text, b: text| Some(contain::contains(b, a)?))),
        4047 => make(call, "jsonb_exists", "", kernel!(BooleanBuilder::new(), |j: text, key: text| Some(scan::exists(j, key)?))),
        4048 => make(call, "jsonb_exists_any", "", kernel!(BooleanBuilder::new(), |j: text, keys: list| Some(exists(j, strings(&keys)?, true)?))),
        4049 => make(call, "jsonb_exists_all", "", kernel!(BooleanBuilder::new(), |j: text, keys: list| Some(exists(j, strings(&keys)?, false)?))),
        3556 => make(
            call,
            "jsonb_bool",
            "",
            kernel!(BooleanBuilder::new(), |j: text| Some(match j {
                "true" => true,
                "false" => false,
                _ => return Err(refused("a jsonb that is not boolean")),
            })),
        ),
        3450 => make(call, "jsonb_int2", "", kernel!(Int16Builder::new(), |j: text| Some(number::integer(j)?))),
        3451 => make(call, "jsonb_int4", "", kernel!(Int32Builder::new(), |j: text| Some(number::integer(j)?))),
        3452 => make(call, "jsonb_int8", "", kernel!(Int64Builder::new(), |j: text| Some(number::integer(j)?))),
        3453 => make(call, "jsonb_float4", "", kernel!(Float32Builder::new(), |j: text| Some(number::float4(j)?))),
        2580 => make(call, "jsonb_float8", "", kernel!(Float64Builder::new(), |j: text| Some(number::float8(j)?))),
        3449 => jsonb_numeric(call),
        _ => return build::lower(call).or_else(|| edit::lower(call)).or_else(|| path::lower(call)),
    })
}

/// A number in jsonb as numeric.
fn jsonb_numeric(call: &Call<'_>) -> Result<Value> {
    let kernel =
        kernel!(StringViewBuilder::new(), |j: text| Some(if kind(j)? == Kind::Number { j } else { return Err(refused("a jsonb that is no number")) }));
    let text = make(&Call { args: call.args.clone(), ty: PgType::TEXT, ..*call }, "jsonb_number", "", kernel)?;
    func::via_text(&text, call.ty, call.session)
}

/// A text as json, which stays as it is, or as jsonb.
pub(in crate::func) fn read(text: Expr, ty: PgType) -> Value {
    let expr = if ty.base == oid::JSONB {
        jsonb(text)
    } else {
        let kernel = kernel!(StringViewBuilder::new(), |j: text| Some(document::Node::read(j).map(|_| j)?));
        udf::call("json_in", "", DataType::Utf8View, vec![text], kernel)
    };
    Value::new(expr, DataType::Utf8View, ty)
}

/// A part as `->>` shows it: JSON null is NULL.
fn printed(part: Option<&str>) -> Result<Option<Cow<'_, str>>> {
    match part {
        None => Ok(None),
        Some(p) => text_of(p),
    }
}

/// The field of a row that an object becomes, where null is NULL.
fn record_field<'a>(j: &'a str, name: &str) -> Result<Option<&'a str>> {
    if kind(j)? != Kind::Object {
        return Err(refused("a record of JSON that is no object"));
    }
    let field = scan::field(j, name)?;
    Ok(match field.map(kind).transpose()? {
        Some(Kind::Null) => None,
        _ => field,
    })
}

fn array_length(j: &str) -> Result<i32> {
    if kind(j)? == Kind::Array { count(scan::elements(j)?.len()) } else { Err(refused("length of a JSON value that is no array")) }
}

fn strings(keys: &arrow::array::ArrayRef) -> Result<&StringViewArray> {
    keys.as_string_view_opt().ok_or_else(|| refused("keys that are not text"))
}

/// NULL keys are passed over.
fn exists(j: &str, keys: &StringViewArray, any: bool) -> Result<bool> {
    for key in keys.iter().flatten() {
        if scan::exists(j, key)? == any {
            return Ok(any);
        }
    }
    Ok(!any)
}

/// The text by which jsonb values are equal.
pub(crate) fn jsonb_key(document: Expr) -> Expr {
    let kernel = kernel!(StringViewBuilder::new(), |j: text| Some(number::normal(j)));
    udf::call("jsonb_normal", "", DataType::Utf8View, vec![document], kernel)
}

fn jsonb_compare(call: &Call<'_>, op: Operator) -> Result<Value> {
    let args = call.args.iter().map(|a| Value { expr: jsonb_key(a.expr.clone()), ..a.clone() }).collect();
    compare(&Call { args, ..*call }, op)
}

fn jsonb_order(call: &Call<'_>, name: &'static str, holds: fn(Ordering) -> bool) -> Result<Value> {
    make(call, name, "", kernel!(BooleanBuilder::new(), |a: text, b: text| Some(holds(order::compare(a, b)?))))
}

/// `#>` and `#>>`. `check`: the document may have escapes that are no characters.
fn path(call: &Call<'_>, check: bool, as_text: bool) -> Result<Value> {
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let (documents, paths) = (args.text(0)?, args.list(1)?);
        let mut out = StringViewBuilder::with_capacity(args.rows);
        for row in 0..args.rows {
            let (Some(j), Some(path)) = (documents.opt(row), paths.opt(row)) else {
                out.append_null();
                continue;
            };
            let path = strings(&path)?;
            if path.null_count() > 0 {
                out.append_null();
                continue;
            }
            let path: Vec<&str> = path.iter().flatten().collect();
            let found = scan::follow(if check { scan::checked(j)? } else { j }, &path)?;
            match (found, as_text) {
                (Some(part), true) => out.append_option(text_of(part)?),
                (part, _) => out.append_option(part),
            }
        }
        args.finish(Arc::new(out.finish()))
    });
    make(call, if as_text { "json_path_text" } else { "json_path" }, check.to_string(), kernel)
}
