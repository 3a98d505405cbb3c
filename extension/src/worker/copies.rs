//! Which initial copies run, wait and failed.
//!
//! Invariant: at most `weir.copy_workers` run, one per table; one that failed is tried again after a growing pause.

use super::{copy, paths};
use crate::settings;
use pgrx::pg_sys;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const MAX_PAUSE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Copies {
    copies: HashMap<u32, Copy>,
}

struct Copy {
    generation: i64,
    state: State,
    failures: u32,
}

enum State {
    Waiting {
        not_before: Instant,
    },
    Running {
        handle: *mut pg_sys::BackgroundWorkerHandle,
    },
    /// All rows are in the engine; it will tell when they are in segments.
    Copied,
}

/// How a copy ended.
#[derive(Debug)]
pub struct Ended {
    pub relid: u32,
    pub generation: i64,
    pub error: Option<String>,
}

impl Copies {
    /// Wants this table to be copied.
    pub fn want(&mut self, relid: u32, generation: i64) {
        if self.copies.get(&relid).is_some_and(|c| c.generation == generation) {
            return;
        }
        self.forget(relid);
        self.copies.insert(relid, Copy { generation, state: State::Waiting { not_before: Instant::now() }, failures: 0 });
    }

    /// The table need not be copied (any more).
    pub fn forget(&mut self, relid: u32) {
        if let Some(Copy { state: State::Running { handle }, .. }) = self.copies.remove(&relid) {
            // SAFETY: a handle of a worker that this process has started.
            unsafe { pg_sys::TerminateBackgroundWorker(handle) };
        }
    }

    /// The engine is gone, and with it what was copied.
    pub fn forget_all(&mut self) {
        for relid in self.copies.keys().copied().collect::<Vec<_>>() {
            self.forget(relid);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// Notices what ended and starts what may start. `ready`: the engine accepts connections.
    pub fn poll(&mut self, database: pg_sys::Oid, ready: bool) -> Vec<Ended> {
        let mut ended = Vec::new();
        for (relid, copy) in &mut self.copies {
            let State::Running { handle } = copy.state else { continue };
            let mut pid = 0;
            // SAFETY: a handle of a worker that this process has started.
            let status = unsafe { pg_sys::GetBackgroundWorkerPid(handle, &raw mut pid) };
            if status != pg_sys::BgwHandleStatus::BGWH_STOPPED {
                continue;
            }
            let path = paths::copy_result_file(database, *relid, copy.generation);
            let said = std::fs::read_to_string(&path).unwrap_or_else(|_| "the copy worker ended unexpectedly".into());
            let _ = std::fs::remove_file(&path);
            let error = (said != copy::OK).then_some(said);
            copy.state = match &error {
                None => State::Copied,
                Some(_) => {
                    copy.failures += 1;
                    let pause = Duration::from_millis(500).saturating_mul(1 << copy.failures.min(10)).min(MAX_PAUSE);
                    State::Waiting { not_before: Instant::now() + pause }
                }
            };
            ended.push(Ended { relid: *relid, generation: copy.generation, error });
        }
        if ready {
            self.start_waiting(database);
        }
        ended
    }

    fn start_waiting(&mut self, database: pg_sys::Oid) {
        let running = self.copies.values().filter(|c| matches!(c.state, State::Running { .. })).count();
        let mut free = settings::copy_workers().saturating_sub(running);
        let mut waiting: Vec<_> = self.copies.iter_mut().filter(|(_, c)| matches!(c.state, State::Waiting { .. })).collect();
        waiting.sort_by_key(|(_, c)| c.generation);
        for (relid, copy) in waiting {
            let State::Waiting { not_before } = copy.state else { continue };
            if free == 0 || Instant::now() < not_before {
                continue;
            }
            match copy::start(database, *relid, copy.generation) {
                Some(handle) => {
                    copy.state = State::Running { handle };
                    free -= 1;
                }
                // No free process: others may end.
                None => copy.state = State::Waiting { not_before: Instant::now() + Duration::from_secs(5) },
            }
        }
    }
}
