//! Statistics of floats. They depend on the order of the values and are shipped with `weir.fidelity = relaxed` only, but for sums and
//! averages that turn out not to ([`super::exact`]).
//!
//! Source: `float8_regr_accum` and its relatives in `float.c` (the Youngs-Cramer algorithm); the final functions are the same,
//! so that NULL, zero and domain follow Postgres.

use super::exact::exact_sum_udaf;
use super::{arg, column, part};
use crate::agg::distinct::count_of;
use crate::agg::{AggArgs, AggLowered, AggPart};
use crate::error::refused;
use crate::func::arith::kernel::{binary, unary};
use crate::func::arith::numeric::too_large;
use crate::udf;
use crate::value::Value;
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ScalarFunctionArgs, Signature, Volatility, cast};
use std::any::Any;
use std::sync::Arc;
use weir_plan::ir::Fidelity;
use weir_plan::types::PgType;

pub(super) fn lower(args: &AggArgs<'_>) -> Option<Result<AggLowered>> {
    Some(match args.func {
        2110 | 2111 => sum(args),
        2104 | 2105 => average(args),
        _ => statistics(args, kind(args.func)?),
    })
}

/// The sum; an infinite one might be an overflow, which Postgres reports.
fn checked(sum: Expr, ty: &DataType) -> Expr {
    let out = ty.clone();
    let kernel: udf::Kernel = if ty == &DataType::Float32 {
        Arc::new(move |a: &ScalarFunctionArgs| unary::<Float64Type, Float32Type>(a, &out, |v| (v as f32, (v as f32).is_infinite()), |_| too_large()))
    } else {
        Arc::new(move |a: &ScalarFunctionArgs| unary::<Float64Type, Float64Type>(a, &out, |v| (v, v.is_infinite()), |_| too_large()))
    };
    udf::call("pg_float_sum", "", ty.clone(), vec![sum], kernel)
}

/// The sum of the values as float8 values; `single`: they are float4 values, and added as such.
fn sum_of(args: &AggArgs<'_>, single: bool) -> Result<Arc<AggregateUDF>> {
    if args.session.fidelity == Fidelity::Relaxed {
        return Ok(sum_udaf());
    }
    if args.distinct {
        return Err(refused("a sum of DISTINCT floats"));
    }
    Ok(exact_sum_udaf(if single { 24 } else { 53 }))
}

/// An average begins with 0, to which -0 adds nothing.
fn positive_zero(sum: Expr) -> Expr {
    let kernel = Arc::new(|a: &ScalarFunctionArgs| unary::<Float64Type, Float64Type>(a, &DataType::Float64, |v| (v + 0.0, false), |_| too_large()));
    udf::call("pg_positive_zero", "", DataType::Float64, vec![sum], kernel)
}

fn sum(args: &AggArgs<'_>) -> Result<AggLowered> {
    let v = arg(args)?;
    let (arrow, ty) = (v.arrow.clone(), args.ty);
    let relaxed = args.session.fidelity == Fidelity::Relaxed;
    Ok(AggLowered {
        parts: vec![part(sum_of(args, arrow == DataType::Float32)?, v.cast_to(&DataType::Float64), args.distinct)],
        finish: Box::new(move |columns| {
            let sum = column(&columns, 0)?;
            let sum = if relaxed { checked(sum, &arrow) } else { cast(sum, arrow.clone()) };
            Ok(Value::new(sum, arrow, ty))
        }),
    })
}

fn average(args: &AggArgs<'_>) -> Result<AggLowered> {
    let wide = arg(args)?.cast_to(&DataType::Float64);
    let relaxed = args.session.fidelity == Fidelity::Relaxed;
    Ok(AggLowered {
        parts: vec![part(sum_of(args, false)?, wide.clone(), args.distinct), part(count_of(args.distinct), wide, args.distinct)],
        finish: Box::new(move |columns| {
            let sum = column(&columns, 0)?;
            let args = vec![if relaxed { checked(sum, &DataType::Float64) } else { positive_zero(sum) }, column(&columns, 1)?];
            let kernel = Arc::new(|a: &ScalarFunctionArgs| {
                binary::<Float64Type, Int64Type, Float64Type>(a, &DataType::Float64, |s, n| (s / n as f64, false), |_, _| too_large())
            });
            Ok(Value::new(udf::call("pg_float_avg", "", DataType::Float64, args, kernel), DataType::Float64, PgType::FLOAT8))
        }),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
    RegrCount,
    RegrSxx,
    RegrSyy,
    RegrSxy,
    RegrAvgX,
    RegrAvgY,
    RegrR2,
    RegrSlope,
    RegrIntercept,
    CovarPop,
    CovarSamp,
    Corr,
}

fn kind(func: u32) -> Option<Kind> {
    Some(match func {
        2721 | 2722 => Kind::VarPop,
        2151 | 2152 | 2644 | 2645 => Kind::VarSamp,
        2727 | 2728 => Kind::StddevPop,
        2157 | 2158 | 2715 | 2716 => Kind::StddevSamp,
        2818 => Kind::RegrCount,
        2819 => Kind::RegrSxx,
        2820 => Kind::RegrSyy,
        2821 => Kind::RegrSxy,
        2822 => Kind::RegrAvgX,
        2823 => Kind::RegrAvgY,
        2824 => Kind::RegrR2,
        2825 => Kind::RegrSlope,
        2826 => Kind::RegrIntercept,
        2827 => Kind::CovarPop,
        2828 => Kind::CovarSamp,
        2829 => Kind::Corr,
        _ => return None,
    })
}

fn statistics(args: &AggArgs<'_>, kind: Kind) -> Result<AggLowered> {
    if args.distinct {
        return Err(refused("statistics of DISTINCT floats"));
    }
    // The SQL functions take (Y, X); of one argument it is X.
    let exprs: Vec<Expr> = args.args.iter().rev().map(|v| v.cast_to(&DataType::Float64)).collect();
    let result = if kind == Kind::RegrCount { DataType::Int64 } else { DataType::Float64 };
    let udf = Arc::new(AggregateUDF::new_from_impl(Statistics { kind, signature: Signature::any(exprs.len(), Volatility::Immutable) }));
    let ty = args.ty;
    Ok(AggLowered {
        parts: vec![AggPart { udf, args: exprs, order_by: vec![], distinct: false }],
        finish: Box::new(move |columns| Ok(Value::new(column(&columns, 0)?, result, ty))),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Statistics {
    kind: Kind,
    signature: Signature,
}

impl AggregateUDFImpl for Statistics {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "pg_float_statistics"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.kind == Kind::RegrCount { DataType::Int64 } else { DataType::Float64 })
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(State { kind: self.kind, n: 0.0, x: 0.0, xx: 0.0, y: 0.0, yy: 0.0, xy: 0.0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(["n", "x", "xx", "y", "yy", "xy"]
            .into_iter()
            .map(|f| Arc::new(Field::new(format_state_name(args.name, f), DataType::Float64, true)) as FieldRef)
            .collect())
    }
}

/// Count, sums, and sums of squared deviations.
#[derive(Debug)]
struct State {
    kind: Kind,
    n: f64,
    x: f64,
    xx: f64,
    y: f64,
    yy: f64,
    xy: f64,
}

impl State {
    fn add(&mut self, x: f64, y: f64) {
        self.n += 1.0;
        self.x += x;
        self.y += y;
        if self.n > 1.0 {
            let (tx, ty) = (x * self.n - self.x, y * self.n - self.y);
            let scale = 1.0 / (self.n * (self.n - 1.0));
            self.xx += tx * tx * scale;
            self.yy += ty * ty * scale;
            self.xy += tx * ty * scale;
        } else {
            // NaN and infinities make the deviations NaN from the first value on.
            if !x.is_finite() {
                self.xx = f64::NAN;
                self.xy = f64::NAN;
            }
            if !y.is_finite() {
                self.yy = f64::NAN;
                self.xy = f64::NAN;
            }
        }
    }

    fn merge(&mut self, o: &[f64; 6]) {
        let [n, x, xx, y, yy, xy] = *o;
        if n == 0.0 {
            return;
        }
        if self.n == 0.0 {
            (self.n, self.x, self.xx, self.y, self.yy, self.xy) = (n, x, xx, y, yy, xy);
            return;
        }
        let total = self.n + n;
        let (tx, ty) = (self.x / self.n - x / n, self.y / self.n - y / n);
        let weight = self.n * n / total;
        self.xx += xx + weight * tx * tx;
        self.yy += yy + weight * ty * ty;
        self.xy += xy + weight * tx * ty;
        self.n = total;
        self.x += x;
        self.y += y;
    }

    fn result(&self) -> Option<f64> {
        let Self { n, x, xx, y, yy, xy, .. } = *self;
        let (some, sample) = (n >= 1.0, n >= 2.0);
        match self.kind {
            Kind::RegrCount => Some(n),
            Kind::VarPop => some.then(|| xx / n),
            Kind::VarSamp => sample.then(|| xx / (n - 1.0)),
            Kind::StddevPop => some.then(|| (xx / n).sqrt()),
            Kind::StddevSamp => sample.then(|| (xx / (n - 1.0)).sqrt()),
            Kind::RegrSxx => some.then_some(xx),
            Kind::RegrSyy => some.then_some(yy),
            Kind::RegrSxy => some.then_some(xy),
            Kind::RegrAvgX => some.then(|| x / n),
            Kind::RegrAvgY => some.then(|| y / n),
            Kind::CovarPop => some.then(|| xy / n),
            Kind::CovarSamp => sample.then(|| xy / (n - 1.0)),
            Kind::Corr => (some && xx != 0.0 && yy != 0.0).then(|| xy / (xx * yy).sqrt()),
            Kind::RegrR2 if !some || xx == 0.0 => None,
            Kind::RegrR2 if yy == 0.0 => Some(1.0),
            Kind::RegrR2 => Some((xy * xy) / (xx * yy)),
            Kind::RegrSlope => (some && xx != 0.0).then(|| xy / xx),
            Kind::RegrIntercept => (some && xx != 0.0).then(|| (y - x * xy / xx) / n),
        }
    }
}

fn floats(array: Option<&ArrayRef>) -> Result<&arrow::array::Float64Array> {
    match array.and_then(|a| a.as_primitive_opt::<Float64Type>()) {
        Some(a) => Ok(a),
        None => internal_err!("a statistic of floats was given something else"),
    }
}

impl Accumulator for State {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let xs = floats(values.first())?;
        let ys = if values.len() > 1 { floats(values.get(1))? } else { xs };
        for (x, y) in xs.iter().zip(ys) {
            if let (Some(x), Some(y)) = (x, y) {
                self.add(x, y);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns = states.iter().map(|s| floats(Some(s))).collect::<Result<Vec<_>>>()?;
        let Ok(columns): Result<[_; 6], _> = columns.try_into() else { return internal_err!("state of a statistic of floats has not 6 columns") };
        for row in 0..columns[0].len() {
            self.merge(&columns.map(|c| c.value(row)));
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok([self.n, self.x, self.xx, self.y, self.yy, self.xy].into_iter().map(|v| ScalarValue::Float64(Some(v))).collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let result = self.result();
        if self.kind == Kind::RegrCount {
            return Ok(ScalarValue::Int64(result.map(|n| n as i64)));
        }
        // An infinity may be an overflow, which Postgres reports.
        if [self.x, self.xx, self.y, self.yy, self.xy].iter().any(|v| v.is_infinite()) {
            return Err(too_large());
        }
        Ok(ScalarValue::Float64(result))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
