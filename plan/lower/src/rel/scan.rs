//! Leaves and plain row-by-row nodes: scans, VALUES, projections, uses of CTEs.

use super::expr::Scope;
use super::node::{Domain, Node, column, name_of, named};
use super::{Lowerer, unify};
use crate::error::refused;
use crate::value::{DScale, Value};
use datafusion::common::{Column, Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, Union, lit};
use std::sync::Arc;
use weir_plan::ir::{ColId, Expr, Named, Rel, Remote, Scalar, Scan};
use weir_plan::types::{NumericForm, PgType, arrow_type, oid, scale_column};

impl Lowerer<'_> {
    pub(super) fn one_row(&mut self, domain: Option<&Domain>) -> Result<Node> {
        match domain {
            Some(domain) => self.domain_rows(domain),
            None => Ok(Node::new(LogicalPlanBuilder::empty(true).build()?, vec![], vec![])),
        }
    }

    /// The domain's rows under new names, as a relation without columns of its own.
    pub(super) fn domain_rows(&mut self, domain: &Domain) -> Result<Node> {
        let (mut exprs, mut dom) = (Vec::new(), Vec::new());
        for (id, value) in &domain.cols {
            let (e, v) = named(&format!("d{}", self.fresh()), value);
            exprs.extend(e);
            dom.push((*id, v));
        }
        let plan = LogicalPlanBuilder::from(domain.plan.clone()).project(exprs)?.build()?;
        Ok(Node::new(plan, vec![], dom))
    }

    /// An uncorrelated relation for each row of the domain.
    pub(super) fn in_domain(&mut self, node: Node, domain: Option<&Domain>) -> Result<Node> {
        let Some(domain) = domain else { return Ok(node) };
        let rows = self.domain_rows(domain)?;
        let plan = LogicalPlanBuilder::from(rows.plan).cross_join(node.plan)?.build()?;
        Ok(Node { plan, dom: rows.dom, ..node })
    }

    pub(super) fn scan(&mut self, scan: &Scan) -> Result<Node> {
        let provider = self.tables.provider(scan)?;
        let schema = provider.schema();
        let table = TableReference::bare(scan.name.clone());
        let (mut exprs, mut columns) = (Vec::new(), Vec::new());
        let at = |name: String| DfExpr::Column(Column::new(Some(table.clone()), name));
        for c in &scan.columns {
            let source = format!("a{}", c.attnum);
            let arrow = arrow_type(&c.ty).ok_or_else(|| refused(format!("column {} of {} has an unsupported type", c.attnum, scan.name)))?;
            let held = schema.field_with_name(&source).map_err(|_| refused(format!("column {} of {} is not mirrored", c.attnum, scan.name)))?;
            if *held.data_type() != arrow {
                return Err(refused(format!("column {} of {} is held as {}", c.attnum, scan.name, held.data_type())));
            }
            let name = name_of(c.id);
            exprs.push(at(source.clone()).alias(&name));
            let mut value = Value::new(column(&name), arrow, c.ty);
            if c.ty.base == oid::NUMERIC {
                let form = NumericForm::of_column(&c.ty);
                value.dscale = Some(if form.dynamic {
                    exprs.push(at(scale_column(&source)).alias(scale_column(&name)));
                    DScale::Dynamic(column(scale_column(&name)))
                } else {
                    DScale::Static(form.scale)
                });
            }
            columns.push((c.id, value));
        }
        if exprs.is_empty() {
            exprs.push(lit(true).alias(format!("n{}", self.fresh())));
        }
        let plan = LogicalPlanBuilder::scan(table, provider_as_source(provider), None)?.project(exprs)?.build()?;
        Ok(Node::new(plan, columns, vec![]))
    }

    /// The rows of a remote statement.
    pub(super) fn remote(&mut self, remote: &Remote) -> Result<Node> {
        let provider = self.tables.remote(remote, self.params)?;
        let table = TableReference::bare(format!("remote{}", self.fresh()));
        let (mut exprs, mut columns) = (Vec::new(), Vec::new());
        let at = |name: String| DfExpr::Column(Column::new(Some(table.clone()), name));
        for (i, c) in remote.columns.iter().enumerate() {
            let source = format!("r{i}");
            let arrow = arrow_type(&c.ty).ok_or_else(|| refused(format!("column {} of {} has an unsupported type", c.name, remote.name)))?;
            let name = name_of(c.id);
            exprs.push(at(source.clone()).alias(&name));
            let mut value = Value::new(column(&name), arrow, c.ty);
            if c.ty.base == oid::NUMERIC {
                let form = NumericForm::of_column(&c.ty);
                value.dscale = Some(if form.dynamic {
                    exprs.push(at(scale_column(&source)).alias(scale_column(&name)));
                    DScale::Dynamic(column(scale_column(&name)))
                } else {
                    DScale::Static(form.scale)
                });
            }
            columns.push((c.id, value));
        }
        if exprs.is_empty() {
            exprs.push(lit(true).alias(format!("n{}", self.fresh())));
        }
        let plan = LogicalPlanBuilder::scan(table, provider_as_source(provider), None)?.project(exprs)?.build()?;
        Ok(Node::new(plan, columns, vec![]))
    }

    pub(super) fn values(&mut self, columns: &[(ColId, PgType)], rows: &[Vec<Expr>], domain: Option<&Domain>) -> Result<Node> {
        if rows.is_empty() {
            // A function that returns nothing.
            let nulls = columns.iter().map(|(_, ty)| Expr::Const { value: Scalar::Null, ty: *ty }).collect();
            return self.values(columns, &[nulls], domain)?.map_plan(|p| p.filter(lit(false)));
        }
        if rows.iter().any(|r| r.len() != columns.len()) {
            return Err(refused("VALUES with rows of different lengths"));
        }
        let one_row = rows.len() == 1;
        let plain = domain.is_none() && !one_row && !columns.is_empty() && !rows.iter().flatten().any(super::expr::has_subquery);
        let (mut nodes, mut lowered) = (Vec::new(), Vec::new());
        if plain {
            for row in rows {
                lowered.push(row.iter().map(|e| self.expr(e, &Scope::EMPTY)).collect::<Result<Vec<_>>>()?);
            }
        } else {
            for row in rows {
                let node = self.one_row(domain)?;
                let (node, row) = self.absorb(node, row)?;
                lowered.push(row.iter().map(|e| self.expr(e, &Scope::of(&node))).collect::<Result<Vec<_>>>()?);
                nodes.push(node);
            }
        }
        let mut forms = Vec::new();
        for (i, (_, ty)) in columns.iter().enumerate() {
            let column: Vec<&Value> = lowered.iter().filter_map(|r| r.get(i)).collect();
            forms.push(unify::form(&column, *ty)?);
        }
        let rows: Vec<Vec<Value>> = lowered.iter().map(|r| r.iter().zip(&forms).map(|(v, f)| f.apply(v)).collect()).collect();
        if plain {
            return self.plain_values(columns, &rows);
        }
        let mut nodes = nodes.into_iter().zip(rows).map(|(node, row)| self.projected(node, columns.iter().map(|c| c.0).zip(row)));
        let first = nodes.next().transpose()?.ok_or_else(|| refused("VALUES without rows"))?;
        let rest = nodes.collect::<Result<Vec<_>>>()?;
        union_all(first, rest)
    }

    fn plain_values(&mut self, columns: &[(ColId, PgType)], rows: &[Vec<Value>]) -> Result<Node> {
        let physical: Vec<Vec<DfExpr>> = rows.iter().map(|r| r.iter().flat_map(super::node::physical).collect()).collect();
        let source = format!("v{}", self.fresh());
        let plan = LogicalPlanBuilder::values(physical)?.alias(source.as_str())?.build()?;
        let (mut exprs, mut out, mut at) = (Vec::new(), Vec::new(), 0);
        let Some(first) = rows.first() else { return Err(refused("VALUES without rows")) };
        for ((id, _), value) in columns.iter().zip(first) {
            let mut next = || {
                at += 1;
                DfExpr::Column(Column::new(Some(TableReference::bare(source.clone())), format!("column{at}")))
            };
            let mut there = value.clone();
            there.expr = next();
            if let Some(DScale::Dynamic(scale)) = &mut there.dscale {
                *scale = next();
            }
            let (e, v) = named(&name_of(*id), &there);
            exprs.extend(e);
            out.push((*id, v));
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok(Node::new(plan, out, vec![]))
    }

    pub(super) fn project(&mut self, input: &Rel, exprs: &[Named<Expr>], domain: Option<&Domain>) -> Result<Node> {
        let node = self.rel(input, domain)?;
        let (node, lowered) = self.absorb(node, exprs.iter().map(|n| &n.expr))?;
        let values = lowered.iter().map(|e| self.expr(e, &Scope::of(&node))).collect::<Result<Vec<_>>>()?;
        self.projected(node, exprs.iter().map(|n| n.id).zip(values))
    }

    /// Only these columns, and those of the domain.
    pub(super) fn projected(&mut self, node: Node, values: impl IntoIterator<Item = (ColId, Value)>) -> Result<Node> {
        let (mut exprs, mut out) = (Vec::new(), Vec::new());
        for (id, value) in values {
            let (e, v) = named(&name_of(id), &value);
            exprs.extend(e);
            out.push((id, v));
        }
        for (_, v) in &node.dom {
            exprs.extend(super::node::physical(v));
        }
        if exprs.is_empty() {
            exprs.push(lit(true).alias(format!("n{}", self.fresh())));
        }
        let plan = LogicalPlanBuilder::from(node.plan).project(exprs)?.build()?;
        Ok(Node::new(plan, out, node.dom))
    }

    /// Columns under new identities.
    pub(super) fn renamed(&mut self, node: Node, columns: impl IntoIterator<Item = (ColId, ColId)>) -> Result<Node> {
        let values = columns.into_iter().map(|(new, old)| Ok((new, node.get(old)?.clone()))).collect::<Result<Vec<_>>>()?;
        self.projected(node, values)
    }
}

/// The rows of all; they have the same columns in the same forms, and their domains' columns get the first one's names.
pub(super) fn union_all(first: Node, rest: Vec<Node>) -> Result<Node> {
    if rest.is_empty() {
        return Ok(first);
    }
    let mut inputs = vec![Arc::new(first.plan.clone())];
    for node in rest {
        let mut exprs: Vec<DfExpr> = node.outputs()?.iter().flat_map(|(_, v)| super::node::physical(v)).collect();
        for ((_, value), (_, target)) in node.dom.iter().zip(&first.dom) {
            for (e, name) in super::node::physical(value).into_iter().zip(super::node::physical_names(target)) {
                exprs.push(e.alias(name));
            }
        }
        if exprs.is_empty() {
            let only = first.plan.schema().field(0).name().clone();
            exprs.push(lit(true).alias(only));
        }
        inputs.push(Arc::new(LogicalPlanBuilder::from(node.plan).project(exprs)?.build()?));
    }
    let plan = LogicalPlan::Union(Union::try_new(inputs)?);
    Ok(Node { plan, ..first })
}
