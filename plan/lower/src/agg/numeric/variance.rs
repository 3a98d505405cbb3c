//! Variance and standard deviation of integers and numerics, exact as `numeric_stddev_internal` computes them.
//!
//! One engine aggregate collects count, sum and sum of squares and puts them out as a binary value; the result and its display
//! scale are functions of that and of the largest display scale.

use super::{arg, column, part, row_scales};
use crate::agg::{AggArgs, AggLowered, AggPart};
use crate::error::refused;
use crate::func::arith::numeric::{Decimals, digits, div_scale, divide_big, from_big, pow10, rounded_root, to_big, too_large};
use crate::udf;
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, PrimitiveBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal256Type, Field, FieldRef, Int16Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::min_max::max_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility, cast, lit};
use num_bigint::{BigInt, Sign};
use std::any::Any;
use std::sync::Arc;
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType};

/// Which of the four statistics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statistic {
    pub sample: bool,
    pub root: bool,
}

pub(super) fn statistic(func: u32) -> Option<Statistic> {
    let (sample, root) = match func {
        2148..=2150 | 2153 | 2641..=2643 | 2646 => (true, false),
        2718..=2720 | 2723 => (false, false),
        2154..=2156 | 2159 | 2712..=2714 | 2717 => (true, true),
        2724..=2726 | 2729 => (false, true),
        _ => return None,
    };
    Some(Statistic { sample, root })
}

pub(super) fn lower(args: &AggArgs<'_>, statistic: Statistic) -> Result<AggLowered> {
    let v = arg(args)?;
    if args.distinct {
        return Err(refused("variance of DISTINCT values"));
    }
    let value = if v.decimal().is_some() { v.expr.clone() } else { v.cast_to(&DataType::Decimal128(19, 0)) };
    let scale = v.decimal().map_or(0, |(_, s)| i32::from(s));
    let moments = Arc::new(AggregateUDF::new_from_impl(Moments { signature: Signature::any(1, Volatility::Immutable) }));
    let mut parts = vec![AggPart { udf: moments, args: vec![value], order_by: vec![], distinct: false }];
    let dynamic = row_scales(v)?;
    let fixed = match &v.dscale {
        Some(DScale::Static(s)) => i16::from(*s),
        _ => 0,
    };
    if let Some(scales) = dynamic.clone() {
        parts.push(part(max_udaf(), scales, false));
    }
    Ok(AggLowered {
        parts,
        finish: Box::new(move |columns| {
            let largest = if dynamic.is_some() { column(&columns, 1)? } else { lit(fixed) };
            let args = vec![column(&columns, 0)?, cast(largest, DataType::Int16)];
            let key = format!("{scale},{statistic:?}");
            let result = DataType::Decimal256(DYNAMIC_PRECISION, DYNAMIC_SCALE);
            let ty = result.clone();
            let values = udf::over_arrays(move |a| {
                each::<Decimal256Type>(a, &ty, |m, d| {
                    let Some((value, shown)) = m.statistic(statistic, scale, d) else { return Ok(None) };
                    let lift = i32::from(DYNAMIC_SCALE) - shown;
                    let value = from_big(&value).ok_or_else(too_large)?;
                    if lift < 0 || digits(value) + lift > i32::from(DYNAMIC_PRECISION) {
                        return Err(too_large());
                    }
                    Ok(Some(value.wrapping_mul(pow10(lift as u32))))
                })
            });
            let scales =
                udf::over_arrays(move |a| each::<Int16Type>(a, &DataType::Int16, |m, d| Ok(m.statistic(statistic, scale, d).map(|(_, shown)| shown as i16))));
            let expr = udf::call("pg_variance", key.clone(), result.clone(), args.clone(), values);
            let dscale = udf::call("pg_variance_scale", key, DataType::Int16, args, scales);
            Ok(Value::numeric(expr, result, PgType::NUMERIC, DScale::Dynamic(dscale)))
        }),
    })
}

fn each<O: ArrowPrimitiveType>(args: &[ArrayRef], ty: &DataType, f: impl Fn(&State, i32) -> Result<Option<O::Native>>) -> Result<ArrayRef> {
    let (Some(states), Some(scales)) = (args.first().and_then(|a| a.as_binary_opt::<i32>()), args.get(1).and_then(|a| a.as_primitive_opt::<Int16Type>()))
    else {
        return internal_err!("pg_variance was given other types");
    };
    let mut out = PrimitiveBuilder::<O>::with_capacity(states.len()).with_data_type(ty.clone());
    for (row, state) in states.iter().enumerate() {
        out.append_option(match state {
            Some(bytes) => f(&State::decode(bytes)?, i32::from(scales.value(row)))?,
            None => None,
        });
    }
    Ok(Arc::new(out.finish()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Moments {
    signature: Signature,
}

impl AggregateUDFImpl for Moments {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "pg_moments"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(State::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "moments"), DataType::Binary, true))])
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Count, sum and sum of squares of unscaled values.
#[derive(Debug, Default)]
struct State {
    n: i64,
    sum: BigInt,
    squares: BigInt,
}

impl State {
    /// A batch is summed in 128 bits where its values are small enough.
    fn add(&mut self, array: &ArrayRef, sign: i32) -> Result<()> {
        const SMALL: i128 = 1 << 50;
        let column = Decimals::new(array)?;
        let (mut n, mut sum, mut squares) = (0_i64, 0_i128, 0_i128);
        let (mut big_sum, mut big_squares) = (BigInt::ZERO, BigInt::ZERO);
        for row in 0..array.len() {
            let Some(v) = column.get(row) else { continue };
            n += 1;
            match v.to_i128().filter(|v| (-SMALL..SMALL).contains(v)) {
                // Batches have far fewer than 2^26 rows.
                Some(v) => {
                    sum += v;
                    squares += v * v;
                }
                None => {
                    let v = to_big(v);
                    big_squares += &v * &v;
                    big_sum += v;
                }
            }
            if n % (1 << 20) == 0 {
                big_sum += std::mem::take(&mut sum);
                big_squares += std::mem::take(&mut squares);
            }
        }
        self.n += n * i64::from(sign);
        self.sum += (big_sum + sum) * sign;
        self.squares += (big_squares + squares) * sign;
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let sum = self.sum.to_signed_bytes_le();
        let mut bytes = self.n.to_le_bytes().to_vec();
        bytes.extend((sum.len() as u32).to_le_bytes());
        bytes.extend(sum);
        bytes.extend(self.squares.to_signed_bytes_le());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<State> {
        let parsed = (|| {
            let (n, rest) = bytes.split_first_chunk::<8>()?;
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let (sum, squares) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            Some(State { n: i64::from_le_bytes(*n), sum: BigInt::from_signed_bytes_le(sum), squares: BigInt::from_signed_bytes_le(squares) })
        })();
        match parsed {
            Some(state) => Ok(state),
            None => internal_err!("state of a variance is not what it should be"),
        }
    }

    /// The statistic as unscaled value and its scale; `scale` is that of the values, `shown` the largest display scale.
    fn statistic(&self, statistic: Statistic, scale: i32, shown: i32) -> Option<(BigInt, i32)> {
        if self.n < 1 || (statistic.sample && self.n < 2) {
            return None;
        }
        let numerator = &self.squares * self.n - &self.sum * &self.sum;
        if numerator.sign() != Sign::Plus {
            return Some((BigInt::ZERO, 0));
        }
        let n = BigInt::from(self.n);
        let denominator = if statistic.sample { &n * (self.n - 1) } else { &n * &n };
        let result_scale = div_scale(&numerator, 2 * scale, 2 * shown, &denominator, 0, 0);
        let variance = divide_big(&numerator, 2 * scale, &denominator, 0, result_scale);
        Some((if statistic.root { rounded_root(&variance, result_scale, result_scale) } else { variance }, result_scale))
    }
}

impl Accumulator for State {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first() {
            Some(array) => self.add(array, 1),
            None => internal_err!("pg_moments without argument"),
        }
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.first() {
            Some(array) => self.add(array, -1),
            None => internal_err!("pg_moments without argument"),
        }
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states): Option<&BinaryArray> = states.first().and_then(|a| a.as_binary_opt()) else {
            return internal_err!("state of pg_moments is not binary");
        };
        for bytes in states.iter().flatten() {
            let other = State::decode(bytes)?;
            self.n += other.n;
            self.sum += other.sum;
            self.squares += other.squares;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.encode())))
    }

    fn size(&self) -> usize {
        size_of_val(self) + ((self.sum.bits() + self.squares.bits()) / 8) as usize
    }
}
