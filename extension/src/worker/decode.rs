//! The replication slot of a database, and logical decoding from it in this process.
//!
//! Invariants:
//! - The slot names `pgoutput`, which every server allows; its callbacks are replaced by ours before the first record.
//! - The decoder never waits for WAL: it reads what is flushed and says how far it came.
//! - The slot advances only to positions that the engine has proposed and the catalog has committed.

use super::capture::{self, Capture};
use super::link::Link;
use super::{paths, raw};
use pgrx::pg_sys;
use std::ffi::{CStr, CString, c_char, c_int};
use std::time::{Duration, Instant};
use weir_plan::manifest::Lsn;
use weir_plan::{Error, Result};

/// Records between two looks at the clock and at interrupts.
const RECORDS_PER_CHECK: u32 = 64;

/// The slot of a database; names are unique in the server.
pub fn slot_name(database: pg_sys::Oid) -> CString {
    CString::new(format!("pg_weir_{}", database.to_u32())).unwrap_or_default()
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Everything up to the target was decoded.
    Reached,
    /// Everything that is flushed was decoded, which is less than the target.
    EndOfWal,
    /// The time was up.
    Paused,
    /// A transaction was decoded that other sessions do not see yet; it is not sent, nor is anything after it decoded.
    Held,
}

pub struct Decoder {
    database: pg_sys::Oid,
    ctx: *mut pg_sys::LogicalDecodingContext,
    /// Owned; a pointer because the callbacks reach it through the context.
    capture: *mut Capture,
    /// Beyond the reader's position if only padding lies between.
    position: Lsn,
    has_decoded: bool,
}

/// Creates the slot in a transaction of its own. Waits for the transactions that are running.
///
/// Raises an error of Postgres if there is no free slot or `wal_level` is too low; the transaction is open then.
pub fn create_slot(database: pg_sys::Oid) {
    let name = slot_name(database);
    // SAFETY: in a transaction of its own that writes nothing, as CreateInitDecodingContext demands.
    unsafe {
        pg_sys::StartTransactionCommand();
        pg_sys::CheckSlotRequirements();
        pg_sys::CheckLogicalDecodingRequirements();
        create_ephemeral(&name);
        let mut routine = routine(raw::read_local_xlog_page);
        let ctx = pg_sys::CreateInitDecodingContext(c"pgoutput".as_ptr(), std::ptr::null_mut(), false, 0, &raw mut routine, None, None, None);
        pg_sys::DecodingContextFindStartpoint(ctx);
        pg_sys::FreeDecodingContext(ctx);
        pg_sys::ReplicationSlotPersist();
        pg_sys::ReplicationSlotRelease();
        pg_sys::CommitTransactionCommand();
    }
}

#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
unsafe fn create_ephemeral(name: &CStr) {
    // SAFETY: a valid name.
    unsafe { pg_sys::ReplicationSlotCreate(name.as_ptr(), true, pg_sys::ReplicationSlotPersistency::RS_EPHEMERAL, false) };
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
unsafe fn create_ephemeral(name: &CStr) {
    // SAFETY: a valid name.
    unsafe { pg_sys::ReplicationSlotCreate(name.as_ptr(), true, pg_sys::ReplicationSlotPersistency::RS_EPHEMERAL, false, false, false) };
}

/// Drops the slot, which must exist and not be in use.
pub fn drop_slot(database: pg_sys::Oid) {
    let name = slot_name(database);
    // SAFETY: a valid name; raises an error if the slot is not there.
    unsafe { pg_sys::ReplicationSlotDrop(name.as_ptr(), true) };
}

#[cfg(not(feature = "pg18"))]
unsafe fn acquire(name: &CStr) {
    // SAFETY: a valid name.
    unsafe { pg_sys::ReplicationSlotAcquire(name.as_ptr(), true) };
}

#[cfg(feature = "pg18")]
unsafe fn acquire(name: &CStr) {
    // SAFETY: a valid name.
    unsafe { pg_sys::ReplicationSlotAcquire(name.as_ptr(), true, true) };
}

type PageRead = unsafe extern "C-unwind" fn(*mut pg_sys::XLogReaderState, pg_sys::XLogRecPtr, c_int, pg_sys::XLogRecPtr, *mut c_char) -> c_int;

fn routine(page_read: PageRead) -> pg_sys::XLogReaderRoutine {
    pg_sys::XLogReaderRoutine { page_read: Some(page_read), segment_open: Some(raw::wal_segment_open), segment_close: Some(raw::wal_segment_close) }
}

/// Reads a page of WAL if as much of it as is needed is flushed.
///
/// Not `read_local_xlog_page_no_wait`: that writes to the reader's private data, which is the decoding context here.
unsafe extern "C-unwind" fn read_flushed_page(
    state: *mut pg_sys::XLogReaderState,
    page: pg_sys::XLogRecPtr,
    len: c_int,
    target: pg_sys::XLogRecPtr,
    buffer: *mut c_char,
) -> c_int {
    if page + u64::from(len.unsigned_abs()) > flushed() {
        return -1;
    }
    // SAFETY: called by the WAL reader; nothing here needs to be dropped if it raises.
    unsafe { raw::read_local_xlog_page(state, page, len, target, buffer) }
}

/// The position up to which WAL is flushed.
#[cfg(feature = "pg14")]
pub fn flushed() -> Lsn {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::GetFlushRecPtr() }
}

/// The position up to which WAL is flushed.
#[cfg(not(feature = "pg14"))]
pub fn flushed() -> Lsn {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::GetFlushRecPtr(std::ptr::null_mut()) }
}

/// `false`: it cannot be noted, so the slot has to stay where it is.
fn note_confirmed(database: pg_sys::Oid, lsn: Lsn) -> bool {
    let noted = paths::write_durable_file(&paths::confirmed_file(database), lsn.to_string().as_bytes());
    if let Err(e) = &noted {
        pgrx::warning!("pg_weir: could not note the position of the replication slot: {e}");
    }
    noted.is_ok()
}

impl Decoder {
    /// Acquires the slot and stands at the position up to which it is confirmed. Must not run in a transaction.
    ///
    /// Raises an error of Postgres if the slot is not usable.
    pub fn open(database: pg_sys::Oid) -> Decoder {
        let name = slot_name(database);
        let capture = Box::into_raw(Box::new(Capture::new()));
        // SAFETY: the transaction keeps the process from being marked as one that only decodes: such a process must not run ordinary
        // transactions, since vacuum ignores its snapshots. The context is made in the top memory context, so it outlives the transaction.
        // It is made in fast-forward mode only so that no output plugin is loaded; ours takes its place.
        unsafe {
            pg_sys::StartTransactionCommand();
            acquire(&name);
            pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let mut routine = routine(read_flushed_page);
            let ctx = pg_sys::CreateDecodingContext(0, std::ptr::null_mut(), true, &raw mut routine, None, None, None);
            (*ctx).fast_forward = false;
            capture::install(ctx, capture);
            let slot = &(*pg_sys::MyReplicationSlot).data;
            pg_sys::XLogBeginRead((*ctx).reader, slot.restart_lsn);
            let position = slot.confirmed_flush;
            pg_sys::CommitTransactionCommand();
            Decoder { database, ctx, capture, position, has_decoded: false }
        }
    }

    pub fn capture(&mut self) -> &mut Capture {
        // SAFETY: made in `open`, freed in `close`; the callbacks borrow it only while a record is decoded.
        unsafe { &mut *self.capture }
    }

    /// Whether it has moved on from where it was opened.
    pub fn has_decoded(&self) -> bool {
        self.has_decoded
    }

    /// Everything before this position has been decoded.
    pub fn position(&self) -> Lsn {
        self.position
    }

    /// Decodes up to `target`, for about as long as `budget` at most; what is captured goes to `link`.
    ///
    /// # Errors
    /// WAL that can't be read.
    pub fn run(&mut self, link: &mut Link, target: Lsn, budget: Duration) -> Result<Progress> {
        self.capture().set_link(link);
        let progress = self.decode_visible(target, budget);
        self.capture().set_link(std::ptr::null_mut());
        progress
    }

    fn decode_visible(&mut self, target: Lsn, budget: Duration) -> Result<Progress> {
        if !self.capture().end_visible_group()? {
            return Ok(Progress::Held);
        }
        let progress = self.decode(target, budget)?;
        Ok(if self.capture().end_visible_group()? { progress } else { Progress::Held })
    }

    fn decode(&mut self, target: Lsn, budget: Duration) -> Result<Progress> {
        let started = Instant::now();
        let mut records = 0u32;
        loop {
            // SAFETY: the context is alive; the reader is its own.
            let end = unsafe { (*(*self.ctx).reader).EndRecPtr };
            self.position = self.position.max(end);
            if end >= target {
                return Ok(Progress::Reached);
            }
            let flushed = flushed();
            if end >= flushed || !self.decode_record()? {
                // No whole record lies between here and what was flushed before: at most the head of a page, or of a record.
                if flushed >= target {
                    self.position = self.position.max(target);
                    return Ok(Progress::Reached);
                }
                return Ok(Progress::EndOfWal);
            }
            records += 1;
            self.has_decoded = true;
            if records.is_multiple_of(RECORDS_PER_CHECK) {
                pgrx::check_for_interrupts!();
                if started.elapsed() > budget {
                    return Ok(Progress::Paused);
                }
            }
        }
    }

    /// `false`: there is no whole record yet.
    fn decode_record(&mut self) -> Result<bool> {
        let ctx = self.ctx;
        // SAFETY: as in `walsender.c`; what the reader allocates must live as long as the context. The closure only calls a function of the
        // server and owns nothing.
        unsafe {
            pg_sys::MemoryContextSwitchTo((*ctx).context);
            let mut message: *mut c_char = std::ptr::null_mut();
            let record = pg_sys::XLogReadRecord((*ctx).reader, &raw mut message);
            if record.is_null() {
                if message.is_null() {
                    return Ok(false);
                }
                return Err(Error::internal(format!("could not read WAL: {}", CStr::from_ptr(message).to_string_lossy())));
            }
            pg_sys::ffi::pg_guard_ffi_boundary(|| raw::LogicalDecodingProcessRecord(ctx, (*ctx).reader));
        }
        Ok(true)
    }

    /// Lets the server forget the WAL before `lsn`.
    pub fn confirm(&mut self, lsn: Lsn) {
        // SAFETY: this process has acquired the slot.
        let confirmed = unsafe { (*pg_sys::MyReplicationSlot).data.confirmed_flush };
        if lsn > confirmed && lsn <= self.position && note_confirmed(self.database, lsn) {
            // SAFETY: as above.
            unsafe { pg_sys::LogicalConfirmReceivedLocation(lsn) };
        }
    }

    /// Whether nobody but us has moved the slot, which was opened just now: what has been skipped is lost for the mirrors. After a crash it may be
    /// where it was a while before.
    pub fn is_where_we_left_it(&self) -> bool {
        let noted = std::fs::read_to_string(paths::confirmed_file(self.database)).ok().and_then(|text| text.trim().parse::<Lsn>().ok());
        noted.is_some_and(|noted| self.position <= noted)
    }

    /// The slot is right as it is: no mirror needs anything from before.
    pub fn accept(&self) -> bool {
        note_confirmed(self.database, self.position)
    }

    /// Ends decoding and gives the slot free.
    pub fn close(self) {
        // SAFETY: the context is not used again.
        unsafe {
            pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            pg_sys::FreeDecodingContext(self.ctx);
            pg_sys::ReplicationSlotRelease();
            drop(Box::from_raw(self.capture));
        }
    }
}
