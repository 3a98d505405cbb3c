//! The aggregate that collects all rows of a group, sorts them, and hands them to a function.
//!
//! It sorts by itself, so it needs no ordered input and computes in parallel. NaNs are made one, as they are equal in Postgres;
//! in sort keys both zeros are.

use crate::error::refused;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::{SortOptions, concat, filter, take};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Computes the groups' results: the sorted argument columns, and where each group begins and ends (one more than groups).
pub(super) type Finish = Arc<dyn Fn(&[ArrayRef], &[usize]) -> Result<ArrayRef> + Send + Sync>;

/// What to collect. Two aggregates are equal if all but `finish` is; whatever that captures must be part of `key`.
#[derive(Clone)]
pub(super) struct Spec {
    pub name: &'static str,
    pub key: String,
    pub result: DataType,
    /// The first columns are arguments of `finish`; further ones are sort keys only.
    pub args: usize,
    /// Columns to sort by, in order.
    pub sort: Vec<(usize, SortOptions)>,
    /// Rows whose first column is NULL do not count.
    pub skip_nulls: bool,
    /// Of rows with equal arguments one counts; the arguments must be among the sort keys.
    pub distinct: bool,
    /// Rows that agree in this many sort keys, but not in their arguments, are refused.
    pub decided_by: Option<usize>,
    pub finish: Finish,
}

impl Spec {
    fn identity(&self) -> impl PartialEq + Hash + std::fmt::Debug + '_ {
        let sort: Vec<_> = self.sort.iter().map(|(c, o)| (*c, o.descending, o.nulls_first)).collect();
        (self.name, &self.key, &self.result, self.args, sort, self.skip_nulls, self.distinct, self.decided_by)
    }

    pub(super) fn udaf(self, arity: usize) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Collect { spec: self, signature: Signature::any(arity, Volatility::Immutable) }))
    }
}

struct Collect {
    spec: Spec,
    signature: Signature,
}

/// Whether an aggregate collects rows; rows whose first column is NULL do not count for it if that is said.
pub(crate) fn collects(udf: &AggregateUDF) -> Option<bool> {
    udf.inner().as_any().downcast_ref::<Collect>().map(|c| c.spec.skip_nulls)
}

/// The results of an aggregate that collects, over rows that are in their order already: `bounds` are where each result's rows begin, and
/// where the last one's end.
pub(crate) fn finished(udf: &AggregateUDF, columns: &[ArrayRef], bounds: &[usize]) -> Result<ArrayRef> {
    match udf.inner().as_any().downcast_ref::<Collect>() {
        Some(c) => (c.spec.finish)(columns, bounds),
        None => Err(refused(format!("{} over frames of rows", udf.name()))),
    }
}

impl std::fmt::Debug for Collect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.spec.identity())
    }
}

impl PartialEq for Collect {
    fn eq(&self, other: &Self) -> bool {
        self.spec.identity() == other.spec.identity() && self.signature == other.signature
    }
}

impl Eq for Collect {}

impl Hash for Collect {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.identity().hash(state);
    }
}

impl Collect {
    fn groups(&self, args: &AccumulatorArgs<'_>) -> Groups {
        let types = args.expr_fields.iter().map(|f| f.data_type().clone()).collect();
        Groups { spec: self.spec.clone(), types, batches: Vec::new(), groups: Vec::new(), total: 0, bytes: 0 }
    }
}

fn list_field(of: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(of.clone(), true))
}

impl AggregateUDFImpl for Collect {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn name(&self) -> &str {
        self.spec.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.spec.result.clone())
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |(i, f): (usize, &FieldRef)| Arc::new(Field::new(format!("{}_{i}", args.name), DataType::List(list_field(f.data_type())), true));
        Ok(args.input_fields.iter().enumerate().map(field).collect())
    }
    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One(self.groups(&args))))
    }
    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }
    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)))
    }
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The rows of all groups, as they came.
struct Groups {
    spec: Spec,
    types: Vec<DataType>,
    batches: Vec<Vec<ArrayRef>>,
    /// The group of each row, over all batches.
    groups: Vec<usize>,
    total: usize,
    /// What the batches take.
    bytes: usize,
}

/// The collected rows, group by group: columns, and where each group begins and ends.
struct Grouped {
    columns: Vec<ArrayRef>,
    bounds: Vec<usize>,
}

impl Groups {
    fn push(&mut self, columns: Vec<ArrayRef>, groups: impl Iterator<Item = usize>) {
        self.groups.extend(groups);
        let columns: Vec<ArrayRef> = columns.iter().map(own_strings).collect();
        self.bytes += columns.iter().map(bytes_of).sum::<usize>();
        self.batches.push(columns);
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        (0..self.types.len())
            .map(|i| {
                let parts: Vec<&dyn Array> = self.batches.iter().filter_map(|b| b.get(i)).map(AsRef::as_ref).collect();
                match (parts.as_slice(), self.types.get(i)) {
                    ([], Some(ty)) => Ok(new_empty_array(ty)),
                    (parts, _) => Ok(concat(parts)?),
                }
            })
            .collect()
    }

    /// Takes out the rows of the groups to emit. `sorted`: in the order of the sort keys within each group.
    fn take_groups(&mut self, emit: EmitTo, sorted: bool) -> Result<Grouped> {
        let columns = self.columns()?;
        let emitted = match emit {
            EmitTo::All => self.total,
            EmitTo::First(n) => n.min(self.total),
        };
        let keys = if sorted { self.sort_keys(&columns)? } else { None };
        let rows = u32::try_from(self.groups.len()).map_err(|_| refused("too many rows for one aggregate"))?;
        let group_of = |row: &u32| self.groups.get(*row as usize).copied().unwrap_or(usize::MAX);
        let mut order: Vec<u32> = (0..rows).filter(|r| group_of(r) < emitted).collect();
        match &keys {
            Some(keys) => order.sort_by(|a, b| group_of(a).cmp(&group_of(b)).then_with(|| keys.row(*a as usize).cmp(&keys.row(*b as usize)))),
            None => order.sort_by_key(group_of),
        }
        let mut bounds = vec![0usize; emitted + 1];
        for row in &order {
            if let Some(n) = bounds.get_mut(group_of(row) + 1) {
                *n += 1;
            }
        }
        let mut sum = 0;
        for b in &mut bounds {
            sum += *b;
            *b = sum;
        }
        let kept: Vec<u32> = (0..rows).filter(|r| group_of(r) >= emitted).collect();
        let kept_groups: Vec<usize> = kept.iter().map(|r| group_of(r) - emitted).collect();
        let order = UInt32Array::from(order);
        let taken = columns.iter().map(|c| Ok(take(c, &order, None)?)).collect::<Result<Vec<_>>>()?;
        self.batches.clear();
        self.bytes = 0;
        self.groups.clear();
        self.total -= emitted;
        if !kept.is_empty() {
            let kept = UInt32Array::from(kept);
            let rest = columns.iter().map(|c| Ok(take(c, &kept, None)?)).collect::<Result<Vec<_>>>()?;
            self.push(rest, kept_groups.into_iter());
        }
        Ok(Grouped { columns: taken, bounds })
    }

    fn sort_keys(&self, columns: &[ArrayRef]) -> Result<Option<Rows>> {
        rows_of(&one_zero_each(columns), &self.spec.sort)
    }

    fn finish(&self, grouped: Grouped) -> Result<ArrayRef> {
        let Grouped { mut columns, mut bounds } = grouped;
        let args: Vec<_> = (0..self.spec.args).map(|i| (i, SortOptions::default())).collect();
        if self.spec.distinct || self.spec.decided_by.is_some() {
            // Of two zeros that are equal to Postgres the signs show.
            let values = rows_of(&columns, &args)?;
            if let Some(n) = self.spec.decided_by {
                let deciding = rows_of(&one_zero_each(&columns), self.spec.sort.get(..n).unwrap_or_default())?;
                for_neighbours(&bounds, |a, b| {
                    let tie = deciding.as_ref().is_none_or(|k| k.row(a) == k.row(b));
                    if tie && values.as_ref().is_some_and(|v| v.row(a) != v.row(b)) {
                        let name = self.spec.name;
                        return Err(refused(if n == 0 {
                            format!("{name} without ORDER BY over different values")
                        } else {
                            format!("{name} over rows whose order is not decided by its ORDER BY")
                        }));
                    }
                    Ok(())
                })?;
            }
            if let (true, Some(values)) = (self.spec.distinct, values) {
                let mut keep = vec![true; columns.first().map_or(0, |c| c.len())];
                for_neighbours(&bounds, |a, b| {
                    if values.row(a) == values.row(b)
                        && let Some(k) = keep.get_mut(b)
                    {
                        *k = false;
                    }
                    Ok(())
                })?;
                let mut kept = 0usize;
                let before: Vec<usize> = std::iter::once(0)
                    .chain(keep.iter().map(|k| {
                        kept += usize::from(*k);
                        kept
                    }))
                    .collect();
                bounds.iter_mut().for_each(|b| *b = before.get(*b).copied().unwrap_or_default());
                let keep = BooleanArray::from(keep);
                columns = columns.iter().map(|c| Ok(filter(c, &keep)?)).collect::<Result<Vec<_>>>()?;
            }
        }
        columns.truncate(self.spec.args);
        (self.spec.finish)(&columns, &bounds)
    }
}

fn for_neighbours(bounds: &[usize], mut f: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
    for group in bounds.windows(2) {
        if let [start, end] = group {
            for row in start + 1..*end {
                f(row - 1, row)?;
            }
        }
    }
    Ok(())
}

/// The rows of some columns in a form that compares as the sort options say; `None` if there are no columns.
fn rows_of(columns: &[ArrayRef], by: &[(usize, SortOptions)]) -> Result<Option<Rows>> {
    if by.is_empty() {
        return Ok(None);
    }
    let mut arrays = Vec::new();
    let mut fields = Vec::new();
    for (i, options) in by {
        let column = columns.get(*i).ok_or_else(|| refused("a sort key that is no column"))?;
        arrays.push(column.clone());
        fields.push(SortField::new_with_options(column.data_type().clone(), *options));
    }
    Ok(Some(RowConverter::new(fields)?.convert_columns(&arrays)?))
}

fn one_zero_each(columns: &[ArrayRef]) -> Vec<ArrayRef> {
    columns.iter().map(one_zero).collect()
}

fn one_zero(array: &ArrayRef) -> ArrayRef {
    // -0 + 0 is 0; everything else stays.
    map_floats(array, |v| v + 0.0, |v| v + 0.0)
}

fn one_nan(array: &ArrayRef) -> ArrayRef {
    map_floats(array, |v| if v.is_nan() { f32::NAN } else { v }, |v| if v.is_nan() { f64::NAN } else { v })
}

fn map_floats(array: &ArrayRef, f4: impl Fn(f32) -> f32, f8: impl Fn(f64) -> f64) -> ArrayRef {
    if let Some(a) = array.as_primitive_opt::<Float64Type>() {
        Arc::new(a.unary::<_, Float64Type>(f8) as Float64Array)
    } else if let Some(a) = array.as_primitive_opt::<Float32Type>() {
        Arc::new(a.unary::<_, Float32Type>(f4) as Float32Array)
    } else {
        array.clone()
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], opt_filter: Option<&BooleanArray>, total_num_groups: usize) -> Result<()> {
        self.total = self.total.max(total_num_groups);
        let skip = if self.spec.skip_nulls { values.first().and_then(|v| v.logical_nulls()) } else { None };
        if opt_filter.is_none() && skip.is_none() {
            self.push(values.iter().map(one_nan).collect(), group_indices.iter().copied());
            return Ok(());
        }
        let wanted = |row: usize| opt_filter.is_none_or(|f| f.is_valid(row) && f.value(row)) && skip.as_ref().is_none_or(|n| n.is_valid(row));
        let keep: BooleanArray = (0..group_indices.len()).map(|r| Some(wanted(r))).collect();
        let columns = values.iter().map(|v| Ok(one_nan(&filter(v, &keep)?))).collect::<Result<Vec<_>>>()?;
        let groups: Vec<usize> = group_indices.iter().enumerate().filter(|(row, _)| keep.value(*row)).map(|(_, g)| *g).collect();
        self.push(columns, groups.into_iter());
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let grouped = self.take_groups(emit_to, true)?;
        self.finish(grouped)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let Grouped { columns, bounds } = self.take_groups(emit_to, false)?;
        columns.iter().map(|c| Ok(Arc::new(lists(&in_few_buffers(c), &bounds)?) as ArrayRef)).collect()
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], opt_filter: Option<&BooleanArray>, total_num_groups: usize) -> Result<()> {
        self.total = self.total.max(total_num_groups);
        let mut columns = Vec::new();
        let mut groups = Vec::new();
        for (i, v) in values.iter().enumerate() {
            let list = v.as_list_opt::<i32>().ok_or_else(|| refused("a collected state that is no list"))?;
            // Taken out together: to put slices together would repeat the buffers of strings for each of them.
            let mut rows: Vec<u32> = Vec::new();
            for ((row, group), span) in group_indices.iter().enumerate().zip(list.value_offsets().windows(2)) {
                if list.is_valid(row)
                    && opt_filter.is_none_or(|f| f.is_valid(row) && f.value(row))
                    && let [start, end] = span
                {
                    let items = start.cast_unsigned()..end.cast_unsigned();
                    if i == 0 {
                        groups.extend(std::iter::repeat_n(*group, items.len()));
                    }
                    rows.extend(items);
                }
            }
            columns.push(take(list.values(), &UInt32Array::from(rows), None)?);
        }
        self.push(columns, groups.into_iter());
        Ok(())
    }

    /// The rows are sorted, and the result made, beside what is here.
    fn size(&self) -> usize {
        2 * self.bytes + self.groups.capacity() * size_of::<usize>()
    }
}

/// Views whose buffers are smaller than this are left alone.
const SMALL_BYTES: usize = 64 << 10;

/// A few strings of a large column would keep all of it in memory.
fn own_strings(column: &ArrayRef) -> ArrayRef {
    let wastes = |buffers: &[Buffer], used: usize| {
        let held: usize = buffers.iter().map(Buffer::len).sum();
        held > SMALL_BYTES && held / 2 > used
    };
    let wastes = match (column.as_string_view_opt(), column.as_binary_view_opt()) {
        (Some(texts), _) => wastes(texts.data_buffers(), texts.total_buffer_bytes_used()),
        (_, Some(bytes)) => wastes(bytes.data_buffers(), bytes.total_buffer_bytes_used()),
        _ => false,
    };
    if wastes { in_few_buffers(column) } else { Arc::clone(column) }
}

/// What the values take, of buffers that several batches share the part that is used here.
fn bytes_of(column: &ArrayRef) -> usize {
    let outside = match (column.as_string_view_opt(), column.as_binary_view_opt()) {
        (Some(texts), _) => texts.total_buffer_bytes_used(),
        (_, Some(bytes)) => bytes.total_buffer_bytes_used(),
        _ => 0,
    };
    outside + column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
}

/// Strings in buffers of their own: each batch of a state would else have all buffers of all rows.
fn in_few_buffers(column: &ArrayRef) -> ArrayRef {
    if let Some(texts) = column.as_string_view_opt() {
        Arc::new(texts.gc())
    } else if let Some(bytes) = column.as_binary_view_opt() {
        Arc::new(bytes.gc())
    } else {
        Arc::clone(column)
    }
}

/// Each group's rows as a list.
pub(super) fn lists(column: &ArrayRef, bounds: &[usize]) -> Result<ListArray> {
    let offsets = bounds.iter().map(|b| i32::try_from(*b).map_err(|_| refused("too many rows for one aggregate"))).collect::<Result<Vec<_>>>()?;
    Ok(ListArray::try_new(list_field(column.data_type()), OffsetBuffer::new(offsets.into()), column.clone(), None)?)
}

/// The aggregate without GROUP BY: one group.
struct One(Groups);

impl std::fmt::Debug for One {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.spec.name)
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |v| v.len());
        GroupsAccumulator::update_batch(&mut self.0, values, &vec![0; rows], None, 1)
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.total = 1;
        ScalarValue::try_from_array(&GroupsAccumulator::evaluate(&mut self.0, EmitTo::All)?, 0)
    }
    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.total = 1;
        GroupsAccumulator::state(&mut self.0, EmitTo::All)?.iter().map(|a| ScalarValue::try_from_array(a, 0)).collect()
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |v| v.len());
        GroupsAccumulator::merge_batch(&mut self.0, states, &vec![0; rows], None, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringViewArray;

    #[test]
    fn a_few_strings_do_not_keep_a_large_column() {
        let all: ArrayRef = Arc::new(StringViewArray::from_iter((0..10_000).map(|i| Some(format!("a string of more than twelve bytes {i}")))));
        let few = filter(&all, &(0..10_000).map(|i| Some(i % 1000 == 0)).collect()).expect("filters");
        let own = own_strings(&few);
        assert_eq!(&own, &few);
        assert!(own.get_array_memory_size() < 10_000 && few.get_array_memory_size() > 300_000);
        assert!(bytes_of(&all) > 10_000 * (16 + 35) && bytes_of(&few) < 1000);
        assert!(Arc::ptr_eq(&own_strings(&all), &all));
    }
}
