//! LIMIT and OFFSET by the rank of each row in its order: FETCH FIRST … WITH TIES, and numbers of rows that are found by a subquery.

use super::call::{self, Callee};
use super::{Cx, Result, columns};
use pgrx::pg_sys;
use weir_plan::functions::FunctionKind;
use weir_plan::ir::{Bound, Collation, Exclude, Expr, Frame, FrameUnits, Join, JoinKind, Named, Rel, Scalar, WindowCall};
use weir_plan::types::PgType;

// Source: `pg_proc.dat`.
const ROW_NUMBER: u32 = 3100;
const RANK: u32 = 3101;
const INT8LT: u32 = 469;
const INT8GT: u32 = 470;
const INT8LE: u32 = 471;
const INT8MI: u32 = 464;
const INT8_TO_FLOAT8: u32 = 482;
const FLOAT8_TO_INT8: u32 = 483;
const SQRT: u32 = 1344;

/// The rows of a (sorted) relation behind `offset`, and of those as many as `limit` says; with ties also those that equal the last one.
pub unsafe fn by_rank(cx: &mut Cx, rel: Rel, offset: Option<Expr>, limit: Option<Expr>, with_ties: bool) -> Result<Rel> {
    let (input, keys) = match rel {
        Rel::Sort { input, keys } => (input, keys),
        // Without an order, or by a constant, all rows are equal.
        other => (Box::new(other), Vec::new()),
    };
    let mut functions = Vec::new();
    let mut rank = |cx: &mut Cx, func: u32| -> Result<Expr> {
        let callee = Callee { kind: FunctionKind::Window, over: true, ..Callee::function(pg_sys::Oid::from(func), pg_sys::InvalidOid) };
        call::check(cx, callee, &[])?;
        let id = cx.new_col();
        let frame = Frame { units: FrameUnits::Range, start: Bound::UnboundedPreceding, end: Bound::CurrentRow, exclude: Exclude::NoOthers };
        let call = WindowCall { func, args: Vec::new(), filter: None, partition_by: Vec::new(), order_by: keys.clone(), frame, ty: PgType::INT8 };
        functions.push(Named { id, expr: call });
        Ok(Expr::Column { id, ty: PgType::INT8 })
    };
    let row_number = rank(cx, ROW_NUMBER)?;
    let counted = if with_ties { rank(cx, RANK)? } else { row_number.clone() };
    let zero = Expr::Const { value: Scalar::Int8(0), ty: PgType::INT8 };
    let mut bounds = Bounds::default();
    let skipped = match offset {
        Some(e) => {
            let e = bounds.column(cx, e)?;
            Expr::Coalesce { args: vec![e, zero], ty: PgType::INT8 }
        }
        None => zero,
    };
    let mut conditions = vec![int8(cx, INT8GT, row_number, skipped.clone(), PgType::BOOL)?];
    if let Some(e) = limit {
        let e = bounds.column(cx, e)?;
        let unskipped = matches!(skipped, Expr::Const { value: Scalar::Int8(0), .. });
        if unskipped && matches!(e, Expr::Const { value: Scalar::Int8(1..), .. }) {
            // A number that is known: nothing but the comparison, which other servers have, too.
            conditions = vec![int8(cx, INT8LE, counted, e, PgType::BOOL)?];
        } else {
            let place = int8(cx, INT8MI, counted, skipped, PgType::INT8)?;
            // None has no ties, and behind an offset the rank can be less than what is left out.
            let some = int8(cx, INT8GT, e.clone(), Expr::Const { value: Scalar::Int8(0), ty: PgType::INT8 }, PgType::BOOL)?;
            let kept = Expr::And(vec![int8(cx, INT8LE, place, e.clone(), PgType::BOOL)?, some]);
            conditions.push(Expr::Or(vec![Expr::IsNull(Box::new(e)), kept]));
        }
    }
    let ranked = bounds.beside(Rel::Window { input, functions });
    let kept = Rel::Filter { input: Box::new(ranked), predicate: Expr::And(conditions) };
    Ok(if keys.is_empty() { kept } else { Rel::Sort { input: Box::new(kept), keys } })
}

unsafe fn function(cx: &Cx, func: u32, args: Vec<Expr>, ty: PgType) -> Result<Expr> {
    let types: Vec<PgType> = args.iter().map(Expr::ty).collect();
    call::check(cx, Callee::function(pg_sys::Oid::from(func), pg_sys::InvalidOid), &types)?;
    Ok(Expr::Call { func, args, ty, collation: Collation::None })
}

unsafe fn int8(cx: &Cx, func: u32, left: Expr, right: Expr, ty: PgType) -> Result<Expr> {
    function(cx, func, vec![left, right], ty)
}

/// The numbers of rows, each computed once.
#[derive(Default)]
struct Bounds {
    given: Vec<Named<Expr>>,
    checked: Vec<Named<Expr>>,
}

impl Bounds {
    /// The column in which a number of rows will be.
    unsafe fn column(&mut self, cx: &mut Cx, e: Expr) -> Result<Expr> {
        if matches!(e, Expr::Const { value: Scalar::Int8(0..), .. }) {
            return Ok(e);
        }
        let (given, checked) = (cx.new_col(), cx.new_col());
        self.given.push(Named { id: given, expr: e });
        let number = || Expr::Column { id: given, ty: PgType::INT8 };
        // A negative one is an error: the engine meets one, and Postgres says which.
        let negative = int8(cx, INT8LT, number(), Expr::Const { value: Scalar::Int8(0), ty: PgType::INT8 }, PgType::BOOL)?;
        let float = function(cx, INT8_TO_FLOAT8, vec![number()], PgType::FLOAT8)?;
        let root = function(cx, SQRT, vec![float], PgType::FLOAT8)?;
        let error = function(cx, FLOAT8_TO_INT8, vec![root], PgType::INT8)?;
        let expr = Expr::Case { whens: vec![(negative, error)], otherwise: Some(Box::new(number())), ty: PgType::INT8 };
        self.checked.push(Named { id: checked, expr });
        Ok(Expr::Column { id: checked, ty: PgType::INT8 })
    }

    /// The relation with the columns beside its own.
    fn beside(self, rel: Rel) -> Rel {
        if self.given.is_empty() {
            return rel;
        }
        let given = Rel::Project { input: Box::new(Rel::OneRow), exprs: self.given };
        let checked = Rel::Project { input: Box::new(given), exprs: self.checked };
        Rel::Join(Box::new(Join { kind: JoinKind::Inner, left: rel, right: checked, on: None, lateral: false }))
    }
}

/// Whether there is a subquery or a column of an enclosing query in it.
pub fn is_found_out(e: &Expr) -> bool {
    columns::has_subquery(e) || columns::has_outer(e)
}
