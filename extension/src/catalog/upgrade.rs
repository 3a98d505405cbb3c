//! Mirrors that another build of the extension has left in the catalog.
//!
//! Invariants:
//! - Nothing is read from the catalog before it has the columns that this build knows of. What was added to its tables since they were made is
//!   added to them here; if they lack more, the error says so, and what to do.
//! - A mirror whose definition cannot be read, or whose segments have another form, is copied again.

use super::mirror_table;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::CStr;
use weir_plan::{Error, Kind, Result};

/// Why a mirror is copied again whose columns are not what this build writes.
pub const UNREADABLE: &str = "its definition was written by another build of pg_weir";

/// Why a mirror is copied again whose segments have another form.
pub const OTHER_FORM: &str = "its segments were written by another build of pg_weir, in another form";

/// What `weir.mirror_table` had from the beginning.
const FIRST: [&CStr; 15] = [
    c"relid",
    c"generation",
    c"state",
    c"reason",
    c"columns",
    c"key",
    c"poisoned",
    c"applied_lsn",
    c"live_rows",
    c"size_bytes",
    c"expected_rows",
    c"last_error",
    c"created_at",
    c"copy_started_at",
    c"copied_at",
];

/// What came to it later, in this order.
const ADDED: [(&CStr, &str); 2] =
    [(c"attributes", "ALTER TABLE weir.mirror_table ADD COLUMN attributes int2"), (c"form", "ALTER TABLE weir.mirror_table ADD COLUMN form int2")];

/// Sees to it that the catalog has what this build reads. Cheap if it has. Needs a transaction, an active snapshot and the owner's rights.
///
/// # Errors
/// The catalog is of a build that cannot be followed.
pub fn ensure_current() -> Result<()> {
    let table = mirror_table();
    if table == pg_sys::InvalidOid {
        return Ok(());
    }
    // SAFETY: catalog look-ups in a transaction.
    let has = |column: &CStr| unsafe { pg_sys::get_attnum(table, column.as_ptr()) } > 0;
    if let Some(missing) = FIRST.iter().find(|column| !has(column)) {
        return Err(Error { sqlstate: "55000".into(), ..Error::new(Kind::Internal, "the tables of extension pg_weir are of another build") }
            .with_detail(format!("Column \"{}\" of table weir.mirror_table does not exist.", missing.to_string_lossy()))
            .with_hint("Create the extension anew (DROP EXTENSION pg_weir; CREATE EXTENSION pg_weir) and mirror the tables again."));
    }
    for (column, statement) in ADDED {
        if !has(column) {
            pgrx::log!("pg_weir: column \"{}\" is added to table weir.mirror_table, which another build has made", column.to_string_lossy());
            Spi::run(statement).map_err(|e| Error::internal(format!("catalog access failed: {e}")))?;
        }
    }
    Ok(())
}
