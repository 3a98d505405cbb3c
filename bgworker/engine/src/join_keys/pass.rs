//! What stands between a join and its sides: one node collects the keys of the side that is read first, the other offers the filters that are made
//! of them to what is below. Both pass rows through as they are.

use super::Keys;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;
type Expr = Arc<dyn PhysicalExpr>;

/// The left side of a join, whose keys are collected.
pub struct Collect {
    /// `None` where the plan runs again.
    pub keys: Option<Arc<Keys>>,
    pub input: Plan,
}

/// The right side, to which the filters belong.
pub struct Offer {
    pub filters: Vec<Arc<DynamicFilterPhysicalExpr>>,
    pub input: Plan,
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
        Ok(Arc::new(Offer { filters: self.filters.clone(), input }))
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
            child = child.with_self_filters(self.filters.iter().map(|f| Arc::clone(f) as Expr).collect());
        }
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(&self, _: FilterPushdownPhase, result: ChildPushdownResult, _: &ConfigOptions) -> Result<FilterPushdownPropagation<Plan>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}
