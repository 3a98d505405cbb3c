//! The callbacks of logical decoding: decoded changes of mirrored tables become Arrow batches for the engine.
//!
//! Invariants:
//! - Called for whole transactions in commit order; what a transaction changed is sent before its `Commit`.
//! - Transactions of one run of the decoder share their messages if no table is being copied: a batch for each table and transaction
//!   would cost more than the rows in it. A copy needs to know each transaction's changes, as its snapshot may contain them.
//! - The engine hears of a transaction when other sessions see it, and of none after it before: what it answers is never ahead of Postgres.
//! - A change whose table no longer has the shape its mirror was made for is never converted: the mirror is invalidated instead.
//! - Nothing here reads the present catalog: the callbacks run under a historic snapshot.

mod callbacks;
mod rows;

use super::link::Link;
use super::{position, timetravel};
use crate::catalog::{self, define, store};
use pgrx::pg_sys;
use pgrx::prelude::*;
use rows::{Chunk, MAX_CHUNK_ROWS, deform, in_context};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use weir_plan::manifest::{MirrorDef, MirrorState, present};
use weir_plan::protocol::{MAX_MESSAGE_BYTES, ToEngineControl};
use weir_plan::{Result, arrow_ipc};

pub use callbacks::install;

/// Who has flushed a commit makes it visible within a few microseconds, if it gets a processor.
const VISIBLE_SOON: [Duration; 4] = [Duration::ZERO, Duration::from_micros(20), Duration::from_micros(100), Duration::from_micros(200)];

/// Bytes of rows, of all tables, that are not sent yet, and after how many changes at most they are counted: a transaction may change many tables.
const MAX_UNSENT_BYTES: usize = 32 << 20;
const COUNT_AFTER: usize = 64;

/// How often a commit that waits for a standby is looked at where nothing else can be done meanwhile.
const VISIBLE_AGAIN: Duration = Duration::from_millis(1);

thread_local! {
    /// Tables whose shape was compared with the mirror's since their last invalidation.
    static VERIFIED: RefCell<HashSet<u32>> = RefCell::default();
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    /// The table whose change is being converted, for the report of an error.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
    /// The transaction being replayed, for the same.
    static REPLAYED: Cell<u32> = const { Cell::new(0) };
}

/// The transaction during whose replay an error was raised, or 0.
pub fn current_transaction() -> u32 {
    REPLAYED.get()
}

/// The table whose change raised an error, or 0.
pub fn current_table() -> u32 {
    CURRENT.get()
}

/// A mirror that had to be given up.
#[derive(Debug, Clone)]
pub struct Lost {
    pub relid: u32,
    pub generation: i64,
    pub reason: String,
}

/// What is captured, and the transaction at hand.
pub struct Capture {
    tracked: HashMap<u32, Tracked>,
    /// The mirrors' table: changes of it tell when a mirror gets more columns.
    catalog: u32,
    /// Tables with rows that are not sent yet, in the order of their first change.
    touched: Vec<u32>,
    /// Committed transactions that the next `Commit` is for, with the positions of their commits.
    group: Vec<(u32, u64)>,
    /// So many of the group are visible to other sessions.
    visible: usize,
    group_rows: usize,
    /// End and time of the last commit in the group.
    group_end: (u64, i64),
    xid: u32,
    lost: Vec<Lost>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    old_values: Vec<pg_sys::Datum>,
    old_nulls: Vec<bool>,
    /// Holds what converting one row allocates.
    row_context: pg_sys::MemoryContext,
    /// Set while the decoder runs.
    link: *mut Link,
    pub transactions: u64,
}

struct Tracked {
    def: MirrorDef,
    /// Made at the first change, in its transaction.
    chunk: Option<Chunk>,
    dead: bool,
    /// Its copy, if there was one, is complete and committed.
    following: bool,
}

impl Capture {
    pub fn new() -> Self {
        if !REGISTERED.replace(true) {
            // SAFETY: once per process.
            unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null()) };
        }
        // SAFETY: the context lives as long as the process.
        let row_context = unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopMemoryContext,
                c"pg_weir captured row".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        Self {
            tracked: HashMap::new(),
            catalog: 0,
            touched: Vec::new(),
            group: Vec::new(),
            visible: 0,
            group_rows: 0,
            group_end: (0, 0),
            xid: 0,
            lost: Vec::new(),
            values: Vec::new(),
            nulls: Vec::new(),
            old_values: Vec::new(),
            old_nulls: Vec::new(),
            row_context,
            link: std::ptr::null_mut(),
            transactions: 0,
        }
    }

    /// The OID of the mirrors' table.
    pub fn set_catalog(&mut self, relid: u32) {
        self.catalog = relid;
    }

    /// Captures changes of this table from the next transaction on.
    pub fn track(&mut self, def: MirrorDef) {
        VERIFIED.with_borrow_mut(|v| v.remove(&def.relid));
        let following = def.state == MirrorState::Active;
        self.tracked.insert(def.relid, Tracked { def, chunk: None, dead: false, following });
    }

    /// The copy of a table has become part of its mirror.
    pub fn copied(&mut self, relid: u32, generation: i64) {
        if let Some(tracked) = self.tracked.get_mut(&relid).filter(|t| t.def.generation == generation) {
            tracked.following = true;
        }
    }

    pub fn untrack(&mut self, relid: u32) {
        self.tracked.remove(&relid);
    }

    /// The generation that is captured of a table.
    pub fn generation(&self, relid: u32) -> Option<i64> {
        self.tracked.get(&relid).map(|t| t.def.generation)
    }

    pub fn tables(&self) -> Vec<u32> {
        self.tracked.keys().copied().collect()
    }

    /// The mirrors given up since the last call.
    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Where the messages go. The caller keeps the link alive until it sets another one.
    pub fn set_link(&mut self, link: *mut Link) {
        self.link = link;
    }

    fn send(&self, message: &ToEngineControl) {
        // SAFETY: set for the time of the decoder's run, which is when callbacks come.
        if let Some(link) = unsafe { self.link.as_mut() } {
            link.send(message);
        }
    }

    fn begin(&mut self, xid: u32) {
        timetravel::enter_past();
        REPLAYED.set(xid);
        self.xid = xid;
    }

    fn commit(&mut self, commit_lsn: u64, end_lsn: u64, commit_time_us: i64) -> Result<()> {
        self.transactions += 1;
        REPLAYED.set(0);
        self.group.push((self.xid, commit_lsn));
        self.group_end = (end_lsn, commit_time_us);
        if self.group_rows >= MAX_CHUNK_ROWS || self.tracked.values().any(|t| !t.following && !t.dead) {
            self.wait_until_visible();
            self.end_group()?;
        }
        Ok(())
    }

    /// Whether other sessions see the transactions of the group. A commit is in the log, and flushed, before they do: a moment before, or
    /// for as long as it waits for a synchronous standby.
    fn is_visible(&mut self) -> bool {
        while let Some((xid, _)) = self.group.get(self.visible) {
            // SAFETY: looks at shared memory.
            if unsafe { pg_sys::TransactionIdIsInProgress((*xid).into()) } {
                return false;
            }
            self.visible += 1;
        }
        true
    }

    /// As `drain`, it serves interrupts; returns early if the engine is gone, as then nothing of this arrives.
    fn wait_until_visible(&mut self) {
        while !self.is_visible() {
            position::held(true);
            // SAFETY: as in `send`.
            match unsafe { self.link.as_mut() } {
                Some(link) if link.lost().is_none() => link.wait(VISIBLE_AGAIN),
                _ => return,
            };
        }
        position::held(false);
    }

    /// Ends the group if other sessions see its transactions. `false`: not yet, and nothing more is to be decoded until then.
    pub fn end_visible_group(&mut self) -> Result<bool> {
        for pause in VISIBLE_SOON {
            if self.is_visible() {
                position::held(false);
                return self.end_group().map(|()| true);
            }
            std::thread::sleep(pause);
        }
        position::held(true);
        Ok(false)
    }

    /// Sends what the transactions since the last call changed, and that they committed.
    fn end_group(&mut self) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        for relid in std::mem::take(&mut self.touched) {
            self.flush(relid)?;
        }
        self.group_rows = 0;
        self.visible = 0;
        let (end_lsn, commit_time_us) = self.group_end;
        let transactions = std::mem::take(&mut self.group);
        self.send(&ToEngineControl::Commit { transactions, end_lsn, commit_time_us });
        Ok(())
    }

    /// The transaction under which the engine keeps what it is sent until the next `Commit`.
    fn group_xid(&self) -> u32 {
        self.group.first().map_or(self.xid, |(xid, _)| *xid)
    }

    fn unsent_bytes(&self) -> usize {
        let of_table = |relid: &u32| self.tracked.get(relid).and_then(|t| t.chunk.as_ref()).map_or(0, |c| c.rows.size_bytes());
        self.touched.iter().map(of_table).sum()
    }

    /// Sends the rows of a table that are not sent yet.
    fn flush(&mut self, relid: u32) -> Result<()> {
        let xid = self.group_xid();
        let Some(tracked) = self.tracked.get_mut(&relid) else { return Ok(()) };
        let Some(chunk) = tracked.chunk.as_mut().filter(|c| !c.ops.is_empty()) else { return Ok(()) };
        let ipc = arrow_ipc::to_bytes(&chunk.finish()?)?;
        if ipc.len() > MAX_MESSAGE_BYTES {
            self.give_up(relid, store::ROW_TOO_LARGE.into());
            return Ok(());
        }
        let poisoned = chunk.rows.take_poisoned();
        let message = ToEngineControl::Changes { relid, generation: tracked.def.generation, xid, ipc, poisoned };
        if !tracked.dead {
            self.send(&message);
        }
        // SAFETY: as in `send`.
        if let Some(link) = unsafe { self.link.as_mut() } {
            link.drain();
        }
        Ok(())
    }

    fn give_up(&mut self, relid: u32, reason: String) {
        let Some(tracked) = self.tracked.get_mut(&relid) else { return };
        tracked.dead = true;
        tracked.chunk = None;
        self.lost.push(Lost { relid, generation: tracked.def.generation, reason: reason.clone() });
        self.send(&ToEngineControl::Invalidate { relid, reason });
    }

    /// # Safety
    /// A relation and a change as the decoder passes them.
    unsafe fn change(&mut self, rel: pg_sys::Relation, change: *mut pg_sys::ReorderBufferChange, commit_lsn: u64) -> Result<()> {
        use pg_sys::ReorderBufferChangeType as Type;
        // SAFETY: as promised by the caller.
        let (relid, action, old, new, tupdesc) = unsafe {
            let tuples = &(*change).data.tp;
            ((*rel).rd_id.to_u32(), (*change).action, tuple(tuples.oldtuple), tuple(tuples.newtuple), (*rel).rd_att)
        };
        // SAFETY: as promised by the caller.
        let original = unsafe { (*(*rel).rd_rel).relrewrite }.to_u32();
        if original != 0 {
            self.rewritten(original, commit_lsn);
            return Ok(());
        }
        if relid == self.catalog {
            // SAFETY: as promised by the caller.
            return unsafe { self.redefine(tupdesc, new) };
        }
        match self.tracked.get(&relid) {
            // What the segments contain already may even have had another shape.
            Some(tracked) if !tracked.dead && commit_lsn > tracked.def.applied_lsn => {}
            _ => return Ok(()),
        }
        CURRENT.set(relid);
        self.group_rows += 1;
        // SAFETY: as promised by the caller.
        self.keep_width(relid, i16::try_from(unsafe { (*tupdesc).natts }).unwrap_or(i16::MAX))?;
        // SAFETY: as promised by the caller.
        let done = unsafe {
            match self.verify(rel, relid) {
                Ok(()) => match action {
                    Type::REORDER_BUFFER_CHANGE_INSERT => self.insert(relid, tupdesc, new),
                    Type::REORDER_BUFFER_CHANGE_UPDATE => self.update(relid, rel, tupdesc, old, new),
                    Type::REORDER_BUFFER_CHANGE_DELETE => self.delete(relid, tupdesc, old),
                    other => Err(format!("an unknown kind of change ({other}) was decoded")),
                },
                Err(reason) => Err(reason),
            }
        };
        // SAFETY: nothing that was allocated for the row is used any more.
        unsafe { pg_sys::MemoryContextReset(self.row_context) };
        CURRENT.set(0);
        match done {
            Ok(()) => {
                if self.tracked.get(&relid).and_then(|t| t.chunk.as_ref()).is_some_and(Chunk::is_full) {
                    self.flush(relid)?;
                }
                if self.group_rows.is_multiple_of(COUNT_AFTER.max(self.touched.len())) && self.unsent_bytes() > MAX_UNSENT_BYTES {
                    for relid in self.touched.clone() {
                        self.flush(relid)?;
                    }
                }
            }
            Err(reason) => self.give_up(relid, reason),
        }
        Ok(())
    }

    /// A row of the mirrors' table as it is from now on: here, between changes without and with them, a mirror gets columns that were added to
    /// its table.
    ///
    /// # Safety
    /// A tuple (or null) with this descriptor.
    unsafe fn redefine(&mut self, tupdesc: pg_sys::TupleDesc, new: pg_sys::HeapTuple) -> Result<()> {
        if new.is_null() {
            return Ok(());
        }
        let mut row = None;
        // SAFETY: as promised by the caller; what is read is copied before its memory is given back.
        unsafe {
            deform(new, tupdesc, &mut self.values, &mut self.nulls);
            in_context(self.row_context, || row = catalog::definition(&self.values, &self.nulls));
            pg_sys::MemoryContextReset(self.row_context);
        }
        let Some((relid, generation, columns)) = row else { return Ok(()) };
        let grown = |t: &&Tracked| t.def.generation == generation && !t.dead && columns.len() > t.def.columns.len();
        if self.tracked.get(&relid).filter(grown).is_none() {
            return Ok(());
        }
        self.flush(relid)?;
        if let Some(tracked) = self.tracked.get_mut(&relid) {
            tracked.chunk = None;
            tracked.def.columns.clone_from(&columns);
        }
        VERIFIED.with_borrow_mut(|v| v.remove(&relid));
        self.send(&ToEngineControl::AddColumns { relid, generation, columns });
        Ok(())
    }

    /// Rows of one message have the same columns: those of the mirror that a table of so many attributes has.
    fn keep_width(&mut self, relid: u32, attributes: i16) -> Result<()> {
        let differs = |t: &Tracked| t.chunk.as_ref().is_some_and(|c| c.columns != present(&t.def.columns, attributes));
        if self.tracked.get(&relid).is_some_and(differs) {
            self.flush(relid)?;
            if let Some(tracked) = self.tracked.get_mut(&relid) {
                tracked.chunk = None;
            }
        }
        Ok(())
    }

    /// A row was written into the heap that will take the place of a table's. The event trigger has marked the mirror, unless it was
    /// switched off.
    fn rewritten(&mut self, relid: u32, commit_lsn: u64) {
        if self.tracked.get(&relid).is_some_and(|t| !t.dead && commit_lsn > t.def.applied_lsn) {
            self.give_up(relid, "the table was rewritten".into());
        }
    }

    /// Compares the table as it was at this change with what the mirror was made for.
    ///
    /// # Safety
    /// An open relation under a historic snapshot.
    unsafe fn verify(&mut self, rel: pg_sys::Relation, relid: u32) -> std::result::Result<(), String> {
        if VERIFIED.with_borrow(|v| v.contains(&relid)) {
            return Ok(());
        }
        let Some(tracked) = self.tracked.get(&relid) else { return Ok(()) };
        // SAFETY: as promised by the caller.
        let shape = unsafe { define::shape(rel) };
        if !shape.fits(&tracked.def.columns, &tracked.def.key) {
            return Err("the definition of the table changed".into());
        }
        VERIFIED.with_borrow_mut(|v| v.insert(relid));
        Ok(())
    }

    /// What the segments contain already would be lost if a truncation before it were sent once more: it may share its message with
    /// transactions that they do not contain.
    fn truncate(&mut self, relid: u32, commit_lsn: u64) -> Result<()> {
        let is_new = |t: &&Tracked| !t.dead && commit_lsn > t.def.applied_lsn;
        let Some(generation) = self.tracked.get(&relid).filter(is_new).map(|t| t.def.generation) else { return Ok(()) };
        self.flush(relid)?;
        self.send(&ToEngineControl::Truncate { relid, generation, xid: self.group_xid() });
        Ok(())
    }
}

#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
unsafe fn tuple(buffer: *mut pg_sys::ReorderBufferTupleBuf) -> pg_sys::HeapTuple {
    // SAFETY: a valid buffer or null.
    if buffer.is_null() { std::ptr::null_mut() } else { unsafe { &raw mut (*buffer).tuple } }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
unsafe fn tuple(tuple: pg_sys::HeapTuple) -> pg_sys::HeapTuple {
    tuple
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relid: pg_sys::Oid) {
    VERIFIED.with_borrow_mut(|v| {
        if relid == pg_sys::InvalidOid {
            v.clear();
        } else {
            v.remove(&relid.to_u32());
        }
    });
}
