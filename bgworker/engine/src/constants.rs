//! Columns that a join or a grouping set fills with NULL are not constant above it, nor is what differs between the sides of a UNION.
//!
//! DataFusion 53 takes what it knows of a join's inputs for true of its output, also of the side that an outer join fills with NULLs: with
//! `d.kind = 'x'` in the condition of a left join, `d.kind` was constant above it, so a sort by it was left out and groups by it were
//! given out as soon as the value changed. The same holds for `WHERE a = 1 GROUP BY ROLLUP (a)`. A column that is another constant in each
//! side of a UNION is left out of the orders of the sides, and was still missing when these were merged.
//!
//! Invariants:
//! - Each such input stands below a [`Forget`], from before the first rule on.
//! - A `Forget` changes no row, and stays in the plan: an aggregate computes from its input's properties how it runs whenever it is made anew.

use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// Puts a [`Forget`] below each such node. Runs before all other rules.
#[derive(Debug)]
pub struct ForgetConstants;

impl PhysicalOptimizerRule for ForgetConstants {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        plan.transform_up(|node| {
            let filled = filled_with_nulls(&node);
            if !filled.contains(&true) {
                return Ok(Transformed::no(node));
            }
            let children = node.children().into_iter().zip(filled);
            let children = children.map(|(child, filled)| if filled { Forget::above(child) } else { Arc::clone(child) }).collect();
            Ok(Transformed::yes(node.with_new_children(children)?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "ForgetConstants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// For each child, whether what is constant in it may not be so above.
fn filled_with_nulls(node: &Plan) -> Vec<bool> {
    let any = node.as_any();
    let join_type = if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        *join.join_type()
    } else if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() {
        *join.join_type()
    } else if let Some(join) = any.downcast_ref::<SortMergeJoinExec>() {
        join.join_type()
    } else if any.is::<UnionExec>() {
        return vec![true; node.children().len()];
    } else {
        return vec![any.downcast_ref::<AggregateExec>().is_some_and(|a| a.group_expr().groups().iter().flatten().any(|hidden| *hidden))];
    };
    match join_type {
        JoinType::Left => vec![false, true],
        JoinType::Right => vec![true, false],
        JoinType::Full => vec![true, true],
        _ => vec![false, false],
    }
}

/// Its input, of which nothing is known but its partitions.
#[derive(Debug)]
pub struct Forget {
    input: Plan,
    properties: Arc<PlanProperties>,
}

impl Forget {
    fn new(input: Plan) -> Self {
        let known = input.properties();
        let properties =
            PlanProperties::new(EquivalenceProperties::new(input.schema()), known.output_partitioning().clone(), known.emission_type, known.boundedness);
        Self { properties: Arc::new(properties), input }
    }

    fn above(input: &Plan) -> Plan {
        if input.as_any().is::<Forget>() { Arc::clone(input) } else { Arc::new(Self::new(Arc::clone(input))) }
    }
}

impl DisplayAs for Forget {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forget")
    }
}

impl ExecutionPlan for Forget {
    fn name(&self) -> &'static str {
        "Forget"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        Ok(Arc::new(Self::new(children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input)))))
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

    fn gather_filters_for_pushdown(&self, _: FilterPushdownPhase, parent_filters: Vec<Arc<dyn PhysicalExpr>>, _: &ConfigOptions) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(&self, _: FilterPushdownPhase, result: ChildPushdownResult, _: &ConfigOptions) -> Result<FilterPushdownPropagation<Plan>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}
