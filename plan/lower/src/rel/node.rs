//! A lowered relation: a DataFusion plan and where its columns are.
//!
//! Invariants:
//! - Columns are unqualified; a logical column `ColId(n)` is `c<n>`, the display scale of a dynamic numeric `c<n>_s`.
//! - `plan` may have more columns than `cols` and `dom` name: the optimiser prunes them. [`Node::narrow`] removes them where they would matter.
//! - `dom` are values of an enclosing query's columns (a correlated relation is lowered as its join with the set of those values).

use super::keys;
use crate::error::refused;
use crate::value::{DScale, Value};
use arrow::datatypes::DataType;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit, when};
use std::collections::HashMap;
use weir_plan::ir::ColId;
use weir_plan::types::scale_column;

pub(super) struct Node {
    pub plan: LogicalPlan,
    pub cols: HashMap<ColId, Value>,
    /// The columns that the relation puts out, in order; `cols` may have others that were added for subqueries.
    pub order: Vec<ColId>,
    /// Columns of the enclosing query that travel with each row.
    pub dom: Vec<(ColId, Value)>,
}

/// The distinct values of an enclosing query's columns over which a correlated relation is evaluated.
pub(super) struct Domain {
    pub plan: LogicalPlan,
    pub cols: Vec<(ColId, Value)>,
}

impl Domain {
    pub fn has(&self, id: ColId) -> bool {
        self.cols.iter().any(|(c, _)| *c == id)
    }
}

pub(super) fn column(name: impl Into<String>) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

pub(super) fn name_of(id: ColId) -> String {
    format!("c{}", id.0)
}

/// The expressions that put a value out under a name, and the value as it is found there.
pub(super) fn named(name: &str, value: &Value) -> (Vec<Expr>, Value) {
    let mut exprs = vec![alias(&value.expr, name)];
    let mut there = value.clone();
    there.expr = column(name);
    if let Some(DScale::Dynamic(scale)) = &value.dscale {
        let scale_name = scale_column(name);
        exprs.push(alias(scale, &scale_name));
        there.dscale = Some(DScale::Dynamic(column(scale_name)));
    }
    (exprs, there)
}

fn alias(expr: &Expr, name: &str) -> Expr {
    match expr {
        Expr::Column(c) if c.relation.is_none() && c.name == name => expr.clone(),
        other => other.clone().alias(name),
    }
}

/// The physical expressions of a value: itself, and its display scale if that is dynamic.
pub(super) fn physical(value: &Value) -> Vec<Expr> {
    let mut exprs = vec![value.expr.clone()];
    if let Some(DScale::Dynamic(scale)) = &value.dscale {
        exprs.push(scale.clone());
    }
    exprs
}

/// Names of the physical columns of a value that is a column.
pub(super) fn physical_names(value: &Value) -> Vec<String> {
    physical(value).iter().filter_map(|e| e.try_as_col().map(|c| c.name.clone())).collect()
}

/// As `when condition then value else NULL`: a value that is missing unless the condition holds.
pub(super) fn only_if(condition: Expr, value: &Value) -> Result<Value> {
    let mut v = value.clone();
    v.expr = when(condition, v.expr).end()?;
    Ok(v)
}

impl Node {
    pub fn new(plan: LogicalPlan, columns: Vec<(ColId, Value)>, dom: Vec<(ColId, Value)>) -> Self {
        let order = columns.iter().map(|(id, _)| *id).collect();
        Node { plan, cols: columns.into_iter().collect(), order, dom }
    }

    pub fn lookup(&self, id: ColId) -> Option<&Value> {
        self.cols.get(&id).or_else(|| self.dom.iter().find(|(c, _)| *c == id).map(|(_, v)| v))
    }

    pub fn get(&self, id: ColId) -> Result<&Value> {
        self.lookup(id).ok_or_else(|| refused(format!("column {} is not in scope", id.0)))
    }

    /// The columns put out, in order.
    pub fn outputs(&self) -> Result<Vec<(ColId, Value)>> {
        self.order.iter().map(|id| Ok((*id, self.get(*id)?.clone()))).collect()
    }

    /// Applies a change to the plan.
    pub fn map_plan(mut self, f: impl FnOnce(LogicalPlanBuilder) -> Result<LogicalPlanBuilder>) -> Result<Self> {
        self.plan = f(LogicalPlanBuilder::from(self.plan))?.build()?;
        Ok(self)
    }

    /// Only the columns put out and those of `dom`.
    pub fn narrow(self) -> Result<Self> {
        let mut exprs = Vec::new();
        for id in &self.order {
            exprs.extend(physical(self.get(*id)?));
        }
        for (_, v) in &self.dom {
            exprs.extend(physical(v));
        }
        if exprs.is_empty() {
            // A relation without columns still has rows.
            exprs.push(lit(true).alias("one"));
        }
        let mut node = self.map_plan(|p| p.project(exprs))?;
        let order = node.order.clone();
        node.cols.retain(|id, _| order.contains(id));
        Ok(node)
    }

    /// The same plan with every physical column of the relation, plus others.
    pub fn extend(self, others: Vec<Expr>) -> Result<Self> {
        if others.is_empty() {
            return Ok(self);
        }
        let mut exprs: Vec<Expr> = self.plan.schema().columns().into_iter().map(Expr::Column).collect();
        exprs.extend(others);
        self.map_plan(|p| p.project(exprs))
    }

    pub fn is_nullable(&self, expr: &Expr) -> bool {
        use datafusion::logical_expr::ExprSchemable;
        expr.nullable(self.plan.schema()).unwrap_or(true)
    }
}

/// `left IS NOT DISTINCT FROM right`, physical column by physical column, as equalities that a hash join takes as keys
/// (DataFusion's null-safe join keys get mixed up with ordinary ones when inner joins are reordered).
pub(super) fn same_values(left: &Node, right: &Node, pairs: &[(Value, Value)]) -> Result<Vec<Expr>> {
    let mut on = Vec::new();
    for (l, r) in pairs {
        for (le, re) in physical(l).into_iter().zip(physical(r)) {
            if left.is_nullable(&le) || right.is_nullable(&re) {
                let data_type = data_type_of(l, &le);
                on.push(keys::not_null(le.clone(), &data_type)?.eq(keys::not_null(re.clone(), &data_type)?));
                on.push(le.is_null().eq(re.is_null()));
            } else {
                on.push(le.eq(re));
            }
        }
    }
    Ok(on)
}

fn data_type_of(value: &Value, physical: &Expr) -> DataType {
    if *physical == value.expr { value.arrow.clone() } else { DataType::Int16 }
}
