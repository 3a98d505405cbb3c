//! Order of enums: an enum is held as its label, which is ordered by its place among the labels of its type. The translator sends those.
//!
//! Invariant: a label that is not among them (added since the plan was made) is `Refused`.

use super::single;
use crate::agg::{AggArgs, AggLowered};
use crate::error::refused;
use crate::udf;
use crate::value::Value;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringViewArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{AggregateUDF, Expr};
use std::collections::HashMap;
use std::sync::Arc;
use weir_plan::types::PgType;

/// The place of a label, from 0.
pub fn enum_rank(value: &Value, labels: &[String]) -> Value {
    let places: HashMap<String, i32> = labels.iter().cloned().zip(0..).collect();
    let kernel = udf::over_arrays(move |arrays| {
        let Some(labels) = arrays.first().and_then(|a| a.as_string_view_opt()) else { return internal_err!("the rank of something that is no enum") };
        let rank = |l: Option<&str>| l.map(|l| places.get(l).copied().ok_or_else(|| refused("an enum value that is newer than the plan"))).transpose();
        Ok(Arc::new(labels.iter().map(rank).collect::<Result<Int32Array>>()?) as ArrayRef)
    });
    let expr = udf::call("pg_enum_rank", labels.join("\0"), DataType::Int32, vec![value.expr.clone()], kernel);
    Value::new(expr, DataType::Int32, PgType::INT4)
}

/// min and max; the labels are the direct argument.
pub(super) fn extreme(args: &AggArgs<'_>, udf: Arc<AggregateUDF>) -> Result<AggLowered> {
    let ([arg], [direct]) = (args.args.as_slice(), args.direct.as_slice()) else { return Err(refused("min or max of enums without their labels")) };
    let labels = labels_of(&direct.expr)?;
    let rank = enum_rank(arg, &labels);
    let AggLowered { parts, finish } = single(args, udf, vec![rank.expr.clone()], rank)?;
    let key = labels.join("\0");
    let (arrow, ty) = (arg.arrow.clone(), args.ty);
    let kernel = udf::over_arrays(move |arrays| {
        let Some(ranks) = arrays.first().and_then(|a| a.as_primitive_opt::<Int32Type>()) else { return internal_err!("a label of no rank") };
        let label = |r: Option<i32>| r.and_then(|r| labels.get(usize::try_from(r).ok()?).map(String::as_str));
        Ok(Arc::new(ranks.iter().map(label).collect::<StringViewArray>()) as ArrayRef)
    });
    Ok(AggLowered {
        parts,
        finish: Box::new(move |columns| {
            let rank = finish(columns)?;
            Ok(Value::new(udf::call("pg_enum_label", key, DataType::Utf8View, vec![rank.expr], kernel), arrow, ty))
        }),
    })
}

fn labels_of(e: &Expr) -> Result<Vec<String>> {
    let Expr::Literal(ScalarValue::List(list), _) = e else { return Err(refused("labels that are not constant")) };
    if list.is_empty() || list.is_null(0) {
        return Err(refused("labels that are not constant"));
    }
    let values = list.value(0);
    let Some(values) = values.as_string_view_opt() else { return internal_err!("labels that are not text") };
    Ok(values.iter().map(|l| l.unwrap_or_default().to_string()).collect())
}
