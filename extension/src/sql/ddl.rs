//! The event triggers: what DDL does to mirrored tables is written into the catalog in the same transaction.
//!
//! Invariant: once a statement that changes a mirrored table's shape or contents behind the change stream is visible, so is the mark that
//! keeps queries away from its mirror. The worker notices what slips through (triggers switched off) when it decodes or looks.

use super::{Arguments, VOID, as_owner, or_raise};
use crate::catalog::define::{self, Shape};
use crate::catalog::store::{self, Row};
use crate::catalog::upgrade;
use crate::translate::types::enum_of;
use crate::worker::{self, wake};
use pgrx::pg_sys;
use pgrx::prelude::*;
use weir_plan::manifest::ColumnDef;
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
    let added = added_columns(args);
    as_owner(|| {
        // What is done to a parent is done to its children and partitions.
        let tables = oids(
            "WITH RECURSIVE altered(relid) AS (
                 SELECT objid FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 UNION SELECT inhrelid FROM pg_catalog.pg_inherits JOIN altered ON inhparent = altered.relid)
             SELECT relid FROM weir.mirror_table WHERE relid IN (SELECT relid FROM altered)",
        );
        for relid in or_raise(tables) {
            or_raise(compare(relid, added));
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
    let statement = statement(args);
    // SAFETY: a statement; checked by its tag.
    unsafe { !statement.is_null() && (*statement).type_ == pg_sys::NodeTag::T_AlterEnumStmt && !(*statement.cast::<pg_sys::AlterEnumStmt>()).oldVal.is_null() }
}

/// The statement that ends; null if that is not known.
fn statement(args: &Arguments) -> *mut pg_sys::Node {
    let context = args.context().cast::<pg_sys::EventTriggerData>();
    // SAFETY: Postgres passes an EventTriggerData to event triggers; checked by its tag.
    unsafe { if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData { std::ptr::null_mut() } else { (*context).parsetree } }
}

/// How many columns an ALTER TABLE adds at most, if it does nothing else; 0 for every other statement.
fn added_columns(args: &Arguments) -> usize {
    let statement = statement(args);
    // SAFETY: a statement, whose commands are what its tag says.
    unsafe {
        if statement.is_null() || (*statement).type_ != pg_sys::NodeTag::T_AlterTableStmt {
            return 0;
        }
        let commands = pgrx::PgList::<pg_sys::AlterTableCmd>::from_pg((*statement.cast::<pg_sys::AlterTableStmt>()).cmds);
        let only = commands.iter_ptr().all(|c| (*c).subtype == pg_sys::AlterTableType::AT_AddColumn);
        if only { commands.len() } else { 0 }
    }
}

fn mark_users_of_enum(type_oid: pg_sys::Oid) -> Result<()> {
    for row in store::load()? {
        for column in &row.def.columns {
            // SAFETY: the column's type exists, or its table would have been changed first.
            if unsafe { enum_of(&column.ty) } == Some(type_oid) {
                mark(row.def.relid.into(), "a label of an enum was renamed")?;
                break;
            }
        }
    }
    Ok(())
}

/// What a statement did to the shape of a table.
enum Change {
    Nothing,
    /// The columns that the mirror has now.
    Added(Vec<ColumnDef>),
    Other,
}

/// Gives the mirror the columns that were added to its table, or marks it if the table no longer has its shape. `added`: how many columns
/// the statement adds at most, if it does nothing else.
fn compare(relid: pg_sys::Oid, added: usize) -> Result<()> {
    upgrade::ensure_current()?;
    let Some(row) = store::load_latest()?.into_iter().find(|r| r.def.relid == relid.to_u32()) else { return Ok(()) };
    // SAFETY: the statement holds a lock on the table.
    let (change, followable, attributes) = unsafe {
        let rel = pg_sys::try_relation_open(relid, pg_sys::AccessShareLock.cast_signed());
        if rel.is_null() {
            return Ok(());
        }
        let shape = define::shape(rel);
        let permanent = (*(*rel).rd_rel).relpersistence.cast_unsigned() == pg_sys::RELPERSISTENCE_PERMANENT;
        let followable = permanent && worker::obstacle(&shape).is_none();
        let change = if !permanent {
            Change::Other
        } else if shape.fits(&row.def.columns, &row.def.key) {
            Change::Nothing
        } else {
            with_new_columns(rel, &shape, &row, added)?.map_or(Change::Other, Change::Added)
        };
        pg_sys::relation_close(rel, pg_sys::AccessShareLock.cast_signed());
        (change, followable, shape.attributes)
    };
    let (relid, generation) = (row.def.relid, row.def.generation);
    match (change, row.state.as_str()) {
        // So that whoever waits for the mirror from now on waits for its copy, and is not told of what was.
        (_, "error") if followable && !row.for_good => mark(relid.into(), worker::OBSTACLE_GONE)?,
        // Perhaps there is more to it than is looked at here: the worker looks.
        (_, "error") => wake::at_commit(),
        (Change::Nothing, _) => store::note_attributes(relid, generation, attributes)?,
        (Change::Added(columns), "active") if store::add_columns(relid, generation, &columns, attributes)? => {}
        (Change::Added(_) | Change::Other, _) => mark(relid.into(), "the definition of the table changed")?,
    }
    Ok(())
}

/// The mirror's columns and those that are new; `None` if it takes more than that to make it a mirror of the table.
///
/// # Safety
/// An open relation of this shape.
unsafe fn with_new_columns(rel: pg_sys::Relation, shape: &Shape, row: &Row, added: usize) -> Result<Option<Vec<ColumnDef>>> {
    let attributes = row.attributes.unwrap_or(i16::MAX);
    let Some(new) = shape.new_columns(&row.def.columns, &row.def.key, attributes, added) else { return Ok(None) };
    let mut columns = row.def.columns.clone();
    for column in new {
        // SAFETY: as promised by the caller.
        match unsafe { define::with_value_of_older_rows(rel, column) }? {
            Some(column) => columns.push(column),
            None => return Ok(None),
        }
    }
    Ok(Some(columns))
}

fn mark(relid: pg_sys::Oid, reason: &str) -> Result<()> {
    upgrade::ensure_current()?;
    store::mark_resync(relid.to_u32(), None, reason)?;
    wake::at_commit();
    Ok(())
}
