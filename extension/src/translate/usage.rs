//! Which columns of a query's range table are used: only those are asked of scans and subqueries, so that a column that cannot be
//! shipped does no harm where nobody looks at it.

use super::tree::{any_child, any_in_query, list, string, tag, varno};
use pg_sys::{Node, NodeTag, Query, RTEKind, RangeTblEntry, TargetEntry, Var};
use pgrx::pg_sys;
use std::collections::{BTreeSet, HashMap};

/// By range table index: the attribute numbers that are used (0 for the whole row, negative ones for system columns).
pub type Used = HashMap<u32, BTreeSet<i16>>;

/// The columns that a query uses if only `entries` of its target list are wanted. The query is normalised.
pub unsafe fn used_columns(query: *mut Query, entries: &[*mut TargetEntry]) -> Used {
    let mut used = Used::new();
    for te in entries {
        visit((**te).expr.cast(), 0, &mut used);
    }
    for node in [(*query).jointree.cast(), (*query).havingQual, (*query).limitOffset, (*query).limitCount] {
        visit(node, 0, &mut used);
    }
    // What is in the range table can be LATERAL.
    for rte in list::<RangeTblEntry>((*query).rtable) {
        match (*rte).rtekind {
            RTEKind::RTE_SUBQUERY => visit((*rte).subquery.cast(), 0, &mut used),
            RTEKind::RTE_VALUES => visit((*rte).values_lists.cast(), 0, &mut used),
            RTEKind::RTE_FUNCTION => visit((*rte).functions.cast(), 0, &mut used),
            _ => {}
        }
    }
    used
}

/// Collects the columns that are used of a common table expression wherever it is referred to, in the query that defines it
/// (`levels_up` = 0) and in those within.
pub unsafe fn of_cte(query: *mut Query, levels_up: u32, name: &str, out: &mut BTreeSet<i16>) {
    pg_sys::check_stack_depth();
    let refers = |rte: &*mut RangeTblEntry| (**rte).rtekind == RTEKind::RTE_CTE && (**rte).ctelevelsup == levels_up && string((**rte).ctename) == name;
    let rtable = list::<RangeTblEntry>((*query).rtable);
    if rtable.iter().any(refers) {
        let used = used_columns(query, &list::<TargetEntry>((*query).targetList));
        for (i, _) in rtable.iter().enumerate().filter(|(_, rte)| refers(rte)) {
            out.extend(used.get(&(i as u32 + 1)).into_iter().flatten());
        }
    }
    any_in_query(query, pg_sys::QTW_IGNORE_JOINALIASES, &mut |node| {
        of_cte_below(node, levels_up, name, out);
        false
    });
}

unsafe fn of_cte_below(node: *mut Node, levels_up: u32, name: &str, out: &mut BTreeSet<i16>) {
    if tag(node) == NodeTag::T_Query {
        of_cte(node.cast(), levels_up + 1, name, out);
        return;
    }
    any_child(node, &mut |child| {
        of_cte_below(child, levels_up, name, out);
        false
    });
}

unsafe fn visit(node: *mut Node, levels_up: u32, used: &mut Used) {
    if node.is_null() {
        return;
    }
    match tag(node) {
        NodeTag::T_Var => {
            let var = node.cast::<Var>();
            if (*var).varlevelsup == levels_up
                && let Ok(rti) = u32::try_from(varno(var))
            {
                used.entry(rti).or_default().insert((*var).varattno);
            }
        }
        NodeTag::T_Query => {
            any_in_query(node.cast(), pg_sys::QTW_IGNORE_JOINALIASES, &mut |child| {
                visit(child, levels_up + 1, used);
                false
            });
        }
        _ => {
            any_child(node, &mut |child| {
                visit(child, levels_up, used);
                false
            });
        }
    }
}
