//! The base relations of a query, wherever in it they stand.

use pgrx::pg_sys;
use std::collections::HashSet;
use std::ffi::c_void;

type Walker = unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool;

// The walkers take an untyped function pointer before release 16, which pgrx does not bind.
unsafe extern "C-unwind" {
    #[cfg_attr(any(feature = "pg16", feature = "pg17", feature = "pg18"), link_name = "query_tree_walker_impl")]
    fn query_tree_walker(query: *mut pg_sys::Query, walker: Walker, context: *mut c_void, flags: i32) -> bool;
    #[cfg_attr(any(feature = "pg16", feature = "pg17", feature = "pg18"), link_name = "expression_tree_walker_impl")]
    fn expression_tree_walker(node: *mut pg_sys::Node, walker: Walker, context: *mut c_void) -> bool;
}

/// What a look at the range tables gave: OIDs, each once.
#[derive(Debug, Default)]
pub struct Relations {
    /// Tables, foreign tables …
    pub plain: Vec<pg_sys::Oid>,
    /// Partitioned tables. Which of their leaves are read is the planner's to find out, and not looked up for each small query.
    pub partitioned: Vec<pg_sys::Oid>,
    /// There are foreign tables.
    pub foreign: bool,
    /// Functions of users stand in FROM, behind which there may be more.
    pub functions: bool,
}

impl Relations {
    /// Whether there are others than those of the system catalogs.
    pub fn has_user_tables(&self) -> bool {
        self.plain.iter().chain(&self.partitioned).any(|r| r.to_u32() >= pg_sys::FirstNormalObjectId)
    }

    /// # Safety
    /// A valid entry of a range table.
    unsafe fn add(&mut self, rte: *mut pg_sys::RangeTblEntry) {
        // SAFETY: by contract.
        unsafe {
            // Before release 16, the query of a view has entries for the view itself, which are not read; where a materialized view is filled, they are its own.
            let is_of_rule = (*rte).relkind == pg_sys::RELKIND_MATVIEW.cast_signed() && !(*rte).inFromCl;
            if (*rte).rtekind == pg_sys::RTEKind::RTE_RELATION && (*rte).relkind != pg_sys::RELKIND_VIEW.cast_signed() && !is_of_rule {
                self.foreign |= (*rte).relkind == pg_sys::RELKIND_FOREIGN_TABLE.cast_signed();
                let is_partitioned = (*rte).relkind == pg_sys::RELKIND_PARTITIONED_TABLE.cast_signed();
                let relids = if is_partitioned { &mut self.partitioned } else { &mut self.plain };
                if !relids.contains(&(*rte).relid) {
                    relids.push((*rte).relid);
                }
            }
            self.functions |= (*rte).rtekind == pg_sys::RTEKind::RTE_FUNCTION && crate::translate::is_user_function(rte);
        }
    }
}

/// The relations in a finished plan: of partitions those that the planner could not exclude. They are locked, and a change of them makes
/// the plan void.
///
/// # Safety
/// `stmt` must be a finished plan.
pub unsafe fn planned(stmt: *mut pg_sys::PlannedStmt) -> HashSet<pg_sys::Oid> {
    // SAFETY: a finished plan has a range table.
    unsafe { entries((*stmt).rtable).filter(|rte| (**rte).rtekind == pg_sys::RTEKind::RTE_RELATION).map(|rte| (*rte).relid).collect() }
}

/// Collects the relations that the query reads, in subqueries, CTEs and sublinks too. Relations of the system catalogs are included.
///
/// # Safety
/// `query` must be a valid analysed query.
pub unsafe fn collect(query: *mut pg_sys::Query) -> Relations {
    let mut relations = Relations::default();
    // SAFETY: the context lives for the whole walk.
    unsafe {
        if is_flat(query) {
            entries((*query).rtable).for_each(|rte| relations.add(rte));
        } else {
            pg_sys::ffi::pg_guard_ffi_boundary(|| walk(query.cast(), (&raw mut relations).cast()));
        }
    }
    relations
}

/// Whether all that a query reads stands in its own range table, as in the small queries for which a walk over all expressions would be felt.
unsafe fn is_flat(query: *mut pg_sys::Query) -> bool {
    // SAFETY: a valid query.
    unsafe { !(*query).hasSubLinks && (*query).cteList.is_null() && entries((*query).rtable).all(|rte| (*rte).rtekind != pg_sys::RTEKind::RTE_SUBQUERY) }
}

unsafe fn entries(table: *const pg_sys::List) -> impl Iterator<Item = *mut pg_sys::RangeTblEntry> {
    // SAFETY: a range table is null or a list of its entries.
    unsafe {
        let n = if table.is_null() { 0 } else { usize::try_from((*table).length).unwrap_or(0) };
        (0..n).map(move |i| (*(*table).elements.add(i)).ptr_value.cast())
    }
}

/// Not guarded, since a guard for each node is most of what the walk costs: an error of Postgres passes through it, so it owns nothing, and
/// what it calls for the nodes of interest does not panic.
unsafe extern "C-unwind" fn walk(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walkers pass valid nodes; the context is the `Relations` of `collect`.
    unsafe {
        match (*node).type_ {
            pg_sys::NodeTag::T_RangeTblEntry => {
                (*context.cast::<Relations>()).add(node.cast());
                false
            }
            pg_sys::NodeTag::T_Query => {
                let flags = pg_sys::QTW_EXAMINE_RTES_BEFORE.cast_signed();
                query_tree_walker(node.cast(), walk, context, flags)
            }
            _ => expression_tree_walker(node, walk, context),
        }
    }
}
