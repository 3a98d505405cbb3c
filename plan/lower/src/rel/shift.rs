//! lag, lead and ntile as window functions of our own, and what can be computed for all partitions of a batch at once: DataFusion makes an
//! evaluator and slices of all columns for each partition, which costs more than the function where partitions are small.

use super::framed::may_refuse_late;
use crate::error::raise;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type};
use datafusion::common::utils::evaluate_partition_ranges;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, ReversedUDWF, Signature, Volatility, WindowFrame, WindowFrameBound, WindowUDF, WindowUDFImpl};
use datafusion::physical_expr::window::{StandardWindowExpr, WindowExpr};
use datafusion::physical_plan::windows::WindowUDFExpr;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// The value so many rows before the current one, or NULL where there is no such row.
pub(super) fn shift_by(rows: i64) -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(Shift { by: By::Rows(rows), signature: Signature::any(1, Volatility::Immutable) }))
}

/// The same with the number of rows as the second argument: before the current one, or behind it.
pub(super) fn shift_by_argument(back: bool) -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(Shift { by: By::Argument { back }, signature: Signature::any(2, Volatility::Immutable) }))
}

/// `ntile`: its argument counts in the first row of the partition where it is not NULL.
pub(super) fn ntile_of_argument() -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(Ntile { signature: Signature::any(1, Volatility::Immutable) }))
}

/// Whether a window function may find out at the last row that it cannot answer; no row may be given out before.
pub fn sees_all_rows_first(window: &dyn WindowExpr) -> bool {
    function(window).is_some_and(may_refuse_late)
}

fn function(window: &dyn WindowExpr) -> Option<&WindowUDF> {
    let standard = window.as_any().downcast_ref::<StandardWindowExpr>()?;
    let udf = standard.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>()?;
    Some(udf.fun())
}

/// A window function over all partitions of a batch, which `ranges` are; `None` where there is no short way.
pub fn over_partitions(window: &dyn WindowExpr, batch: &RecordBatch, ranges: &[Range<usize>]) -> Result<Option<ArrayRef>> {
    let Some(udf) = function(window) else { return Ok(None) };
    if let Some(shift) = udf.inner().as_any().downcast_ref::<Shift>() {
        return shift.over(&window.evaluate_args(batch)?, ranges).map(Some);
    }
    if let Some(end) = end_of_partition(udf.name(), window.get_window_frame()) {
        let values = window.evaluate_args(batch)?;
        let Some(column) = values.first() else { return internal_err!("{} of nothing", udf.name()) };
        let row = |r: &Range<usize>| u32::try_from(if end { r.end - 1 } else { r.start }).ok();
        let rows: UInt32Array = ranges.iter().flat_map(|r| std::iter::repeat_n(row(r), r.len())).collect();
        return Ok(Some(take(column, &rows, None)?));
    }
    let numbers = match udf.name() {
        "row_number" => ranges.iter().flat_map(|r| 1..=r.len() as u64).collect(),
        "rank" => ranks(window, batch, ranges, |_, behind| behind)?,
        "dense_rank" => ranks(window, batch, ranges, |peers, _| peers)?,
        _ => return Ok(None),
    };
    Ok(Some(Arc::new(UInt64Array::from(numbers))))
}

/// Whether a function gives the first value of each partition (`false`) or the last one (`true`), if it does either.
fn end_of_partition(name: &str, frame: &WindowFrame) -> Option<bool> {
    let from_start = matches!(&frame.start_bound, WindowFrameBound::Preceding(n) if n.is_null());
    let to_end = matches!(&frame.end_bound, WindowFrameBound::Following(n) if n.is_null());
    // The frame has the current row in it.
    let reaches = matches!(frame.end_bound, WindowFrameBound::CurrentRow | WindowFrameBound::Following(_));
    let begins = matches!(frame.start_bound, WindowFrameBound::CurrentRow | WindowFrameBound::Preceding(_));
    match name {
        "first_value" if from_start && reaches => Some(false),
        "last_value" if to_end && begins => Some(true),
        _ => None,
    }
}

/// A rank for the rows of each set of peers, by the number of sets up to it, and the number of its first row.
fn ranks(window: &dyn WindowExpr, batch: &RecordBatch, ranges: &[Range<usize>], rank: impl Fn(u64, u64) -> u64) -> Result<Vec<u64>> {
    // Peers over all partitions; each may go on into the next one.
    let peers = evaluate_partition_ranges(batch.num_rows(), &window.order_by_columns(batch)?)?;
    let mut starts = peers.iter().map(|p| p.start).peekable();
    let mut numbers = Vec::with_capacity(batch.num_rows());
    for range in ranges {
        let (mut sets, mut current) = (0, 0);
        for row in range.clone() {
            let begins = starts.next_if(|s| *s <= row).is_some();
            if begins || row == range.start {
                sets += 1;
                current = rank(sets, (row - range.start) as u64 + 1);
            }
            numbers.push(current);
        }
    }
    Ok(numbers)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum By {
    Rows(i64),
    Argument { back: bool },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Shift {
    by: By,
    signature: Signature,
}

impl Shift {
    fn over(&self, values: &[ArrayRef], ranges: &[Range<usize>]) -> Result<ArrayRef> {
        let Some(column) = values.first() else { return internal_err!("pg_shift of nothing") };
        let mut rows: Vec<Option<u32>> = Vec::with_capacity(column.len());
        let there = |row: usize, back: i64, range: &Range<usize>| {
            let place = i64::try_from(row).ok()?.checked_sub(back)?;
            usize::try_from(place).ok().filter(|p| range.contains(p)).and_then(|p| u32::try_from(p).ok())
        };
        match self.by {
            By::Rows(back) => {
                for range in ranges {
                    rows.extend(range.clone().map(|row| there(row, back, range)));
                }
            }
            By::Argument { back } => {
                let Some(by) = values.get(1).and_then(|a| a.as_primitive_opt::<Int32Type>()) else { return internal_err!("pg_shift by nothing") };
                for range in ranges {
                    rows.extend(range.clone().map(|row| {
                        let by = by.is_valid(row).then(|| i64::from(by.value(row)))?;
                        there(row, if back { by } else { -by }, range)
                    }));
                }
            }
        }
        Ok(take(column, &UInt32Array::from(rows), None)?)
    }
}

impl WindowUDFImpl for Shift {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "pg_shift"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(self.clone()))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let Some(first) = args.input_fields().first() else { return internal_err!("pg_shift of nothing") };
        Ok(Arc::new(Field::new(args.name(), first.data_type().clone(), true)))
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        ReversedUDWF::Reversed(match self.by {
            By::Rows(rows) => shift_by(-rows),
            By::Argument { back } => shift_by_argument(!back),
        })
    }
}

impl PartitionEvaluator for Shift {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        self.over(values, std::slice::from_ref(&(0..num_rows)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ntile {
    signature: Signature,
}

impl WindowUDFImpl for Ntile {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "pg_ntile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(self.clone()))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int32, true)))
    }
}

impl PartitionEvaluator for Ntile {
    /// Source: `window_ntile` in `windowfuncs.c`, which counts from the row where it learns the number of buckets, over as many rows as
    /// the whole partition has.
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let Some(buckets) = values.first().and_then(|a| a.as_primitive_opt::<Int32Type>()) else { return internal_err!("pg_ntile of no number") };
        let Some(first) = (0..num_rows).find(|row| buckets.is_valid(*row)) else { return Ok(Arc::new(Int32Array::new_null(num_rows))) };
        let Some(n) = usize::try_from(buckets.value(first)).ok().filter(|n| *n > 0) else {
            return Err(raise("22014", "argument of ntile must be greater than zero"));
        };
        let (small, larger) = (num_rows / n, num_rows % n);
        let in_larger = larger * (small + 1);
        let bucket = |row: usize| if row < in_larger { row / (small + 1) } else { (row - in_larger) / small.max(1) + larger };
        Ok(Arc::new((0..num_rows).map(|row| Some(i32::try_from(bucket(row.checked_sub(first)?)).ok()?.saturating_add(1))).collect::<Int32Array>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_begin_anew_with_each_partition() {
        let shift = Shift { by: By::Rows(1), signature: Signature::any(1, Volatility::Immutable) };
        let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
        let shifted = shift.over(&[values], &[0..3, 3..4]).unwrap();
        assert_eq!(shifted.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [None, Some(1), Some(2), None]);
    }

    #[test]
    fn ntile_counts_from_the_first_number_it_gets() {
        let mut ntile = Ntile { signature: Signature::any(1, Volatility::Immutable) };
        let values: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(2), Some(7), Some(1), None]));
        let found = ntile.evaluate_all(&[values], 5).unwrap();
        assert_eq!(found.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [None, Some(1), Some(1), Some(1), Some(2)]);
    }
}
