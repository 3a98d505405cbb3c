//! Outer joins whose filled rows nothing above lets through become inner joins.
//!
//! DataFusion's rule `eliminate_outer_join` looks at a filter directly above the join only. Here the keys of joins further up count too, as
//! in Postgres: of `(sales LEFT JOIN returns ...) JOIN reason ON returns.reason = reason.id` no sale without a return is left over, and the
//! filter that the join with `reason` finds at run time then reaches the scans of both.
//!
//! Invariant: a column counts as needed only where a row in which it is NULL cannot change the result of the whole plan.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, NullEquality, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Cast, Distinct, Expr, Filter, Join, JoinType, LogicalPlan, Operator, Projection};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::collections::HashSet;
use std::sync::Arc;

/// Columns that are not NULL in any row that matters.
type Needed = HashSet<Column>;

#[derive(Debug)]
pub struct ReduceOuterJoins;

impl ReduceOuterJoins {
    /// The rule that it is put after.
    pub const AFTER: &str = "eliminate_outer_join";
}

impl OptimizerRule for ReduceOuterJoins {
    fn name(&self) -> &str {
        "reduce_outer_joins"
    }

    /// The whole plan at once, from its top.
    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        reduce(plan, &Needed::new())
    }
}

fn reduce(plan: LogicalPlan, needed: &Needed) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Join(join) = plan {
        return reduce_join(join, needed);
    }
    let below = needed_below(&plan, needed);
    plan.map_children(|child| reduce(child, &below))
}

/// What of its input a node other than a join needs.
fn needed_below(plan: &LogicalPlan, needed: &Needed) -> Needed {
    match plan {
        LogicalPlan::Filter(Filter { predicate, .. }) => {
            let mut below = needed.clone();
            compared(predicate, &mut below);
            below
        }
        LogicalPlan::Projection(Projection { expr, schema, .. }) => {
            let of_output = expr.iter().zip(schema.columns()).filter(|(_, output)| needed.contains(output));
            of_output.filter_map(|(e, _)| column_of(e)).cloned().collect()
        }
        // Rows that are dropped are of groups that are dropped.
        LogicalPlan::Aggregate(a) => {
            let of_output = a.group_expr.iter().zip(a.schema.columns()).filter(|(_, output)| needed.contains(output));
            of_output.filter_map(|(e, _)| column_of(e)).cloned().collect()
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => needed.clone(),
        LogicalPlan::Distinct(Distinct::All(_)) => needed.clone(),
        _ => Needed::new(),
    }
}

fn reduce_join(mut join: Join, needed: &Needed) -> Result<Transformed<LogicalPlan>> {
    let reduced = join_type(&join, needed);
    let changed = reduced != join.join_type;
    join.join_type = reduced;
    // What a row must have to be joined.
    let mut keys = Needed::new();
    if join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware {
        keys.extend(join.on.iter().flat_map(|(l, r)| [l, r]).filter_map(column_of).cloned());
        if let Some(filter) = &join.filter {
            compared(filter, &mut keys);
        }
    }
    let (mut left, mut right) = (Needed::new(), Needed::new());
    if matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark) {
        left.extend(of_side(needed, join.left.schema()));
    }
    if matches!(join.join_type, JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark) {
        right.extend(of_side(needed, join.right.schema()));
    }
    if matches!(join.join_type, JoinType::Inner | JoinType::Right | JoinType::LeftSemi | JoinType::RightSemi) {
        left.extend(of_side(&keys, join.left.schema()));
    }
    if matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::RightSemi) {
        right.extend(of_side(&keys, join.right.schema()));
    }
    let from_left = reduce(Arc::unwrap_or_clone(join.left), &left)?;
    let from_right = reduce(Arc::unwrap_or_clone(join.right), &right)?;
    let changed = changed || from_left.transformed || from_right.transformed;
    // The schema stays: what was nullable may be, for those above that have been made for that.
    let join = LogicalPlan::Join(Join { left: Arc::new(from_left.data), right: Arc::new(from_right.data), ..join });
    Ok(Transformed::new_transformed(join, changed))
}

/// The join that gives the same rows but for those in which a needed column is NULL.
fn join_type(join: &Join, needed: &Needed) -> JoinType {
    let has = |side: &LogicalPlan| of_side(needed, side.schema()).next().is_some();
    match join.join_type {
        JoinType::Left if has(&join.right) => JoinType::Inner,
        JoinType::Right if has(&join.left) => JoinType::Inner,
        JoinType::Full => match (has(&join.left), has(&join.right)) {
            (true, true) => JoinType::Inner,
            (true, false) => JoinType::Left,
            (false, true) => JoinType::Right,
            (false, false) => JoinType::Full,
        },
        other => other,
    }
}

fn of_side<'a>(needed: &'a Needed, schema: &'a DFSchema) -> impl Iterator<Item = Column> + 'a {
    needed.iter().filter(|c| schema.has_column(c)).cloned()
}

/// The columns that must not be NULL for a condition to be true.
fn compared(condition: &Expr, needed: &mut Needed) {
    for part in split_conjunction(condition) {
        match part {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_strict(*op) => needed.extend([&**left, &**right].into_iter().filter_map(column_of).cloned()),
            Expr::IsNotNull(e) => needed.extend(column_of(e).cloned()),
            _ => {}
        }
    }
}

fn is_strict(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

/// The column that an expression is NULL with.
fn column_of(e: &Expr) -> Option<&Column> {
    match e {
        Expr::Column(c) => Some(c),
        Expr::Alias(a) => column_of(&a.expr),
        Expr::Cast(Cast { expr, .. }) => column_of(expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::functions_aggregate::count::count;
    use datafusion::logical_expr::{LogicalPlanBuilder, col, lit, table_scan};
    use datafusion::optimizer::OptimizerContext;

    fn table(columns: [&str; 2]) -> LogicalPlanBuilder {
        let schema = Schema::new(columns.map(|name| Field::new(name, DataType::Int32, true)).to_vec());
        table_scan(None::<&str>, &schema, None).expect("a table")
    }

    /// `ab` and `xy` joined by `a = x`.
    fn joined(kind: JoinType) -> LogicalPlanBuilder {
        let right = table(["x", "y"]).build().expect("a plan");
        table(["a", "b"]).join(right, kind, (vec!["a"], vec!["x"]), None).expect("a join")
    }

    fn with_reasons(plan: LogicalPlanBuilder, kind: JoinType, key: &str) -> LogicalPlanBuilder {
        plan.join(table(["r", "s"]).build().expect("a plan"), kind, (vec![key], vec!["r"]), None).expect("a join")
    }

    /// The types of the joins after the rule, from the top.
    fn types(plan: LogicalPlanBuilder) -> Vec<JoinType> {
        let reduced = ReduceOuterJoins.rewrite(plan.build().expect("a plan"), &OptimizerContext::new()).expect("a plan").data;
        let mut found = vec![];
        reduced
            .apply(|p| {
                if let LogicalPlan::Join(join) = p {
                    found.push(join.join_type);
                }
                Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
            })
            .expect("walks");
        found
    }

    #[test]
    fn the_key_of_a_join_above_counts() {
        use JoinType::{Full, Inner, Left, LeftAnti, LeftMark, LeftSemi, Right};
        assert_eq!(types(with_reasons(joined(Left), Inner, "y")), [Inner, Inner]);
        assert_eq!(types(with_reasons(joined(Left), Inner, "b")), [Inner, Left]);
        assert_eq!(types(with_reasons(joined(Left), LeftSemi, "y")), [LeftSemi, Inner]);
        assert_eq!(types(with_reasons(joined(Left), Right, "y")), [Right, Inner]);
        assert_eq!(types(with_reasons(joined(Full), Inner, "y")), [Inner, Right]);
        assert_eq!(types(with_reasons(joined(Full), Inner, "b")), [Inner, Left]);
        for kind in [Left, Full, LeftAnti, LeftMark] {
            assert_eq!(types(with_reasons(joined(Left), kind, "y")), [kind, Left], "what is not joined is kept");
        }
    }

    #[test]
    fn nulls_that_are_joined_or_asked_for_are_kept() {
        let nulls_join = LogicalPlanBuilder::join_detailed(
            joined(JoinType::Left),
            table(["r", "s"]).build().expect("a plan"),
            JoinType::Inner,
            (vec!["y"], vec!["r"]),
            None,
            NullEquality::NullEqualsNull,
        );
        assert_eq!(types(nulls_join.expect("a join")), [JoinType::Inner, JoinType::Left]);
        assert_eq!(types(joined(JoinType::Left).filter(col("y").is_null()).expect("a filter")), [JoinType::Left]);
        assert_eq!(types(joined(JoinType::Left).filter(col("y").eq(lit(1)).or(col("b").eq(lit(1)))).expect("a filter")), [JoinType::Left]);
    }

    #[test]
    fn what_is_needed_passes_groups_and_names_but_no_limit() {
        let grouped = || joined(JoinType::Left).aggregate(vec![col("y")], vec![count(col("b"))]).expect("groups");
        assert_eq!(types(grouped().filter(col("y").gt(lit(1))).expect("a filter")), [JoinType::Inner]);
        assert_eq!(types(grouped().filter(count(col("b")).gt(lit(1))).expect("a filter")), [JoinType::Left]);
        let named = || joined(JoinType::Left).project(vec![col("y").alias("z")]).expect("names");
        assert_eq!(types(named().filter(col("z").is_not_null()).expect("a filter")), [JoinType::Inner]);
        assert_eq!(types(named().limit(0, Some(3)).expect("a limit").filter(col("z").gt(lit(1))).expect("a filter")), [JoinType::Left]);
    }
}
