//! What the local transaction does at remote servers.
//!
//! Invariants:
//! - All that a local transaction writes at one server for one user is one remote transaction, where the engine has them; it is committed just before the
//!   local one commits, and rolled back when that aborts. There is no two-phase commit: if one of several remote commits fails, or the local one after
//!   them, those before it stay. PREPARE TRANSACTION is refused.
//! - Once a transaction is open at a server, whatever is read there is read in it, so that own writes are seen. Reads are read to their end at
//!   once: the connection never has two statements.
//! - Callbacks at the end of a (sub)transaction that must not fail do no I/O: what they decide about savepoints is told with the next statement, and an
//!   abort closes the connection, which rolls back.
//! - A connection that is lost stays lost until the local transaction ends: nothing is written to another one instead.

use super::buffer::Buffer;
use super::catalog;
use crate::client::{self, Client, unexpected};
use crate::error;
use crate::scan::Run;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;
use weir_plan::ir::{RemoteColumn, ServerRef};
use weir_plan::protocol::{Endpoint, FromEngine, Isolation, Point, ToEngine, Work};
use weir_plan::types::PgType;
use weir_plan::{Error, Kind, Result};

/// The connection to the engine that the transaction owns.
enum Link {
    Unused,
    Idle(Client),
    /// In use, or lost.
    Away,
}

/// A remote transaction.
struct Site {
    /// The user is resolved.
    server: ServerRef,
    endpoint: Endpoint,
    transactional: bool,
    /// Local nesting level of the innermost savepoint; 1: none.
    depth: u32,
    /// What has become of savepoints since the last statement.
    points: Vec<Point>,
    /// Tables that were written, and by which command last.
    written: Vec<(u32, pg_sys::CommandId)>,
    /// Something was surely stored.
    stored: bool,
}

struct Transaction {
    link: Link,
    sites: Vec<Site>,
    /// Rows that are not sent yet.
    buffers: Vec<Rc<RefCell<Buffer>>>,
}

thread_local! {
    static CURRENT: RefCell<Transaction> = const { RefCell::new(Transaction { link: Link::Unused, sites: Vec::new(), buffers: Vec::new() }) };
}

thread_local! {
    /// What a server or a user mapping says was changed by this transaction.
    static SERVERS_CHANGED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// When the transaction commits, the engine is to close its connections to remote servers: what they were opened with has changed.
pub fn note_servers_changed() {
    SERVERS_CHANGED.set(true);
}

/// Has the engine close idle connections to a server, or to all; how many there were. An engine that is not there has none.
///
/// # Errors
/// Whatever it says.
pub fn forget_connections(server: Option<u32>) -> Result<u64> {
    let mut client = match Client::take() {
        Ok(client) => client,
        Err(e) if e.kind == Kind::Unreachable => return Ok(0),
        Err(e) => return Err(e),
    };
    match client.ask(&ToEngine::Forget { server })? {
        FromEngine::Done { metrics } => {
            client.give_back();
            Ok(metrics.rows)
        }
        other => Err(unexpected(&other)),
    }
}

/// Called once from `_PG_init`.
pub fn register() {
    // SAFETY: static functions.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_transaction), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(on_subtransaction), std::ptr::null_mut());
    }
}

/// The server for the role that reaches it now.
pub fn resolved(server: ServerRef, user: pg_sys::Oid) -> ServerRef {
    if server.user == 0 { ServerRef { user: user.to_u32(), ..server } } else { server }
}

/// Whether what is read from a server must be read in the transaction.
pub fn is_open(server: ServerRef) -> bool {
    CURRENT.with_borrow(|t| {
        t.sites.iter().any(|s| s.server == server && s.transactional) || t.buffers.iter().any(|b| b.try_borrow().is_ok_and(|b| b.server() == server))
    })
}

/// As [`is_open`], for whoever the user is.
pub fn is_open_for_anybody(server: u32) -> bool {
    CURRENT.with_borrow(|t| {
        t.sites.iter().any(|s| s.server.server == server && s.transactional)
            || t.buffers.iter().any(|b| b.try_borrow().is_ok_and(|b| b.server().server == server))
    })
}

fn level() -> u32 {
    // SAFETY: plain read of this backend's state.
    u32::try_from(unsafe { pg_sys::GetCurrentTransactionNestLevel() }).unwrap_or(1)
}

fn isolation() -> Isolation {
    // SAFETY: plain read of this backend's state.
    match unsafe { pg_sys::XactIsoLevel }.cast_unsigned() {
        pg_sys::XACT_SERIALIZABLE => Isolation::Serializable,
        pg_sys::XACT_REPEATABLE_READ => Isolation::RepeatableRead,
        _ => Isolation::ReadCommitted,
    }
}

fn lost() -> Error {
    Error { sqlstate: "08006".into(), ..Error::new(Kind::Remote, "the connection of this transaction to remote servers was lost") }
        .with_hint("Roll back the whole transaction; what it wrote there is rolled back, too.")
}

/// An answer, and the connection if it can still be used.
type Asked<T> = (Result<T>, Option<Client>);

/// Uses the connection; it is lost unless `ask` gives it back.
fn with_client<T>(ask: impl FnOnce(Client) -> Asked<T>) -> Result<T> {
    let link = CURRENT.with_borrow_mut(|t| std::mem::replace(&mut t.link, Link::Away));
    let client = match link {
        Link::Idle(client) => client,
        Link::Away => return Err(lost()),
        Link::Unused => {
            // A cancel raises from the wait.
            CURRENT.with_borrow_mut(|t| t.link = Link::Unused);
            let client = Client::take_when_up()?;
            CURRENT.with_borrow_mut(|t| t.link = Link::Away);
            client
        }
    };
    let (result, client) = ask(client);
    if let Some(client) = client {
        CURRENT.with_borrow_mut(|t| t.link = Link::Idle(client));
    }
    result
}

/// Sends a request and waits for its first answer.
fn asked(mut client: Client, request: &ToEngine) -> Asked<FromEngine> {
    let answer = client.ask(request);
    let usable = answer.as_ref().err().is_none_or(client::survives);
    (answer, usable.then_some(client))
}

fn transact(remote: &Endpoint, points: Vec<Point>, work: Work) -> ToEngine {
    ToEngine::Transact { remote: Box::new(remote.clone()), isolation: isolation(), points, work }
}

/// Makes sure that the transaction at the server is begun.
fn open(server: ServerRef) -> Result<()> {
    if CURRENT.with_borrow(|t| t.sites.iter().any(|s| s.server == server)) {
        return Ok(());
    }
    let endpoint = catalog::endpoint(server, server.user.into())?;
    let transactional = weir_fdw::registry::by_name(&endpoint.engine).is_some_and(|e| e.can.transactions);
    with_client(|client| asked(client, &transact(&endpoint, Vec::new(), Work::Open)))?;
    CURRENT.with_borrow_mut(|t| t.sites.push(Site { server, endpoint, transactional, depth: 1, points: Vec::new(), written: Vec::new(), stored: false }));
    Ok(())
}

/// The request for some work, with the savepoints it needs before.
fn request(server: ServerRef, work: Work) -> Result<ToEngine> {
    open(server)?;
    let level = level();
    CURRENT.with_borrow_mut(|t| {
        let site = t.sites.iter_mut().find(|s| s.server == server).ok_or_else(lost)?;
        let mut points = std::mem::take(&mut site.points);
        points.extend((site.depth + 1..=level).map(Point::Set));
        site.depth = site.depth.max(level);
        Ok(transact(&site.endpoint, points, work))
    })
}

/// Notes that a command writes a table; `stored`: and that it did not fail.
pub fn note_written(server: ServerRef, relid: pg_sys::Oid, command: pg_sys::CommandId, stored: bool) {
    CURRENT.with_borrow_mut(|t| {
        if let Some(site) = t.sites.iter_mut().find(|s| s.server == server) {
            site.written.retain(|(r, _)| *r != relid.to_u32());
            site.written.push((relid.to_u32(), command));
            site.stored |= stored;
        }
    });
}

/// Does something in the transaction at the server; the number of rows it concerned.
pub fn work(server: ServerRef, work: Work) -> Result<u64> {
    let request = request(server, work)?;
    match with_client(|client| asked(client, &request))? {
        FromEngine::Done { metrics } => Ok(metrics.rows),
        other => Err(unexpected(&other)),
    }
}

/// Reads all rows of a query in the transaction at the server: `each` is called when the next row is in the arrays.
///
/// # Safety
/// `values` and `nulls` must have room for all columns.
pub unsafe fn query(
    server: ServerRef,
    sql: String,
    columns: Vec<RemoteColumn>,
    context: pg_sys::MemoryContext,
    (values, nulls): (*mut pg_sys::Datum, *mut bool),
    each: impl FnMut(),
) -> Result<()> {
    let output: Vec<PgType> = columns.iter().map(|c| c.ty).collect();
    let request = request(server, Work::Query { sql, columns })?;
    with_client(|client| {
        let (answer, client) = asked(client, &request);
        let (answer, client) = match (answer, client) {
            (Ok(answer), Some(client)) => (answer, client),
            (answer, client) => return (answer.and_then(|_| Err(lost())), client),
        };
        match Run::answered(client, answer, &output, context) {
            // SAFETY: as promised by the caller.
            Ok(run) => unsafe { run.drain(values, nulls, each) },
            Err(e) => (Err(e), None),
        }
    })
}

/// Sends the rows that commands before this one left in buffers, so that a query of tables at this server sees them.
///
/// # Errors
/// A table that this very command has written, which a scan of it must not see; and whatever fails in sending.
pub fn before_read(server: ServerRef, relids: &[u32], command: pg_sys::CommandId) -> Result<()> {
    let waiting: Vec<_> = CURRENT.with_borrow(|t| t.buffers.clone());
    for buffer in waiting {
        // One that is in use is being sent.
        if let Ok(mut b) = buffer.try_borrow_mut()
            && b.server() == server
            && b.command() < command
        {
            b.flush()?;
        }
    }
    let clash = CURRENT.with_borrow(|t| {
        let site = t.sites.iter().find(|s| s.server == server)?;
        site.written.iter().any(|(relid, by)| *by == command && relids.contains(relid)).then(|| site.endpoint.name.clone())
    });
    match clash {
        None => Ok(()),
        Some(name) => Err(Error::refused(format!("server \"{name}\": a table is read again while the same command writes it"))
            .with_hint("Read the rows first, for instance into a temporary table.")),
    }
}

/// Keeps a buffer until it is dropped.
pub fn add_buffer(buffer: &Rc<RefCell<Buffer>>) {
    CURRENT.with_borrow_mut(|t| t.buffers.push(Rc::clone(buffer)));
}

pub fn remove_buffer(buffer: &Rc<RefCell<Buffer>>) {
    CURRENT.with_borrow_mut(|t| t.buffers.retain(|b| !Rc::ptr_eq(b, buffer)));
}

/// The level at which a buffer is made.
pub fn current_level() -> u32 {
    level()
}

fn take() -> Transaction {
    CURRENT.with_borrow_mut(|t| std::mem::replace(t, Transaction { link: Link::Unused, sites: Vec::new(), buffers: Vec::new() }))
}

/// Says what cannot be undone.
fn warn(sites: &[Site]) {
    for site in sites.iter().filter(|s| !s.transactional && !s.written.is_empty()) {
        let name = &site.endpoint.name;
        if site.stored {
            pgrx::warning!("what was written to server \"{name}\" stays: its engine has no transactions");
        } else {
            pgrx::warning!("what a failed command may have written to server \"{name}\" stays: its engine has no transactions");
        }
    }
}

fn commit() -> Result<()> {
    let (points, used) = CURRENT.with_borrow_mut(|t| {
        let points: Vec<_> = t.sites.iter_mut().map(|s| (s.endpoint.clone(), std::mem::take(&mut s.points))).collect();
        (points, !matches!(t.link, Link::Unused))
    });
    if !used {
        return Ok(());
    }
    match with_client(|client| asked(client, &ToEngine::TransactCommit { points }))? {
        FromEngine::Done { .. } => Ok(()),
        other => Err(unexpected(&other)),
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction(event: pg_sys::XactEvent::Type, _arg: *mut c_void) {
    use pg_sys::XactEvent::*;
    match event {
        XACT_EVENT_PRE_COMMIT => {
            // Before anything is committed at a remote, since a cancel raises from here. Connections that are left behind are only idle for a while.
            if SERVERS_CHANGED.replace(false)
                && let Err(e) = forget_connections(None)
            {
                pgrx::debug1!("connections to remote servers were not closed: {}", e.message);
            }
            if let Err(e) = commit() {
                error::raise(&e);
            }
        }
        XACT_EVENT_PRE_PREPARE if CURRENT.with_borrow(|t| !t.sites.is_empty()) => {
            error::raise(&Error::refused("cannot PREPARE a transaction that has written to remote servers"));
        }
        XACT_EVENT_COMMIT => {
            if let Link::Idle(client) = take().link {
                client.give_back();
            }
        }
        XACT_EVENT_ABORT => {
            SERVERS_CHANGED.set(false);
            warn(&take().sites);
        }
        _ => {}
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _arg: *mut c_void,
) {
    use pg_sys::SubXactEvent::*;
    let aborted = match event {
        SUBXACT_EVENT_COMMIT_SUB => false,
        SUBXACT_EVENT_ABORT_SUB => true,
        _ => return,
    };
    let level = level();
    CURRENT.with_borrow_mut(|t| {
        for site in t.sites.iter_mut().filter(|s| s.depth >= level) {
            site.points.push(if aborted { Point::RollBack(level) } else { Point::Release(level) });
            site.depth = level - 1;
        }
        if aborted {
            t.buffers.retain(|b| b.try_borrow().is_ok_and(|b| b.level() < level));
            warn(&t.sites);
        } else {
            for b in &t.buffers {
                if let Ok(mut b) = b.try_borrow_mut() {
                    b.raise_to(level - 1);
                }
            }
        }
    });
}
