//! Planning a foreign scan: which filters the remote takes, and the statement.

use super::catalog::{self, Tables};
use super::parameterised;
use super::reader::Statement;
use super::scan::Private;
use crate::error;
use crate::planner::{self, bytes_node};
use crate::translate;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::BTreeSet;
use weir_fdw::descriptor::Engine;
use weir_plan::Error;
use weir_plan::ir::{Rel, ServerRef, SqlPart};

/// Rows of a table of which nobody said how many it has.
const ASSUMED_ROWS: f64 = 100_000.0;
/// Cost of asking a remote server at all, and of each row that it sends.
pub const STARTUP_COST: f64 = 100.0;
pub const ROW_COST: f64 = 0.05;

#[pg_guard]
pub unsafe extern "C-unwind" fn rel_size(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, relid: pg_sys::Oid) {
    // SAFETY: Postgres passes a base relation under planning.
    unsafe {
        let table = pg_sys::GetForeignTable(relid);
        let options = catalog::pairs((*table).options);
        let told = options.iter().find(|(n, _)| n == "rows").and_then(|(_, v)| v.parse::<f64>().ok());
        // What ANALYZE found is newer than what the import was told.
        if (*rel).tuples <= 0.0 {
            (*rel).tuples = told.unwrap_or(ASSUMED_ROWS);
        }
        pg_sys::set_baserel_size_estimates(root, rel);
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn paths(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, relid: pg_sys::Oid) {
    // SAFETY: as above.
    unsafe {
        add_scan(root, rel, (*rel).rows, (*rel).lateral_relids);
        let Some(table) = Base::of(root, rel, relid) else { return };
        parameterised::add(root, rel, &|clause| table.attempt(&BTreeSet::new(), &[clause]).is_ok());
    }
}

/// Adds the path of a scan that takes values from these other relations.
///
/// # Safety
/// A base relation under planning.
pub unsafe fn add_scan(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, rows: f64, outer: pg_sys::Relids) {
    let nil: *mut pg_sys::List = std::ptr::null_mut();
    // SAFETY: as passed.
    unsafe {
        let total = STARTUP_COST + (ROW_COST + pg_sys::cpu_tuple_cost) * rows;
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreignscan_path(root, rel, nil.cast(), rows, STARTUP_COST, total, nil, outer, nil.cast(), nil);
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreignscan_path(root, rel, nil.cast(), rows, STARTUP_COST, total, nil, outer, nil.cast(), nil, nil);
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreignscan_path(root, rel, nil.cast(), rows, 0, STARTUP_COST, total, nil, outer, nil.cast(), nil, nil);
        pg_sys::add_path(rel, path.cast());
    }
}

/// A foreign table under planning.
struct Base {
    rte: *mut pg_sys::RangeTblEntry,
    rti: u32,
    server: ServerRef,
    engine: &'static Engine,
    tables: Tables,
}

type Attempt = (weir_plan::ir::Plan, Vec<*mut pg_sys::Expr>, Vec<i16>);

impl Base {
    unsafe fn of(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, relid: pg_sys::Oid) -> Option<Base> {
        // SAFETY: a base relation under planning.
        let (rti, rte, user) = unsafe { ((*rel).relid, *(*root).simple_rte_array.add((*rel).relid as usize), (*rel).userid.to_u32()) };
        let server = ServerRef { server: catalog::server_of(relid)?.to_u32(), user };
        let engine = catalog::engine_of_server(server.server.into())?;
        Some(Base { rte, rti, server, engine, tables: Tables::new() })
    }

    /// The one statement that returns these columns of the rows that pass the filters.
    unsafe fn attempt(&self, columns: &BTreeSet<i16>, quals: &[*mut pg_sys::Node]) -> Result<Attempt, String> {
        // SAFETY: expressions over the relation, and perhaps others.
        let (mut plan, params, attnums) = unsafe { translate::base_relation(self.rte, self.rti, self.server, columns, quals, planner::current_session()) }?;
        // A parameter whose value has no literal could not be helped any more when the scan runs.
        if !plan.params.iter().all(|ty| self.engine.dialect.holds(ty)) {
            return Err("a parameter of this type".into());
        }
        weir_fdw::push::push(&mut plan, &|s| self.tables.get(s))?;
        if matches!(plan.root, Rel::Remote(_)) { Ok((plan, params, attnums)) } else { Err("more than one statement".into()) }
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    relid: pg_sys::Oid,
    best_path: *mut pg_sys::ForeignPath,
    tlist: *mut pg_sys::List,
    scan_clauses: *mut pg_sys::List,
    outer_plan: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: a relation under planning, and the path that was chosen for it.
    if !matches!(unsafe { (*rel).reloptkind }, pg_sys::RelOptKind::RELOPT_BASEREL | pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL) {
        // SAFETY: as above.
        return unsafe { super::combined::plan(best_path, tlist, outer_plan) };
    }
    // SAFETY: Postgres passes a base relation and its clauses.
    match unsafe { make_plan(root, rel, relid, tlist, scan_clauses, outer_plan) } {
        Ok(scan) => scan,
        Err(e) => error::raise(&e),
    }
}

unsafe fn make_plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    relid: pg_sys::Oid,
    tlist: *mut pg_sys::List,
    scan_clauses: *mut pg_sys::List,
    outer_plan: *mut pg_sys::Plan,
) -> Result<*mut pg_sys::ForeignScan, Error> {
    // SAFETY: as passed.
    unsafe {
        let base = Base::of(root, rel, relid).ok_or_else(|| Error::internal("the foreign table has no server of ours"))?;
        let (rti, server, engine) = (base.rti, base.server, base.engine);
        // Which filters the remote can apply exactly.
        let (mut remote, mut local, mut kept) = (Vec::new(), std::ptr::null_mut(), Vec::new());
        let n = if scan_clauses.is_null() { 0 } else { (*scan_clauses).length };
        for i in 0..n {
            let info = pg_sys::list_nth(scan_clauses, i).cast::<pg_sys::RestrictInfo>();
            if (*info).pseudoconstant {
                continue;
            }
            let clause = (*info).clause.cast::<pg_sys::Node>();
            // What must not see rows before a security barrier has passed them cannot be told to wait there.
            let waits = (*info).security_level > (*rel).baserestrict_min_security && !(*info).leakproof;
            let tried = if waits { Err("it waits for a security barrier".to_owned()) } else { base.attempt(&BTreeSet::new(), &[clause]).map(|_| ()) };
            match tried {
                Ok(()) => remote.push(clause),
                Err(why) => {
                    kept.push(format!("filter: {why}"));
                    local = pg_sys::lappend(local, clause.cast());
                }
            }
        }
        let columns = used_columns(rel, rti, relid, local);
        let (plan, params, attnums) = base.attempt(&columns, &remote).map_err(|why| Error {
            sqlstate: "HV004".into(),
            ..Error::refused(format!("foreign table \"{}\" cannot be read: {why}", catalog::string(pg_sys::get_rel_name(relid))))
        })?;
        let mut plan = plan;
        let Rel::Remote(statement) = &mut plan.root else { return Err(Error::internal("the statement was lost")) };
        let lock = lock(root, rti, engine, &statement.name)?;
        if let Some(lock) = lock {
            statement.sql.push(SqlPart::Text(lock.into()));
        }
        let (server_name, sql) = (statement.name.clone(), weir_fdw::text(&statement.sql, None, engine.dialect).map_err(Error::internal)?);
        let statement = Statement {
            server,
            relids: vec![relid.to_u32()],
            output: plan.output.iter().map(|(_, ty)| *ty).collect(),
            locks: lock.is_some(),
            plan: plan.encode()?,
        };
        let private = Private { statement, server_name, sql, kept, attnums, params: plan.params.clone() };
        let (mut exprs, mut recheck, mut list) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        for p in params {
            exprs = pg_sys::lappend(exprs, p.cast());
        }
        for q in remote {
            recheck = pg_sys::lappend(recheck, q.cast());
        }
        list = pg_sys::lappend(list, bytes_node(&private.encode()?).cast());
        Ok(pg_sys::make_foreignscan(tlist, local, rti, exprs, list, std::ptr::null_mut(), recheck, outer_plan))
    }
}

/// What ends the statement if its rows are to be locked: those that the query changes, and those it asks to lock.
unsafe fn lock(root: *mut pg_sys::PlannerInfo, rti: u32, engine: &Engine, server: &str) -> Result<Option<&'static str>, Error> {
    use pg_sys::LockClauseStrength::*;
    // SAFETY: the planner's own lists.
    let (changed, strength) = unsafe {
        let changes = matches!((*(*root).parse).commandType, pg_sys::CmdType::CMD_UPDATE | pg_sys::CmdType::CMD_DELETE);
        let changed = changes && pg_sys::bms_is_member(i32::try_from(rti).unwrap_or(0), (*root).all_result_relids);
        let mark = row_mark((*root).rowMarks, rti);
        (changed, if mark.is_null() { LCS_NONE } else { (*mark).strength })
    };
    if changed {
        // An engine without locks changes rows by their key, whatever has become of them.
        return Ok(engine.dialect.lock_changed().filter(|_| engine.can.transactions));
    }
    let share = match strength {
        LCS_NONE => return Ok(None),
        LCS_FORKEYSHARE | LCS_FORSHARE => true,
        _ => false,
    };
    match engine.dialect.lock(share).filter(|_| engine.can.transactions) {
        Some(lock) => Ok(Some(lock)),
        None => Err(Error::refused(format!("rows of server \"{server}\" cannot be locked: its engine has no row locks"))),
    }
}

/// The columns that the scan must return: those of its target, and of the filters that stay here.
unsafe fn used_columns(rel: *mut pg_sys::RelOptInfo, rti: u32, relid: pg_sys::Oid, local: *mut pg_sys::List) -> BTreeSet<i16> {
    let mut columns = BTreeSet::new();
    // SAFETY: expressions over the relation.
    unsafe {
        let mut set: *mut pg_sys::Bitmapset = std::ptr::null_mut();
        pg_sys::pull_varattnos((*(*rel).reltarget).exprs.cast(), rti, &raw mut set);
        pg_sys::pull_varattnos(local.cast(), rti, &raw mut set);
        let mut member = -1;
        loop {
            member = pg_sys::bms_next_member(set, member);
            if member < 0 {
                break;
            }
            let attno = i16::try_from(member + pg_sys::FirstLowInvalidHeapAttributeNumber).unwrap_or(0);
            match attno {
                0 => columns.extend(all_columns(relid)),
                1.. => {
                    columns.insert(attno);
                }
                _ => {}
            }
        }
    }
    columns
}

pub unsafe fn all_columns(relid: pg_sys::Oid) -> Vec<i16> {
    // SAFETY: the relation is locked by the query.
    unsafe {
        let rel = pg_sys::RelationIdGetRelation(relid);
        let tupdesc = (*rel).rd_att;
        let all = (0..usize::try_from((*tupdesc).natts).unwrap_or(0)).map(|i| catalog::attribute(tupdesc, i));
        let columns = all.filter(|a| !(**a).attisdropped).map(|a| (*a).attnum).collect();
        pg_sys::RelationClose(rel);
        columns
    }
}

unsafe fn row_mark(marks: *mut pg_sys::List, rti: u32) -> *mut pg_sys::PlanRowMark {
    // SAFETY: a list of row marks, or null.
    unsafe {
        let mut all = (0..length(marks)).map(|i| pg_sys::list_nth(marks, i).cast::<pg_sys::PlanRowMark>());
        all.find(|m| (**m).rti == rti).unwrap_or(std::ptr::null_mut())
    }
}

pub unsafe fn length(list: *mut pg_sys::List) -> i32 {
    // SAFETY: a list or null.
    unsafe { if list.is_null() { 0 } else { (*list).length } }
}
