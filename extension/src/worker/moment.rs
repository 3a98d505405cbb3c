//! Up to which moment everything that was committed is decoded.
//!
//! Invariant: a moment is over when a position is decoded that lies behind every commit others saw then. What is flushed may end before it, since
//! asynchronous commits are visible before they are flushed; and what is asked for may have been asked for before it.

use super::position;
use crate::wal;
use std::time::{Duration, Instant};
use weir_plan::manifest::Lsn;

/// What nobody else flushes for so long is flushed, or nothing that comes after would ever count as decoded.
const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// A moment, by the clock that is never set and by the one that people read, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub monotonic_us: i64,
    pub unix_us: i64,
}

struct Mark {
    moment: Moment,
    since: Instant,
    lsn: Lsn,
}

#[derive(Default)]
pub struct Moments {
    mark: Option<Mark>,
}

impl Moments {
    /// To be called before decoding.
    pub fn note(&mut self) {
        match &self.mark {
            Some(mark) if mark.since.elapsed() < FLUSH_AFTER => {}
            Some(mark) => wal::flush(mark.lsn),
            None => {
                let moment = Moment { monotonic_us: monotonic_us(), unix_us: position::now_us() };
                self.mark = Some(Mark { moment, since: Instant::now(), lsn: wal::committed() });
            }
        }
    }

    /// The moment that was noted, if this position is beyond it.
    pub fn reached(&mut self, position: Lsn) -> Option<Moment> {
        self.mark.take_if(|mark| mark.lsn <= position).map(|mark| mark.moment)
    }
}

/// The same in all processes of a machine.
fn monotonic_us() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills in the time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1_000_000 + time.tv_nsec / 1000
}
