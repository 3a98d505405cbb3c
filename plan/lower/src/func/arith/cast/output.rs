//! Numbers and booleans as their output functions print them.

use super::float_text::{float4, float8};
use crate::error::refused;
use crate::func::arith::numeric::{Decimals, append, parts};
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringViewBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::Expr;
use std::fmt::Write;
use std::sync::Arc;
use weir_plan::ir::Session;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    match call.func {
        // text(boolean) is not the output function: it spells the word out.
        2971 => Some(crate::func::arith::arg(call, 0).map(|v| Value::new(booleans(&v.expr, "true", "false"), DataType::Utf8View, call.ty))),
        _ => None,
    }
}

/// The text that the type's output function prints, as Utf8View. `None` for types that are not numbers or booleans.
pub fn output(value: &Value, session: &Session) -> Option<Result<Expr>> {
    Some(match &value.arrow {
        DataType::Boolean => Ok(booleans(&value.expr, "t", "f")),
        DataType::Int16 => Ok(printed("pg_int_out", value, |a, out| each::<Int16Type>(a, out, |v, s| integer(s, v)))),
        DataType::Int32 => Ok(printed("pg_int_out", value, |a, out| each::<Int32Type>(a, out, |v, s| integer(s, v)))),
        DataType::Int64 => Ok(printed("pg_int_out", value, |a, out| each::<Int64Type>(a, out, |v, s| integer(s, v)))),
        DataType::Float32 | DataType::Float64 if session.extra_float_digits < 1 => Err(refused("text of a float with extra_float_digits below 1")),
        DataType::Float32 => Ok(printed("pg_float_out", value, |a, out| each::<Float32Type>(a, out, |v, s| s.push_str(&float4(v))))),
        DataType::Float64 => Ok(printed("pg_float_out", value, |a, out| each::<Float64Type>(a, out, |v, s| s.push_str(&float8(v))))),
        DataType::Decimal128(..) | DataType::Decimal256(..) => numerics(value),
        _ => return None,
    })
}

fn printed(name: &'static str, value: &Value, print: fn(&ArrayRef, &mut StringViewBuilder) -> Result<()>) -> Expr {
    let kernel = udf::over_arrays(move |a| {
        let [values] = a else { return internal_err!("an output function takes one argument") };
        let mut out = StringViewBuilder::with_capacity(values.len());
        print(values, &mut out)?;
        Ok(Arc::new(out.finish()))
    });
    udf::call(name, value.arrow.to_string(), DataType::Utf8View, vec![value.expr.clone()], kernel)
}

fn each<T: ArrowPrimitiveType>(array: &ArrayRef, out: &mut StringViewBuilder, print: impl Fn(T::Native, &mut String)) -> Result<()> {
    let array: &PrimitiveArray<T> = crate::func::arith::kernel::primitive(array)?;
    let mut buffer = String::new();
    for v in array {
        match v {
            Some(v) => {
                buffer.clear();
                print(v, &mut buffer);
                out.append_value(&buffer);
            }
            None => out.append_null(),
        }
    }
    Ok(())
}

fn integer(out: &mut String, v: impl std::fmt::Display) {
    // Writing to a string does not fail.
    let _ = write!(out, "{v}");
}

fn booleans(expr: &Expr, yes: &'static str, no: &'static str) -> Expr {
    let kernel = udf::over_arrays(move |a| {
        let Some(values) = a.first().and_then(|a| a.as_boolean_opt()) else { return internal_err!("an output function was not given booleans") };
        let mut out = StringViewBuilder::with_capacity(values.len());
        for v in values {
            out.append_option(v.map(|v| if v { yes } else { no }));
        }
        Ok(Arc::new(out.finish()))
    });
    udf::call("pg_bool_out", yes, DataType::Utf8View, vec![expr.clone()], kernel)
}

fn numerics(value: &Value) -> Result<Expr> {
    let (_, scale) = parts(&value.arrow)?;
    let dscale = value.dscale_expr().ok_or_else(|| refused("a numeric without display scale"))?;
    let kernel = udf::over_arrays(move |a| {
        let [values, scales] = a else { return internal_err!("numeric_out takes two arguments") };
        let (column, scales) = (Decimals::new(values)?, crate::func::arith::kernel::primitive::<Int16Type>(scales)?);
        let mut out = StringViewBuilder::with_capacity(values.len());
        let mut buffer = String::new();
        for row in 0..values.len() {
            match column.get(row) {
                Some(v) => {
                    buffer.clear();
                    append(&mut buffer, v, scale, i32::from(scales.value(row)));
                    out.append_value(&buffer);
                }
                None => out.append_null(),
            }
        }
        Ok(Arc::new(out.finish()))
    });
    Ok(udf::call("pg_numeric_out", scale.to_string(), DataType::Utf8View, vec![value.expr.clone(), dscale], kernel))
}
