//! `weir.engine = duckdb`: a query over mirrors as one statement of DuckDB, which reads the pinned snapshot through a table function.
//!
//! Invariants:
//! - All that reads mirrors is that one statement; above it only final expressions, filters, orders and limits are left to us. What DuckDB cannot
//!   answer exactly is refused with its reason, and runs in Postgres.
//! - The rows are those of the query's snapshot: nothing is copied and nothing is kept between queries.
//! - While it runs queries, DuckDB has a part of the memory that all queries share; without that there is no query.

#[cfg(feature = "duckdb")]
mod feed;
#[cfg(feature = "duckdb")]
mod instance;

#[cfg(feature = "duckdb")]
pub use feed::Asker;
#[cfg(feature = "duckdb")]
pub use instance::Duck;

use crate::mirror::Snapshot;
use datafusion::catalog::TableProvider;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use weir_fdw::ForeignTable;
use weir_lower::TableSource;
use weir_lower::error::to_error;
use weir_plan::ir::{Embedded, Expr, Plan, Rel, Scan, ServerRef, Source};
use weir_plan::walk::{each_expr_mut, each_input_mut, each_part_mut, subquery_mut};
use weir_plan::{Error, Result};

/// The server of what DuckDB does with mirrors; no server of Postgres has this OID.
pub const SERVER: ServerRef = ServerRef { server: 0, user: 0 };

/// A mirror that a statement reads.
#[derive(Clone)]
#[cfg_attr(not(feature = "duckdb"), allow(dead_code, reason = "made, and read by DuckDB only"))]
pub struct Scanned {
    pub number: i64,
    pub table: Arc<dyn TableProvider>,
}

/// A plan whose mirrors DuckDB reads.
pub struct Cut {
    pub plan: Plan,
    pub scans: Vec<Scanned>,
}

/// What is left of the plan when DuckDB has its part; `None` if it is not asked, or there are no mirrors in the plan.
///
/// # Errors
/// `Refused`: what it cannot answer exactly.
pub fn cut(plan: &Plan, snapshot: &Snapshot) -> Result<Option<Cut>> {
    if plan.session.engine != Embedded::DuckDb {
        return Ok(None);
    }
    let mut plan = plan.clone();
    let mut scans = Vec::new();
    each_scan(&mut plan.root, &mut |scan| {
        if matches!(scan.source, Source::Mirror { .. }) {
            scans.push(scan.clone());
            let relid = u32::try_from(scans.len() - 1).unwrap_or(u32::MAX);
            scan.source = Source::Foreign { server: SERVER, relid };
        }
    });
    if scans.is_empty() {
        return Ok(None);
    }
    if !cfg!(feature = "duckdb") {
        return Err(Error::refused("this build of weir-engine has no DuckDB").with_hint("Set weir.engine to datafusion."));
    }
    let (mut read, mut tables) = (Vec::new(), Vec::new());
    for scan in &scans {
        if let Some(c) = scan.columns.iter().find(|c| !holds(&c.ty)) {
            return Err(Error::refused(format!("column {} of \"{}\" has a type that DuckDB does not hold exactly", c.attnum, scan.name)));
        }
        let table = snapshot.provider(scan).map_err(|e| to_error(&e))?;
        let number = next_scan();
        tables.push(Rc::new(described(scan, number)));
        read.push(Scanned { number, table });
    }
    let of = |scan: &Scan| match scan.source {
        Source::Foreign { server: SERVER, relid } => tables.get(relid as usize).map(Rc::clone),
        _ => None,
    };
    let report = weir_fdw::push::push(&mut plan, &of).map_err(|why| Error::refused(format!("DuckDB: {why}")))?;
    if !only_finishes(&mut plan.root) {
        let why = if report.kept.is_empty() { "it cannot be one statement".to_owned() } else { report.kept.join("; ") };
        return Err(Error::refused(format!("DuckDB: {why}")));
    }
    Ok(Some(Cut { plan, scans: read }))
}

#[cfg(feature = "duckdb")]
fn holds(ty: &weir_plan::types::PgType) -> bool {
    weir_fdw::engines::duckdb::feed::holds(ty)
}

#[cfg(not(feature = "duckdb"))]
fn holds(_: &weir_plan::types::PgType) -> bool {
    false
}

#[cfg(feature = "duckdb")]
fn next_scan() -> i64 {
    weir_fdw::engines::duckdb::feed::next_number()
}

#[cfg(not(feature = "duckdb"))]
fn next_scan() -> i64 {
    0
}

/// The mirror as a table of the dialect.
fn described(scan: &Scan, number: i64) -> ForeignTable {
    let name: String = scan.name.chars().filter(|c| !c.is_control()).collect::<String>().replace('\'', "''");
    let call = format!("weir_scan('{name}', {number})");
    let columns: HashMap<_, _> = scan.columns.iter().map(|c| (c.attnum, (format!("a{}", c.attnum), Vec::new()))).collect();
    ForeignTable {
        engine: weir_fdw::engines::duckdb::MIRRORS.name,
        server: SERVER,
        server_name: "duckdb".into(),
        server_options: Vec::new(),
        table_options: vec![(weir_fdw::dialect::duckdb::SCAN.into(), call)],
        schema: String::new(),
        name: scan.name.clone(),
        rows: None,
        columns,
    }
}

/// Calls `f` for each scan of the relation and of the subqueries in it.
fn each_scan(rel: &mut Rel, f: &mut dyn FnMut(&mut Scan)) {
    fn in_expr(e: &mut Expr, f: &mut dyn FnMut(&mut Scan)) {
        if let Some(rel) = subquery_mut(e) {
            each_scan(rel, f);
        }
        each_part_mut(e, &mut |p| in_expr(p, f));
    }
    if let Rel::Scan(scan) = rel {
        f(scan);
    }
    each_expr_mut(rel, &mut |e| in_expr(e, f));
    each_input_mut(rel, &mut |r| each_scan(r, f));
}

/// Whether there is one statement, and nothing above it but what finishes its rows.
fn only_finishes(rel: &mut Rel) -> bool {
    fn has_subquery(e: &mut Expr) -> bool {
        let mut found = subquery_mut(e).is_some();
        each_part_mut(e, &mut |p| found |= has_subquery(p));
        found
    }
    let mut plain = true;
    each_expr_mut(rel, &mut |e| plain &= !has_subquery(e) && !weir_fdw::is_fence(e));
    match rel {
        Rel::Remote(remote) => remote.server == SERVER,
        Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Sort { input, .. } | Rel::Limit { input, .. } => plain && only_finishes(input),
        _ => false,
    }
}
