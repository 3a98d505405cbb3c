//! Filters for the joins that DataFusion makes none for: the distinct keys of the side that is read first filter the other one.
//!
//! DataFusion's own are for inner joins, and not while that side is empty. The right side may be filtered wherever a row of it without a partner
//! is not in the result: inner joins, left joins, and semi, anti and mark joins of which the left side is kept, or the right one if it matched.
//!
//! Invariants:
//! - Keys are collected as the rows go by, no more of them than are sent; too many, and there is no filter.
//! - A filter says nothing until the left side has been read to its end, in all its partitions. It is not used where a plan runs again.
//! - Only where a remote statement is below the other side.

use crate::keys::MAX_KEYS;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result, ScalarValue, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr, Literal, in_list, lit};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

type Plan = Arc<dyn ExecutionPlan>;
type Expr = Arc<dyn PhysicalExpr>;

/// Rows that are looked at; of more, there is no filter.
const MOST_ROWS: usize = 100_000;
/// Bytes of the texts among a column's keys.
const MOST_BYTES: usize = 1 << 20;

/// Comes before the rule that brings dynamic filters to where they are used.
#[derive(Debug)]
pub struct CollectJoinKeys;

impl CollectJoinKeys {
    /// The rule before which it has its place.
    pub const BEFORE: &'static str = "FilterPushdown(Post)";
}

impl PhysicalOptimizerRule for CollectJoinKeys {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        plan.transform_up(|node| {
            let Some(join) = node.as_any().downcast_ref::<HashJoinExec>().filter(|j| filters_right(j) && crate::remote::takes_keys(j.right())) else {
                return Ok(Transformed::no(node));
            };
            let Some(keys) = Keys::of(join)? else { return Ok(Transformed::no(node)) };
            let offer: Plan = Arc::new(Offer { filter: Arc::clone(&keys.filter), input: Arc::clone(join.right()) });
            let collect: Plan = Arc::new(Collect { keys: Some(Arc::new(keys)), input: Arc::clone(join.left()) });
            Arc::clone(&node).with_new_children(vec![collect, offer]).map(Transformed::yes)
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "CollectJoinKeys"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn filters_right(join: &HashJoinExec) -> bool {
    use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, RightSemi};
    // NOT IN has to see the NULLs of the other side.
    !join.null_aware
        && join.null_equality() == NullEquality::NullEqualsNothing
        && matches!(join.join_type(), Inner | Left | LeftSemi | LeftAnti | LeftMark | RightSemi)
}

/// Types whose values can be keys of a remote statement, equal in Arrow exactly if they are in Postgres.
fn is_key(ty: &DataType) -> bool {
    use DataType::{Date32, Decimal128, Decimal256, FixedSizeBinary, Int16, Int32, Int64, Timestamp, Utf8View};
    matches!(ty, Int16 | Int32 | Int64 | Date32 | Timestamp(..) | Utf8View | Decimal128(..) | Decimal256(..) | FixedSizeBinary(16))
}

/// The keys of one join.
struct Keys {
    /// Those that are collected: what they are on the left, and on the right.
    on: Vec<(Expr, Expr)>,
    right: SchemaRef,
    filter: Arc<DynamicFilterPhysicalExpr>,
    known: Mutex<Known>,
}

struct Known {
    /// For each key its values; `None`: too many.
    values: Vec<Option<HashSet<ScalarValue>>>,
    bytes: usize,
    rows: usize,
    /// Partitions that are still being read.
    open: usize,
}

impl Keys {
    fn of(join: &HashJoinExec) -> Result<Option<Keys>> {
        let (left, right) = (join.left().schema(), join.right().schema());
        let mut on = Vec::new();
        for (l, r) in join.on() {
            let ty = l.data_type(&left)?;
            if is_key(&ty) && ty == r.data_type(&right)? {
                on.push((Arc::clone(l), Arc::clone(r)));
            }
        }
        if on.is_empty() {
            return Ok(None);
        }
        let filter = DynamicFilterPhysicalExpr::new(on.iter().map(|(_, r)| Arc::clone(r)).collect(), lit(true));
        let open = join.left().properties().output_partitioning().partition_count();
        let known = Known { values: vec![Some(HashSet::new()); on.len()], bytes: 0, rows: 0, open };
        Ok(Some(Keys { on, right, filter: Arc::new(filter), known: Mutex::new(known) }))
    }

    fn add(&self, batch: &RecordBatch) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.rows = known.rows.saturating_add(batch.num_rows());
        if known.rows > MOST_ROWS {
            known.values.iter_mut().for_each(|v| *v = None);
            return Ok(());
        }
        let Known { values, bytes, .. } = &mut *known;
        for ((left, _), slot) in self.on.iter().zip(values) {
            let Some(found) = slot else { continue };
            let array = left.evaluate(batch)?.into_array(batch.num_rows())?;
            // What is NULL matches nothing.
            for i in (0..array.len()).filter(|i| array.is_valid(*i)) {
                let value = ScalarValue::try_from_array(&array, i)?;
                let size = if let ScalarValue::Utf8View(Some(text)) = &value { text.len() } else { 0 };
                *bytes += if found.insert(value) { size } else { 0 };
                if found.len() > MAX_KEYS || *bytes > MOST_BYTES {
                    *slot = None;
                    break;
                }
            }
        }
        Ok(())
    }

    /// One partition has been read.
    fn ended(&self) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.open = known.open.saturating_sub(1);
        if known.open > 0 {
            return Ok(());
        }
        let mut filter: Option<Expr> = None;
        for ((_, right), values) in self.on.iter().zip(known.values.drain(..)) {
            let Some(values) = values else { continue };
            let one = if values.is_empty() {
                lit(false)
            } else {
                let list = values.into_iter().map(|v| Arc::new(Literal::new(v)) as Expr).collect();
                in_list(Arc::clone(right), list, &false, &self.right)?
            };
            filter = Some(match filter {
                Some(all) => Arc::new(BinaryExpr::new(all, Operator::And, one)),
                None => one,
            });
        }
        if let Some(filter) = filter {
            self.filter.update(filter)?;
        }
        self.filter.mark_complete();
        Ok(())
    }
}

/// The left side of a join, whose keys are collected.
struct Collect {
    /// `None` where the plan runs again.
    keys: Option<Arc<Keys>>,
    input: Plan,
}

/// The right side, to which the filter belongs.
struct Offer {
    filter: Arc<DynamicFilterPhysicalExpr>,
    input: Plan,
}

macro_rules! passes_through {
    ($name:ident, $shown:literal) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($shown).field("input", &self.input).finish_non_exhaustive()
            }
        }

        impl DisplayAs for $name {
            fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($shown)
            }
        }
    };
}

passes_through!(Collect, "CollectJoinKeys");
passes_through!(Offer, "OfferJoinKeys");

impl ExecutionPlan for Collect {
    fn name(&self) -> &'static str {
        "CollectJoinKeys"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Collect { keys: self.keys.clone(), input }))
    }

    fn reset_state(self: Arc<Self>) -> Result<Plan> {
        Ok(Arc::new(Collect { keys: None, input: Arc::clone(&self.input) }))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, task)?;
        let Some(keys) = self.keys.clone() else { return Ok(input) };
        let rows = futures::stream::try_unfold((input, keys), |(mut input, keys)| async move {
            match input.next().await.transpose()? {
                Some(batch) => {
                    keys.add(&batch)?;
                    Ok(Some((batch, (input, keys))))
                }
                None => {
                    keys.ended()?;
                    Ok(None)
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        self.input.partition_statistics(partition)
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(&self, _: FilterPushdownPhase, parent_filters: Vec<Expr>, _: &ConfigOptions) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(&self, _: FilterPushdownPhase, result: ChildPushdownResult, _: &ConfigOptions) -> Result<FilterPushdownPropagation<Plan>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

impl ExecutionPlan for Offer {
    fn name(&self) -> &'static str {
        "OfferJoinKeys"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Offer { filter: Arc::clone(&self.filter), input }))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, task)
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        self.input.partition_statistics(partition)
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(&self, phase: FilterPushdownPhase, parent_filters: Vec<Expr>, _: &ConfigOptions) -> Result<FilterDescription> {
        let mut child = ChildFilterDescription::from_child(&parent_filters, &self.input)?;
        if phase == FilterPushdownPhase::Post {
            child = child.with_self_filter(Arc::clone(&self.filter) as Expr);
        }
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(&self, _: FilterPushdownPhase, result: ChildPushdownResult, _: &ConfigOptions) -> Result<FilterPushdownPropagation<Plan>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}
