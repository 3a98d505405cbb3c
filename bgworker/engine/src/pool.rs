//! Memory: one limit for all queries and the cache of decoded columns.
//!
//! Invariants:
//! - What queries hold and what the cache may hold is not more than the limit, but for the steps of spilling below. Where queries need
//!   more, the cache gives way, down to a floor, and gets its place back afterwards.
//! - A consumer that can spill may hold at most as much as stays free: one alone gets half, two get a third each, and whoever comes later
//!   finds room. (Equal shares of the whole, as DataFusion's own pool deals them out, make queries spill, or fail, while most of the memory
//!   is free; first come, first served leaves nothing to joins, which cannot spill.)
//! - What a consumer held when it was refused more it may take again. To write what it spills, and to merge it, it may take more, even
//!   over the limit: these steps cannot do with less, and what they ask for is far more than they take, because DataFusion counts the
//!   buffers that the strings of a run share once for each of its batches.

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The part of the limit that only small holdings and those that spill may use: one in this many.
const RESERVE_PART: usize = 8;

/// A holding up to this part of the limit is small.
pub const SMALL_PART: usize = 64;

/// The cache keeps this part of its place whatever queries need.
const CACHE_FLOOR_PART: usize = 4;

/// The cache gives way in steps of this part of the limit, so that it is not asked for every batch.
const CACHE_STEP_PART: usize = 32;

/// How DataFusion names what merges: the runs of a sort, and the sorted parts of a plan, of which it holds a batch each.
const RUN_MERGE: &str = "ExternalSorterMerge";
const PART_MERGE: &str = "SortPreservingMergeExec";

/// How it names a hash aggregation.
const GROUPS: &str = "GroupedHashAggregateStream";

/// What gives way to queries.
pub trait Cache: Send + Sync {
    /// Sets how many bytes it may hold, and drops what is more.
    fn set_limit(&self, bytes: u64);

    /// What mirrors hold beside it: changes that are not in segments, and indexes.
    fn held_bytes(&self) -> usize {
        0
    }
}

/// Shared by all queries.
pub struct SharedPool {
    cache: Arc<dyn Cache>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    limit: usize,
    cache_wish: usize,
    /// What the cache may hold now.
    cache_limit: usize,
    reserved: usize,
    /// What mirrors hold.
    held: usize,
    consumers: HashMap<usize, Holding>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Holding {
    bytes: usize,
    /// The part of them that was granted for spilling, whatever others hold, and that is not held against them.
    beyond: usize,
    /// How much it would have held when it was last refused.
    refused: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grant {
    Within,
    Beyond,
    Refused,
}

impl State {
    /// The most that queries may hold.
    fn for_queries(&self) -> usize {
        let most = self.limit - self.cache_wish / CACHE_FLOOR_PART;
        most - self.held.min(most / 2)
    }

    /// `reserved`: what the reservation that is to grow holds, which may be one of several of its consumer.
    fn grant(&self, holding: Holding, reserved: usize, additional: usize, can_spill: bool) -> Grant {
        let most = self.for_queries();
        let (own, all) = (holding.bytes.saturating_add(additional), self.reserved.saturating_add(additional));
        let unreserved = most - most / RESERVE_PART;
        let within = if own <= most / SMALL_PART {
            all <= most + most / 2
        } else if can_spill {
            all <= most && (own <= holding.refused || own <= unreserved.saturating_sub(all))
        } else {
            all <= most
        };
        if within {
            return Grant::Within;
        }
        if holding.refused > 0 {
            // A merge of spilled runs has a reservation beside its operator's; without room for two runs it cannot go on.
            if reserved < holding.bytes && reserved <= additional.saturating_mul(2) {
                return Grant::Beyond;
            }
            // Who has just let go of what it held sorts it, to write it.
            if holding.bytes <= holding.refused / 8 && own <= holding.refused.saturating_mul(4) {
                return Grant::Beyond;
            }
        }
        Grant::Refused
    }

    fn add(&mut self, id: usize, bytes: usize) {
        self.reserved += bytes;
        self.consumers.entry(id).or_default().bytes += bytes;
    }

    fn remove(&mut self, id: usize, bytes: usize) {
        let Some(holding) = self.consumers.get_mut(&id) else { return };
        let beyond = bytes.min(holding.beyond);
        holding.beyond -= beyond;
        holding.bytes = holding.bytes.saturating_sub(bytes);
        self.reserved = self.reserved.saturating_sub(bytes - beyond);
    }

    /// What the cache may hold beside the queries; `None` if that is as it was.
    fn new_cache_limit(&mut self) -> Option<u64> {
        let free = self.limit.saturating_sub(self.reserved).saturating_sub(self.held);
        let step = self.limit / CACHE_STEP_PART;
        let limit = if free >= self.cache_wish {
            self.cache_wish
        } else if free < self.cache_limit {
            free.saturating_sub(step).max(self.cache_wish / CACHE_FLOOR_PART)
        } else {
            // It gets its place back when there is enough for all of it, or it would be squeezed again at once.
            self.cache_limit
        };
        (std::mem::replace(&mut self.cache_limit, limit) != limit).then_some(limit as u64)
    }
}

impl SharedPool {
    pub fn new(limit_bytes: u64, cache_limit_bytes: u64, cache: Arc<dyn Cache>) -> Arc<SharedPool> {
        let pool = SharedPool { cache, state: Mutex::default() };
        pool.set_limits(limit_bytes, cache_limit_bytes);
        Arc::new(pool)
    }

    /// Sets the limit for all together and the cache's part of it.
    pub fn set_limits(&self, limit_bytes: u64, cache_limit_bytes: u64) {
        let mut state = self.state.lock();
        state.limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
        state.cache_wish = usize::try_from(cache_limit_bytes).unwrap_or(usize::MAX).min(state.limit);
        state.cache_limit = state.cache_wish;
        state.new_cache_limit();
        self.cache.set_limit(state.cache_limit as u64);
    }

    pub fn reserved(&self) -> usize {
        self.state.lock().reserved
    }

    fn tell_cache(&self, state: &mut State) {
        if let Some(limit) = state.new_cache_limit() {
            self.cache.set_limit(limit);
        }
    }

    fn grow(&self, consumer: &MemoryConsumer, additional: usize) {
        let mut state = self.state.lock();
        state.add(consumer.id(), additional);
        self.tell_cache(&mut state);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer();
        let mut state = self.state.lock();
        state.held = self.cache.held_bytes();
        let holding = state.consumers.get(&consumer.id()).copied().unwrap_or_default();
        // Merging is how sorts let go of memory. How many runs are open at a time is chosen by what is granted before the first row is read:
        // two always, more within the limit.
        let chooses_runs = reservation.size() == holding.bytes && reservation.size() >= additional.saturating_mul(2);
        let name = consumer.name();
        let finishes = name.starts_with(PART_MERGE) || name.starts_with(RUN_MERGE) && !chooses_runs;
        let grant = match state.grant(holding, reservation.size(), additional, consumer.can_spill()) {
            Grant::Refused if finishes => Grant::Beyond,
            grant => grant,
        };
        if grant == Grant::Refused {
            state.consumers.entry(consumer.id()).or_default().refused = holding.bytes.saturating_add(additional);
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} holds {} and needs {} more; all queries hold {} of {}",
                consumer.name(),
                human_readable_size(holding.bytes),
                human_readable_size(additional),
                human_readable_size(state.reserved),
                human_readable_size(state.for_queries()),
            )));
        }
        if grant == Grant::Beyond {
            let holding = state.consumers.entry(consumer.id()).or_default();
            holding.bytes += additional;
            holding.beyond += additional;
        } else {
            state.add(consumer.id(), additional);
            self.tell_cache(&mut state);
        }
        Ok(())
    }

    fn shrink(&self, consumer: &MemoryConsumer, bytes: usize) {
        let mut state = self.state.lock();
        state.remove(consumer.id(), bytes);
        self.tell_cache(&mut state);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut state = self.state.lock();
        if let Some(holding) = state.consumers.remove(&consumer.id()) {
            state.reserved = state.reserved.saturating_sub(holding.bytes.saturating_sub(holding.beyond));
        }
        self.tell_cache(&mut state);
    }
}

/// One query's view of the pool: knows what this query holds and held at most.
pub struct QueryPool {
    shared: Arc<SharedPool>,
    reserved: AtomicUsize,
    peak: AtomicUsize,
    groups: Mutex<Groups>,
}

/// What becomes of hash aggregations for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Groups {
    /// They spill.
    Spill,
    /// They end: a plan that spills better takes the place of this one.
    End,
    Ended,
}

impl QueryPool {
    pub fn new(shared: Arc<SharedPool>) -> Arc<QueryPool> {
        Arc::new(QueryPool { shared, reserved: AtomicUsize::new(0), peak: AtomicUsize::new(0), groups: Mutex::new(Groups::Spill) })
    }

    /// From now on a hash aggregation for which there is no room ends with an error instead of spilling.
    pub fn end_groups(&self) {
        *self.groups.lock() = Groups::End;
    }

    /// Back to spilling. `true`: one has ended.
    pub fn spill_groups(&self) -> bool {
        std::mem::replace(&mut *self.groups.lock(), Groups::Spill) == Groups::Ended
    }

    pub fn peak_bytes(&self) -> u64 {
        self.peak.load(Ordering::Relaxed) as u64
    }

    fn note(&self, additional: usize) {
        let now = self.reserved.fetch_add(additional, Ordering::Relaxed) + additional;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for QueryPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryPool").field("reserved", &self.reserved).field("peak", &self.peak).finish_non_exhaustive()
    }
}

impl MemoryPool for QueryPool {
    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.shared.grow(reservation.consumer(), additional);
        self.note(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, bytes: usize) {
        self.shared.shrink(reservation.consumer(), bytes);
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if reservation.consumer().name().starts_with(GROUPS) && *self.groups.lock() == Groups::Ended {
            return Err(DataFusionError::ResourcesExhausted("the aggregation is to be planned anew".to_owned()));
        }
        if let Err(e) = self.shared.try_grow(reservation, additional) {
            let mut groups = self.groups.lock();
            if reservation.consumer().name().starts_with(GROUPS) && reservation.consumer().can_spill() && *groups == Groups::End {
                *groups = Groups::Ended;
            }
            return Err(e);
        }
        self.note(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.shared.state.lock().for_queries())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[derive(Default)]
    struct Limit(AtomicU64);

    impl Cache for Limit {
        fn set_limit(&self, bytes: u64) {
            self.0.store(bytes, Ordering::Relaxed);
        }
    }

    const MB: usize = 1 << 20;

    fn pool(limit: usize, cache: usize) -> (Arc<QueryPool>, Arc<Limit>) {
        let told = Arc::new(Limit::default());
        (QueryPool::new(SharedPool::new(limit as u64, cache as u64, Arc::clone(&told) as Arc<dyn Cache>)), told)
    }

    fn consumer(pool: &Arc<QueryPool>, spills: bool) -> MemoryReservation {
        let pool: Arc<dyn MemoryPool> = Arc::clone(pool) as Arc<dyn MemoryPool>;
        MemoryConsumer::new("test").with_can_spill(spills).register(&pool)
    }

    fn fill(reservation: &MemoryReservation) -> usize {
        while reservation.try_grow(MB).is_ok() {}
        reservation.size()
    }

    #[test]
    fn a_spilling_consumer_alone_gets_half_and_leaves_room() {
        let (pool, _) = pool(800 * MB, 0);
        let first = consumer(&pool, true);
        let _idle: Vec<_> = (0..20).map(|_| consumer(&pool, true)).collect();
        assert!(fill(&first) >= 350 * MB, "{}", first.size());
        let second = consumer(&pool, true);
        assert!(fill(&second) > 100 * MB);
        assert!(fill(&consumer(&pool, false)) > 50 * MB);
    }

    #[test]
    fn who_was_refused_may_sort_what_it_spills() {
        let (pool, _) = pool(100 * MB, 0);
        let one = consumer(&pool, true);
        let size = fill(&one);
        let other = consumer(&pool, true);
        fill(&other);
        one.resize(0);
        assert!(one.try_grow(size).is_ok());
    }

    #[test]
    fn small_needs_are_met_even_when_others_took_all_they_could() {
        let (pool, _) = pool(1024 * MB, 0);
        let hog = consumer(&pool, false);
        assert!(fill(&hog) > 800 * MB);
        for spills in [true, false] {
            assert!(consumer(&pool, spills).try_grow(10 * MB).is_ok());
        }
    }

    #[test]
    fn the_cache_gives_way_and_gets_its_place_back() {
        let (pool, cache) = pool(1000 * MB, 500 * MB);
        let told = |cache: &Limit| cache.0.load(Ordering::Relaxed) as usize;
        assert_eq!(told(&cache), 500 * MB);
        let hash = consumer(&pool, false);
        assert!(hash.try_grow(400 * MB).is_ok());
        assert_eq!(told(&cache), 500 * MB);
        let size = fill(&hash);
        assert!(size > 700 * MB && size + told(&cache) <= 1000 * MB, "{size}");
        assert!(told(&cache) >= 125 * MB);
        drop(hash);
        assert_eq!(told(&cache), 500 * MB);
        assert_eq!(pool.reserved(), 0);
        assert_eq!(pool.peak_bytes() as usize, size);
    }
}
