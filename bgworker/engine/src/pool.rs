//! The memory of all queries together.
//!
//! DataFusion's fair pool gives each operator that can spill an even share from the start: a query with ten of them spills while nine
//! tenths of the memory are free. Its greedy pool lets the first operator take all, and joins, which cannot spill, fail. Here an operator
//! takes what it needs while enough is free, and keeps to its even share when it is not.
//!
//! Invariant: `try_grow` never takes the sum over the limit. (`grow`, which must not fail, may.)

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use parking_lot::Mutex;

/// The part of the limit that may be taken without regard to shares, as a fraction.
const FREE_FOR_ALL: (usize, usize) = (3, 4);

#[derive(Debug)]
pub struct ElasticPool {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Consumers that can spill.
    spillers: usize,
    spillable: usize,
    unspillable: usize,
}

impl ElasticPool {
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::new(State { limit, spillers: 0, spillable: 0, unspillable: 0 }) }
    }

    /// Takes effect for what is asked for from now on.
    pub fn set_limit(&self, limit: usize) {
        self.state.lock().limit = limit;
    }
}

impl State {
    /// Whether a consumer that holds `held` bytes may have `additional` more.
    fn allows(&self, can_spill: bool, held: usize, additional: usize) -> bool {
        let total = self.spillable.saturating_add(self.unspillable).saturating_add(additional);
        if total > self.limit {
            return false;
        }
        let (part, of) = FREE_FOR_ALL;
        let share = || self.limit.saturating_sub(self.unspillable) / self.spillers.max(1);
        !can_spill || total <= self.limit / of * part || held.saturating_add(additional) <= share()
    }

    fn held(&mut self, can_spill: bool) -> &mut usize {
        if can_spill { &mut self.spillable } else { &mut self.unspillable }
    }
}

impl MemoryPool for ElasticPool {
    fn register(&self, consumer: &MemoryConsumer) {
        self.state.lock().spillers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut state = self.state.lock();
        state.spillers = state.spillers.saturating_sub(usize::from(consumer.can_spill()));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.state.lock().held(reservation.consumer().can_spill()) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut state = self.state.lock();
        let held = state.held(reservation.consumer().can_spill());
        *held = held.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let can_spill = reservation.consumer().can_spill();
        let mut state = self.state.lock();
        if !state.allows(can_spill, reservation.size(), additional) {
            let free = state.limit.saturating_sub(state.spillable + state.unspillable);
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} holds {} bytes and needs {additional} more; {free} of {} bytes are free",
                reservation.consumer().name(),
                reservation.size(),
                state.limit
            )));
        }
        *state.held(can_spill) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let state = self.state.lock();
        state.spillable + state.unspillable
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.state.lock().limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn consumers(pool: &Arc<ElasticPool>, spillers: usize) -> Vec<MemoryReservation> {
        let pool: Arc<dyn MemoryPool> = Arc::<ElasticPool>::clone(pool);
        let spilling = (0..spillers).map(|i| MemoryConsumer::new(format!("s{i}")).with_can_spill(true));
        spilling.chain([MemoryConsumer::new("join")]).map(|c| c.register(&pool)).collect()
    }

    #[test]
    fn one_of_many_may_use_what_is_free() {
        let pool = Arc::new(ElasticPool::new(1000));
        let c = consumers(&pool, 10);
        assert!(c[0].try_grow(700).is_ok());
        assert!(c[0].try_grow(100).is_err(), "beyond three quarters only the even share counts");
        assert!(c[1].try_grow(100).is_ok(), "which another one still has");
        assert!(c[10].try_grow(200).is_ok(), "who cannot spill may take the rest");
        assert!(c[10].try_grow(1).is_err());
        c[0].shrink(700);
        assert_eq!(pool.reserved(), 300);
    }

    #[test]
    fn limit_changes_apply() {
        let pool = Arc::new(ElasticPool::new(100));
        let c = consumers(&pool, 1);
        assert!(c[0].try_grow(101).is_err());
        pool.set_limit(1000);
        assert!(c[0].try_grow(101).is_ok());
    }
}
