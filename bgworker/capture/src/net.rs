//! The net effect of a sequence of row changes: which rows of the table before it are gone, and which new rows remain.
//!
//! Changes are named by key; the same row may change many times. Invariants:
//! - Rows are numbered in the order of insertion, and a row that died keeps its number.
//! - A delete takes a live new row with this key if there is one, else a row of the table before (the *base*). Where several rows may have
//!   one key (a mirror by full row) they are equal, so it does not matter which of them goes.
//! - A column whose value was not in the log is resolved through any number of updates to the one row that really has it.
//!
//! Nothing here knows Arrow or does I/O; the caller keeps the rows.

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash};

/// A row that a change refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The new row with this number.
    Row(u32),
    /// The base row that the delete with this index in [`Net::base_deletes`] names.
    Base(u32),
}

/// Why the changes cannot be those of a table with this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// A second live row with a key that must be unique.
    DuplicateKey,
    /// A delete of a row that a truncation had removed.
    DeletedAfterTruncate,
    /// An unchanged column without an old row to take it from.
    NoOldRow,
    /// More rows than can be numbered.
    TooManyRows,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Conflict::DuplicateKey => "a key was inserted twice",
            Conflict::DeletedAfterTruncate => "a row was deleted that does not exist after a truncation",
            Conflict::NoOldRow => "an unchanged value has no old row",
            Conflict::TooManyRows => "too many rows changed at once",
        })
    }
}

/// Accumulates changes.
#[derive(Debug)]
pub struct Net<K> {
    unique: bool,
    truncated: bool,
    keys: Vec<K>,
    dead: Vec<bool>,
    live: usize,
    /// The last live new row of each key; built at the first delete, since most transactions that insert many rows delete none.
    index: Option<HashTable<u32>>,
    /// For each row the previous live row with the same key. Equal keys are chained, since a hash table copes badly with many of one hash.
    previous: Vec<Option<u32>>,
    hasher: DefaultHashBuilder,
    base: Vec<K>,
    /// (row, column) -> where the value is.
    patches: HashMap<(u32, u16), Source>,
}

impl<K: Eq + Hash> Net<K> {
    /// `unique`: no two live rows have the same key.
    pub fn new(unique: bool) -> Self {
        Self {
            unique,
            truncated: false,
            keys: Vec::new(),
            dead: Vec::new(),
            live: 0,
            index: None,
            previous: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            base: Vec::new(),
            patches: HashMap::new(),
        }
    }

    /// A new row. `unchanged`: columns whose values are those of `replaced`, the row that the update's delete took.
    ///
    /// # Errors
    /// The changes contradict each other.
    pub fn insert(&mut self, key: K, unchanged: impl IntoIterator<Item = u16>, replaced: Option<Source>) -> Result<u32, Conflict> {
        let row = u32::try_from(self.keys.len()).map_err(|_| Conflict::TooManyRows)?;
        for column in unchanged {
            let source = match replaced.ok_or(Conflict::NoOldRow)? {
                Source::Row(old) => self.patches.get(&(old, column)).copied().unwrap_or(Source::Row(old)),
                base @ Source::Base(_) => base,
            };
            self.patches.insert((row, column), source);
        }
        self.keys.push(key);
        self.previous.push(None);
        self.dead.push(false);
        self.live += 1;
        self.add_to_index(row)?;
        Ok(row)
    }

    fn add_to_index(&mut self, row: u32) -> Result<(), Conflict> {
        let Self { keys, index: Some(index), hasher, previous, .. } = self else { return Ok(()) };
        let key = &keys[row as usize];
        match index.entry(hasher.hash_one(key), |&r| keys[r as usize] == *key, |&r| hasher.hash_one(&keys[r as usize])) {
            Entry::Vacant(entry) => {
                entry.insert(row);
            }
            Entry::Occupied(_) if self.unique => return Err(Conflict::DuplicateKey),
            Entry::Occupied(mut entry) => previous[row as usize] = Some(std::mem::replace(entry.get_mut(), row)),
        }
        Ok(())
    }

    /// A row with this key is gone; says which.
    ///
    /// # Errors
    /// There can be no such row.
    pub fn delete(&mut self, key: K) -> Result<Source, Conflict> {
        self.build_index()?;
        let Self { keys, index, hasher, previous, .. } = self;
        if let Some(index) = index
            && let Ok(mut entry) = index.find_entry(hasher.hash_one(&key), |&r| keys[r as usize] == key)
        {
            let row = *entry.get();
            match previous[row as usize] {
                Some(other) => *entry.get_mut() = other,
                None => {
                    entry.remove();
                }
            }
            self.dead[row as usize] = true;
            self.live -= 1;
            return Ok(Source::Row(row));
        }
        if self.truncated {
            return Err(Conflict::DeletedAfterTruncate);
        }
        let at = u32::try_from(self.base.len()).map_err(|_| Conflict::TooManyRows)?;
        self.base.push(key);
        Ok(Source::Base(at))
    }

    /// Every row so far is gone.
    pub fn truncate(&mut self) {
        self.truncated = true;
        self.base.clear();
        self.patches.clear();
        self.dead.fill(true);
        self.live = 0;
        self.index = Some(HashTable::new());
    }

    fn build_index(&mut self) -> Result<(), Conflict> {
        if self.index.is_none() {
            self.index = Some(HashTable::with_capacity(self.live));
            for row in 0..self.keys.len() {
                let row = u32::try_from(row).map_err(|_| Conflict::TooManyRows)?;
                if self.is_live(row) {
                    self.add_to_index(row)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the base is gone as a whole.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Keys of base rows that are gone, one row each.
    pub fn base_deletes(&self) -> &[K] {
        &self.base
    }

    /// Number of new rows, dead ones included.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// Number of new rows that remain.
    pub fn live_rows(&self) -> usize {
        self.live
    }

    pub fn is_live(&self, row: u32) -> bool {
        self.dead.get(row as usize).is_some_and(|dead| !dead)
    }

    /// Where the values of live rows are that were not in the log: (row, column, source).
    pub fn patches(&self) -> impl Iterator<Item = (u32, u16, Source)> {
        self.patches.iter().filter(|((row, _), _)| self.is_live(*row)).map(|(&(row, column), &source)| (row, column, source))
    }

    /// The keys of all new rows by number, dead ones included.
    pub fn into_keys(self) -> Vec<K> {
        self.keys
    }

    /// The key of a new row.
    pub fn key(&self, row: u32) -> Option<&K> {
        self.keys.get(row as usize)
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
