//! Servers, user mappings and foreign tables as the catalogs have them.

use pgrx::pg_sys;
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;
use weir_fdw::ForeignTable;
use weir_fdw::descriptor::{Engine, Scope};
use weir_plan::ir::{Scan, ServerRef, Source};
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

/// A copy of a C string; empty for null.
pub unsafe fn string(s: *const std::ffi::c_char) -> String {
    // SAFETY: a C string or null, by contract.
    if s.is_null() { String::new() } else { unsafe { CStr::from_ptr(s) }.to_string_lossy().into_owned() }
}

/// A list of DefElem as pairs.
pub unsafe fn pairs(list: *mut pg_sys::List) -> Vec<(String, String)> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: a list of DefElem with text values, as options of foreign objects are.
    unsafe {
        (0..(*list).length)
            .map(|i| {
                let def = pg_sys::list_nth(list, i).cast::<pg_sys::DefElem>();
                (string((*def).defname), string(pg_sys::defGetString(def)))
            })
            .collect()
    }
}

/// The engine of a wrapper, if it is one of ours.
unsafe fn engine_of(wrapper: pg_sys::Oid) -> Option<&'static Engine> {
    // SAFETY: a wrapper that a server refers to exists; the handler's name is looked up.
    unsafe {
        let fdw = pg_sys::GetForeignDataWrapper(wrapper);
        let engine = weir_fdw::registry::by_wrapper(&string((*fdw).fdwname))?;
        if (*fdw).fdwhandler == pg_sys::InvalidOid {
            return None;
        }
        let namespace = string(pg_sys::get_namespace_name(pg_sys::get_func_namespace((*fdw).fdwhandler)));
        (namespace == "weir" && string(pg_sys::get_func_name((*fdw).fdwhandler)) == "fdw_handler").then_some(engine)
    }
}

/// The engine of a server, if it is one of ours.
pub fn engine_of_server(server: pg_sys::Oid) -> Option<&'static Engine> {
    // SAFETY: catalog look-ups in a transaction.
    unsafe { engine_of((*pg_sys::GetForeignServer(server)).fdwid) }
}

/// The server of a foreign table of ours; `None` for any other relation.
pub fn server_of(relid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: catalog look-ups in a transaction.
    unsafe {
        if pg_sys::get_rel_relkind(relid).cast_unsigned() != pg_sys::RELKIND_FOREIGN_TABLE {
            return None;
        }
        let table = pg_sys::GetForeignTable(relid);
        let server = pg_sys::GetForeignServer((*table).serverid);
        engine_of((*server).fdwid).map(|_| (*table).serverid)
    }
}

/// What a dialect has to know of a foreign table, as it is reached by `user` (0: the current user).
pub fn foreign_table(relid: pg_sys::Oid, user: u32) -> Option<Rc<ForeignTable>> {
    // SAFETY: catalog look-ups in a transaction; the relation is locked by the query.
    unsafe {
        let table = pg_sys::GetForeignTable(relid);
        let server = pg_sys::GetForeignServer((*table).serverid);
        let engine = engine_of((*server).fdwid)?;
        let rel = pg_sys::RelationIdGetRelation(relid);
        if rel.is_null() {
            return None;
        }
        let tupdesc = (*rel).rd_att;
        let mut columns = HashMap::new();
        for i in 0..usize::try_from((*tupdesc).natts).unwrap_or(0) {
            let attr = attribute(tupdesc, i);
            if !(*attr).attisdropped {
                columns.insert((*attr).attnum, (string((*attr).attname.data.as_ptr()), pairs(pg_sys::GetForeignColumnOptions(relid, (*attr).attnum))));
            }
        }
        // What ANALYZE found is newer than what the import was told.
        let analysed = Some(f64::from((*(*rel).rd_rel).reltuples)).filter(|n| *n > 0.0);
        pg_sys::RelationClose(rel);
        let table_options = pairs((*table).options);
        let told = table_options.iter().find(|(n, _)| n == "rows").and_then(|(_, v)| v.parse().ok());
        Some(Rc::new(ForeignTable {
            engine: engine.name,
            server: ServerRef { server: (*table).serverid.to_u32(), user },
            server_name: string((*server).servername),
            server_options: pairs((*server).options),
            table_options,
            rows: analysed.or(told),
            schema: string(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relid))),
            name: string(pg_sys::get_rel_name(relid)),
            columns,
        }))
    }
}

/// An attribute of a tuple descriptor.
pub unsafe fn attribute(tupdesc: pg_sys::TupleDesc, i: usize) -> *const pg_sys::FormData_pg_attribute {
    #[cfg(feature = "pg18")]
    // SAFETY: within the descriptor, by contract.
    return unsafe { pg_sys::TupleDescAttr(tupdesc, i32::try_from(i).unwrap_or(0)) };
    #[cfg(not(feature = "pg18"))]
    // SAFETY: as above.
    unsafe {
        (*tupdesc).attrs.as_ptr().add(i)
    }
}

/// The options of a server.
pub fn server_options(server: ServerRef) -> Vec<(String, String)> {
    // SAFETY: a catalog look-up in a transaction.
    unsafe { pairs((*pg_sys::GetForeignServer(server.server.into())).options) }
}

type Found = HashMap<(u32, u32), Option<Rc<ForeignTable>>>;

/// The foreign tables of a plan, each looked up once.
pub struct Tables(std::cell::RefCell<Found>);

impl Tables {
    pub fn new() -> Tables {
        Tables(std::cell::RefCell::default())
    }

    pub fn get(&self, scan: &Scan) -> Option<Rc<ForeignTable>> {
        let Source::Foreign { server, relid } = scan.source else { return None };
        if let Some(known) = self.0.borrow().get(&(relid, server.user)) {
            return known.clone();
        }
        let found = foreign_table(relid.into(), server.user);
        self.0.borrow_mut().insert((relid, server.user), found.clone());
        found
    }
}

/// How a server is reached, with its secrets: for one message to the engine.
///
/// # Errors
/// A server that is not of a wrapper of ours; a user without a mapping.
pub fn endpoint(of: ServerRef, current_user: pg_sys::Oid) -> Result<Endpoint> {
    let user = if of.user == 0 { current_user } else { of.user.into() };
    // SAFETY: catalog look-ups in a transaction, which raise what is missing.
    unsafe {
        let server = pg_sys::GetForeignServer(of.server.into());
        let name = string((*server).servername);
        let engine = engine_of((*server).fdwid).ok_or_else(|| Error::new(Kind::BadOption, format!("server \"{name}\" is not of a wrapper of pg_weir")))?;
        let mut options = pairs((*server).options);
        // An engine that knows no users needs no mapping: whoever may use the server, or the table, is let in.
        if engine.options.iter().any(|o| o.scope == Scope::User) {
            if !has_mapping(user, of.server.into()) {
                return Err(no_mapping(user, &name));
            }
            let mapping = pg_sys::GetUserMapping(user, of.server.into());
            options.extend(pairs((*mapping).options));
        }
        Ok(Endpoint { server: of, name, engine: engine.name.into(), options, trusted: pg_sys::superuser_arg(user) })
    }
}

/// Whether the user has a mapping, or all have.
unsafe fn has_mapping(user: pg_sys::Oid, server: pg_sys::Oid) -> bool {
    let (cache, none) = (pg_sys::SysCacheIdentifier::USERMAPPINGUSERSERVER.cast_signed(), pg_sys::Datum::null());
    // SAFETY: catalog look-ups in a transaction.
    [user, pg_sys::InvalidOid].into_iter().any(|user| unsafe { pg_sys::SearchSysCacheExists(cache, user.into(), server.into(), none, none) })
}

fn no_mapping(user: pg_sys::Oid, server: &str) -> Error {
    // SAFETY: a catalog look-up in a transaction.
    let user = unsafe { string(pg_sys::GetUserNameFromId(user, true)) };
    Error { sqlstate: "42704".into(), ..Error::new(Kind::BadOption, format!("user mapping not found for user \"{user}\", server \"{server}\"")) }
        .with_hint("Say as whom the role reaches the server: CREATE USER MAPPING FOR ... SERVER ... OPTIONS (...).")
}

/// As [`endpoint`] for a server by name, for a user who may use it.
pub fn endpoint_by_name(server_name: &str, user: pg_sys::Oid, may_use: impl FnOnce(pg_sys::Oid, pg_sys::Oid) -> bool) -> Result<Endpoint> {
    let name = std::ffi::CString::new(server_name).map_err(|_| Error::new(Kind::BadOption, "a server name with a zero byte"))?;
    // SAFETY: raises if there is no such server.
    let server = unsafe { (*pg_sys::GetForeignServerByName(name.as_ptr(), false)).serverid };
    if !may_use(server, user) {
        return Err(Error { sqlstate: "42501".into(), ..Error::new(Kind::Auth, format!("permission denied for foreign server {server_name}")) });
    }
    endpoint(ServerRef { server: server.to_u32(), user: 0 }, user)
}
