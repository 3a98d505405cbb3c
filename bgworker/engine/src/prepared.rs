//! Plans between their preparation and their execution.
//!
//! A backend has each query prepared while it plans it and, most often, executed at once. Planning takes the engine longer than many
//! queries run, so the plan that preparation made is the one executed, over the content that is fresh then.
//!
//! Invariants:
//! - A plan is executed once: nodes hold what their execution learnt.
//! - What is kept here pins the segments and the delta of its snapshot, so it is dropped soon, used or not.

use crate::mirror::Bindings;
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_plan::manifest::Lsn;

/// How long a plan waits for its execution.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// Plans that wait at a time; the oldest gives way.
const MOST: usize = 64;

/// A query ready to run.
pub struct Planned {
    pub physical: Arc<dyn ExecutionPlan>,
    /// The output: value column and scale column, by place.
    pub columns: Vec<(u32, Option<u32>)>,
    pub snapshot_lsn: Lsn,
    /// Its scans.
    pub bindings: Bindings,
}

#[derive(Default)]
pub struct Prepared(Mutex<VecDeque<(Instant, Vec<u8>, Planned)>>);

impl Prepared {
    /// Keeps the plan of `bytes` for a while. Runs within a runtime.
    pub fn keep(self: &Arc<Self>, bytes: Vec<u8>, planned: Planned) {
        let mut plans = self.0.lock();
        if plans.len() >= MOST {
            plans.pop_front();
        }
        plans.push_back((Instant::now(), bytes, planned));
        let kept = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            kept.0.lock().retain(|(since, ..)| since.elapsed() < KEPT_FOR);
        });
    }

    /// The latest plan of `bytes`, if one waits.
    pub fn take(&self, bytes: &[u8]) -> Option<Planned> {
        let mut plans = self.0.lock();
        let at = plans.iter().rposition(|(_, b, _)| b == bytes)?;
        plans.remove(at).map(|(.., planned)| planned)
    }
}
