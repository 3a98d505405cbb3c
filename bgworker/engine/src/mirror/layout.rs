//! The physical shape of a mirror: which Arrow columns it has and how a row is found by key.

use super::key::KeyCodec;
use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::ops::Range;
use std::sync::Arc;
use weir_plan::manifest::{ColumnDef, Key, MirrorDef};
use weir_plan::types::column_fields;
use weir_plan::{Error, Result, arrow_ipc};

/// Immutable description of one generation of a mirror.
#[derive(Debug)]
pub struct Layout {
    pub relid: u32,
    pub generation: i64,
    pub name: String,
    pub columns: Vec<ColumnDef>,
    /// The physical columns. All are nullable: a value that Arrow cannot hold is stored as NULL, whatever the table says.
    pub schema: SchemaRef,
    /// For each column, its physical columns.
    physical: Vec<Range<usize>>,
    /// For each physical column that was added later, what older rows have there: one value.
    fillers: Vec<Option<ArrayRef>>,
    pub key: KeyCodec,
}

fn fields_of(columns: &[ColumnDef], name: &str) -> Result<(SchemaRef, Vec<Range<usize>>)> {
    let mut fields = Vec::new();
    let mut physical = Vec::new();
    for column in columns {
        let start = fields.len();
        let unsupported = || Error::internal(format!("column \"{}\" of mirror {name} has an unsupported type", column.name));
        fields.extend(column_fields(&column.physical_name(), &column.ty, true).ok_or_else(unsupported)?);
        physical.push(start..fields.len());
    }
    Ok((Arc::new(Schema::new(fields)), physical))
}

fn fillers_of(columns: &[ColumnDef], schema: &Schema, physical: &[Range<usize>], name: &str) -> Result<Vec<Option<ArrayRef>>> {
    let mut fillers: Vec<Option<ArrayRef>> = vec![None; schema.fields().len()];
    for (column, range) in columns.iter().zip(physical) {
        let Some(before) = &column.before else { continue };
        let bad = || Error::internal(format!("the value that rows of mirror {name} have in the added column \"{}\" is unreadable", column.name));
        let row = before.ipc()?.map(arrow_ipc::from_bytes).transpose()?;
        for (i, at) in range.clone().enumerate() {
            let ty = schema.field(at).data_type();
            let value = match &row {
                None => new_null_array(ty, 1),
                Some(row) => row.columns().get(i).filter(|value| value.len() == 1 && value.data_type() == ty).cloned().ok_or_else(bad)?,
            };
            fillers[at] = Some(value);
        }
    }
    Ok(fillers)
}

impl Layout {
    /// # Errors
    /// A column whose type is not supported, or a key that is not mirrored.
    pub fn new(def: &MirrorDef) -> Result<Arc<Layout>> {
        let (schema, physical) = fields_of(&def.columns, &def.name)?;
        let fillers = fillers_of(&def.columns, &schema, &physical, &def.name)?;
        let key = match &def.key {
            Key::FullRow => KeyCodec::full_row(&schema)?,
            Key::Columns(attnums) => {
                let mut at = Vec::with_capacity(attnums.len());
                for attnum in attnums {
                    let missing = || Error::internal(format!("key column {attnum} of mirror {} is not mirrored", def.name));
                    let column = def.columns.iter().position(|c| c.attnum == *attnum).ok_or_else(missing)?;
                    // Only the value counts: numerics of different display scales are equal.
                    at.push(physical[column].start);
                }
                KeyCodec::columns(&schema, at)?
            }
        };
        Ok(Arc::new(Layout {
            relid: def.relid,
            generation: def.generation,
            name: def.name.clone(),
            columns: def.columns.clone(),
            schema,
            physical,
            fillers,
            key,
        }))
    }

    /// The same with columns added.
    ///
    /// # Errors
    /// Other columns than those that are there and new ones behind them, or rows that are found by all their columns.
    pub fn with_columns(&self, columns: Vec<ColumnDef>) -> Result<Arc<Layout>> {
        let mut same = columns.iter().zip(&self.columns).all(|(new, old)| new.attnum == old.attnum && new.ty == old.ty);
        same &= columns.iter().skip(self.columns.len()).all(|c| c.before.is_some());
        if !same || columns.len() < self.columns.len() || !self.key.unique {
            return Err(Error::refused(format!("the new columns of mirror {} do not fit it", self.name)));
        }
        let (schema, physical) = fields_of(&columns, &self.name)?;
        let fillers = fillers_of(&columns, &schema, &physical, &self.name)?;
        let key = KeyCodec::columns(&schema, self.key.physical().to_vec())?;
        Ok(Arc::new(Layout { relid: self.relid, generation: self.generation, name: self.name.clone(), columns, schema, physical, fillers, key }))
    }

    /// A physical column as rows have it that are older than it.
    ///
    /// # Errors
    /// The mirror has had the column from its beginning.
    pub fn fill(&self, physical: usize, rows: usize) -> Result<ArrayRef> {
        let lacks = || Error::internal(format!("rows of mirror {} lack a column", self.name));
        let value = self.fillers.get(physical).and_then(Option::as_ref).ok_or_else(lacks)?;
        take(value, &UInt32Array::from(vec![0; rows]), None).map_err(|e| Error::internal(e.to_string()))
    }

    /// Whether rows may lack this physical column.
    pub fn may_lack(&self, physical: usize) -> bool {
        self.fillers.get(physical).is_some_and(Option::is_some)
    }

    /// A batch that may lack the last columns, with them.
    ///
    /// # Errors
    /// A batch of another mirror.
    pub fn widen(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = batch.columns().to_vec();
        for physical in columns.len()..self.schema.fields().len() {
            columns.push(self.fill(physical, batch.num_rows())?);
        }
        self.normalise(&columns, batch.num_rows())
    }

    /// The physical columns of the column at this place of the definition.
    pub fn physical(&self, column: usize) -> Range<usize> {
        self.physical[column].clone()
    }

    /// The place in the definition of this attribute.
    pub fn column(&self, attnum: i16) -> Option<usize> {
        self.columns.iter().position(|c| c.attnum == attnum)
    }

    /// Whether the old half of an update has the column's value: key columns do, and all of a mirror by full row.
    pub fn old_has(&self, column: usize) -> bool {
        !self.key.unique || self.key.physical().contains(&self.physical[column].start)
    }

    /// The same columns under our schema, whatever nullability and metadata they came with.
    ///
    /// # Errors
    /// A batch of another shape.
    pub fn normalise(&self, columns: &[ArrayRef], rows: usize) -> Result<RecordBatch> {
        let bad = |m: String| Error::internal(format!("batch for mirror {}: {m}", self.name));
        if columns.len() != self.schema.fields().len() {
            return Err(bad(format!("{} columns instead of {}", columns.len(), self.schema.fields().len())));
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.to_vec(), &options).map_err(|e| bad(e.to_string()))
    }
}

/// The type of a column in a segment file: Parquet has no interval of months, days and nanoseconds.
pub fn file_type(ty: &DataType) -> DataType {
    match ty {
        DataType::Interval(_) => DataType::FixedSizeBinary(16),
        DataType::List(item) => DataType::List(Arc::new(Field::new(item.name(), file_type(item.data_type()), true))),
        other => other.clone(),
    }
}
