//! Sums of floats that come out the same in every order.
//!
//! If all values are multiples of one power of two, and the sum of their magnitudes has no more bits than a float above that power, then
//! every partial sum is exact, so that the order of adding, which is not ours to know, does not matter. That is checked as values come;
//! where it fails the query is `Refused`, mostly at the first batch.

use crate::error::refused;
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int32Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use std::any::Any;
use std::sync::Arc;

/// Beyond it the squares that avg computes along with the sum may overflow, which Postgres reports.
const LARGEST: f64 = 1e100;

/// The sum of float8 values as floats with that many bits would add them: 24 or 53.
pub(super) fn exact_sum_udaf(bits: i32) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(ExactSum { bits, signature: Signature::any(1, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    bits: i32,
    signature: Signature,
}

impl AggregateUDFImpl for ExactSum {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "pg_exact_float_sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(State { bits: self.bits, sum: -0.0, magnitude: 0.0, lowest: i32::MAX, flags: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, ty: DataType| Arc::new(Field::new(format_state_name(args.name, name), ty, true)) as FieldRef;
        Ok(vec![field("sum", DataType::Float64), field("magnitude", DataType::Float64), field("lowest", DataType::Int32), field("flags", DataType::Int32)])
    }
}

const SEEN: i32 = 1;
const NAN: i32 = 2;
const PLUS: i32 = 4;
const MINUS: i32 = 8;

/// Whether the values add up to the same in every order.
pub(crate) fn adds_exactly(values: impl Iterator<Item = f64>, bits: i32) -> bool {
    let mut state = State { bits, sum: -0.0, magnitude: 0.0, lowest: i32::MAX, flags: 0 };
    values.for_each(|v| state.add(v));
    state.check().is_ok()
}

#[derive(Debug)]
struct State {
    bits: i32,
    /// Of the finite values; -0 as long as all of them are.
    sum: f64,
    magnitude: f64,
    /// The exponent of the lowest bit set in any of them.
    lowest: i32,
    flags: i32,
}

/// The exponent of the lowest bit that is set in a finite number other than zero.
fn lowest_bit(v: f64) -> i32 {
    let bits = v.to_bits();
    let (exponent, fraction) = (((bits >> 52) & 0x7ff) as i32, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    exponent + mantissa.trailing_zeros().cast_signed()
}

impl State {
    fn add(&mut self, v: f64) {
        self.flags |= SEEN;
        if v.is_nan() {
            self.flags |= NAN;
        } else if v.is_infinite() {
            self.flags |= if v > 0.0 { PLUS } else { MINUS };
        } else {
            self.sum += v;
            if v != 0.0 {
                self.magnitude += v.abs();
                self.lowest = self.lowest.min(lowest_bit(v));
            }
        }
    }

    fn check(&self) -> Result<()> {
        // The magnitude is itself a rounded sum.
        let bound = self.magnitude * (1.0 + 1e-6);
        let exact = self.lowest == i32::MAX || bound <= 2f64.powi(self.lowest.saturating_add(self.bits));
        if exact && bound < LARGEST { Ok(()) } else { Err(refused("a sum of floats that depends on their order")) }
    }
}

impl Accumulator for State {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first().and_then(|a| a.as_primitive_opt::<Float64Type>()) else {
            return internal_err!("pg_exact_float_sum of other than floats");
        };
        values.iter().flatten().for_each(|v| self.add(v));
        self.check()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [sum, magnitude, lowest, flags] = states else { return internal_err!("pg_exact_float_sum with another state") };
        let (Some(sum), Some(magnitude), Some(lowest), Some(flags)) = (
            sum.as_primitive_opt::<Float64Type>(),
            magnitude.as_primitive_opt::<Float64Type>(),
            lowest.as_primitive_opt::<Int32Type>(),
            flags.as_primitive_opt::<Int32Type>(),
        ) else {
            return internal_err!("pg_exact_float_sum with another state");
        };
        for row in 0..sum.len() {
            self.sum += sum.value(row);
            self.magnitude += magnitude.value(row);
            self.lowest = self.lowest.min(lowest.value(row));
            self.flags |= flags.value(row);
        }
        self.check()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Float64(Some(self.sum)),
            ScalarValue::Float64(Some(self.magnitude)),
            ScalarValue::Int32(Some(self.lowest)),
            ScalarValue::Int32(Some(self.flags)),
        ])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let result = match self.flags {
            0 => None,
            f if f & NAN != 0 || f & (PLUS | MINUS) == PLUS | MINUS => Some(f64::NAN),
            f if f & PLUS != 0 => Some(f64::INFINITY),
            f if f & MINUS != 0 => Some(f64::NEG_INFINITY),
            _ => Some(self.sum),
        };
        Ok(ScalarValue::Float64(result))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> Result<Option<f64>> {
        let mut state = State { bits: 53, sum: -0.0, magnitude: 0.0, lowest: i32::MAX, flags: 0 };
        values.iter().for_each(|v| state.add(*v));
        state.check()?;
        match state.evaluate()? {
            ScalarValue::Float64(v) => Ok(v),
            _ => Ok(None),
        }
    }

    #[test]
    fn only_sums_without_rounding_are_answered() {
        assert_eq!(sum(&[1.5, 2.25, -0.75]).unwrap(), Some(3.0));
        assert_eq!(sum(&[]).unwrap(), None);
        assert!(sum(&[-0.0, -0.0]).unwrap().unwrap().is_sign_negative());
        assert!(!sum(&[-0.0, 0.0]).unwrap().unwrap().is_sign_negative());
        assert_eq!(sum(&[1.0, f64::INFINITY]).unwrap(), Some(f64::INFINITY));
        assert!(sum(&[f64::NEG_INFINITY, f64::INFINITY]).unwrap().unwrap().is_nan());
        assert!(sum(&[0.1, 0.2, 0.3]).is_err());
        assert!(sum(&[1e15, 0.0001]).is_err());
        assert!(sum(&[1e200]).is_err());
    }
}
