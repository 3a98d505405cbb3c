//! Decoded rows as rows of the message that is being put together.

use super::{Capture, Tracked};
use crate::catalog::define;
use crate::tuple::{RowBuilder, is_external_on_disk};
use arrow::array::{ArrayRef, BinaryBuilder, Int8Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use pgrx::pg_sys;
use std::collections::HashMap;
use std::sync::Arc;
use weir_plan::manifest::{ColumnDef, Key, MirrorDef, present};
use weir_plan::protocol::op;
use weir_plan::{Error, Result};

/// Bounds of one message with changes.
pub(super) const MAX_CHUNK_ROWS: usize = 8192;
const MAX_CHUNK_BYTES: usize = 4 << 20;

/// Rows of one table that are not sent yet.
pub(super) struct Chunk {
    pub(super) rows: RowBuilder,
    schema: SchemaRef,
    /// How many of the mirror's columns the rows have.
    pub(super) columns: usize,
    pub(super) ops: Vec<i8>,
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

    pub(super) fn is_full(&self) -> bool {
        self.ops.len() >= MAX_CHUNK_ROWS || self.rows.size_bytes() >= MAX_CHUNK_BYTES
    }

    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int8Array::from(std::mem::take(&mut self.ops)))];
        arrays.extend(self.rows.finish());
        arrays.push(Arc::new(self.unchanged.finish()));
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| Error::internal(format!("could not build a batch of changes: {e}")))
    }
}

impl Capture {
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
    pub(super) unsafe fn insert(&mut self, relid: u32, tupdesc: pg_sys::TupleDesc, new: pg_sys::HeapTuple) -> std::result::Result<(), String> {
        if new.is_null() {
            return Err("an inserted row was logged without its contents".into());
        }
        // SAFETY: as promised by the caller.
        unsafe {
            deform(new, tupdesc, &mut self.values, &mut self.nulls);
            let (chunk, def) = Self::chunk(&mut self.tracked, &mut self.touched, relid, tupdesc)?;
            if unchanged_columns(def, tupdesc, &self.values, &self.nulls).is_some() {
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
    pub(super) unsafe fn update(
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
            for (column, missing) in def.columns.iter().zip(unchanged.iter_mut().flatten()) {
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
            // What is missing is NULL in the message; the values are not needed any more.
            for (column, _) in def.columns.iter().zip(unchanged.iter().flatten()).filter(|(_, missing)| **missing) {
                if let Some(null) = usize::try_from(column.attnum - 1).ok().and_then(|i| self.nulls.get_mut(i)) {
                    *null = true;
                }
            }
            let (key_values, key_nulls) = if old.is_null() { (&self.values, &self.nulls) } else { (&self.old_values, &self.old_nulls) };
            in_context(self.row_context, || {
                append_key(chunk, def, key_values, key_nulls);
                chunk.rows.append(&self.values, &self.nulls);
            });
            chunk.ops.extend([op::UPDATE_OLD, op::INSERT]);
            chunk.unchanged.append_null();
            match unchanged.filter(|u| u.contains(&true)) {
                Some(unchanged) => chunk.unchanged.append_value(bitmap(&unchanged)),
                None => chunk.unchanged.append_null(),
            }
        }
        Ok(())
    }

    /// # Safety
    /// A tuple (or null) with this descriptor.
    pub(super) unsafe fn delete(&mut self, relid: u32, tupdesc: pg_sys::TupleDesc, old: pg_sys::HeapTuple) -> std::result::Result<(), String> {
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

/// For each mirrored column, whether its value is only a pointer to where it was stored before; `None`: none is, as in most rows.
///
/// # Safety
/// Values that were deformed with this descriptor.
unsafe fn unchanged_columns(def: &MirrorDef, tupdesc: pg_sys::TupleDesc, values: &[pg_sys::Datum], nulls: &[bool]) -> Option<Vec<bool>> {
    let is_unchanged = |c: &ColumnDef| {
        let i = usize::try_from(c.attnum - 1).unwrap_or(usize::MAX);
        // SAFETY: the attribute is there, as its value is; only values of variable length are looked into.
        nulls.get(i) == Some(&false) && unsafe { define::is_varlena(tupdesc, i) } && values.get(i).is_some_and(|v| unsafe { is_external_on_disk(*v) })
    };
    def.columns.iter().any(is_unchanged).then(|| def.columns.iter().map(is_unchanged).collect())
}

/// Least significant bit first.
fn bitmap(bits: &[bool]) -> Vec<u8> {
    bits.chunks(8).map(|eight| eight.iter().enumerate().fold(0, |byte, (i, bit)| byte | u8::from(*bit) << i)).collect()
}

/// # Safety
/// A tuple with this descriptor.
pub(super) unsafe fn deform(tuple: pg_sys::HeapTuple, tupdesc: pg_sys::TupleDesc, values: &mut Vec<pg_sys::Datum>, nulls: &mut Vec<bool>) {
    // SAFETY: as promised by the caller; the arrays have room for every attribute.
    unsafe {
        let natts = usize::try_from((*tupdesc).natts).unwrap_or(0);
        values.resize(natts, pg_sys::Datum::null());
        nulls.resize(natts, true);
        pg_sys::heap_deform_tuple(tuple, tupdesc, values.as_mut_ptr(), nulls.as_mut_ptr());
    }
}

/// Runs `f` with this as the current memory context.
pub(super) fn in_context(context: pg_sys::MemoryContext, f: impl FnOnce()) {
    // SAFETY: the context is alive; an error leaves the switching to whoever handles it.
    unsafe {
        let previous = pg_sys::MemoryContextSwitchTo(context);
        f();
        pg_sys::MemoryContextSwitchTo(previous);
    }
}
