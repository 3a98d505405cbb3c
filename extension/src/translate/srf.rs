//! Set-returning functions whose arguments are no constants: in FROM, and in the select list.
//!
//! Those of the select list are evaluated above grouping and windows, except for those that are grouped by, which are evaluated below.
//! Several in one select list run side by side.

use super::agg::new_mark;
use super::call::{self, Callee};
use super::each::Kind;
use super::tree::{self, list, map_children, mark_var, tag};
use super::{Cx, Result, json, param, types};
use pg_sys::{FieldSelect, FuncExpr, Node, NodeTag, Query, SortGroupClause, TargetEntry};
use pgrx::pg_sys;
use weir_plan::functions::FunctionKind;
use weir_plan::ir::{ColId, Expand, Expr, Rel, SetCall};
use weir_plan::types::PgType;

/// A function whose rows are put beside those of a relation, over whose columns its arguments are.
pub unsafe fn set_call(cx: &mut Cx, f: *mut FuncExpr) -> Result<SetCall> {
    rows_as(cx, f, None)
}

/// As [`set_call`], of a function that returns records, for which values of one type stand.
pub unsafe fn set_call_as(cx: &mut Cx, f: *mut FuncExpr, ty: PgType) -> Result<SetCall> {
    rows_as(cx, f, Some(ty))
}

unsafe fn rows_as(cx: &mut Cx, f: *mut FuncExpr, ty: Option<PgType>) -> Result<SetCall> {
    let f = &*f;
    let mut callee = Callee::function(f.funcid, f.inputcollid);
    callee.kind = FunctionKind::Set;
    if weir_plan::functions::row(f.funcid.to_u32()).is_none_or(|r| r.kind != FunctionKind::Set) {
        call::check(cx, callee, &[])?;
    }
    let args = json::arguments(cx, f.funcid.to_u32(), f.args)?;
    let arg_types: Vec<PgType> = args.iter().map(Expr::ty).collect();
    let collation = call::check(cx, callee, &arg_types)?;
    let ty = match ty {
        Some(ty) => ty,
        None => types::pg_type(f.funcresulttype, -1)?,
    };
    Ok(SetCall { func: f.funcid.to_u32(), args, collation, value: (cx.new_col(), ty) })
}

/// The set-returning functions of an expression, not those within subqueries.
unsafe fn collect(node: *mut Node, out: &mut Vec<*mut FuncExpr>) -> Result<()> {
    if node.is_null() || matches!(tag(node), NodeTag::T_Query | NodeTag::T_SubLink) {
        return Ok(());
    }
    if tag(node) == NodeTag::T_OpExpr && (*node.cast::<pg_sys::OpExpr>()).opretset {
        return Err("a set-returning operator".into());
    }
    // `(jsonb_each(x)).key`
    let field = if tag(node) == NodeTag::T_FieldSelect { pair_of(node.cast()).map(|(f, _)| f) } else { None };
    let is_call = tag(node) == NodeTag::T_FuncExpr && (*node.cast::<FuncExpr>()).funcretset;
    if is_call && Kind::of((*node.cast::<FuncExpr>()).funcid).is_some() {
        return Err(format!("rows of {} as a whole", types::function_name((*node.cast::<FuncExpr>()).funcid)));
    }
    if let Some(f) = field.or_else(|| is_call.then_some(node.cast::<FuncExpr>())) {
        let mut inner = Vec::new();
        collect((*f).args.cast(), &mut inner)?;
        if !inner.is_empty() {
            return Err("a set-returning function of a set-returning function".into());
        }
        if !out.iter().any(|o| pg_sys::equal((*o).cast(), f.cast())) {
            out.push(f);
        }
        return Ok(());
    }
    let mut result = Ok(());
    tree::any_child(node, &mut |child| {
        result = collect(child, out);
        result.is_err()
    });
    result
}

/// The function of which a field is taken, if its rows are pairs.
unsafe fn pair_of(field: *mut FieldSelect) -> Option<(*mut FuncExpr, &'static Kind)> {
    let f = (*field).arg.cast::<FuncExpr>();
    if tag(f) != NodeTag::T_FuncExpr || !(*f).funcretset {
        return None;
    }
    Kind::of((*f).funcid).map(|kind| (f, kind))
}

/// The field of a pair, which is an array in JSON.
unsafe fn field_of(field: *mut FieldSelect, functions: &[(*mut FuncExpr, usize)]) -> Option<*mut Node> {
    let (f, kind) = pair_of(field)?;
    let (_, mark) = functions.iter().find(|(known, _)| pg_sys::equal(f.cast(), (*known).cast()))?;
    let (func, place) = kind.field((*field).fieldnum)?;
    let pair = tree::special_var(pg_sys::OUTER_VAR as i64, *mark, kind.document.into(), -1, pg_sys::InvalidOid, 0);
    let place = pg_sys::makeConst(pg_sys::INT4OID, -1, pg_sys::InvalidOid, 4, pg_sys::Datum::from(place), false, true);
    let args = pg_sys::lappend(pg_sys::lappend(std::ptr::null_mut(), pair.cast()), place.cast());
    let form = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
    Some(pg_sys::makeFuncExpr(func.into(), (*field).resulttype, args, (*field).resultcollid, pg_sys::InvalidOid, form).cast())
}

/// A copy in which the functions are the marks beside them.
unsafe fn replaced(node: *mut Node, functions: &[(*mut FuncExpr, usize)]) -> *mut Node {
    if node.is_null() || matches!(tag(node), NodeTag::T_Query | NodeTag::T_SubLink) {
        return node;
    }
    if tag(node) == NodeTag::T_FieldSelect
        && let Some(field) = field_of(node.cast(), functions)
    {
        return field;
    }
    if let Some((_, mark)) = functions.iter().find(|(f, _)| pg_sys::equal(node.cast(), (*f).cast())) {
        return mark_var(*mark, node, 0);
    }
    map_children(node, &mut |child| replaced(child, functions))
}

/// The functions' rows beside those of `rel`, and the mark of each.
unsafe fn rows_of(cx: &mut Cx, functions: &[*mut FuncExpr], rel: Rel, ordinal: Option<ColId>) -> Result<(Rel, Vec<(*mut FuncExpr, usize)>)> {
    let (mut calls, mut marks) = (Vec::new(), Vec::new());
    for f in functions {
        let f = tree::copy(*f);
        let folded = param::fold(cx, tree::copy(f).cast());
        if tag(folded) != NodeTag::T_FuncExpr || !(*folded.cast::<FuncExpr>()).funcretset {
            return Err(format!("set-returning function {}", types::function_name((*f).funcid)));
        }
        let call = match Kind::of((*f).funcid) {
            Some(kind) => set_call_as(cx, folded.cast(), PgType::new(kind.document))?,
            None => set_call(cx, folded.cast())?,
        };
        let (id, ty) = call.value;
        marks.push((f, new_mark(cx, id, ty)?));
        calls.push(call);
    }
    Ok((Rel::Expand(Box::new(Expand { input: rel, functions: calls, ordinal, outer: false })), marks))
}

/// Before grouping: the functions that are group keys. Rewrites the target list of the query, whose entries the group keys are.
pub unsafe fn below_grouping(cx: &mut Cx, query: *mut Query, rel: Rel, entries: &[*mut TargetEntry], exprs: &mut [*mut Node]) -> Result<Rel> {
    let q = &*query;
    let refers = |clause: *mut pg_sys::List, te: *mut TargetEntry| {
        (*te).ressortgroupref != 0 && list::<SortGroupClause>(clause).iter().any(|c| (**c).tleSortGroupRef == (*te).ressortgroupref)
    };
    let mut functions = Vec::new();
    for te in list::<TargetEntry>(q.targetList) {
        if refers(q.groupClause, te) {
            collect((*te).expr.cast(), &mut functions)?;
        }
    }
    if functions.is_empty() {
        return Ok(rel);
    }
    let (rel, marks) = rows_of(cx, &functions, rel, None)?;
    for te in list::<TargetEntry>(q.targetList) {
        (*te).expr = replaced((*te).expr.cast(), &marks).cast();
    }
    for (te, e) in entries.iter().zip(exprs) {
        *e = (**te).expr.cast();
    }
    Ok(rel)
}

/// Whether the functions make their rows of sorted ones, so that those of one row stay as they come: no sort key has such a function.
/// Source: `make_sort_input_target` in `planner.c`.
unsafe fn are_made_after_sorting(query: *mut Query, entries: &[*mut TargetEntry], exprs: &[*mut Node]) -> Result<bool> {
    let q = &*query;
    if q.sortClause.is_null() || !q.distinctClause.is_null() {
        return Ok(false);
    }
    for c in list::<SortGroupClause>(q.sortClause) {
        let mut functions = Vec::new();
        collect(exprs[super::query::entry_of(c, entries)?], &mut functions)?;
        if !functions.is_empty() {
            return Ok(false);
        }
    }
    if super::query::has_ties(query) {
        return Err("FETCH FIRST WITH TIES over a set-returning function".into());
    }
    Ok(true)
}

/// Above grouping and windows: the functions of the select list.
pub unsafe fn of_select_list(cx: &mut Cx, query: *mut Query, rel: Rel, entries: &[*mut TargetEntry], exprs: &mut [*mut Node]) -> Result<Rel> {
    let mut functions = Vec::new();
    for e in exprs.iter() {
        collect(*e, &mut functions)?;
    }
    if functions.is_empty() {
        return Ok(rel);
    }
    for w in list::<pg_sys::WindowClause>((*query).windowClause) {
        for clause in [(*w).partitionClause, (*w).orderClause] {
            for c in list::<SortGroupClause>(clause) {
                let i = super::query::entry_of(c, entries)?;
                let mut inner = Vec::new();
                collect(exprs[i], &mut inner)?;
                if !inner.is_empty() {
                    return Err("a window over a set-returning function".into());
                }
            }
        }
    }
    let ordinal = if are_made_after_sorting(query, entries, exprs)? { Some(cx.new_col()) } else { None };
    let (rel, marks) = rows_of(cx, &functions, rel, ordinal)?;
    cx.levels.last_mut().ok_or("no query level")?.ordinal = ordinal;
    for e in exprs.iter_mut() {
        *e = replaced(*e, &marks);
    }
    Ok(rel)
}
