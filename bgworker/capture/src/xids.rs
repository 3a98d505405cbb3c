//! Which transactions were decoded as committed, within a bounded window of transaction ids.
//!
//! An initial copy needs it: a transaction can be in the log, and decoded, before other sessions see it as finished (it leaves the list of
//! running transactions a little later, with synchronous replication much later). If such a transaction was decoded before the mirror was
//! followed, and the copy's snapshot does not see it, the mirror would miss it: the copy must take another snapshot.

use std::collections::VecDeque;
use weir_plan::manifest::{Lsn, PgSnapshot};

/// Commits that are remembered. A transaction stays in the list of running ones for as long as it takes to be acknowledged, so at any
/// practical rate this is minutes.
const WINDOW: usize = 1 << 20;

/// Recently decoded commits, in order.
#[derive(Debug, Default)]
pub struct RecentCommits {
    commits: VecDeque<(u32, Lsn)>,
}

impl RecentCommits {
    /// Notes a commit; they come in the order of their positions.
    pub fn note(&mut self, xid: u32, commit_lsn: Lsn) {
        if self.commits.len() == WINDOW {
            self.commits.pop_front();
        }
        self.commits.push_back((xid, commit_lsn));
    }

    /// Whether a commit before `lsn` is not seen by the snapshot.
    pub fn misses_any(&self, snapshot: &PgSnapshot, lsn: Lsn) -> bool {
        self.commits.iter().take_while(|(_, at)| *at < lsn).any(|&(xid, _)| !snapshot.sees(xid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_the_snapshot_does_not_see_is_found() {
        let mut recent = RecentCommits::default();
        recent.note(90, 1000);
        recent.note(105, 2000);
        recent.note(200, 3000);
        let snapshot = PgSnapshot { xmin: 100, xmax: 110, xip: vec![105] };
        assert!(!recent.misses_any(&snapshot, 2000));
        assert!(recent.misses_any(&snapshot, 2001));
        assert!(recent.misses_any(&PgSnapshot { xmin: 110, xmax: 110, xip: vec![] }, 3001));
    }
}
