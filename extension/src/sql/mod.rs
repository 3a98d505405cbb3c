//! The functions that SQL calls, as `sql/pg_weir--*.sql` declares them.
//!
//! Invariant: each is a shim (arguments in, Datum out) around one Rust function; checks of privileges are in that function.

mod ddl;
mod mirror;
mod remote;
mod status;
mod verify;

use pgrx::pg_sys;
use pgrx::prelude::*;
use weir_plan::{Error, Kind};

/// Declares `$name(fcinfo)` as an SQL-callable function with the body `$body`, which gives `Option<Datum>`.
macro_rules! sql_function {
    ($name:ident, $finfo:ident, $body:path) => {
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $finfo() -> &'static pg_sys::Pg_finfo_record {
            const V1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &V1
        }

        #[doc(hidden)]
        #[pg_guard]
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            match $body(&Arguments(fcinfo)) {
                Some(datum) => datum,
                // SAFETY: called by Postgres with a valid call.
                None => unsafe { pgrx::fcinfo::pg_return_null(fcinfo) },
            }
        }
    };
}

/// The arguments of a call.
pub struct Arguments(pg_sys::FunctionCallInfo);

impl Arguments {
    /// The argument, unless it is NULL.
    pub fn get<T: pgrx::FromDatum>(&self, i: usize) -> Option<T> {
        // SAFETY: Postgres passes as many arguments of such types as the function is declared with.
        unsafe { pgrx::fcinfo::pg_getarg(self.0, i) }
    }

    /// The argument of type name.
    pub fn name(&self, i: usize) -> Option<String> {
        // SAFETY: as for `get`; a name is a C string.
        self.get::<&std::ffi::CStr>(i).map(|s| s.to_string_lossy().into_owned())
    }

    /// The function that is called.
    pub fn function(&self) -> pg_sys::Oid {
        // SAFETY: a valid call.
        unsafe { (*(*self.0).flinfo).fn_oid }
    }

    /// How a set is returned; null if none is expected.
    pub fn result_info(&self) -> *mut pg_sys::ReturnSetInfo {
        // SAFETY: a valid call; the node says what it is.
        unsafe {
            let info = (*self.0).resultinfo;
            if info.is_null() || (*info).type_ != pg_sys::NodeTag::T_ReturnSetInfo { std::ptr::null_mut() } else { info.cast() }
        }
    }

    /// The node that called, for event triggers.
    fn context(&self) -> *mut pg_sys::Node {
        // SAFETY: a valid call.
        unsafe { (*self.0).context }
    }
}

sql_function!(weir_mirror, pg_finfo_weir_mirror, mirror::mirror);
sql_function!(weir_unmirror, pg_finfo_weir_unmirror, mirror::unmirror);
sql_function!(weir_sync, pg_finfo_weir_sync, mirror::sync);
sql_function!(weir_start_worker, pg_finfo_weir_start_worker, mirror::start_worker);
sql_function!(weir_verify, pg_finfo_weir_verify, verify::verify);
sql_function!(weir_status, pg_finfo_weir_status, status::status);
sql_function!(weir_position, pg_finfo_weir_position, status::position);
sql_function!(weir_obstacle, pg_finfo_weir_obstacle, status::obstacle);
sql_function!(weir_last_route, pg_finfo_weir_last_route, status::last_route);
sql_function!(weir_ddl_command_end, pg_finfo_weir_ddl_command_end, ddl::command_end);
sql_function!(weir_table_rewrite, pg_finfo_weir_table_rewrite, ddl::table_rewrite);
sql_function!(weir_sql_drop, pg_finfo_weir_sql_drop, ddl::sql_drop);
sql_function!(weir_servers_changed, pg_finfo_weir_servers_changed, ddl::servers_changed);
sql_function!(weir_refresh, pg_finfo_weir_refresh, remote::refresh);
sql_function!(weir_fdw_handler, pg_finfo_weir_fdw_handler, crate::fdw::handler);
sql_function!(weir_fdw_validator, pg_finfo_weir_fdw_validator, crate::fdw::validator);
sql_function!(weir_query, pg_finfo_weir_query, remote::query);
sql_function!(weir_execute, pg_finfo_weir_execute, remote::execute);
sql_function!(weir_engines, pg_finfo_weir_engines, crate::fdw::engines);

/// Raises an error of the caller's, with the remedy as hint.
fn fail(sqlstate: &str, message: impl Into<String>, hint: Option<&str>) -> ! {
    let mut error = Error { sqlstate: sqlstate.into(), ..Error::new(Kind::BadOption, message) };
    error.hint = hint.map(str::to_owned);
    crate::error::raise(&error)
}

/// The value, or its error raised.
fn or_raise<T>(result: weir_plan::Result<T>) -> T {
    result.unwrap_or_else(|e| crate::error::raise(&e))
}

/// Runs `f` with the rights of the extension's owner, for the catalog tables. An error restores the user, as it ends the (sub)transaction.
///
/// The caller's search path could lead `=` or `format` to functions of his own, which must not run with those rights.
fn as_owner<T>(f: impl FnOnce() -> T) -> T {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: restored below; Postgres restores it at the end of an aborted (sub)transaction.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        let elevated = context | (pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_NOFORCE_RLS).cast_signed();
        pg_sys::SetUserIdAndSecContext(pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID), elevated);
    }
    // SAFETY: restored below, or at the end of an aborted (sub)transaction.
    let nest_level = unsafe { pg_sys::NewGUCNestLevel() };
    set(c"search_path", c"pg_catalog, pg_temp");
    let result = f();
    // SAFETY: as above.
    unsafe {
        pg_sys::AtEOXact_GUC(true, nest_level);
        pg_sys::SetUserIdAndSecContext(user, context);
    }
    result
}

/// Changes a setting until the nest level of the caller (or the transaction) ends.
fn set(name: &std::ffi::CStr, value: &std::ffi::CStr) {
    // SAFETY: the setting exists and takes the value.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Text as jsonb, which the SQL wrapper takes apart.
fn jsonb(value: serde_json::Value) -> Option<pg_sys::Datum> {
    pgrx::IntoDatum::into_datum(pgrx::JsonB(value))
}

const VOID: Option<pg_sys::Datum> = Some(pg_sys::Datum::null());
