//! Rules of DataFusion's, kept away from nodes of which they lose something.
//!
//! `ProjectionPushdown` of DataFusion 53 tells the columns of a join apart by the number of columns on its left: an index below it is taken for
//! the left side, the others for the right. A semi, anti or mark join gives the columns of one side (and the mark), so projections above it
//! were pushed into the wrong side, which the names of the columns then disprove, and the query is refused.
//!
//! `FilterPushdown` asks an aggregation which conditions go below it. That answers for those on its keys first, in whatever order they were, and
//! the answers are taken for those of the conditions as they stand: of `HAVING count(*) > 5 AND key = 1` the first one was lost. (The
//! logical rule has pushed down by then what goes below an aggregation.)
//!
//! Invariants:
//! - Above each such node stands a fence while the rule runs, and none stands afterwards.
//! - A projection is still embedded into such a join, by the indices of what the join itself gives.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::{ProjectionExec, try_embed_projection};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;
type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// A rule, run between fences.
#[derive(Debug)]
pub struct Fenced {
    rule: Rule,
    is_fenced: fn(&Plan) -> bool,
}

impl Fenced {
    /// Replaces these rules among the others.
    pub fn replacing(rule: Rule) -> Rule {
        let is_fenced = match rule.name() {
            "ProjectionPushdown" => is_one_sided,
            "FilterPushdown" => is_aggregation,
            _ => return rule,
        };
        Arc::new(Self { rule, is_fenced })
    }
}

impl PhysicalOptimizerRule for Fenced {
    fn optimize(&self, plan: Plan, config: &ConfigOptions) -> Result<Plan> {
        let fenced = plan.transform_up(|node| {
            let is_fenced = (self.is_fenced)(&node);
            Ok(if is_fenced { Transformed::yes(Arc::new(Fence(node)) as Plan) } else { Transformed::no(node) })
        })?;
        let plan = self.rule.optimize(fenced.data, config)?;
        if !fenced.transformed {
            return Ok(plan);
        }
        plan.transform_up(|node| {
            Ok(match node.as_any().downcast_ref::<Fence>() {
                Some(Fence(fenced)) => Transformed::yes(Arc::clone(fenced)),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

fn is_aggregation(node: &Plan) -> bool {
    node.as_any().is::<AggregateExec>()
}

fn is_one_sided(node: &Plan) -> bool {
    let any = node.as_any();
    let join_type = if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() {
        *join.join_type()
    } else if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        *join.join_type()
    } else if let Some(join) = any.downcast_ref::<SortMergeJoinExec>() {
        join.join_type()
    } else {
        return false;
    };
    !matches!(join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full)
}

/// Stands above one such node; conditions do not pass it.
#[derive(Debug)]
struct Fence(Plan);

impl DisplayAs for Fence {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence")
    }
}

impl ExecutionPlan for Fence {
    fn name(&self) -> &'static str {
        "Fence"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.0]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        Ok(Arc::new(Self(children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.0)))))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.0.execute(partition, task)
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Plan>> {
        let any = self.0.as_any();
        if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>()
            && !join.contains_projection()
        {
            try_embed_projection(projection, join)
        } else if let Some(join) = any.downcast_ref::<HashJoinExec>()
            && !join.contains_projection()
        {
            try_embed_projection(projection, join)
        } else {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
    use datafusion::physical_plan::empty::EmptyExec;

    fn table(prefix: &str, columns: usize) -> Plan {
        let fields: Vec<_> = (0..columns).map(|i| Field::new(format!("{prefix}{i}"), DataType::Int32, true)).collect();
        Arc::new(EmptyExec::new(Arc::new(Schema::new(fields))))
    }

    /// A projection of some columns of a join, before and after the rule.
    fn pushed(join_type: JoinType, columns: &[&str]) -> (Plan, Plan) {
        let join = NestedLoopJoinExec::try_new(table("l", 3), table("r", 4), None, &join_type, None).expect("a join");
        let column = |name: &&str| {
            let index = join.schema().index_of(name).expect("a column");
            (Arc::new(Column::new(name, index)) as Arc<dyn datafusion::physical_expr::PhysicalExpr>, (*name).to_owned())
        };
        let expressions: Vec<_> = columns.iter().map(column).collect();
        let before: Plan = Arc::new(ProjectionExec::try_new(expressions, Arc::new(join)).expect("a projection"));
        let rule = Fenced::replacing(Arc::new(ProjectionPushdown::new()));
        let after = rule.optimize(Arc::clone(&before), &ConfigOptions::new()).expect("a plan");
        (before, after)
    }

    #[test]
    fn projections_above_one_sided_joins_keep_their_columns() {
        for (join_type, columns) in [
            (JoinType::LeftMark, &["l0", "mark"][..]),
            (JoinType::LeftMark, &["l2"]),
            (JoinType::RightMark, &["r1", "mark"]),
            (JoinType::RightMark, &["r2", "r3"]),
            (JoinType::RightSemi, &["r0", "r3"]),
            (JoinType::RightAnti, &["r2", "r3"]),
            (JoinType::LeftAnti, &["l0", "l2"]),
            (JoinType::LeftSemi, &["l1"]),
        ] {
            let (before, after) = pushed(join_type, columns);
            assert_eq!(before.schema(), after.schema(), "{join_type}");
            assert!(after.as_any().is::<NestedLoopJoinExec>(), "the projection is embedded into {join_type}");
            assert!(!after.exists(|node| Ok(node.as_any().is::<Fence>())).expect("a walk"));
        }
    }
}
