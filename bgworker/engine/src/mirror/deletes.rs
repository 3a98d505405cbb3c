//! Delete vectors: which rows of a segment or of a part of the delta are gone.
//!
//! Invariants:
//! - A clone never changes: blocks are copied when they are shared and written to.
//! - Bits are only ever set. So two vectors of one segment are equal if their counts are.

use arrow::buffer::{BooleanBuffer, Buffer};
use roaring::RoaringBitmap;
use std::sync::Arc;
use weir_plan::{Error, Result};

const BLOCK_ROWS: u32 = 1 << 16;
const WORDS: usize = (BLOCK_ROWS / 64) as usize;

#[derive(Debug, Clone)]
struct Block {
    words: [u64; WORDS],
    count: u32,
}

#[derive(Debug, Clone, Default)]
pub struct DeleteVector {
    blocks: Vec<Option<Arc<Block>>>,
    count: u32,
}

impl DeleteVector {
    /// Number of deleted rows.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn is_set(&self, row: u32) -> bool {
        match self.blocks.get((row / BLOCK_ROWS) as usize) {
            Some(Some(block)) => block.words[(row % BLOCK_ROWS / 64) as usize] >> (row % 64) & 1 == 1,
            _ => false,
        }
    }

    /// Marks a row; `false` if it was marked already.
    pub fn set(&mut self, row: u32) -> bool {
        if self.is_set(row) {
            return false;
        }
        let at = (row / BLOCK_ROWS) as usize;
        if self.blocks.len() <= at {
            self.blocks.resize(at + 1, None);
        }
        let block = Arc::make_mut(self.blocks[at].get_or_insert_with(|| Arc::new(Block { words: [0; WORDS], count: 0 })));
        block.words[(row % BLOCK_ROWS / 64) as usize] |= 1 << (row % 64);
        block.count += 1;
        self.count += 1;
        true
    }

    /// Number of deleted rows below `row`.
    pub fn rank(&self, row: u32) -> u32 {
        let at = (row / BLOCK_ROWS) as usize;
        let before: u32 = self.blocks.iter().take(at).flatten().map(|b| b.count).sum();
        let Some(Some(block)) = self.blocks.get(at) else { return before };
        let word = (row % BLOCK_ROWS / 64) as usize;
        let whole: u32 = block.words[..word].iter().map(|w| w.count_ones()).sum();
        before + whole + (block.words[word] & ((1 << (row % 64)) - 1)).count_ones()
    }

    /// Number of deleted rows in `start..start + len`.
    pub fn count_in(&self, start: u32, len: u32) -> u32 {
        if self.count == 0 { 0 } else { self.rank(start + len) - self.rank(start) }
    }

    /// Deleted rows in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.blocks.iter().enumerate().filter_map(|(i, b)| b.as_ref().map(|b| (i, b))).flat_map(|(i, block)| {
            block.words.iter().enumerate().filter(|(_, w)| **w != 0).flat_map(move |(j, &word)| {
                let base = u32::try_from(i).unwrap_or(u32::MAX) * BLOCK_ROWS + u32::try_from(j).unwrap_or(0) * 64;
                std::iter::successors((word != 0).then_some(word), |w| Some(w & (w - 1)).filter(|w| *w != 0)).map(move |w| base + w.trailing_zeros())
            })
        })
    }

    /// Rows that are deleted here and not in `earlier`.
    pub fn since<'a>(&'a self, earlier: &'a DeleteVector) -> impl Iterator<Item = u32> + 'a {
        self.iter().filter(|row| !earlier.is_set(*row))
    }

    /// A mask of the rows of `start..start + len` that remain; `None` if all do.
    pub fn keep(&self, start: u32, len: u32) -> Option<BooleanBuffer> {
        if self.count_in(start, len) == 0 {
            return None;
        }
        let words: Vec<u64> = (start / 64..(start + len).div_ceil(64)).map(|w| !self.word(w)).collect();
        Some(BooleanBuffer::new(Buffer::from_vec(words), (start % 64) as usize, len as usize))
    }

    /// The bits of rows `64 * at..64 * at + 64`.
    fn word(&self, at: u32) -> u64 {
        match self.blocks.get((at * 64 / BLOCK_ROWS) as usize) {
            Some(Some(block)) => block.words[at as usize % WORDS],
            _ => 0,
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.count > 0 {
            let mut bitmap: RoaringBitmap = self.iter().collect();
            bitmap.optimize();
            // Writing to memory does not fail.
            let _ = bitmap.serialize_into(&mut bytes);
        }
        bytes
    }

    /// # Errors
    /// The bytes are not those of a delete vector for a segment of this many rows.
    pub fn from_bytes(bytes: &[u8], rows: u32) -> Result<Self> {
        let mut deletes = DeleteVector::default();
        if bytes.is_empty() {
            return Ok(deletes);
        }
        let bitmap = RoaringBitmap::deserialize_from(bytes).map_err(|e| Error::internal(format!("delete vector is damaged: {e}")))?;
        if bitmap.max().is_some_and(|last| last >= rows) {
            return Err(Error::internal("delete vector names a row beyond its segment"));
        }
        for row in bitmap {
            deletes.set(row);
        }
        Ok(deletes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use std::collections::BTreeSet;

    #[test]
    fn equals_a_set_of_rows() {
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            let rows = rng.random_range(1..300_000u32);
            let (mut deletes, mut model) = (DeleteVector::default(), BTreeSet::new());
            for _ in 0..rng.random_range(0..2000) {
                let row = rng.random_range(0..rows);
                assert_eq!(deletes.set(row), model.insert(row));
            }
            let pinned = deletes.clone();
            let first = model.clone();
            for row in 0..rows.min(100) {
                deletes.set(row);
                model.insert(row);
            }
            assert!(pinned.iter().eq(first.iter().copied()));
            assert!(deletes.since(&pinned).eq(model.difference(&first).copied()));
            assert_eq!(deletes.count() as usize, model.len());
            let (start, len) = (rows / 3, rows / 2);
            assert_eq!(deletes.count_in(start, len) as usize, model.range(start..start + len).count());
            if let Some(mask) = deletes.keep(start, len) {
                assert!((0..len).all(|i| mask.value(i as usize) != model.contains(&(start + i))));
            }
            let again = DeleteVector::from_bytes(&deletes.to_bytes(), rows).expect("reads");
            assert!(again.iter().eq(deletes.iter()));
        }
        assert!(DeleteVector::from_bytes(&[1, 2, 3], 10).is_err());
    }
}
