//! What the decoder calls.

use super::Capture;
use pgrx::pg_sys;
use pgrx::prelude::*;
use weir_plan::Result;

/// Microseconds from the Unix epoch to that of Postgres.
const EPOCH_US: i64 = 946_684_800_000_000;

/// Puts these callbacks in the place of the output plugin's.
///
/// # Safety
/// A decoding context that has not decoded anything; the capture lives as long as it.
pub unsafe fn install(ctx: *mut pg_sys::LogicalDecodingContext, capture: *mut Capture) {
    // SAFETY: as promised by the caller.
    unsafe {
        (*ctx).callbacks = pg_sys::OutputPluginCallbacks {
            begin_cb: Some(begin_callback),
            change_cb: Some(change_callback),
            truncate_cb: Some(truncate_callback),
            commit_cb: Some(commit_callback),
            ..pg_sys::OutputPluginCallbacks::default()
        };
        // Rows of rewritten tables come, too.
        (*(*ctx).reorder).output_rewrites = true;
        (*ctx).streaming = false;
        (*ctx).twophase = false;
        (*ctx).output_plugin_private = capture.cast();
    }
}

/// # Safety
/// A context that [`install`] has seen, while its capture is not borrowed.
unsafe fn capture<'a>(ctx: *mut pg_sys::LogicalDecodingContext) -> &'a mut Capture {
    // SAFETY: as promised by the caller.
    unsafe { &mut *(*ctx).output_plugin_private.cast::<Capture>() }
}

fn raise_on_error(result: Result<()>) {
    if let Err(e) = result {
        crate::error::raise(&e);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin_callback(ctx: *mut pg_sys::LogicalDecodingContext, txn: *mut pg_sys::ReorderBufferTXN) {
    // SAFETY: called by the decoder.
    unsafe { capture(ctx).begin(xid(txn)) }
}

/// # Safety
/// A valid transaction.
unsafe fn xid(txn: *mut pg_sys::ReorderBufferTXN) -> u32 {
    // SAFETY: as promised by the caller.
    unsafe { (*txn).xid }.into_inner()
}

#[pg_guard]
unsafe extern "C-unwind" fn change_callback(
    ctx: *mut pg_sys::LogicalDecodingContext,
    txn: *mut pg_sys::ReorderBufferTXN,
    rel: pg_sys::Relation,
    change: *mut pg_sys::ReorderBufferChange,
) {
    // SAFETY: called by the decoder, for a transaction whose commit has been read.
    raise_on_error(unsafe { capture(ctx).change(rel, change, (*txn).final_lsn) });
}

#[pg_guard]
unsafe extern "C-unwind" fn truncate_callback(
    ctx: *mut pg_sys::LogicalDecodingContext,
    txn: *mut pg_sys::ReorderBufferTXN,
    n: std::ffi::c_int,
    rels: *mut pg_sys::Relation,
    _change: *mut pg_sys::ReorderBufferChange,
) {
    for i in 0..usize::try_from(n).unwrap_or(0) {
        // SAFETY: called by the decoder with n relations, for a transaction whose commit has been read.
        raise_on_error(unsafe { capture(ctx).truncate((**rels.add(i)).rd_id.to_u32(), (*txn).final_lsn) });
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn commit_callback(ctx: *mut pg_sys::LogicalDecodingContext, txn: *mut pg_sys::ReorderBufferTXN, commit_lsn: pg_sys::XLogRecPtr) {
    // SAFETY: called by the decoder.
    raise_on_error(unsafe { capture(ctx).commit(commit_lsn, (*txn).end_lsn, commit_time(txn).saturating_add(EPOCH_US)) });
}

#[cfg(feature = "pg14")]
unsafe fn commit_time(txn: *mut pg_sys::ReorderBufferTXN) -> i64 {
    // SAFETY: a valid transaction.
    unsafe { (*txn).commit_time }
}

#[cfg(not(feature = "pg14"))]
unsafe fn commit_time(txn: *mut pg_sys::ReorderBufferTXN) -> i64 {
    // SAFETY: a valid transaction that has committed.
    unsafe { (*txn).xact_time.commit_time }
}
