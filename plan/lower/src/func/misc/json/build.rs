//! `to_json`, `json_build_object` and the like, and their jsonb forms, which are the same texts as jsonb prints them.
//!
//! A row comes as a call of `row_to_json` over the names of its columns (constants) and then their values.

use super::document::canonical;
use super::write::{json_name, json_text};
use crate::error::refused;
use crate::func::text::rows::{Args, kernel};
use crate::udf::{self, Kernel};
use crate::value::{Call, Value};
use arrow::array::{Array, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, ScalarFunctionArgs};
use std::sync::Arc;
use weir_plan::types::oid;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        3176 | 3153 => one(call, false),
        3787 => one(call, true),
        3155 => row(call),
        3198 => list(call).map(|e| finished(call, e)),
        3200 => members(call, " : ", ", ").map(|e| finished(call, e)),
        3271 => list(call).map(|e| finished(call, jsonb(e))),
        3273 => members(call, ": ", ", ").map(|e| finished(call, jsonb(e))),
        _ => return None,
    })
}

fn finished(call: &Call<'_>, expr: Expr) -> Value {
    Value::new(expr, DataType::Utf8View, call.ty)
}

/// A JSON text as jsonb prints it.
pub(crate) fn jsonb(text: Expr) -> Expr {
    udf::call("jsonb_in", "", DataType::Utf8View, vec![text], kernel!(StringViewBuilder::new(), |j: text| Some(canonical(j)?)))
}

/// The JSON text of a value as jsonb prints it.
pub(crate) fn jsonb_text(value: &Value, session: &weir_plan::ir::Session) -> Result<Expr> {
    let text = json_text(value, session)?;
    let is_canonical = matches!(
        value.ty.base,
        oid::JSONB
            | oid::BOOL
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::NUMERIC
            | oid::DATE
            | oid::TIMESTAMP
            | oid::TIMESTAMPTZ
            | oid::TEXT
            | oid::VARCHAR
            | oid::NAME
            | oid::ENUM
            | oid::BPCHAR
            | oid::UUID
            | oid::TIME
            | oid::INTERVAL
    );
    Ok(if is_canonical { text } else { jsonb(text) })
}

fn one(call: &Call<'_>, as_jsonb: bool) -> Result<Value> {
    let [arg] = call.args.as_slice() else { return Err(refused("to_json of several values")) };
    let expr = if as_jsonb { jsonb_text(arg, call.session)? } else { json_text(arg, call.session)? };
    Ok(finished(call, expr))
}

/// `{"a":1,"b":null}`
fn row(call: &Call<'_>) -> Result<Value> {
    let (names, values) = call.args.split_at_checked(call.args.len() / 2).ok_or_else(|| refused("a row without names"))?;
    let mut exprs = Vec::with_capacity(call.args.len());
    for (name, value) in names.iter().zip(values) {
        exprs.push(json_name(name, call.session)?);
        exprs.push(json_text(value, call.session)?);
    }
    Ok(finished(call, object("row_to_json", exprs, ":", ",")))
}

/// `[1, null]`
fn list(call: &Call<'_>) -> Result<Expr> {
    let exprs = call.args.iter().map(|a| json_text(a, call.session)).collect::<Result<Vec<_>>>()?;
    let kernel = over_texts(|texts, row, out| {
        out.push('[');
        for (i, text) in texts.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            out.push_str(text.at(row).unwrap_or("null"));
        }
        out.push(']');
        Ok(())
    });
    Ok(udf::call("json_build_array", "", DataType::Utf8View, exprs, kernel))
}

fn members(call: &Call<'_>, colon: &'static str, comma: &'static str) -> Result<Expr> {
    if !call.args.len().is_multiple_of(2) {
        return Err(refused("an odd number of names and values of an object"));
    }
    let mut exprs = Vec::with_capacity(call.args.len());
    for (i, arg) in call.args.iter().enumerate() {
        exprs.push(if i % 2 == 0 { json_name(arg, call.session)? } else { json_text(arg, call.session)? });
    }
    Ok(object("json_build_object", exprs, colon, comma))
}

/// Names and values in turn.
fn object(name: &'static str, exprs: Vec<Expr>, colon: &'static str, comma: &'static str) -> Expr {
    let kernel = over_texts(move |texts, row, out| {
        out.push('{');
        for (i, text) in texts.iter().enumerate() {
            match (i % 2 == 0, text.at(row)) {
                (true, None) => return Err(refused("an object with a NULL name")),
                (true, Some(name)) => {
                    out.push_str(if i > 0 { comma } else { "" });
                    out.push_str(name);
                }
                (false, value) => {
                    out.push_str(colon);
                    out.push_str(value.unwrap_or("null"));
                }
            }
        }
        out.push('}');
        Ok(())
    });
    udf::call(name, colon, DataType::Utf8View, exprs, kernel)
}

/// One argument: `one` if its only value stands for all rows.
struct Texts<'a> {
    array: &'a StringViewArray,
    one: bool,
}

impl Texts<'_> {
    fn at(&self, row: usize) -> Option<&str> {
        let row = if self.one { 0 } else { row };
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}

/// A kernel over texts that never answers NULL.
fn over_texts(f: impl Fn(&[Texts<'_>], usize, &mut String) -> Result<()> + Send + Sync + 'static) -> Kernel {
    Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let mut texts = Vec::with_capacity(args.len());
        for i in 0..args.len() {
            let (array, one) = args.arg(i)?;
            texts.push(Texts { array: array.as_string_view_opt().ok_or_else(|| refused("JSON that is no text"))?, one: *one });
        }
        let mut out = StringViewBuilder::with_capacity(args.rows);
        let mut text = String::new();
        for row in 0..args.rows {
            text.clear();
            f(&texts, row, &mut text)?;
            out.append_value(&text);
        }
        args.finish(Arc::new(out.finish()))
    })
}
