//! Partitioned tables: a partitioned table has no rows of its own, its mirror is that of its leaves.

use pgrx::pg_sys;

// Not bound by pgrx.
unsafe extern "C-unwind" {
    fn find_all_inheritors(parent: pg_sys::Oid, lock: pg_sys::LOCKMODE, parents: *mut *mut pg_sys::List) -> *mut pg_sys::List;
}

/// The leaves of a partitioned table, at whatever depth, in the order of Postgres's own expansion; `None` for any other relation.
///
/// With a lock, they stay what they are until the transaction ends.
///
/// # Safety
/// On the main thread, inside a transaction; the relation itself is locked if `lock` is.
pub unsafe fn leaves(relid: pg_sys::Oid, lock: pg_sys::LOCKMODE) -> Option<Vec<pg_sys::Oid>> {
    // SAFETY: looks into the catalog.
    if unsafe { kind(relid) } != pg_sys::RELKIND_PARTITIONED_TABLE {
        return None;
    }
    // SAFETY: as passed; looks into the catalog.
    Some(unsafe { with_children(relid, lock) }.into_iter().filter(|oid| unsafe { kind(*oid) } != pg_sys::RELKIND_PARTITIONED_TABLE).collect())
}

/// A table and all that inherit from it, at whatever depth, in the order of Postgres's own expansion.
///
/// # Safety
/// As [`leaves`].
pub unsafe fn with_children(relid: pg_sys::Oid, lock: pg_sys::LOCKMODE) -> Vec<pg_sys::Oid> {
    // SAFETY: gives a list of OIDs in the current memory context.
    let all = unsafe {
        let list = pg_sys::ffi::pg_guard_ffi_boundary(|| find_all_inheritors(relid, lock, std::ptr::null_mut()));
        pgrx::PgList::<pg_sys::Oid>::from_pg(list)
    };
    all.iter_oid().collect()
}

/// # Safety
/// Inside a transaction.
unsafe fn kind(relid: pg_sys::Oid) -> u8 {
    // SAFETY: as passed.
    unsafe { pg_sys::get_rel_relkind(relid) }.cast_unsigned()
}
