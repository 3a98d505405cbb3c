//! min and max where equal values may look different: numerics with different display scales, and zeros of either sign.
//!
//! Postgres returns whichever of the equal values it saw last, in an order that is not ours to know. So the value's look (its
//! *payload*) is aggregated along with it, and two payloads of one extreme value make the query `Refused`.

use super::{arg, column, part};
use crate::agg::{AggArgs, AggLowered, AggPart};
use crate::error::refused;
use crate::func::arith::kernel::{binary, never, unary};
use crate::func::arith::numeric::parts;
use crate::udf;
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int16Array, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Float32Type, Float64Type, Int16Type, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, ReversedUDAF, ScalarFunctionArgs, Signature, Volatility,
};
use std::any::Any;
use std::sync::Arc;

fn builtin(max: bool) -> Arc<AggregateUDF> {
    if max { max_udaf() } else { min_udaf() }
}

/// min and max whose Arrow order and equality are Postgres's.
pub(super) fn plain(args: &AggArgs<'_>, max: bool) -> Result<AggLowered> {
    let v = arg(args)?;
    let (arrow, ty) = (v.arrow.clone(), v.ty);
    Ok(AggLowered {
        // DISTINCT does not change the answer.
        parts: vec![part(builtin(max), v.expr.clone(), false)],
        finish: Box::new(move |columns| Ok(Value::new(column(&columns, 0)?, arrow, ty))),
    })
}

pub(super) fn numeric(args: &AggArgs<'_>, max: bool) -> Result<AggLowered> {
    let v = arg(args)?;
    parts(&v.arrow)?;
    let (arrow, ty) = (v.arrow.clone(), args.ty);
    let mut parts = vec![part(builtin(max), v.expr.clone(), false)];
    let fixed = match v.dscale.clone() {
        Some(DScale::Static(s)) => Some(s),
        Some(DScale::Dynamic(scale)) => {
            parts.push(payload(max, v.expr.clone(), scale));
            None
        }
        None => return Err(refused("a numeric without display scale")),
    };
    Ok(AggLowered {
        parts,
        finish: Box::new(move |columns| {
            let dscale = match fixed {
                Some(s) => DScale::Static(s),
                None => DScale::Dynamic(column(&columns, 1)?),
            };
            Ok(Value::numeric(column(&columns, 0)?, arrow, ty, dscale))
        }),
    })
}

/// Floats as integers of the same order; both zeros are one, and so are all NaN, which come last.
pub(super) fn float(args: &AggArgs<'_>, max: bool) -> Result<AggLowered> {
    let v = arg(args)?;
    let (arrow, ty) = (v.arrow.clone(), v.ty);
    let wide = v.cast_to(&DataType::Float64);
    let key = Arc::new(|a: &ScalarFunctionArgs| {
        unary::<Float64Type, Int64Type>(
            a,
            &DataType::Int64,
            |v| {
                let bits = (if v.is_nan() { f64::NAN.abs() } else { v + 0.0 }).to_bits() as i64;
                (if bits < 0 { bits ^ i64::MAX } else { bits }, false)
            },
            never,
        )
    });
    let sign = Arc::new(|a: &ScalarFunctionArgs| {
        unary::<Float64Type, Int16Type>(a, &DataType::Int16, |v| (i16::from(v == 0.0 && v.is_sign_negative()), false), never)
    });
    let key = udf::call("pg_float_key", "", DataType::Int64, vec![wide.clone()], key);
    let sign = udf::call("pg_float_negative_zero", "", DataType::Int16, vec![wide], sign);
    Ok(AggLowered {
        parts: vec![part(builtin(max), key.clone(), false), payload(max, key, sign)],
        finish: Box::new(move |columns| {
            let args = vec![column(&columns, 0)?, column(&columns, 1)?];
            let single = arrow == DataType::Float32;
            let ty_ = arrow.clone();
            let kernel = Arc::new(move |a: &ScalarFunctionArgs| {
                if single {
                    binary::<Int64Type, Int16Type, Float32Type>(a, &ty_, |k, s| (from_key(k, s) as f32, false), |_, _| never(()))
                } else {
                    binary::<Int64Type, Int16Type, Float64Type>(a, &ty_, |k, s| (from_key(k, s), false), |_, _| never(()))
                }
            });
            Ok(Value::new(udf::call("pg_float_from_key", "", arrow.clone(), args, kernel), arrow, ty))
        }),
    })
}

fn from_key(key: i64, negative_zero: i16) -> f64 {
    let v = f64::from_bits((if key < 0 { key ^ i64::MAX } else { key }) as u64);
    if negative_zero == 1 { -0.0 } else { v }
}

fn payload(max: bool, key: Expr, payload: Expr) -> AggPart {
    let udf = Arc::new(AggregateUDF::new_from_impl(Payload { max, signature: Signature::any(2, Volatility::Immutable) }));
    AggPart { udf, args: vec![key, payload], order_by: vec![], distinct: false }
}

/// The payload that goes with the extreme key.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Payload {
    max: bool,
    signature: Signature,
}

macro_rules! dispatch {
    ($args:expr, $make:ident) => {
        match $args.expr_fields.first().map(|f| f.data_type().clone()) {
            Some(DataType::Int64) => $make!(Int64Type),
            Some(DataType::Decimal128(..)) => $make!(Decimal128Type),
            Some(DataType::Decimal256(..)) => $make!(Decimal256Type),
            other => internal_err!("pg_extreme_payload over {other:?}"),
        }
    };
}

impl AggregateUDFImpl for Payload {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        if self.max { "pg_max_payload" } else { "pg_min_payload" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int16)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        macro_rules! make {
            ($t:ty) => {
                Ok(Box::new(Groups::<$t>::new(self.max, args.expr_fields)) as Box<dyn Accumulator>)
            };
        }
        dispatch!(args, make)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(key) = args.input_fields.first() else { return internal_err!("pg_extreme_payload without key") };
        Ok(vec![
            Arc::new(Field::new(format_state_name(args.name, "key"), key.data_type().clone(), true)),
            Arc::new(Field::new(format_state_name(args.name, "payload"), DataType::Int16, true)),
            Arc::new(Field::new(format_state_name(args.name, "ambiguous"), DataType::Boolean, true)),
        ])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        macro_rules! make {
            ($t:ty) => {
                Ok(Box::new(Groups::<$t>::new(self.max, args.expr_fields)) as Box<dyn GroupsAccumulator>)
            };
        }
        dispatch!(args, make)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug, Clone, Copy)]
struct Best<N> {
    key: N,
    payload: i16,
    ambiguous: bool,
}

/// The best of each group; as a plain accumulator there is one group.
#[derive(Debug)]
struct Groups<T: ArrowPrimitiveType> {
    best: Vec<Option<Best<T::Native>>>,
    max: bool,
    key: DataType,
}

fn three<T: ArrowPrimitiveType>(arrays: &[ArrayRef]) -> Result<(&PrimitiveArray<T>, &Int16Array, Option<&BooleanArray>)> {
    let keys = arrays.first().and_then(|a| a.as_primitive_opt::<T>());
    let payloads = arrays.get(1).and_then(|a| a.as_primitive_opt::<Int16Type>());
    match (keys, payloads) {
        (Some(k), Some(p)) => Ok((k, p, arrays.get(2).and_then(|a| a.as_boolean_opt()))),
        _ => internal_err!("pg_extreme_payload was given other types"),
    }
}

impl<T: ArrowPrimitiveType<Native: Ord>> Groups<T> {
    fn new(max: bool, fields: &[FieldRef]) -> Self {
        Self { best: vec![], max, key: fields.first().map_or(T::DATA_TYPE, |f| f.data_type().clone()) }
    }

    fn add(&mut self, arrays: &[ArrayRef], group: impl Fn(usize) -> usize, filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        let (keys, payloads, ambiguous) = three::<T>(arrays)?;
        self.best.resize(total, None);
        for row in 0..keys.len() {
            if keys.is_null(row) || filter.is_some_and(|f| !(f.is_valid(row) && f.value(row))) {
                continue;
            }
            let new = Best { key: keys.value(row), payload: payloads.value(row), ambiguous: ambiguous.is_some_and(|a| a.value(row)) };
            let Some(best) = self.best.get_mut(group(row)) else { continue };
            match best {
                None => *best = Some(new),
                Some(old) if old.key == new.key => old.ambiguous |= new.ambiguous || old.payload != new.payload,
                Some(old) if (new.key > old.key) == self.max => *best = Some(new),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn result(best: Option<Best<T::Native>>) -> Result<Option<i16>> {
        match best {
            Some(b) if b.ambiguous => Err(refused("min or max of equal values that are written differently")),
            other => Ok(other.map(|b| b.payload)),
        }
    }

    fn states(&self, best: Vec<Option<Best<T::Native>>>) -> Vec<ArrayRef> {
        let keys: PrimitiveArray<T> = best.iter().map(|b| b.map(|b| b.key)).collect();
        let payloads: Int16Array = best.iter().map(|b| b.map(|b| b.payload)).collect();
        let ambiguous: BooleanArray = best.iter().map(|b| b.map(|b| b.ambiguous)).collect();
        vec![Arc::new(keys.with_data_type(self.key.clone())), Arc::new(payloads), Arc::new(ambiguous)]
    }
}

impl<T: ArrowPrimitiveType<Native: Ord>> GroupsAccumulator for Groups<T> {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.add(values, |row| groups.get(row).copied().unwrap_or(usize::MAX), filter, total)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        GroupsAccumulator::update_batch(self, values, groups, filter, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let results = emit.take_needed(&mut self.best).into_iter().map(Self::result).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Int16Array::from(results)))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let best = emit.take_needed(&mut self.best);
        Ok(self.states(best))
    }

    fn size(&self) -> usize {
        self.best.capacity() * size_of::<Option<Best<T::Native>>>()
    }
}

impl<T: ArrowPrimitiveType<Native: Ord> + std::fmt::Debug> Accumulator for Groups<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, |_| 0, None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.add(states, |_| 0, None, 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let best = self.best.first().copied().unwrap_or_default();
        self.states(vec![best]).iter().map(|a| ScalarValue::try_from_array(a, 0)).collect()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int16(Self::result(self.best.first().copied().unwrap_or_default())?))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
