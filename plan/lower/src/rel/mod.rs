//! Relations: the plan's nodes as DataFusion's.

use datafusion::common::Result;
use datafusion::datasource::TableProvider;
use datafusion::logical_expr::LogicalPlan;
use std::sync::Arc;
use weir_plan::ir::{Plan, Scan};

/// Where scans get their data: the engine's pinned snapshot.
pub trait TableSource {
    /// The provider of a base relation. Its schema has the physical columns `a<attnum>` (and `a<attnum>_s` for dynamic numerics)
    /// of at least the scan's columns.
    ///
    /// # Errors
    /// `Refused` if the engine does not hold the relation in the generation asked for, or a column is poisoned.
    fn provider(&self, scan: &Scan) -> Result<Arc<dyn TableProvider>>;
}

/// A plan for DataFusion. Parameters are placeholders `$1`… in the order of `Plan::params`; a numeric parameter takes two
/// (`$n` its value, `$n_s` its display scale), see `param_values`.
pub struct Lowered {
    pub plan: LogicalPlan,
    /// For each output column of the IR plan: index of the physical column, and of its display scale if that is dynamic.
    pub columns: Vec<(u32, Option<u32>)>,
}

/// Lowers a whole plan.
///
/// # Errors
/// `Refused` with a reason for what cannot be answered exactly.
pub fn lower_plan(plan: &Plan, tables: &dyn TableSource) -> Result<Lowered> {
    let _ = (plan, tables);
    Err(crate::error::refused("not lowered"))
}
