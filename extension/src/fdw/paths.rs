//! Planning a foreign scan: which filters the remote takes, and the statement.

use super::ask::sort_clause;
use super::catalog::{self, Tables};
use super::combined::sort_cost;
use super::order;
use super::parameterised;
use super::reader::{Statement, numerics_as_stored};
use super::scan::Private;
use super::shape::{self, Stage};
use crate::error;
use crate::planner::{self, bytes_node};
use crate::translate::{self, OrderKey};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::BTreeSet;
use weir_fdw::descriptor::Engine;
use weir_plan::Error;
use weir_plan::ir::{Plan, Rel, Remote, ServerRef, SqlPart};

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
        add_scan(root, rel, (*rel).rows, 0.0, (*rel).lateral_relids, None);
        let Some(table) = Base::of(root, rel, relid) else { return };
        if (*rel).lateral_relids.is_null() {
            for order in order::useful(root, rel) {
                match table.attempt(&BTreeSet::new(), &[], &order.keys) {
                    Ok(_) => add_scan(root, rel, (*rel).rows, 0.0, std::ptr::null_mut(), Some(&order)),
                    Err(why) => shape::note(root, (*rel).relids, Stage::Ordered, &why),
                }
            }
        }
        parameterised::add(root, rel, relid, &|clause| table.attempt(&BTreeSet::new(), &[clause], &[]).is_ok());
    }
}

/// Adds the path of a scan that takes values from these other relations, or whose rows are sorted. `read`: what the remote spends on rows that it does
/// not send.
///
/// # Safety
/// A base relation under planning.
pub unsafe fn add_scan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    rows: f64,
    read: f64,
    outer: pg_sys::Relids,
    order: Option<&order::Order>,
) {
    let nil: *mut pg_sys::List = std::ptr::null_mut();
    // SAFETY: as passed.
    unsafe {
        let sorting = if order.is_some() { sort_cost(rows) } else { 0.0 };
        let startup = STARTUP_COST + sorting;
        let total = startup + read + (ROW_COST + pg_sys::cpu_tuple_cost) * rows;
        let pathkeys = order.map_or(nil, |o| o.pathkeys);
        let private = order.map_or(nil, |o| listed(&o.keys));
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreignscan_path(root, rel, nil.cast(), rows, startup, total, pathkeys, outer, nil.cast(), private);
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreignscan_path(root, rel, nil.cast(), rows, startup, total, pathkeys, outer, nil.cast(), nil, private);
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreignscan_path(root, rel, nil.cast(), rows, 0, startup, total, pathkeys, outer, nil.cast(), nil, private);
        pg_sys::add_path(rel, path.cast());
    }
}

/// The keys as a list of nodes, two for each.
unsafe fn listed(keys: &[OrderKey]) -> *mut pg_sys::List {
    let mut list = std::ptr::null_mut();
    for key in keys {
        // SAFETY: nodes of the planner.
        list = unsafe { pg_sys::lappend(pg_sys::lappend(list, key.expr.cast()), sort_clause(key).cast()) };
    }
    list
}

/// What [`listed`] listed.
unsafe fn unlisted(list: *mut pg_sys::List) -> Vec<OrderKey> {
    // SAFETY: as `listed` made it.
    unsafe {
        (0..length(list) / 2)
            .map(|i| {
                let clause = pg_sys::list_nth(list, 2 * i + 1).cast::<pg_sys::SortGroupClause>();
                OrderKey { expr: pg_sys::list_nth(list, 2 * i).cast(), sort_op: (*clause).sortop, nulls_first: (*clause).nulls_first }
            })
            .collect()
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

type Attempt = (Plan, Remote, Vec<*mut pg_sys::Expr>, Vec<i16>);

impl Base {
    unsafe fn of(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo, relid: pg_sys::Oid) -> Option<Base> {
        // SAFETY: a base relation under planning.
        let (rti, rte, user) = unsafe { ((*rel).relid, *(*root).simple_rte_array.add((*rel).relid as usize), (*rel).userid.to_u32()) };
        let server = ServerRef { server: catalog::server_of(relid)?.to_u32(), user };
        let engine = catalog::engine_of_server(server.server.into())?;
        Some(Base { rte, rti, server, engine, tables: Tables::new() })
    }

    /// The one statement that returns these columns of the rows that pass the filters, in this order.
    unsafe fn attempt(&self, columns: &BTreeSet<i16>, quals: &[*mut pg_sys::Node], order: &[OrderKey]) -> Result<Attempt, String> {
        // SAFETY: expressions over the relation, and perhaps others.
        let (plan, params, attnums) = unsafe { translate::base_relation(self.rte, self.rti, self.server, columns, quals, order, planner::current_session()) }?;
        // A parameter whose value has no literal could not be helped any more when the scan runs.
        if !plan.params.iter().all(|ty| self.engine.dialect.holds(ty)) {
            return Err("a parameter of this type".into());
        }
        let one = weir_fdw::one::one(&plan, &|s| self.tables.get(s))?;
        if one.finish.is_some() { Err("an average".into()) } else { Ok((plan, one.remote, params, attnums)) }
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
    let is_base = matches!(unsafe { (*rel).reloptkind }, pg_sys::RelOptKind::RELOPT_BASEREL | pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL);
    // SAFETY: as above; of a base relation its clauses, too.
    let made = unsafe {
        if is_base {
            make_plan(root, rel, relid, &unlisted((*best_path).fdw_private), tlist, scan_clauses, outer_plan)
        } else {
            super::combined::plan(root, rel, best_path, tlist, outer_plan)
        }
    };
    made.unwrap_or_else(|e| error::raise(&e))
}

unsafe fn make_plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    relid: pg_sys::Oid,
    order: &[OrderKey],
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
            let tried = if waits { Err("it waits for a security barrier".to_owned()) } else { base.attempt(&BTreeSet::new(), &[clause], &[]).map(|_| ()) };
            match tried {
                Ok(()) => remote.push(clause),
                Err(why) => {
                    kept.push(format!("filter: {why}"));
                    local = pg_sys::lappend(local, clause.cast());
                }
            }
        }
        let columns = used_columns(rel, rti, relid, local);
        let (mut plan, mut statement, params, attnums) = base.attempt(&columns, &remote, order).map_err(|why| Error {
            sqlstate: "HV004".into(),
            ..Error::refused(format!("foreign table \"{}\" cannot be read: {why}", catalog::string(pg_sys::get_rel_name(relid))))
        })?;
        let lock = lock(root, rti, engine, &statement.name)?;
        if let Some(lock) = lock {
            statement.sql.push(SqlPart::Text(lock.into()));
        }
        let (server_name, sql) = (statement.name.clone(), weir_fdw::text(&statement.sql, None, engine.dialect).map_err(Error::internal)?);
        plan.root = Rel::Remote(Box::new(statement));
        numerics_as_stored(&mut plan, engine);
        kept.extend(shape::noted(root, (*rel).relids, Stage::Rows));
        let statement = Statement {
            server,
            relids: vec![relid.to_u32()],
            output: plan.output.iter().map(|(_, ty)| *ty).collect(),
            locks: lock.is_some(),
            plan: plan.encode()?,
        };
        let private = Private { statement, server_name, sql, kept, attnums, finish: None, limits: [None; 2], params: plan.params.clone() };
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
