//! Of `ORDER BY text LIMIT n` under a locale, the rows that may be among the first: all others need not be sorted.
//!
//! Invariant: every row whose text comes no later than the n-th passes, NULL counted where the order has it.

use super::Lowerer;
use super::expr::Scope;
use super::node::Node;
use super::rank::ranked;
use crate::func::collator;
use datafusion::common::{DFSchemaRef, Result, internal_datafusion_err};
use datafusion::logical_expr::{Expr as DfExpr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use weir_plan::ir::SortKey;

/// More rows than this are sorted together with all others.
const MOST_ROWS: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Foremost {
    input: LogicalPlan,
    pub text: DfExpr,
    /// As `weir_collate` opens it.
    pub locale: String,
    pub descending: bool,
    pub nulls_first: bool,
    pub rows: usize,
}

impl PartialOrd for Foremost {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for Foremost {
    fn name(&self) -> &str {
        "Foremost"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<DfExpr> {
        vec![self.text.clone()]
    }

    /// Which rows are the first depends on all of them.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foremost: {} of {} by {}", self.rows, self.text, self.locale)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<DfExpr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.into_iter().next(), inputs.into_iter().next()) {
            (Some(text), Some(input)) => Ok(Self { input, text, ..self.clone() }),
            _ => Err(internal_datafusion_err!("the first rows of nothing")),
        }
    }
}

impl Lowerer<'_> {
    /// Leaves out rows that are not among the first `rows` by the first of the keys, whose subqueries have been absorbed, if that is a text
    /// under a locale.
    pub(super) fn foremost(&self, node: Node, keys: &[SortKey], rows: usize) -> Result<Node> {
        let Some((key, (text, locale))) = keys.first().and_then(|k| Some((k, ranked(k)?))) else { return Ok(node) };
        if rows == 0 || rows > MOST_ROWS {
            return Ok(node);
        }
        let scope = Scope::of(&node);
        let (text, locale) = (self.expr(text, &scope)?.expr, self.expr(locale, &scope)?);
        if matches!(text, DfExpr::Literal(..)) {
            return Ok(node);
        }
        let (locale, _) = collator(&locale)?;
        let foremost = Foremost { input: node.plan, text, locale, descending: key.descending, nulls_first: key.nulls_first, rows };
        Ok(Node { plan: LogicalPlan::Extension(Extension { node: Arc::new(foremost) }), ..node })
    }
}
