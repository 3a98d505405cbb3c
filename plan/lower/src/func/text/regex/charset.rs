//! Sets of characters as sorted ranges of code points.

use std::fmt::Write;

const MAX: u32 = 0x10_ffff;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CharSet(Vec<(u32, u32)>);

impl CharSet {
    /// Of ranges in order that do not meet.
    pub(super) fn of_ranges(ranges: &[(u32, u32)]) -> Self {
        Self(ranges.to_vec())
    }

    pub(super) fn any() -> Self {
        Self(vec![(0, MAX)])
    }

    pub(super) fn add(&mut self, first: u32, last: u32) {
        self.0.push((first, last));
        self.merge();
    }

    pub(super) fn add_both(&mut self, a: u32, b: u32) {
        for c in [a, b] {
            if !self.has(c) {
                self.add(c, c);
            }
        }
    }

    fn has(&self, c: u32) -> bool {
        self.0.iter().any(|&(a, b)| a <= c && c <= b)
    }

    fn merge(&mut self) {
        self.0.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(self.0.len());
        for &(a, b) in &self.0 {
            match merged.last_mut() {
                Some((_, end)) if a <= end.saturating_add(1) => *end = b.max(*end),
                _ => merged.push((a, b)),
            }
        }
        self.0 = merged;
    }

    pub(super) fn add_all(&mut self, other: &CharSet) {
        self.0.extend_from_slice(&other.0);
        self.merge();
    }

    pub(super) fn union(&self, other: &CharSet) -> CharSet {
        let mut out = self.clone();
        out.add_all(other);
        out
    }

    pub(super) fn complement(&self) -> CharSet {
        let mut out = Vec::new();
        let mut next = 0;
        for &(a, b) in &self.0 {
            if a > next {
                out.push((next, a - 1));
            }
            next = b + 1;
        }
        if next <= MAX {
            out.push((next, MAX));
        }
        CharSet(out)
    }

    pub(super) fn is_disjoint(&self, other: &CharSet) -> bool {
        self.0.iter().all(|&(a, b)| other.0.iter().all(|&(c, d)| b < c || d < a))
    }

    /// With both cases of every ASCII letter.
    pub(super) fn fold(&mut self) {
        for (upper, lower) in (b'A'..=b'Z').zip(b'a'..=b'z') {
            let (upper, lower) = (u32::from(upper), u32::from(lower));
            if self.has(upper) || self.has(lower) {
                self.add_both(upper, lower);
            }
        }
    }

    /// As `regex` writes it.
    pub(super) fn write(&self, out: &mut String) {
        out.push('[');
        for &(a, b) in &self.0 {
            // Surrogates are no characters: a range that ends among them ends before.
            let a = if (0xd800..0xe000).contains(&a) { 0xe000 } else { a };
            let b = if (0xd800..0xe000).contains(&b) { 0xd7ff } else { b };
            if a <= b {
                let _ = write!(out, "\\x{{{a:x}}}-\\x{{{b:x}}}");
            }
        }
        out.push(']');
    }
}
