//! ORDER BY, LIMIT, OFFSET, DISTINCT ON.

use super::expr::Scope;
use super::node::{Domain, Node, physical};
use super::window::over;
use super::{Lowerer, keys};
use crate::error::{raise, refused};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::{Expr as DfExpr, SortExpr, lit};
use weir_plan::ir::{Expr, Rel, SortKey};

impl Lowerer<'_> {
    /// Sort expressions over the columns of a node whose subqueries have been absorbed.
    pub(super) fn sort_exprs(&self, keys: &[SortKey], scope: &Scope<'_>) -> Result<Vec<SortExpr>> {
        keys.iter()
            .map(|k| {
                let value = self.expr(&k.expr, scope)?;
                Ok(SortExpr::new(keys::order_key(&value)?, !k.descending, k.nulls_first))
            })
            .collect()
    }

    /// Absorbs the subqueries of sort keys.
    pub(super) fn absorb_keys(&mut self, node: Node, keys: &[SortKey]) -> Result<(Node, Vec<SortKey>)> {
        let (node, exprs) = self.absorb(node, keys.iter().map(|k| &k.expr))?;
        let keys = keys.iter().zip(exprs).map(|(k, expr)| SortKey { expr, ..k.clone() }).collect();
        Ok((node, keys))
    }

    pub(super) fn sort(&mut self, node: Node, keys: &[SortKey]) -> Result<Node> {
        let (node, keys) = self.absorb_keys(node, keys)?;
        let (node, keys) = self.with_ranks(node, keys, vec![])?;
        let sort = self.sort_exprs(&keys, &Scope::of(&node))?;
        // ORDER BY a constant sorts nothing.
        let sort: Vec<SortExpr> = sort.into_iter().filter(|s| !matches!(s.expr, DfExpr::Literal(..))).collect();
        if sort.is_empty() { Ok(node) } else { node.map_plan(|p| p.sort(sort)) }
    }

    /// The value of OFFSET or LIMIT; `None` if there is none.
    fn count(&self, expr: Option<&Expr>, sqlstate: &str, message: &str) -> Result<Option<usize>> {
        let Some(expr) = expr else { return Ok(None) };
        match self.expr(expr, &Scope::EMPTY)?.expr {
            DfExpr::Literal(ScalarValue::Int64(None), _) => Ok(None),
            DfExpr::Literal(ScalarValue::Int64(Some(n)), _) => usize::try_from(n).map(Some).map_err(|_| raise(sqlstate, message)),
            DfExpr::Placeholder(_) => Ok(None),
            _ => Err(refused("LIMIT or OFFSET is not a constant")),
        }
    }

    pub(super) fn limit(&mut self, input: &Rel, offset: Option<&Expr>, limit: Option<&Expr>, domain: Option<&Domain>) -> Result<Node> {
        let skip = self.count(offset, "2201X", "OFFSET must not be negative")?.unwrap_or(0);
        let fetch = self.count(limit, "2201W", "LIMIT must not be negative")?;
        if domain.is_none() && (fetch.is_some() || skip == 0) {
            let node = match (input, fetch) {
                (Rel::Sort { input, keys }, Some(fetch)) => {
                    let node = self.rel(input, None)?;
                    let (node, keys) = self.absorb_keys(node, keys)?;
                    let node = self.foremost(node, &keys, skip.saturating_add(fetch))?;
                    self.sort(node, &keys)?
                }
                _ => self.rel(input, None)?,
            };
            return if skip == 0 && fetch.is_none() { Ok(node) } else { node.map_plan(|p| p.limit(skip, fetch)) };
        }
        // For each row of the domain: number its rows in their order. So too OFFSET without LIMIT, which DataFusion would apply
        // a second time to a LIMIT further down.
        let (sorted, keys) = match input {
            Rel::Sort { input, keys } => (input.as_ref(), keys.as_slice()),
            other => (other, [].as_slice()),
        };
        let node = self.rel(sorted, domain)?;
        let (node, keys) = self.absorb_keys(node, keys)?;
        let partition: Vec<DfExpr> = node.dom.iter().flat_map(|(_, v)| physical(v)).collect();
        let (node, keys) = self.with_ranks(node, keys, partition.clone())?;
        let sort = self.sort_exprs(&keys, &Scope::of(&node))?;
        let (node, number) = self.numbered(node, partition, sort)?;
        let mut keep = number.clone().gt(lit(skip as u64));
        if let Some(fetch) = fetch {
            keep = keep.and(number.lt_eq(lit((skip as u64).saturating_add(fetch as u64))));
        }
        let node = node.map_plan(|p| p.filter(keep))?;
        if domain.is_none() { self.sort(node, &keys) } else { Ok(node) }
    }

    /// Adds row numbers (from 1, UInt64) within partitions; gives their column.
    pub(super) fn numbered(&mut self, node: Node, partition: Vec<DfExpr>, sort: Vec<SortExpr>) -> Result<(Node, DfExpr)> {
        let name = format!("n{}", self.fresh());
        let frame = super::frame::rows_so_far();
        let call = over(row_number_udwf(), vec![], partition, sort, frame, None).alias(&name);
        let node = node.map_plan(|p| p.window(vec![call]))?;
        Ok((node, super::node::column(name)))
    }

    pub(super) fn distinct_on(&mut self, input: &Rel, on: &[Expr], keys: &[SortKey], domain: Option<&Domain>) -> Result<Node> {
        let node = self.rel(input, domain)?;
        let (node, keys) = self.absorb_keys(node, keys)?;
        let (node, on) = self.absorb(node, on)?;
        let mut partition: Vec<DfExpr> = node.dom.iter().flat_map(|(_, v)| physical(v)).collect();
        for e in &on {
            partition.push(keys::group_key(&self.expr(e, &Scope::of(&node))?)?.expr);
        }
        // Where rows of different groups are to be in order, too, the places are those among all rows.
        let within = node.dom.iter().flat_map(|(_, v)| physical(v)).collect();
        let (node, keys) = self.with_ranks(node, keys, within)?;
        let sort = self.sort_exprs(&keys, &Scope::of(&node))?;
        let (node, number) = self.numbered(node, partition, sort)?;
        let node = node.map_plan(|p| p.filter(number.eq(lit(1u64))))?;
        self.sort(node, &keys)
    }
}
