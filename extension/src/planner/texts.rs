//! Comparisons of text under a locale that the engine makes and a finished plan does not.
//!
//! The engine sorts the texts by which a window, an aggregate or a LIMIT orders. Where Postgres sorts the same rows, it makes no fewer
//! comparisons, and they cost both the same; where an index gives it their order, or it keeps the first rows only, it makes fewer.

use super::windows::each_node;
use crate::translate::{FEW_ROWS, is_locale};
use pgrx::pg_sys;

/// How many there are, at most.
///
/// # Safety
/// `stmt` must be a finished plan.
pub unsafe fn comparisons(stmt: *mut pg_sys::PlannedStmt) -> f64 {
    let mut sum = 0.0;
    // SAFETY: a finished plan; its nodes are looked into by their tags.
    unsafe {
        let root = (*stmt).planTree;
        each_node(stmt, &mut |plan| {
            match (*plan).type_ {
                pg_sys::NodeTag::T_WindowAgg => {
                    let window = &*plan.cast::<pg_sys::WindowAgg>();
                    if has_locale(window.ordCollations, window.ordNumCols, 0) && !is_sorted((*plan).lefttree) {
                        sum += to_sort((*plan).plan_rows);
                    }
                }
                // The engine finds a few first rows by a text as Postgres does, more of them, and those by a later key, not. The last order of
                // all is left to Postgres.
                pg_sys::NodeTag::T_Limit if plan != root => {
                    let below = (*plan).lefttree;
                    if !below.is_null() && (*below).type_ == pg_sys::NodeTag::T_Sort {
                        let sort = &*below.cast::<pg_sys::Sort>();
                        let few = (*plan).plan_rows <= FEW_ROWS as f64;
                        let by_first = has_locale(sort.collations, sort.numCols.min(1), 0);
                        if !(by_first && few) && has_locale(sort.collations, sort.numCols, 0) {
                            sum += to_sort((*below).plan_rows);
                        }
                    }
                }
                _ => {}
            }
        });
    }
    sum
}

fn to_sort(rows: f64) -> f64 {
    rows * rows.max(1.0).log2()
}

/// Whether some of the collations from the `first` on orders text by a library.
unsafe fn has_locale(collations: *const pg_sys::Oid, n: i32, first: usize) -> bool {
    let n = usize::try_from(n).unwrap_or(0);
    // SAFETY: as many as the node says.
    (first..n).any(|i| !collations.is_null() && unsafe { is_locale(*collations.add(i)) })
}

/// Whether the rows that a window reads have been sorted for it as a whole.
unsafe fn is_sorted(mut plan: *mut pg_sys::Plan) -> bool {
    while !plan.is_null() {
        // SAFETY: a valid node, looked into by its tag.
        unsafe {
            match (*plan).type_ {
                pg_sys::NodeTag::T_Sort => return true,
                pg_sys::NodeTag::T_WindowAgg | pg_sys::NodeTag::T_Result | pg_sys::NodeTag::T_GatherMerge => plan = (*plan).lefttree,
                _ => return false,
            }
        }
    }
    false
}
