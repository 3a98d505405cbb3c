//! The validators, and the descriptors as SQL sees them.
//!
//! Postgres tells a validator the catalog but not the wrapper, so that each wrapper has a function of its own over the same symbol: the engine is
//! in the function's name, `<engine>_validator`.

use super::catalog::string;
use crate::error;
use crate::sql::Arguments;
use pgrx::pg_sys;
use weir_fdw::descriptor::Scope;
use weir_fdw::registry;
use weir_plan::{Error, Kind};

/// `weir.<engine>_validator(options text[], catalog oid)`
pub fn validator(args: &Arguments) -> Option<pg_sys::Datum> {
    // SAFETY: Postgres calls with the function's own descriptor.
    let function = unsafe { string(pg_sys::get_func_name(args.function())) };
    let engine = function.strip_suffix("_validator").and_then(registry::by_name);
    let Some(engine) = engine else { error::raise(&Error::internal(format!("function {function} is no validator"))) };
    let given: Vec<(String, String)> = args
        .get::<Vec<Option<String>>>(0)
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .map(|o| o.split_once('=').map_or_else(|| (o.clone(), String::new()), |(n, v)| (n.to_owned(), v.to_owned())))
        .collect();
    let catalog = args.get::<pg_sys::Oid>(1).unwrap_or(pg_sys::InvalidOid);
    // SAFETY: asks for the current user's rights.
    let superuser = unsafe { pg_sys::superuser() };
    let scope = match catalog {
        pg_sys::ForeignServerRelationId => Scope::Server,
        pg_sys::UserMappingRelationId => Scope::User,
        pg_sys::ForeignTableRelationId => Scope::Table,
        pg_sys::AttributeRelationId => Scope::Column,
        _ => {
            if let Some((name, _)) = given.first() {
                error::raise(&Error::new(Kind::BadOption, format!("invalid option \"{name}\"")).with_hint("There are no valid options in this context."));
            }
            return Some(pg_sys::Datum::null());
        }
    };
    if let Err(e) = engine.validate(scope, &given, superuser) {
        error::raise(&e);
    }
    Some(pg_sys::Datum::null())
}

/// `weir._engines()`
pub fn engines(_: &Arguments) -> Option<pg_sys::Datum> {
    pgrx::IntoDatum::into_datum(pgrx::JsonB(registry::as_json()))
}
