//! Foreign scans below one Append that run at the same time: each statement is sent at once, and its rows are taken as they come.
//!
//! Invariants:
//! - Below one Append, a server is asked at most [`AT_ONCE`] statements at the same time, and no more than it may have connections: what waits
//!   for a connection then waits for scans of which this Append reads.
//! - A scan that waits for such a place, or that has read all its rows before, has nothing to wait for.

use super::catalog;
use super::scan::{self, State};
use crate::error;
use crate::worker::raw;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::RefCell;
use weir_plan::ir::ServerRef;

/// Statements that one Append has open at a server at most.
const AT_ONCE: usize = 4;

thread_local! {
    /// By Append (its address) and server.
    static OPEN: RefCell<Vec<(usize, u32)>> = const { RefCell::new(Vec::new()) };
}

/// One of the statements that an Append may have open at a server.
pub struct Place(usize, u32);

impl Place {
    fn take(append: usize, server: ServerRef) -> Option<Place> {
        let told = catalog::server_options(server).into_iter().find(|(name, _)| name == "max_connections");
        let most = told.and_then(|(_, n)| n.parse().ok()).map_or(AT_ONCE, |n: usize| n.clamp(1, AT_ONCE));
        OPEN.with_borrow_mut(|open| {
            let own = (append, server.server);
            if open.iter().filter(|o| **o == own).count() >= most {
                return None;
            }
            open.push(own);
            Some(Place(own.0, own.1))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| {
            if let Some(i) = open.iter().position(|o| *o == (self.0, self.1)) {
                open.swap_remove(i);
            }
        });
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn is_capable(_path: *mut pg_sys::ForeignPath) -> bool {
    true
}

/// The Append asks for a row.
#[pg_guard]
pub unsafe extern "C-unwind" fn request(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: Postgres passes a request to a foreign scan of ours.
    unsafe { answer(request) }
}

/// The Append is about to wait.
#[pg_guard]
pub unsafe extern "C-unwind" fn configure_wait(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: as above; the Append has made its set of events.
    unsafe {
        let node = (*request).requestee.cast::<pg_sys::ForeignScanState>();
        let append = (*request).requestor.cast::<pg_sys::AppendState>();
        let Some(state) = scan::state(node) else { return };
        // A place may have become free.
        open(state, node, append as usize);
        let socket = state.reader.as_ref().and_then(super::reader::Reader::socket);
        if let Some(socket) = socket {
            pg_sys::AddWaitEventToSet((*append).as_eventset, pg_sys::WL_SOCKET_READABLE, socket, std::ptr::null_mut(), request.cast());
        }
    }
}

/// Something has come.
#[pg_guard]
pub unsafe extern "C-unwind" fn notify(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: as above.
    unsafe { answer(request) }
}

/// Sends the statement if that has not been done, and may be.
unsafe fn open(state: &mut State, node: *mut pg_sys::ForeignScanState, append: usize) {
    if state.started {
        return;
    }
    if state.place.is_none() {
        state.place = Place::take(append, state.private.statement.server);
    }
    if state.place.is_some() {
        state.started = true;
        // SAFETY: the state is the node's.
        state.reader = Some(unsafe { scan::start(state, node) }.unwrap_or_else(|e| error::raise(&e)));
    }
}

unsafe fn pending(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: a request that has not been answered.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| raw::ExecAsyncRequestPending(request)) };
}

unsafe fn done(request: *mut pg_sys::AsyncRequest, slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: as above; the slot is the requestee's, or null at the end.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| raw::ExecAsyncRequestDone(request, slot)) };
}

/// Answers with the next row that passes the node's conditions, with the end, or with nothing yet.
unsafe fn answer(request: *mut pg_sys::AsyncRequest) {
    // SAFETY: as passed.
    unsafe {
        let node = (*request).requestee.cast::<pg_sys::ForeignScanState>();
        loop {
            let Some(state) = scan::state(node) else { return };
            open(state, node, (*request).requestor as usize);
            let Some(reader) = state.reader.as_mut() else {
                pending(request);
                return;
            };
            match reader.is_ready() {
                Ok(true) => {}
                Ok(false) => {
                    pending(request);
                    return;
                }
                Err(e) => error::raise(&e),
            }
            let Some(next) = (*(*request).requestee).ExecProcNodeReal else { return };
            let slot = pg_sys::ffi::pg_guard_ffi_boundary(|| next((*request).requestee));
            if !slot.is_null() && i32::from((*slot).tts_flags) & pg_sys::TTS_FLAG_EMPTY.cast_signed() == 0 {
                done(request, slot);
                return;
            }
            // What has come is read; without an end there is more to come.
            let Some(state) = scan::state(node) else { return };
            if state.at_end {
                state.place = None;
                done(request, std::ptr::null_mut());
                return;
            }
        }
    }
}
