//! From the delta to segments, and from there to the manifest.
//!
//! A flush *captures* the content of a table at one position: the delta's rows then, the segments and their delete vectors then. It writes
//! the rows of the delta, and of segments that are worth rewriting, to new segments, and proposes a manifest. Changes go on meanwhile. When
//! the manifest is committed, the new segments take the place of what they were written from, and rows that were deleted since the
//! capture are deleted in them.
//!
//! Invariants:
//! - Rewritten rows keep their order, so the new place of a row is the number of rows that were live before it.
//! - A manifest is the exact content at its position; the slot advances to the least position over all mirrors.
//! - A file is deleted only after the manifest without it is committed and nobody reads it.

use super::deletes::DeleteVector;
use super::layout::Layout;
use super::segment::{Segment, collect_garbage};
use super::table::{Part, PartView, Rows, RowsView, Table};
use super::write::{ROW_GROUP_ROWS, SEGMENT_ROWS, SegmentWriter};
use super::{Applier, Dirty, Event, MIN_INDEX_BYTES, Mirror, Mirrors, Phase};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;
use weir_plan::manifest::{Lsn, ManifestChange, MirrorState, SegmentMeta};
use weir_plan::protocol::ManifestOutcome;
use weir_plan::{Error, Result};

/// How long others are written without a mirror that somebody is changing.
const BUSY_FOR: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 20 });

/// Rows that are read at once to be written anew.
const REWRITE_BATCH_ROWS: usize = 1 << 13;

/// When to write, what to write anew, and how much of it all may be in memory.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one table's delta that call for a flush at once.
    pub delta_bytes: usize,
    /// Bytes of all deltas beyond which changes wait until the largest are written.
    pub deltas_bytes: usize,
    /// Bytes of changes that wait for their commit in memory.
    pub waiting_bytes: usize,
    /// About what a piece of a transaction may take that is applied in pieces.
    pub piece_bytes: usize,
    /// Bytes of indexes of segments.
    pub index_bytes: u64,
    /// Bytes of changes that can't be written.
    pub memory_bytes: usize,
    /// A commit waits no longer than this for a flush.
    pub age: Duration,
    pub segment_rows: u32,
    pub row_group_rows: usize,
    /// Bytes of a row group's values.
    pub row_group_bytes: usize,
    /// Segments of fewer live rows are small; this many are rewritten together, and so on by powers of four.
    pub small_rows: u32,
    pub fan_in: usize,
    /// Rows read for compaction in one flush.
    pub rewrite_rows: u32,
}

impl Limits {
    /// Those of an engine with so much memory: a half of it at most is for what mirrors have in memory.
    pub fn within(memory_bytes: u64) -> Self {
        let memory = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        const MB: usize = 1 << 20;
        Self {
            delta_bytes: (memory / 8).clamp(4 * MB, 64 * MB),
            deltas_bytes: memory / 4,
            waiting_bytes: (memory / 8).clamp(4 * MB, 256 * MB),
            piece_bytes: (memory / 16).clamp(4 * MB, 64 * MB),
            index_bytes: (memory_bytes / 8).max(MIN_INDEX_BYTES),
            memory_bytes: memory,
            age: Duration::from_secs(30),
            segment_rows: SEGMENT_ROWS,
            row_group_rows: ROW_GROUP_ROWS,
            row_group_bytes: (memory / 8).clamp(8 * MB, 48 * MB),
            small_rows: 1 << 15,
            fan_in: 6,
            rewrite_rows: SEGMENT_ROWS * 4,
        }
    }
}

/// A table's content at one position, being written.
struct Captured {
    layout: Arc<Layout>,
    instance: u64,
    position: Lsn,
    /// Parts that are rewritten.
    sources: Vec<PartView>,
    /// Segments that stay, with their delete vectors.
    kept: Vec<(Arc<Segment>, DeleteVector)>,
    durable: HashMap<i64, (Arc<Segment>, u32)>,
    poisoned: Vec<i16>,
    live_rows: u64,
    outputs: Vec<Arc<Segment>>,
}

/// What the worker is to commit.
pub struct ManifestProposal {
    pub changes: Vec<ManifestChange>,
    pub slot_lsn: Lsn,
    captured: Vec<Captured>,
    _one_at_a_time: OwnedMutexGuard<()>,
}

impl Mirrors {
    /// Writes what is due, with `force` all that is not durable; `None` if there is nothing to commit.
    ///
    /// # Errors
    /// A segment cannot be written or read. Nothing is lost: the next flush tries again.
    pub async fn flush(&self, force: bool) -> Result<Option<ManifestProposal>> {
        let Ok(one_at_a_time) = Arc::clone(&self.flushing).try_lock_owned() else { return Ok(None) };
        collect_garbage(&self.io, &mut *self.garbage.lock().await).await;
        let (mut captured, slot_lsn) = self.capture(&mut *self.applier.lock().await, force)?;
        let mut result = Ok(());
        for c in &mut captured {
            result = self.rewrite(c).await;
            if result.is_err() {
                break;
            }
        }
        if let Err(e) = result {
            captured.iter().flat_map(|c| &c.outputs).for_each(|s| s.doom());
            return Err(e);
        }
        if captured.is_empty() && slot_lsn <= self.slot_lsn.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let changes = captured.iter().map(Captured::change).collect();
        Ok(Some(ManifestProposal { changes, slot_lsn, captured, _one_at_a_time: one_at_a_time }))
    }

    fn capture(&self, applier: &mut Applier, force: bool) -> Result<(Vec<Captured>, Lsn)> {
        let limits = self.limits();
        let shared = self.shared.read();
        let decoded = shared.decoded;
        // The catalog still says that a mirror is to be used which is given up: whoever takes it up again needs what came since its manifest.
        let given_up = !applier.unloaded.is_empty() || applier.mirrors.values().any(|m| matches!(m.phase, Phase::Invalid));
        let mut slot_lsn = if given_up { self.slot_lsn.load(Ordering::Relaxed) } else { decoded };
        let mut captured = Vec::new();
        for (relid, mirror) in &mut applier.mirrors {
            let Some(table) = shared.tables.get(relid) else { continue };
            // An earlier proposal that came to nothing.
            mirror.dirty = earlier(mirror.flushing.take(), mirror.dirty);
            match (&mirror.phase, mirror.dirty) {
                (Phase::Invalid, _) => {}
                (Phase::Copying(copying), _) => slot_lsn = slot_lsn.min(copying.start),
                (Phase::Copied { start, .. }, _) => slot_lsn = slot_lsn.min(*start),
                (Phase::Following, None) => {}
                (Phase::Following, Some(dirty)) => {
                    let due = force || !mirror.announced || table.delta_bytes() > limits.delta_bytes || dirty.since.elapsed() >= limits.age;
                    let waits = !force && mirror.busy.is_some_and(|since| since.elapsed() < BUSY_FOR);
                    if due && !waits && decoded >= mirror.skip_below {
                        captured.push(capture_table(mirror, table, decoded, &limits)?);
                        mirror.flushing = mirror.dirty.take();
                    } else {
                        slot_lsn = slot_lsn.min(dirty.lsn);
                    }
                }
            }
        }
        Ok((captured, slot_lsn))
    }

    async fn rewrite(&self, captured: &mut Captured) -> Result<()> {
        let mut writer = SegmentWriter::new(&self.io, &captured.layout, &self.limits());
        let all: Vec<usize> = (0..captured.layout.schema.fields().len()).collect();
        for source in &captured.sources {
            if source.deletes.count() == source.row_count {
                continue;
            }
            match &source.rows {
                RowsView::Mem(chunks) => {
                    for chunk in chunks.iter() {
                        if let Some(batch) = live(&chunk.batch, chunk.start, &source.deletes)? {
                            writer.write(&batch).await?;
                        }
                    }
                }
                RowsView::File(segment) => {
                    let footer = segment.footer().await?;
                    for (i, group) in footer.row_groups.iter().enumerate() {
                        if source.deletes.count_in(group.start, group.rows) == group.rows {
                            continue;
                        }
                        let mut batches = segment.stream(i, &all, REWRITE_BATCH_ROWS).await?;
                        let mut start = group.start;
                        while let Some((columns, rows)) = batches.next().await? {
                            let batch = captured.layout.normalise(&columns, rows as usize)?;
                            if let Some(batch) = live(&batch, start, &source.deletes)? {
                                writer.write(&batch).await?;
                            }
                            start += rows;
                        }
                    }
                }
            }
        }
        captured.outputs = writer.finish().await?;
        let expected: u64 = captured.sources.iter().map(|s| u64::from(s.row_count - s.deletes.count())).sum();
        let written: u64 = captured.outputs.iter().map(|s| u64::from(s.rows)).sum();
        if expected != written {
            return Err(Error::internal(format!("a flush of mirror {} wrote {written} rows instead of {expected}", captured.layout.name)));
        }
        Ok(())
    }

    /// The worker's answer.
    pub async fn manifest_committed(&self, proposal: ManifestProposal, outcome: ManifestOutcome) -> Vec<Event> {
        let ok = outcome == ManifestOutcome::Committed;
        let ManifestProposal { captured, slot_lsn, .. } = proposal;
        let mut applier = self.applier.lock().await;
        let events = self.overdue_events(&mut applier);
        if let ManifestOutcome::Busy { relid } = outcome
            && let Some(mirror) = applier.mirrors.get_mut(&relid)
        {
            mirror.busy = Some(Instant::now());
        }
        if ok {
            self.slot_lsn.fetch_max(slot_lsn, Ordering::Relaxed);
        }
        for c in captured {
            let mirror = applier.mirrors.get_mut(&c.layout.relid).filter(|m| m.instance == c.instance);
            match mirror {
                Some(mirror) if ok => self.install(mirror, c),
                _ => c.outputs.iter().for_each(|s| s.doom()),
            }
        }
        self.note_held(&applier);
        events
    }

    /// Puts what was written in the place of what it was written from.
    fn install(&self, mirror: &mut Mirror, mut captured: Captured) {
        let relid = captured.layout.relid;
        // Columns were added meanwhile.
        if !Arc::ptr_eq(&captured.layout, &mirror.layout) {
            captured.outputs.iter_mut().for_each(|s| *s = s.with_layout(&mirror.layout));
        }
        let after: HashMap<i64, (Arc<Segment>, u32)> = captured.after().map(|(s, deletes)| (s.id, (Arc::clone(s), deletes))).collect();
        for (id, (segment, _)) in &captured.durable {
            if !after.contains_key(id) {
                self.indexes.forget(segment.uid);
                segment.doom();
            }
        }
        // What was written anew may never have been part of a manifest: a large transaction or a copy has made it.
        for source in &captured.sources {
            if let RowsView::File(segment) = &source.rows
                && !after.contains_key(&segment.id)
            {
                self.indexes.forget(segment.uid);
                segment.doom();
            }
        }
        mirror.durable = after;
        mirror.announced = true;
        mirror.flushing = None;
        if matches!(mirror.phase, Phase::Invalid) {
            return;
        }
        let mut shared = self.shared.write();
        let Some(table) = shared.tables.get_mut(&relid) else { return };
        let rewritten: HashSet<u64> = captured.sources.iter().map(|s| s.uid).collect();
        // A truncation took all parts away at once; then there is nothing to replace, and the next manifest removes the new segments.
        let present = table.parts.iter().filter(|p| rewritten.contains(&p.uid)).count();
        if present == rewritten.len() && present > 0 {
            let outputs = carry_over(table, &captured);
            let at = table.parts.iter().position(|p| rewritten.contains(&p.uid)).unwrap_or(0);
            table.parts.retain(|p| !rewritten.contains(&p.uid));
            let at = at.min(table.parts.len());
            table.parts.splice(at..at, outputs);
            table.version += 1;
        }
        mirror.delta_bytes = table.delta_bytes();
        for uid in rewritten {
            mirror.finder.mem.remove(&uid);
        }
        mirror.finder.parts_changed();
    }
}

fn capture_table(mirror: &mut Mirror, table: &Table, position: Lsn, limits: &Limits) -> Result<Captured> {
    // The delta's last part grows no more.
    mirror.finder.active = None;
    let rewritten = choose(table, limits);
    let view = table.view()?;
    let mut sources: Vec<PartView> = view.parts.iter().filter(|p| rewritten.contains(&p.uid)).cloned().collect();
    // Parts without a live row are no part of the view, but go as well.
    let empty = table.parts.iter().filter(|p| rewritten.contains(&p.uid) && p.live_rows() == 0);
    sources.extend(empty.map(|p| {
        let rows = match &p.rows {
            Rows::File(segment) => RowsView::File(Arc::clone(segment)),
            Rows::Mem(_) => RowsView::Mem(Arc::default()),
        };
        PartView { uid: p.uid, rows, row_count: p.row_count(), deletes: p.deletes.clone() }
    }));
    let kept = table.parts.iter().filter(|p| !rewritten.contains(&p.uid)).filter_map(|p| match &p.rows {
        Rows::File(segment) => Some((Arc::clone(segment), p.deletes.clone())),
        Rows::Mem(_) => None,
    });
    Ok(Captured {
        layout: Arc::clone(&mirror.layout),
        instance: mirror.instance,
        position,
        sources,
        kept: kept.collect(),
        durable: mirror.durable.clone(),
        poisoned: table.poisoned.clone(),
        live_rows: table.live_rows(),
        outputs: Vec::new(),
    })
}

fn earlier(a: Option<Dirty>, b: Option<Dirty>) -> Option<Dirty> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.lsn <= b.lsn { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// The rows of a batch that are not deleted.
pub fn live(batch: &RecordBatch, start: u32, deletes: &DeleteVector) -> Result<Option<RecordBatch>> {
    let rows = u32::try_from(batch.num_rows()).map_err(|_| Error::internal("too many rows in a batch"))?;
    match deletes.keep(start, rows) {
        None => Ok(Some(batch.clone())),
        Some(mask) if mask.count_set_bits() == 0 => Ok(None),
        Some(mask) => {
            let kept = filter_record_batch(batch, &BooleanArray::new(mask, None)).map_err(|e| Error::internal(e.to_string()))?;
            Ok(Some(kept))
        }
    }
}

/// Parts to be written anew: the whole delta, segments that lost much, and small segments when there are many of one size.
fn choose(table: &Table, limits: &Limits) -> HashSet<u64> {
    let mut chosen = HashSet::new();
    let mut budget = limits.rewrite_rows;
    let mut by_size: HashMap<u32, Vec<(u64, u32)>> = HashMap::new();
    for part in &table.parts {
        let live = part.live_rows();
        let mut take = |uid| {
            if live <= budget {
                budget -= live;
                chosen.insert(uid);
            }
        };
        match &part.rows {
            Rows::Mem(_) => {
                chosen.insert(part.uid);
            }
            Rows::File(_) if live == 0 || u64::from(part.deletes.count()) * 10 > u64::from(part.row_count()) * 3 => take(part.uid),
            Rows::File(segment) if live < limits.segment_rows / 2 => {
                let order = if live < limits.small_rows { 0 } else { 1 + (live / limits.small_rows.max(1)).ilog(4) };
                by_size.entry(order).or_default().push((segment.uid, live));
            }
            Rows::File(_) => {}
        }
    }
    for group in by_size.values().filter(|g| g.len() >= limits.fan_in) {
        for (uid, live) in group {
            if *live <= budget {
                budget -= live;
                chosen.insert(*uid);
            }
        }
    }
    chosen
}

/// The new segments as parts, with the deletes since the capture.
fn carry_over(table: &Table, captured: &Captured) -> Vec<Part> {
    let mut parts: Vec<Part> = captured.outputs.iter().map(|s| Part::file(Arc::clone(s), DeleteVector::default())).collect();
    let starts: Vec<u64> = captured
        .outputs
        .iter()
        .scan(0u64, |next, s| {
            let start = *next;
            *next += u64::from(s.rows);
            Some(start)
        })
        .collect();
    let mut before = 0u64;
    for source in &captured.sources {
        if let Some(part) = table.part(source.uid) {
            for row in part.deletes.since(&source.deletes) {
                let place = before + u64::from(row - source.deletes.rank(row));
                let at = starts.partition_point(|s| *s <= place).saturating_sub(1);
                if let (Some(part), Some(start)) = (parts.get_mut(at), starts.get(at)) {
                    part.deletes.set(u32::try_from(place - start).unwrap_or(u32::MAX));
                }
            }
        }
        before += u64::from(source.row_count - source.deletes.count());
    }
    parts
}

impl Captured {
    /// The segments of the manifest, with the number of deleted rows.
    fn after(&self) -> impl Iterator<Item = (&Arc<Segment>, u32)> {
        self.kept.iter().map(|(s, d)| (s, d.count())).chain(self.outputs.iter().map(|s| (s, 0)))
    }

    fn change(&self) -> ManifestChange {
        let meta = |segment: &Segment, deletes: Vec<u8>| SegmentMeta {
            id: segment.id,
            path: segment.path.clone(),
            rows: u64::from(segment.rows),
            size_bytes: segment.size_bytes,
            deletes,
        };
        let mut add: Vec<SegmentMeta> = self.outputs.iter().map(|s| meta(s, Vec::new())).collect();
        let mut deletes = Vec::new();
        for (segment, current) in &self.kept {
            match self.durable.get(&segment.id) {
                None => add.push(meta(segment, current.to_bytes())),
                Some((_, count)) if *count != current.count() => deletes.push((segment.id, current.to_bytes())),
                Some(_) => {}
            }
        }
        let after: HashSet<i64> = self.after().map(|(s, _)| s.id).collect();
        ManifestChange {
            relid: self.layout.relid,
            generation: self.layout.generation,
            applied_lsn: self.position.saturating_sub(1),
            state: MirrorState::Active,
            add,
            remove: self.durable.keys().filter(|id| !after.contains(id)).copied().collect(),
            deletes,
            poisoned: self.poisoned.clone(),
            live_rows: self.live_rows,
            size_bytes: self.after().map(|(s, _)| s.size_bytes).sum(),
        }
    }
}
