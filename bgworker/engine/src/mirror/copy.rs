//! The initial copy, beside live writes.
//!
//! From the moment a mirror is loaded as copying (position *start*) every transaction that touches it is kept. The copy reads the table
//! under one Postgres snapshot; of the transactions kept, exactly those that the snapshot did not see are applied to what was copied.
//!
//! Invariants:
//! - A transaction decoded before *start* was not kept, so the snapshot must have seen it, or another is taken.
//! - Transactions that the snapshot did not see are kept in a file beyond a little, and applied when the copy has ended.
//! - A copy that is begun again starts over: *start* moves to the present.
//! - Where no copy is under way, since it waits for its turn or has failed, little is kept: *start* moves on instead.

use super::fork::Fork;
use super::layout::Layout;
use super::segment::Segment;
use super::table::{Part, Status};
use super::waiting::{Room, TableChanges};
use super::write::SegmentWriter;
use super::{Mirrors, Phase, Ready, fail_in, gone};
use arrow::array::RecordBatch;
use std::sync::{Arc, Weak};
use weir_plan::manifest::{Lsn, PgSnapshot};
use weir_plan::{Error, Result};

/// Of transactions that commit before there is a snapshot, which are a few as a rule.
const KEPT_LIMIT_BYTES: u64 = if cfg!(test) { 1 << 10 } else { 8 << 20 };

/// Of transactions that a copy under way does not see, in memory.
const MISSED_LIMIT_BYTES: usize = if cfg!(test) { 1 << 10 } else { 2 << 20 };

/// Held by whoever sends the rows of a copy: if it is gone, so is the copy.
#[derive(Debug)]
pub struct Sender(#[allow(dead_code, reason = "only counted")] Arc<()>);

/// A mirror whose copy is not complete.
pub struct Copying {
    /// Transactions that begin to commit here or later are kept.
    pub start: Lsn,
    /// Committed transactions, as long as no snapshot is known.
    kept: Vec<(u32, Lsn, TableChanges)>,
    kept_bytes: u64,
    run: Option<Run>,
}

/// A copy under way.
struct Run {
    snapshot: PgSnapshot,
    lsn: Lsn,
    /// What the snapshot does not see.
    missed: TableChanges,
    sender: Weak<()>,
    /// Taken out by the end of the copy; shared with the batches that are being written.
    writer: Arc<tokio::sync::Mutex<Option<SegmentWriter>>>,
}

impl Run {
    fn sees(&self, xid: u32, commit_lsn: Lsn) -> bool {
        commit_lsn < self.lsn && self.snapshot.sees(xid)
    }

    fn miss(&mut self, layout: &Layout, mut changes: TableChanges, room: &Room) -> Result<()> {
        while let Some(op) = changes.next(layout)? {
            self.missed.push(op);
            if self.missed.memory_bytes() > MISSED_LIMIT_BYTES
                && let Err(e) = self.missed.write_out(&room.spool)
                && self.missed.memory_bytes() > room.most_bytes
            {
                return Err(Error::refused(format!("too much changed during the initial copy: {}", e.message)));
            }
        }
        self.missed.poison(&changes.poisoned);
        Ok(())
    }
}

impl Copying {
    pub fn new(start: Lsn) -> Self {
        Self { start, kept: Vec::new(), kept_bytes: 0, run: None }
    }

    /// Keeps a committed transaction.
    ///
    /// # Errors
    /// Too much changes during the copy, or the changes cannot be followed.
    pub fn commit(&mut self, layout: &Layout, xid: u32, commit_lsn: Lsn, changes: TableChanges, room: &Room) -> Result<()> {
        if self.run.as_ref().is_some_and(|run| run.sender.strong_count() == 0) {
            *self = Self::new(commit_lsn);
        }
        match &mut self.run {
            Some(run) if run.sees(xid, commit_lsn) => Ok(()),
            Some(run) => run.miss(layout, changes, room),
            None => {
                self.kept_bytes += changes.bytes();
                self.kept.push((xid, commit_lsn, changes));
                if self.kept_bytes > KEPT_LIMIT_BYTES {
                    // The snapshot will see these, or another is taken.
                    *self = Self::new(commit_lsn + 1);
                }
                Ok(())
            }
        }
    }
}

impl Mirrors {
    /// A copy worker has taken a snapshot at `lsn`. `None`: a transaction that it does not see is lost to us, or the mirror is not known here
    /// yet, since what tells of it comes by another connection; take another.
    ///
    /// # Errors
    /// The mirror is not waiting for a copy.
    pub async fn copy_begin(&self, relid: u32, generation: i64, snapshot: PgSnapshot, lsn: Lsn) -> Result<Option<Sender>> {
        let mut guard = self.applier.lock().await;
        let applier = &mut *guard;
        let Some(mirror) = applier.mirrors.get_mut(&relid).filter(|m| m.layout.generation >= generation) else { return Ok(None) };
        if mirror.layout.generation > generation {
            return Err(gone(relid));
        }
        let Phase::Copying(copying) = &mut mirror.phase else { return Err(gone(relid)) };
        if copying.run.take().is_some() {
            // What was kept is merged already, under another snapshot.
            **copying = Copying::new(self.shared.read().decoded);
        }
        if applier.recent.misses_any(&snapshot, copying.start) {
            return Ok(None);
        }
        let sender = Arc::new(());
        let mut run = Run {
            snapshot,
            lsn,
            missed: TableChanges::new(generation),
            sender: Arc::downgrade(&sender),
            writer: Arc::new(tokio::sync::Mutex::new(Some(SegmentWriter::new(&self.io, &mirror.layout, &self.limits())))),
        };
        copying.kept_bytes = 0;
        let room = self.room();
        let mut failed = None;
        for (xid, commit_lsn, changes) in std::mem::take(&mut copying.kept) {
            if !run.sees(xid, commit_lsn)
                && let Err(e) = run.miss(&mirror.layout, changes, &room)
            {
                failed = Some(e);
                break;
            }
        }
        copying.run = Some(run);
        if let Some(table) = self.shared.write().tables.get_mut(&relid) {
            table.rows_copied = 0;
        }
        match failed {
            None => Ok(Some(Sender(sender))),
            Some(e) => {
                self.noticed.lock().failed.push((relid, generation, e.message.clone()));
                Err(e)
            }
        }
    }

    /// Rows of the copy, in the physical columns of the mirror.
    ///
    /// # Errors
    /// No copy is under way, or a segment cannot be written.
    pub async fn copy_batch(&self, relid: u32, generation: i64, batch: RecordBatch, poisoned: &[i16]) -> Result<()> {
        let (layout, writer) = {
            let mut applier = self.applier.lock().await;
            let mirror = applier.mirrors.get_mut(&relid).filter(|m| m.layout.generation == generation).ok_or_else(|| gone(relid))?;
            let Phase::Copying(copying) = &mut mirror.phase else { return Err(gone(relid)) };
            let run = copying.run.as_mut().ok_or_else(|| gone(relid))?;
            run.missed.poison(poisoned);
            (Arc::clone(&mirror.layout), Arc::clone(&run.writer))
        };
        let batch = layout.normalise(batch.columns(), batch.num_rows())?;
        let mut writer = writer.lock().await;
        writer.as_mut().ok_or_else(|| gone(relid))?.write(&batch).await?;
        if let Some(table) = self.shared.write().tables.get_mut(&relid) {
            table.rows_copied += batch.num_rows() as u64;
        }
        Ok(())
    }

    /// All rows are here: applies what the copy's snapshot did not see. The mirror is active once decoding has passed the snapshot.
    ///
    /// # Errors
    /// No copy is under way, a segment cannot be written, or the mirror turned out not to be exact.
    pub async fn copy_end(&self, relid: u32, generation: i64) -> Result<()> {
        let writer = {
            let mut applier = self.applier.lock().await;
            let mirror = applier.mirrors.get_mut(&relid).filter(|m| m.layout.generation == generation).ok_or_else(|| gone(relid))?;
            let Phase::Copying(copying) = &mut mirror.phase else { return Err(gone(relid)) };
            Arc::clone(&copying.run.as_ref().ok_or_else(|| gone(relid))?.writer)
        };
        let mut slot = writer.lock().await;
        let segments = slot.take().ok_or_else(|| gone(relid))?.finish().await?;
        let result = self.install_copy(relid, generation, &segments, &writer).await;
        if result.is_err() {
            segments.iter().for_each(|s| s.doom());
        }
        result
    }

    async fn install_copy(
        &self,
        relid: u32,
        generation: i64,
        segments: &[Arc<Segment>],
        writer: &Arc<tokio::sync::Mutex<Option<SegmentWriter>>>,
    ) -> Result<()> {
        let mut guard = self.applier.lock().await;
        let applier = &mut *guard;
        let mirror = applier.mirrors.get_mut(&relid).filter(|m| m.layout.generation == generation).ok_or_else(|| gone(relid))?;
        let Phase::Copying(copying) = &mut mirror.phase else { return Err(gone(relid)) };
        // Another copy may have begun meanwhile.
        let run = copying.run.take_if(|run| Arc::ptr_eq(&run.writer, writer)).ok_or_else(|| gone(relid))?;
        let start = copying.start;
        let parts = segments.iter().map(|s| Part::file(Arc::clone(s), super::deletes::DeleteVector::default())).collect();
        mirror.phase = Phase::Copied { snapshot: run.snapshot, lsn: run.lsn, start };
        let mut fork = Fork::new(&mirror.layout, parts, super::apply::Finder::default());
        let applied = fork.apply(run.missed, &self.means()).await;
        let decoded = {
            let mut shared = self.shared.write();
            let decoded = shared.decoded;
            let table = shared.tables.get_mut(&relid).ok_or_else(|| gone(relid))?;
            match applied.and_then(|()| self.apply_to(Ready::Large(Box::new(fork)), mirror, table, start)) {
                Ok(()) => {
                    // Those that were truncated meanwhile.
                    segments.iter().filter(|s| table.part(s.uid).is_none()).for_each(|s| s.doom());
                    table.status = Status::Active { from: run.lsn };
                    table.version += 1;
                }
                Err(e) => {
                    // The event reaches the worker with the next of the change stream.
                    self.noticed.lock().events.extend(fail_in(applier, &mut shared, relid, &e.message));
                    return Err(e);
                }
            }
            decoded
        };
        self.end_copies(applier, decoded);
        Ok(())
    }
}
