//! `json_to_record(set)` and `jsonb_to_record(set)` in FROM: the objects become rows, whose fields a projection takes out by name and casts.
//!
//! Invariant: Postgres reads every value and casts every column, also those that nobody looks at; where that may fail, what is not used is
//! refused.

use super::from::set_column;
use super::{Cx, Result, expr, json, tree, types};
use pg_sys::{FuncExpr, RangeTblEntry, RangeTblFunction};
use pgrx::pg_sys;
use std::collections::BTreeSet;
use weir_plan::functions::JSON_FIELDS;
use weir_plan::ir::{Collation, Expand, Expr, Named, Rel, Scalar, SetCall};
use weir_plan::types::{PgType, oid};

/// `unnest(anyarray)`, `json_array_elements`, `jsonb_array_elements`
const UNNEST: u32 = 2331;
const ELEMENTS: u32 = 3955;
const ELEMENTS_B: u32 = 3219;
/// The types `json[]` and `jsonb[]`.
const JSON_ARRAY: u32 = 199;
const JSONB_ARRAY: u32 = 3807;

/// The rows of such a function; `None` if it is another.
pub unsafe fn rows(cx: &mut Cx, rti: u32, rte: *mut RangeTblEntry, function: *mut RangeTblFunction, used: &BTreeSet<i16>) -> Result<Option<Rel>> {
    let f = (*function).funcexpr.cast::<FuncExpr>();
    let [record, recordset, record_b, recordset_b] = JSON_FIELDS;
    let func = (*f).funcid.to_u32();
    let (binary, set) = match func {
        _ if func == record => (false, false),
        _ if func == recordset => (false, true),
        _ if func == record_b => (true, false),
        _ if func == recordset_b => (true, true),
        _ => return Ok(None),
    };
    if (*rte).funcordinality {
        return Err("json_to_recordset WITH ORDINALITY".into());
    }
    let ty = PgType::new(if binary { oid::JSONB } else { oid::JSON });
    let before = cx.lateral_level;
    cx.lateral_level = Some(cx.levels.len() - 1);
    let args = expr::expr_list(cx, (*f).args);
    cx.lateral_level = before;
    let args = args?;
    let (id, object) = (cx.new_col(), ty);
    let call = if set {
        SetCall { func: if binary { ELEMENTS_B } else { ELEMENTS }, args, collation: Collation::None, value: (id, ty) }
    } else {
        // One row, also of NULL.
        let array = Expr::Array { elements: args, ty: types::pg_type(pg_sys::Oid::from(if binary { JSONB_ARRAY } else { JSON_ARRAY }), -1)? };
        SetCall { func: UNNEST, args: vec![array], collation: Collation::None, value: (id, ty) }
    };
    let columns = (tree::oid_list((*function).funccoltypes), tree::int_list((*function).funccoltypmods), tree::list::<pg_sys::Node>((*function).funccolnames));
    let mut exprs = Vec::new();
    let mut attno = 0i16;
    for ((type_oid, typmod), name) in columns.0.into_iter().zip(columns.1).zip(columns.2) {
        attno += 1;
        let ty = types::pg_type(type_oid, typmod)?;
        let is_text = matches!(ty.base, oid::TEXT | oid::VARCHAR);
        let is_json = matches!(ty.base, oid::JSON | oid::JSONB);
        let plain = ty.oid == ty.base && typmod < 0 && ty.element().is_none() && (!is_json || ty.base == oid::JSON || binary);
        let known = matches!(
            ty.base,
            oid::BOOL
                | oid::INT2
                | oid::INT4
                | oid::INT8
                | oid::NUMERIC
                | oid::FLOAT4
                | oid::FLOAT8
                | oid::DATE
                | oid::TIMESTAMP
                | oid::TIMESTAMPTZ
                | oid::UUID
        );
        if !plain || !(known || is_text || is_json) {
            return Err(format!("a record of JSON with a column of type {}", types::type_name(type_oid)));
        }
        if !used.contains(&attno) {
            if known {
                return Err("a record of JSON with a column that is not used".into());
            }
            continue;
        }
        let name = json::name(name);
        let name = Expr::Const { value: Scalar::Text(name), ty: PgType::TEXT };
        // The functions' own OIDs stand for their fields: those of one record as text, those of a set as JSON.
        let func = match (binary, is_json) {
            (false, false) => record,
            (false, true) => recordset,
            (true, false) => record_b,
            (true, true) => recordset_b,
        };
        let of = if is_json { object } else { PgType::TEXT };
        let field = Expr::Call { func, args: vec![Expr::Column { id, ty: object }, name], ty: of, collation: Collation::None };
        let value = if is_text || ty.base == of.base { Expr::Relabel { arg: Box::new(field), ty } } else { Expr::ViaText { arg: Box::new(field), ty } };
        let column = cx.new_col();
        exprs.push(Named { id: column, expr: value });
        set_column(cx, rti, attno, Ok((column, ty)));
    }
    if exprs.is_empty() {
        // Postgres looks whether they are objects all the same.
        return Err("a record of JSON where no column is used".into());
    }
    let expand = Expand { input: Rel::OneRow, functions: vec![call], ordinal: None, outer: false };
    Ok(Some(Rel::Project { input: Box::new(Rel::Expand(Box::new(expand))), exprs }))
}
