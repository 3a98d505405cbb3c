//! min, max, sum, avg and percentiles of intervals.
//!
//! Different intervals may be equal (a month and thirty days); which of them Postgres answers depends on the order of its input. So an
//! interval travels as one number, its span before its parts, and where equal ones with different parts would decide, the query is `Refused`.

use super::percentile::{self, Choose};
use crate::agg::numeric::sum_udaf;
use crate::agg::{AggArgs, AggLowered, AggPart};
use crate::error::refused;
use crate::func;
use crate::func::time::interval::{lerp, span};
use crate::func::time::kernel::{Interval, Span, binary, unary};
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int64Type, IntervalMonthDayNano, IntervalUnit, Schema, i256};
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::{AggregateUDF, ColumnarValue, Expr, cast};
use datafusion::physical_expr::create_physical_expr;
use std::sync::Arc;
use weir_plan::ir::Collation;
use weir_plan::types::PgType;

const PACKED: DataType = DataType::Decimal256(76, 0);
const TOTAL: DataType = DataType::Decimal128(38, 0);
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

fn arg<'a>(args: &'a AggArgs<'_>) -> Result<&'a Value> {
    match args.args.as_slice() {
        [arg] if arg.arrow == INTERVAL => Ok(arg),
        _ => Err(refused("an aggregate over other than one interval")),
    }
}

fn part(udf: Arc<AggregateUDF>, arg: Expr, distinct: bool) -> AggPart {
    AggPart { udf, args: vec![arg], order_by: vec![], distinct }
}

fn bits(s: Span) -> u128 {
    u128::from(s.months.cast_unsigned()) << 96 | u128::from(s.days.cast_unsigned()) << 64 | u128::from(s.micros.cast_unsigned())
}

fn from_bits(bits: u128) -> Span {
    Span { months: ((bits >> 96) as u32).cast_signed(), days: ((bits >> 64) as u32).cast_signed(), micros: (bits as u64).cast_signed() }
}

/// The span in the high half, the parts (or their complement) in the low one.
fn packed(value: &Expr, complement: bool) -> Expr {
    let kernel = unary::<Interval, Decimal256Type>(PACKED, move |i: IntervalMonthDayNano| {
        let s = Span::from(i);
        Ok(i256::from_parts(if complement { !bits(s) } else { bits(s) }, span(s)))
    });
    udf::call("pg_interval_packed", complement.to_string(), PACKED, vec![value.clone()], kernel)
}

fn unpacked(packed: Expr) -> Expr {
    let kernel = unary::<Decimal256Type, Interval>(INTERVAL, |p: i256| from_bits(p.to_parts().0).arrow());
    udf::call("pg_interval_unpacked", "", INTERVAL, vec![packed], kernel)
}

pub(super) fn extreme(args: &AggArgs<'_>, udf: fn() -> Arc<AggregateUDF>) -> Result<AggLowered> {
    let value = arg(args)?.expr.clone();
    let ty = args.ty;
    Ok(AggLowered {
        parts: vec![part(udf(), packed(&value, false), false), part(udf(), packed(&value, true), false)],
        finish: Box::new(move |columns| {
            let kernel = binary::<Decimal256Type, Decimal256Type, Interval>(INTERVAL, |a: i256, b: i256| {
                if a.to_parts().0 != !b.to_parts().0 {
                    return Err(refused("min or max of equal intervals that are written differently"));
                }
                from_bits(a.to_parts().0).arrow()
            });
            Ok(Value::new(udf::call("pg_interval_extreme", "", INTERVAL, columns, kernel), INTERVAL, ty))
        }),
    })
}

pub(super) fn min(args: &AggArgs<'_>) -> Result<AggLowered> {
    extreme(args, min_udaf)
}

pub(super) fn max(args: &AggArgs<'_>) -> Result<AggLowered> {
    extreme(args, max_udaf)
}

/// A constant as a literal. Parts of an aggregate that come to be the same only while DataFusion simplifies them become one, which
/// neither a window nor grouping sets survive.
fn computed(field: Expr) -> Result<Expr> {
    let Expr::ScalarFunction(call) = &field else { return Ok(field) };
    if !call.args.iter().all(|a| matches!(a, Expr::Literal(..))) {
        return Ok(field);
    }
    let props = ExecutionProps::new();
    let physical = create_physical_expr(&field, &DFSchema::empty(), &props)?;
    let one = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &RecordBatchOptions::new().with_row_count(Some(1)))?;
    match physical.evaluate(&one)? {
        ColumnarValue::Scalar(value) => Ok(Expr::Literal(value, None)),
        ColumnarValue::Array(values) => Ok(Expr::Literal(ScalarValue::try_from_array(&values, 0)?, None)),
    }
}

/// The sums of months, days and microseconds, and of their absolute values: while those fit, no order of adding overflows.
fn totals(args: &AggArgs<'_>) -> Result<Vec<AggPart>> {
    let value = arg(args)?;
    if args.distinct {
        return Err(refused("a sum of distinct intervals"));
    }
    let mut parts = Vec::new();
    for (name, field) in [("months", 0), ("days", 1), ("micros", 2)] {
        for absolute in [false, true] {
            let kernel = unary::<Interval, Int64Type>(DataType::Int64, move |i: IntervalMonthDayNano| {
                let s = Span::from(i);
                let v = match field {
                    0 => i64::from(s.months),
                    1 => i64::from(s.days),
                    _ => s.micros,
                };
                Ok(if absolute { v.checked_abs().ok_or_else(|| refused("an interval at the end of the range"))? } else { v })
            });
            let field = udf::call("pg_interval_field", format!("{name} {absolute}"), DataType::Int64, vec![value.expr.clone()], kernel);
            parts.push(part(sum_udaf(&TOTAL), computed(field)?, false));
        }
    }
    Ok(parts)
}

fn total(columns: &[Expr], ty: PgType) -> Result<Value> {
    let Some(columns) = columns.get(..6) else { return internal_err!("a sum of intervals lacks its parts") };
    let kernel = udf::over_arrays(|arrays| {
        let columns = arrays.iter().map(|a| a.as_primitive_opt::<Decimal128Type>()).collect::<Option<Vec<_>>>();
        let Some(columns) = columns else { return internal_err!("a sum of intervals of other types") };
        let rows = columns.first().map_or(0, |c| c.len());
        let mut sums = Vec::with_capacity(rows);
        for row in 0..rows {
            if columns.iter().any(|c| c.is_null(row)) {
                sums.push(None);
                continue;
            }
            let at = |i: usize| columns.get(i).map_or(0, |c| c.value(row));
            if at(1) > i128::from(i32::MAX) || at(3) > i128::from(i32::MAX) || at(5) > i128::from(i64::MAX) {
                return Err(refused("a sum of intervals that may be out of range"));
            }
            sums.push(Some(Span::checked(at(0) as i64, at(2) as i64, at(4))?.arrow()?));
        }
        Ok(Arc::new(sums.into_iter().collect::<arrow::array::IntervalMonthDayNanoArray>()) as ArrayRef)
    });
    Ok(Value::new(udf::call("pg_interval_total", "", INTERVAL, columns.to_vec(), kernel), INTERVAL, ty))
}

pub(super) fn sum(args: &AggArgs<'_>) -> Result<AggLowered> {
    let ty = args.ty;
    Ok(AggLowered { parts: totals(args)?, finish: Box::new(move |columns| total(&columns, ty)) })
}

pub(super) fn avg(args: &AggArgs<'_>) -> Result<AggLowered> {
    let mut parts = totals(args)?;
    parts.push(part(count_udaf(), arg(args)?.expr.clone(), false));
    let (ty, session) = (args.ty, args.session.clone());
    Ok(AggLowered {
        parts,
        finish: Box::new(move |columns| {
            let sum = total(&columns, ty)?;
            let Some(count) = columns.get(6) else { return internal_err!("an average of intervals lacks its count") };
            let count = Value::new(cast(count.clone(), DataType::Float64), DataType::Float64, PgType::FLOAT8);
            // `interval_div`; the sum is NULL where the count is 0.
            func::lower(&Call { func: 1326, args: vec![sum, count], ty, collation: Collation::None, session: &session })
        }),
    })
}

/// percentile_disc and percentile_cont of one fraction.
pub(super) fn percentile(args: &AggArgs<'_>, name: &'static str, continuous: bool) -> Result<AggLowered> {
    let value = arg(args)?;
    if args.direct.first().is_none_or(|d| d.arrow != DataType::Float64) {
        return Err(refused(format!("{name} of several fractions of intervals")));
    }
    let numbers = Value::new(packed(&value.expr, false), PACKED, value.ty);
    let choose: Choose = if continuous { between } else { pick };
    let AggLowered { parts, finish } = percentile::percentile(args, name, &numbers, choose)?;
    let ty = args.ty;
    Ok(AggLowered { parts, finish: Box::new(move |columns| Ok(Value::new(unpacked(finish(columns)?.expr), INTERVAL, ty))) })
}

/// The interval of a row, if all that equal it are written as it is.
fn chosen(values: &ArrayRef, start: usize, end: usize, row: usize) -> Result<Span> {
    let Some(values) = values.as_primitive_opt::<Decimal256Type>() else { return internal_err!("percentile of other than intervals") };
    let (own, key) = values.value(row).to_parts();
    let differs = |r: &usize| {
        let (other, k) = values.value(*r).to_parts();
        k == key && other != own
    };
    // Sorted by span, then by parts: neighbours tell.
    let neighbours = [row.checked_sub(1).filter(|r| *r >= start), Some(row + 1).filter(|r| *r < end)];
    if neighbours.iter().flatten().any(differs) || (start..end).any(|r| differs(&r)) {
        return Err(refused("an ordered-set aggregate over equal intervals that are written differently"));
    }
    Ok(from_bits(own))
}

fn repacked(s: Span) -> ScalarValue {
    ScalarValue::Decimal256(Some(i256::from_parts(bits(s), span(s))), 76, 0)
}

fn pick(values: &ArrayRef, start: usize, end: usize, f: f64) -> Result<Option<ScalarValue>> {
    let row = (f * (end - start) as f64).ceil().max(1.0) as usize - 1;
    Ok(Some(repacked(chosen(values, start, end, start + row)?)))
}

/// `interval_lerp`
fn between(values: &ArrayRef, start: usize, end: usize, f: f64) -> Result<Option<ScalarValue>> {
    let at = f * (end - start - 1) as f64;
    let (first, second) = (at.floor(), at.ceil());
    let low = chosen(values, start, end, start + first as usize)?;
    if first == second {
        return Ok(Some(repacked(low)));
    }
    let high = chosen(values, start, end, start + second as usize)?;
    Ok(Some(repacked(lerp(low, high, at - first)?)))
}
