//! Averages as quotients of sum and count, which is how Postgres computes them: for engines whose own averages have other scales.

use crate::meaning::{self, AggMeaning, parts};
use crate::push::Ids;
use weir_plan::ir::{AggCall, Aggregate, Collation, Expr, Named};
use weir_plan::types::PgType;

/// The aggregate with sums and counts in place of averages, and what its own columns are over those of the new one; `None` if there is no average.
pub fn averages(aggregate: &Aggregate, ids: &mut Ids) -> Option<(Aggregate, Vec<Named<Expr>>)> {
    let is_average = |call: &AggCall| matches!(meaning::aggregate(call.func), Some(AggMeaning::AvgSmallInt | AggMeaning::AvgInt | AggMeaning::AvgNumeric));
    if !aggregate.calls.iter().any(|c| is_average(&c.expr)) {
        return None;
    }
    let mut exprs = Vec::new();
    let mut new = Aggregate { calls: Vec::new(), groups: Vec::new(), ..aggregate.clone() };
    for group in &aggregate.groups {
        // The same identity would be defined twice.
        let id = ids.take();
        exprs.push(Named { id: group.id, expr: Expr::Column { id, ty: group.expr.ty() } });
        new.groups.push(Named { id, expr: group.expr.clone() });
    }
    for call in &aggregate.calls {
        let c = &call.expr;
        let mut part = |func: u32, ty: PgType| {
            let id = ids.take();
            new.calls.push(Named { id, expr: AggCall { func, ty, ..c.clone() } });
            Expr::Column { id, ty }
        };
        if !is_average(c) {
            let expr = part(c.func, c.ty);
            exprs.push(Named { id: call.id, expr });
            continue;
        }
        let call_of = |func: u32, args: Vec<Expr>| Expr::Call { func, args, ty: PgType::NUMERIC, collation: Collation::None };
        let sum = match c.func {
            2100 => part(parts::SUM_INT8, PgType::NUMERIC),
            2101 => call_of(parts::NUMERIC_OF_INT8, vec![part(parts::SUM_INT4, PgType::INT8)]),
            2102 => call_of(parts::NUMERIC_OF_INT8, vec![part(parts::SUM_INT2, PgType::INT8)]),
            _ => part(parts::SUM_NUMERIC, PgType::NUMERIC),
        };
        let count = call_of(parts::NUMERIC_OF_INT8, vec![part(parts::COUNT, PgType::INT8)]);
        // A count of 0 has a NULL sum, and is not divided by.
        exprs.push(Named { id: call.id, expr: call_of(parts::NUMERIC_DIV, vec![sum, count]) });
    }
    Some((new, exprs))
}
