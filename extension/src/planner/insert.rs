//! INSERT … SELECT: the rows to insert come from the engine, everything else stays with Postgres's ModifyTable.

use pgrx::pg_sys;

/// Whether a statement is INSERT … SELECT without data-modifying WITH.
///
/// # Safety
/// `query` must be a valid analysed query.
pub unsafe fn is_insert_select(query: *mut pg_sys::Query) -> bool {
    // SAFETY: valid by contract; FROM of an INSERT … SELECT is that one subquery.
    unsafe {
        let q = &*query;
        if q.commandType != pg_sys::CmdType::CMD_INSERT || q.hasModifyingCTE || q.jointree.is_null() {
            return false;
        }
        let from = (*q.jointree).fromlist;
        if from.is_null() || (*from).length != 1 {
            return false;
        }
        let item = pg_sys::list_nth(from, 0).cast::<pg_sys::RangeTblRef>();
        if (*item).type_ != pg_sys::NodeTag::T_RangeTblRef {
            return false;
        }
        let rte = pg_sys::list_nth(q.rtable, (*item).rtindex - 1).cast::<pg_sys::RangeTblEntry>();
        (*rte).rtekind == pg_sys::RTEKind::RTE_SUBQUERY
    }
}

/// Makes of a copy of the statement the query of the rows to insert.
///
/// # Safety
/// `query` must be a private copy of an INSERT … SELECT.
pub unsafe fn into_select(query: *mut pg_sys::Query) {
    // SAFETY: valid by contract. The target keeps its place in the range table, but is no relation any more.
    unsafe {
        let target = (*query).resultRelation;
        if target > 0 {
            let rte = pg_sys::list_nth((*query).rtable, target - 1).cast::<pg_sys::RangeTblEntry>();
            (*rte).rtekind = pg_sys::RTEKind::RTE_RESULT;
            (*rte).relid = pg_sys::InvalidOid;
            (*rte).securityQuals = std::ptr::null_mut();
            ask_for_nothing(rte);
        }
        (*query).commandType = pg_sys::CmdType::CMD_SELECT;
        (*query).resultRelation = 0;
        (*query).returningList = std::ptr::null_mut();
        (*query).onConflict = std::ptr::null_mut();
        (*query).withCheckOptions = std::ptr::null_mut();
        (*query).constraintDeps = std::ptr::null_mut();
    }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn ask_for_nothing(rte: *mut pg_sys::RangeTblEntry) {
    // SAFETY: a valid entry.
    unsafe { (*rte).requiredPerms = 0 };
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe fn ask_for_nothing(rte: *mut pg_sys::RangeTblEntry) {
    // SAFETY: a valid entry.
    unsafe { (*rte).perminfoindex = 0 };
}

/// Where the plan of the rows stands in the standard plan, and the query's target list made that plan's: one entry for each column
/// of the table.
///
/// # Safety
/// `query` is what [`into_select`] made, `standard` the plan of the statement.
pub unsafe fn rows_of(query: *mut pg_sys::Query, standard: *mut pg_sys::PlannedStmt) -> Result<*mut *mut pg_sys::Plan, String> {
    // SAFETY: a finished plan and a private query.
    unsafe {
        let modify = (*standard).planTree;
        if (*modify).type_ != pg_sys::NodeTag::T_ModifyTable || (*modify).lefttree.is_null() {
            return Err("an INSERT whose plan has another form".into());
        }
        let slot = &raw mut (*modify).lefttree;
        let own = (*query).targetList;
        let theirs = (**slot).targetlist;
        let mut full = std::ptr::null_mut();
        for i in 0..length(theirs) {
            let te = pg_sys::list_nth(theirs, i).cast::<pg_sys::TargetEntry>();
            let same = (0..length(own)).map(|j| pg_sys::list_nth(own, j).cast::<pg_sys::TargetEntry>()).find(|t| (**t).resno == (*te).resno);
            let entry = match same {
                Some(entry) => entry,
                // A column that the statement does not name and that has no default.
                None if (*(*te).expr).type_ == pg_sys::NodeTag::T_Const => pg_sys::copyObjectImpl(te.cast()).cast(),
                None => return Err("an INSERT with a column of another form".into()),
            };
            if (*te).resjunk || i32::from((*te).resno) != i + 1 {
                return Err("an INSERT whose plan has other columns".into());
            }
            full = pg_sys::lappend(full, entry.cast());
        }
        (*query).targetList = full;
        Ok(slot)
    }
}

unsafe fn length(list: *mut pg_sys::List) -> i32 {
    // SAFETY: a list or null.
    unsafe { if list.is_null() { 0 } else { (*list).length } }
}
