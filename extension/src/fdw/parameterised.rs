//! Paths of a foreign scan that is asked again for each row of other relations: `WHERE key = other.column`.

use super::catalog;
use super::paths::{self, length};
use crate::translate;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use pgrx::prelude::*;
use std::ffi::c_void;
use weir_fdw::descriptor::Options;
use weir_fdw::registry;

/// Combinations of other relations that are tried at most.
const MAX_PATHS: usize = 16;

/// For the columns of a relation one after the other: the one in turn, and those done.
struct Turn {
    current: *mut pg_sys::Expr,
    done: Vec<*mut pg_sys::Expr>,
}

/// Whether a member of an equivalence is the column in turn; takes the next if there is none yet.
#[pg_guard]
unsafe extern "C-unwind" fn in_turn(
    _root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    _ec: *mut pg_sys::EquivalenceClass,
    em: *mut pg_sys::EquivalenceMember,
    arg: *mut c_void,
) -> bool {
    // SAFETY: the planner passes what `paths` gave it.
    unsafe {
        let turn = &mut *arg.cast::<Turn>();
        let expr = (*em).em_expr;
        if !turn.current.is_null() {
            return pg_sys::equal(expr.cast(), turn.current.cast());
        }
        if !pg_sys::bms_equal((*em).em_relids, (*rel).relids) || turn.done.iter().any(|d| pg_sys::equal(expr.cast(), (*d).cast())) {
            return false;
        }
        turn.current = expr;
        true
    }
}

/// Adds a path for each set of relations that a condition of the remote statement can take values from.
///
/// # Safety
/// A base relation under planning; `can` says whether the remote applies a condition.
pub unsafe fn add(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, relid: pg_sys::Oid, can: &dyn Fn(*mut pg_sys::Node) -> bool) {
    let mut outers: Vec<pg_sys::Relids> = Vec::new();
    // SAFETY: as passed; lists of RestrictInfo.
    unsafe {
        let mut consider = |infos: *mut pg_sys::List| {
            for i in 0..length(infos) {
                let info = pg_sys::list_nth(infos, i).cast::<pg_sys::RestrictInfo>();
                if (*info).pseudoconstant || (*info).security_level > 0 || !pg_sys::join_clause_is_movable_to(info, rel) || !can((*info).clause.cast()) {
                    continue;
                }
                let needed = pg_sys::bms_union((*info).clause_relids, (*rel).lateral_relids);
                let needed = pg_sys::bms_difference(needed, (*rel).relids);
                if !needed.is_null() && outers.len() < MAX_PATHS && !outers.iter().any(|o| pg_sys::bms_equal(*o, needed)) {
                    outers.push(needed);
                }
            }
        };
        consider((*rel).joininfo);
        if (*rel).has_eclass_joins {
            let mut turn = Turn { current: std::ptr::null_mut(), done: Vec::new() };
            loop {
                turn.current = std::ptr::null_mut();
                let implied = pg_sys::generate_implied_equalities_for_column(root, rel, Some(in_turn), (&raw mut turn).cast(), (*rel).lateral_referencers);
                if turn.current.is_null() {
                    break;
                }
                consider(implied);
                turn.done.push(turn.current);
            }
        }
        for outer in outers {
            let info = pg_sys::get_baserel_parampathinfo(root, rel, outer);
            let read = looked_at(root, rel, relid, (*info).ppi_clauses) * pg_sys::cpu_tuple_cost;
            paths::add_scan(root, rel, (*info).ppi_rows, read, outer, None);
        }
    }
}

/// At how many rows the remote looks each time, beyond what it sends: if each column of the table's key is compared for equality with something, at none;
/// if a column is compared that an index begins with, at those that it finds; else nobody knows, perhaps at all of them.
unsafe fn looked_at(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, relid: pg_sys::Oid, clauses: *mut pg_sys::List) -> f64 {
    // SAFETY: a base relation under planning, which is this table; lists of RestrictInfo.
    unsafe {
        let table = catalog::foreign_table(relid, 0);
        let Some((table, engine)) = table.and_then(|t| registry::by_name(t.engine).map(|engine| (t, engine))) else { return (*rel).tuples };
        let dialect = engine.dialect_of(&table.server_options);
        let found = |attno: &i16| translate::column_type(relid, *attno).is_ok_and(|ty| dialect.finds(&ty));
        let says = |attno: i16, option: &str| table.columns.get(&attno).is_some_and(|(_, own)| Options { engine, given: own }.bool(option));
        let (mut named, mut least) = (Vec::new(), (*rel).tuples);
        for (list, varies) in [(clauses, true), ((*rel).baserestrictinfo, false)] {
            for i in 0..length(list) {
                let info = pg_sys::list_nth(list, i).cast::<pg_sys::RestrictInfo>();
                let columns: Vec<i16> = equated((*rel).relid, (*info).clause.cast()).into_iter().filter(found).collect();
                if varies && columns.iter().any(|attno| says(*attno, "indexed")) {
                    let relid = i32::try_from((*rel).relid).unwrap_or(0);
                    let share = pg_sys::clause_selectivity(root, info.cast(), relid, pg_sys::JoinType::JOIN_INNER, std::ptr::null_mut());
                    least = f64::min(least, (*rel).tuples * share);
                }
                named.extend(columns);
            }
        }
        let key: Vec<i16> = table.columns.keys().copied().filter(|attno| says(*attno, "key")).collect();
        if !key.is_empty() && key.iter().all(|attno| named.contains(attno)) { 0.0 } else { least }
    }
}

/// The columns of a relation that stand alone on a side of an equality.
unsafe fn equated(rti: u32, clause: *mut pg_sys::Node) -> Vec<i16> {
    let mut columns = Vec::new();
    // SAFETY: an expression of the planner.
    unsafe {
        let op = clause.cast::<pg_sys::OpExpr>();
        if (*clause).type_ != NodeTag::T_OpExpr || length((*op).args) != 2 {
            return columns;
        }
        if !pg_sys::op_mergejoinable((*op).opno, pg_sys::exprType(pg_sys::list_nth((*op).args, 0).cast())) {
            return columns;
        }
        for i in 0..2 {
            let mut side = pg_sys::list_nth((*op).args, i).cast::<pg_sys::Node>();
            while (*side).type_ == NodeTag::T_RelabelType {
                side = (*side.cast::<pg_sys::RelabelType>()).arg.cast();
            }
            let var = side.cast::<pg_sys::Var>();
            if (*side).type_ == NodeTag::T_Var && (*var).varno == rti as i32 && (*var).varlevelsup == 0 {
                columns.push((*var).varattno);
            }
        }
    }
    columns
}
