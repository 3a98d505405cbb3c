//! Aggregates, first_value, last_value and nth_value over frames that DataFusion has not got, or not for every aggregate.
//!
//! A window function of our own gets, besides its arguments, the keys of the window's ORDER BY, and works out the frame of each row as
//! `nodeWindowAgg.c` does: RANGE with offsets (by pointers that only move forward), GROUPS, EXCLUDE, and sliding frames of aggregates
//! that cannot take a row back.
//!
//! Invariant: a frame is a list of spans of rows of the partition, in order; rows that are excluded are in none.

use super::floats::FloatSum;
use crate::agg::adds_exactly;
use crate::error::{raise, refused};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, filter, partition, prep_null_mask_filter, take};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int32Type, Int64Type, Schema};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use weir_plan::ir::{Exclude, FrameUnits};

/// More rows than this are not fed to accumulators for one partition: what Postgres would do then is no slower.
const MAX_WORK: u64 = 1 << 31;

/// More rows than this are not put into arrays of one partition.
const MAX_COLLECTED: usize = 1 << 26;

/// One end of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Edge {
    UnboundedPreceding,
    Preceding(u64),
    CurrentRow,
    Following(u64),
    UnboundedFollowing,
    /// RANGE over integers: the key of the bound is that of the current row and this.
    Plus(i128),
    /// RANGE over floats: the same, by the bits of the number.
    PlusFloat(u64),
    /// RANGE over other types: the key of the bound is a column.
    Key,
}

impl Edge {
    fn is_range(self) -> bool {
        matches!(self, Edge::Plus(_) | Edge::PlusFloat(_) | Edge::Key)
    }
}

/// A frame, and where among the arguments its columns are: those of the function, the ORDER BY keys, and for RANGE with offsets the
/// compared key and the keys of the bounds that are [`Edge::Key`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Spec {
    pub units: FrameUnits,
    pub start: Edge,
    pub end: Edge,
    pub exclude: Exclude,
    pub order_keys: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Inner {
    Aggregate(Arc<AggregateUDF>),
    /// An aggregate whose result is the order of its rows ([`crate::agg::collects`]).
    Collect(Arc<AggregateUDF>),
    Floats(FloatSum),
    First,
    Last,
    Nth(u64),
    /// The second argument says which.
    NthOfArgument,
}

impl Inner {
    /// Whether the order of rows that ORDER BY takes for equal shows in the result.
    fn shows_order(&self) -> bool {
        matches!(self, Inner::Collect(_) | Inner::Floats(_))
    }
}

/// Whether a window function has to see all rows before it is known whether it can answer at all.
pub(super) fn may_refuse_late(udf: &WindowUDF) -> bool {
    udf.inner().as_any().downcast_ref::<Framed>().is_some_and(|f| f.inner.shows_order())
}

/// The window function for `inner` with that many arguments, over the frame; the last of them is a condition if it is `filtered`. Its
/// further arguments are those of [`Spec`].
pub(super) fn framed(inner: Inner, inner_args: usize, filtered: bool, spec: Spec) -> Arc<WindowUDF> {
    let keyed = [spec.start, spec.end].into_iter().filter(|e| *e == Edge::Key).count();
    let range = usize::from(spec.start.is_range() || spec.end.is_range());
    let arity = inner_args + spec.order_keys + range + keyed;
    let signature = if arity == 0 { Signature::nullary(Volatility::Immutable) } else { Signature::any(arity, Volatility::Immutable) };
    Arc::new(WindowUDF::new_from_impl(Framed { inner, inner_args, filtered, spec, signature }))
}

/// Whether rows can be taken back from the aggregate, so that DataFusion can slide a frame over it. Of DataFusion's own aggregates only
/// `count` goes back to what it was: the others keep their last value when nothing but NULLs is left in the frame.
pub(super) fn can_slide(udf: &AggregateUDF, types: &[DataType]) -> Result<bool> {
    if !retractable(udf) {
        return Ok(false);
    }
    let fields: Vec<FieldRef> = types.iter().enumerate().map(|(i, t)| Arc::new(Field::new(format!("a{i}"), t.clone(), true))).collect();
    let exprs: Vec<Arc<dyn PhysicalExpr>> = fields.iter().enumerate().map(|(i, f)| Arc::new(Column::new(f.name(), i)) as _).collect();
    Ok(accumulator(udf, &exprs, &fields, true).is_ok_and(|a| a.supports_retract_batch()))
}

fn retractable(udf: &AggregateUDF) -> bool {
    udf.name() == "count" || udf.name().starts_with("pg_")
}

fn accumulator(udf: &AggregateUDF, exprs: &[Arc<dyn PhysicalExpr>], fields: &[FieldRef], sliding: bool) -> Result<Box<dyn Accumulator>> {
    let schema = Schema::new(fields.iter().map(Arc::clone).collect::<Vec<_>>());
    let args = AccumulatorArgs {
        return_field: udf.return_field(fields)?,
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: "framed",
        is_distinct: false,
        exprs,
        expr_fields: fields,
    };
    if sliding && retractable(udf) { udf.create_sliding_accumulator(args) } else { udf.accumulator(args) }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Framed {
    inner: Inner,
    inner_args: usize,
    filtered: bool,
    spec: Spec,
    signature: Signature,
}

impl Framed {
    /// The number of arguments without the condition.
    fn values(&self) -> usize {
        self.inner_args - usize::from(self.filtered)
    }
}

impl WindowUDFImpl for Framed {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "pg_framed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let (Some(exprs), Some(fields)) = (args.input_exprs().get(..self.values()), args.input_fields().get(..self.values())) else {
            return internal_err!("pg_framed lacks arguments");
        };
        Ok(Box::new(Evaluator { function: self.clone(), exprs: exprs.to_vec(), fields: fields.to_vec() }))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let Some(fields) = args.input_fields().get(..self.values()) else { return internal_err!("pg_framed lacks arguments") };
        let (data_type, nullable) = match (&self.inner, fields.first()) {
            (Inner::Floats(sum), _) => (sum.data_type(), true),
            (Inner::Collect(udf), _) => (udf.return_field(fields)?.data_type().clone(), true),
            (Inner::Aggregate(udf), _) => {
                let field = udf.return_field(fields)?;
                (field.data_type().clone(), field.is_nullable())
            }
            (_, Some(first)) => (first.data_type().clone(), true),
            _ => return internal_err!("pg_framed of nothing"),
        };
        Ok(Arc::new(Field::new(args.name(), data_type, nullable)))
    }
}

#[derive(Debug)]
struct Evaluator {
    function: Framed,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<FieldRef>,
}

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let function = &self.function;
        let (Some(args), Some(keys)) = (values.get(..function.values()), values.get(function.inner_args..)) else {
            return internal_err!("pg_framed lacks arguments");
        };
        let condition = match values.get(function.values()) {
            Some(c) if function.filtered => match c.as_boolean_opt() {
                Some(c) if c.null_count() == 0 => Some(c.clone()),
                Some(c) => Some(prep_null_mask_filter(c)),
                None => return internal_err!("pg_framed with a condition that is none"),
            },
            _ => None,
        };
        let frames = frames(&function.spec, keys, num_rows)?;
        let decided = || -> Result<bool> { Ok(decided(args, &peers(&function.spec, keys, num_rows)?)) };
        match &function.inner {
            Inner::Aggregate(udf) => self.aggregate(udf, args, condition.as_ref(), &frames),
            Inner::Collect(udf) => {
                if !decided()? {
                    return Err(refused(format!("{} over a window whose order does not decide it", udf.name())));
                }
                collected(udf, args, condition.as_ref(), &frames)
            }
            Inner::Floats(sum) => {
                let Some(values) = args.first().and_then(|a| a.as_primitive_opt::<Float64Type>()) else { return internal_err!("a sum of other than floats") };
                if !decided()? && !adds_exactly(values.iter().flatten(), sum.bits()) {
                    return Err(refused("a sum of floats that depends on their order"));
                }
                sum.over(values, condition.as_ref(), &frames)
            }
            Inner::NthOfArgument => nth_of_argument(args, &frames),
            Inner::First => pick(args, &frames, |f| f.first().map(|s| s.start)),
            Inner::Last => pick(args, &frames, |f| f.last().map(|s| s.end - 1)),
            Inner::Nth(n) => pick(args, &frames, |f| nth(f, *n)),
        }
    }
}

impl Evaluator {
    fn aggregate(&self, udf: &AggregateUDF, args: &[ArrayRef], condition: Option<&BooleanArray>, frames: &[Vec<Range<usize>>]) -> Result<ArrayRef> {
        let slices = |span: &Range<usize>| -> Result<Vec<ArrayRef>> {
            let slices = args.iter().map(|a| a.slice(span.start, span.len()));
            match condition {
                None => Ok(slices.collect()),
                Some(c) => {
                    let kept = c.slice(span.start, span.len());
                    slices.map(|a| Ok(filter(&a, &kept)?)).collect()
                }
            }
        };
        let fresh = || accumulator(udf, &self.exprs, &self.fields, true).or_else(|_| accumulator(udf, &self.exprs, &self.fields, false));
        let mut current = fresh()?;
        let retracts = retractable(udf) && current.supports_retract_batch();
        // The one span that `current` has been given.
        let mut held = 0..0;
        let mut work = 0u64;
        let mut results = Vec::with_capacity(frames.len());
        // Frames with a common end grow when they are visited from the last to the first; what cannot take rows back does not mind their order.
        let backwards = !retracts && self.function.spec.end == Edge::UnboundedFollowing && self.function.spec.exclude == Exclude::NoOthers;
        let visit: Box<dyn Iterator<Item = &Vec<Range<usize>>>> = if backwards { Box::new(frames.iter().rev()) } else { Box::new(frames.iter()) };
        for frame in visit {
            if let [span] = frame.as_slice()
                && held.start <= span.start
                && held.end <= span.end
                && span.start <= held.end
                && (retracts || held.start == span.start)
            {
                if held.start < span.start {
                    current.retract_batch(&slices(&(held.start..span.start))?)?;
                }
                if held.end < span.end {
                    current.update_batch(&slices(&(held.end..span.end))?)?;
                }
                held = span.clone();
            } else if let ([span], true) = (frame.as_slice(), backwards)
                && span.end == held.end
                && span.start <= held.start
            {
                if span.start < held.start {
                    current.update_batch(&slices(&(span.start..held.start))?)?;
                }
                held = span.clone();
            } else {
                current = fresh()?;
                held = match frame.as_slice() {
                    [] => 0..0,
                    [span] => span.clone(),
                    // Not to be continued.
                    _ => usize::MAX..usize::MAX,
                };
                for span in frame {
                    work += span.len() as u64;
                    current.update_batch(&slices(span)?)?;
                }
                if work > MAX_WORK {
                    return Err(refused("a window frame that has to be computed anew for too many rows"));
                }
            }
            results.push(current.evaluate()?);
        }
        if backwards {
            results.reverse();
        }
        if results.is_empty() {
            return Ok(arrow::array::new_empty_array(udf.return_field(&self.fields)?.data_type()));
        }
        ScalarValue::iter_to_array(results)
    }
}

fn pick(args: &[ArrayRef], frames: &[Vec<Range<usize>>], row: impl Fn(&[Range<usize>]) -> Option<usize>) -> Result<ArrayRef> {
    let Some(values) = args.first() else { return internal_err!("pg_framed of nothing") };
    let rows: UInt32Array = frames.iter().map(|f| row(f).and_then(|r| u32::try_from(r).ok())).collect();
    Ok(take(values, &rows, None)?)
}

fn nth(frame: &[Range<usize>], n: u64) -> Option<usize> {
    let mut left = usize::try_from(n).ok()?.checked_sub(1)?;
    for span in frame {
        if left < span.len() {
            return Some(span.start + left);
        }
        left -= span.len();
    }
    None
}

/// The frame of each row; no span is empty.
fn frames(spec: &Spec, keys: &[ArrayRef], rows: usize) -> Result<Vec<Vec<Range<usize>>>> {
    let Some(order) = keys.get(..spec.order_keys) else { return internal_err!("pg_framed lacks its order") };
    let groups = peers_in(order, rows)?;
    let bounds = Bounds::new(spec, keys, rows)?;
    let (mut head, mut tail) = (0, 0);
    let mut frames = Vec::with_capacity(rows);
    for (g, group) in groups.iter().enumerate() {
        for row in group.clone() {
            if let Some(b) = &bounds {
                head = if spec.start.is_range() { b.head(spec, head, row) } else { head };
                tail = if spec.end.is_range() { b.tail(spec, tail, row) } else { tail };
            }
            let start = start(spec, &groups, g, row, rows, head);
            let end = end(spec, &groups, g, row, tail, rows);
            frames.push(excluding(spec.exclude, start..end, group, row));
        }
    }
    Ok(frames)
}

/// Rows that are equal in order; without an order all are.
fn peers_in(order: &[ArrayRef], rows: usize) -> Result<Vec<Range<usize>>> {
    Ok(if order.is_empty() { std::iter::once(0..rows).collect() } else { partition(order)?.ranges() })
}

fn peers(spec: &Spec, keys: &[ArrayRef], rows: usize) -> Result<Vec<Range<usize>>> {
    let Some(order) = keys.get(..spec.order_keys) else { return internal_err!("pg_framed lacks its order") };
    peers_in(order, rows)
}

/// Whether rows that are equal in order have equal arguments. (What cannot be compared is taken for different.)
fn decided(args: &[ArrayRef], peers: &[Range<usize>]) -> bool {
    peers.iter().filter(|p| p.len() > 1).all(|p| {
        let slices: Vec<ArrayRef> = args.iter().map(|a| a.slice(p.start, p.len())).collect();
        partition(&slices).is_ok_and(|found| found.len() == 1)
    })
}

/// The rows of each frame, for an aggregate that puts them in a row.
fn collected(udf: &AggregateUDF, args: &[ArrayRef], condition: Option<&BooleanArray>, frames: &[Vec<Range<usize>>]) -> Result<ArrayRef> {
    let skip_nulls = crate::agg::collects(udf).unwrap_or(false);
    let counts = |row: usize| condition.is_none_or(|c| c.value(row)) && !(skip_nulls && args.first().is_some_and(|a| a.is_null(row)));
    let mut rows: Vec<u32> = Vec::new();
    let mut bounds = Vec::with_capacity(frames.len() + 1);
    bounds.push(0);
    for frame in frames {
        for span in frame {
            rows.extend(span.clone().filter(|row| counts(*row)).filter_map(|row| u32::try_from(row).ok()));
        }
        if rows.len() > MAX_COLLECTED {
            return Err(refused(format!("{} over frames with so many rows", udf.name())));
        }
        bounds.push(rows.len());
    }
    let rows = UInt32Array::from(rows);
    let columns = args.iter().map(|a| Ok(take(a, &rows, None)?)).collect::<Result<Vec<_>>>()?;
    crate::agg::finished(udf, &columns, &bounds)
}

fn nth_of_argument(args: &[ArrayRef], frames: &[Vec<Range<usize>>]) -> Result<ArrayRef> {
    let Some(places) = args.get(1).and_then(|a| a.as_primitive_opt::<Int32Type>()) else { return internal_err!("nth_value of no place") };
    let Some(values) = args.first() else { return internal_err!("nth_value of nothing") };
    let mut rows = Vec::with_capacity(frames.len());
    for (frame, place) in frames.iter().zip(places) {
        rows.push(match place {
            None => None,
            Some(n) => match u64::try_from(n) {
                Ok(n) if n > 0 => nth(frame, n),
                _ => return Err(raise("22016", "argument of nth_value must be greater than zero")),
            },
        });
    }
    let rows: UInt32Array = rows.into_iter().map(|r| r.and_then(|r| u32::try_from(r).ok())).collect();
    Ok(take(values, &rows, None)?)
}

fn offset(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn start(spec: &Spec, groups: &[Range<usize>], g: usize, row: usize, rows: usize, head: usize) -> usize {
    let group_start = |g: Option<usize>| g.and_then(|g| groups.get(g)).map(|r| r.start);
    let by_rows = spec.units == FrameUnits::Rows;
    match spec.start {
        Edge::UnboundedPreceding => 0,
        Edge::Preceding(n) if by_rows => row.saturating_sub(offset(n)),
        Edge::Preceding(n) => group_start(Some(g.saturating_sub(offset(n)))).unwrap_or(0),
        Edge::CurrentRow if by_rows => row,
        Edge::CurrentRow => group_start(Some(g)).unwrap_or(row),
        Edge::Following(n) if by_rows => row.saturating_add(offset(n)).min(rows),
        Edge::Following(n) => group_start(g.checked_add(offset(n))).unwrap_or(rows),
        Edge::UnboundedFollowing => rows,
        Edge::Plus(_) | Edge::PlusFloat(_) | Edge::Key => head,
    }
}

/// One behind the last row.
fn end(spec: &Spec, groups: &[Range<usize>], g: usize, row: usize, tail: usize, rows: usize) -> usize {
    let group_end = |g: Option<usize>| g.and_then(|g| groups.get(g)).map(|r| r.end);
    let by_rows = spec.units == FrameUnits::Rows;
    match spec.end {
        Edge::UnboundedPreceding => 0,
        Edge::Preceding(n) if by_rows => (row + 1).saturating_sub(offset(n)),
        Edge::Preceding(n) => group_end(g.checked_sub(offset(n))).unwrap_or(0),
        Edge::CurrentRow if by_rows => row + 1,
        Edge::CurrentRow => group_end(Some(g)).unwrap_or(row + 1),
        Edge::Following(n) if by_rows => (row + 1).saturating_add(offset(n)).min(rows),
        Edge::Following(n) => group_end(g.checked_add(offset(n))).unwrap_or(rows),
        Edge::UnboundedFollowing => rows,
        Edge::Plus(_) | Edge::PlusFloat(_) | Edge::Key => tail,
    }
}

fn excluding(exclude: Exclude, frame: Range<usize>, group: &Range<usize>, row: usize) -> Vec<Range<usize>> {
    let without = |hole: Range<usize>| [frame.start..frame.end.min(hole.start), frame.start.max(hole.end)..frame.end];
    let parts: Vec<Range<usize>> = match exclude {
        Exclude::NoOthers => vec![frame],
        Exclude::CurrentRow => without(row..row + 1).into(),
        Exclude::Group => without(group.clone()).into(),
        Exclude::Ties => {
            let [before, after] = without(group.clone());
            let own = frame.start.max(row)..frame.end.min(row + 1);
            vec![before, own, after]
        }
    };
    parts.into_iter().filter(|p| p.start < p.end).collect()
}

type Compare = Box<dyn Fn(usize, usize) -> std::cmp::Ordering + Send + Sync>;

/// RANGE with offsets. `update_frameheadpos` and `update_frametailpos` of `nodeWindowAgg.c`.
struct Bounds {
    rows: usize,
    key: ArrayRef,
    /// Compares the key of a row with the bound of another.
    start: Option<Compare>,
    end: Option<Compare>,
}

impl Bounds {
    fn new(spec: &Spec, keys: &[ArrayRef], rows: usize) -> Result<Option<Bounds>> {
        if !spec.start.is_range() && !spec.end.is_range() {
            return Ok(None);
        }
        let mut columns = keys.iter().skip(spec.order_keys);
        let Some(given) = columns.next() else { return internal_err!("pg_framed lacks the key of RANGE") };
        let key = comparable(given)?;
        let mut bound = |edge: Edge| -> Result<Option<Compare>> {
            let array: ArrayRef = match edge {
                Edge::Plus(n) => Arc::new(integers(given, n)?),
                Edge::PlusFloat(bits) => Arc::new(floats(given, f64::from_bits(bits))?),
                Edge::Key => match columns.next() {
                    Some(a) => Arc::clone(a),
                    None => return internal_err!("pg_framed lacks a bound of RANGE"),
                },
                _ => return Ok(None),
            };
            Ok(Some(make_comparator(&key, &array, SortOptions::default())?))
        };
        let (start, end) = (bound(spec.start)?, bound(spec.end)?);
        Ok(Some(Bounds { rows, key, start, end }))
    }

    /// The first row that is not before the frame of `row`.
    fn head(&self, spec: &Spec, mut head: usize, row: usize) -> usize {
        let Some(compare) = &self.start else { return head };
        while head < self.rows {
            let (head_null, row_null) = (self.key.is_null(head), self.key.is_null(row));
            let stop = if head_null || row_null {
                if spec.nulls_first { !head_null || row_null } else { head_null || !row_null }
            } else if spec.descending {
                compare(head, row).is_le()
            } else {
                compare(head, row).is_ge()
            };
            if stop {
                break;
            }
            head += 1;
        }
        head
    }

    /// The first row that is behind the frame of `row`.
    fn tail(&self, spec: &Spec, mut tail: usize, row: usize) -> usize {
        let Some(compare) = &self.end else { return tail };
        while tail < self.rows {
            let (tail_null, row_null) = (self.key.is_null(tail), self.key.is_null(row));
            let stop = if tail_null || row_null {
                if spec.nulls_first { !tail_null } else { !row_null }
            } else if spec.descending {
                compare(tail, row).is_lt()
            } else {
                compare(tail, row).is_gt()
            };
            if stop {
                break;
            }
            tail += 1;
        }
        tail
    }
}

/// The key in the form in which bounds are computed.
fn comparable(key: &ArrayRef) -> Result<ArrayRef> {
    Ok(match key.data_type() {
        DataType::Int64 => Arc::new(integers(key, 0)?),
        DataType::Float64 => Arc::new(floats(key, 0.0)?),
        _ => Arc::clone(key),
    })
}

fn integers(key: &ArrayRef, offset: i128) -> Result<Decimal128Array> {
    let Some(values) = key.as_primitive_opt::<Int64Type>() else { return internal_err!("RANGE over {}", key.data_type()) };
    Ok(values.iter().map(|v| v.map(|v| i128::from(v) + offset)).collect::<Decimal128Array>().with_precision_and_scale(38, 0)?)
}

fn floats(key: &ArrayRef, offset: f64) -> Result<Float64Array> {
    let Some(values) = key.as_primitive_opt::<Float64Type>() else { return internal_err!("RANGE over {}", key.data_type()) };
    let canonical = |v: f64| if v.is_nan() { f64::NAN.abs() } else { v + 0.0 };
    Ok(values.iter().map(|v| v.map(|v| canonical(v + offset))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    fn spec(units: FrameUnits, start: Edge, end: Edge, exclude: Exclude) -> Spec {
        Spec { units, start, end, exclude, order_keys: 1, descending: false, nulls_first: false }
    }

    #[test]
    fn range_offsets_keep_nulls_among_themselves() {
        let key: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(2), Some(5), None, None]));
        let s = spec(FrameUnits::Range, Edge::Plus(-1), Edge::Plus(1), Exclude::NoOthers);
        let found = frames(&s, &[Arc::clone(&key), key], 6).unwrap();
        assert_eq!(found, vec![vec![0..3], vec![0..3], vec![0..3], vec![3..4], vec![4..6], vec![4..6]]);
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)] // a frame may end before it begins
    fn what_is_excluded_is_in_no_span() {
        assert_eq!(excluding(Exclude::CurrentRow, 0..5, &(1..4), 2), vec![0..2, 3..5]);
        assert_eq!(excluding(Exclude::Group, 0..5, &(1..4), 2), vec![0..1, 4..5]);
        assert_eq!(excluding(Exclude::Ties, 0..5, &(1..4), 2), vec![0..1, 2..3, 4..5]);
        assert_eq!(excluding(Exclude::Ties, 3..5, &(1..4), 2), vec![4..5]);
        assert_eq!(excluding(Exclude::Group, 4..2, &(1..4), 2), Vec::<Range<usize>>::new());
    }
}
