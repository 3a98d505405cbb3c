//! Window functions over partitions that come one after the other, and over the whole input where it has to be kept.
//!
//! DataFusion's operators either keep the whole input until it has ended, or keep a state for each partition whose upkeep costs more than
//! the function itself where partitions are small. This one keeps the rows of the partition that has not ended, and computes complete
//! partitions a batch at a time; lag, lead and ranks over all of them at once.
//!
//! Invariants:
//! - The rows and their order are those of the operator that is replaced; a function is computed by the same expression, over a whole partition.
//! - The rows of the partition that has not ended are accounted for, and twice while partitions are computed; so are results that wait. (Of what
//!   DataFusion's operators hold nothing is.)

use crate::kept::bytes_of;
use crate::physical::Stop;
use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat, concat_batches, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::utils::evaluate_partition_ranges;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, WindowExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputOrderMode, PlanProperties};
use futures::StreamExt;
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// The same windows over partitions in sequence; `None` if the node is no such thing.
pub fn partitioned(node: &Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let any = node.as_any();
    let (windows, input, keys) = if let Some(window) = any.downcast_ref::<WindowAggExec>() {
        (window.window_expr(), window.input(), window.partition_by_sort_keys()?)
    } else if let Some(window) = any.downcast_ref::<BoundedWindowAggExec>()
        && window.input_order_mode == InputOrderMode::Sorted
    {
        (window.window_expr(), window.input(), window.partition_by_sort_keys()?)
    } else {
        return Ok(None);
    };
    let Some(partition_by) = windows.first().map(|w| w.partition_by()) else { return Ok(None) };
    // Without partitions the other operator keeps what its frames need.
    if partition_by.is_empty() && !any.is::<WindowAggExec>() || keys.len() != partition_by.len() || windows.iter().any(|w| w.partition_by() != partition_by) {
        return Ok(None);
    }
    Ok(Some(Arc::new(PartitionedWindowExec {
        input: Arc::clone(input),
        windows: windows.to_vec(),
        keys,
        stop: stop.clone(),
        properties: Arc::clone(node.properties()),
        distribution: node.required_input_distribution(),
        metrics: ExecutionPlanMetricsSet::new(),
    })))
}

#[derive(Debug)]
struct PartitionedWindowExec {
    input: Arc<dyn ExecutionPlan>,
    windows: Vec<Arc<dyn WindowExpr>>,
    /// By which the input is ordered first: equal in all of them is one partition.
    keys: Vec<PhysicalSortExpr>,
    stop: Stop,
    properties: Arc<PlanProperties>,
    distribution: Vec<Distribution>,
    metrics: ExecutionPlanMetricsSet,
}

impl DisplayAs for PartitionedWindowExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.windows.iter().map(|w| w.name()).collect();
        write!(f, "PartitionedWindowExec: wdw=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for PartitionedWindowExec {
    fn name(&self) -> &'static str {
        "PartitionedWindowExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.distribution.clone()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(PartitionedWindowExec {
            input,
            windows: self.windows.clone(),
            keys: self.keys.clone(),
            stop: self.stop.clone(),
            properties: Arc::clone(&self.properties),
            distribution: self.distribution.clone(),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&task))?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let state = Partitions {
            input_schema: input.schema(),
            schema: self.schema(),
            running: self.windows.iter().map(|w| is_running(w.as_ref())).collect(),
            windows: self.windows.clone(),
            keys: self.keys.clone(),
            stop: self.stop.clone(),
            batch_rows: task.session_config().batch_size(),
            open: Vec::new(),
            open_bytes: 0,
            last_key: None,
            done: VecDeque::new(),
            done_bytes: 0,
            // What may be refused at the last row is not to have given any out.
            holds: self.windows.iter().any(|w| weir_lower::sees_all_rows_first(w.as_ref())),
            ended: false,
            reservation: MemoryConsumer::new("PartitionedWindowExec").register(task.memory_pool()),
        };
        let stream = futures::stream::try_unfold((input, state, metrics), |(mut input, mut state, metrics)| async move {
            loop {
                if let Some(batch) = state.given_out() {
                    metrics.record_output(batch.num_rows());
                    return Ok(Some((batch, (input, state, metrics))));
                }
                let next = input.next().await.transpose()?;
                let timer = metrics.elapsed_compute().timer();
                match next {
                    Some(batch) => state.push(batch)?,
                    None => {
                        state.ended = true;
                        if !state.open.is_empty() {
                            state.complete(None)?;
                        } else if state.done.is_empty() {
                            return Ok(None);
                        }
                    }
                }
                timer.done();
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}

/// Whether it is an aggregate from the start of the partition to the current row or its last peer.
fn is_running(window: &dyn WindowExpr) -> bool {
    let frame = window.get_window_frame();
    let from_start = matches!(&frame.start_bound, WindowFrameBound::Preceding(n) if n.is_null());
    let Some(plain) = window.as_any().downcast_ref::<PlainAggregateWindowExpr>() else { return false };
    // A FILTER is not applied by `running`.
    from_start && matches!(frame.end_bound, WindowFrameBound::CurrentRow) && !has_filter(plain)
}

/// A running aggregate ([`is_running`]): what is new is added peers by peers, where DataFusion looks for the frame of each row with values
/// taken out of their arrays. `None`: it is none after all.
fn running(window: &dyn WindowExpr, partition: &RecordBatch) -> Result<Option<ArrayRef>> {
    let Some(plain) = window.as_any().downcast_ref::<PlainAggregateWindowExpr>() else { return Ok(None) };
    let rows = partition.num_rows();
    let ranges = match window.get_window_frame().units {
        WindowFrameUnits::Rows => (0..rows).map(|i| i..i + 1).collect(),
        WindowFrameUnits::Range | WindowFrameUnits::Groups => evaluate_partition_ranges(rows, &window.order_by_columns(partition)?)?,
    };
    let values = window.evaluate_args(partition)?;
    let mut accumulator = plain.get_aggregate_expr().create_accumulator()?;
    let mut results = Vec::with_capacity(rows);
    for range in ranges {
        let n = range.end - range.start;
        let new: Vec<ArrayRef> = values.iter().map(|v| v.slice(range.start, n)).collect();
        accumulator.update_batch(&new)?;
        results.extend(std::iter::repeat_n(accumulator.evaluate()?, n));
    }
    Ok(Some(ScalarValue::iter_to_array(results)?))
}

/// An aggregate over whole partitions, which `ranges` are: one group for each of them. `None`: it is none, or cannot be grouped.
fn grouped(window: &dyn WindowExpr, batch: &RecordBatch, ranges: &[std::ops::Range<usize>]) -> Result<Option<ArrayRef>> {
    let frame = window.get_window_frame();
    let is_whole = matches!(&frame.start_bound, WindowFrameBound::Preceding(n) if n.is_null())
        && matches!(&frame.end_bound, WindowFrameBound::Following(n) if n.is_null());
    let Some(plain) = window.as_any().downcast_ref::<PlainAggregateWindowExpr>().filter(|_| is_whole) else { return Ok(None) };
    let aggregate = plain.get_aggregate_expr();
    if has_filter(plain) || !aggregate.groups_accumulator_supported() {
        return Ok(None);
    }
    let mut accumulator = aggregate.create_groups_accumulator()?;
    let groups: Vec<usize> = ranges.iter().enumerate().flat_map(|(group, r)| std::iter::repeat_n(group, r.len())).collect();
    accumulator.update_batch(&window.evaluate_args(batch)?, &groups, None, ranges.len())?;
    let results = accumulator.evaluate(EmitTo::All)?;
    let rows: UInt64Array = groups.into_iter().map(|g| g as u64).collect();
    Ok(Some(take(&results, &rows, None)?))
}

/// There is no other way to see whether there is a FILTER.
fn has_filter(plain: &PlainAggregateWindowExpr) -> bool {
    !format!("{plain:?}").ends_with("filter: None }")
}

struct Partitions {
    input_schema: SchemaRef,
    schema: SchemaRef,
    windows: Vec<Arc<dyn WindowExpr>>,
    /// Which of them are running aggregates.
    running: Vec<bool>,
    keys: Vec<PhysicalSortExpr>,
    stop: Stop,
    batch_rows: usize,
    /// Rows of the partition that has not ended, and its key.
    open: Vec<RecordBatch>,
    open_bytes: usize,
    last_key: Option<Vec<ArrayRef>>,
    done: VecDeque<RecordBatch>,
    done_bytes: usize,
    /// Nothing is given out before the input has ended.
    holds: bool,
    ended: bool,
    reservation: MemoryReservation,
}

impl Partitions {
    /// The next batch of results that may be given out.
    fn given_out(&mut self) -> Option<RecordBatch> {
        if self.holds && !self.ended {
            return None;
        }
        if self.done.is_empty() {
            self.reservation.shrink(std::mem::take(&mut self.done_bytes));
        }
        self.done.pop_front()
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let keys = self.keys.iter().map(|k| k.evaluate_to_sort_column(&batch)).collect::<Result<Vec<_>>>()?;
        let starts: Vec<usize> = evaluate_partition_ranges(rows, &keys)?.into_iter().map(|r| r.start).collect();
        let continues = match &self.last_key {
            Some(_) if keys.is_empty() => true,
            Some(last) => {
                let both = last.iter().zip(&keys).map(|(last, key)| Ok(concat(&[last, &key.values.slice(0, 1)])?)).collect::<Result<Vec<_>>>()?;
                arrow::compute::partition(&both)?.len() == 1
            }
            None => false,
        };
        self.last_key = Some(keys.iter().map(|k| k.values.slice(rows - 1, 1)).collect());
        // Where the partition begins that this batch leaves open.
        let last = starts.last().copied().unwrap_or(0);
        if last > 0 {
            self.complete(Some(batch.slice(0, last)))?;
        } else if !continues && !self.open.is_empty() {
            self.complete(None)?;
        }
        let rest = batch.slice(last, rows - last);
        let size = bytes_of(&rest)?;
        self.reservation.try_grow(size)?;
        self.open_bytes += size;
        self.open.push(rest);
        Ok(())
    }

    /// Computes what is kept and these rows, which end their partition.
    fn complete(&mut self, rows: Option<RecordBatch>) -> Result<()> {
        self.stop.check()?;
        self.open.extend(rows);
        let size = self.open.iter().map(bytes_of).sum::<Result<usize>>()?;
        self.reservation.try_grow(size)?;
        let whole = concat_batches(&self.input_schema, &self.open)?;
        self.open.clear();
        self.reservation.shrink(std::mem::take(&mut self.open_bytes));
        let keys = self.keys.iter().map(|k| k.evaluate_to_sort_column(&whole)).collect::<Result<Vec<_>>>()?;
        let ranges = evaluate_partition_ranges(whole.num_rows(), &keys)?;
        let mut at_once = Vec::with_capacity(self.windows.len());
        for window in &self.windows {
            let column = weir_lower::over_partitions(window.as_ref(), &whole, &ranges)?;
            at_once.push(if column.is_some() { column } else { grouped(window.as_ref(), &whole, &ranges)? });
        }
        let mut results: Vec<Vec<ArrayRef>> = at_once.iter().map(|r| if r.is_some() { Vec::new() } else { Vec::with_capacity(ranges.len()) }).collect();
        if at_once.iter().any(Option::is_none) {
            for range in ranges {
                let partition = whole.slice(range.start, range.end - range.start);
                for (((window, is_running), result), done) in self.windows.iter().zip(&self.running).zip(&mut results).zip(&at_once) {
                    if done.is_some() {
                        continue;
                    }
                    let column = if *is_running { running(window.as_ref(), &partition)? } else { None };
                    result.push(match column {
                        Some(column) => column,
                        None => window.evaluate(&partition)?,
                    });
                }
            }
        }
        let mut columns = whole.columns().to_vec();
        for (done, result) in at_once.into_iter().zip(&results) {
            columns.push(match done {
                Some(column) => column,
                None => concat(&result.iter().map(|a| a.as_ref()).collect::<Vec<_>>())?,
            });
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let results = bytes_of(&batch)?;
        if self.holds {
            self.reservation.try_grow(results.saturating_sub(size))?;
        } else {
            self.reservation.grow(results.saturating_sub(size));
        }
        self.reservation.shrink(size.saturating_sub(results));
        self.done_bytes += results;
        let mut at = 0;
        while at < batch.num_rows() {
            let n = self.batch_rows.min(batch.num_rows() - at);
            self.done.push_back(batch.slice(at, n));
            at += n;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::logical_expr::{WindowFrame, WindowFunctionDefinition};
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_plan::windows::create_window_expr;
    use datafusion::prelude::SessionContext;

    /// Keys that are cut by batches in every way: a partition over several batches, several in a batch, one that ends with its batch.
    #[tokio::test]
    async fn partitions_over_and_within_batches() {
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true), Field::new("v", DataType::Int64, true)]));
        let batch = |k: &[Option<i64>], v: &[i64]| {
            let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(k.to_vec())), Arc::new(Int64Array::from(v.to_vec()))];
            RecordBatch::try_new(Arc::clone(&schema), columns).expect("builds")
        };
        let batches = vec![
            batch(&[Some(1), Some(1), Some(2)], &[1, 2, 3]),
            batch(&[], &[]),
            batch(&[Some(2), Some(2)], &[4, 5]),
            batch(&[Some(2), Some(3), Some(4), Some(4)], &[6, 7, 8, 9]),
            batch(&[Some(5), None, None], &[10, 11, 12]),
            batch(&[None], &[13]),
        ];
        let order = vec![PhysicalSortExpr::new_default(col("k", &schema).expect("exists")), PhysicalSortExpr::new_default(col("v", &schema).expect("exists"))];
        let source = MemorySourceConfig::try_new(&[batches], Arc::clone(&schema), None).expect("builds");
        let source = source.try_with_sort_information(vec![datafusion::physical_expr::LexOrdering::new(order).expect("not empty")]).expect("holds");
        let input: Arc<dyn ExecutionPlan> = Arc::new(datafusion::datasource::source::DataSourceExec::new(Arc::new(source)));
        let keys = [col("k", &schema).expect("exists")];
        let by = [PhysicalSortExpr::new_default(col("v", &schema).expect("exists"))];
        let sum = WindowFunctionDefinition::AggregateUDF(datafusion::functions_aggregate::sum::sum_udaf());
        let frame = Arc::new(WindowFrame::new(Some(true)));
        let running = create_window_expr(&sum, "s".into(), &[col("v", &schema).expect("exists")], &keys, &by, frame, Arc::clone(&schema), false, false, None);
        let window = WindowAggExec::try_new(vec![running.expect("builds")], input, true).expect("builds");
        let node: Arc<dyn ExecutionPlan> = Arc::new(window);
        let ours = partitioned(&node, &Stop::default()).expect("no error").expect("replaced");
        let context = SessionContext::new().task_ctx();
        let out = datafusion::physical_plan::collect(ours, context).await.expect("runs");
        let sums: Vec<i64> = out.iter().flat_map(|b| b.column(2).as_primitive::<Int64Type>().values().to_vec()).collect();
        assert_eq!(sums, [1, 3, 3, 7, 12, 18, 7, 8, 17, 10, 11, 23, 36]);
    }

    #[tokio::test]
    async fn what_is_kept_without_partitions_is_accounted() {
        let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
        let batch = |from: i64| RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from_iter_values(from..from + 1000))]).expect("builds");
        let window = || {
            let batches: Vec<RecordBatch> = (0..100).map(|n| batch(n * 1000)).collect();
            let input = MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&schema), None).expect("builds");
            let sum = WindowFunctionDefinition::AggregateUDF(datafusion::functions_aggregate::sum::sum_udaf());
            let frame = Arc::new(WindowFrame::new(None));
            let all = create_window_expr(&sum, "s".into(), &[col("v", &schema).expect("exists")], &[], &[], frame, Arc::clone(&schema), false, false, None);
            let window: Arc<dyn ExecutionPlan> = Arc::new(WindowAggExec::try_new(vec![all.expect("builds")], input, true).expect("builds"));
            partitioned(&window, &Stop::default()).expect("no error").expect("replaced")
        };
        let context = |bytes| {
            let pool = Arc::new(datafusion::execution::memory_pool::GreedyMemoryPool::new(bytes));
            let runtime = datafusion::execution::runtime_env::RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().expect("builds");
            SessionContext::new_with_config_rt(datafusion::prelude::SessionConfig::new(), runtime).task_ctx()
        };
        let roomy = context(1 << 30);
        let out = datafusion::physical_plan::collect(window(), Arc::clone(&roomy)).await.expect("runs");
        let sums: Vec<i64> = out.iter().flat_map(|b| b.column(1).as_primitive::<Int64Type>().values().to_vec()).collect();
        assert!(sums.len() == 100_000 && sums.iter().all(|s| *s == 99_999 * 50_000));
        assert_eq!(roomy.memory_pool().reserved(), 0);
        let failed = datafusion::physical_plan::collect(window(), context(1 << 20)).await.expect_err("is too much");
        assert!(matches!(failed.find_root(), datafusion::common::DataFusionError::ResourcesExhausted(_)));
    }
}
