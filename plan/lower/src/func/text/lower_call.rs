//! How a lowered call is put together.

use crate::error::refused;
use crate::udf::{self, Kernel};
use crate::value::{Call, Value};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use weir_plan::types::arrow_type;

/// A call of one of our functions with the call's own arguments and result type. `key` names what the kernel captured.
pub(in crate::func) fn make(call: &Call<'_>, name: &'static str, key: impl Into<String>, kernel: Kernel) -> Result<Value> {
    let args = call.args.iter().map(|a| a.expr.clone()).collect();
    with_args(call, name, key, args, kernel)
}

/// As [`make`], with other argument expressions.
pub(in crate::func) fn with_args(call: &Call<'_>, name: &'static str, key: impl Into<String>, args: Vec<Expr>, kernel: Kernel) -> Result<Value> {
    let arrow = arrow_type(&call.ty).ok_or_else(|| refused(format!("result type {} is not supported", call.ty.oid)))?;
    Ok(Value::new(udf::call(name, key, arrow.clone(), args, kernel), arrow, call.ty))
}

/// A comparison of the two arguments as they are held.
pub(in crate::func) fn compare(call: &Call<'_>, op: Operator) -> Result<Value> {
    let [left, right] = call.args.as_slice() else { return Err(refused(format!("function {} wants two arguments", call.func))) };
    if left.arrow != right.arrow {
        return Err(refused(format!("comparison of {} with {}", left.arrow, right.arrow)));
    }
    Ok(Value::bool(binary(left.expr.clone(), op, right.expr.clone())))
}

pub(in crate::func) fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// The value of a text literal that is not NULL.
pub(in crate::func) fn literal_text(value: &Value) -> Option<&str> {
    use datafusion::common::ScalarValue;
    match &value.expr {
        Expr::Literal(ScalarValue::Utf8View(Some(s)) | ScalarValue::Utf8(Some(s)) | ScalarValue::LargeUtf8(Some(s)), _)
            if value.arrow == DataType::Utf8View =>
        {
            Some(s)
        }
        _ => None,
    }
}
