//! Common table expressions: used once they are part of the query; used more often they are computed once, unless they only scan.

use super::expr::has_subquery;
use super::node::{Domain, Node};
use super::share::{SharedTable, is_repeatable};
use super::{Lowerer, walk};
use crate::error::refused;
use crate::value::Value;
use datafusion::common::Result;
use std::collections::HashSet;
use std::sync::Arc;
use weir_plan::ir::{ColId, CteId, Rel};
use weir_plan::types::PgType;

type SharedCte = (Arc<SharedTable>, Vec<(ColId, Value)>);

pub(super) struct Cte {
    pub rel: Arc<Rel>,
    /// How often it is used.
    uses: usize,
    /// The columns that any use takes.
    used: HashSet<ColId>,
    /// Once it has been lowered to be shared.
    shared: Option<SharedCte>,
}

impl Lowerer<'_> {
    pub(super) fn with(&mut self, with: &Rel, ctes: &[(CteId, Rel)], body: &Rel, domain: Option<&Domain>) -> Result<Node> {
        let mut columns = walk::Columns::of_rel(with);
        for (id, rel) in ctes {
            let (uses, used) = columns.ctes.remove(id).unwrap_or_default();
            self.ctes.insert(*id, Cte { rel: Arc::new(rel.clone()), uses, used, shared: None });
        }
        self.rel(body, domain)
    }

    pub(super) fn cte_ref(&mut self, id: CteId, columns: &[(ColId, ColId, PgType)], domain: Option<&Domain>) -> Result<Node> {
        if let Some(node) = self.work(id)? {
            let node = self.in_domain(node, domain)?;
            return self.renamed(node, columns.iter().map(|(new, old, _)| (*new, *old)));
        }
        let Some(cte) = self.ctes.get(&id) else { return Err(refused("a common table expression out of scope")) };
        let (rel, once) = (Arc::clone(&cte.rel), cte.uses <= 1 || only_scans(&cte.rel));
        let node = if once {
            self.rel(&rel, domain)?
        } else if self.free_columns(&rel).is_empty() {
            let node = self.shared_cte(id, &rel)?;
            self.in_domain(node, domain)?
        } else {
            let node = self.rel(&rel, domain)?;
            if !is_repeatable(&node.plan)? {
                return Err(refused("a correlated common table expression whose rows are not determined"));
            }
            node
        };
        self.renamed(node, columns.iter().map(|(new, old, _)| (*new, *old)))
    }

    fn shared_cte(&mut self, id: CteId, rel: &Rel) -> Result<Node> {
        let known = self.ctes.get(&id).and_then(|c| c.shared.clone());
        let (table, columns) = match known {
            Some(known) => known,
            None => {
                let mut node = self.rel(rel, None)?;
                if let Some(cte) = self.ctes.get(&id) {
                    node.order.retain(|c| cte.used.contains(c));
                }
                let node = node.narrow()?;
                let shared = (Arc::new(SharedTable::new(node.plan.clone())?), node.outputs()?);
                if let Some(cte) = self.ctes.get_mut(&id) {
                    cte.shared = Some(shared.clone());
                }
                shared
            }
        };
        let plan = self.scan_shared(&table)?;
        Ok(Node::new(plan, columns, vec![]))
    }
}

/// Cheap to evaluate again, with filters pushed into each use.
fn only_scans(rel: &Rel) -> bool {
    match rel {
        Rel::Scan(_) | Rel::OneRow => true,
        Rel::Filter { input, predicate } => only_scans(input) && !has_subquery(predicate),
        Rel::Project { input, exprs } => only_scans(input) && !exprs.iter().any(|n| has_subquery(&n.expr)),
        _ => false,
    }
}
