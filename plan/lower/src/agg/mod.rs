//! Aggregates by OID. One Postgres aggregate may need several engine aggregates and an expression over their results.

use crate::error::refused;
use crate::value::Value;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, Expr, SortExpr};
use std::sync::Arc;
use weir_plan::ir::{Collation, Session};
use weir_plan::types::PgType;

mod distinct;
mod numeric;
mod other;

pub(crate) use numeric::adds_exactly;
pub use other::enum_rank;
pub(crate) use other::{collects, finished};

/// An aggregate call to lower.
pub struct AggArgs<'a> {
    pub func: u32,
    pub direct: Vec<Value>,
    pub args: Vec<Value>,
    /// The query said DISTINCT; the caller passes it on to every part that `respects_distinct`.
    pub distinct: bool,
    pub order_by: Vec<SortExpr>,
    /// Used with OVER: ordered-set aggregates and ORDER BY inside the call do not occur.
    pub windowed: bool,
    pub ty: PgType,
    pub collation: Collation,
    pub session: &'a Session,
}

/// One engine aggregate; the caller adds FILTER, or OVER with partition, order and frame.
pub struct AggPart {
    pub udf: Arc<AggregateUDF>,
    pub args: Vec<Expr>,
    pub order_by: Vec<SortExpr>,
    pub distinct: bool,
}

/// The parts, and how their result columns (in order) make the aggregate's value.
pub struct AggLowered {
    pub parts: Vec<AggPart>,
    pub finish: Box<dyn FnOnce(Vec<Expr>) -> Result<Value>>,
}

/// Lowers an aggregate call.
pub fn lower(args: &AggArgs<'_>) -> Result<AggLowered> {
    None.or_else(|| numeric::lower(args)).or_else(|| other::lower(args)).unwrap_or_else(|| Err(refused(format!("aggregate {} is not implemented", args.func))))
}
