//! Keys for comparison, grouping and order where the Arrow value is not itself the key.
//!
//! Invariants:
//! - Two values are equal in Postgres exactly if their group keys are equal in Arrow; NULL has a NULL key.
//! - Order keys sort as the Postgres type does.

use crate::error::refused;
use crate::udf;
use crate::value::Value;
use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type, IntervalMonthDayNanoType};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Expr;
use std::sync::Arc;
use weir_plan::types::{PgType, oid};

/// What to group by, and whether the key is the value itself.
pub(super) struct Key {
    pub expr: Expr,
    /// False: different values may have one key, so that a representative has to be chosen.
    pub is_value: bool,
}

/// Float keys: -0 becomes 0 and every NaN the same positive one, so that Arrow's total order is Postgres's.
pub(crate) fn float_key(expr: Expr, data_type: &DataType) -> Expr {
    if let Expr::Literal(value, _) = &expr
        && let Some(canonical) = canonical_literal(value)
    {
        return Expr::Literal(canonical, None);
    }
    let kernel = udf::over_arrays(|arrays| {
        let [array] = arrays else { return internal_err!("float_key takes one argument") };
        Ok(match array.data_type() {
            DataType::Float32 => Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(canonical32)) as ArrayRef,
            DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(canonical64)) as ArrayRef,
            other => return internal_err!("float_key over {other}"),
        })
    });
    udf::call("float_key", "", data_type.clone(), vec![expr], kernel)
}

fn canonical32(v: f32) -> f32 {
    if v == 0.0 {
        0.0
    } else if v.is_nan() {
        f32::NAN.abs()
    } else {
        v
    }
}

fn canonical64(v: f64) -> f64 {
    if v == 0.0 {
        0.0
    } else if v.is_nan() {
        f64::NAN.abs()
    } else {
        v
    }
}

fn canonical_literal(value: &ScalarValue) -> Option<ScalarValue> {
    match value {
        ScalarValue::Float32(v) => Some(ScalarValue::Float32(v.map(canonical32))),
        ScalarValue::Float64(v) => Some(ScalarValue::Float64(v.map(canonical64))),
        _ => None,
    }
}

/// The span that Postgres compares intervals by: microseconds with months of 30 days and days of 24 hours
/// (`interval_cmp_value` in `timestamp.c`).
pub(crate) fn interval_key(expr: Expr) -> Expr {
    let kernel = udf::over_arrays(|arrays| {
        let [array] = arrays else { return internal_err!("interval_key takes one argument") };
        let Some(values) = array.as_primitive_opt::<IntervalMonthDayNanoType>() else { return internal_err!("interval_key over {}", array.data_type()) };
        let spans: Decimal128Array =
            values.iter().map(|v| v.map(|v| (i128::from(v.months) * 30 + i128::from(v.days)) * 86_400_000_000 + i128::from(v.nanoseconds / 1000))).collect();
        Ok(Arc::new(spans.with_precision_and_scale(38, 0)?) as ArrayRef)
    });
    udf::call("interval_key", "", DataType::Decimal128(38, 0), vec![expr], kernel)
}

/// The key by which GROUP BY, DISTINCT and set operations take a value.
pub(super) fn group_key(value: &Value) -> Result<Key> {
    Ok(match value.ty.base {
        oid::FLOAT4 | oid::FLOAT8 => Key { expr: float_key(value.expr.clone(), &value.arrow), is_value: false },
        oid::INTERVAL => Key { expr: interval_key(value.expr.clone()), is_value: false },
        oid::JSONB => Key { expr: crate::func::jsonb_key(value.expr.clone()), is_value: false },
        oid::JSON => return Err(refused("grouping by json values")),
        _ => {
            if let Some(element) = value.ty.element()
                && !element_is_its_key(&element)
            {
                return Err(refused("grouping by arrays of this type"));
            }
            Key { expr: value.expr.clone(), is_value: true }
        }
    })
}

fn element_is_its_key(element: &PgType) -> bool {
    !matches!(element.base, oid::FLOAT4 | oid::FLOAT8 | oid::INTERVAL | oid::JSON | oid::JSONB | oid::NUMERIC)
}

/// The key by which ORDER BY takes a value. Text is in byte order: the translator sorts other collations in Postgres.
pub(super) fn order_key(value: &Value) -> Result<Expr> {
    Ok(match value.ty.base {
        oid::FLOAT4 | oid::FLOAT8 => float_key(value.expr.clone(), &value.arrow),
        oid::INTERVAL => interval_key(value.expr.clone()),
        oid::JSON | oid::JSONB => return Err(refused("ordering json values")),
        oid::ENUM => return Err(refused("ordering enum values")),
        _ if value.ty.element().is_some() => return Err(refused("ordering arrays")),
        _ => value.expr.clone(),
    })
}

/// The expression with NULL replaced by some value of the type.
pub fn not_null(expr: Expr, data_type: &DataType) -> Result<Expr> {
    let filler = match data_type {
        DataType::Utf8View => ScalarValue::Utf8View(Some(String::new())),
        DataType::BinaryView => ScalarValue::BinaryView(Some(Vec::new())),
        DataType::FixedSizeBinary(n) => ScalarValue::FixedSizeBinary(*n, Some(vec![0; usize::try_from(*n).unwrap_or(0)])),
        other => ScalarValue::new_default(other)?,
    };
    Ok(datafusion::functions::core::expr_fn::coalesce(vec![expr, Expr::Literal(filler, None)]))
}
