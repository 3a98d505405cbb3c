//! The initial copy of one table: a process of its own that reads the heap under one snapshot and streams it to the engine.
//!
//! Invariants:
//! - The table is locked (ACCESS SHARE, as by any reader) before the snapshot is taken, so no TRUNCATE or rewrite lies between.
//! - A snapshot is only used if the engine will see every transaction that it does not see; else another one is taken.
//! - It gives way to who waits for a lock of the table that it is in the way of: behind him, everybody else waits.
//! - It reads the heap itself, below row-level security: the mirror holds all rows, who may see them is decided for each query.

use super::process::{self, Spec};
use super::{paths, sync, wake};
use crate::catalog::{define, store};
use crate::client::{Client, unexpected};
use crate::tuple::RowBuilder;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::time::{Duration, Instant};
use weir_plan::manifest::{MirrorDef, PgSnapshot};
use weir_plan::protocol::{FromEngine, MAX_MESSAGE_BYTES, ToEngine};
use weir_plan::types::oid;
use weir_plan::{Error, Result, arrow_ipc};

/// Bounds of one batch: small enough that its buffers are used again instead of being returned to the system and zeroed anew.
const MAX_BATCH_ROWS: usize = 8192;
const MAX_BATCH_BYTES: usize = 2 << 20;

/// Rows between two releases of what conversions have allocated.
const ROWS_PER_RESET: usize = 512;

/// What is over so soon need not be noted.
const SOON: Duration = Duration::from_secs(2);

/// How often a copy looks whether somebody waits for it.
const YIELD_INTERVAL: Duration = Duration::from_secs(1);

/// What the result file says when all went well.
pub const OK: &str = "ok";

/// What it starts with when the table no longer has the shape that was to be copied.
pub const CHANGED: &str = "changed: ";

/// Starts a copy worker. `None`: there is no free process.
pub fn start(database: pg_sys::Oid, relid: u32, generation: i64) -> Option<*mut pg_sys::BackgroundWorkerHandle> {
    let mut extra = [0u8; 12];
    extra[..4].copy_from_slice(&relid.to_ne_bytes());
    extra[4..].copy_from_slice(&generation.to_ne_bytes());
    let _ = std::fs::remove_file(paths::copy_result_file(database, relid, generation));
    let name = format!("pg_weir copy of table {relid}");
    let spec = Spec {
        name: &name,
        kind: "pg_weir copy",
        function: c"weir_copy_main",
        argument: pg_sys::Datum::from(database),
        extra: &extra,
        restart_time: pg_sys::BGW_NEVER_RESTART,
        // SAFETY: this process's id.
        notify_pid: unsafe { pg_sys::MyProcPid },
    };
    spec.start()
}

/// Relation and generation, as [`start`] wrote them.
fn arguments() -> (u32, i64) {
    // SAFETY: in a background worker.
    let extra = unsafe { (*pg_sys::MyBgworkerEntry).bgw_extra };
    let bytes = extra.map(std::ffi::c_char::cast_unsigned);
    let word = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk::<4>()).copied().unwrap_or_default();
    let long = bytes.get(4..).and_then(|b| b.first_chunk::<8>()).copied().unwrap_or_default();
    (u32::from_ne_bytes(word(0)), i64::from_ne_bytes(long))
}

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn weir_copy_main(database: pg_sys::Datum) {
    process::set_up_signals();
    let database = pg_sys::Oid::from(u32::try_from(database.value()).unwrap_or(0));
    // SAFETY: once, at the start of the process; as the bootstrap superuser.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(database, pg_sys::InvalidOid, 0) };
    process::fix_settings();
    keep_freed_memory();
    let (relid, generation) = arguments();
    let report = |text: &str| {
        let _ = paths::write_file(&paths::copy_result_file(database, relid, generation), text.as_bytes());
        wake::wake_worker(database);
    };
    PgTryBuilder::new(|| match copy(relid, generation) {
        Ok(()) => report(OK),
        Err(e) => report(&e.detail.map_or(e.message.clone(), |d| format!("{}: {d}", e.message))),
    })
    .catch_others(|e| {
        if let pgrx::pg_sys::panic::CaughtError::PostgresError(r) | pgrx::pg_sys::panic::CaughtError::ErrorReport(r) = &e {
            report(r.message());
        } else {
            report("the copy worker failed");
        }
        e.rethrow()
    })
    .execute();
}

/// Lets this process, which ends with its copy, use the buffers of one batch again for the next one. By default the C library returns large
/// ones to the system, which zeroes them anew: a quarter of the time of a copy.
#[cfg(target_env = "gnu")]
fn keep_freed_memory() {
    const NEVER_BYTES: i32 = 1 << 30;
    // SAFETY: sets parameters of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, NEVER_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, NEVER_BYTES);
    }
}

#[cfg(not(target_env = "gnu"))]
fn keep_freed_memory() {}

fn copy(relid: u32, generation: i64) -> Result<()> {
    let mut client = Client::take()?;
    process::transaction(|| note_start(relid, generation))?;
    // SAFETY: reads shared memory. The epoch is not needed.
    #[allow(clippy::cast_possible_truncation)]
    let began = pg_sys::TransactionId::from(unsafe { pg_sys::ReadNextFullTransactionId() }.value as u32);
    let started = Instant::now();
    let mut noted = false;
    let mut pause = Duration::from_millis(2);
    loop {
        let waits_for = match attempt(&mut client, relid, generation, began)? {
            Attempt::Copied => return Ok(()),
            Attempt::TooEarly => "transactions that are committing, or the engine",
            Attempt::OlderTransactions => "transactions that began before it",
        };
        if !noted && started.elapsed() > SOON {
            noted = true;
            process::transaction(|| store::note_error(relid, generation, &format!("the copy waits for {waits_for}")))?;
        }
        process::wait(None, 0, pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// For the view of the progress.
fn note_start(relid: u32, generation: i64) -> Result<()> {
    // SAFETY: in a transaction; the table is locked as by any reader.
    let expected_rows = unsafe {
        let rel = pg_sys::try_relation_open(relid.into(), pg_sys::AccessShareLock.cast_signed());
        if rel.is_null() {
            return Err(Error::internal("the table is gone"));
        }
        let rows = sync::expected_rows(rel);
        pg_sys::relation_close(rel, pg_sys::AccessShareLock.cast_signed());
        rows
    };
    store::note_copy_started(relid, generation, expected_rows)
}

/// What became of an attempt.
enum Attempt {
    Copied,
    /// A transaction has committed that the snapshot does not see but soon another will, or the engine does not know the mirror yet.
    TooEarly,
    /// Some transactions are older than the copy, and the table has an enum.
    OlderTransactions,
}

/// One transaction. `began`: transactions from this one on have begun after the copy.
fn attempt(client: &mut Client, relid: u32, generation: i64, began: pg_sys::TransactionId) -> Result<Attempt> {
    let oid = pg_sys::Oid::from(relid);
    // SAFETY: not in a transaction. The table is locked before the first snapshot is taken.
    let rel = unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::XactIsoLevel = pg_sys::XACT_REPEATABLE_READ.cast_signed();
        pg_sys::XactReadOnly = true;
        let rel = pg_sys::try_relation_open(oid, pg_sys::AccessShareLock.cast_signed());
        if rel.is_null() {
            return Err(Error::internal("the table is gone"));
        }
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        rel
    };
    let result = copy_under_snapshot(client, rel, relid, generation, began);
    // SAFETY: as above. The lock is kept until the transaction ends; after an error the scan may still be open.
    unsafe {
        if result.is_ok() {
            pg_sys::relation_close(rel, pg_sys::NoLock.cast_signed());
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        } else {
            pg_sys::AbortCurrentTransaction();
        }
    }
    result
}

fn copy_under_snapshot(client: &mut Client, rel: pg_sys::Relation, relid: u32, generation: i64, began: pg_sys::TransactionId) -> Result<Attempt> {
    let Some(def) = definition(relid, generation)? else {
        return Err(Error::internal("the copy has been superseded"));
    };
    // SAFETY: an open relation.
    if !unsafe { define::shape(rel) }.fits(&def.columns, &def.key) {
        return Err(Error::internal(format!("{CHANGED}the definition of the table changed")));
    }
    // SAFETY: the active snapshot is that of this transaction.
    let snapshot = unsafe { snapshot() };
    // SAFETY: reads shared memory.
    let lsn = unsafe { pg_sys::GetXLogInsertRecPtr() };
    // One that has committed but still looks in progress may have been decoded before this mirror was followed.
    // SAFETY: looks at the commit log.
    if snapshot.xip.iter().any(|xid| unsafe { pg_sys::TransactionIdDidCommit((*xid).into()) }) {
        return Ok(Attempt::TooEarly);
    }
    // A row is decoded with the labels of enums as they were when its transaction began. Since then one may have been renamed, which is why
    // this copy is made; what an older transaction has changed would come with the old label, after it.
    let has_enum = def.columns.iter().any(|c| matches!(c.ty.base, oid::ENUM | oid::ENUM_ARRAY));
    // SAFETY: compares numbers.
    if has_enum && snapshot.xip.iter().any(|xid| unsafe { pg_sys::TransactionIdPrecedes((*xid).into(), began) }) {
        return Ok(Attempt::OlderTransactions);
    }
    match client.ask(&ToEngine::CopyBegin { relid, generation, snapshot, lsn })? {
        FromEngine::CopyGo { retry: false } => {}
        FromEngine::CopyGo { retry: true } => return Ok(Attempt::TooEarly),
        other => return Err(unexpected(&other)),
    }
    scan(client, rel, &def)?;
    match client.ask(&ToEngine::CopyEnd)? {
        FromEngine::CopyDone => Ok(Attempt::Copied),
        other => Err(unexpected(&other)),
    }
}

fn definition(relid: u32, generation: i64) -> Result<Option<MirrorDef>> {
    Ok(store::load()?.into_iter().map(|r| r.def).find(|d| d.relid == relid && d.generation == generation))
}

/// # Safety
/// There is an active snapshot.
unsafe fn snapshot() -> PgSnapshot {
    // SAFETY: the array is as long as the snapshot says.
    unsafe {
        let s = &*pg_sys::GetActiveSnapshot();
        let xip = if s.xip.is_null() { &[] } else { std::slice::from_raw_parts(s.xip, s.xcnt as usize) };
        PgSnapshot { xmin: s.xmin.into_inner(), xmax: s.xmax.into_inner(), xip: xip.iter().map(|x| x.into_inner()).collect() }
    }
}

/// Sends every row that the active snapshot sees, in the order of the blocks.
fn scan(client: &mut Client, rel: pg_sys::Relation, def: &MirrorDef) -> Result<()> {
    use pg_sys::ScanOptions::{SO_ALLOW_PAGEMODE, SO_ALLOW_STRAT, SO_TYPE_SEQSCAN};
    let mut rows = RowBuilder::new(&def.columns, MAX_BATCH_ROWS)?;
    let schema = rows.schema();
    // SAFETY: the table is open and a heap; the scan is ended below unless an error ends the process. The arrays have room for every
    // attribute, and what conversions allocate is released only after their result has been copied.
    unsafe {
        let tupdesc = (*rel).rd_att;
        let natts = usize::try_from((*tupdesc).natts).unwrap_or(0);
        let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); natts], vec![true; natts]);
        let context = pg_sys::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            c"pg_weir copied rows".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        let flags = SO_TYPE_SEQSCAN | SO_ALLOW_STRAT | SO_ALLOW_PAGEMODE;
        let scan = pg_sys::heap_beginscan(rel, pg_sys::GetActiveSnapshot(), 0, std::ptr::null_mut(), std::ptr::null_mut(), flags);
        let previous = pg_sys::MemoryContextSwitchTo(context);
        let mut looked = Instant::now();
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            pg_sys::heap_deform_tuple(tuple, tupdesc, values.as_mut_ptr(), nulls.as_mut_ptr());
            rows.append(&values, &nulls);
            if rows.rows() % ROWS_PER_RESET == 0 {
                pg_sys::MemoryContextReset(context);
                pgrx::check_for_interrupts!();
            }
            if rows.rows() >= MAX_BATCH_ROWS || rows.size_bytes() >= MAX_BATCH_BYTES {
                send(client, &mut rows, &schema)?;
                // A few rows may be large.
                pg_sys::MemoryContextReset(context);
                if looked.elapsed() > YIELD_INTERVAL {
                    give_way(def.relid)?;
                    looked = Instant::now();
                }
            }
        }
        pg_sys::MemoryContextSwitchTo(previous);
        pg_sys::heap_endscan(scan);
        pg_sys::MemoryContextDelete(context);
    }
    if rows.rows() > 0 {
        send(client, &mut rows, &schema)?;
    }
    Ok(())
}

/// An error if a command waits for the end of this copy.
fn give_way(relid: u32) -> Result<()> {
    let waiting = Spi::connect(|spi| {
        let blocked = "SELECT FROM pg_locks WHERE relation = $1 AND NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        spi.select(blocked, Some(1), &[pg_sys::Oid::from(relid).into()]).map(|found| !found.is_empty())
    });
    match waiting {
        Ok(true) => Err(Error::internal("the copy gave way to a command that waited for a lock of the table, and begins again")),
        Ok(false) => Ok(()),
        Err(e) => Err(Error::internal(format!("catalog access failed: {e}"))),
    }
}

fn send(client: &mut Client, rows: &mut RowBuilder, schema: &arrow::datatypes::SchemaRef) -> Result<()> {
    let batch = rows.finish_batch(schema)?;
    let ipc = arrow_ipc::to_bytes(&batch)?;
    if ipc.len() > MAX_MESSAGE_BYTES {
        return Err(Error::internal(store::ROW_TOO_LARGE));
    }
    client.send(&ToEngine::CopyBatch { ipc, poisoned: rows.take_poisoned() })
}
