//! Mirrors: columnar copies of the tables of one database, kept exact by the change stream.
//!
//! A mirror is a list of immutable segments with delete vectors, and an in-memory delta ([`table`]). Committed transactions are applied in
//! commit order, over all tables at once ([`apply`]); readers take [`Snapshot`]s, which never change. From time to time the delta becomes
//! segments ([`flush`]), and a manifest of all that is durable is proposed to the worker, which commits it in Postgres and only then lets
//! the log go. After a crash the log is decoded again from there, and what the manifest contains already is skipped by position.
//!
//! Invariants:
//! - Calls that come from the change stream are made in its order, one after the other.
//! - A mirror that cannot be kept exact refuses queries from that moment on and asks for a new copy ([`Event::Resync`]); it never guesses.
//! - Positions: a table *at* position `p` contains exactly the commits that begin before `p`. A manifest's `applied_lsn` is `p - 1`, so that
//!   "skip commits up to `applied_lsn`" is right also for a commit that begins at `p` itself.
//! - Lock order: applier, then shared, then anything else. Nothing waits for I/O while it holds shared.

mod apply;
mod cache;
mod changes;
mod columns;
mod copy;
mod deletes;
mod flush;
mod fork;
mod index;
mod key;
mod layout;
mod orphans;
mod prune;
mod scan;
mod segment;
mod sift;
mod snapshot;
mod stats;
pub mod storage;
mod table;
#[cfg(test)]
mod tests;
mod uploads;
mod waiting;
mod write;

pub use copy::Sender as CopySender;
pub use scan::{Bindings, MirrorScan};
pub use snapshot::Snapshot;

use arrow::array::RecordBatch;
use changes::{ChangedRows, NetRows, Op};
use copy::Copying;
use fork::Fork;
use index::IndexCache;
use layout::Layout;
use object_store::path::Path;
use parking_lot::{Mutex, RwLock};
use segment::{Io, Segment};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use storage::Storage;
use table::{Part, Shared, Status, Table};
use tokio::sync::{Notify, mpsc, watch};
use waiting::{Room, Spool, TableChanges, Waiting};
use weir_capture::xids::RecentCommits;
use weir_plan::manifest::{Lsn, MirrorDef, MirrorState, PgSnapshot};
use weir_plan::protocol::MirrorStatus;
use weir_plan::{Error, Result};

/// What the change stream has reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything committed before this position is applied.
    pub lsn: Lsn,
    /// Everything committed before this time (of the machine's monotonic clock, in microseconds) is applied.
    pub time_us: Option<i64>,
}

/// What the worker has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The mirror can't be kept exact: copy it again.
    Resync { relid: u32, generation: i64, reason: String },
}

/// Indexes of segments get at least this much memory: that of one segment.
const MIN_INDEX_BYTES: u64 = 16 << 20;

/// What turned out outside of a call that returns events.
#[derive(Default)]
struct Noticed {
    /// Mirrors that are not exact.
    failed: Vec<(u32, i64, String)>,
    events: Vec<Event>,
}

/// A committed transaction's changes of one table, all rows found.
enum Ready {
    Small(apply::Prepared),
    Large(Box<Fork>),
}

/// A table as the applier knows it.
struct Mirror {
    layout: Arc<Layout>,
    phase: Phase,
    /// Commits that begin before this position are contained.
    skip_below: Lsn,
    finder: apply::Finder,
    /// What is in memory only.
    delta_bytes: usize,
    /// Segments of the last committed manifest, with the number of rows deleted there.
    durable: HashMap<i64, (Arc<Segment>, u32)>,
    /// The first commit that no manifest contains or is proposed to contain, and when it was applied.
    dirty: Option<Dirty>,
    /// The first commit that the manifest under way contains and the last committed one does not.
    flushing: Option<Dirty>,
    /// Unique in this process.
    instance: u64,
    /// The manifest says that the mirror is active.
    announced: bool,
    /// When the worker last found that somebody else was changing the mirror's row of the catalog.
    busy: Option<Instant>,
}

/// A commit that is not durable in segments.
#[derive(Debug, Clone, Copy)]
struct Dirty {
    lsn: Lsn,
    since: Instant,
}

enum Phase {
    Copying(Box<Copying>),
    /// Commits before the position are skipped if the copy's snapshot saw them. Kept with the position at which tracking began, until
    /// decoding has passed the snapshot.
    Copied {
        snapshot: PgSnapshot,
        lsn: Lsn,
        start: Lsn,
    },
    Following,
    /// Not exact; waits for the worker to drop it. Until then the catalog says that its manifest is to be used, and the slot stays.
    Invalid,
}

/// Everything that only the application of changes needs.
#[derive(Default)]
struct Applier {
    mirrors: HashMap<u32, Mirror>,
    /// Mirrors that could not be loaded; they wait for the worker to drop them.
    unloaded: HashSet<u32>,
    recent: RecentCommits,
}

/// All mirrors of the database.
pub struct Mirrors {
    io: Arc<Io>,
    shared: RwLock<Shared>,
    applier: tokio::sync::Mutex<Applier>,
    waiting: Mutex<Waiting>,
    noticed: Mutex<Noticed>,
    spool: Arc<Spool>,
    indexes: IndexCache,
    progress: watch::Sender<Progress>,
    flush_wanted: Notify,
    limits: RwLock<flush::Limits>,
    /// Since when deltas that became too large can't be written.
    deltas_failed: Mutex<Option<Instant>>,
    /// What deltas, waiting changes and indexes took when it was last looked at.
    held_bytes: AtomicUsize,
    /// The position that the slot may advance to, as last committed.
    slot_lsn: AtomicU64,
    /// One proposal at a time.
    flushing: Arc<tokio::sync::Mutex<()>>,
    garbage: tokio::sync::Mutex<mpsc::UnboundedReceiver<Path>>,
}

impl crate::pool::Cache for Mirrors {
    fn set_limit(&self, bytes: u64) {
        self.io.cache.set_limit(bytes);
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }
}

impl Mirrors {
    /// No mirror yet. `temp`: a directory for what does not fit into memory, up to as many bytes.
    pub fn new(storage: Storage, cache_limit_bytes: u64, memory_limit_bytes: u64, temp: (PathBuf, u64)) -> Arc<Self> {
        Self::with_limits(storage, cache_limit_bytes, flush::Limits::within(memory_limit_bytes), temp)
    }

    fn with_limits(storage: Storage, cache_limit_bytes: u64, limits: flush::Limits, temp: (PathBuf, u64)) -> Arc<Self> {
        let (io, garbage) = Io::new(storage, cache_limit_bytes);
        Arc::new(Mirrors {
            io,
            shared: RwLock::default(),
            applier: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            noticed: Mutex::default(),
            spool: Spool::new(temp.0, temp.1),
            indexes: IndexCache::new(limits.index_bytes),
            progress: watch::Sender::default(),
            flush_wanted: Notify::new(),
            limits: RwLock::new(limits),
            deltas_failed: Mutex::default(),
            held_bytes: AtomicUsize::new(0),
            slot_lsn: AtomicU64::new(0),
            flushing: Arc::default(),
            garbage: tokio::sync::Mutex::new(garbage),
        })
    }

    /// Follows changed settings.
    pub fn set_limits(&self, memory_limit_bytes: u64, temp_limit_bytes: u64) {
        let limits = flush::Limits::within(memory_limit_bytes);
        self.indexes.set_limit(limits.index_bytes);
        *self.limits.write() = limits;
        self.spool.set_limit(temp_limit_bytes);
    }

    fn limits(&self) -> flush::Limits {
        self.limits.read().clone()
    }

    pub fn cache_used_bytes(&self) -> u64 {
        self.io.cache.used_bytes()
    }

    /// How far changes are applied, to wait for.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Starts to follow a mirror, or takes it up again after a start. `lsn`: the decoding position.
    pub async fn load(&self, def: MirrorDef, lsn: Lsn) {
        let (relid, generation) = (def.relid, def.generation);
        // Files of an older generation are dead; those of this one are in use again.
        self.detach(relid, |old| old != generation).await;
        if let Err(e) = self.try_load(def, lsn).await {
            self.applier.lock().await.unloaded.insert(relid);
            self.noticed.lock().events.push(Event::Resync { relid, generation, reason: e.message });
        }
    }

    async fn try_load(&self, def: MirrorDef, lsn: Lsn) -> Result<()> {
        let layout = Layout::new(&def)?;
        let mut applier = self.applier.lock().await;
        let mut mirror = Mirror {
            layout: Arc::clone(&layout),
            phase: Phase::Following,
            skip_below: 0,
            finder: apply::Finder::default(),
            delta_bytes: 0,
            durable: HashMap::new(),
            dirty: None,
            flushing: None,
            instance: self.io.next_uid(),
            announced: false,
            busy: None,
        };
        let mut parts = Vec::new();
        let status = match def.state {
            MirrorState::Copying => {
                mirror.phase = Phase::Copying(Box::new(Copying::new(lsn)));
                Status::Copying
            }
            MirrorState::Active => {
                for meta in &def.segments {
                    let segment = Segment::new(&self.io, &layout, meta)?;
                    let deletes = deletes::DeleteVector::from_bytes(&meta.deletes, segment.rows)?;
                    mirror.durable.insert(segment.id, (Arc::clone(&segment), deletes.count()));
                    parts.push(Part::file(segment, deletes));
                }
                mirror.skip_below = def.applied_lsn.saturating_add(1);
                mirror.announced = true;
                Status::Active { from: mirror.skip_below }
            }
        };
        let mut shared = self.shared.write();
        shared.decoded = shared.decoded.max(lsn);
        shared.tables.insert(def.relid, Table::new(layout, status, parts, def.poisoned));
        applier.mirrors.insert(def.relid, mirror);
        Ok(())
    }

    /// Forgets a mirror and deletes its files once no query reads them.
    pub async fn drop_mirror(&self, relid: u32) {
        self.detach(relid, |_| true).await;
    }

    async fn detach(&self, relid: u32, delete_files: impl Fn(i64) -> bool) {
        let mut applier = self.applier.lock().await;
        let mirror = applier.mirrors.remove(&relid);
        applier.unloaded.remove(&relid);
        let table = self.shared.write().tables.remove(&relid);
        let of_parts = table.iter().flat_map(|t| &t.parts).filter_map(|part| match &part.rows {
            table::Rows::File(segment) => Some(segment),
            table::Rows::Mem(_) => None,
        });
        for segment in mirror.iter().flat_map(|m| m.durable.values().map(|(segment, _)| segment)).chain(of_parts) {
            self.indexes.forget(segment.uid);
            if delete_files(segment.layout.generation) {
                segment.doom();
            }
        }
    }

    /// The mirror cannot be followed any further.
    pub async fn invalidate(&self, relid: u32, reason: &str) {
        let mut applier = self.applier.lock().await;
        self.fail(&mut applier, relid, reason);
    }

    /// Rows that a transaction changed; nothing is visible before its commit. A batch that does not fit the mirror ends it.
    ///
    /// # Errors
    /// None today.
    pub fn changes(&self, relid: u32, generation: i64, xid: u32, batch: RecordBatch, poisoned: &[i16]) -> Result<()> {
        let layout = match self.shared.read().tables.get(&relid) {
            Some(table) if table.layout.generation == generation && !matches!(table.status, Status::Invalid(_)) => Arc::clone(&table.layout),
            _ => return Ok(()),
        };
        let changed = match ChangedRows::read(&layout, &batch) {
            Ok(changed) => changed,
            Err(e) => {
                self.noticed.lock().failed.push((relid, generation, e.message));
                return Ok(());
            }
        };
        self.wait_for_commit(relid, generation, xid, Op::Rows(changed), poisoned);
        Ok(())
    }

    /// A transaction emptied the table.
    ///
    /// # Errors
    /// None today; a signature like that of [`Mirrors::changes`].
    pub fn truncate(&self, relid: u32, generation: i64, xid: u32) -> Result<()> {
        self.wait_for_commit(relid, generation, xid, Op::Truncate, &[]);
        Ok(())
    }

    fn wait_for_commit(&self, relid: u32, generation: i64, xid: u32, op: Op, poisoned: &[i16]) {
        let added = self.waiting.lock().add(xid, relid, generation, op, poisoned, &self.room());
        if let Err(e) = added {
            let reason = format!("a transaction changes more than weir.memory_limit: {}", e.message);
            self.noticed.lock().failed.push((relid, generation, reason));
        }
    }

    fn room(&self) -> Room {
        let limits = self.limits.read();
        Room { bytes: limits.waiting_bytes, most_bytes: limits.memory_bytes, spool: Arc::clone(&self.spool) }
    }

    /// A transaction was rolled back.
    pub fn abort(&self, xid: u32) {
        drop(self.waiting.lock().take(xid));
    }

    /// Makes all changes of some transactions (xid and position of the commit, in order) visible together. What they changed was announced
    /// under the xid of the first. While a table is being copied there is one at a time.
    pub async fn commit(&self, transactions: &[(u32, Lsn)], end_lsn: Lsn) -> Vec<Event> {
        let (Some(&(xid, first_lsn)), Some(&(_, commit_lsn))) = (transactions.first(), transactions.last()) else { return Vec::new() };
        let transaction = self.waiting.lock().take(xid);
        let mut applier = self.applier.lock().await;
        let mut events = self.overdue_events(&mut applier);
        for &(xid, lsn) in transactions {
            applier.recent.note(xid, lsn);
        }
        let mut ready = Vec::with_capacity(transaction.len());
        for (relid, changes) in transaction {
            let Some(mirror) = applier.mirrors.get_mut(&relid) else { continue };
            if changes.generation != mirror.layout.generation || commit_lsn < mirror.skip_below {
                continue;
            }
            match self.prepare_commit(mirror, xid, commit_lsn, changes).await {
                Ok(changes) => ready.extend(changes.map(|changes| (relid, changes))),
                Err(e) => events.extend(self.fail(&mut applier, relid, &e.message)),
            }
        }
        let mut inexact = Vec::new();
        {
            let mut shared = self.shared.write();
            for (relid, changes) in ready {
                let (Some(mirror), Some(table)) = (applier.mirrors.get_mut(&relid), shared.tables.get_mut(&relid)) else { continue };
                if let Err(e) = self.apply_to(changes, mirror, table, first_lsn) {
                    inexact.push((relid, e.message));
                }
            }
            shared.decoded = shared.decoded.max(end_lsn);
            for (relid, reason) in inexact {
                events.extend(fail_in(&mut applier, &mut shared, relid, &reason));
            }
        }
        if self.note_held(&applier) > self.limits.read().deltas_bytes {
            self.bound_deltas(&mut applier).await;
            self.note_held(&applier);
        }
        self.progress.send_if_modified(|p| {
            let further = p.lsn < end_lsn;
            p.lsn = p.lsn.max(end_lsn);
            further
        });
        events
    }

    /// What a committed transaction does to one mirror; `None` if nothing is to be done now.
    async fn prepare_commit(&self, mirror: &mut Mirror, xid: u32, commit_lsn: Lsn, changes: TableChanges) -> Result<Option<Ready>> {
        match &mut mirror.phase {
            Phase::Invalid => return Ok(None),
            Phase::Copying(copying) => return copying.commit(&mirror.layout, xid, commit_lsn, changes, &self.room()).map(|()| None),
            Phase::Copied { snapshot, lsn, .. } if commit_lsn < *lsn && snapshot.sees(xid) => return Ok(None),
            Phase::Copied { .. } | Phase::Following => {}
        }
        self.prepare_changes(mirror, changes).await.map(Some)
    }

    async fn prepare_changes(&self, mirror: &mut Mirror, mut changes: TableChanges) -> Result<Ready> {
        let layout = Arc::clone(&mirror.layout);
        if !changes.is_written() && changes.bytes() <= self.limits.read().waiting_bytes as u64 {
            let mut net = NetRows::new(&layout);
            while let Some(op) = changes.next(&layout)? {
                net.absorb(op)?;
            }
            let mut prepared = apply::prepare(net, &layout, &mut mirror.finder, &self.shared, &self.indexes).await?;
            prepared.poisoned = changes.poisoned;
            return Ok(Ready::Small(prepared));
        }
        let parts = self.shared.read().tables.get(&layout.relid).map(|t| t.parts.iter().map(Part::fork).collect()).unwrap_or_default();
        let mut fork = Fork::new(&layout, parts, std::mem::take(&mut mirror.finder));
        fork.apply(changes, &self.means()).await?;
        Ok(Ready::Large(Box::new(fork)))
    }

    fn apply_to(&self, changes: Ready, mirror: &mut Mirror, table: &mut Table, first_lsn: Lsn) -> Result<()> {
        let empty = matches!(&changes, Ready::Small(p) if p.is_empty() && p.poisoned.is_empty());
        if !empty {
            mirror.dirty.get_or_insert_with(|| Dirty { lsn: first_lsn, since: Instant::now() });
        }
        let before: Vec<Arc<Segment>> = match &changes {
            Ready::Small(p) if !p.truncates() => Vec::new(),
            _ => table.segments().filter(|s| !mirror.durable.contains_key(&s.id)).cloned().collect(),
        };
        match changes {
            Ready::Small(prepared) => apply::apply(prepared, &mut mirror.finder, table, &mirror.layout.key, &self.io)?,
            Ready::Large(fork) => fork.take_place(table, &mut mirror.finder),
        }
        // What no manifest names, and a truncation took away. (One that is under way keeps it until the next one does not name it.)
        before.iter().filter(|s| table.part(s.uid).is_none()).for_each(|s| s.doom());
        mirror.delta_bytes = table.delta_bytes();
        let growing = mirror.finder.active.and_then(|uid| table.part(uid)).map_or(0, Part::delta_bytes);
        if growing > self.limits.read().delta_bytes {
            self.flush_wanted.notify_one();
        }
        Ok(())
    }

    /// For the account of memory. Gives what deltas take of it.
    fn note_held(&self, applier: &Applier) -> usize {
        let deltas: usize = applier.mirrors.values().map(|m| m.delta_bytes).sum();
        let held = deltas + self.waiting.lock().bytes() + usize::try_from(self.indexes.bytes()).unwrap_or(usize::MAX);
        self.held_bytes.store(held, Ordering::Relaxed);
        deltas
    }

    /// Everything up to `lsn` is decoded; so is what was committed before `time_us`.
    pub async fn caught_up(&self, lsn: Lsn, time_us: Option<i64>) -> Vec<Event> {
        let mut applier = self.applier.lock().await;
        let events = self.overdue_events(&mut applier);
        let decoded = {
            let mut shared = self.shared.write();
            shared.decoded = shared.decoded.max(lsn);
            shared.decoded
        };
        self.end_copies(&mut applier, decoded);
        self.progress.send_if_modified(|p| {
            let next = Progress { lsn: p.lsn.max(lsn), time_us: p.time_us.max(time_us) };
            std::mem::replace(p, next) != next
        });
        events
    }

    /// Mirrors whose copy's snapshot decoding has passed need it no longer.
    fn end_copies(&self, applier: &mut Applier, decoded: Lsn) {
        for mirror in applier.mirrors.values_mut() {
            if matches!(mirror.phase, Phase::Copied { lsn, .. } if decoded >= lsn) {
                mirror.phase = Phase::Following;
                self.flush_wanted.notify_one();
            }
        }
    }

    fn overdue_events(&self, applier: &mut Applier) -> Vec<Event> {
        let (failed, mut events) = {
            let mut noticed = self.noticed.lock();
            (std::mem::take(&mut noticed.failed), std::mem::take(&mut noticed.events))
        };
        let failed = failed.into_iter().chain(std::mem::take(&mut *self.io.lost.lock()));
        for (relid, generation, reason) in failed {
            if applier.mirrors.get(&relid).is_some_and(|m| m.layout.generation == generation) {
                events.extend(self.fail(applier, relid, &reason));
            }
        }
        events
    }

    fn fail(&self, applier: &mut Applier, relid: u32, reason: &str) -> Option<Event> {
        fail_in(applier, &mut self.shared.write(), relid, reason)
    }

    /// Gives up the mirrors with the most changes in memory until the others have no more than this: they cannot be written for `why`.
    pub async fn give_up_beyond(&self, limit_bytes: u64, why: &Error) -> Vec<Event> {
        let mut applier = self.applier.lock().await;
        let mut shared = self.shared.write();
        let mut deltas: Vec<_> = shared.tables.iter().map(|(relid, table)| (table.delta_bytes() as u64, *relid)).filter(|(bytes, _)| *bytes > 0).collect();
        deltas.sort_unstable();
        let mut bytes: u64 = deltas.iter().map(|(bytes, _)| bytes).sum();
        let mut events = Vec::new();
        while bytes > limit_bytes
            && let Some((largest, relid)) = deltas.pop()
        {
            events.extend(fail_in(&mut applier, &mut shared, relid, &format!("more changes than weir.memory_limit could not be written: {why}")));
            bytes -= largest;
        }
        events
    }

    /// Waits until a flush is worth while at once.
    pub async fn flush_wanted(&self) {
        self.flush_wanted.notified().await;
    }

    /// A consistent view of all mirrors, pinned for as long as it lives.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.shared.read())
    }

    pub fn status(&self) -> Vec<MirrorStatus> {
        let shared = self.shared.read();
        let status = |(relid, table): (&u32, &Table)| {
            let segments = || table.parts.iter().filter_map(|p| if let table::Rows::File(s) = &p.rows { Some(s) } else { None });
            let delta = || table.parts.iter().filter_map(|p| if let table::Rows::Mem(m) = &p.rows { Some((p, m)) } else { None });
            MirrorStatus {
                relid: *relid,
                generation: table.layout.generation,
                copying: table.status == Status::Copying,
                rows_copied: table.rows_copied,
                live_rows: table.live_rows(),
                size_bytes: segments().map(|s| s.size_bytes).sum::<u64>() + delta().map(|(_, m)| m.bytes as u64).sum::<u64>(),
                delta_rows: delta().map(|(p, _)| u64::from(p.live_rows())).sum(),
                segments: u32::try_from(segments().count()).unwrap_or(u32::MAX),
                applied_lsn: if table.status == Status::Copying { 0 } else { shared.decoded },
            }
        };
        shared.tables.iter().map(status).collect()
    }
}

/// The mirror is not exact, or can't be made so: no query may use it any more.
fn fail_in(applier: &mut Applier, shared: &mut Shared, relid: u32, reason: &str) -> Option<Event> {
    let mirror = applier.mirrors.get_mut(&relid)?;
    if matches!(mirror.phase, Phase::Invalid) {
        return None;
    }
    mirror.phase = Phase::Invalid;
    mirror.finder = apply::Finder::default();
    mirror.delta_bytes = 0;
    mirror.dirty = None;
    mirror.flushing = None;
    if let Some(table) = shared.tables.get_mut(&relid) {
        for part in &table.parts {
            // What the manifest names stays until the worker gives the mirror up.
            if let table::Rows::File(segment) = &part.rows
                && !mirror.durable.contains_key(&segment.id)
            {
                segment.doom();
            }
        }
        table.status = Status::Invalid(reason.to_owned());
        table.parts.clear();
        table.version += 1;
    }
    tracing::warn!("mirror {} is not exact any more: {reason}", mirror.layout.name);
    Some(Event::Resync { relid, generation: mirror.layout.generation, reason: reason.to_owned() })
}

/// An error for calls about a mirror that is not there, or not in this generation.
fn gone(relid: u32) -> Error {
    Error::refused(format!("relation {relid} is not mirrored in this generation"))
}
