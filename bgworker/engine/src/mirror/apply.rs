//! Applying transactions: finding the rows that changes name, then changing all tables of a transaction at once.
//!
//! Two steps. [`prepare`] finds everything and may read segments; readers are not held up by it. [`apply`] changes the shared state under
//! its write lock and cannot fail for reasons outside. Between the two nothing else may change the parts: both run under the applier's lock.

use super::changes::{Fetched, NetRows};
use super::deletes::DeleteVector;
use super::index::{IndexCache, MemIndex};
use super::key::{Key, KeyCodec};
use super::layout::Layout;
use super::segment::{Io, Segment};
use super::table::{Mem, Part, Rows, Shared, Table};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use parking_lot::RwLock;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use weir_capture::net::Source;
use weir_plan::{Error, Result};

/// A transaction of more rows is indexed when they are looked for, and not while readers wait.
const EAGER_ROWS: usize = if cfg!(test) { 4 } else { 1024 };

/// A row of a table: part and row.
type Place = (u64, u32);

/// A segment as the applier looks for keys in it.
#[derive(Debug)]
struct FileEntry {
    segment: Arc<Segment>,
    /// Range of the first key column, if it is an integer and the range is known.
    range: Option<(i64, i64)>,
}

/// What the applier knows of a table beside what readers see.
#[derive(Debug, Default)]
pub struct Finder {
    /// By part; may lack the last rows, or be missing.
    pub mem: HashMap<u64, MemIndex>,
    /// The part that still grows.
    pub active: Option<u64>,
    /// The segments, newest first; rebuilt when parts come or go.
    files: Option<Vec<FileEntry>>,
}

impl Finder {
    /// Parts came or went.
    pub fn parts_changed(&mut self) {
        self.files = None;
    }
}

/// What a transaction does to one table, with all rows found.
pub struct Prepared {
    truncate: bool,
    deletes: Vec<Place>,
    inserts: Vec<RecordBatch>,
    keys: Vec<Key>,
    pub poisoned: Vec<i16>,
}

impl Prepared {
    pub fn truncates(&self) -> bool {
        self.truncate
    }

    pub fn is_empty(&self) -> bool {
        !self.truncate && self.deletes.is_empty() && self.inserts.is_empty()
    }
}

/// Finds the rows that `net` names.
///
/// # Errors
/// A row is not there, so the mirror is not exact; or a segment cannot be read.
pub async fn prepare(net: NetRows, layout: &Layout, finder: &mut Finder, shared: &RwLock<Shared>, indexes: &IndexCache) -> Result<Prepared> {
    let truncate = net.net.truncated();
    let mut places: Vec<Option<Place>> = vec![None; net.net.base_deletes().len()];
    if !places.is_empty() {
        find(net.net.base_deletes(), &mut places, layout, finder, shared, indexes).await?;
        let missing = places.iter().filter(|p| p.is_none()).count();
        if missing > 0 {
            return Err(Error::refused(format!("{missing} changed rows were not found")));
        }
    }
    let fetched = fetch(&net, &places, layout, shared).await?;
    let (inserts, keys) = net.finish(fetched)?;
    Ok(Prepared { truncate, deletes: places.into_iter().flatten().collect(), inserts, keys, poisoned: Vec::new() })
}

async fn find(keys: &[Key], places: &mut [Option<Place>], layout: &Layout, finder: &mut Finder, shared: &RwLock<Shared>, indexes: &IndexCache) -> Result<()> {
    let open = find_in_delta(keys, places, layout, finder, shared)?;
    if open.is_empty() {
        return Ok(());
    }
    if finder.files.is_none() {
        finder.files = Some(file_entries(layout, shared).await?);
    }
    // How far the candidates for a key are used up, in the segment at hand.
    let mut used: HashMap<&Key, usize> = HashMap::new();
    // (key, its first column if that is an integer, its hash)
    let mut open: Vec<(usize, Option<i64>, u64)> =
        open.into_iter().map(|i| (i, layout.key.lead(&keys[i], &layout.schema), indexes.hasher.hash(&keys[i]))).collect();
    for entry in finder.files.iter().flatten() {
        let outside = |lead: Option<i64>| matches!((lead, entry.range), (Some(lead), Some((min, max))) if !(min..=max).contains(&lead));
        let absent = |hash: u64| entry.segment.filter.get().is_some_and(|filter| !filter.may_have(hash));
        let mut wanted: Vec<usize> = open.iter().filter(|(_, lead, hash)| !outside(*lead) && !absent(*hash)).map(|(i, ..)| *i).collect();
        if wanted.is_empty() {
            continue;
        }
        let index = indexes.get(&entry.segment).await?;
        let segment = &entry.segment;
        let Some(deletes) = deletes_of(shared, layout.relid, segment.uid) else { continue };
        used.clear();
        if index.is_exact() {
            for i in wanted {
                let rows = index.candidates(&keys[i], &indexes.hasher);
                places[i] = next_match(rows, used.entry(&keys[i]).or_default(), |row| !deletes.is_set(row)).map(|row| (segment.uid, row));
            }
        } else {
            wanted.retain(|&i| index.candidates(&keys[i], &indexes.hasher).next().is_some());
            let rows_of = |i: usize| index.candidates(&keys[i], &indexes.hasher).filter(|&row| !deletes.is_set(row));
            // The same key may be wanted many times, and have many candidates.
            let mut seen: HashSet<&Key> = HashSet::new();
            let mut rows: Vec<u32> = wanted.iter().filter(|&&i| seen.insert(&keys[i])).flat_map(|&i| rows_of(i)).collect();
            rows.sort_unstable();
            rows.dedup();
            let found = read_rows(segment, layout.key.physical(), &rows).await?;
            let row_keys = layout.key.of_columns(&found)?;
            for i in wanted {
                let matches = |row: u32| rows.binary_search(&row).is_ok_and(|at| row_keys.equals(at, &keys[i]));
                places[i] = next_match(rows_of(i), used.entry(&keys[i]).or_default(), matches).map(|row| (segment.uid, row));
            }
        }
        open.retain(|(i, ..)| places[*i].is_none());
        if open.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The first candidate from `used` on that matches; what was passed is used up.
fn next_match(candidates: impl Iterator<Item = u32>, used: &mut usize, matches: impl Fn(u32) -> bool) -> Option<u32> {
    candidates.skip(*used).inspect(|_| *used += 1).find(|&row| matches(row))
}

/// Finds what is in the delta; gives the keys that are not.
fn find_in_delta(keys: &[Key], places: &mut [Option<Place>], layout: &Layout, finder: &mut Finder, shared: &RwLock<Shared>) -> Result<Vec<usize>> {
    let Some(parts) = delta_parts(layout, finder, shared) else { return Ok((0..keys.len()).collect()) };
    for (uid, rows, deletes) in parts {
        let index = finder.mem.entry(uid).or_default();
        for batch in rows {
            let batch_keys = layout.key.of_batch(&batch)?;
            for row in 0..batch.num_rows() {
                let live = !deletes.is_set(index.rows());
                if !index.push(batch_keys.key(row), live, layout.key.unique)? {
                    return Err(Error::refused("a key was inserted that exists"));
                }
            }
        }
    }
    // Where several rows have one key, where the search for the next one goes on.
    let mut taken: HashMap<&Key, Place> = HashMap::new();
    let mut open = Vec::new();
    let indexes: Vec<(u64, &MemIndex)> = finder.mem.iter().map(|(&uid, index)| (uid, index)).collect();
    for (i, key) in keys.iter().enumerate() {
        let (first, before) = match taken.get(key) {
            Some((part, row)) => (indexes.iter().position(|(uid, _)| uid == part).unwrap_or(0), Some(*row)),
            None => (0, None),
        };
        let tries = indexes.iter().skip(first).enumerate();
        let hit = tries.filter_map(|(n, (uid, index))| Some((*uid, index.find(key, if n == 0 { before } else { None })?))).next();
        match hit {
            Some(place) => {
                taken.insert(key, place);
                places[i] = Some(place);
            }
            None => open.push(i),
        }
    }
    Ok(open)
}

/// The parts of the delta with the rows that their indexes lack; `None` if there is no delta.
#[allow(clippy::type_complexity, reason = "used once")]
fn delta_parts(layout: &Layout, finder: &Finder, shared: &RwLock<Shared>) -> Option<Vec<(u64, Vec<RecordBatch>, DeleteVector)>> {
    let shared = shared.read();
    let table = shared.tables.get(&layout.relid)?;
    let parts = table.parts.iter().filter_map(|part| {
        let Rows::Mem(mem) = &part.rows else { return None };
        let indexed = finder.mem.get(&part.uid).map_or(0, MemIndex::rows);
        Some((part.uid, mem.from(indexed), part.deletes.clone()))
    });
    Some(parts.collect())
}

fn deletes_of(shared: &RwLock<Shared>, relid: u32, part: u64) -> Option<DeleteVector> {
    shared.read().tables.get(&relid)?.part(part).map(|p| p.deletes.clone())
}

async fn file_entries(layout: &Layout, shared: &RwLock<Shared>) -> Result<Vec<FileEntry>> {
    let segments: Vec<Arc<Segment>> = match shared.read().tables.get(&layout.relid) {
        None => Vec::new(),
        Some(table) => {
            let files = table.parts.iter().rev().filter_map(|p| match &p.rows {
                Rows::File(segment) => Some(Arc::clone(segment)),
                Rows::Mem(_) => None,
            });
            files.collect()
        }
    };
    let mut entries = Vec::with_capacity(segments.len());
    let lead = layout.key.physical().first().copied().filter(|_| layout.key.unique);
    for segment in segments {
        let range = match lead {
            Some(column) => segment.footer().await?.stats.int_range(column),
            None => None,
        };
        entries.push(FileEntry { segment, range });
    }
    Ok(entries)
}

/// Columns of some rows of a segment, which are in order, through the cache.
async fn read_rows(segment: &Segment, columns: &[usize], rows: &[u32]) -> Result<Vec<ArrayRef>> {
    let failed = |e: arrow::error::ArrowError| Error::internal(e.to_string());
    let mut pieces: Vec<Vec<ArrayRef>> = vec![Vec::new(); columns.len()];
    let mut at = 0;
    while at < rows.len() {
        let (group, _) = segment.locate(rows[at]).await?;
        let bounds = segment.footer().await?.row_groups[group];
        let end = at + rows[at..].partition_point(|&r| r - bounds.start < bounds.rows);
        let picks: UInt32Array = rows[at..end].iter().map(|r| r - bounds.start).collect::<Vec<_>>().into();
        for (piece, &column) in pieces.iter_mut().zip(columns) {
            piece.push(take(&segment.column(group, column).await?, &picks, None).map_err(failed)?);
        }
        at = end;
    }
    let join = |(arrays, column): (Vec<ArrayRef>, &usize)| -> Result<ArrayRef> {
        if arrays.is_empty() {
            return Ok(arrow::array::new_empty_array(segment.layout.schema.field(*column).data_type()));
        }
        let refs: Vec<_> = arrays.iter().map(AsRef::as_ref).collect();
        arrow::compute::concat(&refs).map_err(failed)
    };
    pieces.into_iter().zip(columns).map(join).collect()
}

/// The values that were not in the log.
async fn fetch(net: &NetRows, places: &[Option<Place>], layout: &Layout, shared: &RwLock<Shared>) -> Result<Vec<Fetched>> {
    let patches: Vec<(u32, u16, Source)> = net.net.patches().collect();
    let mut fetched = Vec::new();
    let lost = || Error::internal("the row of an unchanged value is gone");
    for (row, column, source) in patches {
        for column in layout.physical(usize::from(column)) {
            let (array, at) = match source {
                Source::Row(from) => net.logged(from, column).ok_or_else(lost)?,
                Source::Base(delete) => {
                    let (part, from) = places.get(delete as usize).copied().flatten().ok_or_else(lost)?;
                    let segment = {
                        let shared = shared.read();
                        let part = shared.tables.get(&layout.relid).and_then(|t| t.part(part)).ok_or_else(lost)?;
                        match &part.rows {
                            Rows::File(segment) => Arc::clone(segment),
                            Rows::Mem(mem) => {
                                let (batch, at) = mem.locate(from).ok_or_else(lost)?;
                                fetched.push(Fetched { row, column, array: Arc::clone(batch.column(column)), at });
                                continue;
                            }
                        }
                    };
                    let (group, at) = segment.locate(from).await?;
                    (segment.column(group, column).await?, at as usize)
                }
            };
            fetched.push(Fetched { row, column, array, at });
        }
    }
    Ok(fetched)
}

/// Makes a prepared change visible.
///
/// # Errors
/// The mirror is not exact: a key exists twice, or there are more rows than can be numbered.
pub fn apply(prepared: Prepared, finder: &mut Finder, table: &mut Table, codec: &KeyCodec, io: &Io) -> Result<()> {
    table.version += 1;
    table.poison(&prepared.poisoned);
    if prepared.truncate {
        table.parts.clear();
        *finder = Finder::default();
    }
    for (uid, row) in prepared.deletes {
        let part = table.part_mut(uid).ok_or_else(|| Error::internal("a changed row's part is gone"))?;
        part.deletes.set(row);
        if let Some(index) = finder.mem.get_mut(&uid) {
            index.remove(row);
        }
    }
    if prepared.inserts.is_empty() {
        return Ok(());
    }
    let uid = *finder.active.get_or_insert_with(|| {
        let uid = io.next_uid();
        table.parts.push(Part { uid, rows: Rows::Mem(Mem::default()), deletes: DeleteVector::default() });
        uid
    });
    let Some(Part { rows: Rows::Mem(mem), .. }) = table.part_mut(uid) else {
        return Err(Error::internal("the delta of a mirror is gone"));
    };
    let first = mem.rows;
    for batch in prepared.inserts {
        mem.append(batch)?;
    }
    let mut fresh = true;
    if let Some(index) = finder.mem.get_mut(&uid)
        && index.rows() == first
        && prepared.keys.len() <= EAGER_ROWS
    {
        for key in prepared.keys {
            fresh &= index.push(key, true, codec.unique)?;
        }
    }
    if fresh { Ok(()) } else { Err(Error::refused("a key was inserted that exists")) }
}
