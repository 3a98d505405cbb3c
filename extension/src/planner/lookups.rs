//! What a finished plan looks up in indexes by ranges, or only until it has found enough: the engine has no indexes, and compares all pairs.
//!
//! A look-up by equality is a hash join there. One by `<` or BETWEEN is not, nor is the first row of an order (`ORDER BY … LIMIT 1` in a
//! LATERAL or correlated subquery): where Postgres reads a few rows for each row outside, the engine joins each of these with all.

use pgrx::pg_sys;

/// The pairs of rows that the engine would compare for such look-ups: the rows outside times the rows of the tables inside.
///
/// # Safety
/// `stmt` must be a finished plan.
pub unsafe fn pairs(stmt: *mut pg_sys::PlannedStmt) -> f64 {
    // SAFETY: a finished plan is made of valid nodes and lists.
    unsafe {
        let mut found = Found { stmt, most_rows: 0.0, pairs: 0.0 };
        found.outside((*stmt).planTree);
        let subplans = (*stmt).subplans;
        for i in 0..length(subplans) {
            let plan = pg_sys::list_nth(subplans, i).cast::<pg_sys::Plan>();
            if plan.is_null() {
                continue;
            }
            found.outside(plan);
            // How often a subplan is evaluated its plan does not say.
            if !(*plan).extParam.is_null() {
                let rows = found.most_rows;
                found.inside(plan, rows);
            }
        }
        found.pairs
    }
}

struct Found {
    stmt: *mut pg_sys::PlannedStmt,
    /// The largest number of rows of any node so far.
    most_rows: f64,
    pairs: f64,
}

impl Found {
    /// Looks for nested loops over look-ups.
    unsafe fn outside(&mut self, plan: *mut pg_sys::Plan) {
        if plan.is_null() {
            return;
        }
        // SAFETY: a valid node, looked into by its tag.
        unsafe {
            self.most_rows = self.most_rows.max((*plan).plan_rows);
            if (*plan).type_ == pg_sys::NodeTag::T_NestLoop && !(*plan.cast::<pg_sys::NestLoop>()).nestParams.is_null() {
                let rows = (*(*plan).lefttree).plan_rows;
                self.inside((*plan).righttree, rows);
            }
            each_child(plan, &mut |child| self.outside(child));
        }
    }

    /// Adds up the look-ups of a part that is run for each of `rows` rows.
    unsafe fn inside(&mut self, part: *mut pg_sys::Plan, rows: f64) {
        // SAFETY: as above.
        unsafe {
            let (mut read, mut is_partial) = (0.0, false);
            scans(part, &mut |node| {
                let scan = node.cast::<pg_sys::Scan>();
                match (*node).type_ {
                    pg_sys::NodeTag::T_Limit => is_partial = true,
                    pg_sys::NodeTag::T_IndexScan => is_partial |= by_range((*node.cast::<pg_sys::IndexScan>()).indexqualorig),
                    pg_sys::NodeTag::T_IndexOnlyScan => is_partial |= by_range((*node.cast::<pg_sys::IndexOnlyScan>()).indexqual),
                    pg_sys::NodeTag::T_BitmapIndexScan => is_partial |= by_range((*node.cast::<pg_sys::BitmapIndexScan>()).indexqualorig),
                    _ => {}
                }
                if matches!((*node).type_, pg_sys::NodeTag::T_IndexScan | pg_sys::NodeTag::T_IndexOnlyScan | pg_sys::NodeTag::T_BitmapHeapScan) {
                    read += self.table_rows((*scan).scanrelid);
                }
            });
            if is_partial {
                self.pairs += rows * read;
            }
        }
    }

    unsafe fn table_rows(&self, scanrelid: pg_sys::Index) -> f64 {
        // SAFETY: a place in the plan's range table.
        unsafe {
            let entries = (*self.stmt).rtable;
            let place = i32::try_from(scanrelid).unwrap_or(0) - 1;
            if place < 0 || place >= length(entries) {
                return 0.0;
            }
            crate::translate::table_rows((*pg_sys::list_nth(entries, place).cast::<pg_sys::RangeTblEntry>()).relid)
        }
    }
}

/// Calls `f` for each node of a part.
unsafe fn scans(plan: *mut pg_sys::Plan, f: &mut dyn FnMut(*mut pg_sys::Plan)) {
    if plan.is_null() {
        return;
    }
    f(plan);
    // SAFETY: a valid node.
    unsafe { each_child(plan, &mut |child| scans(child, f)) };
}

/// Calls `f` for each direct input of a node, null ones too.
unsafe fn each_child(plan: *mut pg_sys::Plan, f: &mut dyn FnMut(*mut pg_sys::Plan)) {
    // SAFETY: a valid node, looked into by its tag.
    unsafe {
        let listed = match (*plan).type_ {
            pg_sys::NodeTag::T_SubqueryScan => {
                f((*plan.cast::<pg_sys::SubqueryScan>()).subplan);
                std::ptr::null_mut()
            }
            pg_sys::NodeTag::T_Append => (*plan.cast::<pg_sys::Append>()).appendplans,
            pg_sys::NodeTag::T_MergeAppend => (*plan.cast::<pg_sys::MergeAppend>()).mergeplans,
            pg_sys::NodeTag::T_BitmapAnd => (*plan.cast::<pg_sys::BitmapAnd>()).bitmapplans,
            pg_sys::NodeTag::T_BitmapOr => (*plan.cast::<pg_sys::BitmapOr>()).bitmapplans,
            _ => std::ptr::null_mut(),
        };
        for i in 0..length(listed) {
            f(pg_sys::list_nth(listed, i).cast());
        }
        f((*plan).lefttree);
        f((*plan).righttree);
    }
}

/// Whether an index is asked for something else than equality with a value of the row outside.
unsafe fn by_range(quals: *mut pg_sys::List) -> bool {
    // SAFETY: a list of clauses.
    unsafe {
        (0..length(quals)).any(|i| {
            let clause = pg_sys::list_nth(quals, i).cast::<pg_sys::Node>();
            if (*clause).type_ != pg_sys::NodeTag::T_OpExpr {
                return false;
            }
            let op = clause.cast::<pg_sys::OpExpr>();
            let arguments = (*op).args;
            let from_outside = (0..length(arguments)).any(|j| crate::translate::has_executor_param(pg_sys::list_nth(arguments, j).cast()));
            from_outside && !pg_sys::op_hashjoinable((*op).opno, pg_sys::exprType(pg_sys::list_nth(arguments, 0).cast()))
        })
    }
}

unsafe fn length(list: *mut pg_sys::List) -> i32 {
    // SAFETY: a list or null.
    unsafe { if list.is_null() { 0 } else { (*list).length } }
}
