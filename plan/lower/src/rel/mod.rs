//! Relations: the plan's nodes as DataFusion's.
//!
//! Invariants:
//! - Subqueries never reach DataFusion: they become joins here (`subquery`), so that NULLs, empty results and errors are Postgres's.
//! - Nothing is evaluated twice that may come out differently: such relations are computed once and shared (`shared`).

use datafusion::common::Result;
use datafusion::datasource::TableProvider;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use std::collections::HashMap;
use std::sync::Arc;
use weir_plan::ir::{ColId, CteId, Plan, Rel, Remote, Scalar, Scan, Session};
use weir_plan::types::{PgType, oid};

mod aggregate;
mod consts;
mod correlate;
mod cte;
mod expand;
mod expr;
mod extreme;
mod fence;
mod floats;
mod foremost;
pub(crate) mod forms;
mod frame;
mod framed;
mod join;
pub(crate) mod keys;
mod node;
mod order;
mod rank;
mod recursion;
mod scan;
mod setop;
mod share;
mod shift;
mod silent;
mod subquery;
pub(crate) mod unify;
mod walk;
mod window;

use cte::Cte;
pub use fence::Fence;
pub use foremost::Foremost;
pub use keys::not_null;
use node::{Domain, Node};
pub use rank::Rank;
pub use recursion::settle;
pub use shift::{over_partitions, sees_all_rows_first};

/// Where scans get their data: the engine's pinned snapshot.
pub trait TableSource {
    /// The provider of a base relation. Its schema has the physical columns `a<attnum>` (and `a<attnum>_s` for dynamic numerics)
    /// of at least the scan's columns.
    ///
    /// # Errors
    /// `Refused` if the engine does not hold the relation in the generation asked for, or a column is poisoned.
    fn provider(&self, scan: &Scan) -> Result<Arc<dyn TableProvider>>;

    /// The provider of a remote statement's result. Its schema has the physical columns `r<i>` (and `r<i>_s` for dynamic numerics) of
    /// the statement's columns, by their place. Without the values of its parameters the
    /// provider is good for planning only.
    ///
    /// # Errors
    /// `Refused` if there are no remote servers here.
    fn remote(&self, remote: &Remote, _params: Option<&[Scalar]>) -> Result<Arc<dyn TableProvider>> {
        Err(crate::error::refused(format!("remote server {}", remote.name)))
    }
}

/// A plan for DataFusion.
pub struct Lowered {
    pub plan: LogicalPlan,
    /// For each output column of the IR plan: index of the physical column, and of its display scale if that is dynamic.
    pub columns: Vec<(u32, Option<u32>)>,
}

/// Lowers a whole plan. `params` are the values of `Plan::params`: with them the plan can be executed once (lower again for the next
/// execution); without them parameters are placeholders and the plan is good for checking and explaining only.
///
/// # Errors
/// `Refused` with a reason for what cannot be answered exactly.
pub fn lower_plan(plan: &Plan, params: Option<&[Scalar]>, tables: &dyn TableSource) -> Result<Lowered> {
    if params.is_some_and(|p| p.len() != plan.params.len()) {
        return Err(crate::error::refused("wrong number of parameters"));
    }
    let lowered = Lowerer::new(plan, params, tables).plan(plan);
    match (lowered, params) {
        // A function may need a constant where the placeholder stands: NULL is one.
        (Err(_), None) if !plan.params.is_empty() => {
            let nulls = vec![Scalar::Null; plan.params.len()];
            Lowerer::new(plan, Some(&nulls), tables).plan(plan)
        }
        (lowered, _) => lowered,
    }
}

struct Lowerer<'a> {
    session: &'a Session,
    params: Option<&'a [Scalar]>,
    param_types: &'a [PgType],
    tables: &'a dyn TableSource,
    ctes: HashMap<CteId, Cte>,
    /// Recursions whose second term is being lowered.
    works: HashMap<CteId, recursion::Work>,
    /// For names and column identities of our own.
    next: u32,
    /// The aggregates of the next aggregation get names that occur nowhere else.
    rename_calls: bool,
}

impl<'a> Lowerer<'a> {
    fn new(plan: &'a Plan, params: Option<&'a [Scalar]>, tables: &'a dyn TableSource) -> Self {
        Self {
            session: &plan.session,
            params,
            param_types: &plan.params,
            tables,
            ctes: HashMap::new(),
            works: HashMap::new(),
            next: 1 << 31,
            rename_calls: false,
        }
    }

    fn plan(&mut self, plan: &Plan) -> Result<Lowered> {
        let node = self.rel(&plan.root, None)?;
        if plan.output.iter().any(|(_, ty)| ty.base == oid::BPCHAR && ty.char_length().is_none()) {
            return Err(crate::error::refused("a result of type character without a declared length"));
        }
        let (mut exprs, mut columns) = (Vec::new(), Vec::new());
        let mut place = |expr| {
            let at = exprs.iter().position(|e| *e == expr).unwrap_or_else(|| {
                exprs.push(expr);
                exprs.len() - 1
            });
            u32::try_from(at).unwrap_or(u32::MAX)
        };
        for (id, _) in &plan.output {
            let mut physical = node::physical(node.get(*id)?).into_iter();
            let value = physical.next().map(&mut place).unwrap_or(0);
            columns.push((value, physical.next().map(&mut place)));
        }
        if exprs.is_empty() {
            exprs.push(datafusion::logical_expr::lit(true).alias("one"));
        }
        let plan = LogicalPlanBuilder::from(node.plan).project(exprs)?.build()?;
        Ok(Lowered { plan, columns })
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn fresh_id(&mut self) -> ColId {
        ColId(self.fresh())
    }

    /// Lowers a relation. With a domain, the result is the relation evaluated for each of the domain's rows, which it carries in `dom`.
    fn rel(&mut self, rel: &Rel, domain: Option<&Domain>) -> Result<Node> {
        if let Some(d) = domain
            && !self.is_correlated(rel, d)
        {
            let node = self.rel(rel, None)?;
            return self.in_domain(node, domain);
        }
        match rel {
            Rel::OneRow => self.one_row(domain),
            Rel::Scan(scan) => {
                let node = self.scan(scan)?;
                self.in_domain(node, domain)
            }
            Rel::Remote(remote) => {
                let node = self.remote(remote)?;
                self.in_domain(node, domain)
            }
            Rel::Values { columns, rows } => self.values(columns, rows, domain),
            Rel::Project { input, exprs } => self.project(input, exprs, domain),
            Rel::Filter { input, predicate } => {
                let node = self.rel(input, domain)?;
                self.filter(node, predicate)
            }
            Rel::Join(join) => self.join(join, domain),
            Rel::Aggregate(aggregate) => self.aggregate(aggregate, domain),
            Rel::Sort { input, keys } => {
                let node = self.rel(input, domain)?;
                self.sort(node, keys)
            }
            Rel::Limit { input, offset, limit } => self.limit(input, offset.as_ref(), limit.as_ref(), domain),
            Rel::Distinct { input } => {
                let node = self.rel(input, domain)?;
                self.distinct(node)
            }
            Rel::With { ctes, body } => self.with(rel, ctes, body, domain),
            Rel::CteRef { cte, columns } => self.cte_ref(*cte, columns, domain),
            Rel::SetOp(op) => match op.recursion {
                Some(_) if domain.is_some() => Err(crate::error::refused("a correlated WITH RECURSIVE")),
                Some(id) => self.recursion(op, id),
                None => self.set_op(op, domain),
            },
            Rel::DistinctOn { input, on, keys } => self.distinct_on(input, on, keys, domain),
            Rel::Window { input, functions } => self.window(input, functions, domain),
            Rel::Expand(expand) => self.expand(expand, domain),
        }
    }
}

#[cfg(test)]
mod tests;
