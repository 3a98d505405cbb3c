//! Arithmetic of float4 and float8 with Postgres's checks (`float.c`, `float.h` of release 15).
//!
//! The transcendental functions are those of the C library, as in Postgres: the engine and the server run on one machine.

use super::arg;
use super::int::division_by_zero;
use super::kernel::{binary, never, unary};
use crate::error::{raise, refused};
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, lit};
use std::sync::Arc;
use weir_plan::types::PgType;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Neg,
    Abs,
    Plus,
}

/// Functions of one float8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unary {
    Round,
    Trunc,
    Ceil,
    Floor,
    Sign,
    Sqrt,
    Exp,
    Ln,
    Log10,
    Sin,
    Cos,
    Tan,
    Cot,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Degrees,
    Radians,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Overflow,
    Underflow,
    DivisionByZero,
    SqrtOfNegative,
    LogOfZero,
    LogOfNegative,
    ZeroToNegative,
    NegativeToFraction,
    Input,
}

fn error(why: Failure) -> DataFusionError {
    match why {
        Failure::Overflow => raise("22003", "value out of range: overflow"),
        Failure::Underflow => raise("22003", "value out of range: underflow"),
        Failure::DivisionByZero => division_by_zero(),
        Failure::SqrtOfNegative => raise("2201F", "cannot take square root of a negative number"),
        Failure::LogOfZero => raise("2201E", "cannot take logarithm of zero"),
        Failure::LogOfNegative => raise("2201E", "cannot take logarithm of a negative number"),
        Failure::ZeroToNegative => raise("2201F", "zero raised to a negative power is undefined"),
        Failure::NegativeToFraction => raise("2201F", "a negative number raised to a non-integer power yields a complex result"),
        Failure::Input => raise("22003", "input is out of range"),
    }
}

fn op(func: u32) -> Option<Op> {
    Some(match func {
        204 | 218 | 281 | 285 => Op::Add,
        205 | 219 | 282 | 286 => Op::Sub,
        202 | 216 | 279 | 283 => Op::Mul,
        203 | 217 | 280 | 284 => Op::Div,
        206 | 220 => Op::Neg,
        207 | 1394 | 221 | 1395 => Op::Abs,
        1913 | 1914 => Op::Plus,
        _ => return None,
    })
}

fn function(func: u32) -> Option<(Unary, &'static str)> {
    Some(match func {
        228 | 1342 => (Unary::Round, "pg_float_round"),
        229 | 1343 => (Unary::Trunc, "pg_float_trunc"),
        2308 | 2320 => (Unary::Ceil, "pg_float_ceil"),
        2309 => (Unary::Floor, "pg_float_floor"),
        2310 => (Unary::Sign, "pg_float_sign"),
        230 | 1344 => (Unary::Sqrt, "pg_float_sqrt"),
        233 | 1347 => (Unary::Exp, "pg_float_exp"),
        234 | 1341 => (Unary::Ln, "pg_float_ln"),
        1339 | 1340 | 1194 => (Unary::Log10, "pg_float_log10"),
        1604 => (Unary::Sin, "pg_float_sin"),
        1605 => (Unary::Cos, "pg_float_cos"),
        1606 => (Unary::Tan, "pg_float_tan"),
        1607 => (Unary::Cot, "pg_float_cot"),
        1600 => (Unary::Asin, "pg_float_asin"),
        1601 => (Unary::Acos, "pg_float_acos"),
        1602 => (Unary::Atan, "pg_float_atan"),
        2462 => (Unary::Sinh, "pg_float_sinh"),
        2463 => (Unary::Cosh, "pg_float_cosh"),
        2464 => (Unary::Tanh, "pg_float_tanh"),
        1608 => (Unary::Degrees, "pg_float_degrees"),
        1609 => (Unary::Radians, "pg_float_radians"),
        _ => return None,
    })
}

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    if let Some(op) = op(call.func) {
        return Some(operator(call, op));
    }
    if let Some((f, name)) = function(call.func) {
        let kernel = Arc::new(move |a: &ScalarFunctionArgs| checked_unary(a, move |v| compute(f, v)));
        return Some(arg(call, 0).map(|v| float8(name, vec![v.expr.clone()], kernel)));
    }
    if let Some((f, name)) = super::degrees::function(call.func) {
        let kernel = Arc::new(move |a: &ScalarFunctionArgs| checked_unary(a, f));
        return Some(arg(call, 0).map(|v| float8(name, vec![v.expr.clone()], kernel)));
    }
    Some(match call.func {
        232 | 1346 | 1368 => two(call, "pg_float_power", power),
        2734 => two(call, "pg_float_atan2d", super::degrees::atan2d),
        1603 => two(call, "pg_float_atan2", |y, x| {
            let angle = y.atan2(x);
            if angle.is_infinite() { Err(Failure::Overflow) } else { Ok(angle) }
        }),
        231 | 1345 => cube_root(call),
        1610 => Ok(Value::new(lit(std::f64::consts::PI), DataType::Float64, PgType::FLOAT8)),
        _ => return None,
    })
}

/// It neither overflows nor underflows.
fn cube_root(call: &Call<'_>) -> Result<Value> {
    let cbrt = super::libm::cbrt().ok_or_else(|| refused("cbrt without the C library's"))?;
    let kernel = Arc::new(move |a: &ScalarFunctionArgs| checked_unary(a, move |v| Ok(cbrt(v))));
    Ok(float8("pg_float_cbrt", vec![arg(call, 0)?.expr.clone()], kernel))
}

fn float8(name: &'static str, args: Vec<datafusion::logical_expr::Expr>, kernel: udf::Kernel) -> Value {
    Value::new(udf::call(name, "", DataType::Float64, args, kernel), DataType::Float64, PgType::FLOAT8)
}

fn two(call: &Call<'_>, name: &'static str, f: fn(f64, f64) -> Result<f64, Failure>) -> Result<Value> {
    let kernel = Arc::new(move |a: &ScalarFunctionArgs| {
        binary::<Float64Type, Float64Type, Float64Type>(
            a,
            &DataType::Float64,
            |l, r| f(l, r).map_or((0.0, true), |v| (v, false)),
            |l, r| error(f(l, r).err().unwrap_or(Failure::Input)),
        )
    });
    Ok(float8(name, vec![arg(call, 0)?.expr.clone(), arg(call, 1)?.expr.clone()], kernel))
}

fn checked_unary(args: &ScalarFunctionArgs, f: impl Fn(f64) -> Result<f64, Failure> + Copy) -> Result<ColumnarValue> {
    unary::<Float64Type, Float64Type>(args, &DataType::Float64, |v| f(v).map_or((0.0, true), |v| (v, false)), |v| error(f(v).err().unwrap_or(Failure::Input)))
}

macro_rules! arithmetic {
    ($name:ident, $arrow:ty, $type:expr) => {
        fn $name(op: Op, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
            macro_rules! run {
                ($f:expr, $overflow:expr, $underflow:expr) => {
                    binary::<$arrow, $arrow, $arrow>(
                        args,
                        &$type,
                        |l, r| {
                            let v = $f(l, r);
                            (v, (v.is_infinite() && $overflow(l, r)) || (v == 0.0 && $underflow(l, r)))
                        },
                        |l, r| error(if $f(l, r) == 0.0 { Failure::Underflow } else { Failure::Overflow }),
                    )
                };
            }
            let finite = |l: <$arrow as arrow::datatypes::ArrowPrimitiveType>::Native, r: <$arrow as arrow::datatypes::ArrowPrimitiveType>::Native| {
                !l.is_infinite() && !r.is_infinite()
            };
            match op {
                Op::Add => run!(|l, r| l + r, finite, |_, _| false),
                Op::Sub => run!(|l, r| l - r, finite, |_, _| false),
                Op::Mul => run!(|l, r| l * r, finite, |l, r| l != 0.0 && r != 0.0),
                Op::Div => binary::<$arrow, $arrow, $arrow>(
                    args,
                    &$type,
                    |l, r| {
                        let v = l / r;
                        (v, (r == 0.0 && !l.is_nan()) || (v.is_infinite() && !l.is_infinite()) || (v == 0.0 && l != 0.0 && !r.is_infinite()))
                    },
                    |l, r| {
                        error(if r == 0.0 {
                            Failure::DivisionByZero
                        } else if l / r == 0.0 {
                            Failure::Underflow
                        } else {
                            Failure::Overflow
                        })
                    },
                ),
                Op::Neg => unary::<$arrow, $arrow>(args, &$type, |v| (-v, false), never),
                Op::Abs => unary::<$arrow, $arrow>(args, &$type, |v| (v.abs(), false), never),
                Op::Plus => Err(refused("unary plus is no kernel")),
            }
        }
    };
}

arithmetic!(float4_arithmetic, Float32Type, DataType::Float32);
arithmetic!(float8_arithmetic, Float64Type, DataType::Float64);

fn operator(call: &Call<'_>, op: Op) -> Result<Value> {
    let single = call.args.iter().all(|a| a.arrow == DataType::Float32);
    let ty = if single { DataType::Float32 } else { DataType::Float64 };
    let mut args = vec![arg(call, 0)?.cast_to(&ty)];
    if op == Op::Plus {
        return Ok(Value::new(args.remove(0), ty, call.ty));
    }
    if !matches!(op, Op::Neg | Op::Abs) {
        args.push(arg(call, 1)?.cast_to(&ty));
    }
    let name = match op {
        Op::Add => "pg_float_add",
        Op::Sub => "pg_float_sub",
        Op::Mul => "pg_float_mul",
        Op::Div => "pg_float_div",
        Op::Neg => "pg_float_neg",
        Op::Abs => "pg_float_abs",
        Op::Plus => "pg_float_plus",
    };
    let kernel: udf::Kernel = if single {
        Arc::new(move |a: &ScalarFunctionArgs| float4_arithmetic(op, a))
    } else {
        Arc::new(move |a: &ScalarFunctionArgs| float8_arithmetic(op, a))
    };
    Ok(Value::new(udf::call(name, "", ty.clone(), args, kernel), ty, call.ty))
}

const RADIANS_PER_DEGREE: f64 = 0.017_453_292_519_943_295;

fn compute(f: Unary, v: f64) -> Result<f64, Failure> {
    let no_overflow = |r: f64| if r.is_infinite() && !v.is_infinite() { Err(Failure::Overflow) } else { Ok(r) };
    let trigonometric = |r: f64| if v.is_infinite() { Err(Failure::Input) } else { Ok(r) };
    match f {
        Unary::Round => Ok(v.round_ties_even()),
        Unary::Trunc => Ok(if v >= 0.0 { v.floor() } else { -(-v).floor() }),
        Unary::Ceil => Ok(v.ceil()),
        Unary::Floor => Ok(v.floor()),
        Unary::Sign => Ok(if v > 0.0 {
            1.0
        } else if v < 0.0 {
            -1.0
        } else {
            0.0
        }),
        Unary::Sqrt if v < 0.0 => Err(Failure::SqrtOfNegative),
        Unary::Sqrt => no_overflow(v.sqrt()),
        Unary::Exp if v == f64::NEG_INFINITY => Ok(0.0),
        Unary::Exp => match no_overflow(v.exp())? {
            0.0 => Err(Failure::Underflow),
            r => Ok(r),
        },
        Unary::Ln | Unary::Log10 if v == 0.0 => Err(Failure::LogOfZero),
        Unary::Ln | Unary::Log10 if v < 0.0 => Err(Failure::LogOfNegative),
        Unary::Ln => Ok(v.ln()),
        Unary::Log10 => Ok(v.log10()),
        Unary::Sin => trigonometric(v.sin()),
        Unary::Cos => trigonometric(v.cos()),
        Unary::Tan => trigonometric(v.tan()),
        Unary::Cot => trigonometric(1.0 / v.tan()),
        Unary::Asin | Unary::Acos if v.abs() > 1.0 => Err(Failure::Input),
        Unary::Asin => Ok(v.asin()),
        Unary::Acos => Ok(v.acos()),
        Unary::Atan => Ok(v.atan()),
        Unary::Sinh => Ok(v.sinh()),
        Unary::Cosh => Ok(v.cosh()),
        Unary::Tanh => Ok(v.tanh()),
        Unary::Degrees => {
            let r = v / RADIANS_PER_DEGREE;
            if r == 0.0 && v != 0.0 { Err(Failure::Underflow) } else { no_overflow(r) }
        }
        Unary::Radians => {
            let r = v * RADIANS_PER_DEGREE;
            if r == 0.0 && v != 0.0 { Err(Failure::Underflow) } else { Ok(r) }
        }
    }
}

/// `dpow`.
fn power(x: f64, y: f64) -> Result<f64, Failure> {
    if x.is_nan() {
        return Ok(if y == 0.0 { 1.0 } else { f64::NAN });
    }
    if y.is_nan() {
        return Ok(if x == 1.0 { 1.0 } else { f64::NAN });
    }
    if x == 0.0 && y < 0.0 {
        return Err(Failure::ZeroToNegative);
    }
    if x < 0.0 && y.floor() != y {
        return Err(Failure::NegativeToFraction);
    }
    if y.is_infinite() {
        let magnitude = x.abs();
        return Ok(if magnitude == 1.0 {
            1.0
        } else if (y > 0.0) == (magnitude > 1.0) {
            f64::INFINITY
        } else {
            0.0
        });
    }
    if x.is_infinite() {
        let odd = (y / 2.0).floor() != y / 2.0;
        return Ok(if y == 0.0 {
            1.0
        } else if x > 0.0 {
            if y > 0.0 { x } else { 0.0 }
        } else if y > 0.0 {
            if odd { x } else { -x }
        } else if odd {
            -0.0
        } else {
            0.0
        });
    }
    let r = x.powf(y);
    if r.is_infinite() {
        Err(Failure::Overflow)
    } else if r == 0.0 && x != 0.0 {
        Err(Failure::Underflow)
    } else {
        Ok(r)
    }
}
