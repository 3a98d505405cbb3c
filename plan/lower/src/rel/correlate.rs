//! Correlation: how a relation that uses columns of an enclosing query is joined to that query's rows.
//!
//! - *Pull up*: correlated conjuncts of its filters become the join's condition. Done wherever the relation has only filters,
//!   projections and joins above the correlation; this is how semi joins and grouped aggregates come to have hash keys.
//! - *Domain*: otherwise the relation is evaluated for all distinct combinations of the outer values at once, carrying them along
//!   (Neumann and Kemper, "Unnesting Arbitrary Queries", 2015), and is joined back on them.

use super::expr::{Scope, conjuncts, has_subquery};
use super::node::{Domain, Node, column, named, same_values};
use super::{Lowerer, walk};
use crate::value::Value;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr as DfExpr, JoinType, LogicalPlanBuilder, lit};
use std::collections::HashSet;
use weir_plan::ir::{Aggregate, ColId, Collation, Expr, Join, JoinKind, Named, Rel};
use weir_plan::types::PgType;

/// Two nodes and the condition under which a row of the right one belongs to a row of the left one.
pub(super) struct Matching {
    pub left: Node,
    pub right: Node,
    pub on: Vec<DfExpr>,
    pub uncorrelated: bool,
}

/// The outcome of [`Lowerer::correlated_aggregate`].
#[allow(clippy::large_enum_variant)] // taken apart where it is returned
pub(super) enum Attempt {
    Done(Node, Value),
    /// Not of the simple form: the node is given back.
    Not(Node),
}

impl Lowerer<'_> {
    /// Columns of enclosing queries that a relation uses, in order of identity.
    pub(super) fn free_columns(&self, rel: &Rel) -> Vec<ColId> {
        let mut columns = walk::Columns::of_rel(rel);
        let mut seen = HashSet::new();
        loop {
            let next: Vec<_> = columns.ctes.keys().filter(|c| seen.insert(**c)).copied().collect();
            if next.is_empty() {
                break;
            }
            for cte in next {
                if let Some(cte) = self.ctes.get(&cte) {
                    columns.add_rel(&cte.rel);
                }
            }
        }
        let mut free: Vec<ColId> = columns.free().collect();
        free.sort_unstable();
        free
    }

    pub(super) fn is_correlated(&self, rel: &Rel, domain: &Domain) -> bool {
        self.free_columns(rel).iter().any(|id| domain.has(*id))
    }

    /// The distinct values that a relation uses of the node; `None` if it uses none.
    pub(super) fn domain_of(&mut self, node: Node, rel: &Rel) -> Result<(Node, Option<Domain>)> {
        let free = self.free_columns(rel);
        if free.is_empty() {
            return Ok((node, None));
        }
        let node = self.repeatable(node)?;
        let (mut exprs, mut cols) = (Vec::new(), Vec::new());
        for id in free {
            let (e, v) = named(&format!("d{}", self.fresh()), node.get(id)?);
            exprs.extend(e);
            cols.push((id, v));
        }
        let plan = LogicalPlanBuilder::from(node.plan.clone()).project(exprs)?.distinct()?.build()?;
        Ok((node, Some(Domain { plan, cols })))
    }

    /// The condition that joins a relation evaluated over a domain to the rows that the domain was taken from.
    pub(super) fn on_domain(&self, left: &Node, right: &Node) -> Result<Vec<DfExpr>> {
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        for (id, value) in &right.dom {
            pairs.push((left.get(*id)?.clone(), value.clone()));
        }
        same_values(left, right, &pairs)
    }

    /// The rows of a subquery that belong to each row of the node.
    pub(super) fn matching(&mut self, node: Node, rel: &Rel) -> Result<Matching> {
        if self.free_columns(rel).is_empty() {
            let right = self.rel(rel, None)?;
            return Ok(Matching { left: node, right, on: vec![], uncorrelated: true });
        }
        if let Some((rel, conditions)) = self.pull_up(rel) {
            let right = self.rel(&rel, None)?;
            let mut on = Vec::new();
            for c in &conditions {
                on.push(self.expr(c, &Scope::both(&right, &node))?.expr);
            }
            return Ok(Matching { left: node, right, on, uncorrelated: false });
        }
        let (left, domain) = self.domain_of(node, rel)?;
        let right = self.rel(rel, domain.as_ref())?;
        let on = self.on_domain(&left, &right)?;
        Ok(Matching { left, right, on, uncorrelated: false })
    }

    /// The relation without its correlated conditions, and those; its output has the columns that they use.
    fn pull_up(&self, rel: &Rel) -> Option<(Rel, Vec<Expr>)> {
        let own = walk::Columns::of_rel(rel).defined;
        self.pull(rel, &own)
    }

    fn pull(&self, rel: &Rel, own: &HashSet<ColId>) -> Option<(Rel, Vec<Expr>)> {
        let correlated = |e: &Expr| walk::Columns::of_expr(e).free().any(|id| !own.contains(&id));
        if self.free_columns(rel).is_empty() {
            return Some((rel.clone(), vec![]));
        }
        match rel {
            Rel::Filter { input, predicate } => {
                let (input, mut up) = self.pull(input, own)?;
                let mut keep = Vec::new();
                for c in conjuncts(predicate) {
                    match correlated(c) {
                        false => keep.push(c.clone()),
                        true if has_subquery(c) => return None,
                        true => up.push(c.clone()),
                    }
                }
                let rel = if keep.is_empty() { input } else { Rel::Filter { input: Box::new(input), predicate: Expr::And(keep) } };
                Some((rel, up))
            }
            Rel::Project { input, exprs } => {
                if exprs.iter().any(|n| correlated(&n.expr)) {
                    return None;
                }
                let (input, up) = self.pull(input, own)?;
                let mut exprs = exprs.clone();
                for e in &up {
                    walk::expr(e, &mut |e| {
                        if let Expr::Column { id, ty } | Expr::Outer { id, ty } = e
                            && own.contains(id)
                            && !exprs.iter().any(|n| n.id == *id)
                        {
                            exprs.push(Named { id: *id, expr: Expr::Column { id: *id, ty: *ty } });
                        }
                    });
                }
                Some((Rel::Project { input: Box::new(input), exprs }, up))
            }
            Rel::Join(join) if !join.lateral => {
                let right_too = join.kind == JoinKind::Inner;
                if !right_too && !matches!(join.kind, JoinKind::Left | JoinKind::Semi | JoinKind::Anti) {
                    return None;
                }
                let (left, mut up) = self.pull(&join.left, own)?;
                let (right, more) = self.pull(&join.right, own)?;
                if !right_too && !more.is_empty() {
                    return None;
                }
                up.extend(more);
                let mut keep = Vec::new();
                for c in join.on.iter().flat_map(conjuncts) {
                    match correlated(c) {
                        false => keep.push(c.clone()),
                        true if has_subquery(c) || !right_too => return None,
                        true => up.push(c.clone()),
                    }
                }
                let on = if keep.is_empty() { None } else { Some(Expr::And(keep)) };
                Some((Rel::Join(Box::new(Join { kind: join.kind, left, right, on, lateral: false })), up))
            }
            Rel::Sort { input, .. } => self.pull(input, own),
            _ => None,
        }
    }

    /// A scalar subquery that is an aggregate over rows which equalities tie to the outer row: aggregated once for all outer rows,
    /// by the inner sides of the equalities, and joined.
    pub(super) fn correlated_aggregate(&mut self, node: Node, rel: &Rel, id: ColId) -> Result<Attempt> {
        let Some((projections, aggregate, input, equalities)) = self.tied_aggregate(rel) else { return Ok(Attempt::Not(node)) };
        let mut groups = Vec::new();
        for e in &equalities {
            groups.push(Named { id: self.fresh_id(), expr: e.inner.clone() });
        }
        let input = self.rel(&input, None)?;
        self.rename_calls = true;
        let raw = self.raw_aggregate(input, &groups, None, &aggregate.calls, &[])?;
        let marker = format!("h{}", self.fresh());
        let mut on = Vec::new();
        for (e, g) in equalities.iter().zip(&groups) {
            let inner = raw.node.get(g.id)?.clone();
            let outer = self.expr(&e.outer, &Scope::of(&node))?;
            let args = if e.inner_first { vec![inner, outer] } else { vec![outer, inner] };
            on.push(self.call(e.func, args, PgType::BOOL, e.collation)?.expr);
        }
        let raw = raw.map_node(|n| n.extend(vec![lit(true).alias(&marker)]))?;
        let plan = LogicalPlanBuilder::from(node.plan.clone()).join_on(raw.node.plan.clone(), JoinType::Left, on)?.build()?;
        let (_, values) = self.finish_values(raw, Some(column(marker).is_null()))?;
        let mut node = Node { plan, ..node };
        node = self.add_columns(node, values)?;
        for exprs in projections.into_iter().rev() {
            let (next, lowered) = self.absorb(node, exprs.iter().map(|n| &n.expr))?;
            node = next;
            let mut values = Vec::new();
            for (n, e) in exprs.iter().zip(&lowered) {
                values.push((n.id, self.expr(e, &Scope::of(&node))?));
            }
            node = self.add_columns(node, values)?;
        }
        let value = node.get(id)?.clone();
        Ok(Attempt::Done(node, value))
    }

    /// Computed columns beside those that the node has.
    fn add_columns(&mut self, node: Node, values: Vec<(ColId, Value)>) -> Result<Node> {
        let (mut exprs, mut there) = (Vec::new(), Vec::new());
        for (id, value) in values {
            let (e, v) = named(&format!("e{}", self.fresh()), &value);
            exprs.extend(e);
            there.push((id, v));
        }
        let mut node = node.extend(exprs)?;
        node.cols.extend(there);
        Ok(node)
    }

    /// The parts of `Project* (Aggregate (input))` if the input's correlation is equalities of inner with outer expressions.
    #[allow(clippy::type_complexity)]
    fn tied_aggregate<'r>(&self, rel: &'r Rel) -> Option<(Vec<&'r [Named<Expr>]>, &'r Aggregate, Rel, Vec<Equality>)> {
        let own = walk::Columns::of_rel(rel).defined;
        let (mut rel, mut projections) = (rel, Vec::new());
        let aggregate = loop {
            match rel {
                Rel::Project { input, exprs } => {
                    projections.push(exprs.as_slice());
                    rel = input;
                }
                Rel::Aggregate(a) => break a,
                _ => return None,
            }
        };
        if !aggregate.groups.is_empty() || aggregate.grouping_sets.is_some() || !aggregate.groupings.is_empty() || aggregate.calls.is_empty() {
            return None;
        }
        let outside = |e: &Expr| walk::Columns::of_expr(e).free().any(|id| !own.contains(&id));
        for c in aggregate.calls.iter().map(|n| &n.expr) {
            let exprs = c.direct.iter().chain(&c.args).chain(&c.filter).chain(c.order_by.iter().map(|k| &k.expr));
            if exprs.into_iter().any(outside) {
                return None;
            }
        }
        let (input, conditions) = self.pull(&aggregate.input, &own)?;
        let equalities = conditions.iter().map(|c| Equality::of(c, &own)).collect::<Option<Vec<_>>>()?;
        (!equalities.is_empty()).then_some((projections, aggregate.as_ref(), input, equalities))
    }
}

/// `inner = outer`.
struct Equality {
    func: u32,
    collation: Collation,
    inner: Expr,
    outer: Expr,
    inner_first: bool,
}

/// Equality functions under which all rows that equal an outer value are equal to each other as GROUP BY sees them.
/// Source: `pg_proc.dat`; those of one type, and those of integers of different widths.
const EQUALITIES: &[u32] = &[60, 61, 62, 63, 65, 67, 158, 159, 287, 293, 467, 474, 852, 1048, 1086, 1145, 1152, 1162, 1718, 1850, 1856, 1948, 2052, 2956, 3508];

impl Equality {
    fn of(condition: &Expr, own: &HashSet<ColId>) -> Option<Equality> {
        let Expr::Call { func, args, collation, .. } = condition else { return None };
        let [left, right] = args.as_slice() else { return None };
        if !EQUALITIES.contains(func) {
            return None;
        }
        let uses = |e: &Expr| {
            let used = walk::Columns::of_expr(e).used;
            (used.iter().any(|id| own.contains(id)), used.iter().any(|id| !own.contains(id)))
        };
        let (inner, outer, inner_first) = match (uses(left), uses(right)) {
            ((true, false), (false, _)) => (left, right, true),
            ((false, _), (true, false)) => (right, left, false),
            _ => return None,
        };
        Some(Equality { func: *func, collation: *collation, inner: inner.clone(), outer: outer.clone(), inner_first })
    }
}
