//! Values that are equal, and may be written differently: 1.0 and 1.00, 0 and -0, a month and 30 days, `{"a": 1}` and `{"a": 1.0}`.
//!
//! Postgres shows that one of a group which it happened to read first, or whose side of an INTERSECT it put into its hash table.
//!
//! Invariant: a group's value is put out only if all of its rows write it alike. What is computed of values alone, as their count, does
//! not ask for that.

use crate::error::refused;
use crate::udf;
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::kernels::cmp::distinct;
use arrow::datatypes::{DataType, Float32Type, Float64Type, IntervalMonthDayNanoType};
use datafusion::common::internal_err;
use datafusion::logical_expr::Expr;
use std::sync::Arc;
use weir_plan::types::oid;

/// What two equal values have in common exactly if they are written alike. `None` for a type whose equal values always are.
pub(super) fn form(value: &Value) -> Option<Expr> {
    if let Some(DScale::Dynamic(scale)) = &value.dscale {
        return Some(scale.clone());
    }
    match value.ty.base {
        oid::FLOAT4 | oid::FLOAT8 | oid::INTERVAL => Some(bits(value.expr.clone())),
        oid::JSONB => Some(value.expr.clone()),
        _ => None,
    }
}

/// The bits of a float, every NaN being one; the months and days of an interval.
fn bits(value: Expr) -> Expr {
    let kernel = udf::over_arrays(|arrays| {
        let [array] = arrays else { return internal_err!("form takes one argument") };
        let bits: Int64Array = match array.data_type() {
            DataType::Float32 => array.as_primitive::<Float32Type>().unary(|v| if v.is_nan() { i64::MAX } else { i64::from(v.to_bits()) }),
            DataType::Float64 => array.as_primitive::<Float64Type>().unary(|v| if v.is_nan() { i64::MAX } else { v.to_bits().cast_signed() }),
            DataType::Interval(_) => {
                let Some(values) = array.as_primitive_opt::<IntervalMonthDayNanoType>() else { return internal_err!("form over {}", array.data_type()) };
                values.unary(|v| (i64::from(v.months) << 32) | i64::from(v.days.cast_unsigned()))
            }
            other => return internal_err!("form over {other}"),
        };
        Ok(Arc::new(bits) as ArrayRef)
    });
    udf::call("form", "", DataType::Int64, vec![value], kernel)
}

/// `value`, refused where the least and the greatest form of its group differ. Where `key` is NULL there is no such group.
pub(crate) fn written_alike(value: Expr, data_type: DataType, key: Expr, least: Expr, greatest: Expr) -> Expr {
    let kernel = udf::over_arrays(|arrays| {
        let [value, key, least, greatest] = arrays else { return internal_err!("written_alike takes four arguments") };
        let differ = distinct(least, greatest)?;
        if (0..differ.len()).any(|row| differ.value(row) && key.is_valid(row)) {
            return Err(refused("equal values of a group that are written differently"));
        }
        Ok(Arc::clone(value))
    });
    udf::call("written_alike", "", data_type, vec![value, key, least, greatest], kernel)
}
