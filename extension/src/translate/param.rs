//! Constant folding, and expressions that Postgres evaluates when execution starts.

use super::tree::{any_child, copy, tag};
use super::{Cx, Result, types};
use pg_sys::{Node, NodeTag};
use pgrx::pg_sys;
use weir_plan::ir::Expr;

/// `now()` and its like: stable, cannot fail, though not marked leakproof. Source: `pg_proc.dat`.
const CANNOT_FAIL: &[u32] = &[
    1299, // now()
    2647, // transaction_timestamp()
    2648, // statement_timestamp()
    745,  // current_user
    746,  // session_user
    861,  // current_database()
    1402, // current_schema()
];

/// A root for `eval_const_expressions` that knows the values of parameters, if the plan is made for them.
pub unsafe fn folding_root(bound_params: pg_sys::ParamListInfo) -> *mut pg_sys::PlannerInfo {
    let glob = pg_sys::palloc0(size_of::<pg_sys::PlannerGlobal>()).cast::<pg_sys::PlannerGlobal>();
    (*glob).type_ = NodeTag::T_PlannerGlobal;
    (*glob).boundParams = bound_params;
    let root = pg_sys::palloc0(size_of::<pg_sys::PlannerInfo>()).cast::<pg_sys::PlannerInfo>();
    (*root).type_ = NodeTag::T_PlannerInfo;
    (*root).glob = glob;
    root
}

/// Folds constants, inlines SQL functions, fills in default arguments.
pub unsafe fn fold(cx: &Cx, node: *mut Node) -> *mut Node {
    pg_sys::eval_const_expressions(cx.root, node)
}

/// A parameter whose value is that of `node`, which depends on no row and is not volatile.
pub unsafe fn param(cx: &mut Cx, node: *mut Node) -> Result<Expr> {
    let ty = types::type_of(node)?;
    let known = cx.params.iter().position(|p| pg_sys::equal((*p).cast(), node.cast()));
    let index = match known {
        Some(i) => i,
        None => {
            cx.params_may_fail |= may_fail(node);
            let own = copy(node);
            // What comes from a stored view knows its operators' functions only after this.
            pg_sys::fix_opfuncids(own);
            cx.params.push(own.cast());
            cx.param_types.push(ty);
            cx.params.len() - 1
        }
    };
    Ok(Expr::Param { index: index as u32, ty })
}

unsafe fn may_fail(node: *mut Node) -> bool {
    let safe = |func: pg_sys::Oid| CANNOT_FAIL.contains(&func.to_u32()) || pg_sys::get_func_leakproof(func);
    let safe_itself = match tag(node) {
        NodeTag::T_Param | NodeTag::T_Const | NodeTag::T_SQLValueFunction => return false,
        NodeTag::T_FuncExpr => safe((*node.cast::<pg_sys::FuncExpr>()).funcid),
        NodeTag::T_OpExpr => {
            pg_sys::set_opfuncid(node.cast());
            safe((*node.cast::<pg_sys::OpExpr>()).opfuncid)
        }
        NodeTag::T_RelabelType | NodeTag::T_BoolExpr | NodeTag::T_NullTest | NodeTag::T_BooleanTest | NodeTag::T_CoalesceExpr | NodeTag::T_List => true,
        _ => false,
    };
    !safe_itself || any_child(node, &mut |child| may_fail(child))
}
