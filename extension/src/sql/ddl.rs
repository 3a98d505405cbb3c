//! The event triggers: what DDL does to mirrored tables is written into the catalog in the same transaction.
//!
//! Invariant: once a statement that changes a mirrored table's shape or contents behind the change stream is visible, so is the mark that
//! keeps queries away from its mirror. The worker notices what slips through (triggers switched off) when it decodes or looks.

use super::{Arguments, VOID, as_owner, or_raise};
use crate::catalog::{define, store};
use crate::worker::wake;
use pgrx::pg_sys;
use pgrx::prelude::*;
use weir_plan::types::oid;
use weir_plan::{Error, Result};

fn spi_error(e: pgrx::spi::Error) -> Error {
    Error::internal(format!("event trigger of pg_weir: {e}"))
}

fn oids(sql: &str) -> Result<Vec<pg_sys::Oid>> {
    Spi::connect(|client| {
        let table = client.select(sql, None, &[]).map_err(spi_error)?;
        let mut oids = Vec::new();
        for r in table {
            if let Some(oid) = r.get::<pg_sys::Oid>(1).map_err(spi_error)? {
                oids.push(oid);
            }
        }
        Ok(oids)
    })
}

/// A table that is rewritten has other contents afterwards, perhaps in the same shape.
pub fn table_rewrite(_: &Arguments) -> Option<pg_sys::Datum> {
    as_owner(|| {
        for relid in or_raise(oids("SELECT pg_catalog.pg_event_trigger_table_rewrite_oid()")) {
            or_raise(mark(relid, "the table was rewritten"));
        }
    });
    VOID
}

/// Tables that are dropped take their mirrors with them.
pub fn sql_drop(_: &Arguments) -> Option<pg_sys::Datum> {
    as_owner(|| {
        let dropped = oids(
            "SELECT objid FROM pg_catalog.pg_event_trigger_dropped_objects()
              WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objsubid = 0
                AND objid IN (SELECT relid FROM weir.mirror_table)",
        );
        for relid in or_raise(dropped) {
            or_raise(store::delete(relid));
            wake::at_commit();
        }
    });
    VOID
}

/// Tables whose shape is another one now, and enums whose labels are.
pub fn command_end(args: &Arguments) -> Option<pg_sys::Datum> {
    let renamed = renames_enum_label(args);
    as_owner(|| {
        // What is done to a parent is done to its children and partitions.
        let tables = oids(
            "WITH RECURSIVE altered(relid) AS (
                 SELECT objid FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 UNION SELECT inhrelid FROM pg_catalog.pg_inherits JOIN altered ON inhparent = altered.relid)
             SELECT relid FROM weir.mirror_table WHERE relid IN (SELECT relid FROM altered)",
        );
        for relid in or_raise(tables) {
            or_raise(compare(relid));
        }
        if renamed {
            let types = oids("SELECT objid FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE classid = 'pg_catalog.pg_type'::pg_catalog.regclass");
            for type_oid in or_raise(types) {
                or_raise(mark_users_of_enum(type_oid));
            }
        }
    });
    VOID
}

/// A server or a user mapping was altered or dropped.
pub fn servers_changed(_: &Arguments) -> Option<pg_sys::Datum> {
    crate::fdw::transaction::note_servers_changed();
    VOID
}

/// `ALTER TYPE … RENAME VALUE` changes what every stored value of the type reads as.
fn renames_enum_label(args: &Arguments) -> bool {
    let context = args.context().cast::<pg_sys::EventTriggerData>();
    // SAFETY: Postgres passes an EventTriggerData to event triggers; checked by its tag.
    unsafe {
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            return false;
        }
        let statement = (*context).parsetree;
        !statement.is_null() && (*statement).type_ == pg_sys::NodeTag::T_AlterEnumStmt && !(*statement.cast::<pg_sys::AlterEnumStmt>()).oldVal.is_null()
    }
}

fn mark_users_of_enum(type_oid: pg_sys::Oid) -> Result<()> {
    for row in store::load()? {
        for column in row.def.columns.iter().filter(|c| c.ty.base == oid::ENUM) {
            // SAFETY: the column's type exists, or its table would have been changed first.
            let base = unsafe { pg_sys::getBaseType(column.ty.oid.into()) };
            if base == type_oid {
                mark(row.def.relid.into(), "a label of an enum was renamed")?;
                break;
            }
        }
    }
    Ok(())
}

/// Marks the mirror if the table no longer has its shape.
fn compare(relid: pg_sys::Oid) -> Result<()> {
    let Some(row) = store::load()?.into_iter().find(|r| r.def.relid == relid.to_u32()) else { return Ok(()) };
    // SAFETY: the statement holds a lock on the table.
    let fits = unsafe {
        let rel = pg_sys::try_relation_open(relid, pg_sys::AccessShareLock.cast_signed());
        if rel.is_null() {
            return Ok(());
        }
        let permanent = (*(*rel).rd_rel).relpersistence.cast_unsigned() == pg_sys::RELPERSISTENCE_PERMANENT;
        let fits = permanent && define::shape(rel).fits(&row.def.columns, &row.def.key);
        pg_sys::relation_close(rel, pg_sys::AccessShareLock.cast_signed());
        fits
    };
    match (fits, row.state.as_str()) {
        // Perhaps what kept it from being followed is gone: the worker looks.
        (_, "error") => wake::at_commit(),
        (true, _) => {}
        (false, _) => mark(relid, "the definition of the table changed")?,
    }
    Ok(())
}

fn mark(relid: pg_sys::Oid, reason: &str) -> Result<()> {
    store::mark_resync(relid.to_u32(), None, reason)?;
    wake::at_commit();
    Ok(())
}
