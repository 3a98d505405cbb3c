//! DataFusion's rule `eliminate_cross_join`, kept from losing a condition.
//!
//! The rule takes a tree of inner joins apart and joins its inputs again in an order of its own, by the equalities that the joins had. One whose side
//! has columns of several inputs (`a.x + b.x = c.x`) fits nowhere if its other side is joined before these are together; the rule of DataFusion 53
//! then forgets it: `FROM a, b WHERE (SELECT max(c.x) FROM c WHERE c.y = a.y) = a.x + b.x` gave every pair.
//!
//! Invariant: each equality of the joins before is one of the joins after, or the condition of one.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{NullEquality, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Join, JoinType, LogicalPlan, Operator, binary_expr};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::collections::HashMap;
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// Equalities, whichever side comes first, and how often each is there.
type Equalities = HashMap<String, usize>;

/// What is lost is kept apart in the next attempt, and then there is nothing left to be lost.
const ATTEMPTS: usize = 3;

#[derive(Debug)]
pub struct CarefulCrossJoins(Rule);

impl CarefulCrossJoins {
    /// Replaces the rule among the others.
    pub fn replacing(rule: Rule) -> Rule {
        if rule.name() == "eliminate_cross_join" { Arc::new(Self(rule)) } else { rule }
    }
}

impl OptimizerRule for CarefulCrossJoins {
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
        if equalities(&plan)?.is_empty() {
            return self.0.rewrite(plan, config);
        }
        let mut input = plan.clone();
        for _ in 0..ATTEMPTS {
            let before = equalities(&input)?;
            let done = self.0.rewrite(input.clone(), config)?;
            let after = equalities(&done.data)?;
            let lost = |e: &String| after.get(e).copied().unwrap_or(0) < before.get(e).copied().unwrap_or(0);
            if !before.keys().any(lost) {
                return Ok(done);
            }
            input = apart(input, &lost)?;
        }
        Ok(Transformed::no(plan))
    }
}

fn spelled(l: &impl ToString, r: &impl ToString) -> String {
    let (l, r) = (l.to_string(), r.to_string());
    if l <= r { format!("{l} = {r}") } else { format!("{r} = {l}") }
}

/// Of all inner joins of the plan.
fn equalities(plan: &LogicalPlan) -> Result<Equalities> {
    let mut found = Equalities::new();
    plan.apply(|node| {
        if let LogicalPlan::Join(join) = node
            && join.join_type == JoinType::Inner
        {
            join.on.iter().for_each(|(l, r)| *found.entry(spelled(l, r)).or_default() += 1);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The plan with these equalities among what else joins ask for, which the rule keeps.
fn apart(plan: LogicalPlan, these: &impl Fn(&String) -> bool) -> Result<LogicalPlan> {
    let moved = plan.transform_down(|node| {
        let LogicalPlan::Join(join) = node else { return Ok(Transformed::no(node)) };
        if join.join_type != JoinType::Inner || !join.on.iter().any(|(l, r)| these(&spelled(l, r))) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let equal = if join.null_equality == NullEquality::NullEqualsNull { Operator::IsNotDistinctFrom } else { Operator::Eq };
        let (conditions, on): (Vec<_>, Vec<_>) = join.on.into_iter().partition(|(l, r)| these(&spelled(l, r)));
        let conditions = conditions.into_iter().map(|(l, r)| binary_expr(l, equal, r));
        let filter = conjunction(join.filter.into_iter().chain(conditions));
        Ok(Transformed::yes(LogicalPlan::Join(Join { on, filter, ..join })))
    })?;
    Ok(moved.data)
}
