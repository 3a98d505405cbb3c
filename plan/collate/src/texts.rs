//! Many texts that are compared with each other, held as the library wants them.
//!
//! Invariants:
//! - Each text is followed by a zero byte, and has none itself.
//! - Nothing is taken out: a text keeps its number.

use super::{Collator, Provider, icu_order, strcoll_l};
use std::cmp::Ordering;
use std::sync::Arc;

/// Texts by their numbers, from 0.
pub struct Texts {
    collator: Arc<Collator>,
    bytes: Vec<u8>,
    /// Where each text ends, its zero not counted.
    ends: Vec<usize>,
    /// For each of them, if the collator has such.
    prefixes: Vec<Option<u64>>,
}

impl Texts {
    /// None yet, but room for so many texts of so many bytes in all.
    pub fn new(collator: Arc<Collator>, texts: usize, bytes: usize) -> Self {
        let prefixes = Vec::with_capacity(if collator.has_prefixes() { texts } else { 0 });
        Self { collator, bytes: Vec::with_capacity(bytes + texts), ends: Vec::with_capacity(texts), prefixes }
    }

    /// What `new` allocates, in bytes.
    pub fn needed(collator: &Collator, texts: usize, bytes: usize) -> usize {
        let prefixes = if collator.has_prefixes() { texts * size_of::<Option<u64>>() } else { 0 };
        bytes + texts * (1 + size_of::<usize>()) + prefixes
    }

    /// Adds a text.
    ///
    /// # Errors
    /// It has a zero byte.
    pub fn push(&mut self, text: &str) -> Result<(), String> {
        if text.as_bytes().contains(&0) {
            return Err("a text with a zero byte".into());
        }
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
        self.bytes.push(0);
        if self.collator.has_prefixes() {
            self.prefixes.push(self.collator.prefix(text));
        }
        Ok(())
    }

    /// The bytes of a text and its zero.
    fn terminated(&self, text: u32) -> Option<&[u8]> {
        let text = text as usize;
        let start = match text.checked_sub(1) {
            Some(before) => self.ends.get(before)? + 1,
            None => 0,
        };
        self.bytes.get(start..=*self.ends.get(text)?)
    }

    /// The order of two texts.
    ///
    /// # Errors
    /// There is no such text, or the library cannot compare them.
    pub fn compare(&self, a: u32, b: u32) -> Result<Ordering, String> {
        if a == b {
            return Ok(Ordering::Equal);
        }
        if let (Some(Some(x)), Some(Some(y))) = (self.prefixes.get(a as usize), self.prefixes.get(b as usize))
            && x != y
        {
            return Ok(x.cmp(y));
        }
        let (Some(a), Some(b)) = (self.terminated(a), self.terminated(b)) else { return Err("a text that is not there".into()) };
        let order = match &self.collator.0 {
            // SAFETY: both end with a zero, and the locale is open.
            Provider::Libc(locale) => unsafe { strcoll_l(a.as_ptr().cast(), b.as_ptr().cast(), *locale) },
            Provider::Icu(icu) => icu_order(icu, a.split_last().map_or(a, |(_, text)| text), b.split_last().map_or(b, |(_, text)| text))?,
        };
        Ok(order.cmp(&0).then_with(|| a.cmp(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_by_their_numbers() {
        let mut texts = Texts::new(Collator::open("libc:C.UTF-8").expect("is part of glibc"), 4, 9);
        for text in ["b", "", "bé", "b"] {
            texts.push(text).expect("has no zero");
        }
        assert!(texts.push("a\0b").is_err());
        assert_eq!(texts.compare(0, 1), Ok(Ordering::Greater));
        assert_eq!(texts.compare(0, 2), Ok(Ordering::Less));
        assert_eq!(texts.compare(0, 3), Ok(Ordering::Equal));
        assert!(texts.compare(0, 4).is_err());
    }
}
