//! What Postgres holds of a mirror: its definition, its segments and how far the change stream is applied.
//!
//! The rows of `weir.mirror_table` and `weir.mirror_segment` in the engine's form. Invariant: an engine that is given these values and
//! the change stream from the slot's position arrives at the exact content of the heap; it keeps nothing else that matters.

use crate::types::PgType;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A position in the write-ahead log.
pub type Lsn = u64;

/// The form of what a mirror keeps: files, delete vectors, and what the values in them mean. Raise it with every change that makes an older build's
/// segments or definitions mean something else; mirrors of another form are copied again. 1 stands for all builds that did not say.
pub const FORM: i16 = 3;

/// One column of a mirrored table that the mirror holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// `pg_attribute.attnum`; the physical column is named `a<attnum>`.
    pub attnum: i16,
    pub name: String,
    pub ty: PgType,
    pub not_null: bool,
    /// What rows from before the column was added to the table have there; `None` if the mirror has had the column from its beginning.
    #[serde(default)]
    pub before: Option<Before>,
}

/// The value that all rows of a table got when a column was added to it (`pg_attribute.attmissingval`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    Null,
    /// An IPC stream of the column's physical columns, with one row; in hexadecimal, since it is kept as JSON.
    Value(String),
}

impl Before {
    pub fn value(ipc: &[u8]) -> Self {
        Self::Value(ipc.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
    }

    /// The stream; `None` for NULL.
    ///
    /// # Errors
    /// What is kept is not a value.
    pub fn ipc(&self) -> Result<Option<Vec<u8>>> {
        let Self::Value(digits) = self else { return Ok(None) };
        let damaged = || Error::internal("the value that rows have in an added column is unreadable");
        let digits = digits.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or_else(damaged)).collect::<Result<Vec<u8>>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        if rest.is_empty() { Ok(Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())) } else { Err(damaged()) }
    }
}

/// How many of a mirror's columns its table has when it has this many attributes (dropped ones included): the others are added later.
pub fn present(columns: &[ColumnDef], attributes: i16) -> usize {
    columns.partition_point(|c| c.attnum <= attributes)
}

impl ColumnDef {
    /// The name of the physical column in batches and segments.
    pub fn physical_name(&self) -> String {
        format!("a{}", self.attnum)
    }
}

/// How a changed row is found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Key {
    /// The columns of the primary key or of the replica identity index (attnums, in index order; all mirrored and NOT NULL).
    Columns(Vec<i16>),
    /// REPLICA IDENTITY FULL without a usable key: a change names the whole old row, and exactly one equal row is meant.
    FullRow,
}

/// A mirror as the catalog defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorDef {
    pub relid: u32,
    /// Grows with every resynchronisation; files and messages of an older generation are dead.
    pub generation: i64,
    /// Qualified name, for messages.
    pub name: String,
    pub columns: Vec<ColumnDef>,
    pub key: Key,
    pub state: MirrorState,
    /// Every transaction committed up to here is contained in the segments and delete vectors. Meaningless while copying.
    pub applied_lsn: Lsn,
    pub segments: Vec<SegmentMeta>,
    /// Columns that hold a value which their Arrow form cannot hold exactly.
    pub poisoned: Vec<i16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorState {
    Copying,
    Active,
}

/// An immutable segment and its current delete vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentMeta {
    pub id: i64,
    /// Path below the storage root.
    pub path: String,
    pub rows: u64,
    pub size_bytes: u64,
    /// Serialised delete vector, empty if no row is deleted.
    pub deletes: Vec<u8>,
}

/// What one catalog transaction changes of one mirror.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManifestChange {
    pub relid: u32,
    pub generation: i64,
    pub applied_lsn: Lsn,
    /// Set when this ends the initial copy.
    pub state: MirrorState,
    pub add: Vec<SegmentMeta>,
    pub remove: Vec<i64>,
    /// (segment id, serialised delete vector)
    pub deletes: Vec<(i64, Vec<u8>)>,
    pub poisoned: Vec<i16>,
    pub live_rows: u64,
    pub size_bytes: u64,
}

/// A Postgres snapshot: which transactions an initial copy saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PgSnapshot {
    /// All transactions below are finished.
    pub xmin: u32,
    /// No transaction at or above had finished.
    pub xmax: u32,
    /// Top-level transactions in progress, sorted in no order.
    pub xip: Vec<u32>,
}

impl PgSnapshot {
    /// Whether a committed top-level transaction is seen. Source: `XidInMVCCSnapshot` in `snapmgr.c`.
    pub fn sees(&self, xid: u32) -> bool {
        if xid_precedes(xid, self.xmin) {
            return true;
        }
        if !xid_precedes(xid, self.xmax) {
            return false;
        }
        !self.xip.contains(&xid)
    }
}

/// Circular comparison of normal transaction ids. Source: `TransactionIdPrecedes` in `transam.c`.
fn xid_precedes(a: u32, b: u32) -> bool {
    if a < 3 || b < 3 {
        return a < b;
    }
    (a.wrapping_sub(b) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_was_finished_when_it_was_taken() {
        let s = PgSnapshot { xmin: 100, xmax: 110, xip: vec![100, 105] };
        assert!(s.sees(99));
        assert!(!s.sees(100));
        assert!(s.sees(101));
        assert!(!s.sees(105));
        assert!(!s.sees(110));
        assert!(!s.sees(200));
    }

    #[test]
    fn the_value_of_an_added_column_is_kept_as_text() {
        for bytes in [vec![], vec![0], vec![255, 16, 1, 0]] {
            assert_eq!(Before::value(&bytes).ipc().expect("readable"), Some(bytes));
        }
        assert_eq!(Before::Null.ipc().expect("readable"), None);
        for damaged in ["0", "0g", "é0"] {
            assert!(Before::Value(damaged.into()).ipc().is_err());
        }
    }

    #[test]
    fn comparison_survives_wraparound() {
        let s = PgSnapshot { xmin: u32::MAX - 5, xmax: 10, xip: vec![5] };
        assert!(s.sees(u32::MAX - 6));
        assert!(s.sees(4));
        assert!(!s.sees(5));
        assert!(!s.sees(10));
    }
}
