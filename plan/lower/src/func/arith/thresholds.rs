//! `width_bucket(operand, thresholds)` over a constant array: how many thresholds the operand has reached.
//!
//! Invariant: Postgres searches by halves, which is a count only if the thresholds ascend: others are refused.

use super::arg;
use crate::error::refused;
use crate::func;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, lit, when};
use weir_plan::types::{PgType, oid};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    (call.func == 3218).then(|| thresholds(call))
}

/// `>=` of the type.
fn reached(base: u32) -> Option<u32> {
    Some(match base {
        oid::INT2 => 151,
        oid::INT4 => 150,
        oid::INT8 => 472,
        oid::FLOAT4 => 292,
        oid::FLOAT8 => 298,
        oid::NUMERIC => 1721,
        oid::DATE => 1090,
        oid::TIMESTAMP => 2056,
        oid::TIMESTAMPTZ => 1156,
        _ => return None,
    })
}

fn thresholds(call: &Call<'_>) -> Result<Value> {
    let (operand, array) = (arg(call, 0)?, arg(call, 1)?);
    let Some(element) = array.ty.element() else { return Err(refused("width_bucket of no array")) };
    let Some(compare) = reached(operand.ty.base).filter(|_| element.base == operand.ty.base) else {
        return Err(refused(format!("width_bucket over thresholds of type {}", element.oid)));
    };
    let Expr::Literal(ScalarValue::List(list), _) = &array.expr else { return Err(refused("width_bucket with thresholds that are not constant")) };
    if list.is_empty() || list.is_null(0) {
        return Ok(Value::new(lit(ScalarValue::Int32(None)), DataType::Int32, call.ty));
    }
    let items = list.value(0);
    if items.null_count() > 0 || !ascend(&items, element.base == oid::NUMERIC)? {
        return Err(refused("width_bucket with thresholds that do not ascend"));
    }
    let mut count = lit(0i32);
    for i in 0..items.len() {
        let item = lit(ScalarValue::try_from_array(&items, i)?);
        let item = if element.base == oid::NUMERIC {
            func::via_text(&Value::new(item, DataType::Utf8View, PgType::TEXT), PgType::NUMERIC, call.session)?
        } else {
            Value::new(item, items.data_type().clone(), element)
        };
        let args = vec![operand.clone(), item];
        let is = func::lower(&Call { func: compare, args, ty: PgType::BOOL, collation: call.collation, session: call.session })?;
        count = count + when(is.expr, lit(1i32)).otherwise(lit(0i32))?;
    }
    let expr = when(operand.expr.clone().is_not_null(), count).otherwise(lit(ScalarValue::Int32(None)))?;
    Ok(Value::new(expr, DataType::Int32, call.ty))
}

/// Whether each is greater than the one before. Numerics come as texts: they ascend if their nearest doubles do.
fn ascend(items: &ArrayRef, texts: bool) -> Result<bool> {
    if texts {
        let Some(texts) = items.as_string_view_opt() else { return Ok(false) };
        let numbers: Vec<f64> = texts.iter().flatten().filter_map(|t| t.parse().ok()).filter(|f: &f64| f.is_finite()).collect();
        return Ok(numbers.len() == texts.len() && numbers.is_sorted_by(|a, b| a < b));
    }
    if items.as_primitive_opt::<Float64Type>().is_some_and(|a| a.iter().flatten().any(f64::is_nan)) {
        return Ok(false);
    }
    let compare = make_comparator(items, items, SortOptions::default())?;
    Ok((1..items.len()).all(|i| compare(i - 1, i).is_lt()))
}
