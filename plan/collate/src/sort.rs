//! Sorting in steps: whoever sorts many texts by a slow comparison gives way, or gives up, between two of them.
//!
//! Invariants:
//! - The comparison of a library is not trusted to be an order: whatever it says, this ends, does not panic, and loses no item.
//! - Equal items stay as they were.

use std::cmp::Ordering;

/// A merge sort that can be left at any comparison.
pub struct Sorting {
    items: Vec<u32>,
    /// What the current pass has merged.
    merged: Vec<u32>,
    /// Runs of so many items are sorted.
    width: usize,
    /// The first item of the pair of runs at hand, and the next one of each run.
    start: usize,
    left: usize,
    right: usize,
}

impl Sorting {
    /// Of items of which each run of `sorted` (the last may be shorter) is in order; 1 if nothing is known.
    pub fn new(items: Vec<u32>, sorted: usize) -> Self {
        let width = sorted.max(1);
        Self { merged: Vec::with_capacity(items.len()), right: width.min(items.len()), items, width, start: 0, left: 0 }
    }

    /// Goes on by at most so many comparisons; whether that was all.
    ///
    /// # Errors
    /// Those of the comparison.
    pub fn step<E>(&mut self, comparisons: usize, compare: &mut impl FnMut(u32, u32) -> Result<Ordering, E>) -> Result<bool, E> {
        let n = self.items.len();
        let mut done = 0;
        while self.width < n {
            let middle = self.start.saturating_add(self.width).min(n);
            let end = middle.saturating_add(self.width).min(n);
            if self.left < middle && self.right < end {
                if done == comparisons {
                    return Ok(false);
                }
                done += 1;
                let (Some(&left), Some(&right)) = (self.items.get(self.left), self.items.get(self.right)) else { return Ok(true) };
                if compare(left, right)?.is_gt() {
                    self.merged.push(right);
                    self.right += 1;
                } else {
                    self.merged.push(left);
                    self.left += 1;
                }
                continue;
            }
            self.merged.extend(self.items.get(self.left..middle).unwrap_or_default());
            self.merged.extend(self.items.get(self.right..end).unwrap_or_default());
            self.start = end;
            if end == n {
                std::mem::swap(&mut self.items, &mut self.merged);
                self.merged.clear();
                self.width = self.width.saturating_mul(2);
                self.start = 0;
            }
            self.left = self.start;
            self.right = self.start.saturating_add(self.width).min(n);
        }
        Ok(true)
    }

    /// The items, in order once a step has said so.
    pub fn into_items(self) -> Vec<u32> {
        self.items
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
        for n in [0u32, 1, 2, 3, 7, 64, 1000] {
            let items: Vec<u32> = (0..n).map(|i| i.wrapping_mul(2_654_435_761) % 97).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            for comparisons in [1, 3, 1000] {
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
        let mut all = sorted((0..50).collect(), 1, 4, |a, b| if a % 3 == b % 2 { Ordering::Greater } else { Ordering::Less });
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }
}
