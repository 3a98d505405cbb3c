//! Averages as quotients of sum and count, which is how Postgres computes them: for engines whose own averages have other scales. And
//! `sum(CASE WHEN … THEN x ELSE 0 END)` as a sum with a filter, where x and 0 would become numerics of one scale.

use crate::meaning::{self, AggMeaning, parts};
use crate::push::Ids;
use weir_plan::ir::{AggCall, Aggregate, BoolTest, Collation, Expr, Named, Scalar};
use weir_plan::types::PgType;

/// The condition, the value and the 0 of a sum of what is 0 on condition.
fn conditional(call: &AggCall) -> Option<(&Expr, &Expr, &Expr)> {
    let ([Expr::Case { whens, otherwise: Some(zero), .. }], parts::SUM_NUMERIC, false) = (call.args.as_slice(), call.func, call.distinct) else { return None };
    let [(condition, value)] = whens.as_slice() else { return None };
    let is_zero = matches!(zero.as_ref(), Expr::Const { value: Scalar::Numeric(text), .. } if text == "0");
    is_zero.then_some((condition, value, zero))
}

/// The aggregate with sums and counts in place of averages, and what its own columns are over those of the new one; `None` if there is nothing
/// to be replaced.
pub fn averages(aggregate: &Aggregate, ids: &mut Ids) -> Option<(Aggregate, Vec<Named<Expr>>)> {
    let is_average = |call: &AggCall| matches!(meaning::aggregate(call.func), Some(AggMeaning::AvgSmallInt | AggMeaning::AvgInt | AggMeaning::AvgNumeric));
    if !aggregate.calls.iter().any(|c| is_average(&c.expr) || conditional(&c.expr).is_some()) {
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
        if let Some((condition, value, zero)) = conditional(c) {
            let mut only = |func: u32, arg: &Expr, test: BoolTest| {
                let (id, ty) = (ids.take(), if func == parts::COUNT { PgType::INT8 } else { c.ty });
                let when = Expr::BoolTest { test, arg: Box::new(condition.clone()) };
                let filter = Some(match &c.filter {
                    Some(filter) => Expr::And(vec![filter.clone(), when]),
                    None => when,
                });
                new.calls.push(Named { id, expr: AggCall { func, ty, args: vec![arg.clone()], filter, ..c.clone() } });
                Expr::Column { id, ty }
            };
            let sum = only(parts::SUM_NUMERIC, value, BoolTest::IsTrue);
            let zeros = only(parts::COUNT, &Expr::Const { value: Scalar::Bool(true), ty: PgType::BOOL }, BoolTest::IsNotTrue);
            let none = Expr::Const { value: Scalar::Int8(0), ty: PgType::INT8 };
            let some = Expr::Call { func: parts::INT8_GT, args: vec![zeros, none], ty: PgType::BOOL, collation: Collation::None };
            let with_zeros = Expr::Coalesce { args: vec![sum.clone(), zero.clone()], ty: c.ty };
            let expr = Expr::Case { whens: vec![(some, with_zeros)], otherwise: Some(Box::new(sum)), ty: c.ty };
            exprs.push(Named { id: call.id, expr });
            continue;
        }
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
