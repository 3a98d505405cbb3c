//! The values of many groups: a table for each, which takes no more than it has, and one buffer for what is long.
//!
//! One table for all would be as small, but where groups are few, each of theirs fits into a cache that all of them together do not.

use crate::error::refused;
use arrow::array::{Array, ArrayData, ArrayRef, AsArray, BinaryViewBuilder, StringViewBuilder, make_array};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::EmitTo;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Where the bytes that tell values apart come from.
#[derive(Debug)]
pub(super) enum Form {
    /// Values of this many bytes, one after the other.
    Fixed(usize),
    Text,
    Binary,
    Rows(RowConverter),
}

impl Form {
    /// `None`: values that this cannot tell apart.
    pub(super) fn of(ty: &DataType) -> Option<Self> {
        match ty {
            DataType::Utf8View => Some(Self::Text),
            DataType::BinaryView => Some(Self::Binary),
            // Their state has another type.
            DataType::Dictionary(..) | DataType::Null => None,
            ty => match ty.primitive_width() {
                Some(width) => Some(Self::Fixed(width)),
                None => RowConverter::new(vec![SortField::new(ty.clone())]).ok().map(Self::Rows),
            },
        }
    }
}

const INLINE: usize = 8;

/// A value of a group.
#[derive(Clone, Copy)]
struct Entry {
    len: u32,
    /// The value's bytes if they fit, else where they begin.
    word: [u8; INLINE],
}

impl Entry {
    fn bytes<'a>(&'a self, long: &'a [u8]) -> &'a [u8] {
        let len = self.len as usize;
        if len <= INLINE {
            return self.word.get(..len).unwrap_or_default();
        }
        let start = self.start();
        long.get(start..start + len).unwrap_or_default()
    }

    fn start(&self) -> usize {
        usize::try_from(u64::from_le_bytes(self.word)).unwrap_or(usize::MAX)
    }
}

fn hash(state: &RandomState, bytes: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u64(bytes.len() as u64);
    match word(bytes) {
        Some(word) => hasher.write_u64(u64::from_le_bytes(word)),
        None => hasher.write(bytes),
    }
    hasher.finish()
}

fn word(bytes: &[u8]) -> Option<[u8; INLINE]> {
    let mut word = [0; INLINE];
    word.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(word)
}

pub(super) struct Set {
    form: Form,
    groups: Vec<HashTable<Entry>>,
    /// What the tables of the groups take.
    tables: usize,
    /// The bytes of the values that don't fit into their entries.
    long: Vec<u8>,
    state: RandomState,
}

impl Set {
    pub(super) fn new(form: Form) -> Self {
        Self { form, groups: Vec::new(), tables: 0, long: Vec::new(), state: RandomState::default() }
    }

    pub(super) fn size(&self) -> usize {
        let rows = if let Form::Rows(converter) = &self.form { converter.size() } else { 0 };
        self.tables + self.long.capacity() + self.groups.capacity() * size_of::<HashTable<Entry>>() + rows
    }

    pub(super) fn grow(&mut self, groups: usize) {
        if groups > self.groups.len() {
            self.groups.resize_with(groups, HashTable::new);
        }
    }

    /// How many groups are emitted.
    pub(super) fn emitted(&self, emit: EmitTo) -> usize {
        match emit {
            EmitTo::All => self.groups.len(),
            EmitTo::First(n) => n.min(self.groups.len()),
        }
    }

    /// How many values the first groups have.
    pub(super) fn counts(&self, groups: usize) -> impl Iterator<Item = usize> {
        self.groups.iter().take(groups).map(HashTable::len)
    }

    /// Adds values to groups: the rows that they are in, and the groups. NULLs are no values.
    pub(super) fn add(&mut self, values: &ArrayRef, rows: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        let nulls = values.logical_nulls();
        let rows = rows.filter(|(row, _)| nulls.as_ref().is_none_or(|n| n.is_valid(*row)));
        match &self.form {
            Form::Fixed(width) => {
                let (width, data) = (*width, values.to_data());
                let Some(bytes) = data.buffers().first().and_then(|b| b.as_slice().get(data.offset() * width..)) else {
                    return internal_err!("values without their bytes");
                };
                self.add_bytes(rows, |row| bytes.get(row * width..(row + 1) * width).unwrap_or_default())
            }
            Form::Text => match values.as_string_view_opt() {
                Some(texts) => self.add_bytes(rows, |row| texts.value(row).as_bytes()),
                None => internal_err!("{} instead of texts", values.data_type()),
            },
            Form::Binary => match values.as_binary_view_opt() {
                Some(binary) => self.add_bytes(rows, |row| binary.value(row)),
                None => internal_err!("{} instead of bytes", values.data_type()),
            },
            Form::Rows(converter) => {
                let converted = converter.convert_columns(std::slice::from_ref(values))?;
                self.add_bytes(rows, |row| converted.row(row).data())
            }
        }
    }

    fn add_bytes<'a>(&mut self, rows: impl Iterator<Item = (usize, usize)>, bytes_of: impl Fn(usize) -> &'a [u8]) -> Result<()> {
        let Self { groups, tables, long, state, .. } = self;
        for (row, at) in rows {
            let bytes = bytes_of(row);
            let (Ok(len), Some(group)) = (u32::try_from(bytes.len()), groups.get_mut(at)) else { return Err(refused("a value is too long to be told apart")) };
            let short = word(bytes);
            let same = |e: &Entry| {
                e.len == len
                    && match short {
                        Some(word) => e.word == word,
                        None => e.bytes(long) == bytes,
                    }
            };
            let hashed = hash(state, bytes);
            if group.find(hashed, same).is_some() {
                continue;
            }
            let rehash = |e: &Entry| hash(state, e.bytes(long));
            if group.len() == group.capacity() {
                *tables -= group.allocation_size();
                group.reserve(1, rehash);
                *tables += group.allocation_size();
            }
            let word = short.unwrap_or_else(|| (long.len() as u64).to_le_bytes());
            group.insert_unique(hashed, Entry { len, word }, rehash);
            if short.is_none() {
                long.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// The values of the first groups, group by group, and where each begins and the last ends.
    pub(super) fn values(&self, ty: &DataType, groups: usize) -> Result<(ArrayRef, Vec<usize>)> {
        let mut bounds = vec![0];
        let mut total = 0;
        bounds.extend(self.counts(groups).map(|n| {
            total += n;
            total
        }));
        let mut ordered = Vec::with_capacity(total);
        ordered.extend(self.groups.iter().take(groups).flatten().copied());
        Ok((self.array(ty, &ordered)?, bounds))
    }

    fn array(&self, ty: &DataType, entries: &[Entry]) -> Result<ArrayRef> {
        let bytes = entries.iter().map(|e| e.bytes(&self.long));
        Ok(match &self.form {
            Form::Fixed(width) => {
                let mut buffer = MutableBuffer::with_capacity(entries.len() * width);
                bytes.for_each(|b| buffer.extend_from_slice(b));
                let data = ArrayData::builder(ty.clone()).len(entries.len()).add_buffer(Buffer::from(buffer));
                make_array(data.build()?)
            }
            Form::Text => {
                let mut texts = StringViewBuilder::with_capacity(entries.len());
                for b in bytes {
                    texts.append_value(std::str::from_utf8(b).map_err(|e| DataFusionError::External(Box::new(e)))?);
                }
                std::sync::Arc::new(texts.finish())
            }
            Form::Binary => {
                let mut binary = BinaryViewBuilder::with_capacity(entries.len());
                bytes.for_each(|b| binary.append_value(b));
                std::sync::Arc::new(binary.finish())
            }
            Form::Rows(converter) => {
                let parser = converter.parser();
                match converter.convert_rows(bytes.map(|b| parser.parse(b)))?.pop() {
                    Some(values) => values,
                    None => return internal_err!("rows without a column"),
                }
            }
        })
    }

    /// Drops the first groups: those after them become the first.
    pub(super) fn forget(&mut self, groups: usize) {
        if groups >= self.groups.len() {
            self.groups = Vec::new();
            self.tables = 0;
            self.long = Vec::new();
            return;
        }
        let Self { groups: all, tables, long, .. } = self;
        *tables -= all.drain(..groups).map(|g| g.allocation_size()).sum::<usize>();
        all.shrink_to(2 * all.len());
        if !long.is_empty() {
            let mut rest = Vec::new();
            for e in all.iter_mut().flat_map(|g| g.iter_mut()).filter(|e| e.len as usize > INLINE) {
                let start = rest.len() as u64;
                rest.extend_from_slice(e.bytes(long));
                e.word = start.to_le_bytes();
            }
            *long = rest;
        }
    }
}
