//! Keeps filters that are made at run time from rows that raise an error: Postgres computes these rows before it joins or sorts them.
//!
//! The keys of a join, the last row of a top-k are known only when the query runs, and leave out rows far below ([`crate::join_keys`],
//! DataFusion's own). An expression between there and here that is computed of fewer rows may not see the one by which Postgres would
//! have divided by zero. (Conditions of the query itself are pushed down as Postgres does it, before this.)
//!
//! Invariant: no such filter passes a node that computes what can raise an error in Postgres; what is not known to be harmless can.

use crate::fence::FenceExec;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use std::sync::Arc;

/// Functions that raise no error, whatever their arguments are.
const HARMLESS: &[&str] = &[
    "pg_numeric_add",
    "pg_numeric_sub",
    "pg_numeric_mul",
    "pg_numeric_mul_scaled",
    "pg_numeric_neg",
    "pg_numeric_abs",
    "pg_numeric_sign",
    "pg_numeric_round",
    "pg_numeric_round_by",
    "pg_numeric_round_scale",
    "pg_numeric_order",
    "pg_numeric_out",
    "pg_scale_max",
    "pg_scale_sum",
    "pg_int_and",
    "pg_int_or",
    "pg_int_xor",
    "pg_int_not",
    "pg_int_out",
    "pg_float4_canonical",
    "pg_float8_canonical",
    "pg_float_abs",
    "pg_float_out",
    "pg_bool_out",
    "pg_extract",
    "pg_date_part",
    "pg_date_trunc",
    "pg_datetime_out",
    "pg_timestamp_date",
    "pg_timestamp_time",
    "pg_isfinite_date",
    "pg_isfinite_timestamp",
    "pg_interval_key",
    "pg_collated",
    "btrim",
    "char_length",
    "concat",
    "left",
    "lower",
    "ltrim",
    "octet_length",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "starts_with",
    "strip_blanks",
    "strpos",
    "textcat",
    "upper",
    "coalesce",
    "nullif",
    "struct",
];

/// Harmless where the divisor is a constant other than zero (and minus one, by which the least integer cannot be divided).
const DIVISIONS: &[&str] = &["pg_int_div", "pg_int_mod", "pg_numeric_div", "pg_numeric_div_scale", "pg_numeric_div_trunc", "pg_numeric_mod"];

type Expr = Arc<dyn PhysicalExpr>;

/// Puts a fence above each node that computes something that can raise. Runs before the rule that pushes such filters.
#[derive(Debug)]
pub struct FenceRaising;

impl PhysicalOptimizerRule for FenceRaising {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let raises = computed(&node).iter().any(can_raise);
            Ok(if raises { Transformed::yes(Arc::new(FenceExec(node)) as Arc<dyn ExecutionPlan>) } else { Transformed::no(node) })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "FenceRaising"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What a node through which filters are pushed computes.
fn computed(node: &Arc<dyn ExecutionPlan>) -> Vec<Expr> {
    let any = node.as_any();
    if let Some(projection) = any.downcast_ref::<ProjectionExec>() {
        return projection.expr().iter().map(|e| Arc::clone(&e.expr)).collect();
    }
    if let Some(filter) = any.downcast_ref::<FilterExec>() {
        return vec![Arc::clone(filter.predicate())];
    }
    if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        let on = join.on().iter().flat_map(|(l, r)| [Arc::clone(l), Arc::clone(r)]);
        return on.chain(join.filter().map(|f| Arc::clone(f.expression()))).collect();
    }
    if let Some(aggregate) = any.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr().expr().iter().map(|(e, _)| Arc::clone(e));
        let arguments = aggregate.aggr_expr().iter().flat_map(|a| a.expressions());
        return groups.chain(arguments).chain(aggregate.filter_expr().iter().flatten().cloned()).collect();
    }
    Vec::new()
}

fn can_raise(e: &Expr) -> bool {
    let any = e.as_any();
    let is_harmless = if let Some(call) = any.downcast_ref::<ScalarFunctionExpr>() {
        let second = |is: fn(&Expr) -> bool| call.args().get(1).is_some_and(is);
        HARMLESS.contains(&call.name())
            || (DIVISIONS.contains(&call.name()) && second(divides))
            || (matches!(call.name(), "like" | "ilike") && second(is_whole_pattern))
    } else if let Some(binary) = any.downcast_ref::<BinaryExpr>() {
        !matches!(binary.op(), Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
    } else {
        // Casts that Postgres would make are functions; what is left of them changes how a value is held.
        any.is::<Column>()
            || any.is::<Literal>()
            || any.is::<CastExpr>()
            || any.is::<CaseExpr>()
            || any.is::<InListExpr>()
            || any.is::<IsNullExpr>()
            || any.is::<IsNotNullExpr>()
            || any.is::<LikeExpr>()
            || any.is::<NotExpr>()
    };
    !is_harmless || e.children().into_iter().any(can_raise)
}

/// Whether it is a pattern that does not end within an escape.
fn is_whole_pattern(pattern: &Expr) -> bool {
    let text = pattern.as_any().downcast_ref::<Literal>().and_then(|l| l.value().try_as_str());
    text.flatten().is_some_and(|text| !text.ends_with('\\'))
}

/// Whether everything can be divided by it.
fn divides(divisor: &Expr) -> bool {
    let any = divisor.as_any();
    if let Some(cast) = any.downcast_ref::<CastExpr>() {
        return divides(cast.expr());
    }
    match any.downcast_ref::<Literal>().map(Literal::value) {
        Some(ScalarValue::Int16(Some(n))) => *n > 0,
        Some(ScalarValue::Int32(Some(n))) => *n > 0,
        Some(ScalarValue::Int64(Some(n))) => *n > 0,
        Some(ScalarValue::Decimal128(Some(n), ..)) => *n > 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::physical_expr::expressions::lit;

    fn column() -> Expr {
        Arc::new(Column::new("a", 0))
    }

    #[test]
    fn comparisons_are_harmless_and_arithmetic_is_not() {
        let of = |op| Arc::new(BinaryExpr::new(column(), op, lit(2i32))) as Expr;
        assert!(!can_raise(&of(Operator::Lt)));
        assert!(can_raise(&of(Operator::Plus)));
        let nested: Expr = Arc::new(NotExpr::new(Arc::new(BinaryExpr::new(of(Operator::Divide), Operator::Eq, lit(1i32)))));
        assert!(can_raise(&nested));
    }

    #[test]
    fn patterns_end_within_no_escape() {
        assert_eq!([lit("a%"), lit("a\\"), column()].map(|e| is_whole_pattern(&e)), [true, false, false]);
    }

    #[test]
    fn what_is_divided_by_can_be_known() {
        let tells = [lit(3i64), lit(0i64), lit(-1i32), lit(ScalarValue::Int32(None)), column()].map(|e| divides(&e));
        assert_eq!(tells, [true, false, false, false, false]);
    }
}
