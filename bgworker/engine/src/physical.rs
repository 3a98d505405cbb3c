//! What a physical plan needs beside DataFusion's own rules before it runs here.
//!
//! Invariants:
//! - A query that nobody waits for ends soon: operators that make many rows of few give way to the scheduler, and the conditions of joins
//!   notice the stop of their query, since one step of a nested loop can take minutes without a row.
//! - Strings that an operator keeps are its own: batches of the cache are views into buffers far larger than what they show, and would be
//!   accounted, and spilled, as if each were alone.
//! - The rows are the same, in the same order.

use crate::rank::RankExec;
use crate::windows::partitioned;
use arrow::array::{Array, ArrayRef, AsArray, GenericByteViewArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{BinaryViewType, ByteViewType, DataType, FieldRef, Schema, StringViewType};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_plan::{Error, Kind};

/// Views whose buffers are smaller than this are left alone.
const SMALL_BYTES: usize = 64 << 10;

/// Says to all parts of one query that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// Stops the query when dropped.
pub struct StopWhenDropped(Stop);

impl Stop {
    pub fn when_dropped(&self) -> StopWhenDropped {
        StopWhenDropped(self.clone())
    }

    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(weir_lower::error::wrap(Error::new(Kind::Cancelled, "the backend went away")));
        }
        Ok(())
    }
}

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// The plan as it is to run, once.
pub fn runnable(plan: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(plan.transform_up(|node| prepare(node, stop))?.data)
}

fn prepare(node: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let any = node.as_any();
    if any.is::<SortExec>() || any.is::<RepartitionExec>() || any.is::<RankExec>() {
        return compact_children(node, 1).map(|(node, changed)| Transformed::new(node, changed, TreeNodeRecursion::Continue));
    }
    if let Some(window) = partitioned(&node, stop)? {
        let (window, _) = compact_children(window, 1)?;
        return Ok(Transformed::yes(Arc::new(CooperativeExec::new(window))));
    }
    let node: Arc<dyn ExecutionPlan> = if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(Some(watched(filter, stop))).build()?)
    } else if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        match join.filter() {
            Some(filter) => join.builder().with_filter(Some(watched(filter, stop))).build_exec()?,
            None => node,
        }
    } else if any.is::<NestedLoopJoinExec>() || any.is::<CrossJoinExec>() || any.is::<SortMergeJoinExec>() || any.is::<UnnestExec>() {
        node
    } else {
        return Ok(Transformed::no(node));
    };
    // The left side of a join is the one that is kept.
    let (node, _) = if node.children().len() == 2 { compact_children(node, 1)? } else { (node, false) };
    Ok(Transformed::yes(Arc::new(CooperativeExec::new(node))))
}

fn watched(filter: &JoinFilter, stop: &Stop) -> JoinFilter {
    let inner = Arc::clone(filter.expression());
    JoinFilter::new(Arc::new(Watched { inner, stop: stop.clone() }), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// A condition that fails when its query is stopped.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn PhysicalExpr>,
    stop: Stop,
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Watched {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.check()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.inner));
        Ok(Arc::new(Watched { inner, stop: self.stop.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

/// Puts [`CompactExec`] below the first children that may bring shared strings.
fn compact_children(node: Arc<dyn ExecutionPlan>, first: usize) -> Result<(Arc<dyn ExecutionPlan>, bool)> {
    let mut changed = false;
    let children = node
        .children()
        .into_iter()
        .enumerate()
        .map(|(i, child)| {
            let views = child.schema().fields().iter().any(|f| matches!(f.data_type(), DataType::Utf8View | DataType::BinaryView));
            if i >= first || !views || child.as_any().is::<CompactExec>() {
                return Arc::clone(child);
            }
            changed = true;
            Arc::new(CompactExec { properties: Arc::clone(child.properties()), input: Arc::clone(child) }) as Arc<dyn ExecutionPlan>
        })
        .collect();
    if changed { Ok((node.with_new_children(children)?, true)) } else { Ok((node, false)) }
}

/// Copies strings out of buffers that are much larger than they need.
#[derive(Debug)]
struct CompactExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for CompactExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactExec")
    }
}

impl ExecutionPlan for CompactExec {
    fn name(&self) -> &'static str {
        "CompactExec"
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

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(CompactExec { properties: Arc::clone(input.properties()), input }))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let stream = self.input.execute(partition, task)?;
        let schema = stream.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream.map(|batch| compact(&batch?)))))
    }
}

pub fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8View => compact_views::<StringViewType>(column),
            DataType::BinaryView => compact_views::<BinaryViewType>(column),
            _ => Arc::clone(column),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

fn compact_views<T: ByteViewType>(column: &ArrayRef) -> ArrayRef {
    let views: &GenericByteViewArray<T> = column.as_byte_view();
    let kept: usize = views.data_buffers().iter().map(|b| b.capacity()).sum();
    if kept <= SMALL_BYTES || kept / 2 <= views.total_buffer_bytes_used() { Arc::clone(column) } else { Arc::new(views.gc()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringViewArray;
    use arrow::datatypes::Field;

    #[test]
    fn a_slice_of_a_large_array_gets_its_own_buffers() {
        let all = StringViewArray::from_iter((0..100_000).map(|i| (i % 7 != 0).then(|| format!("a string of some length {i}"))));
        let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8View, true)]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(all)]).expect("builds").slice(500, 1000);
        let small = compact(&batch).expect("compacts");
        assert_eq!(small, batch);
        assert!(small.get_array_memory_size() < 100_000 && batch.get_array_memory_size() > 2_000_000);
        assert_eq!(compact(&small).expect("compacts").get_array_memory_size(), small.get_array_memory_size());
    }

    #[test]
    fn a_stopped_query_fails_in_its_join_conditions() {
        let stop = Stop::default();
        let watched = Watched { inner: datafusion::physical_expr::expressions::lit(true), stop: stop.clone() };
        let batch = RecordBatch::new_empty(Arc::new(Schema::empty()));
        assert!(watched.evaluate(&batch).is_ok());
        drop(stop.when_dropped());
        assert!(watched.evaluate(&batch).is_err());
    }
}
