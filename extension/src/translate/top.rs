//! The outermost query: what the engine returns, and what Postgres finishes above it.
//!
//! Each target entry that can be shipped whole becomes a column of the engine. Of any other, the largest parts that can be become columns and
//! the rest is left to Postgres. Below a construct that evaluates its arguments only on condition (CASE, COALESCE, AND, OR), only plain
//! columns are taken out: anything else might raise an error that Postgres would not.

use super::order::Locales;
use super::query::{self, Needed, entry_of};
use super::tree::{self, list, map_children, special_var, tag};
use super::{Cx, EngineColumn, Result, SortSpec, Top, TopLimit, expr, order};
use pg_sys::{Node, NodeTag, Query, SortGroupClause, TargetEntry};
use pgrx::pg_sys;
use weir_plan::ir::{Expr, Named, Rel, Scalar, SortKey};
use weir_plan::types::{PgType, oid};

/// So many first rows by a text the engine finds in less time than Postgres needs to get all.
pub const FEW_ROWS: i64 = 1000;

/// The engine's columns as they are found.
#[derive(Default)]
struct Columns {
    exprs: Vec<Named<Expr>>,
    columns: Vec<EngineColumn>,
}

/// Translates the outermost query.
pub unsafe fn top_query(cx: &mut Cx, query: *mut Query) -> Result<(Rel, Top)> {
    let entries = query::entries(query, &Needed::All);
    query::in_level(cx, query, &entries, |cx| {
        let (rel, exprs) = query::body(cx, query, &entries)?;
        finish(cx, query, rel, &entries, &exprs)
    })
}

unsafe fn finish(cx: &mut Cx, query: *mut Query, rel: Rel, entries: &[*mut TargetEntry], exprs: &[*mut Node]) -> Result<(Rel, Top)> {
    let q = &*query;
    let distinct = !q.distinctClause.is_null() && !q.hasDistinctOn;
    let sort_refs: Vec<u32> = [q.sortClause, q.distinctClause].into_iter().flat_map(|c| list::<SortGroupClause>(c)).map(|c| (*c).tleSortGroupRef).collect();
    // Above the engine it would be computed for what is returned only.
    let passed_over = !q.limitOffset.is_null() || query::has_ties(query) || q.hasTargetSRFs;
    if passed_over && exprs.iter().any(|e| tree::is_volatile(*e)) {
        return Err("a volatile function in the select list with OFFSET, WITH TIES or a set-returning function".into());
    }
    let mut columns = Columns::default();
    let mut residuals: Vec<Option<*mut Node>> = Vec::new();
    for (te, node) in entries.iter().zip(exprs) {
        let te = &**te;
        if te.resjunk && !sort_refs.contains(&te.ressortgroupref) {
            residuals.push(None);
            continue;
        }
        let node = if distinct { ship(cx, &mut columns, *node)? } else { split(cx, &mut columns, *node, false)? };
        residuals.push(Some(node));
    }
    let column = |i: usize| match residuals.get(i) {
        Some(Some(node)) => shipped_column(&columns, *node).ok_or_else(|| "a sort key that the engine cannot compute".to_string()),
        _ => Err("a sort key that is not projected".to_string()),
    };

    // DISTINCT and ORDER BY, in the engine as far as it can.
    let mut distinct_on = None;
    let mut sorted = q.sortClause.is_null() || query::is_single_row(query);
    if q.hasDistinctOn {
        let on = query::distinct_keys(q.distinctClause, entries, exprs, &column)?;
        let keys = order::distinct_on_keys(query, entries, exprs, &column, Locales::Refused)?;
        sorted |= keys.is_final_order;
        distinct_on = Some((on, keys.keys));
    } else if distinct {
        query::distinct_keys(q.distinctClause, entries, exprs, &column)?;
    }
    let mut keys: Vec<SortKey> = Vec::new();
    let mut not_sorted = None;
    if !sorted {
        // Postgres sorts text as well as the engine does, unless it cannot know what the engine does, or would get all rows for a few.
        let is_left = query::has_ties(query) || query::ordinal_key(cx).is_some();
        let few = || query::rows_wanted(cx, query).is_some_and(|n| n <= FEW_ROWS);
        let by_places = |keys: &[SortKey]| keys.iter().any(order::is_ranked);
        let ranked = order::sort_keys(q.sortClause, entries, exprs, &column, Locales::Ranked);
        let ranked = match ranked {
            Ok(keys) if by_places(&keys) && !(is_left || (keys.first().is_some_and(order::is_ranked) && few())) => {
                order::sort_keys(q.sortClause, entries, exprs, &column, Locales::Refused)
            }
            other => other,
        };
        match ranked {
            Ok(engine_keys) => {
                keys = engine_keys;
                keys.extend(query::ordinal_key(cx).map(|key| {
                    let (id, ty) = (cx.new_col(), key.expr.ty());
                    columns.exprs.push(Named { id, expr: key.expr });
                    columns.columns.push(EngineColumn { id, ty, type_oid: pg_sys::INT8OID, typmod: -1, collation: pg_sys::InvalidOid });
                    SortKey { expr: Expr::Column { id, ty }, ..key }
                }));
                sorted = true;
            }
            Err(why) => not_sorted = Some(why),
        }
    }
    if !sorted && query::ordinal_key(cx).is_some() {
        return Err("set-returning functions in the select list below an ORDER BY that the engine does not know".into());
    }
    if !sorted && query::has_ties(query) {
        return Err("FETCH FIRST WITH TIES by an order that the engine does not know".into());
    }
    if !sorted {
        for (i, te) in entries.iter().enumerate() {
            let is_key = (**te).ressortgroupref != 0 && sort_refs.contains(&(**te).ressortgroupref);
            if !is_key && tree::is_volatile(exprs[i]) {
                return Err("a volatile function in the select list below ORDER BY".into());
            }
        }
    }

    if columns.exprs.is_empty() {
        // Rows are counted even if nothing of them is looked at.
        let one = Expr::Const { value: Scalar::Bool(true), ty: PgType::BOOL };
        add(cx, &mut columns, one, pg_sys::BOOLOID, -1, pg_sys::InvalidOid);
    }
    let mut rel = Rel::Project { input: Box::new(rel), exprs: columns.exprs };
    if let Some((on, keys)) = distinct_on {
        rel = Rel::DistinctOn { input: Box::new(rel), on, keys };
    } else if distinct {
        rel = Rel::Distinct { input: Box::new(rel) };
    }
    if !keys.is_empty() {
        rel = Rel::Sort { input: Box::new(rel), keys };
    }

    let (targets, index_of) = targets(entries, &residuals, !sorted);
    let engine_columns = returned(&targets, columns.columns);
    let mut top = Top { targets, engine_columns, sort: None, not_sorted, limit: None };
    if sorted {
        rel = query::limit(cx, query, rel)?;
    } else {
        top.sort = Some(sort_specs(q.sortClause, entries, exprs, &index_of)?);
        let offset = query::limit_node(cx, q.limitOffset)?;
        let count = query::limit_node(cx, q.limitCount)?;
        pg_sys::fix_opfuncids(offset);
        pg_sys::fix_opfuncids(count);
        if !offset.is_null() || !count.is_null() {
            top.limit = Some(TopLimit { offset, count });
        }
    }
    Ok((rel, top))
}

/// Gives the targets the type modifiers that the standard plan's have. They can differ: what a column is known to be depends on how far
/// the planner folded and pulled up, and clients are told.
///
/// # Safety
/// `standard` is the target list of the plan that Postgres made for the same query.
pub unsafe fn adopt_typmods(top: &Top, standard: *mut pg_sys::List) {
    for (ours, theirs) in top.targets.iter().zip(list::<TargetEntry>(standard)) {
        if (**ours).resjunk || (*theirs).resjunk {
            return;
        }
        let node = (**ours).expr.cast::<Node>();
        let (type_oid, typmod) = (pg_sys::exprType(node), pg_sys::exprTypmod((*theirs).expr.cast()));
        if type_oid == pg_sys::exprType((*theirs).expr.cast()) && typmod != pg_sys::exprTypmod(node) {
            let collation = pg_sys::exprCollation(node);
            let relabelled = pg_sys::makeRelabelType((**ours).expr, type_oid, typmod, collation, pg_sys::CoercionForm::COERCE_IMPLICIT_CAST);
            (**ours).expr = relabelled.cast();
        }
    }
}

/// The final target entries and, by index of `entries`, where each one is.
unsafe fn targets(entries: &[*mut TargetEntry], residuals: &[Option<*mut Node>], with_junk: bool) -> (Vec<*mut TargetEntry>, Vec<Option<usize>>) {
    let mut targets = Vec::new();
    let mut index_of = vec![None; entries.len()];
    for junk in [false, true] {
        for (i, te) in entries.iter().enumerate() {
            let Some(Some(node)) = residuals.get(i) else { continue };
            if (**te).resjunk != junk || (junk && !with_junk) {
                continue;
            }
            let new = tree::copy(*te);
            // What comes from a stored view knows its operators' functions only after this.
            pg_sys::fix_opfuncids(*node);
            (*new).expr = (*node).cast();
            (*new).resno = (targets.len() + 1) as i16;
            index_of[i] = Some(targets.len());
            targets.push(new);
        }
    }
    (targets, index_of)
}

/// The columns that the targets use (at least one, to count rows by), with the targets' Vars renumbered to them. What only the engine's
/// own sort needs is not returned.
unsafe fn returned(targets: &[*mut TargetEntry], columns: Vec<EngineColumn>) -> Vec<EngineColumn> {
    let mut vars: Vec<*mut pg_sys::Var> = Vec::new();
    for te in targets {
        collect_vars((**te).expr.cast(), &mut vars);
    }
    let mut used = vec![false; columns.len()];
    for var in &vars {
        if let Some(u) = used.get_mut((**var).varattno as usize - 1) {
            *u = true;
        }
    }
    if !used.contains(&true) {
        used[0] = true;
    }
    let new_index: Vec<usize> = used
        .iter()
        .scan(0, |next, u| {
            let i = *next;
            *next += usize::from(*u);
            Some(i)
        })
        .collect();
    // Each Var was made for its place: none is shared.
    for var in vars {
        if let Some(i) = new_index.get((*var).varattno as usize - 1) {
            (*var).varattno = (*i + 1) as i16;
            (*var).varattnosyn = (*var).varattno;
        }
    }
    columns.into_iter().zip(used).filter_map(|(c, u)| u.then_some(c)).collect()
}

unsafe fn collect_vars(node: *mut Node, vars: &mut Vec<*mut pg_sys::Var>) {
    if node.is_null() {
        return;
    }
    if tag(node) == NodeTag::T_Var {
        vars.push(node.cast());
        return;
    }
    tree::any_child(node, &mut |child| {
        collect_vars(child, vars);
        false
    });
}

unsafe fn sort_specs(clause: *mut pg_sys::List, entries: &[*mut TargetEntry], exprs: &[*mut Node], index_of: &[Option<usize>]) -> Result<Vec<SortSpec>> {
    let mut specs = Vec::new();
    for c in list::<SortGroupClause>(clause) {
        let i = entry_of(c, entries)?;
        let target_index = index_of.get(i).copied().flatten().ok_or("a sort key that is not in the target list")?;
        specs.push(SortSpec { target_index, sort_op: (*c).sortop, collation: pg_sys::exprCollation(exprs[i]), nulls_first: (*c).nulls_first });
    }
    Ok(specs)
}

/// The engine's column that a residual expression consists of.
unsafe fn shipped_column(columns: &Columns, node: *mut Node) -> Option<Expr> {
    if tag(node) != NodeTag::T_Var {
        return None;
    }
    let c = columns.columns.get((*node.cast::<pg_sys::Var>()).varattno as usize - 1)?;
    Some(Expr::Column { id: c.id, ty: c.ty })
}

/// Makes the whole expression a column of the engine.
unsafe fn ship(cx: &mut Cx, columns: &mut Columns, node: *mut Node) -> Result<*mut Node> {
    let params = (cx.params.len(), cx.params_may_fail);
    match expr::translate(cx, node).and_then(|e| returnable(&e, cx.is_final).map(|()| e)) {
        Ok(e) => Ok(add(cx, columns, e, pg_sys::exprType(node), pg_sys::exprTypmod(node), pg_sys::exprCollation(node))),
        Err(why) => {
            cx.params.truncate(params.0);
            cx.param_types.truncate(params.0);
            cx.params_may_fail = params.1;
            Err(why)
        }
    }
}

/// Whether the engine's value has all that Postgres's has. A char(n) is held without its trailing blanks.
fn returnable(e: &Expr, is_final: bool) -> Result<()> {
    let ty = e.ty();
    let chooses = matches!(e, Expr::Case { .. } | Expr::Coalesce { .. } | Expr::Greatest { .. } | Expr::Least { .. });
    if is_final && chooses && ty.base == oid::BPCHAR && ty.typmod == PgType::UNPADDED.typmod {
        return Err("a choice among character values of different lengths is left to Postgres".into());
    }
    if ty.base == oid::BPCHAR && ty.typmod < 0 && !matches!(e, Expr::Const { value: Scalar::Null, .. }) {
        return Err("a character value whose length is not known".into());
    }
    if ty.element().is_some_and(|element| element.base == oid::BPCHAR && element.typmod < 0) {
        return Err("an array of character values".into());
    }
    Ok(())
}

unsafe fn add(cx: &mut Cx, columns: &mut Columns, e: Expr, type_oid: pg_sys::Oid, typmod: i32, collation: pg_sys::Oid) -> *mut Node {
    let same = |i: &usize| columns.exprs[*i].expr == e && columns.columns[*i].type_oid == type_oid && columns.columns[*i].collation == collation;
    let index = (0..columns.exprs.len()).find(same).unwrap_or_else(|| {
        let (id, ty) = (cx.new_col(), e.ty());
        columns.exprs.push(Named { id, expr: e });
        columns.columns.push(EngineColumn { id, ty, type_oid, typmod, collation });
        columns.columns.len() - 1
    });
    special_var(pg_sys::INDEX_VAR as i64, index, type_oid, typmod, collation, 0)
}

/// What Postgres computes of an expression, over columns of the engine. `conditional`: it might not be evaluated at all.
unsafe fn split(cx: &mut Cx, columns: &mut Columns, node: *mut Node, conditional: bool) -> Result<*mut Node> {
    // Parts of an expression that are none themselves.
    if matches!(tag(node), NodeTag::T_List | NodeTag::T_CaseWhen) {
        return split_children(cx, columns, node, conditional);
    }
    if !tree::depends_on_row(node) {
        return Ok(node);
    }
    let leaf = matches!(tag(node), NodeTag::T_Var | NodeTag::T_SubLink);
    let plain = tag(node) == NodeTag::T_Var;
    let why = if plain || !conditional {
        cx.is_final = true;
        let shipped = ship(cx, columns, node);
        cx.is_final = false;
        match shipped {
            Ok(var) => return Ok(var),
            Err(why) => why,
        }
    } else {
        "a subquery in an expression that is evaluated on condition".into()
    };
    match tag(node) {
        NodeTag::T_CaseTestExpr => return Ok(node),
        _ if leaf => return Err(why),
        // What is left of these cannot be evaluated above the engine.
        NodeTag::T_Aggref | NodeTag::T_WindowFunc | NodeTag::T_GroupingFunc | NodeTag::T_Query | NodeTag::T_Param => return Err(why),
        _ => {}
    }
    let conditional = conditional || matches!(tag(node), NodeTag::T_CaseExpr | NodeTag::T_CoalesceExpr | NodeTag::T_BoolExpr);
    split_children(cx, columns, node, conditional)
}

unsafe fn split_children(cx: &mut Cx, columns: &mut Columns, node: *mut Node, conditional: bool) -> Result<*mut Node> {
    pg_sys::check_stack_depth();
    let mut failed = None;
    let rest = map_children(node, &mut |child| {
        if failed.is_some() {
            return child;
        }
        split(cx, columns, child, conditional).unwrap_or_else(|reason| {
            failed = Some(reason);
            child
        })
    });
    failed.map_or(Ok(rest), Err)
}
