//! The callbacks of logical decoding: decoded changes of mirrored tables become Arrow batches for the engine.
//!
//! Invariants:
//! - Called for whole transactions in commit order; what a transaction changed is sent before its `Commit`.
//! - Transactions of one run of the decoder share their messages if no table is being copied: a batch for each table and transaction
//!   would cost more than the rows in it. A copy needs to know each transaction's changes, as its snapshot may contain them.
//! - The engine hears of a transaction when other sessions see it, and of none after it before: what it answers is never ahead of Postgres.
//! - A change whose table no longer has the shape its mirror was made for is never converted: the mirror is invalidated instead.
//! - Nothing here reads the present catalog: the callbacks run under a historic snapshot.

use super::link::Link;
use super::timetravel;
use crate::catalog::{self, define};
use crate::tuple::{RowBuilder, is_external_on_disk};
use arrow::array::{ArrayRef, BinaryBuilder, Int8Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use weir_plan::manifest::{ColumnDef, Key, MirrorDef, MirrorState, present};
use weir_plan::protocol::{ToEngineControl, op};
use weir_plan::{Error, Result, arrow_ipc};

/// Bounds of one message with changes.
const MAX_CHUNK_ROWS: usize = 8192;
const MAX_CHUNK_BYTES: usize = 4 << 20;

/// Who has flushed a commit makes it visible within a few microseconds, if it gets a processor.
const VISIBLE_SOON: [Duration; 4] = [Duration::ZERO, Duration::from_micros(20), Duration::from_micros(100), Duration::from_micros(200)];

/// How often a commit that waits for a standby is looked at where nothing else can be done meanwhile.
const VISIBLE_AGAIN: Duration = Duration::from_millis(1);

/// Microseconds from the Unix epoch to that of Postgres.
const EPOCH_US: i64 = 946_684_800_000_000;

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

/// Rows of one table that are not sent yet.
struct Chunk {
    rows: RowBuilder,
    schema: SchemaRef,
    /// How many of the mirror's columns the rows have.
    columns: usize,
    ops: Vec<i8>,
    unchanged: BinaryBuilder,
}

impl Chunk {
    fn new(columns: &[ColumnDef]) -> Result<Self> {
        let rows = RowBuilder::new(columns, 16)?;
        let mut fields = vec![Field::new("op", DataType::Int8, false)];
        fields.extend_from_slice(rows.fields());
        fields.push(Field::new("unchanged", DataType::Binary, true));
        Ok(Self { rows, schema: Arc::new(Schema::new(fields)), columns: columns.len(), ops: Vec::new(), unchanged: BinaryBuilder::new() })
    }

    fn is_full(&self) -> bool {
        self.ops.len() >= MAX_CHUNK_ROWS || self.rows.size_bytes() >= MAX_CHUNK_BYTES
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int8Array::from(std::mem::take(&mut self.ops)))];
        arrays.extend(self.rows.finish());
        arrays.push(Arc::new(self.unchanged.finish()));
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| Error::internal(format!("could not build a batch of changes: {e}")))
    }
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
            // SAFETY: as in `send`.
            match unsafe { self.link.as_mut() } {
                Some(link) if link.lost().is_none() => link.wait(VISIBLE_AGAIN),
                _ => return,
            };
        }
    }

    /// Ends the group if other sessions see its transactions. `false`: not yet, and nothing more is to be decoded until then.
    pub fn end_visible_group(&mut self) -> Result<bool> {
        for pause in VISIBLE_SOON {
            if self.is_visible() {
                return self.end_group().map(|()| true);
            }
            std::thread::sleep(pause);
        }
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

    /// Sends the rows of a table that are not sent yet.
    fn flush(&mut self, relid: u32) -> Result<()> {
        let xid = self.group_xid();
        let Some(tracked) = self.tracked.get_mut(&relid) else { return Ok(()) };
        let Some(chunk) = tracked.chunk.as_mut().filter(|c| !c.ops.is_empty()) else { return Ok(()) };
        let ipc = arrow_ipc::to_bytes(&chunk.finish()?)?;
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

    /// The chunk for rows of a table.
    ///
    /// # Safety
    /// The descriptor of a row of the table.
    unsafe fn chunk<'a>(
        tracked: &'a mut HashMap<u32, Tracked>,
        touched: &mut Vec<u32>,
        relid: u32,
        tupdesc: pg_sys::TupleDesc,
    ) -> std::result::Result<(&'a mut Chunk, &'a MirrorDef), String> {
        let tracked = tracked.get_mut(&relid).ok_or("the mirror is gone")?;
        if tracked.chunk.is_none() {
            // SAFETY: as promised by the caller.
            let attributes = i16::try_from(unsafe { (*tupdesc).natts }).unwrap_or(i16::MAX);
            let columns = tracked.def.columns.get(..present(&tracked.def.columns, attributes)).unwrap_or_default();
            tracked.chunk = Some(Chunk::new(columns).map_err(|e| e.to_string())?);
        }
        let chunk = tracked.chunk.as_mut().ok_or("the mirror is gone")?;
        if !touched.contains(&relid) {
            touched.push(relid);
        }
        Ok((chunk, &tracked.def))
    }

    /// # Safety
    /// A tuple (or null) with this descriptor.
    unsafe fn insert(&mut self, relid: u32, tupdesc: pg_sys::TupleDesc, new: pg_sys::HeapTuple) -> std::result::Result<(), String> {
        if new.is_null() {
            return Err("an inserted row was logged without its contents".into());
        }
        // SAFETY: as promised by the caller.
        unsafe {
            deform(new, tupdesc, &mut self.values, &mut self.nulls);
            let (chunk, def) = Self::chunk(&mut self.tracked, &mut self.touched, relid, tupdesc)?;
            if unchanged_columns(def, tupdesc, &self.values, &self.nulls).iter().any(|u| *u) {
                return Err("an inserted row was logged without its out-of-line values".into());
            }
            in_context(self.row_context, || chunk.rows.append(&self.values, &self.nulls));
            chunk.ops.push(op::INSERT);
            chunk.unchanged.append_null();
        }
        Ok(())
    }

    /// # Safety
    /// Tuples (or null) with this descriptor.
    unsafe fn update(
        &mut self,
        relid: u32,
        rel: pg_sys::Relation,
        tupdesc: pg_sys::TupleDesc,
        old: pg_sys::HeapTuple,
        new: pg_sys::HeapTuple,
    ) -> std::result::Result<(), String> {
        if new.is_null() {
            return Err("an updated row was logged without its contents".into());
        }
        // SAFETY: as promised by the caller.
        unsafe {
            let full_old = (*(*rel).rd_rel).relreplident.cast_unsigned() == pg_sys::REPLICA_IDENTITY_FULL && !old.is_null();
            deform(new, tupdesc, &mut self.values, &mut self.nulls);
            if !old.is_null() {
                deform(old, tupdesc, &mut self.old_values, &mut self.old_nulls);
            }
            let (chunk, def) = Self::chunk(&mut self.tracked, &mut self.touched, relid, tupdesc)?;
            if def.key == Key::FullRow && !full_old {
                return Err("an updated row was logged without its old contents".into());
            }
            let mut unchanged = unchanged_columns(def, tupdesc, &self.values, &self.nulls);
            // An unchanged out-of-line value is known if the old row (or, for a column of the key, the old key) was logged.
            for (column, missing) in def.columns.iter().zip(&mut unchanged) {
                let i = usize::try_from(column.attnum - 1).unwrap_or(usize::MAX);
                let in_old = !old.is_null() && (full_old || matches!(&def.key, Key::Columns(key) if key.contains(&column.attnum)));
                if *missing
                    && in_old
                    && self.old_nulls.get(i) == Some(&false)
                    && let (Some(value), Some(old_value)) = (self.values.get_mut(i), self.old_values.get(i))
                {
                    *value = *old_value;
                    *missing = false;
                }
            }
            let (values, nulls) = (&self.values, &self.nulls);
            let (key_values, key_nulls) = if old.is_null() { (values, nulls) } else { (&self.old_values, &self.old_nulls) };
            in_context(self.row_context, || {
                append_key(chunk, def, key_values, key_nulls);
                chunk.rows.append_picked(|i| {
                    let missing = def.columns.iter().position(|c| usize::try_from(c.attnum - 1) == Ok(i)).is_some_and(|at| unchanged.get(at) == Some(&true));
                    if missing || nulls.get(i).copied().unwrap_or(true) { None } else { values.get(i).copied() }
                });
            });
            chunk.ops.extend([op::UPDATE_OLD, op::INSERT]);
            chunk.unchanged.append_null();
            if unchanged.iter().any(|u| *u) {
                chunk.unchanged.append_value(bitmap(&unchanged));
            } else {
                chunk.unchanged.append_null();
            }
        }
        Ok(())
    }

    /// # Safety
    /// A tuple (or null) with this descriptor.
    unsafe fn delete(&mut self, relid: u32, tupdesc: pg_sys::TupleDesc, old: pg_sys::HeapTuple) -> std::result::Result<(), String> {
        if old.is_null() {
            return Err("a deleted row was logged without its key".into());
        }
        // SAFETY: as promised by the caller.
        unsafe {
            deform(old, tupdesc, &mut self.old_values, &mut self.old_nulls);
            let (chunk, def) = Self::chunk(&mut self.tracked, &mut self.touched, relid, tupdesc)?;
            in_context(self.row_context, || append_key(chunk, def, &self.old_values, &self.old_nulls));
            chunk.ops.push(op::DELETE);
            chunk.unchanged.append_null();
        }
        Ok(())
    }

    fn truncate(&mut self, relid: u32) -> Result<()> {
        let Some(generation) = self.tracked.get(&relid).filter(|t| !t.dead).map(|t| t.def.generation) else { return Ok(()) };
        self.flush(relid)?;
        self.send(&ToEngineControl::Truncate { relid, generation, xid: self.group_xid() });
        Ok(())
    }
}

/// The row that names an old row: its key, or all of it.
///
/// # Safety
/// Values of the mirrored table.
unsafe fn append_key(chunk: &mut Chunk, def: &MirrorDef, values: &[pg_sys::Datum], nulls: &[bool]) {
    // SAFETY: as promised by the caller.
    unsafe {
        match &def.key {
            Key::FullRow => chunk.rows.append(values, nulls),
            Key::Columns(key) => chunk.rows.append_picked(|i| {
                let of_key = key.iter().any(|a| usize::try_from(*a - 1) == Ok(i));
                if !of_key || nulls.get(i).copied().unwrap_or(true) { None } else { values.get(i).copied() }
            }),
        }
    }
}

/// For each mirrored column, whether its value is only a pointer to where it was stored before.
///
/// # Safety
/// Values that were deformed with this descriptor.
unsafe fn unchanged_columns(def: &MirrorDef, tupdesc: pg_sys::TupleDesc, values: &[pg_sys::Datum], nulls: &[bool]) -> Vec<bool> {
    def.columns
        .iter()
        .map(|c| {
            let i = usize::try_from(c.attnum - 1).unwrap_or(usize::MAX);
            // SAFETY: the attribute is there, as its value is; only values of variable length are looked into.
            nulls.get(i) == Some(&false) && unsafe { define::is_varlena(tupdesc, i) } && values.get(i).is_some_and(|v| unsafe { is_external_on_disk(*v) })
        })
        .collect()
}

/// Least significant bit first.
fn bitmap(bits: &[bool]) -> Vec<u8> {
    bits.chunks(8).map(|eight| eight.iter().enumerate().fold(0, |byte, (i, bit)| byte | u8::from(*bit) << i)).collect()
}

/// # Safety
/// A tuple with this descriptor.
unsafe fn deform(tuple: pg_sys::HeapTuple, tupdesc: pg_sys::TupleDesc, values: &mut Vec<pg_sys::Datum>, nulls: &mut Vec<bool>) {
    // SAFETY: as promised by the caller; the arrays have room for every attribute.
    unsafe {
        let natts = usize::try_from((*tupdesc).natts).unwrap_or(0);
        values.resize(natts, pg_sys::Datum::null());
        nulls.resize(natts, true);
        pg_sys::heap_deform_tuple(tuple, tupdesc, values.as_mut_ptr(), nulls.as_mut_ptr());
    }
}

/// Runs `f` with this as the current memory context.
fn in_context(context: pg_sys::MemoryContext, f: impl FnOnce()) {
    // SAFETY: the context is alive; an error leaves the switching to whoever handles it.
    unsafe {
        let previous = pg_sys::MemoryContextSwitchTo(context);
        f();
        pg_sys::MemoryContextSwitchTo(previous);
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

#[cfg(feature = "pg14")]
unsafe fn commit_time(txn: *mut pg_sys::ReorderBufferTXN) -> i64 {
    // SAFETY: a valid transaction.
    unsafe { (*txn).commit_time }
}

#[cfg(not(feature = "pg14"))]
unsafe fn commit_time(txn: *mut pg_sys::ReorderBufferTXN) -> i64 {
    // SAFETY: a valid transaction that has committed.
    unsafe { (*txn).xact_time.commit_time }
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

/// Puts these callbacks in the place of the output plugin's.
///
/// # Safety
/// A decoding context that has not decoded anything; the capture lives as long as it.
pub unsafe fn install(ctx: *mut pg_sys::LogicalDecodingContext, capture: *mut Capture) {
    // SAFETY: as promised by the caller.
    unsafe {
        (*ctx).callbacks = pg_sys::OutputPluginCallbacks {
            begin_cb: Some(begin_callback),
            change_cb: Some(change_callback),
            truncate_cb: Some(truncate_callback),
            commit_cb: Some(commit_callback),
            ..pg_sys::OutputPluginCallbacks::default()
        };
        // Rows of rewritten tables come, too.
        (*(*ctx).reorder).output_rewrites = true;
        (*ctx).streaming = false;
        (*ctx).twophase = false;
        (*ctx).output_plugin_private = capture.cast();
    }
}

/// # Safety
/// A context that [`install`] has seen, while its capture is not borrowed.
unsafe fn capture<'a>(ctx: *mut pg_sys::LogicalDecodingContext) -> &'a mut Capture {
    // SAFETY: as promised by the caller.
    unsafe { &mut *(*ctx).output_plugin_private.cast::<Capture>() }
}

fn raise_on_error(result: Result<()>) {
    if let Err(e) = result {
        crate::error::raise(&e);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin_callback(ctx: *mut pg_sys::LogicalDecodingContext, txn: *mut pg_sys::ReorderBufferTXN) {
    // SAFETY: called by the decoder.
    unsafe { capture(ctx).begin(xid(txn)) }
}

/// # Safety
/// A valid transaction.
unsafe fn xid(txn: *mut pg_sys::ReorderBufferTXN) -> u32 {
    // SAFETY: as promised by the caller.
    unsafe { (*txn).xid }.into_inner()
}

#[pg_guard]
unsafe extern "C-unwind" fn change_callback(
    ctx: *mut pg_sys::LogicalDecodingContext,
    txn: *mut pg_sys::ReorderBufferTXN,
    rel: pg_sys::Relation,
    change: *mut pg_sys::ReorderBufferChange,
) {
    // SAFETY: called by the decoder, for a transaction whose commit has been read.
    raise_on_error(unsafe { capture(ctx).change(rel, change, (*txn).final_lsn) });
}

#[pg_guard]
unsafe extern "C-unwind" fn truncate_callback(
    ctx: *mut pg_sys::LogicalDecodingContext,
    _txn: *mut pg_sys::ReorderBufferTXN,
    n: std::ffi::c_int,
    rels: *mut pg_sys::Relation,
    _change: *mut pg_sys::ReorderBufferChange,
) {
    for i in 0..usize::try_from(n).unwrap_or(0) {
        // SAFETY: called by the decoder with n relations.
        raise_on_error(unsafe { capture(ctx).truncate((**rels.add(i)).rd_id.to_u32()) });
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn commit_callback(ctx: *mut pg_sys::LogicalDecodingContext, txn: *mut pg_sys::ReorderBufferTXN, commit_lsn: pg_sys::XLogRecPtr) {
    // SAFETY: called by the decoder.
    raise_on_error(unsafe { capture(ctx).commit(commit_lsn, (*txn).end_lsn, commit_time(txn).saturating_add(EPOCH_US)) });
}
