//! The shared cache of decoded columns.
//!
//! Invariants:
//! - An entry is one column of one row group of a segment, whole; who uses it takes slices without copying.
//! - Concurrent misses of one entry decode once. A decoder that is cancelled leaves the work to the next that waits.
//! - The entries' bytes stay below the limit; what does not fit is handed out and not kept.

use arrow::array::{Array, ArrayRef};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::OnceCell;
use weir_plan::Result;

/// (segment, row group, physical column)
pub type EntryId = (u64, u32, u32);

#[derive(Default)]
struct Slot {
    cell: OnceCell<ArrayRef>,
    /// Used since the clock's hand last passed.
    used: AtomicBool,
}

#[derive(Default)]
struct State {
    slots: HashMap<EntryId, (Arc<Slot>, u64)>,
    /// The clock: entries in the order of admission; one that was used gets another round.
    clock: VecDeque<EntryId>,
    bytes: u64,
}

pub struct ColumnCache {
    state: Mutex<State>,
    limit_bytes: AtomicU64,
}

impl ColumnCache {
    pub fn new(limit_bytes: u64) -> Self {
        Self { state: Mutex::default(), limit_bytes: AtomicU64::new(limit_bytes) }
    }

    pub fn set_limit(&self, limit_bytes: u64) {
        self.limit_bytes.store(limit_bytes, Ordering::Relaxed);
        evict(&mut self.state.lock(), limit_bytes);
    }

    pub fn used_bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// The entry, decoded by `decode` if it is not there.
    pub async fn get(&self, id: EntryId, decode: impl Future<Output = Result<ArrayRef>>) -> Result<ArrayRef> {
        let slot = {
            let mut state = self.state.lock();
            Arc::clone(&state.slots.entry(id).or_default().0)
        };
        if let Some(array) = slot.cell.get() {
            slot.used.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(array));
        }
        let mut decoded = false;
        let result = slot
            .cell
            .get_or_try_init(|| async {
                decoded = true;
                decode.await
            })
            .await
            .cloned();
        match &result {
            Ok(array) if decoded => self.admit(id, &slot, array.get_array_memory_size() as u64),
            Ok(_) => slot.used.store(true, Ordering::Relaxed),
            Err(_) => self.discard(id, &slot),
        }
        result
    }

    /// Forgets the entries of a segment that is gone.
    pub fn forget(&self, segment: u64, row_groups: u32, columns: u32) {
        let mut state = self.state.lock();
        for row_group in 0..row_groups {
            for column in 0..columns {
                if let Some((_, bytes)) = state.slots.remove(&(segment, row_group, column)) {
                    state.bytes -= bytes;
                }
            }
        }
    }

    fn admit(&self, id: EntryId, slot: &Arc<Slot>, bytes: u64) {
        let limit = self.limit_bytes.load(Ordering::Relaxed);
        let mut state = self.state.lock();
        // Forgotten while it was decoded, or admitted by another.
        let Some((present, accounted)) = state.slots.get_mut(&id) else { return };
        if !Arc::ptr_eq(present, slot) || *accounted > 0 {
            return;
        }
        if bytes > limit / 4 {
            state.slots.remove(&id);
            return;
        }
        *accounted = bytes.max(1);
        state.bytes += bytes.max(1);
        state.clock.push_back(id);
        evict(&mut state, limit);
    }

    /// Drops the empty slot of a decoding that failed.
    fn discard(&self, id: EntryId, slot: &Arc<Slot>) {
        let mut state = self.state.lock();
        if state.slots.get(&id).is_some_and(|(present, bytes)| Arc::ptr_eq(present, slot) && *bytes == 0) {
            state.slots.remove(&id);
        }
    }
}

fn evict(state: &mut State, limit: u64) {
    // Each entry can be spared once per call, so this ends.
    let mut rounds = state.clock.len() * 2;
    while state.bytes > limit && rounds > 0 {
        rounds -= 1;
        let Some(id) = state.clock.pop_front() else { break };
        let Some((slot, bytes)) = state.slots.get(&id) else { continue };
        if *bytes == 0 {
            continue;
        }
        if slot.used.swap(false, Ordering::Relaxed) {
            state.clock.push_back(id);
        } else {
            state.bytes -= bytes;
            state.slots.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;
    use std::sync::atomic::AtomicUsize;
    use weir_plan::Error;

    fn array(rows: usize) -> ArrayRef {
        Arc::new(Int64Array::from(vec![1; rows]))
    }

    #[tokio::test]
    async fn concurrent_misses_decode_once() {
        let cache = Arc::new(ColumnCache::new(1 << 20));
        let decoded = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (cache, decoded) = (Arc::clone(&cache), Arc::clone(&decoded));
                tokio::spawn(async move {
                    let work = async {
                        tokio::task::yield_now().await;
                        decoded.fetch_add(1, Ordering::Relaxed);
                        Ok(array(10))
                    };
                    cache.get((1, 0, 0), work).await.map(|a| a.len())
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("ran"), Ok(10));
        }
        assert_eq!(decoded.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn stays_within_its_bound() {
        let cache = ColumnCache::new(100_000);
        for i in 0..1000u32 {
            cache.get((1, i, 0), async { Ok(array(1000)) }).await.expect("decodes");
            assert!(cache.used_bytes() <= 100_000);
        }
        assert!(cache.used_bytes() > 50_000);
        // Too big to keep.
        cache.get((2, 0, 0), async { Ok(array(1_000_000)) }).await.expect("decodes");
        assert!(cache.used_bytes() <= 100_000);
        assert!(cache.get((3, 0, 0), async { Err(Error::internal("no")) }).await.is_err());
        cache.forget(1, 1000, 1);
        assert_eq!(cache.used_bytes(), 0);
        cache.set_limit(0);
        cache.get((1, 0, 0), async { Ok(array(1000)) }).await.expect("decodes");
        assert_eq!(cache.used_bytes(), 0);
    }
}
