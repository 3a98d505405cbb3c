//! UNION, INTERSECT, EXCEPT.
//!
//! INTERSECT and EXCEPT group the rows of both sides and count from which side they came. With ALL, copies are numbered first, so that
//! the n-th copy of a row on one side meets the n-th on the other.

use super::forms::form;
use super::keys::group_key;
use super::node::{Domain, Node, column, physical};
use super::scan::union_all;
use super::{Lowerer, unify};
use crate::error::refused;
use crate::value::Value;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions_aggregate::expr_fn::bool_or;
use datafusion::logical_expr::{Expr as DfExpr, lit};
use weir_plan::ir::{ColId, Expr, Named, Rel, SetOp, SetOpKind};
use weir_plan::types::PgType;

impl Lowerer<'_> {
    pub(super) fn set_op(&mut self, op: &SetOp, domain: Option<&Domain>) -> Result<Node> {
        if op.columns.is_empty() {
            return Err(refused("a set operation without columns"));
        }
        if is_append(op) {
            return self.append(op, domain);
        }
        let left = self.rel(&op.left, domain)?;
        let right = self.rel(&op.right, domain)?;
        let (mut left_values, mut right_values) = (Vec::new(), Vec::new());
        for (id, l, r, ty) in &op.columns {
            let (l, r) = (left.get(*l)?, right.get(*r)?);
            let form = unify::form(&[l, r], *ty)?;
            left_values.push((*id, form.apply(l)));
            right_values.push((*id, form.apply(r)));
        }
        let left = self.projected(left, left_values)?;
        let right = self.projected(right, right_values)?;
        match (op.kind, op.all) {
            (SetOpKind::Union, _) => {
                let both = union_all(left, vec![right])?;
                self.distinct(both)
            }
            (kind, all) => self.counted(left, right, kind, all),
        }
    }

    /// The rows of all sides of UNION ALLs within each other, as one union: a partitioned table has hundreds, and each level would be
    /// one more projection for all rules to look at.
    fn append(&mut self, op: &SetOp, domain: Option<&Domain>) -> Result<Node> {
        let wanted: Vec<(ColId, PgType)> = op.columns.iter().map(|(id, _, _, ty)| (*id, *ty)).collect();
        let mut sides = Vec::new();
        gather(op, &wanted, &mut sides);
        let nodes = sides.iter().map(|(rel, _)| self.rel(rel, domain)).collect::<Result<Vec<_>>>()?;
        let mut values: Vec<Vec<(ColId, Value)>> = vec![Vec::new(); nodes.len()];
        for (i, (id, ty)) in wanted.iter().enumerate() {
            let held = nodes.iter().zip(&sides).map(|(node, (_, columns))| node.get(columns.get(i).copied().unwrap_or(*id)));
            let held = held.collect::<Result<Vec<_>>>()?;
            let form = unify::form(&held, *ty)?;
            values.iter_mut().zip(held).for_each(|(values, v)| values.push((*id, form.apply(v))));
        }
        let mut nodes = nodes.into_iter().zip(values).map(|(node, values)| self.projected(node, values));
        let first = nodes.next().transpose()?.ok_or_else(|| refused("a set operation without sides"))?;
        let rest = nodes.collect::<Result<Vec<_>>>()?;
        union_all(first, rest)
    }

    fn counted(&mut self, left: Node, right: Node, kind: SetOpKind, all: bool) -> Result<Node> {
        let order = left.order.clone();
        let (left, copy) = self.marked(left, true, all, None)?;
        let (right, _) = self.marked(right, false, all, Some(copy))?;
        let both = union_all(left, vec![right])?;
        let groups: Vec<Named<Expr>> =
            both.outputs()?.into_iter().filter(|(id, _)| *id != copy.side).map(|(id, v)| Named { id, expr: Expr::Column { id, ty: v.ty } }).collect();
        let side = both.get(copy.side)?.expr.clone();
        let (in_left, in_right) = (format!("n{}", self.fresh()), format!("n{}", self.fresh()));
        let extra = vec![bool_or(side.clone()).alias(&in_left), bool_or(datafusion::logical_expr::not(side)).alias(&in_right)];
        let raw = self.raw_aggregate_with(both, &groups, None, &[], &[], extra)?;
        let keep = match kind {
            SetOpKind::Except => column(in_left).and(datafusion::logical_expr::not(column(in_right))),
            _ => column(in_left).and(column(in_right)),
        };
        let raw = raw.map_node(|n| n.map_plan(|p| p.filter(keep)))?;
        let mut node = self.finish(raw, None)?;
        node.order = order;
        node.narrow()
    }

    /// Adds which side a row is of and, for ALL, which of its copies.
    fn marked(&mut self, node: Node, is_left: bool, all: bool, ids: Option<CopyIds>) -> Result<(Node, CopyIds)> {
        let ids = match ids {
            Some(ids) => ids,
            None => CopyIds { side: self.fresh_id(), number: self.fresh_id() },
        };
        let mut values = node.outputs()?;
        let mut node = node;
        if all {
            let mut partition: Vec<DfExpr> = node.dom.iter().flat_map(|(_, v)| physical(v)).collect();
            for (_, v) in &values {
                // Postgres returns copies of the one that it read first.
                if form(v).is_some() {
                    return Err(refused("INTERSECT or EXCEPT ALL of values whose equals may be written differently"));
                }
                partition.push(group_key(v)?.expr);
            }
            let (next, number) = self.numbered(node, partition, vec![])?;
            node = next;
            values.push((ids.number, Value::new(datafusion::logical_expr::cast(number, DataType::Int64), DataType::Int64, PgType::INT8)));
        }
        values.push((ids.side, Value::bool(lit(is_left))));
        Ok((self.projected(node, values)?, ids))
    }
}

fn is_append(op: &SetOp) -> bool {
    op.kind == SetOpKind::Union && op.all && op.recursion.is_none()
}

/// Collects the sides of UNION ALLs within each other, with the columns that they have for those `wanted` of the whole. A union whose
/// columns have other types is a side.
fn gather<'a>(op: &'a SetOp, wanted: &[(ColId, PgType)], sides: &mut Vec<(&'a Rel, Vec<ColId>)>) {
    let find = |id: ColId, ty: PgType| op.columns.iter().find(|c| c.0 == id && c.3 == ty);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for &(id, ty) in wanted {
        if let Some((_, l, r, _)) = find(id, ty) {
            left.push((*l, ty));
            right.push((*r, ty));
        }
    }
    for (rel, columns) in [(&op.left, left), (&op.right, right)] {
        match rel {
            Rel::SetOp(inner) if is_append(inner) && columns.iter().all(|&(id, ty)| inner.columns.iter().any(|c| c.0 == id && c.3 == ty)) => {
                gather(inner, &columns, sides);
            }
            _ => sides.push((rel, columns.into_iter().map(|(id, _)| id).collect())),
        }
    }
}

#[derive(Clone, Copy)]
struct CopyIds {
    side: ColId,
    number: ColId,
}
