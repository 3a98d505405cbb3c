//! array_agg and string_agg.

use super::collect::{Finish, Spec, lists};
use super::single;
use crate::agg::{AggArgs, AggLowered};
use crate::error::refused;
use crate::func;
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder, ListArray, StringViewBuilder};
use arrow::buffer::NullBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use std::sync::Arc;
use weir_plan::ir::Fidelity;
use weir_plan::types::{PgType, arrow_type, oid};

pub(super) fn array_agg(args: &AggArgs<'_>) -> Result<AggLowered> {
    let [arg] = args.args.as_slice() else { return Err(refused("array_agg wants one argument")) };
    // The elements of a numeric array are held as text, which has their display scales.
    let arg = if arg.ty.base == oid::NUMERIC { &func::via_text(arg, PgType::TEXT, args.session)? } else { arg };
    let result = arrow_type(&args.ty).ok_or_else(|| refused(format!("array_agg of values of type {}", arg.ty.oid)))?;
    // The elements of a bpchar array are padded to the length that its type has.
    let lost = arg.ty.base == oid::BPCHAR && args.ty.element().and_then(|e| e.char_length()) != arg.ty.char_length();
    if lost || !matches!(&result, DataType::List(f) if f.data_type() == &arg.arrow) {
        return Err(refused(format!("array_agg of values of type {}", arg.ty.oid)));
    }
    let finish: Finish = Arc::new(|columns, bounds| {
        let column = columns.first().ok_or_else(|| refused("array_agg without a column"))?;
        let (field, offsets, values, _) = lists(column, bounds)?.into_parts();
        let nulls = NullBuffer::from_iter(bounds.windows(2).map(|w| w.first() != w.last()));
        Ok(Arc::new(ListArray::try_new(field, offsets, values, Some(nulls))?))
    });
    ordered(args, "array_agg", std::slice::from_ref(arg), result, false, finish)
}

pub(super) fn string_agg(args: &AggArgs<'_>) -> Result<AggLowered> {
    let [value, delimiter] = args.args.as_slice() else { return Err(refused("string_agg wants two arguments")) };
    if value.arrow != DataType::Utf8View || delimiter.arrow != DataType::Utf8View {
        return Err(refused("string_agg of values that are not text"));
    }
    ordered(args, "string_agg", &args.args, DataType::Utf8View, true, Arc::new(join))
}

pub(super) fn bytea_agg(args: &AggArgs<'_>) -> Result<AggLowered> {
    let [value, delimiter] = args.args.as_slice() else { return Err(refused("string_agg wants two arguments")) };
    if value.arrow != DataType::BinaryView || delimiter.arrow != DataType::BinaryView {
        return Err(refused("string_agg of values that are not bytea"));
    }
    ordered(args, "string_agg", &args.args, DataType::BinaryView, true, Arc::new(join_bytes))
}

/// The delimiter of a row goes before its value, so that of a group's first row is not used.
fn join(columns: &[ArrayRef], bounds: &[usize]) -> Result<ArrayRef> {
    let [values, delimiters] = columns else { return Err(refused("string_agg wants two columns")) };
    let (values, delimiters) = (values.as_string_view(), delimiters.as_string_view());
    let mut out = StringViewBuilder::with_capacity(bounds.len());
    let mut text = String::new();
    for group in bounds.windows(2) {
        let (start, end) = (group.first().copied().unwrap_or_default(), group.last().copied().unwrap_or_default());
        if start == end {
            out.append_null();
            continue;
        }
        text.clear();
        for row in start..end {
            if row > start && delimiters.is_valid(row) {
                text.push_str(delimiters.value(row));
            }
            text.push_str(values.value(row));
        }
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}

fn join_bytes(columns: &[ArrayRef], bounds: &[usize]) -> Result<ArrayRef> {
    let [values, delimiters] = columns else { return Err(refused("string_agg wants two columns")) };
    let (values, delimiters) = (values.as_binary_view(), delimiters.as_binary_view());
    let mut out = BinaryViewBuilder::with_capacity(bounds.len());
    let mut bytes = Vec::new();
    for group in bounds.windows(2) {
        let (start, end) = (group.first().copied().unwrap_or_default(), group.last().copied().unwrap_or_default());
        if start == end {
            out.append_null();
            continue;
        }
        bytes.clear();
        for row in start..end {
            if row > start && delimiters.is_valid(row) {
                bytes.extend_from_slice(delimiters.value(row));
            }
            bytes.extend_from_slice(values.value(row));
        }
        out.append_value(&bytes);
    }
    Ok(Arc::new(out.finish()))
}

/// Types whose Arrow order is that of Postgres under any collation.
fn has_plain_order(ty: &PgType) -> bool {
    matches!(ty.base, oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::UUID | oid::BYTEA)
}

/// DISTINCT tells values apart as they are held.
fn has_plain_equality(ty: &PgType) -> bool {
    has_plain_order(ty) || matches!(ty.base, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::ENUM)
}

/// `values`: the arguments as they are collected.
pub(super) fn ordered(args: &AggArgs<'_>, name: &'static str, values: &[Value], result: DataType, skip_nulls: bool, finish: Finish) -> Result<AggLowered> {
    if args.windowed {
        // The window's order is that of the rows.
        let exprs: Vec<Expr> = values.iter().map(|a| a.expr.clone()).collect();
        let spec =
            Spec { name, key: String::new(), result: result.clone(), args: exprs.len(), sort: vec![], skip_nulls, distinct: false, decided_by: None, finish };
        let arity = exprs.len();
        return single(args, spec.udaf(arity), exprs, Value::new(datafusion::logical_expr::lit(0), result, args.ty));
    }
    let exact = args.session.fidelity == Fidelity::Exact;
    let n = values.len();
    let mut exprs: Vec<Expr> = values.iter().map(|a| a.expr.clone()).collect();
    let mut sort: Vec<(usize, SortOptions)> = Vec::new();
    for key in &args.order_by {
        sort.push((exprs.len(), SortOptions { descending: !key.asc, nulls_first: key.nulls_first }));
        exprs.push(key.expr.clone());
    }
    let mut decided_by = exact.then_some(sort.len());
    if args.distinct {
        // Numbers of one display scale are printed alike if they are equal.
        let plain = |a: &Value| has_plain_equality(&a.ty) || matches!(a.dscale, Some(DScale::Static(_)));
        if let Some(a) = args.args.iter().find(|a| !plain(a)) {
            return Err(refused(format!("{name} with DISTINCT over values of type {}", a.ty.oid)));
        }
        // Postgres sorts by the arguments to find duplicates, and that order shows.
        let ascending = SortOptions { descending: false, nulls_first: false };
        if args.order_by.is_empty() {
            // A constant takes no part in the order.
            if exact && args.args.iter().any(|a| !has_plain_order(&a.ty) && !matches!(a.expr, Expr::Literal(..))) {
                return Err(refused(format!("{name} with DISTINCT, in the order of text under an unknown collation")));
            }
            decided_by = None;
        }
        sort.extend((0..n).map(|i| (i, ascending)));
    } else if args.order_by.is_empty() {
        // In any order, if all rows of a group are the same.
        decided_by = Some(0);
    }
    let spec = Spec { name, key: String::new(), result: result.clone(), args: n, sort, skip_nulls, distinct: args.distinct, decided_by, finish };
    let arity = exprs.len();
    single(args, spec.udaf(arity), exprs, Value::new(datafusion::logical_expr::lit(0), result, args.ty))
}
