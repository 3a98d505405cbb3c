//! IMPORT FOREIGN SCHEMA: the engine reads the remote's catalog, the statements are made here.

use super::catalog::{endpoint, string};
use crate::client::{Client, unexpected};
use crate::error;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::CString;
use weir_fdw::descriptor::Engine;
use weir_plan::ir::ServerRef;
use weir_plan::protocol::{CatalogTable, FromEngine, ToEngine};
use weir_plan::{Error, Result};

#[pg_guard]
pub unsafe extern "C-unwind" fn import(stmt: *mut pg_sys::ImportForeignSchemaStmt, server: pg_sys::Oid) -> *mut pg_sys::List {
    // SAFETY: Postgres passes a valid statement.
    let commands = unsafe { commands(stmt, server) }.unwrap_or_else(|e| error::raise(&e));
    let mut list = std::ptr::null_mut();
    for command in commands {
        let Ok(command) = CString::new(command) else { continue };
        // SAFETY: the string is copied into the current memory context.
        unsafe { list = pg_sys::lappend(list, pg_sys::pstrdup(command.as_ptr()).cast()) };
    }
    list
}

unsafe fn commands(stmt: *mut pg_sys::ImportForeignSchemaStmt, server: pg_sys::Oid) -> Result<Vec<String>> {
    // SAFETY: as passed.
    let (schema, local, options, listed, list_type, server_name) = unsafe {
        let tables = (*stmt).table_list;
        let n = if tables.is_null() { 0 } else { (*tables).length };
        let listed: Vec<String> = (0..n).map(|i| string((*pg_sys::list_nth(tables, i).cast::<pg_sys::RangeVar>()).relname)).collect();
        (string((*stmt).remote_schema), string((*stmt).local_schema), (*stmt).options, listed, (*stmt).list_type, string((*stmt).server_name))
    };
    // SAFETY: a list of options.
    if let Some((name, _)) = unsafe { super::catalog::pairs(options) }.first() {
        return Err(Error { sqlstate: "HV00D".into(), ..Error::new(weir_plan::Kind::BadOption, format!("invalid option \"{name}\"")) }
            .with_hint("IMPORT FOREIGN SCHEMA takes no options here."));
    }
    // SAFETY: the current user imports.
    let remote = endpoint(ServerRef { server: server.to_u32(), user: 0 }, unsafe { pg_sys::GetUserId() })?;
    let engine = weir_fdw::registry::by_name(&remote.engine).ok_or_else(|| Error::internal("an unknown engine"))?;
    let mut client = Client::take_when_up()?;
    let tables = match client.ask(&ToEngine::RemoteCatalog { remote: Box::new(remote), schema: schema.clone() })? {
        FromEngine::Catalog(tables) => tables,
        other => return Err(unexpected(&other)),
    };
    client.give_back();
    let wanted = |t: &CatalogTable| match list_type {
        pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_LIMIT_TO => listed.contains(&t.name),
        pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_EXCEPT => !listed.contains(&t.name),
        _ => true,
    };
    if list_type == pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_LIMIT_TO
        && let Some(missing) = listed.iter().find(|name| !tables.iter().any(|t| t.name == **name))
    {
        pgrx::notice!("server \"{server_name}\" has no table \"{missing}\" in \"{schema}\"");
    }
    Ok(tables.iter().filter(|t| wanted(t)).filter_map(|t| command(t, engine, &schema, &local, &server_name)).collect())
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Whether this is the name of a type and nothing else: it may have come from the remote as it is, which must not add a DEFAULT or anything else to the
/// statement. Words, then numbers in parentheses, more words (`with time zone`), and brackets.
fn is_type(text: &str) -> bool {
    let words = |s: &str| s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ' ' || c == '_');
    let known = |s: &str| {
        !s.split(' ')
            .any(|word| ["default", "not", "null", "check", "collate", "constraint", "generated", "options", "references", "unique", "primary"].contains(&word))
    };
    let element = text.trim_end_matches("[]");
    let (before, rest) = element.split_once('(').unwrap_or((element, ")"));
    let Some((modifier, after)) = rest.split_once(')') else { return false };
    !before.is_empty() && words(before) && words(after) && known(before) && known(after) && modifier.chars().all(|c| c.is_ascii_digit() || c == ',' || c == '-')
}

/// The statement for one table; `None` if nothing of it can be imported.
fn command(table: &CatalogTable, engine: &Engine, schema: &str, local: &str, server: &str) -> Option<String> {
    let mut columns = Vec::new();
    for c in &table.columns {
        let Some(ty) = c.pg_type.as_ref().filter(|ty| is_type(ty)) else {
            pgrx::notice!("column \"{}\" of \"{}\" is skipped: no type holds its values ({})", c.name, table.name, c.remote_type);
            continue;
        };
        let mut options = Vec::new();
        if c.name.len() >= usize::try_from(pg_sys::NAMEDATALEN).unwrap_or(64) {
            options.push(format!("column_name {}", literal(&c.name)));
        }
        if table.key.contains(&c.name) {
            options.push("key 'true'".to_owned());
        }
        // A key of one column says as much.
        if table.indexed.contains(&c.name) && table.key != [c.name.as_str()] {
            options.push("indexed 'true'".to_owned());
        }
        if engine.dialect.keeps_type(&c.remote_type) {
            options.push(format!("remote_type {}", literal(&c.remote_type)));
        }
        let options = if options.is_empty() { String::new() } else { format!(" OPTIONS ({})", options.join(", ")) };
        columns.push(format!("{} {ty}{options}{}", ident(&c.name), if c.not_null { " NOT NULL" } else { "" }));
    }
    if columns.is_empty() {
        pgrx::notice!("table \"{}\" is skipped: none of its columns can be imported", table.name);
        return None;
    }
    // The option that names the schema is called as the engine calls it.
    let mut options = vec![format!("{} {}", engine.schema_option, literal(schema)), format!("table_name {}", literal(&table.name))];
    if let Some(rows) = table.rows {
        options.push(format!("rows '{rows}'"));
    }
    Some(format!(
        "CREATE FOREIGN TABLE {}.{} ({}) SERVER {} OPTIONS ({})",
        ident(local),
        ident(&table.name),
        columns.join(", "),
        ident(server),
        options.join(", ")
    ))
}
