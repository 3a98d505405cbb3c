//! Orders of a relation's rows that something above it can use: that of the query, and those of merge joins.

use super::paths::length;
use crate::translate::OrderKey;
use pgrx::pg_sys;

/// Orders that are tried at most.
const MAX_ORDERS: usize = 4;

/// An order: as the planner says it, and its keys over the relation.
pub struct Order {
    pub pathkeys: *mut pg_sys::List,
    pub keys: Vec<OrderKey>,
}

/// The orders of which all keys are of the relation.
///
/// # Safety
/// A relation under planning.
pub unsafe fn useful(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Vec<Order> {
    let mut orders: Vec<Order> = Vec::new();
    // SAFETY: by contract; lists of the planner.
    unsafe {
        let mut consider = |pathkeys: *mut pg_sys::List| {
            if orders.len() < MAX_ORDERS
                && !pathkeys.is_null()
                && !orders.iter().any(|o| pg_sys::pathkeys_contained_in(pathkeys, o.pathkeys))
                && let Some(keys) = keys(rel, pathkeys)
            {
                orders.push(Order { pathkeys, keys });
            }
        };
        // Where all tables are of one server, only the order of the whole is asked for.
        let mixed = has_others(root, rel);
        if mixed || pg_sys::bms_equal((*rel).relids, (*root).all_baserels) {
            consider((*root).query_pathkeys);
        }
        let classes = if mixed { merge_classes(root, rel) } else { Vec::new() };
        for class in classes {
            let family = pg_sys::list_nth_oid((*class).ec_opfamilies, 0);
            #[cfg(feature = "pg18")]
            let ascending = pg_sys::CompareType::COMPARE_LT;
            #[cfg(not(feature = "pg18"))]
            let ascending = pg_sys::BTLessStrategyNumber.cast_signed();
            let key = pg_sys::make_canonical_pathkey(root, class, family, ascending, false);
            consider(pg_sys::lappend(std::ptr::null_mut(), key.cast()));
        }
    }
    orders
}

/// Whether the query reads something that is not of the relation's server.
unsafe fn has_others(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> bool {
    // SAFETY: as passed; the array has places without a relation.
    unsafe {
        let all = (1..usize::try_from((*root).simple_rel_array_size).unwrap_or(1)).map(|i| *(*root).simple_rel_array.add(i));
        all.filter(|r| !r.is_null() && (**r).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL).any(|r| (*r).serverid != (*rel).serverid)
    }
}

/// What the relation can be merged on.
unsafe fn merge_classes(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Vec<*mut pg_sys::EquivalenceClass> {
    let mut classes: Vec<*mut pg_sys::EquivalenceClass> = Vec::new();
    // SAFETY: as passed.
    unsafe {
        let mut add = |class: *mut pg_sys::EquivalenceClass| {
            if !class.is_null() && !(*class).ec_has_volatile && !classes.contains(&class) {
                classes.push(class);
            }
        };
        if (*rel).has_eclass_joins {
            for i in 0..length((*root).eq_classes) {
                let class = pg_sys::list_nth((*root).eq_classes, i).cast();
                if pg_sys::eclass_useful_for_merging(root, class, rel) {
                    add(class);
                }
            }
        }
        // Those of outer joins are in no class of several.
        for i in 0..length((*rel).joininfo) {
            let info = pg_sys::list_nth((*rel).joininfo, i).cast::<pg_sys::RestrictInfo>();
            if (*info).mergeopfamilies.is_null() {
                continue;
            }
            pg_sys::update_mergeclause_eclasses(root, info);
            for class in [(*info).left_ec, (*info).right_ec] {
                if pg_sys::bms_overlap((*rel).relids, (*class).ec_relids) {
                    add(class);
                }
            }
        }
    }
    classes
}

/// The keys as expressions of the relation.
unsafe fn keys(rel: *mut pg_sys::RelOptInfo, pathkeys: *mut pg_sys::List) -> Option<Vec<OrderKey>> {
    // SAFETY: as passed.
    unsafe {
        (0..length(pathkeys))
            .map(|i| {
                let key = &*pg_sys::list_nth(pathkeys, i).cast::<pg_sys::PathKey>();
                let class = &*key.pk_eclass;
                if class.ec_has_volatile {
                    return None;
                }
                let mut members = (0..length(class.ec_members)).map(|m| pg_sys::list_nth(class.ec_members, m).cast::<pg_sys::EquivalenceMember>());
                let own = |m: &*mut pg_sys::EquivalenceMember| !(**m).em_relids.is_null() && pg_sys::bms_is_subset((**m).em_relids, (*rel).relids);
                let member = &*members.find(own)?;
                #[cfg(feature = "pg18")]
                let strategy = key.pk_cmptype as i16;
                #[cfg(not(feature = "pg18"))]
                let strategy = i16::try_from(key.pk_strategy).ok()?;
                let sort_op = pg_sys::get_opfamily_member(key.pk_opfamily, member.em_datatype, member.em_datatype, strategy);
                (sort_op != pg_sys::InvalidOid).then_some(OrderKey { expr: member.em_expr.cast(), sort_op, nulls_first: key.pk_nulls_first })
            })
            .collect()
    }
}
