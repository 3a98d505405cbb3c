//! The physical shape of a mirror: which Arrow columns it has and how a row is found by key.

use super::key::KeyCodec;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::ops::Range;
use std::sync::Arc;
use weir_plan::manifest::{ColumnDef, Key, MirrorDef};
use weir_plan::types::column_fields;
use weir_plan::{Error, Result};

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
    pub key: KeyCodec,
}

impl Layout {
    /// # Errors
    /// A column whose type is not supported, or a key that is not mirrored.
    pub fn new(def: &MirrorDef) -> Result<Arc<Layout>> {
        let mut fields = Vec::new();
        let mut physical = Vec::new();
        for column in &def.columns {
            let start = fields.len();
            let unsupported = || Error::internal(format!("column \"{}\" of mirror {} has an unsupported type", column.name, def.name));
            fields.extend(column_fields(&column.physical_name(), &column.ty, true).ok_or_else(unsupported)?);
            physical.push(start..fields.len());
        }
        let schema = Arc::new(Schema::new(fields));
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
        Ok(Arc::new(Layout { relid: def.relid, generation: def.generation, name: def.name.clone(), columns: def.columns.clone(), schema, physical, key }))
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
