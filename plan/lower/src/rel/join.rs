//! Joins and filters.

use super::expr::{Scope, conjuncts, has_subquery};
use super::node::{Domain, Node, same_values};
use super::subquery::taken;
use super::{Lowerer, fence, walk};
use crate::error::refused;
use crate::value::Value;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr as DfExpr, JoinType, LogicalPlanBuilder, lit};
use weir_plan::ir::{Expr, Join, JoinKind};

impl Lowerer<'_> {
    /// Keeps the rows for which the predicate is true. Conjuncts that are subqueries become semi and anti joins.
    pub(super) fn filter(&mut self, mut node: Node, predicate: &Expr) -> Result<Node> {
        if let Some(args) = fence::evaluated(predicate) {
            return self.fence(node, args);
        }
        let (plain, with_subqueries): (Vec<&Expr>, Vec<&Expr>) = conjuncts(predicate).into_iter().partition(|c| !has_subquery(c));
        let mut condition: Option<DfExpr> = None;
        for c in plain {
            let e = self.expr(c, &Scope::of(&node))?.expr;
            condition = Some(match condition {
                Some(all) => all.and(e),
                None => e,
            });
        }
        if let Some(condition) = condition {
            node = node.map_plan(|p| p.filter(condition))?;
        }
        for c in with_subqueries {
            node = self.filter_by_subquery(node, c)?;
        }
        Ok(node)
    }

    pub(super) fn join(&mut self, join: &Join, domain: Option<&Domain>) -> Result<Node> {
        let (mut on, mut after) = (Vec::new(), Vec::new());
        for c in join.on.iter().flat_map(conjuncts) {
            if join.kind == JoinKind::Inner && has_subquery(c) { after.push(c) } else { on.push(c) }
        }
        let mut node = if join.lateral { self.lateral(join, &on, domain)? } else { self.plain_join(join, &on, domain)? };
        for c in after {
            node = self.filter_by_subquery(node, c)?;
        }
        Ok(node)
    }

    /// Replaces the subqueries of an outer join's condition by columns of that side on which they depend.
    fn absorb_by_side(&mut self, left: &mut Option<Node>, right: &mut Option<Node>, e: &Expr) -> Result<Expr> {
        if !has_subquery(e) {
            return Ok(e.clone());
        }
        if walk::subquery_rel(e).is_none() {
            return walk::map_children(e, &mut |c| self.absorb_by_side(left, right, c));
        }
        let used: Vec<_> = walk::Columns::of_expr(e).free().collect();
        let of = |node: &Option<Node>| node.as_ref().is_some_and(|n| used.iter().any(|id| n.cols.contains_key(id)));
        match (of(left), of(right)) {
            (true, true) => Err(refused("a subquery over both sides in the condition of an outer join")),
            (false, true) => self.replace(right, e),
            _ => self.replace(left, e),
        }
    }

    fn plain_join(&mut self, join: &Join, on: &[&Expr], domain: Option<&Domain>) -> Result<Node> {
        let (mut left_domain, mut right_domain) = (None, None);
        if let Some(d) = domain {
            let on_correlated = on.iter().any(|e| walk::Columns::of_expr(e).free().any(|id| d.has(id)));
            let (left, right) = (self.is_correlated(&join.left, d), self.is_correlated(&join.right, d));
            // The side whose rows are kept without a match must be there for each row of the domain.
            match join.kind {
                JoinKind::Inner if !left && right => right_domain = domain,
                JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti => {
                    left_domain = domain;
                    right_domain = domain.filter(|_| right);
                }
                JoinKind::Right => {
                    right_domain = domain;
                    left_domain = domain.filter(|_| left || on_correlated);
                }
                JoinKind::Full => return Err(refused("a FULL JOIN in a correlated subquery")),
            }
        }
        let mut left = Some(self.rel(&join.left, left_domain)?);
        let mut right = Some(self.rel(&join.right, right_domain)?);
        let on = on.iter().map(|e| self.absorb_by_side(&mut left, &mut right, e)).collect::<Result<Vec<_>>>()?;
        self.join_nodes(join.kind, taken(&mut left)?, taken(&mut right)?, &on)
    }

    /// Joins two nodes, also on their domains if both have one.
    pub(super) fn join_nodes(&mut self, kind: JoinKind, left: Node, right: Node, on: &[Expr]) -> Result<Node> {
        let mut condition = Vec::new();
        if !left.dom.is_empty() && !right.dom.is_empty() {
            let pairs: Vec<(Value, Value)> =
                left.dom.iter().filter_map(|(id, l)| right.dom.iter().find(|(r, _)| r == id).map(|(_, r)| (l.clone(), r.clone()))).collect();
            condition.extend(same_values(&left, &right, &pairs)?);
        }
        for e in on {
            condition.push(self.expr(e, &Scope::both(&left, &right))?.expr);
        }
        joined(kind, left, right, condition)
    }

    /// The right side is evaluated for each distinct combination of the values that it uses of the left side.
    fn lateral(&mut self, join: &Join, on: &[&Expr], domain: Option<&Domain>) -> Result<Node> {
        if !matches!(join.kind, JoinKind::Inner | JoinKind::Left) {
            return Err(refused("a lateral join of this kind"));
        }
        let left = self.rel(&join.left, domain)?;
        let (left, inner) = self.domain_of(left, &join.right)?;
        let Some(inner) = inner else {
            let right = self.rel(&join.right, None)?;
            let on: Vec<Expr> = on.iter().map(|e| (*e).clone()).collect();
            return self.join_nodes(join.kind, left, right, &on);
        };
        let right = self.rel(&join.right, Some(&inner))?;
        let mut condition = self.on_domain(&left, &right)?;
        for e in on {
            condition.push(self.expr(e, &Scope::both(&left, &right))?.expr);
        }
        joined(join.kind, left, Node { dom: vec![], ..right }, condition)
    }
}

/// Joins the plans; the columns are those of both, or of the left side for semi and anti joins.
pub(super) fn joined(kind: JoinKind, left: Node, right: Node, mut condition: Vec<DfExpr>) -> Result<Node> {
    let join_type = match kind {
        JoinKind::Inner => JoinType::Inner,
        JoinKind::Left => JoinType::Left,
        JoinKind::Right => JoinType::Right,
        JoinKind::Full => JoinType::Full,
        JoinKind::Semi => JoinType::LeftSemi,
        JoinKind::Anti => JoinType::LeftAnti,
    };
    let Node { plan, mut cols, mut order, dom } = left;
    let builder = LogicalPlanBuilder::from(plan);
    let plan = if condition.is_empty() && kind == JoinKind::Inner {
        builder.cross_join(right.plan)?
    } else {
        if condition.is_empty() {
            condition.push(lit(true));
        }
        builder.join_on(right.plan, join_type, condition)?
    }
    .build()?;
    let dom = match kind {
        JoinKind::Semi | JoinKind::Anti => dom,
        JoinKind::Right if !right.dom.is_empty() => right.dom,
        _ if dom.is_empty() => right.dom,
        _ => dom,
    };
    if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        cols.extend(right.cols);
        order.extend(right.order);
    }
    Ok(Node { plan, cols, order, dom })
}
