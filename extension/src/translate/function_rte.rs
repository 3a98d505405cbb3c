//! Set-returning functions in FROM.

use super::tree::{list, tag};
use super::{Cx, Result, types};
use pgrx::pg_sys;
use pg_sys::{FuncExpr, NodeTag, RangeTblEntry, RangeTblFunction};
use std::collections::BTreeSet;
use weir_plan::ir::Rel;

/// The plan has no form for them.
pub unsafe fn function(_cx: &mut Cx, _rti: u32, rte: *mut RangeTblEntry, _used: &BTreeSet<i16>) -> Result<Rel> {
    let name = list::<RangeTblFunction>((*rte).functions).first().map(|f| {
        let call = (**f).funcexpr;
        if tag(call) == NodeTag::T_FuncExpr { types::function_name((*call.cast::<FuncExpr>()).funcid) } else { "an expression".into() }
    });
    Err(format!("function {} in FROM", name.unwrap_or_default()))
}
