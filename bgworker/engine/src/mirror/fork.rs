//! What changes more of a table than fits into memory at once.
//!
//! It is applied piece by piece to a copy of the table that no reader sees; segments take up what is inserted, like that of an initial copy. When all has
//! been applied, the copy takes the table's place, together with what the transaction changes elsewhere.
//!
//! Invariants:
//! - Whoever has a fork holds the applier's lock from its beginning to its end, so the table below it has the content it began with. What a flush puts
//!   in the place of parts waits for that lock, too.
//! - Segments of a fork that does not take the table's place are deleted, and so are those that it has truncated itself.
//! - What cannot be written stays in memory, up to a limit.

use super::apply::{self, Finder};
use super::changes::NetRows;
use super::deletes::DeleteVector;
use super::flush::Limits;
use super::index::IndexCache;
use super::layout::Layout;
use super::segment::{Io, Segment};
use super::table::{Chunk, Part, Rows, Shared, Status, Table};
use super::waiting::TableChanges;
use super::write::SegmentWriter;
use super::{Applier, Mirrors};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_plan::{Error, Result};

/// How long writing what is in memory may hold up the change stream; the storage may be one that does not answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long nothing more is tried after a failure.
const PAUSE: Duration = Duration::from_secs(10);

/// Deltas of fewer bytes are not written to make room.
const SMALL_DELTA_BYTES: usize = if cfg!(test) { 1 << 9 } else { 1 << 18 };

/// What a fork needs of the mirrors.
pub struct Means<'a> {
    pub io: &'a Arc<Io>,
    pub indexes: &'a IndexCache,
    pub limits: Limits,
}

pub struct Fork {
    layout: Arc<Layout>,
    /// With this table only.
    shared: RwLock<Shared>,
    finder: Finder,
    segments: Vec<Arc<Segment>>,
    pub poisoned: Vec<i16>,
    /// Why it is not written what is in memory, and since when.
    failed: Option<(Error, Instant)>,
}

impl Drop for Fork {
    fn drop(&mut self) {
        self.segments.iter().for_each(|s| s.doom());
    }
}

impl Fork {
    /// `finder`: that of the table, which gets another one if the fork takes its place, and must not be used before.
    pub fn new(layout: &Arc<Layout>, parts: Vec<Part>, mut finder: Finder) -> Fork {
        let mut shared = Shared::default();
        shared.tables.insert(layout.relid, Table::new(Arc::clone(layout), Status::Copying, parts, Vec::new()));
        // What grows must be its own.
        finder.active = None;
        Fork { layout: Arc::clone(layout), shared: RwLock::new(shared), finder, segments: Vec::new(), poisoned: Vec::new(), failed: None }
    }

    /// Applies changes in pieces.
    ///
    /// # Errors
    /// The mirror is not exact, or there is more than memory and storage can take.
    pub async fn apply(&mut self, mut changes: TableChanges, means: &Means<'_>) -> Result<()> {
        let mut net = NetRows::new(&self.layout);
        while let Some(op) = changes.next(&self.layout)? {
            net.absorb(op)?;
            if net.cost_bytes >= means.limits.piece_bytes {
                let next = net.successor();
                self.piece(std::mem::replace(&mut net, next), means).await?;
            }
        }
        self.piece(net, means).await?;
        self.poisoned.append(&mut changes.poisoned);
        Ok(())
    }

    async fn piece(&mut self, net: NetRows, means: &Means<'_>) -> Result<()> {
        let prepared = apply::prepare(net, &self.layout, &mut self.finder, &self.shared, means.indexes).await?;
        let delta = {
            let mut shared = self.shared.write();
            let table = shared.tables.get_mut(&self.layout.relid).ok_or_else(|| Error::internal("a fork without its table"))?;
            apply::apply(prepared, &mut self.finder, table, &self.layout.key, means.io)?;
            self.finder.active.and_then(|uid| table.part(uid)).map_or(0, Part::delta_bytes)
        };
        // Other work on this runtime gets its turn.
        tokio::task::yield_now().await;
        if delta <= means.limits.delta_bytes {
            return Ok(());
        }
        if self.failed.as_ref().is_none_or(|(_, since)| since.elapsed() > PAUSE) {
            self.failed = self.write_out(means).await.err().map(|e| (e, Instant::now()));
        }
        match &self.failed {
            Some((e, _)) if delta > means.limits.memory_bytes => {
                Err(Error::refused(format!("more changes than weir.memory_limit could not be written: {}", e.message)))
            }
            _ => Ok(()),
        }
    }

    /// Segments take the place of what is in memory.
    async fn write_out(&mut self, means: &Means<'_>) -> Result<()> {
        let Some((uid, chunks, deletes)) = self.finder.active.and_then(|uid| content(&self.shared, self.layout.relid, uid)) else { return Ok(()) };
        let segments = write(&self.layout, &chunks, &deletes, means).await?;
        self.segments.extend(segments.iter().cloned());
        if let Some(table) = self.shared.write().tables.get_mut(&self.layout.relid) {
            replace(table, &mut self.finder, uid, segments);
        }
        Ok(())
    }

    /// Becomes the content of the table.
    pub fn take_place(mut self, table: &mut Table, finder: &mut Finder) {
        let own = self.shared.get_mut().tables.remove(&self.layout.relid);
        table.parts = own.map(|t| t.parts).unwrap_or_default();
        table.version += 1;
        table.poison(&self.poisoned);
        *finder = std::mem::take(&mut self.finder);
        finder.parts_changed();
        // The others are deleted.
        self.segments.retain(|s| table.part(s.uid).is_none());
    }
}

/// A part of the delta as it is now.
fn content(shared: &RwLock<Shared>, relid: u32, uid: u64) -> Option<(u64, Vec<Chunk>, DeleteVector)> {
    let shared = shared.read();
    let part = shared.tables.get(&relid)?.part(uid)?;
    match &part.rows {
        Rows::Mem(mem) => Some((uid, mem.chunks.clone(), part.deletes.clone())),
        Rows::File(_) => None,
    }
}

async fn write(layout: &Arc<Layout>, chunks: &[Chunk], deletes: &DeleteVector, means: &Means<'_>) -> Result<Vec<Arc<Segment>>> {
    let write = async {
        let mut writer = SegmentWriter::new(means.io, layout, &means.limits);
        for chunk in chunks {
            if let Some(batch) = super::flush::live(&chunk.batch, chunk.start, deletes)? {
                writer.write(&batch).await?;
            }
        }
        writer.finish().await
    };
    let late = |_| Error::internal(format!("the storage did not take it within {WRITE_TIMEOUT:?}"));
    tokio::time::timeout(WRITE_TIMEOUT, write).await.map_err(late)?
}

fn replace(table: &mut Table, finder: &mut Finder, uid: u64, segments: Vec<Arc<Segment>>) {
    if let Some(at) = table.parts.iter().position(|p| p.uid == uid) {
        table.parts.splice(at..=at, segments.into_iter().map(|s| Part::file(s, DeleteVector::default())));
    }
    table.version += 1;
    finder.mem.remove(&uid);
    finder.active = finder.active.filter(|active| *active != uid);
    finder.parts_changed();
}

impl Mirrors {
    pub(super) fn means(&self) -> Means<'_> {
        Means { io: &self.io, indexes: &self.indexes, limits: self.limits() }
    }

    /// Writes the largest deltas to segments until all together are within their limit again: changes come faster than flushes take them away. What a flush
    /// is writing is left alone. The next flush makes the segments durable.
    pub(super) async fn bound_deltas(&self, applier: &mut Applier) {
        let means = self.means();
        while self.deltas_failed.lock().is_none_or(|since| since.elapsed() > PAUSE)
            && let Some((relid, uid)) = self.largest_delta(applier, means.limits.deltas_bytes)
        {
            let Some(mirror) = applier.mirrors.get_mut(&relid) else { return };
            let Some((uid, chunks, deletes)) = content(&self.shared, relid, uid) else { return };
            // Who holds the applier's lock sees to it that nothing changes meanwhile.
            let written = write(&mirror.layout, &chunks, &deletes, &means).await;
            *self.deltas_failed.lock() = written.is_err().then(Instant::now);
            match written {
                Ok(segments) => {
                    if let Some(table) = self.shared.write().tables.get_mut(&relid) {
                        replace(table, &mut mirror.finder, uid, segments);
                        mirror.delta_bytes = table.delta_bytes();
                    }
                }
                Err(e) => tracing::warn!("could not write changes of mirror {}: {e}", mirror.layout.name),
            }
        }
    }

    /// The largest part of a delta that still grows, if all deltas together have more than this.
    fn largest_delta(&self, applier: &Applier, limit_bytes: usize) -> Option<(u32, u64)> {
        if applier.mirrors.values().map(|m| m.delta_bytes).sum::<usize>() <= limit_bytes {
            return None;
        }
        let shared = self.shared.read();
        let growing = applier.mirrors.iter().filter_map(|(relid, mirror)| {
            let uid = mirror.finder.active?;
            Some((shared.tables.get(relid)?.part(uid)?.delta_bytes(), *relid, uid))
        });
        growing.max().filter(|(bytes, ..)| *bytes >= SMALL_DELTA_BYTES).map(|(_, relid, uid)| (relid, uid))
    }
}
