//! Subqueries as joins: EXISTS, IN, ANY, ALL with three-valued logic, and scalar subqueries.
//!
//! - In a filter, EXISTS and `= ANY` are semi joins, their negations anti joins; the join condition says what NULLs mean.
//! - Elsewhere a mark join adds the truth value as a column.
//! - A scalar subquery is joined as at most one row per outer row; a second row is an error.

use super::correlate::{Attempt, Matching};
use super::expr::{Scope, has_subquery};
use super::join::joined;
use super::node::{Node, column, named};
use super::{Lowerer, walk};
use crate::error::{raise, refused};
use crate::udf;
use crate::value::{DScale, Value};
use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{ColumnarValue, Expr as DfExpr, ExprSchemable, JoinType, LogicalPlanBuilder, ScalarFunctionArgs, lit, when};
use std::sync::Arc;
use weir_plan::ir::{ColId, Expr, JoinKind, Rel, Scalar, SubqueryComparison};
use weir_plan::types::PgType;

impl Lowerer<'_> {
    /// Replaces the subqueries in expressions by columns that are joined to the node.
    pub(super) fn absorb<'e>(&mut self, node: Node, exprs: impl IntoIterator<Item = &'e Expr>) -> Result<(Node, Vec<Expr>)> {
        let mut node = Some(node);
        let mut out = Vec::new();
        for e in exprs {
            out.push(self.replace(&mut node, e)?);
        }
        Ok((taken(&mut node)?, out))
    }

    pub(super) fn replace(&mut self, node: &mut Option<Node>, e: &Expr) -> Result<Expr> {
        if !has_subquery(e) {
            return Ok(e.clone());
        }
        let e = walk::map_children(e, &mut |c| self.replace(node, c))?;
        let (next, value, ty) = match &e {
            Expr::Exists { rel } => {
                let (next, value) = self.exists_mark(taken(node)?, rel)?;
                (next, value, PgType::BOOL)
            }
            Expr::AnySubquery { any, comparisons, rel } => {
                let (next, value) = self.quantified_mark(taken(node)?, *any, comparisons, rel)?;
                (next, value, PgType::BOOL)
            }
            Expr::ScalarSubquery { rel, column, ty } => {
                let (next, value) = self.scalar(taken(node)?, rel, *column)?;
                (next, value, *ty)
            }
            _ => return Ok(e),
        };
        let id = self.fresh_id();
        let mut next = next;
        next.cols.insert(id, value);
        *node = Some(next);
        Ok(Expr::Column { id, ty })
    }

    /// Keeps the rows for which a condition with a subquery is true.
    pub(super) fn filter_by_subquery(&mut self, node: Node, condition: &Expr) -> Result<Node> {
        let (positive, inner) = match condition {
            Expr::Not(inner) => (false, inner.as_ref()),
            other => (true, other),
        };
        match inner {
            Expr::Exists { rel } => {
                let kind = if positive { JoinKind::Semi } else { JoinKind::Anti };
                self.exists(node, rel, kind)
            }
            Expr::AnySubquery { any, comparisons, rel } => {
                let (node, comparisons) = self.absorb_lefts(node, comparisons)?;
                match (positive, any) {
                    (false, true) => self.not_in(node, &comparisons, rel),
                    (true, true) => self.quantified(node, &comparisons, rel, JoinKind::Semi, |e| e),
                    (true, false) => self.quantified(node, &comparisons, rel, JoinKind::Anti, DfExpr::is_not_true),
                    (false, false) => self.quantified(node, &comparisons, rel, JoinKind::Semi, DfExpr::is_false),
                }
            }
            _ => {
                let (node, exprs) = self.absorb(node, [condition])?;
                let mut predicate = None;
                for e in &exprs {
                    predicate = Some(self.expr(e, &Scope::of(&node))?.expr);
                }
                match predicate {
                    Some(p) => node.map_plan(|b| b.filter(p)),
                    None => Ok(node),
                }
            }
        }
    }

    fn absorb_lefts(&mut self, node: Node, comparisons: &[SubqueryComparison]) -> Result<(Node, Vec<SubqueryComparison>)> {
        let (node, lefts) = self.absorb(node, comparisons.iter().map(|c| &c.left))?;
        Ok((node, comparisons.iter().zip(lefts).map(|(c, left)| SubqueryComparison { left, ..c.clone() }).collect()))
    }

    fn exists(&mut self, node: Node, rel: &Rel, kind: JoinKind) -> Result<Node> {
        if no_rows(rel) {
            return if kind == JoinKind::Anti { Ok(node) } else { node.map_plan(|p| p.filter(lit(false))) };
        }
        let Some(rel) = rows_only(rel) else {
            // Always one row.
            return if kind == JoinKind::Semi { Ok(node) } else { node.map_plan(|p| p.filter(lit(false))) };
        };
        let m = self.matching(node, rel)?;
        joined(kind, m.left, m.right, m.on)
    }

    fn exists_mark(&mut self, node: Node, rel: &Rel) -> Result<(Node, Value)> {
        if no_rows(rel) {
            return Ok((node, Value::bool(lit(false))));
        }
        let Some(rel) = rows_only(rel) else { return Ok((node, Value::bool(lit(true)))) };
        let m = self.matching(node, rel)?;
        let (node, mark) = self.mark(m.left, &m.right, m.on)?;
        Ok((node, Value::bool(mark)))
    }

    /// Adds a column that says whether a row has a match; it is never NULL.
    fn mark(&mut self, left: Node, right: &Node, mut on: Vec<DfExpr>) -> Result<(Node, DfExpr)> {
        if on.is_empty() {
            on.push(lit(true));
        }
        let mut exprs: Vec<DfExpr> = left.plan.schema().columns().into_iter().map(DfExpr::Column).collect();
        let plan = LogicalPlanBuilder::from(left.plan).join_on(right.plan.clone(), JoinType::LeftMark, on)?.build()?;
        let Some(mark) = plan.schema().columns().pop() else { return internal_err!("a mark join without a mark") };
        let name = format!("m{}", self.fresh());
        // A plain projection of the mark would be pushed below the join, where there is no mark, and so would one below a filter by it.
        exprs.push(udf::call_in_place("marked", "", DataType::Boolean, vec![DfExpr::Column(mark)], Arc::new(first_argument)).alias(&name));
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok((Node { plan, cols: left.cols, order: left.order, dom: left.dom }, column(name)))
    }

    /// The comparisons of an outer row with a row of the subquery.
    fn compared(&self, m: &Matching, comparisons: &[SubqueryComparison]) -> Result<DfExpr> {
        let mut all: Option<DfExpr> = None;
        for c in comparisons {
            let left = self.expr(&c.left, &Scope::of(&m.left))?;
            let mut right = m.right.get(c.column)?.clone();
            right.ty = c.column_ty;
            let e = self.call(c.func, vec![left, right], PgType::BOOL, c.collation)?.expr;
            all = Some(match all {
                Some(a) => a.and(e),
                None => e,
            });
        }
        all.ok_or_else(|| refused("a quantified subquery without a comparison"))
    }

    fn quantified(&mut self, node: Node, comparisons: &[SubqueryComparison], rel: &Rel, kind: JoinKind, test: impl FnOnce(DfExpr) -> DfExpr) -> Result<Node> {
        let m = self.matching(node, any_order(rel))?;
        let compared = self.compared(&m, comparisons)?;
        let mut on = m.on;
        on.push(test(compared));
        joined(kind, m.left, m.right, on)
    }

    /// `NOT IN` is true if no comparison is true or NULL.
    fn not_in(&mut self, node: Node, comparisons: &[SubqueryComparison], rel: &Rel) -> Result<Node> {
        let rel = any_order(rel);
        let m = self.matching(node, rel)?;
        let compared = self.compared(&m, comparisons)?;
        if !may_be_null(&compared, &m)? {
            let mut on = m.on;
            on.push(compared);
            return joined(JoinKind::Anti, m.left, m.right, on);
        }
        if let ([c], true) = (comparisons, m.uncorrelated) {
            // A hash join finds the equal ones; the NULLs are counted.
            let (m, counts) = self.with_counts(m, c.column)?;
            let left = self.expr(&c.left, &Scope::of(&m.left))?.expr;
            let mut on = m.on;
            on.push(compared);
            let node = m.left.map_plan(|p| p.filter(counts.rows.clone().eq(lit(0i64)).or(left.is_not_null().and(counts.rows.eq(counts.non_null)))))?;
            return joined(JoinKind::Anti, node, m.right, on);
        }
        let mut on = m.on;
        on.push(compared.is_not_false());
        joined(JoinKind::Anti, m.left, m.right, on)
    }

    /// The truth value of a quantified comparison as a column.
    fn quantified_mark(&mut self, node: Node, any: bool, comparisons: &[SubqueryComparison], rel: &Rel) -> Result<(Node, Value)> {
        let (node, comparisons) = self.absorb_lefts(node, comparisons)?;
        let rel = any_order(rel);
        let m = self.matching(node, rel)?;
        let compared = self.compared(&m, &comparisons)?;
        let nullable = may_be_null(&compared, &m)?;
        let decides = if any { compared.clone() } else { compared.clone().is_false() };
        let with = |on: &[DfExpr], e: DfExpr| on.iter().cloned().chain([e]).collect::<Vec<_>>();
        if !nullable {
            let (node, mark) = self.mark(m.left, &m.right, with(&m.on, decides))?;
            return Ok((node, Value::bool(if any { mark } else { datafusion::logical_expr::not(mark) })));
        }
        let null = DfExpr::Literal(ScalarValue::Boolean(None), None);
        if let ([c], true) = (comparisons.as_slice(), m.uncorrelated) {
            let (m, counts) = self.with_counts(m, c.column)?;
            let (node, mark) = self.mark(m.left, &m.right, with(&m.on, decides))?;
            let left = self.expr(&c.left, &Scope::of(&node))?.expr;
            // Comparisons are strict.
            let unknown = counts.rows.clone().not_eq(lit(0i64)).and(left.is_null().or(counts.rows.not_eq(counts.non_null)));
            let value = when(mark, lit(any)).when(unknown, null).otherwise(lit(!any))?;
            return Ok((node, Value::bool(value)));
        }
        let m = self.repeatable_right(m)?;
        let (node, mark) = self.mark(m.left, &m.right, with(&m.on, decides))?;
        let (node, unknown) = self.mark(node, &m.right, with(&m.on, compared.is_null()))?;
        let value = when(mark, lit(any)).when(unknown, null).otherwise(lit(!any))?;
        Ok((node, Value::bool(value)))
    }

    /// Joins the one row of (number of rows, number of values) of an uncorrelated subquery to the left side.
    fn with_counts(&mut self, m: Matching, id: ColId) -> Result<(Matching, Counts)> {
        let m = self.repeatable_right(m)?;
        let value = m.right.get(id)?.expr.clone();
        let (rows, non_null) = (format!("n{}", self.fresh()), format!("n{}", self.fresh()));
        let counted = LogicalPlanBuilder::from(m.right.plan.clone())
            .aggregate(Vec::<DfExpr>::new(), vec![count(lit(1i64)).alias(&rows), count(value).alias(&non_null)])?
            .build()?;
        let left = m.left.map_plan(|p| p.cross_join(counted))?;
        Ok((Matching { left, ..m }, Counts { rows: column(rows), non_null: column(non_null) }))
    }

    /// A scalar subquery's value for each row of the node.
    fn scalar(&mut self, node: Node, rel: &Rel, id: ColId) -> Result<(Node, Value)> {
        if self.free_columns(rel).is_empty() {
            let sub = self.rel(rel, None)?;
            let (sub, value) = self.at_most_one_row(sub, rel, id)?;
            let node = node.map_plan(|p| p.cross_join(sub.plan))?;
            return Ok((node, value));
        }
        match self.correlated_aggregate(node, rel, id)? {
            Attempt::Done(node, value) => Ok((node, value)),
            Attempt::Not(node) => self.scalar_by_domain(node, rel, id),
        }
    }

    fn scalar_by_domain(&mut self, node: Node, rel: &Rel, id: ColId) -> Result<(Node, Value)> {
        let (left, domain) = self.domain_of(node, rel)?;
        let Some(domain) = domain else { return internal_err!("a correlated subquery without correlation") };
        let right = self.rel(rel, Some(&domain))?;
        let (right, value) = self.at_most_one_row(right, rel, id)?;
        let on = self.on_domain(&left, &right)?;
        let plan = LogicalPlanBuilder::from(left.plan).join_on(right.plan, JoinType::Left, on)?.build()?;
        Ok((Node { plan, ..left }, value))
    }

    fn at_most_one_row(&mut self, node: Node, rel: &Rel, id: ColId) -> Result<(Node, Value)> {
        if !one_row(rel) {
            return self.single(node, id);
        }
        let node = self.projected_value(node, id)?;
        let value = node.get(id)?.clone();
        Ok((node, value))
    }

    /// Only one column (and the domain), under a name that occurs nowhere else.
    fn projected_value(&mut self, node: Node, id: ColId) -> Result<Node> {
        let (mut exprs, there) = named(&format!("s{}", self.fresh()), node.get(id)?);
        exprs.extend(node.dom.iter().flat_map(|(_, v)| super::node::physical(v)));
        let node = node.map_plan(|p| p.project(exprs))?;
        Ok(Node { cols: [(id, there)].into(), order: vec![id], ..node })
    }

    /// One row for each row of the domain (that has any), with a value that raises an error if there were more.
    fn single(&mut self, node: Node, id: ColId) -> Result<(Node, Value)> {
        let value = node.get(id)?.clone();
        let group: Vec<DfExpr> = node.dom.iter().flat_map(|(_, v)| super::node::physical(v)).collect();
        let names = [format!("s{}", self.fresh()), format!("s{}", self.fresh()), format!("s{}", self.fresh())];
        let [first, scale, rows] = &names;
        let mut aggs = vec![first_value(value.expr.clone()).alias(first), count(lit(1i64)).alias(rows)];
        let mut there = value.clone();
        there.expr = single_row(column(first.clone()), column(rows.clone()), &value.arrow);
        if let Some(DScale::Dynamic(s)) = &value.dscale {
            aggs.push(first_value(s.clone()).alias(scale));
            there.dscale = Some(DScale::Dynamic(column(scale.clone())));
        }
        let uncorrelated = group.is_empty();
        let node = node.map_plan(|p| {
            // Two rows are enough to know.
            let p = if uncorrelated { p.limit(0, Some(2))? } else { p };
            p.aggregate(group, aggs)
        })?;
        Ok((node, there))
    }
}

struct Counts {
    rows: DfExpr,
    non_null: DfExpr,
}

pub(super) fn taken(node: &mut Option<Node>) -> Result<Node> {
    match node.take() {
        Some(n) => Ok(n),
        None => internal_err!("a node was used twice"),
    }
}

fn count(arg: DfExpr) -> DfExpr {
    DfExpr::AggregateFunction(AggregateFunction::new_udf(count_udaf(), vec![arg], false, None, vec![], None))
}

fn first_value(arg: DfExpr) -> DfExpr {
    DfExpr::AggregateFunction(AggregateFunction::new_udf(first_value_udaf(), vec![arg], false, None, vec![], None))
}

fn first_argument(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    args.args.first().cloned().ok_or_else(|| internal_datafusion_err!("marked takes one argument"))
}

/// The value, or an error if the subquery had more than one row.
fn single_row(value: DfExpr, rows: DfExpr, arrow: &DataType) -> DfExpr {
    let kernel = udf::over_arrays(|arrays| {
        let [value, rows] = arrays else { return internal_err!("single_row takes two arguments") };
        let Some(counts) = rows.as_primitive_opt::<Int64Type>() else { return internal_err!("single_row over {}", rows.data_type()) };
        if counts.iter().flatten().any(|n| n > 1) {
            return Err(raise("21000", "more than one row returned by a subquery used as an expression"));
        }
        Ok(Arc::clone(value))
    });
    udf::call("single_row", "", arrow.clone(), vec![value, rows], kernel)
}

/// Whether a comparison of the two sides may be NULL.
fn may_be_null(compared: &DfExpr, m: &Matching) -> Result<bool> {
    let schema = m.left.plan.schema().join(m.right.plan.schema())?;
    compared.nullable(&schema)
}

/// A relation with exactly one row.
pub(super) fn one_row(rel: &Rel) -> bool {
    match rel {
        Rel::OneRow => true,
        Rel::Aggregate(a) => a.groups.is_empty() && a.grouping_sets.is_none(),
        Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Window { input, .. } => one_row(input),
        Rel::Values { rows, .. } => rows.len() == 1,
        Rel::With { body, .. } => one_row(body),
        _ => false,
    }
}

/// A relation of which LIMIT 0 leaves nothing, so that Postgres does not look at it.
fn no_rows(rel: &Rel) -> bool {
    match rel {
        Rel::Limit { limit: Some(Expr::Const { value: Scalar::Int8(0), .. }), .. } => true,
        Rel::Project { input, .. } | Rel::Filter { input, .. } => no_rows(input),
        _ => false,
    }
}

/// What decides whether a relation has rows; `None` if it always has.
fn rows_only(rel: &Rel) -> Option<&Rel> {
    match rel {
        _ if one_row(rel) => None,
        Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Distinct { input } | Rel::DistinctOn { input, .. } | Rel::Window { input, .. } => {
            rows_only(input)
        }
        Rel::Limit { input, offset: None, limit } if limit.as_ref().is_none_or(keeps_a_row) => rows_only(input),
        other => Some(other),
    }
}

fn keeps_a_row(limit: &Expr) -> bool {
    match limit {
        Expr::Const { value: Scalar::Null, .. } => true,
        Expr::Const { value: Scalar::Int8(n), .. } => *n > 0,
        _ => false,
    }
}

/// The relation without an order or the removal of duplicates, which do not matter to a quantified comparison.
fn any_order(rel: &Rel) -> &Rel {
    match rel {
        Rel::Sort { input, .. } | Rel::Distinct { input } => any_order(input),
        other => other,
    }
}
