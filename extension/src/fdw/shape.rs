//! A relation under planning as an item of FROM: what a statement that answers it reads, and under which conditions.
//!
//! Invariants:
//! - An item is a FromExpr: its conditions are applied to what its one item puts out, so that it can be either side of an outer join.
//! - What belongs to a base relation lives as long as the planning of the query; what belongs to a join, as long as the join (GEQO forgets joins).

use super::paths::length;
use pgrx::pg_sys;
use std::ffi::{CStr, CString, c_char};

/// How far a statement goes: each stage includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Rows,
    Grouped,
    Windowed,
    Distinct,
    Ordered,
    Limited,
}

impl Stage {
    fn noun(self) -> &'static str {
        match self {
            Stage::Rows => "join",
            Stage::Grouped => "aggregate",
            Stage::Windowed => "window functions",
            Stage::Distinct => "distinct",
            Stage::Ordered => "order",
            Stage::Limited => "limit",
        }
    }
}

/// What is known of a relation, in its `fdw_private`.
pub struct Info {
    /// The item, of a relation of several; null: it is not one statement.
    pub from: *mut pg_sys::Node,
    /// How often a join was tried.
    pub tries: u32,
    /// Rows of the scan or join below.
    pub rows: f64,
    /// Of a base relation: pointers to [`Reason`].
    reasons: *mut pg_sys::List,
}

/// Why a part of the query is not asked for.
struct Reason {
    over: pg_sys::Relids,
    stage: Stage,
    text: *const c_char,
}

/// Reasons that are kept of a relation at most.
const MAX_REASONS: i32 = 20;

unsafe fn is_base(rel: *mut pg_sys::RelOptInfo) -> bool {
    // SAFETY: a relation under planning.
    matches!(unsafe { (*rel).reloptkind }, pg_sys::RelOptKind::RELOPT_BASEREL | pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL)
}

/// What is known of a relation, made at first use.
///
/// # Safety
/// A relation under planning that only we give a meaning to `fdw_private`.
pub unsafe fn info<'a>(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> &'a mut Info {
    // SAFETY: by contract; zeroed memory is an empty Info.
    unsafe {
        if (*rel).fdw_private.is_null() {
            let previous = pg_sys::CurrentMemoryContext;
            if is_base(rel) {
                pg_sys::MemoryContextSwitchTo((*root).planner_cxt);
            }
            (*rel).fdw_private = pg_sys::palloc0(size_of::<Info>());
            pg_sys::MemoryContextSwitchTo(previous);
        }
        &mut *(*rel).fdw_private.cast::<Info>()
    }
}

/// The relation as an item of FROM.
///
/// # Errors
/// Why it cannot be one.
///
/// # Safety
/// A relation of one server under planning.
pub unsafe fn of(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Result<*mut pg_sys::Node, String> {
    // SAFETY: by contract.
    unsafe {
        match (*rel).reloptkind {
            pg_sys::RelOptKind::RELOPT_BASEREL | pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL => {
                // A partition does not say there as whom it is read.
                #[cfg(not(any(feature = "pg14", feature = "pg15")))]
                if (*rel).reloptkind == pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL && (*rel).userid != pg_sys::InvalidOid {
                    return Err("a partition that is read as somebody else".into());
                }
                let rte = *(*root).simple_rte_array.add((*rel).relid as usize);
                if (*rte).rtekind != pg_sys::RTEKind::RTE_RELATION {
                    return Err("what is no table".into());
                }
                if !(*rel).lateral_relids.is_null() {
                    return Err("LATERAL".into());
                }
                let item = pg_sys::palloc0(size_of::<pg_sys::RangeTblRef>()).cast::<pg_sys::RangeTblRef>();
                (*item).type_ = pg_sys::NodeTag::T_RangeTblRef;
                (*item).rtindex = (*rel).relid.cast_signed();
                Ok(item_of(item.cast(), clauses((*rel).baserestrictinfo, &|_| true)?))
            }
            pg_sys::RelOptKind::RELOPT_JOINREL
            | pg_sys::RelOptKind::RELOPT_UPPER_REL
            | pg_sys::RelOptKind::RELOPT_OTHER_JOINREL
            | pg_sys::RelOptKind::RELOPT_OTHER_UPPER_REL => {
                let from = if (*rel).fdw_private.is_null() { std::ptr::null_mut() } else { info(root, rel).from };
                if from.is_null() { Err("a part of it is not pushed".into()) } else { Ok(from) }
            }
            _ => Err("a relation of this kind".into()),
        }
    }
}

/// The join of two relations as an item of FROM.
///
/// # Errors
/// Why it cannot be one.
///
/// # Safety
/// Relations under planning, with the conditions of their join.
pub unsafe fn joined(
    joinrel: *mut pg_sys::RelOptInfo,
    left: *mut pg_sys::Node,
    right: *mut pg_sys::Node,
    kind: pg_sys::JoinType::Type,
    restrictions: *mut pg_sys::List,
) -> Result<*mut pg_sys::Node, String> {
    use pg_sys::JoinType::*;
    let outer = match kind {
        JOIN_INNER | JOIN_SEMI => false,
        JOIN_LEFT | JOIN_RIGHT | JOIN_FULL | JOIN_ANTI => true,
        _ => return Err("a join of this kind".into()),
    };
    // SAFETY: by contract.
    unsafe {
        // Of an outer join, some conditions decide what matches, others what is left of its result.
        let above = |info: *mut pg_sys::RestrictInfo| outer && ((*info).is_pushed_down || !pg_sys::bms_is_subset((*info).required_relids, (*joinrel).relids));
        let on = clauses(restrictions, &|info| !above(info))?;
        if on.is_null() && matches!(kind, JOIN_INNER | JOIN_SEMI) {
            return Err("a join without a condition".into());
        }
        let join = pg_sys::palloc0(size_of::<pg_sys::JoinExpr>()).cast::<pg_sys::JoinExpr>();
        (*join).type_ = pg_sys::NodeTag::T_JoinExpr;
        (*join).jointype = kind;
        (*join).larg = left;
        (*join).rarg = right;
        (*join).quals = if on.is_null() { std::ptr::null_mut() } else { pg_sys::make_ands_explicit(on).cast() };
        Ok(item_of(join.cast(), clauses(restrictions, &above)?))
    }
}

unsafe fn item_of(item: *mut pg_sys::Node, conditions: *mut pg_sys::List) -> *mut pg_sys::Node {
    // SAFETY: nodes of the planner's memory context.
    unsafe {
        let quals = if conditions.is_null() { std::ptr::null_mut() } else { pg_sys::make_ands_explicit(conditions).cast() };
        pg_sys::makeFromExpr(pg_sys::lappend(std::ptr::null_mut(), item.cast()), quals).cast()
    }
}

/// The wanted conditions of a list, unless one is not to be asked before others.
unsafe fn clauses(infos: *mut pg_sys::List, wanted: &dyn Fn(*mut pg_sys::RestrictInfo) -> bool) -> Result<*mut pg_sys::List, String> {
    let mut list = std::ptr::null_mut();
    // SAFETY: a list of RestrictInfo.
    unsafe {
        for i in 0..length(infos) {
            let info = pg_sys::list_nth(infos, i).cast::<pg_sys::RestrictInfo>();
            if (*info).pseudoconstant {
                return Err("a condition without columns".into());
            }
            if (*info).security_level > 0 {
                return Err("a condition that waits for a security barrier".into());
            }
            if wanted(info) {
                list = pg_sys::lappend(list, (*info).clause.cast());
            }
        }
    }
    Ok(list)
}

/// The range table indexes of a set.
pub unsafe fn members(relids: pg_sys::Relids) -> Vec<i32> {
    let (mut all, mut member) = (Vec::new(), -1);
    loop {
        // SAFETY: a set of range table indexes.
        member = unsafe { pg_sys::bms_next_member(relids, member) };
        if member < 0 {
            return all;
        }
        all.push(member);
    }
}

/// Notes, for EXPLAIN, why something over these relations is not asked for.
///
/// # Safety
/// Relations under planning.
pub unsafe fn note(root: *mut pg_sys::PlannerInfo, relids: pg_sys::Relids, stage: Stage, why: &str) {
    let Ok(text) = CString::new(format!("{}: {why}", stage.noun())) else { return };
    // SAFETY: by contract; everything is made where the base relations live.
    unsafe {
        let previous = pg_sys::MemoryContextSwitchTo((*root).planner_cxt);
        for member in members(relids) {
            let Some(rel) = base(root, member) else { continue };
            let own = info(root, rel);
            if length(own.reasons) >= MAX_REASONS {
                continue;
            }
            let reason = pg_sys::palloc0(size_of::<Reason>()).cast::<Reason>();
            reason.write(Reason { over: pg_sys::bms_copy(relids), stage, text: pg_sys::pstrdup(text.as_ptr()) });
            own.reasons = pg_sys::lappend(own.reasons, reason.cast());
        }
        pg_sys::MemoryContextSwitchTo(previous);
    }
}

unsafe fn base(root: *mut pg_sys::PlannerInfo, index: i32) -> Option<*mut pg_sys::RelOptInfo> {
    // SAFETY: an index of the range table.
    unsafe {
        let index = usize::try_from(index).ok().filter(|i| *i < usize::try_from((*root).simple_rel_array_size).unwrap_or(0))?;
        let rel = *(*root).simple_rel_array.add(index);
        (!rel.is_null() && is_base(rel)).then_some(rel)
    }
}

/// What was noted of these relations and goes beyond a statement over them that goes so far.
///
/// # Safety
/// Relations of ours under planning.
pub unsafe fn noted(root: *mut pg_sys::PlannerInfo, relids: pg_sys::Relids, stage: Stage) -> Vec<String> {
    let mut all = Vec::new();
    // SAFETY: by contract; `note` made the reasons.
    unsafe {
        for member in members(relids) {
            let Some(rel) = base(root, member).filter(|r| !(**r).fdw_private.is_null()) else { continue };
            let reasons = info(root, rel).reasons;
            for i in 0..length(reasons) {
                let reason = &*pg_sys::list_nth(reasons, i).cast::<Reason>();
                let beyond = if reason.stage == Stage::Rows { !pg_sys::bms_is_subset(reason.over, relids) } else { reason.stage > stage };
                let text = CStr::from_ptr(reason.text).to_string_lossy().into_owned();
                if beyond && !all.contains(&text) {
                    all.push(text);
                }
            }
        }
    }
    all
}
