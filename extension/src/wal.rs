//! Positions of the write-ahead log: commits are visible to others before they are flushed, and decoded after.

use crate::asynchronous;
use crate::worker::flushed;
use pgrx::pg_sys;
use weir_plan::manifest::Lsn;

/// The end of all that is written so far, flushed or not.
pub fn inserted() -> Lsn {
    // SAFETY: reads shared memory.
    record_end(unsafe { pg_sys::GetXLogInsertRecPtr() })
}

/// A position behind every commit that others see, flushed or not.
///
/// Where every asynchronous commit is known it is no further than that: what comes behind is flushed by those who commit it, and to wait for them
/// would cost a write to the disk.
pub fn committed() -> Lsn {
    // In this order: what was flushed before others saw it is flushed now.
    match asynchronous::last() {
        Some(last) => last.max(flushed()),
        None => inserted(),
    }
}

/// The same, made durable so that it can be decoded.
pub fn flush_committed() -> Lsn {
    let lsn = committed();
    flush(lsn);
    lsn
}

/// Makes what is written before this position durable.
pub fn flush(lsn: Lsn) {
    // SAFETY: the position is at most the end of what was inserted.
    unsafe {
        if lsn > flushed() {
            pg_sys::XLogFlush(lsn);
        }
    }
}

/// An insert position right behind a page header is the end of the record before that page. Source: `XLogBytePosToEndRecPtr` in `xlog.c`.
fn record_end(lsn: Lsn) -> Lsn {
    let page = u64::from(pg_sys::XLOG_BLCKSZ);
    // SAFETY: set at server start.
    let segment = u64::try_from(unsafe { pg_sys::wal_segment_size }).unwrap_or(16 << 20);
    let offset = lsn % page;
    let long_header = (size_of::<pg_sys::XLogLongPageHeaderData>() as u64).next_multiple_of(8);
    let short_header = (size_of::<pg_sys::XLogPageHeaderData>() as u64).next_multiple_of(8);
    let header = if lsn % segment == offset { long_header } else { short_header };
    if offset == header { lsn - header } else { lsn }
}
