//! percentile_cont, percentile_disc and mode.
//!
//! Source: `orderedsetaggs.c`. NULLs among the sorted values do not count. Rows are counted from the end that the direction of
//! WITHIN GROUP's ORDER BY says.

use super::collect::{Finish, Spec};
use super::{numerics, single};
use crate::agg::{AggArgs, AggLowered};
use crate::error::{raise, refused};
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, UInt64Array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Expr;
use std::sync::Arc;
use weir_plan::types::{arrow_type, oid};

pub(super) fn cont(args: &AggArgs<'_>) -> Result<AggLowered> {
    let value = sorted_value(args)?;
    if value.arrow != DataType::Float64 {
        return Err(refused("percentile_cont of values that are not double precision"));
    }
    percentile(args, "percentile_cont", value, interpolate)
}

pub(super) fn disc(args: &AggArgs<'_>) -> Result<AggLowered> {
    if is_any_numeric(args) || args.args.first().is_some_and(|v| v.dscale.is_some() && args.func == 3978) {
        return numerics::disc(args);
    }
    percentile(args, "percentile_disc", sorted_value(args)?, pick)
}

/// A numeric whose display scale is not known beforehand.
fn is_any_numeric(args: &AggArgs<'_>) -> bool {
    args.args.first().is_some_and(|v| matches!(v.dscale, Some(DScale::Dynamic(_))))
}

pub(super) fn mode(args: &AggArgs<'_>) -> Result<AggLowered> {
    if is_any_numeric(args) {
        return numerics::mode(args);
    }
    let value = sorted_value(args)?;
    let finish: Finish = Arc::new(|columns, bounds| {
        let values = columns.first().ok_or_else(|| refused("mode without a column"))?;
        let changes =
            arrow::row::RowConverter::new(vec![arrow::row::SortField::new(values.data_type().clone())])?.convert_columns(std::slice::from_ref(values))?;
        let mut chosen = Vec::with_capacity(bounds.len());
        for group in bounds.windows(2) {
            let (start, end) = range(group);
            one_kind_of_zero(values, start, end)?;
            let mut best: Option<(usize, usize)> = None;
            let mut first = start;
            for row in start..end {
                if row + 1 == end || changes.row(row) != changes.row(row + 1) {
                    // Of equally frequent values the first in the order is taken.
                    if best.is_none_or(|(n, _)| row + 1 - first > n) {
                        best = Some((row + 1 - first, first));
                    }
                    first = row + 1;
                }
            }
            chosen.push(best.map(|(_, row)| row as u64));
        }
        Ok(take(values, &UInt64Array::from(chosen), None)?)
    });
    ordered_set(args, "mode", String::new(), value, vec![value.expr.clone()], value.arrow.clone(), value.clone(), finish)
}

/// The value to sort: of a type whose Arrow order is Postgres's (text: either that of bytes, or there is a key).
pub(super) fn sorted_value<'a>(args: &'a AggArgs<'_>) -> Result<&'a Value> {
    let [value] = args.args.as_slice() else { return Err(refused("an ordered-set aggregate over several values")) };
    if args.windowed || args.order_by.len() != 1 || args.distinct {
        return Err(refused("an unusual ordered-set aggregate"));
    }
    match value.ty.base {
        oid::BOOL
        | oid::INT2
        | oid::INT4
        | oid::INT8
        | oid::FLOAT4
        | oid::FLOAT8
        | oid::DATE
        | oid::TIME
        | oid::TIMESTAMP
        | oid::TIMESTAMPTZ
        | oid::UUID
        | oid::BYTEA
        | oid::TEXT
        | oid::NAME
        | oid::BPCHAR
        | oid::VARCHAR => Ok(value),
        oid::NUMERIC => Ok(value),
        _ => Err(refused(format!("an ordered-set aggregate over values of type {}", value.ty.oid))),
    }
}

/// The result for the fractions of one group; `None` is NULL.
pub(super) type Choose = fn(&ArrayRef, usize, usize, f64) -> Result<Option<ScalarValue>>;

/// The fractions of a percentile; `values` is `None` for a NULL array.
pub(super) struct Fractions {
    pub many: bool,
    pub values: Option<Vec<Option<f64>>>,
}

pub(super) fn fractions(args: &AggArgs<'_>, name: &'static str) -> Result<Fractions> {
    let [direct] = args.direct.as_slice() else { return Err(refused(format!("{name} wants one fraction"))) };
    let many = match &direct.arrow {
        DataType::Float64 => false,
        DataType::List(f) if f.data_type() == &DataType::Float64 => true,
        other => return Err(refused(format!("{name} with a fraction of type {other}"))),
    };
    // Over no rows the column of fractions is empty, but a bad fraction is an error then too.
    let Expr::Literal(constant, _) = &direct.expr else { return Err(refused(format!("{name} with a fraction that is not constant"))) };
    let values = if many { list_of(constant)? } else { Some(vec![fraction(constant)?]) };
    for f in values.iter().flatten().flatten() {
        if !(0.0..=1.0).contains(f) {
            // With several fractions that is an error only if there are rows.
            let message = format!("percentile value {f} is not between 0 and 1");
            return Err(if many { refused(message) } else { raise("22003", message) });
        }
    }
    Ok(Fractions { many, values })
}

pub(super) fn percentile(args: &AggArgs<'_>, name: &'static str, value: &Value, choose: Choose) -> Result<AggLowered> {
    let Fractions { many, values: fractions } = fractions(args, name)?;
    if many && value.dscale.is_some() {
        return Err(refused(format!("{name} of several fractions of numeric values")));
    }
    let result = if many { arrow_type(&args.ty).ok_or_else(|| refused("an array of an unknown type"))? } else { value.arrow.clone() };
    if matches!(&result, DataType::List(f) if f.data_type() != &value.arrow) || (many && value.ty.base == oid::BPCHAR) {
        return Err(refused(format!("{name} of several fractions of values of type {}", value.ty.oid)));
    }
    let key = format!("{fractions:?}");
    let element = value.arrow.clone();
    let finish: Finish = Arc::new(move |columns, bounds| {
        let values = columns.first().ok_or_else(|| refused("percentile without a column"))?;
        let mut results: Vec<ScalarValue> = Vec::new();
        let mut valid = Vec::new();
        let null = ScalarValue::try_from(&element)?;
        for group in bounds.windows(2) {
            let (start, end) = range(group);
            valid.push(fractions.is_some() && (start < end));
            if start < end {
                for f in fractions.iter().flatten() {
                    let chosen = f.map(|f| choose(values, start, end, f)).transpose()?.flatten();
                    results.push(chosen.unwrap_or_else(|| null.clone()));
                }
            } else if !many {
                results.push(null.clone());
            }
        }
        let items = if results.is_empty() { new_null_array(&element, 0) } else { ScalarValue::iter_to_array(results)? };
        if !many {
            return Ok(items);
        }
        let width = fractions.as_ref().map_or(0, Vec::len);
        let offsets = OffsetBuffer::from_lengths(valid.iter().map(|v| if *v { width } else { 0 }));
        Ok(Arc::new(ListArray::try_new(Arc::new(Field::new_list_field(element.clone(), true)), offsets, items, Some(NullBuffer::from(valid)))?))
    });
    let like = if many { Value::new(value.expr.clone(), result.clone(), args.ty) } else { value.clone() };
    ordered_set(args, name, key, value, vec![value.expr.clone()], result, like, finish)
}

#[allow(clippy::too_many_arguments)]
fn ordered_set(
    args: &AggArgs<'_>,
    name: &'static str,
    key: String,
    value: &Value,
    exprs: Vec<Expr>,
    result: DataType,
    like: Value,
    finish: Finish,
) -> Result<AggLowered> {
    let descending = args.order_by.first().is_some_and(|k| !k.asc);
    let mut exprs = exprs;
    let mut by = 0;
    // Text has a key of its own where its order is not that of bytes.
    if let Some(key) = args.order_by.first().filter(|k| value.ty.is_collatable() && k.expr != value.expr) {
        by = exprs.len();
        exprs.push(key.expr.clone());
    }
    let sort = vec![(by, SortOptions { descending, nulls_first: false })];
    let key = format!("{key} {}", value.arrow);
    let spec = Spec { name, key, result, args: 1, sort, skip_nulls: true, distinct: false, decided_by: None, finish };
    let arity = exprs.len();
    single(args, spec.udaf(arity), exprs, like)
}

fn fraction(s: &ScalarValue) -> Result<Option<f64>> {
    match s {
        ScalarValue::Float64(f) => Ok(*f),
        ScalarValue::Null => Ok(None),
        _ => Err(refused("a fraction that is not double precision")),
    }
}

fn list_of(s: &ScalarValue) -> Result<Option<Vec<Option<f64>>>> {
    match s {
        ScalarValue::Null => Ok(None),
        ScalarValue::List(list) if list.is_null(0) => Ok(None),
        ScalarValue::List(list) => {
            let items = list.value(0);
            Ok(items.as_primitive_opt::<Float64Type>().map(|a| a.iter().collect()))
        }
        _ => Err(refused("fractions that are not double precision")),
    }
}

pub(super) fn range(group: &[usize]) -> (usize, usize) {
    (group.first().copied().unwrap_or_default(), group.last().copied().unwrap_or_default())
}

fn interpolate(values: &ArrayRef, start: usize, end: usize, f: f64) -> Result<Option<ScalarValue>> {
    let values: &Float64Array = values.as_primitive_opt().ok_or_else(|| refused("percentile_cont of values that are not double precision"))?;
    let at = f * (end - start - 1) as f64;
    let (first, second) = (at.floor(), at.ceil());
    let value = |row: f64| values.value(start + row as usize);
    let (lo, hi) = (value(first), value(second));
    let result = if first == second { lo } else { lo + (at - first) * (hi - lo) };
    // Infinities of both signs make a NaN whose sign is the processor's.
    let result = if result.is_nan() { f64::NAN } else { result };
    if result == 0.0 {
        let values: ArrayRef = Arc::new(values.clone());
        one_kind_of_zero(&values, start, end)?;
    }
    Ok(Some(ScalarValue::Float64(Some(result))))
}

fn pick(values: &ArrayRef, start: usize, end: usize, f: f64) -> Result<Option<ScalarValue>> {
    one_kind_of_zero(values, start, end)?;
    Ok(Some(ScalarValue::try_from_array(values, picked(f, start, end))?))
}

/// The row of the discrete percentile.
pub(super) fn picked(f: f64, start: usize, end: usize) -> usize {
    start + (f * (end - start) as f64).ceil().max(1.0) as usize - 1
}

/// 0 and -0 are equal to the sort, but print differently: which of them is chosen is not known here.
fn one_kind_of_zero(values: &ArrayRef, start: usize, end: usize) -> Result<()> {
    let signs = |negative: bool| -> bool {
        if let Some(a) = values.as_primitive_opt::<Float64Type>() {
            (start..end).any(|r| a.value(r) == 0.0 && a.value(r).is_sign_negative() == negative)
        } else if let Some(a) = values.as_primitive_opt::<Float32Type>() {
            (start..end).any(|r| a.value(r) == 0.0 && a.value(r).is_sign_negative() == negative)
        } else {
            false
        }
    };
    if signs(true) && signs(false) { Err(refused("an ordered-set aggregate over zeros of both signs")) } else { Ok(()) }
}
