//! `weir.query` and `weir.execute`: SQL sent to a remote server as it is; `weir.refresh`.
//!
//! Invariant: who sends SQL needs USAGE on the server and a user mapping; nothing here runs with other rights.

use super::{Arguments, or_raise};
use crate::client::{Client, unexpected};
use crate::fdw::catalog;
use crate::scan::Run;
use pgrx::{IntoDatum, pg_sys};
use weir_plan::protocol::{Endpoint, FromEngine, ToEngine};
use weir_plan::types::{PgType, oid};
use weir_plan::{Error, Kind, Result};

/// The server by name, as the current user reaches it.
fn endpoint(args: &Arguments) -> Result<(Endpoint, String)> {
    let missing = || Error { sqlstate: "22004".into(), ..Error::new(Kind::BadOption, "server and statement must not be NULL") };
    let name = args.name(0).ok_or_else(missing)?;
    let sql: String = args.get(1).ok_or_else(missing)?;
    // SAFETY: asks who runs this.
    let user = unsafe { pg_sys::GetUserId() };
    let remote = catalog::endpoint_by_name(&name, user, may_use)?;
    Ok((remote, sql))
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
fn may_use(server: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::pg_foreign_server_aclcheck(server, user, pg_sys::ACL_USAGE) == pg_sys::AclResult::ACLCHECK_OK }
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
fn may_use(server: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::object_aclcheck(pg_sys::ForeignServerRelationId, server, user, pg_sys::ACL_USAGE.into()) == pg_sys::AclResult::ACLCHECK_OK }
}

/// `weir.execute(server, sql)`: the number of rows that the statement changed.
pub fn execute(args: &Arguments) -> Option<pg_sys::Datum> {
    let rows = or_raise(endpoint(args).and_then(|(remote, sql)| {
        let mut client = Client::take_when_up()?;
        match client.ask(&ToEngine::RemoteExecute { remote: Box::new(remote), sql })? {
            FromEngine::Done { metrics } => {
                client.give_back();
                Ok(metrics.rows)
            }
            other => Err(unexpected(&other)),
        }
    }));
    i64::try_from(rows).unwrap_or(i64::MAX).into_datum()
}

/// `weir.refresh(server)`: closes idle connections to a remote server, or to all; their number.
pub fn refresh(args: &Arguments) -> Option<pg_sys::Datum> {
    // SAFETY: raises if there is no such server.
    let server = args.name(0).map(|name| unsafe {
        let name = std::ffi::CString::new(name).unwrap_or_default();
        (*pg_sys::GetForeignServerByName(name.as_ptr(), false)).serverid.to_u32()
    });
    i64::try_from(or_raise(crate::fdw::transaction::forget_connections(server))).unwrap_or(i64::MAX).into_datum()
}

/// `weir.query(server, sql)`: each row as jsonb.
pub fn query(args: &Arguments) -> Option<pg_sys::Datum> {
    // SAFETY: Postgres says in the call's ReturnSetInfo whether a set is expected.
    unsafe {
        let info = args.result_info();
        if info.is_null() || (*info).allowedModes & pg_sys::SetFunctionReturnMode::SFRM_Materialize.cast_signed() == 0 {
            super::fail("0A000", "set-valued function called in context that cannot accept a set", None);
        }
        let context = (*(*info).econtext).ecxt_per_query_memory;
        let mut run = or_raise(endpoint(args).and_then(|(remote, sql)| {
            let json = PgType::new(oid::JSONB);
            Run::open(Client::take_when_up()?, &ToEngine::RemoteQuery { remote: Box::new(remote), sql }, &[json], context)
        }));
        let previous = pg_sys::MemoryContextSwitchTo(context);
        let store = pg_sys::tuplestore_begin_heap(true, false, pg_sys::work_mem);
        let tupdesc = pg_sys::CreateTemplateTupleDesc(1);
        pg_sys::TupleDescInitEntry(tupdesc, 1, c"query".as_ptr(), pg_sys::JSONBOID, -1, 0);
        pg_sys::MemoryContextSwitchTo(previous);
        (*info).returnMode = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
        (*info).setResult = store;
        (*info).setDesc = tupdesc;
        let (mut values, mut nulls) = ([pg_sys::Datum::null()], [true]);
        while or_raise(run.next_row(values.as_mut_ptr(), nulls.as_mut_ptr())) {
            pg_sys::tuplestore_putvalues(store, tupdesc, values.as_mut_ptr(), nulls.as_mut_ptr());
        }
    }
    Some(pg_sys::Datum::null())
}
