//! Who may read what: the executor checks it for the range table of the standard plan, and for nothing else.
//!
//! Invariant: nothing is shipped that reads a relation, or a column of it, unless an entry of the standard plan asks for the same rights of the
//! same role. The two are made one after the other. In between, whatever a user's IMMUTABLE function says (by which subqueries are folded away) and
//! the body of a SQL function (which is inlined) may change; and subqueries that nobody looks at are in one of them only. For what the standard plan
//! lacks the rights are checked here, and the entry is added to it.

use pgrx::pg_sys;
use std::cell::RefCell;

/// The rights that a finished plan has checked when it starts.
pub struct Rights {
    standard: *mut pg_sys::PlannedStmt,
    /// Entries that it lacks, and which the current role may read.
    lacking: RefCell<Vec<Entry>>,
}

impl Rights {
    /// # Safety
    /// A finished plan, which stays alive.
    pub unsafe fn new(standard: *mut pg_sys::PlannedStmt) -> Self {
        Self { standard, lacking: RefCell::default() }
    }

    /// Whether an entry of a query's range table may be read.
    ///
    /// # Safety
    /// An entry of the query.
    pub unsafe fn allow(&self, query: *mut pg_sys::Query, rte: *mut pg_sys::RangeTblEntry) -> bool {
        // SAFETY: as promised by the caller.
        unsafe {
            let Some(entry) = Entry::of(query, rte) else { return true };
            if entry.is_checked(self.standard) {
                return true;
            }
            let may = entry.is_allowed();
            if may {
                self.lacking.borrow_mut().push(entry);
            }
            may
        }
    }

    /// Has the plan check what it lacks.
    ///
    /// # Safety
    /// In the memory context of the plan.
    pub unsafe fn complete(self) {
        for entry in self.lacking.into_inner() {
            // SAFETY: as promised by the caller.
            unsafe { entry.add_to(self.standard) };
        }
    }
}

/// An entry of a range table that asks for rights.
struct Entry {
    rte: *mut pg_sys::RangeTblEntry,
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    info: *mut pg_sys::RTEPermissionInfo,
}

/// What an entry asks for.
struct Wanted {
    relid: pg_sys::Oid,
    user: pg_sys::Oid,
    rights: pg_sys::AclMode,
    columns: *mut pg_sys::Bitmapset,
}

impl Wanted {
    /// Whether what `other` asks for is the same or less.
    unsafe fn covers(&self, other: &Wanted) -> bool {
        // SAFETY: sets of columns, or null.
        let columns = || unsafe { pg_sys::bms_is_subset(other.columns, self.columns) };
        self.relid == other.relid && self.user == other.user && other.rights & !self.rights == 0 && columns()
    }
}

unsafe fn elements<T>(list: *const pg_sys::List) -> impl Iterator<Item = *mut T> {
    // SAFETY: a list of such nodes, or null.
    unsafe {
        let n = if list.is_null() { 0 } else { usize::try_from((*list).length).unwrap_or(0) };
        (0..n).map(move |i| (*(*list).elements.add(i)).ptr_value.cast())
    }
}

unsafe fn copy<T>(node: *mut T) -> *mut T {
    // SAFETY: a valid node.
    unsafe { pg_sys::copyObjectImpl(node.cast()).cast() }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
impl Entry {
    /// Nothing, if no right is asked for.
    unsafe fn of(_query: *mut pg_sys::Query, rte: *mut pg_sys::RangeTblEntry) -> Option<Entry> {
        // SAFETY: a valid entry.
        unsafe { ((*rte).rtekind == pg_sys::RTEKind::RTE_RELATION && (*rte).requiredPerms != 0).then_some(Entry { rte }) }
    }

    unsafe fn wanted(&self) -> Wanted {
        // SAFETY: a valid entry.
        unsafe {
            let rte = &*self.rte;
            Wanted { relid: rte.relid, user: rte.checkAsUser, rights: rte.requiredPerms, columns: rte.selectedCols }
        }
    }

    unsafe fn is_checked(&self, standard: *mut pg_sys::PlannedStmt) -> bool {
        // SAFETY: a finished plan.
        unsafe {
            let wanted = self.wanted();
            let null = std::ptr::null_mut();
            elements((*standard).rtable).filter_map(|rte| Entry::of(null, rte)).any(|had| had.wanted().covers(&wanted))
        }
    }

    unsafe fn is_allowed(&self) -> bool {
        // SAFETY: a valid entry.
        unsafe { pg_sys::ExecCheckRTPerms(pg_sys::lappend(std::ptr::null_mut(), self.rte.cast()), false) }
    }

    unsafe fn add_to(&self, standard: *mut pg_sys::PlannedStmt) {
        // SAFETY: a finished plan in the current memory context.
        unsafe {
            (*standard).rtable = pg_sys::lappend((*standard).rtable, copy(self.rte).cast());
            (*standard).relationOids = pg_sys::lappend_oid((*standard).relationOids, (*self.rte).relid);
        }
    }
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
impl Entry {
    /// Nothing, if no right is asked for.
    unsafe fn of(query: *mut pg_sys::Query, rte: *mut pg_sys::RangeTblEntry) -> Option<Entry> {
        // SAFETY: a valid entry of the query.
        unsafe {
            if (*rte).perminfoindex == 0 {
                return None;
            }
            let info = pg_sys::getRTEPermissionInfo((*query).rteperminfos, rte);
            ((*info).requiredPerms != 0).then_some(Entry { rte, info })
        }
    }

    unsafe fn asked(info: *mut pg_sys::RTEPermissionInfo) -> Wanted {
        // SAFETY: a valid entry.
        unsafe { Wanted { relid: (*info).relid, user: (*info).checkAsUser, rights: (*info).requiredPerms, columns: (*info).selectedCols } }
    }

    unsafe fn is_checked(&self, standard: *mut pg_sys::PlannedStmt) -> bool {
        // SAFETY: a finished plan.
        unsafe {
            let wanted = Self::asked(self.info);
            elements((*standard).permInfos).any(|info| Self::asked(info).covers(&wanted))
        }
    }

    unsafe fn is_allowed(&self) -> bool {
        // SAFETY: a valid entry, which is the first of its list.
        unsafe {
            let rte = copy(self.rte);
            (*rte).perminfoindex = 1;
            let list = |node: *mut std::ffi::c_void| pg_sys::lappend(std::ptr::null_mut(), node);
            pg_sys::ExecCheckPermissions(list(rte.cast()), list(self.info.cast()), false)
        }
    }

    unsafe fn add_to(&self, standard: *mut pg_sys::PlannedStmt) {
        // SAFETY: a finished plan in the current memory context. As in a plan, an entry has no subquery any more.
        unsafe {
            (*standard).permInfos = pg_sys::lappend((*standard).permInfos, copy(self.info).cast());
            let rte = copy(self.rte);
            (*rte).subquery = std::ptr::null_mut();
            (*rte).perminfoindex = u32::try_from((*(*standard).permInfos).length).unwrap_or(0);
            (*standard).rtable = pg_sys::lappend((*standard).rtable, rte.cast());
            (*standard).relationOids = pg_sys::lappend_oid((*standard).relationOids, (*rte).relid);
        }
    }
}
