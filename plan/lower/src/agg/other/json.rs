//! json_agg, json_object_agg and their jsonb forms.
//!
//! Invariant: the values are collected as their JSON texts, so the aggregates only join texts. jsonb_object_agg needs no order unless
//! a name comes twice, which is refused then.

use super::collect::{Finish, Spec};
use super::{listing, single};
use crate::agg::{AggArgs, AggLowered};
use crate::error::refused;
use crate::func::{json_name, json_text, jsonb, jsonb_text};
use crate::value::Value;
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, lit};
use std::collections::HashMap;
use std::sync::Arc;
use weir_plan::types::{PgType, oid};

/// The OID of the type `record`, which a row has whose JSON text is at hand.
const RECORD: u32 = 2249;

pub(super) fn agg(args: &AggArgs<'_>, as_jsonb: bool) -> Result<AggLowered> {
    let [arg] = args.args.as_slice() else { return Err(refused("json_agg wants one argument")) };
    // Arrays and rows stand on lines of their own.
    let lines = !as_jsonb && (arg.ty.element().is_some() || arg.ty.oid == RECORD);
    let text = if as_jsonb { jsonb_text(arg, args.session)? } else { json_text(arg, args.session)? };
    let finish: Finish = Arc::new(move |columns, bounds| list(texts(columns, 0)?, bounds, lines));
    listing::ordered(args, if as_jsonb { "jsonb_agg" } else { "json_agg" }, &[collected(text)], DataType::Utf8View, false, finish)
}

pub(super) fn object_agg(args: &AggArgs<'_>, as_jsonb: bool) -> Result<AggLowered> {
    let [name, value] = args.args.as_slice() else { return Err(refused("json_object_agg wants two arguments")) };
    let (name, value) = (json_name(name, args.session)?, json_text(value, args.session)?);
    let values = [collected(name), collected(value)];
    if as_jsonb && args.order_by.is_empty() && !args.distinct {
        return unordered(args, values);
    }
    let colons = if as_jsonb { "jsonb_object_agg" } else { "json_object_agg" };
    let finish: Finish = Arc::new(|columns, bounds| object(texts(columns, 0)?, texts(columns, 1)?, bounds, false));
    let lowered = listing::ordered(args, colons, &values, DataType::Utf8View, false, finish)?;
    Ok(if as_jsonb { canonical(lowered) } else { lowered })
}

/// jsonb_object_agg of rows in any order.
fn unordered(args: &AggArgs<'_>, values: [Value; 2]) -> Result<AggLowered> {
    if args.windowed {
        return Err(refused("jsonb_object_agg as a window function"));
    }
    let spec = Spec {
        name: "jsonb_object_agg",
        key: "any order".into(),
        result: DataType::Utf8View,
        args: 2,
        sort: Vec::new(),
        skip_nulls: false,
        distinct: false,
        decided_by: None,
        finish: Arc::new(|columns, bounds| object(texts(columns, 0)?, texts(columns, 1)?, bounds, true)),
    };
    let exprs: Vec<Expr> = values.into_iter().map(|v| v.expr).collect();
    Ok(canonical(single(args, spec.udaf(2), exprs, Value::new(lit(0), DataType::Utf8View, args.ty))?))
}

fn collected(text: Expr) -> Value {
    Value::new(text, DataType::Utf8View, PgType::new(oid::JSON))
}

/// The result as jsonb prints it.
fn canonical(lowered: AggLowered) -> AggLowered {
    let AggLowered { parts, finish } = lowered;
    AggLowered {
        parts,
        finish: Box::new(move |columns| {
            let value = finish(columns)?;
            Ok(Value { expr: jsonb(value.expr.clone()), ..value })
        }),
    }
}

fn texts(columns: &[ArrayRef], i: usize) -> Result<&StringViewArray> {
    columns.get(i).and_then(|c| c.as_string_view_opt()).ok_or_else(|| refused("JSON that is no text"))
}

/// `[1, null]`; NULL over no rows.
fn list(values: &StringViewArray, bounds: &[usize], lines: bool) -> Result<ArrayRef> {
    let mut out = StringViewBuilder::with_capacity(bounds.len());
    let mut text = String::new();
    for group in bounds.windows(2) {
        let (start, end) = (group.first().copied().unwrap_or_default(), group.last().copied().unwrap_or_default());
        if start == end {
            out.append_null();
            continue;
        }
        text.clear();
        text.push('[');
        for row in start..end {
            if row > start {
                text.push_str(", ");
            }
            if values.is_null(row) {
                text.push_str("null");
                continue;
            }
            if lines && row > start {
                text.push_str("\n ");
            }
            text.push_str(values.value(row));
        }
        text.push(']');
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}

/// `{ "a" : 1, "b" : null }`; NULL over no rows. `unordered`: of two values of one name none is the last.
fn object(names: &StringViewArray, values: &StringViewArray, bounds: &[usize], unordered: bool) -> Result<ArrayRef> {
    let mut out = StringViewBuilder::with_capacity(bounds.len());
    let mut text = String::new();
    for group in bounds.windows(2) {
        let (start, end) = (group.first().copied().unwrap_or_default(), group.last().copied().unwrap_or_default());
        if start == end {
            out.append_null();
            continue;
        }
        text.clear();
        text.push_str("{ ");
        let mut seen: HashMap<&str, Option<&str>> = HashMap::new();
        for row in start..end {
            if names.is_null(row) {
                return Err(refused("an object with a NULL name"));
            }
            let (name, value) = (names.value(row), values.is_valid(row).then(|| values.value(row)));
            if unordered && seen.insert(name, value).is_some_and(|before| before != value) {
                return Err(refused("jsonb_object_agg with several values of one name, in no order"));
            }
            if row > start {
                text.push_str(", ");
            }
            text.push_str(name);
            text.push_str(" : ");
            text.push_str(value.unwrap_or("null"));
        }
        text.push_str(" }");
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}
