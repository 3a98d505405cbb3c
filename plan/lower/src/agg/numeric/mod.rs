//! count, and sum, avg, min, max, variance and their relatives over numbers.

use super::distinct::count_of;
use super::{AggArgs, AggLowered, AggPart};
use crate::error::refused;
use crate::func::arith::compare::canonical;
use crate::func::arith::numeric::divide;
use crate::rel::forms::written_alike;
use crate::udf;
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Int16Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Result, internal_err};
use datafusion::functions_aggregate::bit_and_or_xor::{bit_and_udaf, bit_or_udaf, bit_xor_udaf};
use datafusion::functions_aggregate::min_max::max_udaf;
use datafusion::logical_expr::{AggregateUDF, Expr, lit, when};
pub(crate) use exact::adds_exactly;
use std::sync::Arc;
pub(in crate::agg) use sum::sum_udaf;
use weir_plan::types::{PgType, oid};

mod exact;
mod extreme;
mod float;
mod sum;
mod variance;

pub(super) fn lower(args: &AggArgs<'_>) -> Option<Result<AggLowered>> {
    Some(match args.func {
        2803 => Ok(count(lit(1_i64), false)),
        2147 if args.distinct && args.args.len() > 1 => count_rows(args),
        2147 => arg(args)
            .and_then(|v| distinct_countable(v, args.distinct).map(|()| count(if args.distinct { countable(v) } else { v.expr.clone() }, args.distinct))),
        2107..=2109 | 2114 => sum(args),
        2100..=2103 => average(args),
        2115..=2117 => extreme::plain(args, true),
        2131..=2133 => extreme::plain(args, false),
        2119 | 2120 => extreme::float(args, true),
        2135 | 2136 => extreme::float(args, false),
        2130 => extreme::numeric(args, true),
        2146 => extreme::numeric(args, false),
        2236 | 2238 | 2240 => bits(args, bit_and_udaf()),
        2237 | 2239 | 2241 => bits(args, bit_or_udaf()),
        6164..=6166 => bits(args, bit_xor_udaf()),
        func => match variance::statistic(func) {
            Some(statistic) => variance::lower(args, statistic),
            None => return float::lower(args),
        },
    })
}

fn arg<'a>(args: &'a AggArgs<'_>) -> Result<&'a Value> {
    args.args.first().ok_or_else(|| refused(format!("aggregate {} lacks its argument", args.func)))
}

fn part(udf: Arc<AggregateUDF>, arg: Expr, distinct: bool) -> AggPart {
    AggPart { udf, args: vec![arg], order_by: vec![], distinct }
}

/// The `n`th result column of the parts.
fn column(columns: &[Expr], n: usize) -> Result<Expr> {
    columns.get(n).cloned().ok_or_else(|| refused("an aggregate lacks one of its parts"))
}

fn count(arg: Expr, distinct: bool) -> AggLowered {
    AggLowered {
        parts: vec![part(count_of(distinct), arg, distinct)],
        finish: Box::new(|columns| Ok(Value::new(column(&columns, 0)?, DataType::Int64, PgType::new(oid::INT8)))),
    }
}

/// Types whose equality is not that of their Arrow form.
fn distinct_countable(v: &Value, distinct: bool) -> Result<()> {
    let element = v.ty.element().map_or(v.ty.base, |e| e.base);
    let unequal = matches!(element, oid::JSONB | oid::JSON)
        || (v.ty.element().is_some() && element == oid::INTERVAL)
        || (v.ty.element().is_some() && matches!(element, oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC));
    if distinct && unequal { Err(refused("count(DISTINCT) over this type")) } else { Ok(()) }
}

/// `count(DISTINCT (a, b))`: rows are never NULL, and NULLs in them are equal.
fn count_rows(args: &AggArgs<'_>) -> Result<AggLowered> {
    let mut fields = Vec::new();
    let mut keys = Vec::new();
    for (i, v) in args.args.iter().enumerate() {
        distinct_countable(v, true)?;
        let key = countable(v);
        let data_type = if v.ty.base == oid::INTERVAL { DataType::Decimal128(38, 0) } else { v.arrow.clone() };
        fields.push(Field::new(format!("f{i}"), data_type, true));
        keys.push(key);
    }
    let fields = Fields::from(fields);
    let result = DataType::Struct(fields.clone());
    let kernel = crate::udf::over_arrays(move |arrays| Ok(Arc::new(StructArray::try_new(fields.clone(), arrays.to_vec(), None)?) as ArrayRef));
    let key = format!("{result}");
    Ok(count(crate::udf::call("pg_row", key, result, keys, kernel), true))
}

/// What is counted of distinct values: equal exactly where they are.
fn countable(v: &Value) -> Expr {
    if v.ty.base == oid::INTERVAL { crate::rel::keys::interval_key(v.expr.clone()) } else { canonical(v) }
}

/// The display scales of the rows whose value is not NULL; `None` if the scale is the same for all.
fn row_scales(v: &Value) -> Result<Option<Expr>> {
    Ok(match &v.dscale {
        Some(DScale::Dynamic(scale)) => Some(when(v.expr.clone().is_not_null(), scale.clone()).end()?),
        _ => None,
    })
}

/// The sum's argument and result types, and the type that Postgres gives the sum.
fn summand(v: &Value) -> Result<(Expr, DataType)> {
    Ok(match &v.arrow {
        DataType::Int16 | DataType::Int32 => (v.cast_to(&DataType::Int64), DataType::Int64),
        DataType::Int64 => (v.expr.clone(), DataType::Decimal128(38, 0)),
        DataType::Decimal128(_, s) => (v.expr.clone(), DataType::Decimal128(38, *s)),
        DataType::Decimal256(_, s) => (v.expr.clone(), DataType::Decimal256(76, *s)),
        other => return Err(refused(format!("sum of {other}"))),
    })
}

/// The sum as one or two parts, and the function that makes its value of their columns.
#[allow(clippy::type_complexity)] // a closure's type has no name
fn sum_parts(args: &AggArgs<'_>) -> Result<(Vec<AggPart>, impl Fn(&[Expr]) -> Result<Value> + use<>)> {
    let v = arg(args)?;
    let (expr, result) = summand(v)?;
    let mut parts = vec![part(sum_udaf(&result), expr, args.distinct)];
    if let Some(scales) = row_scales(v)? {
        parts.push(part(max_udaf(), scales.clone(), false));
        if args.distinct {
            // As many values as ways of writing them, or another one's scale would have counted.
            parts.push(part(count_of(true), v.expr.clone(), true));
            parts.push(part(count_of(true), written(v.expr.clone(), scales), true));
        }
    }
    let dscale = v.dscale.clone();
    let distinct = args.distinct;
    let value = move |columns: &[Expr]| {
        let sum = column(columns, 0)?;
        Ok(match (&result, &dscale) {
            (DataType::Int64, _) => Value::new(sum, result.clone(), PgType::new(oid::INT8)),
            (_, Some(DScale::Dynamic(_))) => {
                let mut scale = column(columns, 1)?;
                if distinct {
                    scale = written_alike(scale, DataType::Int16, sum.clone(), column(columns, 2)?, column(columns, 3)?);
                }
                Value::numeric(sum, result.clone(), PgType::NUMERIC, DScale::Dynamic(scale))
            }
            (_, Some(DScale::Static(s))) => Value::numeric(sum, result.clone(), PgType::NUMERIC, DScale::Static(*s)),
            (_, None) => Value::numeric(sum, result.clone(), PgType::NUMERIC, DScale::Static(0)),
        })
    };
    Ok((parts, value))
}

/// What a numeric is written as: its digits and its display scale.
fn written(value: Expr, scale: Expr) -> Expr {
    let kernel = udf::over_arrays(|arrays| {
        let [value, scale] = arrays else { return internal_err!("written takes two arguments") };
        let Some(scales) = scale.as_primitive_opt::<Int16Type>() else { return internal_err!("written with a scale of {}", scale.data_type()) };
        let digits = ArrayFormatter::try_new(value, &FormatOptions::default())?;
        let forms = (0..value.len()).map(|row| value.is_valid(row).then(|| format!("{}/{}", digits.value(row), scales.value(row))));
        Ok(Arc::new(forms.collect::<StringViewArray>()) as ArrayRef)
    });
    udf::call("written", "", DataType::Utf8View, vec![value, scale], kernel)
}

fn sum(args: &AggArgs<'_>) -> Result<AggLowered> {
    let (parts, value) = sum_parts(args)?;
    Ok(AggLowered { parts, finish: Box::new(move |columns| value(&columns)) })
}

fn average(args: &AggArgs<'_>) -> Result<AggLowered> {
    let (mut parts, value) = sum_parts(args)?;
    let counted = parts.len();
    parts.push(part(count_of(args.distinct), arg(args)?.expr.clone(), args.distinct));
    Ok(AggLowered {
        parts,
        finish: Box::new(move |columns| {
            let mut sum = value(&columns)?;
            if sum.dscale.is_none() {
                let integer = DataType::Decimal128(19, 0);
                sum = Value::numeric(sum.cast_to(&integer), integer, PgType::NUMERIC, DScale::Static(0));
            }
            // The sum is NULL where the count is 0.
            let count = Value::new(column(&columns, counted)?, DataType::Int64, PgType::new(oid::INT8));
            let integer = DataType::Decimal128(19, 0);
            let count = Value::numeric(count.cast_to(&integer), integer, PgType::NUMERIC, DScale::Static(0));
            divide(&sum, &count)
        }),
    })
}

fn bits(args: &AggArgs<'_>, udf: Arc<AggregateUDF>) -> Result<AggLowered> {
    let v = arg(args)?;
    let (arrow, ty) = (v.arrow.clone(), v.ty);
    Ok(AggLowered { parts: vec![part(udf, v.expr.clone(), args.distinct)], finish: Box::new(move |columns| Ok(Value::new(column(&columns, 0)?, arrow, ty))) })
}
