//! Kernels over primitive arrays, row by row, and access to intervals.
//!
//! Invariants:
//! - A function given here is strict: NULL in, NULL out. It may answer NULL of itself.
//! - Scalars stay scalars: a constant argument is not expanded.

use super::calendar::interval_out_of_range;
use crate::error::refused;
use crate::udf::Kernel;
use crate::value::Value;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs};
use std::sync::Arc;

/// An interval in Postgres's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

impl From<IntervalMonthDayNano> for Span {
    fn from(i: IntervalMonthDayNano) -> Self {
        Span { months: i.months, days: i.days, micros: i.nanoseconds / 1000 }
    }
}

impl Span {
    /// The Arrow form.
    pub fn arrow(self) -> Result<IntervalMonthDayNano> {
        let nanoseconds = self.micros.checked_mul(1000).ok_or_else(|| refused("an interval with a time part over 292 years"))?;
        Ok(IntervalMonthDayNano { months: self.months, days: self.days, nanoseconds })
    }

    /// An interval of parts that may be too wide for Postgres's own type.
    pub fn checked(months: i64, days: i64, micros: i128) -> Result<Span> {
        Ok(Span {
            months: i32::try_from(months).map_err(|_| interval_out_of_range())?,
            days: i32::try_from(days).map_err(|_| interval_out_of_range())?,
            micros: i64::try_from(micros).map_err(|_| interval_out_of_range())?,
        })
    }
}

pub type Interval = IntervalMonthDayNanoType;

/// The argument as an array of `T` with one row if it is a scalar.
fn primitive<T: ArrowPrimitiveType>(arg: &ColumnarValue) -> Result<(bool, PrimitiveArray<T>)> {
    let (scalar, array): (bool, ArrayRef) = match arg {
        ColumnarValue::Scalar(s) => (true, s.to_array()?),
        ColumnarValue::Array(a) => (false, Arc::clone(a)),
    };
    let typed = array.as_primitive_opt::<T>().ok_or_else(|| internal_datafusion_err!("expected {}, got {}", T::DATA_TYPE, array.data_type()))?;
    Ok((scalar, typed.clone()))
}

pub fn arg(args: &ScalarFunctionArgs, i: usize) -> Result<&ColumnarValue> {
    args.args.get(i).ok_or_else(|| internal_datafusion_err!("argument {i} is missing"))
}

fn finish<O: ArrowPrimitiveType>(all_scalar: bool, out: &DataType, values: PrimitiveArray<O>) -> Result<ColumnarValue> {
    let array = values.with_data_type(out.clone());
    if all_scalar { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)) } else { Ok(ColumnarValue::Array(Arc::new(array))) }
}

/// Collects row results, stopping at the first error.
fn collect<O: ArrowPrimitiveType>(rows: usize, f: impl Fn(usize) -> Result<Option<O::Native>>) -> Result<PrimitiveArray<O>> {
    let mut builder = arrow::array::PrimitiveBuilder::<O>::with_capacity(rows);
    for i in 0..rows {
        builder.append_option(f(i)?);
    }
    Ok(builder.finish())
}

/// A kernel of one argument whose result is NULL where `f` says so.
pub fn unary_opt<A: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    out: DataType,
    f: impl Fn(A::Native) -> Result<Option<O::Native>> + Send + Sync + 'static,
) -> Kernel {
    Arc::new(move |args: &ScalarFunctionArgs| {
        let (scalar, a) = primitive::<A>(arg(args, 0)?)?;
        let result = collect::<O>(a.len(), |i| if a.is_valid(i) { f(a.value(i)) } else { Ok(None) })?;
        finish(scalar, &out, result)
    })
}

/// A kernel of one argument.
pub fn unary<A: ArrowPrimitiveType, O: ArrowPrimitiveType>(out: DataType, f: impl Fn(A::Native) -> Result<O::Native> + Send + Sync + 'static) -> Kernel {
    Arc::new(move |args: &ScalarFunctionArgs| {
        let (scalar, a) = primitive::<A>(arg(args, 0)?)?;
        finish(scalar, &out, a.try_unary::<_, O, datafusion::common::DataFusionError>(&f)?)
    })
}

/// A kernel of two arguments.
pub fn binary<A: ArrowPrimitiveType, B: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    out: DataType,
    f: impl Fn(A::Native, B::Native) -> Result<O::Native> + Send + Sync + 'static,
) -> Kernel {
    Arc::new(move |args: &ScalarFunctionArgs| {
        let (a_scalar, a) = primitive::<A>(arg(args, 0)?)?;
        let (b_scalar, b) = primitive::<B>(arg(args, 1)?)?;
        let rows = if a_scalar { b.len() } else { a.len() };
        if (a_scalar && a.null_count() > 0) || (b_scalar && b.null_count() > 0) {
            return finish(a_scalar && b_scalar, &out, PrimitiveArray::<O>::new_null(rows));
        }
        let result = match (a_scalar, b_scalar) {
            (false, true) => {
                let y = b.value(0);
                a.try_unary::<_, O, datafusion::common::DataFusionError>(|x| f(x, y))?
            }
            (true, false) => {
                let x = a.value(0);
                b.try_unary::<_, O, datafusion::common::DataFusionError>(|y| f(x, y))?
            }
            _ => collect::<O>(rows, |i| if a.is_valid(i) && b.is_valid(i) { f(a.value(i), b.value(i)).map(Some) } else { Ok(None) })?,
        };
        finish(a_scalar && b_scalar, &out, result)
    })
}

/// A kernel of three arguments.
pub fn ternary<A: ArrowPrimitiveType, B: ArrowPrimitiveType, C: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    out: DataType,
    f: impl Fn(A::Native, B::Native, C::Native) -> Result<O::Native> + Send + Sync + 'static,
) -> Kernel {
    Arc::new(move |args: &ScalarFunctionArgs| {
        let (a_scalar, a) = primitive::<A>(arg(args, 0)?)?;
        let (b_scalar, b) = primitive::<B>(arg(args, 1)?)?;
        let (c_scalar, c) = primitive::<C>(arg(args, 2)?)?;
        let all_scalar = a_scalar && b_scalar && c_scalar;
        let at = |scalar: bool, i: usize| if scalar { 0 } else { i };
        let result = collect::<O>(if all_scalar { 1 } else { args.number_rows }, |i| {
            let (i, j, k) = (at(a_scalar, i), at(b_scalar, i), at(c_scalar, i));
            if a.is_valid(i) && b.is_valid(j) && c.is_valid(k) { f(a.value(i), b.value(j), c.value(k)).map(Some) } else { Ok(None) }
        })?;
        finish(all_scalar, &out, result)
    })
}

/// The constant text of an argument: `None` if it is not constant, `Some(None)` for NULL.
pub fn constant_text(v: &Value) -> Option<Option<&str>> {
    match &v.expr {
        Expr::Literal(s, _) if s.is_null() => Some(None),
        Expr::Literal(s, _) => s.try_as_str(),
        _ => None,
    }
}
