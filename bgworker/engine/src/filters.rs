//! DataFusion's rule `push_down_filter`, kept from pushing conditions below an aggregation that has a row also of nothing.
//!
//! The rule of DataFusion 53 pushes what uses group keys only, and so also a condition without any column: with `NULL AND ...` above
//! `SELECT count(*) FROM t`, the count came out as 0 instead of not at all. (The plans made here have no other conditions without columns:
//! Postgres folds them.)
//!
//! Invariant: a filter with a condition that is never true has no rows; above an aggregation without groups, or with grouping sets, every
//! other one stays where it is.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

#[derive(Debug)]
pub struct CarefulFilters(Rule);

impl CarefulFilters {
    /// Replaces the rule among the others.
    pub fn replacing(rule: Rule) -> Rule {
        if rule.name() == "push_down_filter" { Arc::new(Self(rule)) } else { rule }
    }
}

impl OptimizerRule for CarefulFilters {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Filter(filter) = &plan {
            if split_conjunction(&filter.predicate).into_iter().any(is_never_true) {
                let schema = Arc::clone(plan.schema());
                return Ok(Transformed::yes(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })));
            }
            if has_row_of_nothing(&filter.input) {
                return Ok(Transformed::no(plan));
            }
        }
        self.0.rewrite(plan, config)
    }
}

fn is_never_true(e: &Expr) -> bool {
    matches!(e, Expr::Literal(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null, _))
}

fn has_row_of_nothing(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Aggregate(a) if a.group_expr.is_empty() || a.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))))
}
