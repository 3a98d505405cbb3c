//! Numbers of rows that a finished plan expects of its windows and of its groups.

use pgrx::pg_sys;

/// The rows that pass the plan's windows, as the planner estimates them.
///
/// # Safety
/// `stmt` must be a finished plan.
pub unsafe fn rows(stmt: *mut pg_sys::PlannedStmt) -> f64 {
    let mut sum = 0.0;
    // SAFETY: a finished plan; its nodes are looked into by their tags.
    unsafe {
        each_node(stmt, &mut |plan| {
            if (*plan).type_ == pg_sys::NodeTag::T_WindowAgg {
                sum += (*plan).plan_rows;
            }
        });
    }
    sum
}

/// The most rows that any aggregation of the plan leaves; `None` if there is none.
///
/// # Safety
/// `stmt` must be a finished plan.
pub unsafe fn groups(stmt: *mut pg_sys::PlannedStmt) -> Option<f64> {
    let mut most: Option<f64> = None;
    // SAFETY: as above.
    unsafe {
        each_node(stmt, &mut |plan| {
            let groups = match (*plan).type_ {
                // Below a condition on the groups there are more than the plan says: numGroups, and a part of them in each worker.
                pg_sys::NodeTag::T_Agg => (*plan).plan_rows.max((*plan.cast::<pg_sys::Agg>()).numGroups as f64),
                pg_sys::NodeTag::T_Group | pg_sys::NodeTag::T_Unique | pg_sys::NodeTag::T_SetOp => (*plan).plan_rows,
                _ => return,
            };
            most = Some(most.map_or(groups, |m| m.max(groups)));
        });
    }
    most
}

/// Every node of a plan.
///
/// # Safety
/// `stmt` must be a finished plan.
pub unsafe fn each_node(stmt: *mut pg_sys::PlannedStmt, f: &mut dyn FnMut(*mut pg_sys::Plan)) {
    // SAFETY: a finished plan is made of valid nodes and lists.
    unsafe {
        below((*stmt).planTree, f);
        in_list((*stmt).subplans, f);
    }
}

unsafe fn in_list(plans: *mut pg_sys::List, f: &mut dyn FnMut(*mut pg_sys::Plan)) {
    // SAFETY: a list of plans, or null.
    unsafe {
        let n = if plans.is_null() { 0 } else { (*plans).length };
        (0..n).for_each(|i| below(pg_sys::list_nth(plans, i).cast(), f));
    }
}

unsafe fn below(plan: *mut pg_sys::Plan, f: &mut dyn FnMut(*mut pg_sys::Plan)) {
    if plan.is_null() {
        return;
    }
    f(plan);
    // SAFETY: a valid node, looked into by its tag.
    unsafe {
        match (*plan).type_ {
            pg_sys::NodeTag::T_SubqueryScan => below((*plan.cast::<pg_sys::SubqueryScan>()).subplan, f),
            pg_sys::NodeTag::T_Append => in_list((*plan.cast::<pg_sys::Append>()).appendplans, f),
            pg_sys::NodeTag::T_MergeAppend => in_list((*plan.cast::<pg_sys::MergeAppend>()).mergeplans, f),
            _ => {}
        }
        below((*plan).lefttree, f);
        below((*plan).righttree, f);
    }
}
