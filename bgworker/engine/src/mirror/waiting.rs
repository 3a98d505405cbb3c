//! Changes that wait for their commit, or for the end of a copy.
//!
//! A transaction may be of any size. What exceeds the memory for all that wait goes to files, which are read again when it is known what
//! becomes of it.
//!
//! Invariants:
//! - Changes come out in the order in which they went in.
//! - The files have no names, so that nothing stays of an engine that was killed.
//! - Who can write no more keeps what it has; the caller decides how much of that is too much.

use super::changes::{ChangedRows, Op};
use super::layout::Layout;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_plan::{Error, Result, arrow_ipc};

/// The length of what follows stands before it; a truncation has none.
const HEAD_BYTES: u64 = 8;

/// Where changes are written to, and how much of it there may be. Postgres writes the same transaction to files of its own while it decodes it, so this
/// is not held against what queries may write.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    limit_bytes: AtomicU64,
    used_bytes: AtomicU64,
    next: AtomicU64,
}

impl Spool {
    pub fn new(dir: PathBuf, limit_bytes: u64) -> Arc<Spool> {
        Arc::new(Spool { dir, limit_bytes: AtomicU64::new(limit_bytes), used_bytes: AtomicU64::new(0), next: AtomicU64::new(0) })
    }

    pub fn set_limit(&self, bytes: u64) {
        self.limit_bytes.store(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn open(self: &Arc<Self>) -> std::io::Result<Written> {
        let path = self.dir.join(format!("changes-{}", self.next.fetch_add(1, Ordering::Relaxed)));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Written { file, bytes: 0, spool: Arc::clone(self) })
    }
}

/// A file of changes.
#[derive(Debug)]
struct Written {
    file: File,
    bytes: u64,
    spool: Arc<Spool>,
}

impl Written {
    fn append(&mut self, body: &[u8]) -> std::result::Result<(), String> {
        let bytes = HEAD_BYTES + body.len() as u64;
        if self.spool.used_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.spool.limit_bytes.load(Ordering::Relaxed) {
            self.spool.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err("there is more than weir.temp_limit".into());
        }
        let head = (body.len() as u64).to_le_bytes();
        let written = self.file.write_all_at(&head, self.bytes).and_then(|()| self.file.write_all_at(body, self.bytes + HEAD_BYTES));
        match written {
            Ok(()) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(e) => {
                self.spool.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
                Err(e.to_string())
            }
        }
    }

    fn read(&self, at: u64) -> std::io::Result<Vec<u8>> {
        let mut head = [0; HEAD_BYTES as usize];
        self.file.read_exact_at(&mut head, at)?;
        let len = u64::from_le_bytes(head);
        if len > self.bytes.saturating_sub(at + HEAD_BYTES) {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; usize::try_from(len).map_err(|_| std::io::ErrorKind::InvalidData)?];
        self.file.read_exact_at(&mut body, at + HEAD_BYTES)?;
        Ok(body)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.spool.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a transaction, or several, does to one table, in order.
#[derive(Debug, Default)]
pub struct TableChanges {
    pub generation: i64,
    pub poisoned: Vec<i16>,
    /// The first ones.
    written: Option<Written>,
    read_bytes: u64,
    /// The last ones.
    ops: VecDeque<Op>,
    memory_bytes: usize,
    /// Of all.
    bytes: u64,
    given_up: bool,
}

impl TableChanges {
    pub fn new(generation: i64) -> Self {
        Self { generation, ..Self::default() }
    }

    pub fn push(&mut self, op: Op) {
        if self.given_up {
            return;
        }
        self.memory_bytes += op.bytes();
        self.bytes += op.bytes() as u64;
        self.ops.push_back(op);
    }

    pub fn poison(&mut self, columns: &[i16]) {
        for column in columns {
            if !self.poisoned.contains(column) {
                self.poisoned.push(*column);
            }
        }
    }

    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Of all that was added, wherever it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_written(&self) -> bool {
        self.written.is_some()
    }

    /// They are of no use any more, and neither is what comes.
    pub fn give_up(&mut self) {
        *self = Self { generation: self.generation, given_up: true, ..Self::default() };
    }

    /// Writes what is in memory.
    ///
    /// # Errors
    /// The disk is full, or the limit reached. What could not be written is still in memory.
    pub fn write_out(&mut self, spool: &Arc<Spool>) -> Result<()> {
        let failed = |e: String| Error::internal(format!("could not write changes: {e}"));
        while let Some(op) = self.ops.front() {
            let written = match &mut self.written {
                Some(written) => written,
                None => self.written.insert(spool.open().map_err(|e| failed(e.to_string()))?),
            };
            let body = match op {
                Op::Rows(rows) => arrow_ipc::to_bytes(&rows.to_batch()?)?,
                Op::Truncate => Vec::new(),
            };
            written.append(&body).map_err(failed)?;
            self.memory_bytes = self.memory_bytes.saturating_sub(op.bytes());
            self.ops.pop_front();
        }
        Ok(())
    }

    /// Takes the first one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn next(&mut self, layout: &Layout) -> Result<Option<Op>> {
        if let Some(written) = self.written.as_ref().filter(|w| self.read_bytes < w.bytes) {
            let body = written.read(self.read_bytes).map_err(|e| Error::internal(format!("could not read changes: {e}")))?;
            self.read_bytes += HEAD_BYTES + body.len() as u64;
            if body.is_empty() {
                return Ok(Some(Op::Truncate));
            }
            return ChangedRows::read(layout, &arrow_ipc::from_bytes(body)?).map(|rows| Some(Op::Rows(rows)));
        }
        let op = self.ops.pop_front();
        self.memory_bytes = self.memory_bytes.saturating_sub(op.as_ref().map_or(0, Op::bytes));
        Ok(op)
    }
}

/// Transactions that are not committed yet.
#[derive(Default)]
pub struct Waiting {
    transactions: HashMap<u32, HashMap<u32, TableChanges>>,
    bytes: usize,
}

impl Waiting {
    /// Adds to what a transaction does to a table.
    ///
    /// # Errors
    /// There is more than `most_bytes` in memory, and it can't be written; the table's changes are given up.
    pub fn add(&mut self, xid: u32, relid: u32, generation: i64, op: Op, poisoned: &[i16], room: &Room) -> Result<()> {
        let changes = self.transactions.entry(xid).or_default().entry(relid).or_default();
        if changes.generation != generation {
            self.bytes -= changes.memory_bytes();
            *changes = TableChanges::new(generation);
        }
        let before = changes.memory_bytes();
        changes.poison(poisoned);
        changes.push(op);
        self.bytes += changes.memory_bytes() - before;
        let Err(e) = self.make_room(room) else { return Ok(()) };
        if self.bytes <= room.most_bytes {
            return Ok(());
        }
        if let Some(changes) = self.transactions.get_mut(&xid).and_then(|tables| tables.get_mut(&relid)) {
            self.bytes -= changes.memory_bytes();
            changes.give_up();
        }
        Err(e)
    }

    fn make_room(&mut self, room: &Room) -> Result<()> {
        while self.bytes > room.bytes {
            let all = self.transactions.values_mut().flat_map(HashMap::values_mut);
            let Some(largest) = all.max_by_key(|c| c.memory_bytes()) else { break };
            let before = largest.memory_bytes();
            let written = largest.write_out(&room.spool);
            self.bytes -= before - largest.memory_bytes();
            written?;
        }
        Ok(())
    }

    /// All changes of a transaction.
    pub fn take(&mut self, xid: u32) -> HashMap<u32, TableChanges> {
        let transaction = self.transactions.remove(&xid).unwrap_or_default();
        self.bytes -= transaction.values().map(TableChanges::memory_bytes).sum::<usize>();
        transaction
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// How much may be in memory.
pub struct Room {
    pub bytes: usize,
    /// If it can't be written.
    pub most_bytes: usize,
    pub spool: Arc<Spool>,
}
