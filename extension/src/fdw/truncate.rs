//! TRUNCATE of foreign tables.

use super::target::{name_of, remote_names};
use super::transaction;
use crate::error;
use pgrx::pg_sys;
use pgrx::prelude::*;
use weir_plan::protocol::Work;
use weir_plan::{Error, Result};

/// All tables are of one server.
#[pg_guard]
pub unsafe extern "C-unwind" fn truncate(rels: *mut pg_sys::List, behavior: pg_sys::DropBehavior::Type, restart: bool) {
    // SAFETY: Postgres passes a list of open relations.
    let relids: Vec<pg_sys::Oid> = unsafe {
        let n = if rels.is_null() { 0 } else { (*rels).length };
        (0..n).map(|i| (*pg_sys::list_nth(rels, i).cast::<pg_sys::RelationData>()).rd_id).collect()
    };
    if let Err(e) = run(&relids, behavior == pg_sys::DropBehavior::DROP_CASCADE, restart) {
        error::raise(&e);
    }
}

fn run(relids: &[pg_sys::Oid], cascade: bool, restart: bool) -> Result<()> {
    let (mut tables, mut site) = (Vec::new(), None);
    for relid in relids {
        let (server, engine, server_name, table) = remote_names(*relid)?;
        if !engine.can.truncate {
            return Err(Error::refused(format!("foreign table \"{}\" does not allow TRUNCATE", name_of(*relid))));
        }
        tables.push(table);
        site = Some((server, engine, server_name));
    }
    let Some((server, engine, server_name)) = site else { return Ok(()) };
    let refused = |why| Error::refused(format!("server \"{server_name}\" does not allow {why}"));
    let statements = engine.dialect_of(&super::catalog::server_options(server)).truncate(&tables, restart, cascade).map_err(refused)?;
    // SAFETY: asks who runs this, and marks the command as one that writes.
    let (user, command) = unsafe { (pg_sys::GetUserId(), pg_sys::GetCurrentCommandId(true)) };
    let server = transaction::resolved(server, user);
    transaction::before_read(server, &[], command)?;
    for sql in statements {
        transaction::work(server, Work::Execute { sql, count: None })?;
    }
    for relid in relids {
        transaction::note_written(server, *relid, command, true);
    }
    Ok(())
}
