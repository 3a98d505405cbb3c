//! What is written to a foreign table: the columns, the key, and whether it can be written at all.
//!
//! Invariants:
//! - As with postgres_fdw, an INSERT sends every column, with the defaults of the foreign table; generated columns are left to the remote.
//! - A row is changed or deleted by the columns with option `key`; without any, the statement is refused when it is planned.

use super::catalog::{self, attribute, foreign_table, string};
use crate::error;
use crate::planner::bytes_node;
use crate::translate;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use weir_fdw::ForeignTable;
use weir_fdw::descriptor::{Engine, Options};
use weir_plan::ir::{ColId, RemoteColumn, ServerRef};
use weir_plan::protocol::{Change, WriteColumn, WriteTarget};
use weir_plan::types::PgType;
use weir_plan::{Error, Result};

/// What a plan node carries of a table that it writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Private {
    pub server: ServerRef,
    pub server_name: String,
    pub relid: u32,
    pub target: WriteTarget,
    /// The attributes of the target's columns; for the key, those of the old row.
    pub attnums: Vec<i16>,
    /// The query wants the rows as they were stored.
    pub returning: bool,
    /// All columns that can be read back, with their attributes.
    pub readable: Vec<(i16, RemoteColumn)>,
    /// For EXPLAIN.
    pub sql: String,
}

impl Private {
    pub fn encode(&self) -> Result<Vec<u8>> {
        postcard::to_stdvec(self).map_err(|e| Error::internal(format!("could not encode the plan node: {e}")))
    }

    /// # Safety
    /// A list that `plan` made.
    pub unsafe fn of(list: *mut pg_sys::List) -> Result<Private> {
        // SAFETY: one bytea constant, never toasted.
        let bytes = unsafe {
            let constant = pg_sys::list_nth(list, 0).cast::<pg_sys::Const>();
            pgrx::varlena_to_byte_slice((*constant).constvalue.cast_mut_ptr::<pg_sys::varlena>())
        };
        postcard::from_bytes(bytes).map_err(|e| Error::internal(format!("could not decode the plan node: {e}")))
    }
}

/// A column of a foreign table that exists.
struct Column {
    attnum: i16,
    remote: String,
    key: bool,
    generated: bool,
}

unsafe fn columns(relid: pg_sys::Oid, table: &ForeignTable, engine: &'static Engine) -> Result<Vec<Column>> {
    // SAFETY: the relation is locked by the query.
    unsafe {
        let rel = pg_sys::RelationIdGetRelation(relid);
        if rel.is_null() {
            return Err(Error::internal("the table is gone"));
        }
        let tupdesc = (*rel).rd_att;
        let mut all = Vec::new();
        for i in 0..usize::try_from((*tupdesc).natts).unwrap_or(0) {
            let attr = attribute(tupdesc, i);
            let Some((local, own)) = table.columns.get(&(*attr).attnum).filter(|_| !(*attr).attisdropped) else { continue };
            let options = Options { engine, given: own };
            let remote = options.text("column_name").unwrap_or(local).to_owned();
            all.push(Column { attnum: (*attr).attnum, remote, key: options.bool("key"), generated: (*attr).attgenerated != 0 });
        }
        pg_sys::RelationClose(rel);
        Ok(all)
    }
}

/// The name of a column there.
pub fn remote_column_name(table: &ForeignTable, engine: &'static Engine, attnum: i16) -> Option<String> {
    let (local, own) = table.columns.get(&attnum)?;
    Some(Options { engine, given: own }.text("column_name").unwrap_or(local).to_owned())
}

/// The name by which a column of the key goes through the plan. Tables of one inheritance tree may have different ones.
pub fn junk_name(relid: u32, attnum: i16) -> CString {
    CString::new(format!("weir key {attnum} of {relid}")).unwrap_or_default()
}

/// What may be done to the table, as a set of bits by command.
#[pg_guard]
pub unsafe extern "C-unwind" fn updatable(rel: pg_sys::Relation) -> i32 {
    // SAFETY: Postgres passes an open relation.
    let relid = unsafe { (*rel).rd_id };
    let Some(table) = foreign_table(relid, 0) else { return 0 };
    let Some(engine) = weir_fdw::registry::by_name(table.engine) else { return 0 };
    // SAFETY: as above.
    let keyed = unsafe { columns(relid, &table, engine) }.is_ok_and(|all| all.iter().any(|c| c.key));
    let mut bits = 0;
    if engine.can.write {
        bits |= 1 << pg_sys::CmdType::CMD_INSERT;
    }
    if engine.can.update && keyed {
        bits |= 1 << pg_sys::CmdType::CMD_UPDATE | 1 << pg_sys::CmdType::CMD_DELETE;
    }
    bits
}

/// Adds the key to what the scan returns.
#[pg_guard]
pub unsafe extern "C-unwind" fn add_row_identity(root: *mut pg_sys::PlannerInfo, rti: u32, _rte: *mut pg_sys::RangeTblEntry, rel: pg_sys::Relation) {
    // SAFETY: Postgres passes the target under planning.
    unsafe {
        let relid = (*rel).rd_id;
        let keys = keys(relid).unwrap_or_else(|e| error::raise(&e));
        let tupdesc = (*rel).rd_att;
        for attnum in keys {
            let attr = attribute(tupdesc, usize::try_from(attnum - 1).unwrap_or(0));
            let var = pg_sys::makeVar(varno(rti), attnum, (*attr).atttypid, (*attr).atttypmod, (*attr).attcollation, 0);
            let name = pg_sys::pstrdup(junk_name(relid.to_u32(), attnum).as_ptr());
            pg_sys::add_row_identity_var(root, var, rti, name);
        }
    }
}

#[cfg(feature = "pg14")]
fn varno(rti: u32) -> u32 {
    rti
}

#[cfg(not(feature = "pg14"))]
fn varno(rti: u32) -> i32 {
    rti.cast_signed()
}

fn refused(table: &ForeignTable, what: &str) -> Error {
    Error::refused(format!("foreign table \"{}\" {what}", table.name))
}

unsafe fn keys(relid: pg_sys::Oid) -> Result<Vec<i16>> {
    let table = foreign_table(relid, 0).ok_or_else(|| Error::internal("a foreign table of no engine"))?;
    let engine = weir_fdw::registry::by_name(table.engine).ok_or_else(|| Error::internal("an unknown engine"))?;
    if !engine.can.update {
        return Err(refused(&table, "does not allow UPDATE or DELETE").with_detail(format!("{} has none that name rows by a key.", engine.title)));
    }
    // SAFETY: the relation is locked by the query.
    let keys: Vec<i16> = unsafe { columns(relid, &table, engine) }?.iter().filter(|c| c.key).map(|c| c.attnum).collect();
    if keys.is_empty() {
        return Err(refused(&table, "has no key by which rows can be changed or deleted")
            .with_hint("Name the columns that identify a row: ALTER FOREIGN TABLE ... ALTER COLUMN ... OPTIONS (ADD key 'true')."));
    }
    Ok(keys)
}

/// What is to be done.
pub struct Wish<'a> {
    pub operation: pg_sys::CmdType::Type,
    /// Columns that an UPDATE sets; `None`: any may have changed.
    pub set: Option<&'a [i16]>,
    pub skip_conflicts: bool,
    pub returning: bool,
    /// Role as which the table is reached, 0 for whoever runs it.
    pub user: u32,
}

/// # Errors
/// What cannot be done at all.
///
/// # Safety
/// In a transaction; the relation is locked.
pub unsafe fn describe(relid: pg_sys::Oid, wish: &Wish) -> Result<Private> {
    let table = foreign_table(relid, wish.user).ok_or_else(|| Error::internal("a foreign table of no engine"))?;
    let engine = weir_fdw::registry::by_name(table.engine).ok_or_else(|| Error::internal("an unknown engine"))?;
    if !engine.can.write {
        return Err(refused(&table, "cannot be written to").with_detail(format!("{} is read only here.", engine.title)));
    }
    let returns = engine.can.returning || (engine.can.returns_new_and_deleted && wish.operation != pg_sys::CmdType::CMD_UPDATE);
    if wish.returning && !returns {
        return Err(refused(&table, "does not allow RETURNING")
            .with_detail(format!("{} does not tell what it has stored.", engine.title))
            .with_hint("Read the rows in a statement of their own."));
    }
    if wish.returning && wish.skip_conflicts && !engine.can.returning {
        return Err(refused(&table, "does not allow RETURNING with ON CONFLICT")
            .with_detail(format!("{} returns rows that were there before, too.", engine.title))
            .with_hint("Read the rows in a statement of their own."));
    }
    let typed = |c: &Column| -> Result<PgType> {
        // SAFETY: the relation is locked by the query.
        unsafe { translate::column_type(relid, c.attnum) }.map_err(|why| refused(&table, &format!("cannot be written to: {why}")))
    };
    // SAFETY: as above.
    let all = unsafe { columns(relid, &table, engine) }?;
    let written = |c: &&Column| match wish.operation {
        pg_sys::CmdType::CMD_INSERT => !c.generated,
        pg_sys::CmdType::CMD_UPDATE => !c.generated && wish.set.is_none_or(|set| set.contains(&c.attnum)),
        _ => false,
    };
    let (mut target, mut attnums) = (Vec::new(), Vec::new());
    for c in all.iter().filter(written) {
        target.push(WriteColumn { name: c.remote.clone(), ty: typed(c)? });
        attnums.push(c.attnum);
    }
    let set = target.len();
    if set == 0 && wish.operation != pg_sys::CmdType::CMD_DELETE {
        return Err(refused(&table, "has no column that could be written"));
    }
    if wish.operation != pg_sys::CmdType::CMD_INSERT {
        for c in all.iter().filter(|c| c.key) {
            target.push(WriteColumn { name: c.remote.clone(), ty: typed(c)? });
            attnums.push(c.attnum);
        }
    }
    let change = match wish.operation {
        pg_sys::CmdType::CMD_UPDATE => Change::Update,
        pg_sys::CmdType::CMD_DELETE => Change::Delete,
        _ => Change::Insert { skip_conflicts: wish.skip_conflicts },
    };
    let mut readable = Vec::new();
    for c in &all {
        match (typed(c), u32::try_from(c.attnum)) {
            (Ok(ty), Ok(n)) => readable.push((c.attnum, RemoteColumn { id: ColId(n), ty, name: c.remote.clone() })),
            // It would come back as NULL.
            (Err(e), _) if wish.returning => return Err(e),
            _ => {}
        }
    }
    let target = WriteTarget {
        change,
        schema: table.schema.clone(),
        name: table.name.clone(),
        options: table.table_options.clone(),
        keys: target.len() - set,
        columns: target,
    };
    let sql = shown(engine, &table, &target)?;
    Ok(Private {
        server: table.server,
        server_name: table.server_name.clone(),
        relid: relid.to_u32(),
        target,
        attnums,
        returning: wish.returning,
        readable,
        sql,
    })
}

/// The statement with places for its values.
fn shown(engine: &'static Engine, table: &ForeignTable, target: &WriteTarget) -> Result<String> {
    let writer = weir_fdw::write::Writer::new(engine, &table.server_name, &table.server_options, target)?;
    Ok(writer.shown())
}

#[pg_guard]
pub unsafe extern "C-unwind" fn plan(root: *mut pg_sys::PlannerInfo, modify: *mut pg_sys::ModifyTable, rti: u32, index: i32) -> *mut pg_sys::List {
    // SAFETY: Postgres passes the node under construction and one of its targets.
    unsafe {
        let private = plan_modify(root, modify, rti, index).and_then(|p| p.encode()).unwrap_or_else(|e| error::raise(&e));
        pg_sys::lappend(std::ptr::null_mut(), bytes_node(&private).cast())
    }
}

unsafe fn plan_modify(root: *mut pg_sys::PlannerInfo, modify: *mut pg_sys::ModifyTable, rti: u32, index: i32) -> Result<Private> {
    // SAFETY: as passed.
    unsafe {
        let rte = *(*root).simple_rte_array.add(rti as usize);
        let relid = (*rte).relid;
        let operation = (*modify).operation;
        let rel = pg_sys::RelationIdGetRelation(relid);
        let triggers = (*rel).trigdesc;
        let (before_update, has_checks) = (!triggers.is_null() && (*triggers).trig_update_before_row, !(*modify).withCheckOptionLists.is_null());
        pg_sys::RelationClose(rel);
        // A trigger may change any column, and a view's check may look at any.
        let set = if operation == pg_sys::CmdType::CMD_UPDATE && !before_update && !has_checks { Some(set_columns(modify, index)) } else { None };
        let wish = Wish {
            operation,
            set: set.as_deref(),
            skip_conflicts: skip_conflicts(modify)?,
            returning: !(*modify).returningLists.is_null(),
            user: translate::check_as_user((*root).parse, rte),
        };
        describe(relid, &wish)
    }
}

/// Whether rows whose key is there are passed over.
///
/// # Errors
/// ON CONFLICT DO UPDATE, which nobody can promise for another server.
///
/// # Safety
/// A valid node.
pub unsafe fn skip_conflicts(modify: *const pg_sys::ModifyTable) -> Result<bool> {
    // SAFETY: by contract.
    match unsafe { (*modify).onConflictAction } {
        pg_sys::OnConflictAction::ONCONFLICT_NONE => Ok(false),
        pg_sys::OnConflictAction::ONCONFLICT_NOTHING => Ok(true),
        _ => Err(Error::refused("ON CONFLICT DO UPDATE is not there for foreign tables")),
    }
}

unsafe fn set_columns(modify: *mut pg_sys::ModifyTable, index: i32) -> Vec<i16> {
    // SAFETY: for each target a list of attribute numbers.
    unsafe {
        let lists = (*modify).updateColnosLists;
        if lists.is_null() || index >= (*lists).length {
            return Vec::new();
        }
        let own = pg_sys::list_nth(lists, index).cast::<pg_sys::List>();
        let n = if own.is_null() { 0 } else { (*own).length };
        (0..n).filter_map(|i| i16::try_from(pg_sys::list_nth_int(own, i)).ok()).collect()
    }
}

/// The server of some foreign tables, and their names there.
///
/// # Errors
/// A table that is not ours.
pub fn remote_names(relid: pg_sys::Oid) -> Result<(ServerRef, &'static Engine, String, String)> {
    let table = foreign_table(relid, 0).ok_or_else(|| Error::internal("a foreign table of no engine"))?;
    let engine = weir_fdw::registry::by_name(table.engine).ok_or_else(|| Error::internal("an unknown engine"))?;
    let options = Options { engine, given: &table.server_options };
    let name =
        engine.dialect_of(&table.server_options).table(&options, &table.table_options, &table.schema, &table.name).map_err(|why| refused(&table, &why))?;
    Ok((table.server, engine, table.server_name.clone(), name))
}

/// Name of a relation, for messages.
pub fn name_of(relid: pg_sys::Oid) -> String {
    // SAFETY: returns a palloc'd name or null.
    unsafe { string(pg_sys::get_rel_name(relid)) }
}

/// The engine of a server.
pub fn engine_of(server: ServerRef) -> Result<&'static Engine> {
    catalog::engine_of_server(server.server.into()).ok_or_else(|| Error::internal("a server of no engine"))
}
