//! Partitions are brought together where an operator reads one.
//!
//! DataFusion 53 sorts partitions each for itself: its rule `EnforceSorting` takes away what brings them together below a sort. It goes down to the
//! place by the child that leads there, but at a join it looks at the first child only, and took away what gathers the left side, which is read as
//! one, if the right side had the place. The query was then refused by DataFusion's own check.
//!
//! Invariant: the rows are the same; only their order may be another, where nobody asks for one.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::Distribution;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

#[derive(Debug)]
pub struct GatherAgain;

impl GatherAgain {
    /// The rule behind which it has its place.
    pub const AFTER: &'static str = "EnforceSorting";
}

impl PhysicalOptimizerRule for GatherAgain {
    fn optimize(&self, plan: Plan, _: &ConfigOptions) -> Result<Plan> {
        plan.transform_up(|node| {
            let scattered = scattered(&node);
            if !scattered.contains(&true) {
                return Ok(Transformed::no(node));
            }
            let children = node.children().into_iter().zip(scattered);
            let children = children.map(|(child, is)| if is { Arc::new(CoalescePartitionsExec::new(Arc::clone(child))) as Plan } else { Arc::clone(child) });
            let children = children.collect();
            Ok(Transformed::yes(node.with_new_children(children)?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "GatherAgain"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// For each child, whether it has several partitions where one is read, in any order.
fn scattered(node: &Plan) -> Vec<bool> {
    let needed = node.required_input_distribution().into_iter().zip(node.required_input_ordering());
    node.children()
        .into_iter()
        .zip(needed)
        .map(|(child, (distribution, order))| {
            matches!(distribution, Distribution::SinglePartition) && order.is_none() && child.output_partitioning().partition_count() > 1
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::joins::CrossJoinExec;

    #[test]
    fn the_left_side_of_a_join_is_gathered_and_the_right_one_stays() {
        let side = |name: &str| -> Plan {
            let schema = Arc::new(Schema::new(vec![Field::new(name, DataType::Int32, true)]));
            Arc::new(EmptyExec::new(schema).with_partitions(3))
        };
        let join: Plan = Arc::new(CrossJoinExec::new(side("a"), side("b")));
        let plan = GatherAgain.optimize(join, &ConfigOptions::default()).expect("optimises");
        let counts: Vec<_> = plan.children().iter().map(|child| child.output_partitioning().partition_count()).collect();
        assert_eq!(counts, [1, 3]);
    }
}
