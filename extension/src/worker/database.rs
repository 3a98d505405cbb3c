//! Statements that need a database for themselves (DROP DATABASE, CREATE DATABASE … TEMPLATE, ALTER DATABASE … RENAME or SET TABLESPACE):
//! the worker of that database steps aside while they run.
//!
//! Without this the worker's connection and its slot would make them fail. Only for those who may run the statement, and only where the
//! library is loaded in the session (which it always is when it is preloaded).

use super::{launcher, paths, raw, wake};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{CStr, c_char};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// How long the statement waits for the worker to end.
const WAIT: Duration = Duration::from_secs(5);

static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

/// Puts our hook before whatever is there.
pub fn install() {
    // SAFETY: called once from _PG_init, on the only thread.
    unsafe {
        PREVIOUS = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(process_utility);
    }
}

/// Not guarded: an error that passes through a guard of pgrx loses its cursor position, its context and the names of what it is about. So
/// nothing here may own anything when the next hook is called.
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn process_utility(
    statement: *mut pg_sys::PlannedStmt,
    query_string: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    query_env: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the arguments are those we were called with.
    unsafe {
        if may_be_exclusive((*statement).utilityStmt) {
            step_aside(statement, query_string, read_only_tree, context, params, query_env, dest, completion);
        } else {
            let next = PREVIOUS.unwrap_or(raw::standard_ProcessUtility);
            next(statement, query_string, read_only_tree, context, params, query_env, dest, completion);
        }
    }
}

/// Whether the statement is one that can need a database for itself.
///
/// # Safety
/// A valid statement or null.
unsafe fn may_be_exclusive(statement: *mut pg_sys::Node) -> bool {
    use pg_sys::NodeTag::{T_AlterDatabaseStmt, T_CreatedbStmt, T_DropdbStmt, T_RenameStmt};
    // SAFETY: as promised by the caller.
    !statement.is_null() && matches!(unsafe { (*statement).type_ }, T_DropdbStmt | T_CreatedbStmt | T_AlterDatabaseStmt | T_RenameStmt)
}

#[pg_guard]
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn step_aside(
    statement: *mut pg_sys::PlannedStmt,
    query_string: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    query_env: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    let next = || {
        // SAFETY: the arguments are those we were called with; a hook is a bare function pointer and is guarded.
        unsafe {
            let next = PREVIOUS.unwrap_or(raw::standard_ProcessUtility);
            pg_sys::ffi::pg_guard_ffi_boundary(|| next(statement, query_string, read_only_tree, context, params, query_env, dest, completion));
        }
    };
    // SAFETY: a valid statement.
    let Some(database) = (unsafe { exclusive_database((*statement).utilityStmt) }) else {
        next();
        return;
    };
    let hold = paths::hold_file(database);
    let _ = paths::write_file(&hold, std::process::id().to_string().as_bytes());
    PgTryBuilder::new(AssertUnwindSafe(|| {
        stop_worker(database);
        next();
    }))
    .finally(move || {
        let _ = std::fs::rename(&hold, paths::released_file(database));
        launcher::wake();
    })
    .execute();
}

/// The database that the statement needs for itself, if it has a worker and the user may do that.
///
/// # Safety
/// A valid statement.
unsafe fn exclusive_database(statement: *mut pg_sys::Node) -> Option<pg_sys::Oid> {
    // SAFETY: the tag says which struct it is; names are C strings.
    unsafe {
        let name = match (*statement).type_ {
            pg_sys::NodeTag::T_DropdbStmt => (*statement.cast::<pg_sys::DropdbStmt>()).dbname,
            pg_sys::NodeTag::T_CreatedbStmt => option((*statement.cast::<pg_sys::CreatedbStmt>()).options, c"template")?,
            pg_sys::NodeTag::T_AlterDatabaseStmt => {
                let statement = statement.cast::<pg_sys::AlterDatabaseStmt>();
                option((*statement).options, c"tablespace")?;
                (*statement).dbname
            }
            pg_sys::NodeTag::T_RenameStmt => {
                let statement = statement.cast::<pg_sys::RenameStmt>();
                if (*statement).renameType != pg_sys::ObjectType::OBJECT_DATABASE {
                    return None;
                }
                (*statement).subname
            }
            _ => return None,
        };
        if name.is_null() || !pg_sys::IsTransactionState() {
            return None;
        }
        let database = pg_sys::get_database_oid(name, true);
        (database != pg_sys::InvalidOid && paths::database_dir(database).exists() && owns(database)).then_some(database)
    }
}

/// The value of an option.
///
/// # Safety
/// A list of DefElem.
unsafe fn option(options: *mut pg_sys::List, name: &CStr) -> Option<*mut c_char> {
    // SAFETY: as promised by the caller.
    unsafe {
        if options.is_null() {
            return None;
        }
        (0..(*options).length).find_map(|i| {
            let element = (*(*options).elements.add(usize::try_from(i).ok()?)).ptr_value.cast::<pg_sys::DefElem>();
            (CStr::from_ptr((*element).defname) == name && !(*element).arg.is_null()).then(|| pg_sys::defGetString(element))
        })
    }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn owns(database: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::pg_database_ownercheck(database, pg_sys::GetUserId()) }
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe fn owns(database: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, database, pg_sys::GetUserId()) }
}

/// Ends the worker of a database, which ends its engine and its copies, and waits for it.
fn stop_worker(database: pg_sys::Oid) {
    let deadline = Instant::now() + WAIT;
    let mut told = None;
    while let Some(pid) = paths::read_pid(&paths::worker_pid_file(database)).filter(|pid| wake::is_worker(Some(*pid), database)) {
        if told != Some(pid) {
            // SAFETY: a process of this server, as was just checked.
            unsafe { libc::kill(pid, libc::SIGTERM) };
            told = Some(pid);
        }
        if Instant::now() > deadline {
            return;
        }
        // SAFETY: sleeps.
        unsafe { pg_sys::pg_usleep(10_000) };
        pgrx::check_for_interrupts!();
    }
}
