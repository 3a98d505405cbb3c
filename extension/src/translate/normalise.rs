//! Brings the copied tree into the form that the rest reads: references to join aliases (and, from release 18 on, to the RTE of the
//! group keys) are replaced by what they stand for, on every level, and marks of nullability are removed.
//!
//! Why here and not by `flatten_join_alias_vars`: that wants a planner root from release 16 on as soon as a merged column is nullable.

use super::tree::{self, any_child, any_in_query, list, map_children, map_query, tag};
use pgrx::pg_sys;
use pg_sys::{Node, NodeTag, Query, RTEKind, RangeTblEntry, Var};

#[cfg(not(feature = "pg18"))]
const FLAGS: u32 = pg_sys::QTW_IGNORE_JOINALIASES;
#[cfg(feature = "pg18")]
const FLAGS: u32 = pg_sys::QTW_IGNORE_JOINALIASES | pg_sys::QTW_IGNORE_GROUPEXPRS;

/// Normalises a query and all queries in it, in place.
pub unsafe fn normalise(query: *mut Query) {
    pg_sys::check_stack_depth();
    let rtable = list::<RangeTblEntry>((*query).rtable);
    if rtable.iter().any(|rte| alias_vars(*rte).is_some()) {
        map_query(query, FLAGS | pg_sys::QTW_DONT_COPY_QUERY, &mut |node| flatten(node, &rtable, 0));
    }
    any_in_query(query, FLAGS, &mut |node| {
        descend(node);
        false
    });
}

unsafe fn descend(node: *mut Node) {
    match tag(node) {
        NodeTag::T_Query => normalise(node.cast()),
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        NodeTag::T_Var => (*node.cast::<Var>()).varnullingrels = std::ptr::null_mut(),
        _ => {
            any_child(node, &mut |child| {
                descend(child);
                false
            });
        }
    }
}

/// The expressions that the columns of a join or of the group keys stand for.
unsafe fn alias_vars(rte: *mut RangeTblEntry) -> Option<*mut pg_sys::List> {
    if (*rte).rtekind == RTEKind::RTE_JOIN {
        return Some((*rte).joinaliasvars);
    }
    #[cfg(feature = "pg18")]
    if (*rte).rtekind == RTEKind::RTE_GROUP {
        return Some((*rte).groupexprs);
    }
    None
}

unsafe fn flatten(node: *mut Node, rtable: &[*mut RangeTblEntry], levels_up: u32) -> *mut Node {
    match tag(node) {
        NodeTag::T_Var => {
            let var = node.cast::<Var>();
            resolve(var, rtable, levels_up).map_or(node, |alias| {
                pg_sys::check_stack_depth();
                flatten(alias, rtable, levels_up)
            })
        }
        NodeTag::T_Query => {
            map_query(node.cast(), FLAGS | pg_sys::QTW_DONT_COPY_QUERY, &mut |child| flatten(child, rtable, levels_up + 1)).cast()
        }
        _ => map_children(node, &mut |child| flatten(child, rtable, levels_up)),
    }
}

/// A copy of what a Var of the level `levels_up` above stands for, if that is an alias.
unsafe fn resolve(var: *mut Var, rtable: &[*mut RangeTblEntry], levels_up: u32) -> Option<*mut Node> {
    if (*var).varlevelsup != levels_up || (*var).varattno <= 0 {
        return None;
    }
    let rte = *rtable.get(usize::try_from(tree::varno(var)).ok()?.checked_sub(1)?)?;
    let alias = *list::<Node>(alias_vars(rte)?).get((*var).varattno as usize - 1)?;
    if alias.is_null() {
        return None;
    }
    let alias = tree::copy(alias);
    if levels_up > 0 {
        pg_sys::IncrementVarSublevelsUp(alias, levels_up as i32, 0);
    }
    Some(alias)
}
