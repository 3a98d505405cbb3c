//! Reading, walking and rewriting node trees.
//!
//! A *mark* is a Var with `varno = OUTER_VAR` that stands for a computed column of a query level (a group key, an aggregate, a window
//! function): `varattno - 1` indexes `Level::marks`. Marks exist only between the stages of one translation.

use pg_sys::{List, Node, NodeTag, Query, Var};
use pgrx::{pg_guard, pg_sys};
use std::ffi::{CStr, c_void};

pub unsafe fn tag<T>(node: *const T) -> NodeTag {
    (*node.cast::<Node>()).type_
}

/// The pointers of a list; a null list is empty.
pub unsafe fn list<T>(list: *const List) -> Vec<*mut T> {
    if list.is_null() {
        return Vec::new();
    }
    (0..(*list).length).map(|i| (*(*list).elements.add(i as usize)).ptr_value.cast::<T>()).collect()
}

pub unsafe fn int_list(list: *const List) -> Vec<i32> {
    if list.is_null() {
        return Vec::new();
    }
    (0..(*list).length).map(|i| (*(*list).elements.add(i as usize)).int_value).collect()
}

pub unsafe fn oid_list(list: *const List) -> Vec<pg_sys::Oid> {
    if list.is_null() {
        return Vec::new();
    }
    (0..(*list).length).map(|i| (*(*list).elements.add(i as usize)).oid_value).collect()
}

pub unsafe fn length(list: *const List) -> usize {
    if list.is_null() { 0 } else { (*list).length as usize }
}

/// A copy of a C string; empty for null.
pub unsafe fn string(s: *const std::ffi::c_char) -> String {
    if s.is_null() { String::new() } else { CStr::from_ptr(s).to_string_lossy().into_owned() }
}

pub unsafe fn copy<T>(node: *const T) -> *mut T {
    pg_sys::copyObjectImpl(node.cast()).cast()
}

type Visitor<'a> = &'a mut dyn FnMut(*mut Node) -> bool;
type Rewriter<'a> = &'a mut dyn FnMut(*mut Node) -> *mut Node;

#[pg_guard]
unsafe extern "C-unwind" fn visit(node: *mut Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    let f = &mut *context.cast::<Visitor>();
    f(node)
}

#[pg_guard]
unsafe extern "C-unwind" fn rewrite(node: *mut Node, context: *mut c_void) -> *mut Node {
    if node.is_null() {
        return node;
    }
    let f = &mut *context.cast::<Rewriter>();
    f(node)
}

/// Calls `f` for each direct child of an expression node (a SubLink's Query is a child); stops when it answers true, and says so.
pub unsafe fn any_child(node: *mut Node, mut f: Visitor) -> bool {
    // Whoever maps the children of a CASE meets its branches, which Postgres's walker knows within the CASE only.
    if tag(node) == NodeTag::T_CaseWhen {
        let branch = node.cast::<pg_sys::CaseWhen>();
        return [(*branch).expr, (*branch).result].into_iter().any(|part| !part.is_null() && f(part.cast()));
    }
    pg_sys::expression_tree_walker(node, Some(visit), (&raw mut f).cast())
}

/// Calls `f` for each expression and subquery directly below a Query.
pub unsafe fn any_in_query(query: *mut Query, flags: u32, mut f: Visitor) -> bool {
    pg_sys::query_tree_walker(query, Some(visit), (&raw mut f).cast(), flags as i32)
}

/// A copy of an expression node whose direct children are what `f` makes of them.
pub unsafe fn map_children(node: *mut Node, mut f: Rewriter) -> *mut Node {
    let context = (&raw mut f).cast();
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    return pg_sys::expression_tree_mutator(node, untyped(rewrite), context);
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    return pg_sys::expression_tree_mutator_impl(node, Some(rewrite), context);
}

/// As [`map_children`] for a Query; changed in place if `flags` has `QTW_DONT_COPY_QUERY`, else a copy.
pub unsafe fn map_query(query: *mut Query, flags: u32, mut f: Rewriter) -> *mut Query {
    let context = (&raw mut f).cast();
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    return pg_sys::query_tree_mutator(query, untyped(rewrite), context, flags as i32);
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    return pg_sys::query_tree_mutator_impl(query, Some(rewrite), context, flags as i32);
}

/// Before release 16 the callback's type is declared without arguments.
#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn untyped(f: unsafe extern "C-unwind" fn(*mut Node, *mut c_void) -> *mut Node) -> Option<unsafe extern "C-unwind" fn() -> *mut Node> {
    // C calls it with the two arguments it has.
    Some(std::mem::transmute::<unsafe extern "C-unwind" fn(*mut Node, *mut c_void) -> *mut Node, unsafe extern "C-unwind" fn() -> *mut Node>(f))
}

/// `varno` as a signed number, which it is only from release 15 on.
pub unsafe fn varno(var: *const Var) -> i64 {
    i64::from((*var).varno)
}

/// A Var that stands for mark `index` of the level `levels_up` above, with the type of `like`.
pub unsafe fn mark_var(index: usize, like: *mut Node, levels_up: u32) -> *mut Node {
    special_var(pg_sys::OUTER_VAR as i64, index, pg_sys::exprType(like), pg_sys::exprTypmod(like), pg_sys::exprCollation(like), levels_up)
}

/// A Var with a special `varno` and `varattno = index + 1`.
pub unsafe fn special_var(varno: i64, index: usize, ty: pg_sys::Oid, typmod: i32, collation: pg_sys::Oid, levels_up: u32) -> *mut Node {
    pg_sys::makeVar(varno as _, (index + 1) as i16, ty, typmod, collation, levels_up).cast()
}

pub unsafe fn is_mark(var: *const Var) -> bool {
    varno(var) == pg_sys::OUTER_VAR as i64
}

/// Whether an expression of a finished plan holds a value that another node of the plan sets.
pub unsafe fn has_executor_param(node: *mut Node) -> bool {
    !node.is_null()
        && match tag(node) {
            NodeTag::T_Param => (*node.cast::<pg_sys::Param>()).paramkind == pg_sys::ParamKind::PARAM_EXEC,
            _ => any_child(node, &mut |child| has_executor_param(child)),
        }
}

/// Whether an expression depends on a row: it has a Var of any level, an aggregate, a sublink, or stands inside a construct
/// that gives it a value (CASE, domain check).
pub unsafe fn depends_on_row(node: *mut Node) -> bool {
    if node.is_null() {
        return false;
    }
    match tag(node) {
        NodeTag::T_Var
        | NodeTag::T_Aggref
        | NodeTag::T_WindowFunc
        | NodeTag::T_GroupingFunc
        | NodeTag::T_SubLink
        | NodeTag::T_SubPlan
        | NodeTag::T_CaseTestExpr
        | NodeTag::T_CoerceToDomainValue
        | NodeTag::T_CurrentOfExpr
        | NodeTag::T_Query => true,
        NodeTag::T_Param => (*node.cast::<pg_sys::Param>()).paramkind != pg_sys::ParamKind::PARAM_EXTERN,
        // Its own placeholder inside does not make it depend on a row.
        NodeTag::T_CaseExpr => case_depends_on_row(node.cast()),
        NodeTag::T_ArrayCoerceExpr => depends_on_row((*node.cast::<pg_sys::ArrayCoerceExpr>()).arg.cast()),
        _ => any_child(node, &mut |child| depends_on_row(child)),
    }
}

unsafe fn case_depends_on_row(case: *mut pg_sys::CaseExpr) -> bool {
    let with_placeholder = !(*case).arg.is_null();
    let part = |node: *mut Node| if with_placeholder { depends_but_for_placeholder(node) } else { depends_on_row(node) };
    depends_on_row((*case).arg.cast())
        || depends_on_row((*case).defresult.cast())
        || list::<pg_sys::CaseWhen>((*case).args).into_iter().any(|when| part((*when).expr.cast()) || depends_on_row((*when).result.cast()))
}

unsafe fn depends_but_for_placeholder(node: *mut Node) -> bool {
    if node.is_null() || tag(node) == NodeTag::T_CaseTestExpr {
        return false;
    }
    match tag(node) {
        NodeTag::T_OpExpr
        | NodeTag::T_FuncExpr
        | NodeTag::T_RelabelType
        | NodeTag::T_CoerceViaIO
        | NodeTag::T_CollateExpr
        | NodeTag::T_BoolExpr
        | NodeTag::T_List => any_child(node, &mut |child| depends_but_for_placeholder(child)),
        _ => depends_on_row(node),
    }
}

/// Whether there is a volatile function in it.
pub unsafe fn is_volatile(node: *mut Node) -> bool {
    pg_sys::contain_volatile_functions(node)
}
