//! `jsonb_each` and the like in FROM: functions whose rows have two columns. The engine expands the document to pairs, which are JSON
//! arrays of a name and a value; a projection takes those apart.

use super::from::set_column;
use super::{Cx, Result, srf};
use pg_sys::{FuncExpr, RangeTblEntry};
use pgrx::pg_sys;
use weir_plan::ir::{Collation, Expand, Expr, Named, Rel, Scalar};
use weir_plan::types::{PgType, oid};

pub struct Kind {
    func: u32,
    pub document: u32,
    /// The function that takes an element out of an array, as text and as the document's type.
    text_at: u32,
    value_at: u32,
    value: PgType,
}

const JSON: PgType = PgType::new(oid::JSON);
const JSONB: PgType = PgType::new(oid::JSONB);
const KINDS: [Kind; 4] = [
    Kind { func: 3208, document: oid::JSONB, text_at: 3216, value_at: 3215, value: JSONB },
    Kind { func: 3932, document: oid::JSONB, text_at: 3216, value_at: 3216, value: PgType::TEXT },
    Kind { func: 3958, document: oid::JSON, text_at: 3950, value_at: 3949, value: JSON },
    Kind { func: 3959, document: oid::JSON, text_at: 3950, value_at: 3950, value: PgType::TEXT },
];

impl Kind {
    /// What such a function is.
    pub fn of(func: pg_sys::Oid) -> Option<&'static Kind> {
        KINDS.iter().find(|k| k.func == func.to_u32())
    }

    /// The function that takes field `n`, from 1, out of a pair, and its place there.
    pub fn field(&self, n: i16) -> Option<(u32, i32)> {
        match n {
            1 => Some((self.text_at, 0)),
            2 => Some((self.value_at, 1)),
            _ => None,
        }
    }
}

/// The rows of such a function; `None` if it is another.
pub unsafe fn pairs(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, f: *mut FuncExpr) -> Result<Option<Rel>> {
    let Some(kind) = Kind::of((*f).funcid) else { return Ok(None) };
    let before = cx.lateral_level;
    cx.lateral_level = Some(cx.levels.len() - 1);
    let call = srf::set_call_as(cx, f, PgType::new(kind.document));
    cx.lateral_level = before;
    let call = call?;
    let (pair, pair_type) = call.value;
    let ordinal = (*rte).funcordinality.then(|| cx.new_col());
    let expand = Expand { input: Rel::OneRow, functions: vec![call], ordinal, outer: false };
    let part = |func: u32, place: i32, ty: PgType| {
        let place = Expr::Const { value: Scalar::Int4(place), ty: PgType::INT4 };
        Expr::Call { func, args: vec![Expr::Column { id: pair, ty: pair_type }, place], ty, collation: Collation::None }
    };
    let (name, value) = (cx.new_col(), cx.new_col());
    let mut exprs = vec![Named { id: name, expr: part(kind.text_at, 0, PgType::TEXT) }, Named { id: value, expr: part(kind.value_at, 1, kind.value) }];
    set_column(cx, rti, 1, Ok((name, PgType::TEXT)));
    set_column(cx, rti, 2, Ok((value, kind.value)));
    if let Some(ordinal) = expand.ordinal {
        let id = cx.new_col();
        exprs.push(Named { id, expr: Expr::Column { id: ordinal, ty: PgType::INT8 } });
        set_column(cx, rti, 3, Ok((id, PgType::INT8)));
    }
    Ok(Some(Rel::Project { input: Box::new(Rel::Expand(Box::new(expand))), exprs }))
}
