//! Arithmetic of int2, int4 and int8, checked.

use super::arg;
use super::kernel::{binary, unary};
use crate::error::{raise, refused};
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::{ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Int16Type, Int32Type, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use std::sync::Arc;
use weir_plan::types::arrow_type;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    Gcd,
    Lcm,
    Shl,
    Shr,
    Plus,
    Neg,
    Abs,
    Not,
}

fn op(func: u32) -> Option<Op> {
    Some(match func {
        176 | 177 | 178 | 179 | 463 | 841 | 1278 | 837 | 1274 => Op::Add,
        180 | 181 | 182 | 183 | 464 | 942 | 1279 | 838 | 1275 => Op::Sub,
        152 | 141 | 170 | 171 | 465 | 943 | 1280 | 839 | 1276 => Op::Mul,
        153 | 154 | 172 | 173 | 466 | 948 | 1281 | 840 | 1277 => Op::Div,
        155 | 156 | 940 | 941 | 945 | 947 => Op::Mod,
        1892 | 1898 | 1904 => Op::And,
        1893 | 1899 | 1905 => Op::Or,
        1894 | 1900 | 1906 => Op::Xor,
        1895 | 1901 | 1907 => Op::Not,
        1896 | 1902 | 1908 => Op::Shl,
        1897 | 1903 | 1909 => Op::Shr,
        1910..=1912 => Op::Plus,
        213 | 212 | 462 => Op::Neg,
        1253 | 1251 | 1230 | 1398 | 1397 | 1396 => Op::Abs,
        5044 | 5045 => Op::Gcd,
        5046 | 5047 => Op::Lcm,
        _ => return None,
    })
}

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    op(call.func).map(|op| build(call, op))
}

fn build(call: &Call<'_>, op: Op) -> Result<Value> {
    let result = arrow_type(&call.ty).ok_or_else(|| refused("result of integer arithmetic is not an integer"))?;
    let unary = matches!(op, Op::Plus | Op::Neg | Op::Abs | Op::Not);
    let mut args = vec![arg(call, 0)?.cast_to(&result)];
    if op == Op::Plus {
        return Ok(Value::new(args.remove(0), result, call.ty));
    }
    if !unary {
        // The right side of a shift is always an int4.
        args.push(arg(call, 1)?.cast_to(if matches!(op, Op::Shl | Op::Shr) { &DataType::Int32 } else { &result }));
    }
    let name = match op {
        Op::Add => "pg_int_add",
        Op::Sub => "pg_int_sub",
        Op::Mul => "pg_int_mul",
        Op::Div => "pg_int_div",
        Op::Mod => "pg_int_mod",
        Op::And => "pg_int_and",
        Op::Or => "pg_int_or",
        Op::Xor => "pg_int_xor",
        Op::Gcd => "pg_int_gcd",
        Op::Lcm => "pg_int_lcm",
        Op::Shl => "pg_int_shl",
        Op::Shr => "pg_int_shr",
        Op::Plus => "pg_int_plus",
        Op::Neg => "pg_int_neg",
        Op::Abs => "pg_int_abs",
        Op::Not => "pg_int_not",
    };
    let kernel: udf::Kernel = match &result {
        DataType::Int16 => Arc::new(move |a: &ScalarFunctionArgs| run::<Int16Type>(op, a)),
        DataType::Int32 => Arc::new(move |a: &ScalarFunctionArgs| run::<Int32Type>(op, a)),
        DataType::Int64 => Arc::new(move |a: &ScalarFunctionArgs| run::<Int64Type>(op, a)),
        other => return Err(refused(format!("integer arithmetic over {other}"))),
    };
    Ok(Value::new(udf::call(name, "", result.clone(), args, kernel), result, call.ty))
}

/// What [`ArrowNativeTypeOp`] lacks.
trait Int: ArrowPrimitiveType<Native: Native> {
    const RANGE: &'static str;
}

trait Native:
    ArrowNativeTypeOp + std::ops::BitAnd<Output = Self> + std::ops::BitOr<Output = Self> + std::ops::BitXor<Output = Self> + std::ops::Not<Output = Self>
{
    fn add(self, r: Self) -> (Self, bool);
    fn sub(self, r: Self) -> (Self, bool);
    fn mul(self, r: Self) -> (Self, bool);
    fn div(self, r: Self) -> (Self, bool);
    fn modulo(self, r: Self) -> (Self, bool);
    fn negate(self) -> (Self, bool);
    fn gcd(self, r: Self) -> (Self, bool);
    fn shift_left(self, by: i32) -> Self;
    fn shift_right(self, by: i32) -> Self;
}

macro_rules! int {
    ($arrow:ty, $native:ty, $range:literal, $shift_mask:literal) => {
        impl Int for $arrow {
            const RANGE: &'static str = $range;
        }

        impl Native for $native {
            #[inline]
            fn add(self, r: Self) -> (Self, bool) {
                self.overflowing_add(r)
            }
            #[inline]
            fn sub(self, r: Self) -> (Self, bool) {
                self.overflowing_sub(r)
            }
            #[inline]
            fn mul(self, r: Self) -> (Self, bool) {
                self.overflowing_mul(r)
            }
            #[inline]
            fn div(self, r: Self) -> (Self, bool) {
                self.checked_div(r).map_or((0, true), |v| (v, false))
            }
            #[inline]
            fn modulo(self, r: Self) -> (Self, bool) {
                // MIN % -1 is 0 in Postgres.
                if r == 0 { (0, true) } else { (self.wrapping_rem(r), false) }
            }
            #[inline]
            fn negate(self) -> (Self, bool) {
                self.overflowing_neg()
            }
            fn gcd(self, r: Self) -> (Self, bool) {
                let (mut a, mut b) = (self.unsigned_abs(), r.unsigned_abs());
                while b != 0 {
                    (a, b) = (b, a % b);
                }
                <$native>::try_from(a).map_or((0, true), |v| (v, false))
            }
            #[inline]
            fn shift_left(self, by: i32) -> Self {
                // int2 shifts as an int: the count is taken modulo 32 by the processor, and what leaves the 16 bits is lost.
                if $shift_mask == 15 { i32::from(self as i16).wrapping_shl(by as u32) as Self } else { self.wrapping_shl(by as u32) }
            }
            #[inline]
            fn shift_right(self, by: i32) -> Self {
                if $shift_mask == 15 { i32::from(self as i16).wrapping_shr(by as u32) as Self } else { self.wrapping_shr(by as u32) }
            }
        }
    };
}

int!(Int16Type, i16, "smallint out of range", 15);
int!(Int32Type, i32, "integer out of range", 31);
int!(Int64Type, i64, "bigint out of range", 63);

fn out_of_range<T: Int>() -> DataFusionError {
    raise("22003", T::RANGE)
}

pub(super) fn division_by_zero() -> DataFusionError {
    raise("22012", "division by zero")
}

fn run<T: Int>(op: Op, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let result = &T::DATA_TYPE;
    let zero = <T::Native as ArrowNativeTypeOp>::ZERO;
    let range = |_, _| out_of_range::<T>();
    match op {
        Op::Add => binary::<T, T, T>(args, result, |l, r| l.add(r), range),
        Op::Sub => binary::<T, T, T>(args, result, |l, r| l.sub(r), range),
        Op::Mul => binary::<T, T, T>(args, result, |l, r| l.mul(r), range),
        Op::Div => binary::<T, T, T>(args, result, Native::div, |_, r| if r == zero { division_by_zero() } else { out_of_range::<T>() }),
        Op::Mod => binary::<T, T, T>(args, result, |l, r| l.modulo(r), |_, _| division_by_zero()),
        Op::And => binary::<T, T, T>(args, result, |l, r| (l & r, false), range),
        Op::Or => binary::<T, T, T>(args, result, |l, r| (l | r, false), range),
        Op::Xor => binary::<T, T, T>(args, result, |l, r| (l ^ r, false), range),
        Op::Gcd => binary::<T, T, T>(args, result, |l, r| l.gcd(r), range),
        Op::Lcm => binary::<T, T, T>(args, result, lcm::<T>, range),
        Op::Shl => binary::<T, Int32Type, T>(args, result, |l, r| (l.shift_left(r), false), |_, _| out_of_range::<T>()),
        Op::Shr => binary::<T, Int32Type, T>(args, result, |l, r| (l.shift_right(r), false), |_, _| out_of_range::<T>()),
        Op::Neg => unary::<T, T>(args, result, |v| v.negate(), |_| out_of_range::<T>()),
        Op::Abs => unary::<T, T>(args, result, |v| if v.is_lt(zero) { v.negate() } else { (v, false) }, |_| out_of_range::<T>()),
        Op::Not => unary::<T, T>(args, result, |v| (!v, false), |_| out_of_range::<T>()),
        Op::Plus => Err(refused("unary plus is no kernel")),
    }
}

fn lcm<T: Int>(l: T::Native, r: T::Native) -> (T::Native, bool) {
    let zero = <T::Native as ArrowNativeTypeOp>::ZERO;
    if l == zero || r == zero {
        return (zero, false);
    }
    let (gcd, bad) = l.gcd(r);
    if bad {
        return (zero, true);
    }
    let (quotient, bad) = Native::div(l, gcd);
    let (product, too_large) = quotient.mul(r);
    if bad || too_large {
        return (zero, true);
    }
    if product.is_lt(zero) { product.negate() } else { (product, false) }
}
