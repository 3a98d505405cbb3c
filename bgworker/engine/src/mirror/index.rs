//! Indexes from keys to rows.
//!
//! Invariants:
//! - [`MemIndex`] has exactly the live ones of the first rows of its part of the delta.
//! - [`SegmentIndex`] has all rows of its segment, and gives candidates: an index of numbers is exact, one of hashes is not, so the caller
//!   compares the keys; the caller also looks at the delete vector.
//! - Indexes of segments are rebuilt from the key columns when they are needed and not in memory.

use super::key::{Key, KeyHasher, Keys};
use super::segment::Segment;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_plan::{Error, Result};

/// Index of a part of the delta. Made when a row is first looked for, and brought up to date then: a table that is only added to needs none.
#[derive(Debug, Default)]
pub struct MemIndex {
    /// Keys of the rows that are indexed, from the first on.
    keys: Vec<Key>,
    /// The last live row of each key.
    last: HashTable<u32>,
    /// For each row the previous live row with the same key. Equal keys are chained, since a hash table copes badly with many of one hash.
    previous: Vec<Option<u32>>,
    hasher: KeyHasher,
}

impl MemIndex {
    /// Number of rows that are indexed.
    pub fn rows(&self) -> u32 {
        u32::try_from(self.keys.len()).unwrap_or(u32::MAX)
    }

    /// Adds the next row. With `unique`, `false` if a live row has this key already; the row is added all the same.
    pub fn push(&mut self, key: Key, live: bool, unique: bool) -> Result<bool> {
        let row = u32::try_from(self.keys.len()).map_err(|_| Error::internal("too many rows in the delta of a mirror"))?;
        let Self { keys, last, previous, hasher } = self;
        keys.push(key);
        previous.push(None);
        if !live {
            return Ok(true);
        }
        let key = &keys[row as usize];
        match last.entry(hasher.hash(key), |&r| keys[r as usize] == *key, |&r| hasher.hash(&keys[r as usize])) {
            Entry::Vacant(entry) => {
                entry.insert(row);
                Ok(true)
            }
            Entry::Occupied(mut entry) => {
                previous[row as usize] = Some(std::mem::replace(entry.get_mut(), row));
                Ok(!unique)
            }
        }
    }

    /// The last live row with this key, or the one before `row`, which has this key.
    pub fn find(&self, key: &Key, before: Option<u32>) -> Option<u32> {
        match before {
            None => self.last.find(self.hasher.hash(key), |&r| self.keys[r as usize] == *key).copied(),
            Some(row) => self.previous.get(row as usize).copied().flatten(),
        }
    }

    /// Takes out a row that is not live any more. Of rows with one key the last must go first.
    pub fn remove(&mut self, row: u32) {
        let Self { keys, last, previous, hasher } = self;
        let Some(key) = keys.get(row as usize) else { return };
        if let Ok(mut entry) = last.find_entry(hasher.hash(key), |&r| r == row) {
            match previous.get(row as usize).copied().flatten() {
                Some(other) => *entry.get_mut() = other,
                None => {
                    entry.remove();
                }
            }
        }
    }
}

/// Index of a segment: keys, or their hashes, in order, and their rows.
#[derive(Debug)]
pub enum SegmentIndex {
    /// `rows` is `None` if the segment is in the order of the key.
    Ints {
        keys: Vec<i64>,
        rows: Option<Vec<u32>>,
    },
    Hashes {
        hashes: Vec<u64>,
        rows: Vec<u32>,
    },
}

/// Tells for most keys that a segment does not have them: a split-block Bloom filter. It is small enough to be kept for as long as the
/// segment, so that a changed row is looked for in few of them.
///
/// Source: Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007; the salts are those of Parquet.
pub struct KeyFilter {
    blocks: Vec<[u32; 8]>,
}

const FILTER_BITS_PER_KEY: usize = 12;
const FILTER_SALTS: [u32; 8] = [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

impl KeyFilter {
    fn build(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        let mut filter = KeyFilter { blocks: vec![[0; 8]; (hashes.len() * FILTER_BITS_PER_KEY).div_ceil(256).max(1)] };
        for hash in hashes {
            let at = filter.block(hash);
            for (word, bit) in filter.blocks[at].iter_mut().zip(bits(hash)) {
                *word |= bit;
            }
        }
        filter
    }

    /// `false`: the segment has no row with a key of this hash.
    pub fn may_have(&self, hash: u64) -> bool {
        self.blocks[self.block(hash)].iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0)
    }

    fn block(&self, hash: u64) -> usize {
        // A multiplication maps the upper half evenly to 0..len, without a division.
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }
}

fn bits(hash: u64) -> impl Iterator<Item = u32> {
    let low = (hash & u64::from(u32::MAX)) as u32;
    FILTER_SALTS.iter().map(move |salt| 1 << (low.wrapping_mul(*salt) >> 27))
}

impl SegmentIndex {
    /// Reads all keys of a segment; gives it its filter on the way.
    pub async fn build(segment: &Arc<Segment>, hasher: &KeyHasher) -> Result<SegmentIndex> {
        let codec = &segment.layout.key;
        let footer = segment.footer().await?;
        let mut ints = Vec::new();
        let mut hashes = Vec::new();
        for group in 0..footer.row_groups.len() {
            let columns = segment.decode(group, codec.physical()).await?;
            match codec.of_columns(&columns)? {
                Keys::Ints(keys) => ints.extend(keys),
                Keys::Rows(rows) => hashes.extend(rows.iter().map(|r| hasher.hash_bytes(r.data()))),
            }
        }
        let (of, hasher) = (Arc::clone(segment), hasher.clone());
        let build = move || -> Result<SegmentIndex> {
            of.filter.get_or_init(|| {
                if hashes.is_empty() { KeyFilter::build(ints.iter().map(|i| hasher.hash(&Key::Int(*i)))) } else { KeyFilter::build(hashes.iter().copied()) }
            });
            let too_many = |_| Error::internal("too many rows in a segment");
            Ok(if hashes.is_empty() {
                if ints.is_sorted() {
                    SegmentIndex::Ints { keys: ints, rows: None }
                } else {
                    let mut rows: Vec<u32> = (0..u32::try_from(ints.len()).map_err(too_many)?).collect();
                    rows.sort_unstable_by_key(|&r| ints[r as usize]);
                    SegmentIndex::Ints { keys: rows.iter().map(|&r| ints[r as usize]).collect(), rows: Some(rows) }
                }
            } else {
                let mut rows: Vec<u32> = (0..u32::try_from(hashes.len()).map_err(too_many)?).collect();
                rows.sort_unstable_by_key(|&r| hashes[r as usize]);
                SegmentIndex::Hashes { hashes: rows.iter().map(|&r| hashes[r as usize]).collect(), rows }
            })
        };
        tokio::task::spawn_blocking(build).await.map_err(|e| Error::internal(e.to_string()))?
    }

    /// Rows that may have this key.
    pub fn candidates(&self, key: &Key, hasher: &KeyHasher) -> impl Iterator<Item = u32> {
        let (range, rows) = match (self, key) {
            (SegmentIndex::Ints { keys, rows }, Key::Int(key)) => (run(keys, key), rows.as_deref()),
            (SegmentIndex::Hashes { hashes, rows }, key) => (run(hashes, &hasher.hash(key)), Some(rows.as_slice())),
            (SegmentIndex::Ints { .. }, Key::Bytes(_)) => (0..0, None),
        };
        range.map(move |i| rows.map_or(u32::try_from(i).unwrap_or(u32::MAX), |rows| rows[i]))
    }

    /// Candidates are matches.
    pub fn is_exact(&self) -> bool {
        matches!(self, SegmentIndex::Ints { .. })
    }

    fn bytes(&self) -> u64 {
        (match self {
            SegmentIndex::Ints { keys, rows } => keys.len() * 8 + rows.as_ref().map_or(0, |r| r.len() * 4),
            SegmentIndex::Hashes { hashes, rows } => hashes.len() * 8 + rows.len() * 4,
        }) as u64
    }
}

fn run<T: Ord>(sorted: &[T], value: &T) -> std::ops::Range<usize> {
    let start = sorted.partition_point(|v| v < value);
    let len = sorted[start..].iter().take_while(|v| *v == value).count();
    start..start + len
}

/// Indexes of segments that are in memory, bounded by bytes, the least recently used going first.
pub struct IndexCache {
    pub hasher: KeyHasher,
    limit_bytes: AtomicU64,
    state: Mutex<IndexState>,
}

#[derive(Default)]
struct IndexState {
    indexes: HashMap<u64, (Arc<SegmentIndex>, u64)>,
    clock: u64,
    bytes: u64,
}

impl IndexCache {
    pub fn new(limit_bytes: u64) -> Self {
        Self { hasher: KeyHasher::default(), limit_bytes: AtomicU64::new(limit_bytes), state: Mutex::default() }
    }

    pub fn set_limit(&self, bytes: u64) {
        self.limit_bytes.store(bytes, Ordering::Relaxed);
    }

    pub fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    pub async fn get(&self, segment: &Arc<Segment>) -> Result<Arc<SegmentIndex>> {
        {
            let mut state = self.state.lock();
            state.clock += 1;
            let now = state.clock;
            if let Some((index, used)) = state.indexes.get_mut(&segment.uid) {
                *used = now;
                return Ok(Arc::clone(index));
            }
        }
        // Only the applier asks, so nobody builds the same at the same time.
        let index = Arc::new(SegmentIndex::build(segment, &self.hasher).await?);
        let mut state = self.state.lock();
        let now = state.clock;
        state.bytes += index.bytes();
        state.indexes.insert(segment.uid, (Arc::clone(&index), now));
        while state.bytes > self.limit_bytes.load(Ordering::Relaxed) && state.indexes.len() > 1 {
            let Some(oldest) = state.indexes.iter().min_by_key(|(_, (_, used))| *used).map(|(&uid, _)| uid) else { break };
            if let Some((dropped, _)) = state.indexes.remove(&oldest) {
                state.bytes -= dropped.bytes();
            }
        }
        Ok(index)
    }

    pub fn forget(&self, uid: u64) {
        let mut state = self.state.lock();
        if let Some((dropped, _)) = state.indexes.remove(&uid) {
            state.bytes -= dropped.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_what_it_was_built_from_and_little_else() {
        // Every hasher has another seed, and none may be a bad one.
        for n in [[0, 1, 1000, 100_000i64]; 20].into_iter().flatten() {
            let hasher = KeyHasher::default();
            let hash = |i: i64| hasher.hash(&Key::Int(i));
            let filter = KeyFilter::build((0..usize::try_from(n).expect("small")).map(|i| hash(i as i64)));
            assert!((0..n).all(|i| filter.may_have(hash(i))));
            let wrong = (n..n + 100_000).filter(|i| filter.may_have(hash(*i))).count();
            assert!(wrong < 1500, "{wrong} of 100000 with {n} keys");
        }
    }

    #[test]
    fn equal_keys_come_one_at_a_time() {
        let mut index = MemIndex::default();
        for i in 0..100_000 {
            assert!(index.push(Key::Int(i64::from(i % 2)), i != 5, false).expect("fits"));
        }
        let key = Key::Int(1);
        let (mut row, mut found) = (None, Vec::new());
        while let Some(next) = index.find(&key, row) {
            found.push(next);
            row = Some(next);
        }
        assert_eq!(found.len(), 49_999);
        found.iter().for_each(|row| index.remove(*row));
        assert_eq!(index.find(&key, None), None);
        assert_eq!(index.find(&Key::Int(0), None), Some(99_998));
    }
}
