//! Element-wise kernels that can fail: one pass without branches on nulls or errors, and a second one only when something failed.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use std::sync::Arc;

/// An argument as whole column or one value for all rows.
enum Side<T: ArrowPrimitiveType> {
    Column(PrimitiveArray<T>),
    Constant(Option<T::Native>),
}

impl<T: ArrowPrimitiveType> Side<T> {
    fn new(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(a) => Side::Column(primitive(a)?.clone()),
            ColumnarValue::Scalar(s) => {
                let array = s.to_array()?;
                let array = primitive::<T>(&array)?;
                Side::Constant((!array.is_empty() && array.is_valid(0)).then(|| array.value(0)))
            }
        })
    }
}

/// The array as one of `T`.
pub(crate) fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    match array.as_primitive_opt::<T>() {
        Some(a) => Ok(a),
        None => internal_err!("a kernel over {} was given {}", T::DATA_TYPE, array.data_type()),
    }
}

fn finish<O: ArrowPrimitiveType>(values: Vec<O::Native>, nulls: Option<NullBuffer>, result: &DataType, scalar: bool) -> Result<ColumnarValue> {
    let array = PrimitiveArray::<O>::try_new(values.into(), nulls)?.with_data_type(result.clone());
    if scalar { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)) } else { Ok(ColumnarValue::Array(Arc::new(array))) }
}

fn nothing(result: &DataType) -> Result<ColumnarValue> {
    Ok(ColumnarValue::Scalar(ScalarValue::try_from(result)?))
}

/// `f` gives a result and whether it failed; `why` explains the failure of a row.
pub(crate) fn binary<A, B, O>(
    args: &ScalarFunctionArgs,
    result: &DataType,
    f: impl Fn(A::Native, B::Native) -> (O::Native, bool),
    why: impl Fn(A::Native, B::Native) -> DataFusionError,
) -> Result<ColumnarValue>
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    let [left, right] = args.args.as_slice() else { return internal_err!("a binary kernel was given {} arguments", args.args.len()) };
    let mut failed = false;
    let mut one = |l, r| {
        let (v, bad) = f(l, r);
        failed |= bad;
        v
    };
    let (values, nulls, scalar): (Vec<O::Native>, Option<NullBuffer>, bool);
    match (Side::<A>::new(left)?, Side::<B>::new(right)?) {
        (Side::Constant(None), _) | (_, Side::Constant(None)) => return nothing(result),
        (Side::Constant(Some(l)), Side::Constant(Some(r))) => {
            (values, nulls, scalar) = (vec![one(l, r)], None, true);
            if failed {
                return Err(why(l, r));
            }
        }
        (Side::Column(l), Side::Constant(Some(r))) => {
            (values, nulls, scalar) = (l.values().iter().map(|&l| one(l, r)).collect(), l.nulls().cloned(), false);
            if failed {
                check(nulls.as_ref(), l.values().iter().map(|&l| (l, r)), f, why)?;
            }
        }
        (Side::Constant(Some(l)), Side::Column(r)) => {
            (values, nulls, scalar) = (r.values().iter().map(|&r| one(l, r)).collect(), r.nulls().cloned(), false);
            if failed {
                check(nulls.as_ref(), r.values().iter().map(|&r| (l, r)), f, why)?;
            }
        }
        (Side::Column(l), Side::Column(r)) => {
            if l.len() != r.len() {
                return internal_err!("columns of different length");
            }
            values = l.values().iter().zip(r.values()).map(|(&l, &r)| one(l, r)).collect();
            (nulls, scalar) = (NullBuffer::union(l.nulls(), r.nulls()), false);
            if failed {
                check(nulls.as_ref(), l.values().iter().copied().zip(r.values().iter().copied()), f, why)?;
            }
        }
    }
    finish::<O>(values, nulls, result, scalar)
}

fn check<L: Copy, R: Copy, O>(
    nulls: Option<&NullBuffer>,
    rows: impl Iterator<Item = (L, R)>,
    f: impl Fn(L, R) -> (O, bool),
    why: impl Fn(L, R) -> DataFusionError,
) -> Result<()> {
    for (i, (l, r)) in rows.enumerate() {
        if nulls.is_none_or(|n| n.is_valid(i)) && f(l, r).1 {
            return Err(why(l, r));
        }
    }
    Ok(())
}

/// As [`binary`], of one argument.
pub(crate) fn unary<A, O>(
    args: &ScalarFunctionArgs,
    result: &DataType,
    f: impl Fn(A::Native) -> (O::Native, bool),
    why: impl Fn(A::Native) -> DataFusionError,
) -> Result<ColumnarValue>
where
    A: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    let [arg] = args.args.as_slice() else { return internal_err!("a unary kernel was given {} arguments", args.args.len()) };
    match Side::<A>::new(arg)? {
        Side::Constant(None) => nothing(result),
        Side::Constant(Some(v)) => {
            let (value, bad) = f(v);
            if bad { Err(why(v)) } else { finish::<O>(vec![value], None, result, true) }
        }
        Side::Column(a) => {
            let mut failed = false;
            let values = a.values().iter().map(|&v| {
                let (v, bad) = f(v);
                failed |= bad;
                v
            });
            let values = values.collect();
            if failed {
                check(a.nulls(), a.values().iter().map(|&v| (v, ())), |v, ()| f(v), |v, ()| why(v))?;
            }
            finish::<O>(values, a.nulls().cloned(), result, false)
        }
    }
}

/// For kernels that cannot fail.
pub(crate) fn never<T>(_: T) -> DataFusionError {
    DataFusionError::Internal("a kernel that cannot fail has failed".into())
}
