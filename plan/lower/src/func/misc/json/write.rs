//! The JSON text of values, as `to_json` writes it. Source: `datum_to_json` in `json.c`.

use crate::error::refused;
use crate::func::text::pad_bpchar;
use crate::func::text::rows::{Args, kernel};
use crate::func::{self, time};
use crate::udf::{self, Kernel};
use crate::value::Value;
use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StringViewBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::{Expr, ScalarFunctionArgs};
use datafusion::physical_expr::create_physical_expr;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use weir_plan::ir::Session;
use weir_plan::types::{PgType, oid};

/// Appends a string with its quotes. Source: `escape_json`.
pub(in crate::func) fn quote(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn quoted(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    quote(s, &mut out);
    out
}

/// Whether a text is a number by JSON's grammar.
pub(super) fn is_number(s: &str) -> bool {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let rest = s.strip_prefix('-').unwrap_or(s);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix('.') {
        let n = digits(fraction);
        if n == 0 {
            return false;
        }
        rest = fraction.get(n..).unwrap_or_default();
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

fn call(name: &'static str, arg: Expr, kernel: Kernel) -> Expr {
    udf::call(name, "", DataType::Utf8View, vec![arg], kernel)
}

fn string(text: Expr) -> Expr {
    call("json_string", text, kernel!(StringViewBuilder::new(), |s: text| Some(quoted(s))))
}

/// Printed numbers; NaN and the infinities are strings.
fn number(text: Expr) -> Expr {
    call("json_number", text, kernel!(StringViewBuilder::new(), |s: text| Some(if is_number(s) { Cow::Borrowed(s) } else { Cow::Owned(quoted(s)) })))
}

/// The JSON text of a value; NULL for NULL.
pub(crate) fn json_text(value: &Value, session: &Session) -> Result<Expr> {
    let printed = |ty: PgType| func::via_text(value, ty, session).map(|v| v.expr);
    Ok(match value.ty.base {
        oid::JSON | oid::JSONB => value.expr.clone(),
        oid::BOOL => call("json_bool", value.expr.clone(), kernel!(StringViewBuilder::new(), |b: bool| Some(if b { "true" } else { "false" }))),
        oid::INT2 | oid::INT4 | oid::INT8 => printed(PgType::TEXT)?,
        oid::NUMERIC | oid::FLOAT4 | oid::FLOAT8 => number(printed(PgType::TEXT)?),
        oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ => string(time::iso_text(value, session)?),
        oid::TEXT | oid::VARCHAR | oid::NAME | oid::ENUM => string(value.expr.clone()),
        oid::BPCHAR => string(pad_bpchar(value)?),
        oid::UUID | oid::TIME | oid::INTERVAL => string(printed(PgType::TEXT)?),
        _ if value.ty.element().is_some() => array(value, session)?,
        _ => return Err(refused(format!("JSON of a value of type {}", value.ty.oid))),
    })
}

/// The name of a member whose name is a value of any scalar type.
pub(crate) fn json_name(value: &Value, session: &Session) -> Result<Expr> {
    match value.ty.base {
        oid::BOOL => Ok(string(json_text(value, session)?)),
        oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC | oid::FLOAT4 | oid::FLOAT8 => Ok(string(func::via_text(value, PgType::TEXT, session)?.expr)),
        oid::JSON | oid::JSONB => Err(refused("a JSON value as the name of a member")),
        _ if value.ty.element().is_some() => Err(refused("an array as the name of a member")),
        _ => json_text(value, session),
    }
}

/// `[1,2,null]`
fn array(value: &Value, session: &Session) -> Result<Expr> {
    let (Some(element), DataType::List(field)) = (value.ty.element(), &value.arrow) else { return Err(refused("JSON of an array of an unknown type")) };
    let item = Expr::Column(Column::new_unqualified("e"));
    // The elements of a numeric array are held as text.
    let text = match element.base {
        oid::NUMERIC => number(item),
        oid::BPCHAR => return Err(refused("JSON of an array of character values")),
        _ => json_text(&Value::new(item, field.data_type().clone(), element), session)?,
    };
    let schema = Arc::new(Schema::new(vec![Field::new("e", field.data_type().clone(), true)]));
    let physical = create_physical_expr(&text, &DFSchema::try_from(Arc::clone(&schema))?, &ExecutionProps::new())?;
    let kernel: Kernel = Arc::new(move |call: &ScalarFunctionArgs| {
        let args = Args::new(call)?;
        let list = args.list(0)?;
        let values = list.array.values();
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(values)])?;
        let texts = physical.evaluate(&batch)?.into_array(values.len())?;
        let mut out = StringViewBuilder::with_capacity(args.rows);
        let mut text = String::new();
        for row in 0..args.rows {
            let at = list.at(row);
            if list.array.is_null(at) {
                out.append_null();
                continue;
            }
            text.clear();
            elements(list.array, at, &texts, &mut text)?;
            out.append_value(&text);
        }
        args.finish(Arc::new(out.finish()))
    });
    Ok(udf::call("json_array", format!("{} {text}", element.oid), DataType::Utf8View, vec![value.expr.clone()], kernel))
}

fn elements(list: &ListArray, row: usize, texts: &ArrayRef, out: &mut String) -> Result<()> {
    let texts = texts.as_string_view_opt().ok_or_else(|| refused("JSON that is no text"))?;
    let at = |i: usize| list.value_offsets().get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or_default();
    out.push('[');
    for i in at(row)..at(row + 1) {
        if i > at(row) {
            out.push(',');
        }
        out.push_str(if texts.is_null(i) { "null" } else { texts.value(i) });
    }
    out.push(']');
    Ok(())
}
