//! `SELECT json_agg(x) FROM (SELECT … ORDER BY …) x`: an aggregate whose result is the order of its input, over a single subquery
//! that says its order, without grouping. Postgres hands the rows on as they are sorted, so the aggregate is given the subquery's ORDER BY.
//!
//! Why not with GROUP BY: there Postgres may sort by the keys in between, which keeps no order.

use super::agg::ORDER_IS_RESULT;
use super::tree::{self, list, tag};
use pg_sys::{Aggref, Node, NodeTag, Query, RTEKind, RangeTblEntry, RangeTblRef, SortGroupClause, TargetEntry};
use pgrx::pg_sys;

/// Gives the aggregates of this level their order, in place.
pub unsafe fn apply(query: *mut Query) {
    let q = &*query;
    if !q.hasAggs || !q.groupClause.is_null() || !q.groupingSets.is_null() || !q.setOperations.is_null() {
        return;
    }
    let Some((rti, inner)) = only_subquery(query) else { return };
    if (*inner).sortClause.is_null() {
        return;
    }
    if sorts_input(q.targetList.cast()) || sorts_input(q.havingQual) {
        return;
    }
    for te in list::<TargetEntry>((*inner).targetList) {
        let is_key = list::<SortGroupClause>((*inner).sortClause).iter().any(|c| (**c).tleSortGroupRef == (*te).ressortgroupref);
        if (*te).resjunk && is_key {
            // What is only sorted by is needed above now.
            (*te).resjunk = false;
        }
    }
    visit(q.targetList.cast(), rti, inner);
    visit(q.havingQual, rti, inner);
}

/// Whether there is an aggregate with an order of its own: from release 16 on, the input of all may be sorted for it.
unsafe fn sorts_input(node: *mut Node) -> bool {
    if cfg!(any(feature = "pg14", feature = "pg15")) || node.is_null() || matches!(tag(node), NodeTag::T_Query | NodeTag::T_SubLink) {
        return false;
    }
    if tag(node) == NodeTag::T_Aggref {
        let a = &*node.cast::<Aggref>();
        return !a.aggorder.is_null() || !a.aggdistinct.is_null();
    }
    tree::any_child(node, &mut |child| sorts_input(child))
}

/// The subquery that is all there is in FROM.
unsafe fn only_subquery(query: *mut Query) -> Option<(i32, *mut Query)> {
    let jointree = (*query).jointree;
    if jointree.is_null() {
        return None;
    }
    let &[item] = list::<Node>((*jointree).fromlist).as_slice() else { return None };
    if tag(item) != NodeTag::T_RangeTblRef {
        return None;
    }
    let rti = (*item.cast::<RangeTblRef>()).rtindex;
    let rte = *list::<RangeTblEntry>((*query).rtable).get(usize::try_from(rti).ok()?.checked_sub(1)?)?;
    ((*rte).rtekind == RTEKind::RTE_SUBQUERY && !(*rte).subquery.is_null()).then_some((rti, (*rte).subquery))
}

/// Aggregates of outer levels are not here: subqueries are not entered.
unsafe fn visit(node: *mut Node, rti: i32, inner: *mut Query) {
    if node.is_null() || matches!(tag(node), NodeTag::T_Query | NodeTag::T_SubLink) {
        return;
    }
    if tag(node) == NodeTag::T_Aggref {
        let agg = node.cast::<Aggref>();
        let a = &*agg;
        if a.agglevelsup == 0 && a.aggorder.is_null() && a.aggdistinct.is_null() && ORDER_IS_RESULT.contains(&a.aggfnoid.to_u32()) {
            order(agg, rti, inner);
        }
        return;
    }
    tree::any_child(node, &mut |child| {
        visit(child, rti, inner);
        false
    });
}

unsafe fn order(agg: *mut Aggref, rti: i32, inner: *mut Query) {
    let entries = list::<TargetEntry>((*inner).targetList);
    let given = list::<TargetEntry>((*agg).args);
    let mut next = given.iter().map(|te| (**te).ressortgroupref).max().unwrap_or(0);
    let mut resno = i16::try_from(given.len()).unwrap_or(i16::MAX - 1);
    for clause in list::<SortGroupClause>((*inner).sortClause) {
        let Some(entry) = entries.iter().find(|te| (***te).ressortgroupref == (*clause).tleSortGroupRef) else { continue };
        let key = (**entry).expr.cast::<Node>();
        let var = pg_sys::makeVar(rti as _, (**entry).resno, pg_sys::exprType(key), pg_sys::exprTypmod(key), pg_sys::exprCollation(key), 0);
        next += 1;
        resno += 1;
        let te = pg_sys::makeTargetEntry(var.cast(), resno, std::ptr::null_mut(), true);
        (*te).ressortgroupref = next;
        (*agg).args = pg_sys::lappend((*agg).args, te.cast());
        let clause = tree::copy(clause);
        (*clause).tleSortGroupRef = next;
        (*agg).aggorder = pg_sys::lappend((*agg).aggorder, clause.cast());
    }
}
