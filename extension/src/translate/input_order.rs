//! The order in which a query reads its rows, where its only item in FROM gives one: a subquery with ORDER BY, or a function.
//!
//! Postgres hands such rows on in that order, so that an aggregate over all of them, ARRAY(SELECT …) and a window without ORDER BY are
//! determined by it. Only they ask for it: nothing is computed for its sake where nobody looks.

use super::agg::ORDER_IS_RESULT;
use super::tree::{self, list, tag};
use super::{Cx, order};
use pg_sys::{Aggref, Node, NodeTag, Query, SortGroupClause, TargetEntry, WindowClause};
use pgrx::pg_sys;
use std::collections::{BTreeMap, BTreeSet};
use weir_plan::ir::{ColId, Expr, SortKey};
use weir_plan::types::PgType;

/// Whether the current query reads one item, whose order decides some of its answer.
pub unsafe fn is_wanted(cx: &Cx) -> bool {
    let Some(level) = cx.levels.last() else { return false };
    let q = &*level.query;
    let from = list::<Node>((*q.jointree).fromlist);
    if !q.setOperations.is_null() || !q.groupClause.is_null() || !q.groupingSets.is_null() || from.len() != 1 || tag(from[0]) != NodeTag::T_RangeTblRef {
        return false;
    }
    // Postgres makes a join of a subquery in WHERE, and reads the item in whatever order that likes.
    if q.hasSubLinks && has_subquery((*q.jointree).quals) {
        return false;
    }
    if q.hasAggs {
        let has = |test: &dyn Fn(&Aggref) -> bool| has_aggregate(q.targetList.cast(), test) || has_aggregate(q.havingQual, test);
        // From release 16 on, the input of all is perhaps sorted for one that has an order of its own.
        return has(&|agg| is_unordered(agg) && ORDER_IS_RESULT.contains(&agg.aggfnoid.to_u32()))
            && (cfg!(any(feature = "pg14", feature = "pg15")) || !has(&|agg| !is_unordered(agg)));
    }
    (level.keep_order && hands_rows_on(level.query)) || list::<WindowClause>(q.windowClause).iter().any(|w| is_without_order(level.query, *w))
}

/// A query whose rows are those that it reads, in their order.
pub unsafe fn hands_rows_on(query: *mut Query) -> bool {
    let q = &*query;
    !q.hasAggs
        && !q.hasWindowFuncs
        && !q.hasTargetSRFs
        && q.groupClause.is_null()
        && q.groupingSets.is_null()
        && q.havingQual.is_null()
        && q.distinctClause.is_null()
        && q.sortClause.is_null()
        && q.setOperations.is_null()
        && q.limitCount.is_null()
        && q.limitOffset.is_null()
}

/// A window over all rows as they come: it has no key, or none by which rows differ.
pub unsafe fn is_without_order(query: *mut Query, w: *mut WindowClause) -> bool {
    let entries = list::<TargetEntry>((*query).targetList);
    let mut keys = list::<SortGroupClause>((*w).partitionClause).into_iter().chain(list::<SortGroupClause>((*w).orderClause));
    keys.all(|c| entries.iter().any(|te| (**te).ressortgroupref == (*c).tleSortGroupRef && is_same_for_all((**te).expr.cast())))
}

/// The same value for all rows of the query in which it stands, as a constant is, or a subquery that refers to none of them.
pub unsafe fn is_same_for_all(node: *mut Node) -> bool {
    !pg_sys::contain_vars_of_level(node, 0) && !pg_sys::contain_aggs_of_level(node, 0) && !pg_sys::contain_windowfuncs(node) && !tree::is_volatile(node)
}

unsafe fn has_subquery(node: *mut Node) -> bool {
    !node.is_null() && (tag(node) == NodeTag::T_SubLink || tree::any_child(node, &mut |child| has_subquery(child)))
}

fn is_unordered(agg: &Aggref) -> bool {
    agg.aggorder.is_null() && agg.aggdistinct.is_null()
}

/// Whether there is such an aggregate; subqueries are not entered.
unsafe fn has_aggregate(node: *mut Node, test: &dyn Fn(&Aggref) -> bool) -> bool {
    if node.is_null() || tag(node) == NodeTag::T_Query {
        return false;
    }
    if tag(node) == NodeTag::T_Aggref && test(&*node.cast::<Aggref>()) {
        return true;
    }
    tree::any_child(node, &mut |child| has_aggregate(child, test))
}

/// The entries of a subquery's target list by which it is sorted.
unsafe fn sorted_by(query: *mut Query) -> Vec<(*mut SortGroupClause, *mut TargetEntry)> {
    let entries = list::<TargetEntry>((*query).targetList);
    let by = |c: *mut SortGroupClause| entries.iter().copied().find(|te| (**te).ressortgroupref == (*c).tleSortGroupRef).map(|te| (c, te));
    list::<SortGroupClause>((*query).sortClause).into_iter().filter_map(by).collect()
}

/// The columns to ask of a subquery: those used, and those by which it is sorted if its order is wanted.
pub unsafe fn asked(cx: &Cx, query: *mut Query, used: &BTreeSet<i16>) -> BTreeSet<i16> {
    let mut asked = used.clone();
    if is_wanted(cx) {
        for (_, te) in sorted_by(query) {
            (*te).resjunk = false;
            asked.insert((*te).resno);
        }
    }
    asked
}

/// Notes the order of the subquery that the current query reads, if it is wanted and the engine knows it.
pub unsafe fn note(cx: &mut Cx, query: *mut Query, columns: &BTreeMap<i16, (ColId, PgType)>) {
    if !is_wanted(cx) {
        return;
    }
    let mut keys = Vec::new();
    for (clause, te) in sorted_by(query) {
        let Some(&(id, ty)) = columns.get(&(*te).resno) else { return };
        match order::sort_key(clause, (*te).expr.cast(), Expr::Column { id, ty }, "ORDER BY") {
            Ok(key) => keys.push(key),
            Err(_) => return,
        }
    }
    if !keys.is_empty() {
        set(cx, keys);
    }
}

/// Notes the order in which a subquery hands on the rows that it reads, if it has none of its own.
pub fn note_handed_on(cx: &mut Cx, keys: Vec<SortKey>) {
    if !keys.is_empty() && known(cx).is_none() {
        set(cx, keys);
    }
}

/// Notes that the rows come in the order of their numbers.
pub fn note_numbers(cx: &mut Cx, number: ColId) {
    set(cx, vec![SortKey { expr: Expr::Column { id: number, ty: PgType::INT8 }, descending: false, nulls_first: false }]);
}

fn set(cx: &mut Cx, keys: Vec<SortKey>) {
    if let Some(level) = cx.levels.last_mut() {
        level.input_order = Some(keys);
    }
}

/// The order in which the current query reads its rows, if it was wanted.
pub fn known(cx: &Cx) -> Option<Vec<SortKey>> {
    cx.levels.last().and_then(|level| level.input_order.clone())
}
