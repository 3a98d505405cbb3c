//! DataFusion's rules `optimize_projections` and `replace_distinct_aggregate`, kept from believing what a projection says of its columns.
//!
//! Above an aggregation its keys decide all other columns, by which the rules leave out keys of a second one, or a DISTINCT. A projection of
//! DataFusion 53 counts only those of its columns that its input has, too: of `SELECT c IS NULL, c ... GROUP BY c` it says that the first one
//! decides. So `SELECT count(*) FROM (SELECT DISTINCT c IS NULL, c FROM t GROUP BY c) s` counted the values of the first.
//!
//! Invariant: these rules see no such dependencies.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, DFSchemaRef, FunctionalDependencies, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

#[derive(Debug)]
pub struct NoDependencies {
    rule: Rule,
    /// It is given the whole plan, not node after node.
    whole: bool,
}

impl NoDependencies {
    /// Replaces the rules among the others.
    pub fn replacing(rule: Rule) -> Rule {
        let whole = match rule.name() {
            "optimize_projections" => true,
            "replace_distinct_aggregate" => false,
            _ => return rule,
        };
        Arc::new(Self { rule, whole })
    }
}

impl OptimizerRule for NoDependencies {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let looks = self.whole || matches!(plan, LogicalPlan::Distinct(_));
        self.rule.rewrite(if looks { without(plan)? } else { plan }, config)
    }
}

/// The plan, of whose columns none is said to decide another.
fn without(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|mut node| {
        let schema = match &mut node {
            LogicalPlan::Projection(p) => &mut p.schema,
            LogicalPlan::Aggregate(a) => &mut a.schema,
            LogicalPlan::Join(j) => &mut j.schema,
            LogicalPlan::Window(w) => &mut w.schema,
            LogicalPlan::SubqueryAlias(a) => &mut a.schema,
            LogicalPlan::Union(u) => &mut u.schema,
            LogicalPlan::Unnest(u) => &mut u.schema,
            // The others have the schema of their input.
            _ => return Ok(Transformed::no(node)),
        };
        if schema.functional_dependencies().is_empty() {
            return Ok(Transformed::no(node));
        }
        *schema = independent(schema)?;
        Ok(Transformed::yes(node))
    })
    .data()
}

fn independent(schema: &DFSchemaRef) -> Result<DFSchemaRef> {
    DFSchema::clone(schema).with_functional_dependencies(FunctionalDependencies::empty()).map(Arc::new)
}
