//! FETCH FIRST … WITH TIES, by the rank of each row in its order.

use super::call::{self, Callee};
use super::{Cx, Result};
use pgrx::pg_sys;
use weir_plan::functions::FunctionKind;
use weir_plan::ir::{Bound, Collation, Exclude, Expr, Frame, FrameUnits, Named, Rel, Scalar, WindowCall};
use weir_plan::types::PgType;

// Source: `pg_proc.dat`.
const ROW_NUMBER: u32 = 3100;
const RANK: u32 = 3101;
const INT8GT: u32 = 470;
const INT8LE: u32 = 471;

/// The rows of a sorted relation behind `offset` whose rank is at most `offset + limit`: the last row of LIMIT and those that equal it.
pub unsafe fn with_ties(cx: &mut Cx, rel: Rel, offset: Option<Expr>, limit: Option<Expr>) -> Result<Rel> {
    let Rel::Sort { input, keys } = rel else { return Err("FETCH FIRST WITH TIES of rows that are all equal in order".into()) };
    let skipped = offset.map_or(Some(0), |e| constant(&e));
    let (Some(skipped), Some(count)) = (skipped.filter(|n| *n >= 0), limit.as_ref().and_then(constant).filter(|n| *n > 0)) else {
        return Err("FETCH FIRST WITH TIES of other than a constant number of rows".into());
    };
    let last = skipped.checked_add(count).ok_or("FETCH FIRST of too many rows")?;
    let mut functions = Vec::new();
    let mut conditions = Vec::new();
    for (window, test, bound) in [(RANK, INT8LE, last), (ROW_NUMBER, INT8GT, skipped)] {
        let callee = Callee { kind: FunctionKind::Window, over: true, ..Callee::function(pg_sys::Oid::from(window), pg_sys::InvalidOid) };
        call::check(cx, callee, &[])?;
        call::check(cx, Callee::function(pg_sys::Oid::from(test), pg_sys::InvalidOid), &[PgType::INT8, PgType::INT8])?;
        let id = cx.new_col();
        let frame = Frame { units: FrameUnits::Range, start: Bound::UnboundedPreceding, end: Bound::CurrentRow, exclude: Exclude::NoOthers };
        let call = WindowCall { func: window, args: Vec::new(), filter: None, partition_by: Vec::new(), order_by: keys.clone(), frame, ty: PgType::INT8 };
        functions.push(Named { id, expr: call });
        let args = vec![Expr::Column { id, ty: PgType::INT8 }, Expr::Const { value: Scalar::Int8(bound), ty: PgType::INT8 }];
        conditions.push(Expr::Call { func: test, args, ty: PgType::BOOL, collation: Collation::None });
    }
    let ranked = Rel::Window { input, functions };
    let kept = Rel::Filter { input: Box::new(ranked), predicate: Expr::And(conditions) };
    Ok(Rel::Sort { input: Box::new(kept), keys })
}

fn constant(e: &Expr) -> Option<i64> {
    match e {
        Expr::Const { value: Scalar::Int8(n), .. } => Some(*n),
        _ => None,
    }
}
