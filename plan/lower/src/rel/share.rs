//! Relations that are read more than once.

use super::Lowerer;
use super::correlate::Matching;
use super::node::Node;
use crate::error::refused;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Distinct, LogicalPlan};
use weir_plan::ir::Rel;

impl Lowerer<'_> {
    /// The node in a form that gives the same rows whenever it is read.
    pub(super) fn repeatable(&mut self, node: Node) -> Result<Node> {
        if is_repeatable(&node.plan)? { Ok(node) } else { Err(refused("a subquery over rows that are not determined")) }
    }

    /// As [`Self::repeatable`] for the right side.
    pub(super) fn repeatable_right(&mut self, m: Matching, _rel: &Rel) -> Result<Matching> {
        let right = self.repeatable(m.right)?;
        Ok(Matching { right, ..m })
    }
}

/// Whether two evaluations give the same rows.
fn is_repeatable(plan: &LogicalPlan) -> Result<bool> {
    let mut repeatable = true;
    plan.apply(|p| {
        repeatable &= !matches!(p, LogicalPlan::Limit(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(Distinct::On(_)));
        Ok(if repeatable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(repeatable)
}
