//! How much of a finished plan is windows.

use pgrx::pg_sys;

/// The rows that pass the plan's windows, as the planner estimates them.
///
/// # Safety
/// `stmt` must be a finished plan.
pub unsafe fn rows(stmt: *mut pg_sys::PlannedStmt) -> f64 {
    // SAFETY: a finished plan is made of valid nodes and lists.
    unsafe { below((*stmt).planTree) + in_list((*stmt).subplans) }
}

unsafe fn in_list(plans: *mut pg_sys::List) -> f64 {
    // SAFETY: a list of plans, or null.
    unsafe {
        let n = if plans.is_null() { 0 } else { (*plans).length };
        (0..n).map(|i| below(pg_sys::list_nth(plans, i).cast())).sum()
    }
}

unsafe fn below(plan: *mut pg_sys::Plan) -> f64 {
    if plan.is_null() {
        return 0.0;
    }
    // SAFETY: a valid node, looked into by its tag.
    unsafe {
        let own = if (*plan).type_ == pg_sys::NodeTag::T_WindowAgg { (*plan).plan_rows } else { 0.0 };
        let inside = match (*plan).type_ {
            pg_sys::NodeTag::T_SubqueryScan => below((*plan.cast::<pg_sys::SubqueryScan>()).subplan),
            pg_sys::NodeTag::T_Append => in_list((*plan.cast::<pg_sys::Append>()).appendplans),
            pg_sys::NodeTag::T_MergeAppend => in_list((*plan.cast::<pg_sys::MergeAppend>()).mergeplans),
            _ => 0.0,
        };
        own + inside + below((*plan).lefttree) + below((*plan).righttree)
    }
}
