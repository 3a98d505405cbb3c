//! The order of text under a locale, for whoever sorts: a column with the place of each text among those that it is compared with.
//!
//! Nothing below this knows collations. The engine sorts the distinct texts of a relation by the library's comparison, and everything above
//! orders by the integers.
//!
//! Invariants:
//! - Of two rows that agree in `within`, the one whose text comes first in the locale has the smaller integer; equal texts have the same one.
//!   NULL has none. Of rows that do not agree nothing is said.
//! - Input columns come first, with their names; then one for each key.

use super::Lowerer;
use super::expr::Scope;
use super::keys::order_key;
use super::node::{Node, column, name_of};
use crate::error::refused;
use crate::func::collator;
use crate::value::Value;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_datafusion_err};
use datafusion::logical_expr::{Expr as DfExpr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use weir_plan::functions::TEXT_RANK;
use weir_plan::ir::{ColId, Expr, SortKey};
use weir_plan::types::PgType;

/// A text to rank.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RankKey {
    pub text: DfExpr,
    pub within: Vec<DfExpr>,
    /// As `weir_collate` opens it.
    pub locale: String,
    id: ColId,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rank {
    input: LogicalPlan,
    keys: Vec<RankKey>,
    schema: DFSchemaRef,
}

impl Rank {
    fn above(input: LogicalPlan, keys: Vec<RankKey>) -> Result<Self> {
        let known = input.schema();
        let mut fields: Vec<_> = known.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        fields.extend(keys.iter().map(|k| (None, Arc::new(Field::new(name_of(k.id), DataType::Int64, true)))));
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(Self { input, keys, schema })
    }

    pub fn keys(&self) -> &[RankKey] {
        &self.keys
    }
}

impl RankKey {
    /// The name of its column.
    pub fn name(&self) -> String {
        name_of(self.id)
    }

    fn is(&self, other: &RankKey) -> bool {
        self.text == other.text && self.within == other.within && self.locale == other.locale
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for Rank {
    fn name(&self) -> &str {
        "Rank"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<DfExpr> {
        self.keys.iter().flat_map(|k| std::iter::once(&k.text).chain(&k.within)).cloned().collect()
    }

    /// Conditions on the rank itself stay above.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.keys.iter().map(RankKey::name).collect()
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        // Those of the keys are added by the optimiser.
        let of_input = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|c| *c < of_input).collect()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(|k| format!("{} by {}", k.text, k.locale)).collect();
        write!(f, "Rank: {}", keys.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<DfExpr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let wrong = || internal_datafusion_err!("a rank with other inputs");
        let mut exprs = exprs.into_iter();
        let mut keys = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let text = exprs.next().ok_or_else(wrong)?;
            let within: Vec<DfExpr> = exprs.by_ref().take(key.within.len()).collect();
            keys.push(RankKey { text, within, ..key.clone() });
        }
        Self::above(inputs.into_iter().next().ok_or_else(wrong)?, keys)
    }
}

/// The text and the locale of a sort key that is a rank.
pub(super) fn ranked(key: &SortKey) -> Option<(&Expr, &Expr)> {
    match &key.expr {
        Expr::Call { func: TEXT_RANK, args, .. } => match args.as_slice() {
            [text, locale] => Some((text, locale)),
            _ => None,
        },
        _ => None,
    }
}

impl Lowerer<'_> {
    /// Makes columns of the ranks among sort keys whose subqueries have been absorbed. Only rows that agree in `within` are compared by them.
    pub(super) fn with_ranks(&mut self, node: Node, keys: Vec<SortKey>, mut within: Vec<DfExpr>) -> Result<(Node, Vec<SortKey>)> {
        if !keys.iter().any(|k| ranked(k).is_some()) {
            return Ok((node, keys));
        }
        let (mut node, mut out) = (node, Vec::with_capacity(keys.len()));
        for key in keys {
            let Some((text, locale)) = ranked(&key) else {
                within.push(order_key(&self.expr(&key.expr, &Scope::of(&node))?)?);
                out.push(key);
                continue;
            };
            let value = self.expr(text, &Scope::of(&node))?;
            if matches!(value.expr, DfExpr::Literal(..)) {
                out.push(SortKey { expr: text.clone(), ..key });
                continue;
            }
            if value.arrow != DataType::Utf8View {
                return Err(refused(format!("the order of {} under a locale", value.arrow)));
            }
            let locale = self.expr(locale, &Scope::of(&node))?;
            let (locale, _) = collator(&locale)?;
            // A literal splits nothing.
            within.retain(|e| !matches!(e, DfExpr::Literal(..)));
            let wanted = RankKey { text: value.expr.clone(), within: within.clone(), locale, id: self.fresh_id() };
            let id;
            (node, id) = add(node, wanted)?;
            within.push(value.expr);
            let ty = PgType::INT8;
            out.push(SortKey { expr: Expr::Column { id, ty }, ..key });
        }
        Ok((node, out))
    }
}

/// The node with the rank, and its column: those of neighbours are made together.
fn add(mut node: Node, wanted: RankKey) -> Result<(Node, ColId)> {
    let id = wanted.id;
    let below = match &node.plan {
        LogicalPlan::Extension(Extension { node }) => node.as_any().downcast_ref::<Rank>(),
        _ => None,
    };
    let rank = match below {
        Some(rank) => {
            if let Some(known) = rank.keys.iter().find(|k| k.is(&wanted)) {
                let id = known.id;
                return Ok((node, id));
            }
            Rank::above(rank.input.clone(), rank.keys.iter().cloned().chain([wanted]).collect())?
        }
        None => Rank::above(node.plan, vec![wanted])?,
    };
    node.plan = LogicalPlan::Extension(Extension { node: Arc::new(rank) });
    node.cols.insert(id, Value::new(column(name_of(id)), DataType::Int64, PgType::INT8));
    Ok((node, id))
}
