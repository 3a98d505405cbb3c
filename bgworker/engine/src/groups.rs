//! DataFusion's rules `eliminate_group_by_constant` and `single_distinct_aggregation_to_group_by`, kept from making an aggregation without
//! groups of one that has some.
//!
//! An aggregation by constants has no row over no input; one without groups has one. The first rule of DataFusion 53 takes the one for the
//! other when all groups are constants, which the second makes of `count(DISTINCT 1)`: over nothing, the count came out as 1.
//!
//! Invariant: an aggregation that has groups keeps one, and the DISTINCT of a constant stays where it is.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

#[derive(Debug)]
pub struct CarefulGroups {
    rule: Rule,
    /// Whether the rule may see the aggregation.
    allowed: fn(&Aggregate) -> bool,
}

impl CarefulGroups {
    /// Replaces the rules among the others.
    pub fn replacing(rule: Rule) -> Rule {
        let allowed = match rule.name() {
            "eliminate_group_by_constant" => |a: &Aggregate| !a.group_expr.iter().all(is_constant),
            "single_distinct_aggregation_to_group_by" => |a: &Aggregate| !a.aggr_expr.iter().any(is_distinct_constant),
            _ => return rule,
        };
        Arc::new(Self { rule, allowed })
    }
}

impl OptimizerRule for CarefulGroups {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Aggregate(a) if !(self.allowed)(a) => Ok(Transformed::no(plan)),
            _ => self.rule.rewrite(plan, config),
        }
    }
}

/// Whether it could be folded: nothing in it differs from row to row.
fn is_constant(e: &Expr) -> bool {
    let varies = e.exists(|e| Ok(matches!(e, Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::GroupingSet(_))));
    matches!(varies, Ok(false))
}

fn is_distinct_constant(e: &Expr) -> bool {
    let Expr::AggregateFunction(f) = e else { return false };
    f.params.distinct && f.params.args.iter().any(is_constant)
}
