//! Foreign tables: the wrapper's callbacks, what the catalogs say of servers and tables, and the import of schemas.
//!
//! Invariants:
//! - A foreign scan is a plan of one remote statement, answered by the engine like any other query; there is no second way.
//! - Secrets are read from the catalogs when execution starts and go into one message to the engine; no plan, log or view has them.
//! - Options are checked against the engine's descriptor in the validator, and nowhere else.

mod analyze;
mod ask;
mod buffer;
pub mod catalog;
mod combined;
mod concurrent;
mod direct;
mod finish;
mod import;
mod modify;
mod options;
mod order;
mod parameterised;
mod paths;
mod reader;
mod scan;
mod shape;
#[cfg(feature = "pg18")]
mod shown;
mod target;
pub mod transaction;
mod truncate;

pub use options::{engines, validator};

use crate::sql::Arguments;
use pgrx::pg_sys;

/// `weir.fdw_handler()`
pub fn handler(_: &Arguments) -> Option<pg_sys::Datum> {
    // SAFETY: a zeroed node of its size with its tag.
    unsafe {
        let routine = pg_sys::palloc0(size_of::<pg_sys::FdwRoutine>()).cast::<pg_sys::FdwRoutine>();
        (*routine).type_ = pg_sys::NodeTag::T_FdwRoutine;
        (*routine).GetForeignRelSize = Some(paths::rel_size);
        (*routine).GetForeignPaths = Some(paths::paths);
        (*routine).GetForeignPlan = Some(paths::plan);
        (*routine).GetForeignJoinPaths = Some(combined::join_paths);
        (*routine).GetForeignUpperPaths = Some(combined::upper_paths);
        (*routine).BeginForeignScan = Some(scan::begin);
        (*routine).IterateForeignScan = Some(scan::iterate);
        (*routine).ReScanForeignScan = Some(scan::rescan);
        (*routine).RecheckForeignScan = Some(scan::recheck);
        (*routine).EndForeignScan = Some(scan::end);
        (*routine).ExplainForeignScan = Some(scan::explain);
        (*routine).IsForeignPathAsyncCapable = Some(concurrent::is_capable);
        (*routine).ForeignAsyncRequest = Some(concurrent::request);
        (*routine).ForeignAsyncConfigureWait = Some(concurrent::configure_wait);
        (*routine).ForeignAsyncNotify = Some(concurrent::notify);
        (*routine).ImportForeignSchema = Some(import::import);
        (*routine).IsForeignRelUpdatable = Some(target::updatable);
        (*routine).AddForeignUpdateTargets = Some(target::add_row_identity);
        (*routine).PlanForeignModify = Some(target::plan);
        (*routine).BeginForeignModify = Some(modify::begin);
        (*routine).ExecForeignInsert = Some(modify::insert);
        (*routine).ExecForeignUpdate = Some(modify::update);
        (*routine).ExecForeignDelete = Some(modify::delete);
        (*routine).EndForeignModify = Some(modify::end);
        (*routine).BeginForeignInsert = Some(modify::begin_insert);
        (*routine).EndForeignInsert = Some(modify::end);
        (*routine).ExplainForeignModify = Some(modify::explain);
        (*routine).PlanDirectModify = Some(direct::plan);
        (*routine).BeginDirectModify = Some(direct::begin);
        (*routine).IterateDirectModify = Some(direct::iterate);
        (*routine).EndDirectModify = Some(direct::end);
        (*routine).ExplainDirectModify = Some(direct::explain);
        (*routine).ExecForeignTruncate = Some(truncate::truncate);
        (*routine).AnalyzeForeignTable = Some(analyze::analyze);
        Some(pg_sys::Datum::from(routine))
    }
}
