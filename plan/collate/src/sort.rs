//! Sorting in steps: whoever sorts many texts by a slow comparison gives way, or gives up, between two of them.
//!
//! Runs that fit into the processor's cache with their texts are sorted first, then merged all at once: a text that is not in the cache costs
//! more than the comparison, and is fetched twice so.
//!
//! Invariants:
//! - The comparison of a library is not trusted to be an order: whatever it says, this ends, does not panic, and loses no item.
//! - Equal items stay as they were.

use std::cmp::Ordering;

/// Items of a run.
const RUN: usize = 4096;

/// A merge sort that can be left at any comparison, or a few later.
pub struct Sorting {
    items: Vec<u32>,
    /// Of how many items each run is; the last may be shorter.
    run: usize,
    /// What has been merged, of a run or of all.
    merged: Vec<u32>,
    within: Within,
    merge: Option<Merge>,
}

/// Where the sorting of runs is.
struct Within {
    /// The run at hand.
    start: usize,
    /// Stretches of so many items of it are sorted.
    width: usize,
    /// The first item of the pair of stretches at hand, and the next one of each.
    pair: usize,
    left: usize,
    right: usize,
}

impl Sorting {
    /// Of items of which each run of `sorted` (the last may be shorter) is in order; 1 if nothing is known.
    pub fn new(items: Vec<u32>, sorted: usize) -> Self {
        let (run, start) = if sorted > 1 { (sorted, items.len()) } else { (RUN, 0) };
        Self { items, run, merged: Vec::new(), within: Within::run(start), merge: None }
    }

    /// Goes on by about so many comparisons; whether that was all.
    ///
    /// # Errors
    /// Those of the comparison.
    pub fn step<E>(&mut self, comparisons: usize, compare: &mut impl FnMut(u32, u32) -> Result<Ordering, E>) -> Result<bool, E> {
        let mut left = comparisons.max(1);
        if !self.sort_runs(&mut left, compare)? {
            return Ok(false);
        }
        if self.items.len() <= self.run {
            return Ok(true);
        }
        let merge = match &mut self.merge {
            Some(merge) => merge,
            None => self.merge.insert(Merge::of(&self.items, self.run, compare)?),
        };
        while self.merged.len() < self.items.len() {
            if left == 0 {
                return Ok(false);
            }
            left = left.saturating_sub(merge.depth());
            let Some(item) = merge.next(&self.items, compare)? else { break };
            self.merged.push(item);
        }
        if self.merged.len() == self.items.len() {
            self.items = std::mem::take(&mut self.merged);
            self.run = usize::MAX;
        }
        Ok(true)
    }

    fn sort_runs<E>(&mut self, comparisons: &mut usize, compare: &mut impl FnMut(u32, u32) -> Result<Ordering, E>) -> Result<bool, E> {
        let at = &mut self.within;
        while at.start < self.items.len() {
            let run_end = at.start.saturating_add(self.run).min(self.items.len());
            if at.width >= run_end - at.start {
                *at = Within::run(run_end);
                continue;
            }
            let middle = (at.pair + at.width).min(run_end);
            let end = (middle + at.width).min(run_end);
            if at.left < middle && at.right < end {
                if *comparisons == 0 {
                    return Ok(false);
                }
                *comparisons -= 1;
                let (Some(&left), Some(&right)) = (self.items.get(at.left), self.items.get(at.right)) else { return Ok(true) };
                if compare(left, right)?.is_gt() {
                    self.merged.push(right);
                    at.right += 1;
                } else {
                    self.merged.push(left);
                    at.left += 1;
                }
                continue;
            }
            self.merged.extend(self.items.get(at.left..middle).unwrap_or_default());
            self.merged.extend(self.items.get(at.right..end).unwrap_or_default());
            at.pair = end;
            if end == run_end {
                let of_run = self.items.get_mut(at.start..run_end).unwrap_or_default();
                of_run.iter_mut().zip(self.merged.drain(..)).for_each(|(to, from)| *to = from);
                at.width *= 2;
                at.pair = at.start;
            }
            at.left = at.pair;
            at.right = (at.pair + at.width).min(run_end);
        }
        Ok(true)
    }

    /// The items, in order once a step has said so.
    pub fn into_items(self) -> Vec<u32> {
        self.items
    }
}

impl Within {
    /// At the start of a run.
    fn run(start: usize) -> Self {
        Self { start, width: 1, pair: start, left: start, right: start + 1 }
    }
}

/// A tournament of the first items of all runs: who loses at a place waits there for the next one.
struct Merge {
    /// The next item of each run, and its end.
    runs: Vec<(usize, usize)>,
    /// The run that lost at each place; the places of a game's winner and its children are `n`, `2n` and `2n + 1`, the runs behind them.
    losers: Vec<usize>,
    winner: usize,
}

impl Merge {
    fn of<E>(items: &[u32], run: usize, compare: &mut impl FnMut(u32, u32) -> Result<Ordering, E>) -> Result<Self, E> {
        let runs: Vec<(usize, usize)> = (0..items.len()).step_by(run.max(1)).map(|start| (start, start.saturating_add(run).min(items.len()))).collect();
        let n = runs.len();
        let mut merge = Self { losers: vec![0; n], winner: 0, runs };
        let mut winners: Vec<usize> = (0..2 * n).map(|place| place.saturating_sub(n)).collect();
        for place in (1..n).rev() {
            let (Some(&a), Some(&b)) = (winners.get(2 * place), winners.get(2 * place + 1)) else { continue };
            let (winner, loser) = if merge.beats(b, a, items, compare)? { (b, a) } else { (a, b) };
            if let (Some(w), Some(l)) = (winners.get_mut(place), merge.losers.get_mut(place)) {
                (*w, *l) = (winner, loser);
            }
        }
        merge.winner = winners.get(1).copied().unwrap_or(0);
        Ok(merge)
    }

    /// How many games an item plays.
    fn depth(&self) -> usize {
        self.runs.len().ilog2() as usize + 1
    }

    fn first(&self, run: usize, items: &[u32]) -> Option<u32> {
        let &(next, end) = self.runs.get(run)?;
        if next < end { items.get(next).copied() } else { None }
    }

    /// Whether the first item of one run comes before that of another. What is equal comes in the order of the runs.
    fn beats<E>(&self, a: usize, b: usize, items: &[u32], compare: &mut impl FnMut(u32, u32) -> Result<Ordering, E>) -> Result<bool, E> {
        Ok(match (self.first(a, items), self.first(b, items)) {
            (Some(x), Some(y)) => compare(x, y)?.then(a.cmp(&b)).is_lt(),
            (x, _) => x.is_some(),
        })
    }

    fn next<E>(&mut self, items: &[u32], compare: &mut impl FnMut(u32, u32) -> Result<Ordering, E>) -> Result<Option<u32>, E> {
        let mut winner = self.winner;
        let item = self.first(winner, items);
        if let Some((next, _)) = self.runs.get_mut(winner) {
            *next += 1;
        }
        let mut place = (winner + self.runs.len()) / 2;
        while place > 0 {
            let Some(&loser) = self.losers.get(place) else { break };
            if self.beats(loser, winner, items, compare)? {
                if let Some(l) = self.losers.get_mut(place) {
                    *l = winner;
                }
                winner = loser;
            }
            place /= 2;
        }
        self.winner = winner;
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn sorted(items: Vec<u32>, sorted: usize, comparisons: usize, mut compare: impl FnMut(u32, u32) -> Ordering) -> Vec<u32> {
        let mut sorting = Sorting::new(items, sorted);
        while !sorting.step::<Infallible>(comparisons, &mut |a, b| Ok(compare(a, b))).unwrap_or(true) {}
        sorting.into_items()
    }

    #[test]
    fn in_steps_of_any_size() {
        for n in [0u32, 1, 2, 3, 7, 64, 1000, 4096, 4097, 20_000, 40_961] {
            let items: Vec<u32> = (0..n).map(|i| i.wrapping_mul(2_654_435_761) % 97).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            for comparisons in [1, 3, 1000, 1_000_000] {
                assert_eq!(sorted(items.clone(), 1, comparisons, |a, b| a.cmp(&b)), expected);
            }
            let mut runs = items;
            runs.chunks_mut(13).for_each(<[u32]>::sort_unstable);
            assert_eq!(sorted(runs, 13, 5, |a, b| a.cmp(&b)), expected);
        }
    }

    #[test]
    fn equal_items_stay_and_no_order_loses_none() {
        assert_eq!(sorted(vec![31, 12, 35, 11, 30], 1, 2, |a, b| (a / 10).cmp(&(b / 10))), [12, 11, 31, 35, 30]);
        let mut all = sorted((0..10_000).collect(), 1, 4, |a, b| if a % 3 == b % 2 { Ordering::Greater } else { Ordering::Less });
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
    }
}
