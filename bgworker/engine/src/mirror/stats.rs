//! Statistics of segments: ranges and counts of NULLs per row group and column, for pruning and for the optimiser.
//!
//! Invariant: a range contains every value of the row group. Floats have none, since Parquet's ranges leave out NaN, which Postgres sorts
//! above all.

use super::key::ints;
use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

/// One column's statistics, an element per row group.
#[derive(Debug, Clone)]
pub struct ColumnStats {
    pub min: ArrayRef,
    pub max: ArrayRef,
    pub nulls: UInt64Array,
}

impl ColumnStats {
    /// The range over all row groups; `None` if it is not known for every row group with a value.
    pub fn range(&self, rows: &[u32]) -> Option<(ScalarValue, ScalarValue)> {
        let mut range: Option<(ScalarValue, ScalarValue)> = None;
        for (i, rows) in rows.iter().enumerate() {
            if self.min.is_null(i) || self.max.is_null(i) {
                if !self.nulls.is_null(i) && self.nulls.value(i) == u64::from(*rows) {
                    continue;
                }
                return None;
            }
            let min = ScalarValue::try_from_array(&self.min, i).ok()?;
            let max = ScalarValue::try_from_array(&self.max, i).ok()?;
            range = Some(match range {
                None => (min, max),
                Some((low, high)) => (if min < low { min } else { low }, if max > high { max } else { high }),
            });
        }
        range
    }
}

/// Statistics by physical column.
#[derive(Debug, Default)]
pub struct SegmentStats {
    pub columns: Vec<Option<ColumnStats>>,
}

impl SegmentStats {
    pub fn read(metadata: &ArrowReaderMetadata, schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|field| {
            if field.data_type().is_floating() || field.data_type().is_nested() || matches!(field.data_type(), DataType::Interval(_)) {
                return None;
            }
            let converter = StatisticsConverter::try_new(field.name(), metadata.schema(), metadata.parquet_schema()).ok()?;
            let groups = metadata.metadata().row_groups();
            let stats = ColumnStats {
                min: converter.row_group_mins(groups).ok()?,
                max: converter.row_group_maxes(groups).ok()?,
                nulls: converter.row_group_null_counts(groups).ok()?,
            };
            (stats.min.data_type() == field.data_type() && stats.max.data_type() == field.data_type()).then_some(stats)
        });
        Self { columns: columns.collect() }
    }

    /// The range of an integer column over the whole segment.
    pub fn int_range(&self, column: usize) -> Option<(i64, i64)> {
        let stats = self.columns.get(column)?.as_ref()?;
        if stats.min.null_count() > 0 || stats.max.null_count() > 0 {
            return None;
        }
        Some((ints(stats.min.as_ref())?.into_iter().min()?, ints(stats.max.as_ref())?.into_iter().max()?))
    }
}
