//! Calls whose arguments are all constants become constants here, so that comparison and rounding see them.

use super::numeric::decimal_parts;
use crate::value::{DScale, Value};
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs};
use std::sync::Arc;

/// The value with whatever is constant computed. A constant that fails is left as it is: it fails when and if it is evaluated.
pub(super) fn fold(mut value: Value) -> Value {
    value.expr = expression(value.expr);
    if let Some(DScale::Dynamic(scale)) = value.dscale {
        value.dscale = Some(DScale::Dynamic(expression(scale)));
    }
    static_scale(&value).unwrap_or(value)
}

fn expression(expr: Expr) -> Expr {
    let computed = match &expr {
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Literal(v, _) => v.cast_to(&cast.data_type).ok(),
            _ => None,
        },
        Expr::ScalarFunction(f) => {
            let args: Option<Vec<ScalarValue>> = f
                .args
                .iter()
                .map(|a| match a {
                    Expr::Literal(v, _) => Some(v.clone()),
                    // Calls among the arguments were folded when they were lowered.
                    Expr::Cast(_) => match expression(a.clone()) {
                        Expr::Literal(v, _) => Some(v),
                        _ => None,
                    },
                    _ => None,
                })
                .collect();
            args.and_then(|args| {
                let types: Vec<DataType> = args.iter().map(ScalarValue::data_type).collect();
                let result = f.func.return_type(&types).ok()?;
                let call = ScalarFunctionArgs {
                    args: args.into_iter().map(ColumnarValue::Scalar).collect(),
                    arg_fields: types.into_iter().map(|t| Arc::new(Field::new("", t, true))).collect(),
                    number_rows: 1,
                    return_field: Arc::new(Field::new("", result, true)),
                    config_options: Arc::new(ConfigOptions::default()),
                };
                match f.func.invoke_with_args(call).ok()? {
                    ColumnarValue::Scalar(v) => Some(v),
                    ColumnarValue::Array(a) => ScalarValue::try_from_array(&a, 0).ok(),
                }
            })
        }
        _ => None,
    };
    computed.map_or(expr, |v| Expr::Literal(v, None))
}

/// A numeric constant in the smallest form that has its display scale.
fn static_scale(value: &Value) -> Option<Value> {
    let Some(DScale::Dynamic(Expr::Literal(ScalarValue::Int16(Some(scale)), _))) = &value.dscale else { return None };
    let Expr::Literal(v, _) = &value.expr else { return None };
    let (arrow, literal) = decimal_parts(v, i32::from(*scale))?;
    Some(Value::numeric(Expr::Literal(literal, None), arrow, value.ty, DScale::Static(i8::try_from(*scale).ok()?)))
}
