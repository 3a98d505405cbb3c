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
///
/// # Errors
/// It calls a function that may read tables. That sees what the query's snapshot sees, and the engine may be further by then.
pub unsafe fn param(cx: &mut Cx, node: *mut Node) -> Result<Expr> {
    if let Some(function) = may_read_tables(node) {
        return Err(format!("function {} may read tables, and the engine reads them as they are later", types::function_name(function)));
    }
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

/// `table_to_xml` and its like, which are not volatile. Source: `pg_proc.dat`.
const READ_TABLES: [u32; 9] = [2923, 2926, 2929, 2933, 2934, 2935, 2936, 2937, 2938];

/// A function in an expression that may run queries: one of Postgres's that does, or any other that is not immutable.
unsafe fn may_read_tables(node: *mut Node) -> Option<pg_sys::Oid> {
    unsafe extern "C-unwind" fn reads(function: pg_sys::Oid, found: *mut std::ffi::c_void) -> bool {
        let number = function.to_u32();
        let is_immutable = || pg_sys::func_volatile(function).cast_unsigned() == pg_sys::PROVOLATILE_IMMUTABLE;
        let reads = READ_TABLES.contains(&number) || number >= pg_sys::FirstNormalObjectId && !is_immutable();
        if reads {
            *found.cast::<pg_sys::Oid>() = function;
        }
        reads
    }
    let mut found = pg_sys::InvalidOid;
    if pg_sys::check_functions_in_node(node, Some(reads), (&raw mut found).cast()) {
        return Some(found);
    }
    let mut below = None;
    any_child(node, &mut |child| {
        below = may_read_tables(child);
        below.is_some()
    });
    below
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
