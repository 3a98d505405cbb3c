//! DataFusion's rule `extract_equijoin_predicate`, kept from making joins in which NULL equals NULL.
//!
//! The rule of DataFusion 53 makes a join of `a IS NOT DISTINCT FROM b` for which all keys are compared so; `eliminate_cross_join` then gives the
//! inner joins of one tree the comparison of the topmost, whatever each had, and the rule itself adds keys of an ordinary equality when a condition
//! comes later. Rows with NULL were lost, or joined with each other. The filters that a join finds at run time leave them out, too.
//!
//! Invariant: every key is compared by an ordinary equality; where NULL equals NULL, of the values with something in its place, and of whether they
//! are NULL. (One of these may come out as a constant: [`crate::cross_joins`] keeps it.)

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::utils::{conjunction, find_valid_equijoin_key_pair, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Join, LogicalPlan, Operator};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;
use weir_lower::not_null;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

#[derive(Debug)]
pub struct PlainKeys(Rule);

impl PlainKeys {
    /// Replaces the rule among the others.
    pub fn replacing(rule: Rule) -> Rule {
        if rule.name() == "extract_equijoin_predicate" { Arc::new(Self(rule)) } else { rule }
    }
}

impl OptimizerRule for PlainKeys {
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
        let LogicalPlan::Join(Join { filter: Some(filter), .. }) = &plan else { return self.0.rewrite(plan, config) };
        if !split_conjunction_owned(filter.clone()).iter().any(|part| null_safe(part).is_some()) {
            return self.0.rewrite(plan, config);
        }
        let LogicalPlan::Join(mut join) = plan else { return Ok(Transformed::no(plan)) };
        let mut parts = Vec::new();
        for part in join.filter.take().map(split_conjunction_owned).unwrap_or_default() {
            match plain(&part, join.left.schema(), join.right.schema()) {
                Ok(Some(keys)) => parts.extend(keys),
                Ok(None) => parts.push(part),
                // A type that has no value for that place: the condition is no key.
                Err(_) => parts.push(hidden(part)),
            }
        }
        join.filter = conjunction(parts);
        self.0.rewrite(LogicalPlan::Join(join), config)
    }
}

fn null_safe(condition: &Expr) -> Option<(&Expr, &Expr)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsNotDistinctFrom, right }) => Some((left, right)),
        _ => None,
    }
}

/// `a IS NOT DISTINCT FROM b`, each of one side, as equalities.
fn plain(condition: &Expr, left: &DFSchema, right: &DFSchema) -> Result<Option<Vec<Expr>>> {
    let Some((a, b)) = null_safe(condition) else { return Ok(None) };
    let Some((a, b)) = find_valid_equijoin_key_pair(a, b, left, right)? else { return Ok(None) };
    let ty = a.get_type(left)?;
    if b.get_type(right)? != ty {
        return internal_err!("keys of different types");
    }
    if !(a.nullable(left)? && b.nullable(right)?) {
        return Ok(Some(vec![a.eq(b)]));
    }
    let (a_is_null, b_is_null) = (a.clone().is_null(), b.clone().is_null());
    Ok(Some(vec![not_null(a, &ty)?.eq(not_null(b, &ty)?), a_is_null.eq(b_is_null)]))
}

/// The same, as the rule does not see it.
fn hidden(condition: Expr) -> Expr {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsNotDistinctFrom, right }) => {
            Expr::Not(Box::new(Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsDistinctFrom, right })))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::{JoinType, NullEquality};
    use datafusion::logical_expr::{LogicalPlanBuilder, col, table_scan};
    use datafusion::optimizer::OptimizerContext;
    use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;

    fn side(name: &str, nullable: bool) -> LogicalPlan {
        let schema = Schema::new(vec![Field::new("x", DataType::Utf8View, nullable), Field::new("y", DataType::Int32, true)]);
        table_scan(Some(name), &schema, None).and_then(LogicalPlanBuilder::build).expect("scans")
    }

    fn extracted(nullable: bool) -> Join {
        let distinct = Expr::BinaryExpr(BinaryExpr::new(Box::new(col("b.x")), Operator::IsNotDistinctFrom, Box::new(col("a.x"))));
        let on = [distinct, col("a.y").eq(col("b.y"))];
        let plan = LogicalPlanBuilder::from(side("a", true)).join_on(side("b", nullable), JoinType::Left, on).and_then(LogicalPlanBuilder::build);
        let rule = PlainKeys::replacing(Arc::new(ExtractEquijoinPredicate::new()));
        match rule.rewrite(plan.expect("joins"), &OptimizerContext::new()).expect("rewrites").data {
            LogicalPlan::Join(join) => join,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn null_is_equal_to_null_by_keys_of_their_own() {
        let both = extracted(true);
        assert_eq!((both.on.len(), both.filter, both.null_equality), (3, None, NullEquality::NullEqualsNothing));
        let one = extracted(false);
        assert_eq!((one.on.len(), one.filter, one.null_equality), (2, None, NullEquality::NullEqualsNothing));
    }
}
