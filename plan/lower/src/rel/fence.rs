//! A place in a plan below which every column is computed, whether somebody needs it or not: Postgres computes some, and raises their errors.
//!
//! Invariants:
//! - The optimiser prunes no column below it. Conditions pass it only where they do in Postgres.
//! - It changes nothing. Whoever plans it must keep it where it is in the physical plan, too.

use super::Lowerer;
use super::expr::Scope;
use super::node::{Node, physical};
use crate::error::refused;
use datafusion::common::{DFSchemaRef, Result, internal_datafusion_err};
use datafusion::logical_expr::{Expr as DfExpr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use weir_plan::functions::EVALUATED;
use weir_plan::ir::{Expr, Scalar};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fence {
    input: LogicalPlan,
    lets_conditions_pass: bool,
}

impl PartialOrd for Fence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for Fence {
    fn name(&self) -> &str {
        "Fence"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<DfExpr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        if self.lets_conditions_pass { HashSet::new() } else { self.schema().fields().iter().map(|f| f.name().clone()).collect() }
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence")
    }

    fn with_exprs_and_inputs(&self, _: Vec<DfExpr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs.into_iter().next().ok_or_else(|| internal_datafusion_err!("a fence without its input"))?;
        Ok(Self { input, ..*self })
    }
}

/// The arguments of a predicate that is none ([`EVALUATED`]).
pub(super) fn evaluated(predicate: &Expr) -> Option<&[Expr]> {
    match predicate {
        Expr::Call { func: EVALUATED, args, .. } => Some(args),
        Expr::And(only) if only.len() == 1 => only.first().and_then(evaluated),
        _ => None,
    }
}

impl Lowerer<'_> {
    pub(super) fn fence(&mut self, node: Node, args: &[Expr]) -> Result<Node> {
        let Some((Expr::Const { value: Scalar::Bool(lets_conditions_pass), .. }, args)) = args.split_first() else {
            return Err(refused("columns to compute, without a word on conditions"));
        };
        let (node, args) = self.absorb(node, args)?;
        let mut exprs = Vec::new();
        for e in &args {
            let value = self.expr(e, &Scope::of(&node))?;
            for e in physical(&value) {
                if e.try_as_col().is_none() {
                    exprs.push(e.alias(format!("f{}", self.fresh())));
                }
            }
        }
        let node = node.extend(exprs)?;
        let fence = Fence { input: node.plan, lets_conditions_pass: *lets_conditions_pass };
        Ok(Node { plan: LogicalPlan::Extension(Extension { node: Arc::new(fence) }), ..node })
    }
}
