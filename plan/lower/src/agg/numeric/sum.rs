//! Exact sums of integers and decimals.
//!
//! Invariants:
//! - A sum never wraps: one that leaves its native type, or the precision of its result, is an error when it is evaluated.
//! - Sums over sliding frames retract exactly, as the arithmetic is exact.

use crate::error::raise;
use crate::func::arith::numeric::{parts, pow10, too_large};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, PrimitiveArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Int64Type, i256};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility};
use std::any::Any;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// The sum with the given result type: Int64 over Int64, or a decimal over Int64 or a decimal of the same width and scale.
pub(in crate::agg) fn sum_udaf(result: &DataType) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Sum { result: result.clone(), signature: Signature::any(1, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    result: DataType,
    signature: Signature,
}

/// A type that sums are made in.
trait Total: ArrowPrimitiveType<Native: Eq + Hash> + Send + Sync + std::fmt::Debug {
    /// Whether the sums are within the result type.
    fn fit(sums: &[Self::Native], result: &DataType) -> Result<()>;
}

impl Total for Int64Type {
    fn fit(_: &[i64], _: &DataType) -> Result<()> {
        Ok(())
    }
}

impl Total for Decimal128Type {
    fn fit(sums: &[i128], result: &DataType) -> Result<()> {
        let (p, _) = parts(result)?;
        // 10^38 is the largest power below 2^127.
        let Some(bound) = 10u128.checked_pow(p as u32) else { return Ok(()) };
        if sums.iter().all(|v| v.unsigned_abs() < bound) { Ok(()) } else { Err(too_large()) }
    }
}

impl Total for Decimal256Type {
    fn fit(sums: &[i256], result: &DataType) -> Result<()> {
        let (p, _) = parts(result)?;
        let bound = pow10(p as u32);
        if sums.iter().all(|v| v.wrapping_abs() < bound) { Ok(()) } else { Err(too_large()) }
    }
}

/// A type that can be added to sums of `O`.
trait Summand<O: Total>: ArrowPrimitiveType + Send + Sync + std::fmt::Debug {
    fn widen(v: Self::Native) -> O::Native;
}

impl<T: Total> Summand<T> for T {
    #[inline]
    fn widen(v: T::Native) -> T::Native {
        v
    }
}

impl Summand<Decimal128Type> for Int64Type {
    #[inline]
    fn widen(v: i64) -> i128 {
        i128::from(v)
    }
}

fn overflow(result: &DataType) -> datafusion::common::DataFusionError {
    if result == &DataType::Int64 { raise("22003", "bigint out of range") } else { too_large() }
}

fn primitive<T: ArrowPrimitiveType>(arrays: &[ArrayRef]) -> Result<&PrimitiveArray<T>> {
    match arrays.first().and_then(|a| a.as_primitive_opt::<T>()) {
        Some(a) => Ok(a),
        None => internal_err!("pg_sum was given {:?}", arrays.first().map(|a| a.data_type().clone())),
    }
}

macro_rules! dispatch {
    ($args:expr, $make:ident) => {{
        let input = $args.expr_fields.first().map(|f| f.data_type().clone());
        match ($args.return_field.data_type(), input) {
            (DataType::Int64, Some(DataType::Int64)) => $make!(Int64Type, Int64Type),
            (DataType::Decimal128(..), Some(DataType::Int64)) => $make!(Int64Type, Decimal128Type),
            (DataType::Decimal128(..), Some(DataType::Decimal128(..))) => $make!(Decimal128Type, Decimal128Type),
            (DataType::Decimal256(..), Some(DataType::Decimal256(..))) => $make!(Decimal256Type, Decimal256Type),
            (result, input) => internal_err!("pg_sum of {input:?} as {result}"),
        }
    }};
}

impl AggregateUDFImpl for Sum {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "pg_sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.clone())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let result = self.result.clone();
        macro_rules! make {
            ($i:ty, $o:ty) => {
                if args.is_distinct {
                    Ok(Box::new(Distinct::<$i, $o>::new(result)) as Box<dyn Accumulator>)
                } else {
                    Ok(Box::new(One::<$i, $o>::new(result)) as Box<dyn Accumulator>)
                }
            };
        }
        dispatch!(args, make)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let result = args.return_type().clone();
        Ok(vec![Arc::new(if args.is_distinct {
            Field::new_list(format_state_name(args.name, "sum distinct"), Field::new_list_field(result, true), true)
        } else {
            Field::new(format_state_name(args.name, "sum"), result, true)
        })])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let result = self.result.clone();
        macro_rules! make {
            ($i:ty, $o:ty) => {
                Ok(Box::new(Groups::<$i, $o>::new(result)) as Box<dyn GroupsAccumulator>)
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

/// One sum.
#[derive(Debug)]
struct One<I: Summand<O>, O: Total> {
    sum: O::Native,
    /// How many values are in the sum; none makes it NULL.
    count: u64,
    overflow: bool,
    result: DataType,
    input: std::marker::PhantomData<I>,
}

impl<I: Summand<O>, O: Total> One<I, O> {
    fn new(result: DataType) -> Self {
        Self { sum: O::Native::ZERO, count: 0, overflow: false, result, input: std::marker::PhantomData }
    }

    fn add(&mut self, v: O::Native) {
        match self.sum.add_checked(v) {
            Ok(sum) => self.sum = sum,
            Err(_) => self.overflow = true,
        }
    }

    fn add_array<A: Summand<O>>(&mut self, values: &PrimitiveArray<A>) {
        self.count += (values.len() - values.null_count()) as u64;
        if values.null_count() == 0 {
            for v in values.values() {
                self.add(A::widen(*v));
            }
        } else {
            for v in values.iter().flatten() {
                self.add(A::widen(v));
            }
        }
    }
}

impl<I: Summand<O>, O: Total> Accumulator for One<I, O> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add_array(primitive::<I>(values)?);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = primitive::<I>(values)?;
        for v in values.iter().flatten() {
            self.count = self.count.saturating_sub(1);
            match self.sum.sub_checked(I::widen(v)) {
                Ok(sum) => self.sum = sum,
                Err(_) => self.overflow = true,
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.add_array(primitive::<O>(states)?);
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.overflow {
            return Err(overflow(&self.result));
        }
        if self.count == 0 {
            return ScalarValue::try_from(&self.result);
        }
        O::fit(&[self.sum], &self.result)?;
        ScalarValue::new_primitive::<O>(Some(self.sum), &self.result)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of different values.
#[derive(Debug)]
struct Distinct<I: Summand<O>, O: Total> {
    values: HashSet<O::Native>,
    result: DataType,
    input: std::marker::PhantomData<I>,
}

impl<I: Summand<O>, O: Total> Distinct<I, O> {
    fn new(result: DataType) -> Self {
        Self { values: HashSet::new(), result, input: std::marker::PhantomData }
    }
}

impl<I: Summand<O>, O: Total> Accumulator for Distinct<I, O> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.extend(primitive::<I>(values)?.iter().flatten().map(I::widen));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|s| s.as_list_opt::<i32>()) else { return internal_err!("state of pg_sum(DISTINCT) is not a list") };
        for list in lists.iter().flatten() {
            self.values.extend(primitive::<O>(&[list])?.iter().flatten());
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<O::Native> = self.values.iter().copied().collect();
        let array = PrimitiveArray::<O>::try_new(values.into(), None)?.with_data_type(self.result.clone());
        let list =
            ListArray::try_new(Arc::new(Field::new_list_field(self.result.clone(), true)), OffsetBuffer::from_lengths([array.len()]), Arc::new(array), None)?;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut total = One::<I, O>::new(self.result.clone());
        total.count = self.values.len() as u64;
        for v in &self.values {
            total.add(*v);
        }
        total.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * (size_of::<O::Native>() + 1)
    }
}

/// A sum per group.
#[derive(Debug)]
struct Groups<I: Summand<O>, O: Total> {
    sums: Vec<O::Native>,
    seen: Vec<bool>,
    overflow: bool,
    result: DataType,
    input: std::marker::PhantomData<I>,
}

impl<I: Summand<O>, O: Total> Groups<I, O> {
    fn new(result: DataType) -> Self {
        Self { sums: vec![], seen: vec![], overflow: false, result, input: std::marker::PhantomData }
    }

    fn add<A: Summand<O>>(&mut self, values: &PrimitiveArray<A>, groups: &[usize], filter: Option<&BooleanArray>, total: usize) {
        self.sums.resize(total, O::Native::ZERO);
        self.seen.resize(total, false);
        let Self { sums, seen, overflow, .. } = self;
        let mut one = |group: usize, v: A::Native| {
            if let (Some(sum), Some(seen)) = (sums.get_mut(group), seen.get_mut(group)) {
                *seen = true;
                match sum.add_checked(A::widen(v)) {
                    Ok(v) => *sum = v,
                    Err(_) => *overflow = true,
                }
            }
        };
        let wanted = wanted(values, filter);
        match wanted {
            None => groups.iter().zip(values.values()).for_each(|(&g, &v)| one(g, v)),
            Some(wanted) => groups.iter().zip(values.values()).zip(wanted.iter()).for_each(|((&g, &v), wanted)| {
                if wanted {
                    one(g, v);
                }
            }),
        }
    }
}

/// The rows that are not NULL and pass the filter; `None` for all rows.
fn wanted<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, filter: Option<&BooleanArray>) -> Option<NullBuffer> {
    let passed = filter.map(|f| match f.nulls() {
        Some(nulls) => NullBuffer::new(f.values() & nulls.inner()),
        None => NullBuffer::new(f.values().clone()),
    });
    let nulls = values.nulls().filter(|n| n.null_count() > 0);
    NullBuffer::union(nulls, passed.as_ref())
}

impl<I: Summand<O>, O: Total> GroupsAccumulator for Groups<I, O> {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.add(primitive::<I>(values)?, groups, filter, total);
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.add(primitive::<O>(values)?, groups, filter, total);
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        if self.overflow {
            return Err(overflow(&self.result));
        }
        let sums = emit.take_needed(&mut self.sums);
        let seen = emit.take_needed(&mut self.seen);
        O::fit(&sums, &self.result)?;
        let nulls = Some(NullBuffer::from(seen)).filter(|n| n.null_count() > 0);
        Ok(Arc::new(PrimitiveArray::<O>::try_new(sums.into(), nulls)?.with_data_type(self.result.clone())))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = primitive::<I>(values)?;
        let nulls = wanted(values, filter);
        let widened: Vec<O::Native> = values.values().iter().map(|v| I::widen(*v)).collect();
        Ok(vec![Arc::new(PrimitiveArray::<O>::try_new(widened.into(), nulls)?.with_data_type(self.result.clone()))])
    }

    fn supports_convert_to_state(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<O::Native>() + self.seen.capacity()
    }
}
