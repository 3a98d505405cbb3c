//! `count(DISTINCT x)`: DataFusion's count, with small sets of values for all groups.
//!
//! DataFusion's own makes an accumulator for each group, which for texts takes kilobytes even where a group has one value, and says less
//! of it than there is. It is kept for what it does well: texts and numbers without groups, and what is left of a count when an optimizer
//! rule has made its DISTINCT a GROUP BY. Hence the name, by which such rules know a count.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs,
};
use set::{Form, Set};
use std::any::Any;
use std::sync::Arc;

mod set;
#[cfg(test)]
mod tests;

/// The count of values, or of different ones: equal where their Arrow form is.
pub(super) fn count_of(distinct: bool) -> Arc<AggregateUDF> {
    let count = count_udaf();
    if !distinct {
        return count;
    }
    let signature = count.signature().clone();
    Arc::new(AggregateUDF::new_from_impl(Count { count, signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Count {
    count: Arc<AggregateUDF>,
    signature: Signature,
}

/// The type of the values to be told apart, and how they are.
fn form(args: &AccumulatorArgs<'_>) -> Option<(DataType, Form)> {
    let [field] = args.expr_fields else { return None };
    if !args.is_distinct {
        return None;
    }
    Some((field.data_type().clone(), Form::of(field.data_type())?))
}

impl AggregateUDFImpl for Count {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn name(&self) -> &str {
        self.count.name()
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.count.return_type(args)
    }
    fn is_nullable(&self) -> bool {
        self.count.is_nullable()
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.count.state_fields(args)
    }
    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match form(&args) {
            // For these DataFusion has but a set of scalars.
            Some((ty, form @ Form::Rows(_))) => Ok(Box::new(One(Groups::new(ty, form)))),
            _ => self.count.accumulator(args),
        }
    }
    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        form(&args).is_some() || self.count.groups_accumulator_supported(args)
    }
    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match form(&args) {
            Some((ty, form)) => Ok(Box::new(Groups::new(ty, form))),
            None => self.count.create_groups_accumulator(args),
        }
    }
    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.count.create_sliding_accumulator(args)
    }
    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        self.count.default_value(ty)
    }
    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.count.value_from_stats(args)
    }
    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        self.count.inner().set_monotonicity(ty)
    }
}

struct Groups {
    ty: DataType,
    set: Set,
}

/// Whether a row counts.
fn wanted(opt_filter: Option<&BooleanArray>, row: usize) -> bool {
    opt_filter.is_none_or(|f| f.is_valid(row) && f.value(row))
}

impl Groups {
    fn new(ty: DataType, form: Form) -> Self {
        Self { ty, set: Set::new(form) }
    }

    /// What has been counted of each group, as one list each.
    fn lists(&self, values: ArrayRef, bounds: Vec<usize>) -> Result<ListArray> {
        let Ok(offsets) = bounds.into_iter().map(i32::try_from).collect::<std::result::Result<Vec<_>, _>>() else {
            return Err(crate::error::refused("too many different values for one count"));
        };
        Ok(ListArray::try_new(Arc::new(Field::new_list_field(self.ty.clone(), true)), OffsetBuffer::new(offsets.into()), values, None)?)
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], opt_filter: Option<&BooleanArray>, total_num_groups: usize) -> Result<()> {
        let [values] = values else { return internal_err!("a count of {} columns", values.len()) };
        self.set.grow(total_num_groups);
        let rows = group_indices.iter().enumerate().filter(|(row, _)| wanted(opt_filter, *row));
        self.set.add(values, rows.map(|(row, group)| (row, *group)))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let n = self.set.emitted(emit_to);
        let counts = Int64Array::from_iter_values(self.set.counts(n).map(|n| n as i64));
        self.set.forget(n);
        Ok(Arc::new(counts))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let n = self.set.emitted(emit_to);
        let (values, bounds) = self.set.values(&self.ty, n)?;
        self.set.forget(n);
        Ok(vec![Arc::new(self.lists(values, bounds)?)])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], opt_filter: Option<&BooleanArray>, total_num_groups: usize) -> Result<()> {
        let Some(list) = values.first().and_then(|v| v.as_list_opt::<i32>()) else { return internal_err!("a state of a count that is no list") };
        self.set.grow(total_num_groups);
        // The list may be a slice of a longer one, whose values are not to be looked at.
        let (Some(first), Some(last)) = (list.value_offsets().first(), list.value_offsets().last()) else { return Ok(()) };
        let (first, last) = (first.cast_unsigned() as usize, last.cast_unsigned() as usize);
        let spans = group_indices.iter().enumerate().zip(list.value_offsets().windows(2));
        let rows = spans.filter(|((row, _), _)| list.is_valid(*row) && wanted(opt_filter, *row)).flat_map(|((_, group), span)| {
            let (start, end) = match span {
                [start, end] => (start.cast_unsigned() as usize, end.cast_unsigned() as usize),
                _ => (first, first),
            };
            (start..end).map(|item| (item - first, *group))
        });
        self.set.add(&list.values().slice(first, last - first), rows)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let [values] = values else { return internal_err!("a count of {} columns", values.len()) };
        let nulls = values.logical_nulls();
        let keep: BooleanArray = (0..values.len()).map(|row| Some(wanted(opt_filter, row) && nulls.as_ref().is_none_or(|n| n.is_valid(row)))).collect();
        let mut kept = 0;
        let bounds = std::iter::once(0).chain(keep.values().iter().map(|k| {
            kept += usize::from(k);
            kept
        }));
        let bounds = bounds.collect();
        Ok(vec![Arc::new(self.lists(filter(values, &keep)?, bounds)?)])
    }

    fn supports_convert_to_state(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        self.set.size()
    }
}

/// The count without GROUP BY: one group.
struct One(Groups);

impl std::fmt::Debug for One {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "count(DISTINCT {})", self.0.ty)
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |v| v.len());
        GroupsAccumulator::update_batch(&mut self.0, values, &vec![0; rows], None, 1)
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.set.grow(1);
        ScalarValue::try_from_array(&GroupsAccumulator::evaluate(&mut self.0, EmitTo::All)?, 0)
    }
    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.set.grow(1);
        GroupsAccumulator::state(&mut self.0, EmitTo::All)?.iter().map(|a| ScalarValue::try_from_array(a, 0)).collect()
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |v| v.len());
        GroupsAccumulator::merge_batch(&mut self.0, states, &vec![0; rows], None, 1)
    }
}
