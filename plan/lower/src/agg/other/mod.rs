//! min and max of other types, bool_and, string_agg, array_agg, percentile, mode.
//!
//! Invariants:
//! - What depends on the order of its input is answered only where the call says the order. Rows that its ORDER BY leaves
//!   undecided are refused at run time if the answer depends on them (unless the session is relaxed).
//! - Values without a known order (enums, jsonb, intervals) are never sorted here.

use super::{AggArgs, AggLowered, AggPart};
use crate::error::refused;
use crate::value::Value;
use datafusion::common::Result;
use datafusion::functions_aggregate::bool_and_or::{bool_and_udaf, bool_or_udaf};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::AggregateUDF;
use std::cmp::Ordering;
use std::sync::Arc;
use weir_plan::types::oid;

mod collated;
mod collect;
mod interval;
mod json;
mod keyed;
mod label;
mod listing;
mod numerics;
mod percentile;

pub(crate) use collect::{collects, finished};
pub use label::enum_rank;

pub(super) fn lower(args: &AggArgs<'_>) -> Option<Result<AggLowered>> {
    Some(match args.func {
        2145 | 2245 if !args.direct.is_empty() => collated::extreme(args, Ordering::Less),
        2129 | 2244 if !args.direct.is_empty() => collated::extreme(args, Ordering::Greater),
        2138 | 2139 | 2142 | 2143 | 2145 | 2245 => plain(args, min_udaf()),
        2122 | 2123 | 2126 | 2127 | 2129 | 2244 => plain(args, max_udaf()),
        2144 => interval::min(args),
        2128 => interval::max(args),
        2113 => interval::sum(args),
        2106 => interval::avg(args),
        3527 => label::extreme(args, min_udaf()),
        3526 => label::extreme(args, max_udaf()),
        2051 if !args.direct.is_empty() => label::extreme_array(args, min_udaf()),
        2050 if !args.direct.is_empty() => label::extreme_array(args, max_udaf()),
        3565 | 2051 => keyed::extreme(args, min_udaf()),
        3564 | 2050 => keyed::extreme(args, max_udaf()),
        2517 | 2519 => plain(args, bool_and_udaf()),
        2518 => plain(args, bool_or_udaf()),
        2335 => listing::array_agg(args),
        3538 => listing::string_agg(args),
        3545 => listing::bytea_agg(args),
        3175 => json::agg(args, false),
        3267 => json::agg(args, true),
        3197 => json::object_agg(args, false),
        3270 => json::object_agg(args, true),
        3974 | 3980 => percentile::cont(args),
        3976 => interval::percentile(args, "percentile_cont", true),
        3972 if args.args.first().is_some_and(|a| a.ty.base == oid::INTERVAL) => interval::percentile(args, "percentile_disc", false),
        3972 | 3978 => percentile::disc(args),
        3984 => percentile::mode(args),
        _ => return None,
    })
}

/// An aggregate of DataFusion that ignores NULLs, duplicates and order, and answers a value of its argument's type.
fn plain(args: &AggArgs<'_>, udf: Arc<AggregateUDF>) -> Result<AggLowered> {
    let [arg] = args.args.as_slice() else { return Err(refused(format!("aggregate {} wants one argument", args.func))) };
    single(args, udf, vec![arg.expr.clone()], arg.clone())
}

/// One engine aggregate whose result has the form of `like` and the type of the call.
fn single(args: &AggArgs<'_>, udf: Arc<AggregateUDF>, exprs: Vec<datafusion::logical_expr::Expr>, like: Value) -> Result<AggLowered> {
    let ty = args.ty;
    let part = AggPart { udf, args: exprs, order_by: Vec::new(), distinct: false };
    let finish = move |columns: Vec<_>| {
        let expr = columns.into_iter().next().ok_or_else(|| refused("aggregate without a result"))?;
        Ok(Value { expr, ty, ..like })
    };
    Ok(AggLowered { parts: vec![part], finish: Box::new(finish) })
}
