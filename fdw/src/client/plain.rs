//! Rows to be written in Arrow types that every engine knows, for engines that take Arrow.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, TimestampMicrosecondType};
use std::sync::Arc;
use weir_plan::protocol::WriteTarget;
use weir_plan::types::{NumericForm, oid};

/// The rows under the names of the remote columns; `None` if one has a type or a value (infinity) that has no plain form: then SQL may say it,
/// or say why not.
pub fn plain_rows(target: &WriteTarget, rows: &RecordBatch) -> Option<RecordBatch> {
    if target.columns.len() != rows.num_columns() {
        return None;
    }
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (column, array) in target.columns.iter().zip(rows.columns()) {
        let array = match column.ty.base {
            oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 => Arc::clone(array),
            oid::NUMERIC if !NumericForm::of_column(&column.ty).dynamic => Arc::clone(array),
            oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::JSON | oid::JSONB | oid::ENUM => cast(array, &DataType::Utf8).ok()?,
            oid::BYTEA => cast(array, &DataType::Binary).ok()?,
            oid::DATE if finite_days(array) => Arc::clone(array),
            oid::TIMESTAMP | oid::TIMESTAMPTZ if finite_times(array) => Arc::clone(array),
            _ => return None,
        };
        fields.push(Field::new(&column.name, array.data_type().clone(), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).ok()
}

fn finite_days(array: &ArrayRef) -> bool {
    array.as_primitive_opt::<Date32Type>().is_some_and(|days| min(days) != Some(i32::MIN) && max(days) != Some(i32::MAX))
}

fn finite_times(array: &ArrayRef) -> bool {
    array.as_primitive_opt::<TimestampMicrosecondType>().is_some_and(|times| min(times) != Some(i64::MIN) && max(times) != Some(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, StringViewArray};
    use weir_plan::protocol::{Change, WriteColumn};
    use weir_plan::types::PgType;

    #[test]
    fn rows_are_plain_or_left_to_sql() {
        let target = WriteTarget {
            change: Change::Insert { skip_conflicts: false },
            schema: "s".into(),
            name: "t".into(),
            options: vec![],
            columns: vec![WriteColumn { name: "a".into(), ty: PgType::TEXT }, WriteColumn { name: "d".into(), ty: PgType::DATE }],
            keys: 0,
        };
        let rows = |day: i32| {
            let columns: [(&str, ArrayRef); 2] = [("c0", Arc::new(StringViewArray::from(vec!["x"]))), ("c1", Arc::new(Date32Array::from(vec![day])))];
            RecordBatch::try_from_iter(columns).expect("valid")
        };
        let plain = plain_rows(&target, &rows(0)).expect("plain");
        assert_eq!(plain.schema().field(0).data_type(), &DataType::Utf8);
        assert_eq!(plain.schema().field(1).name(), "d");
        assert!(plain_rows(&target, &rows(i32::MAX)).is_none());
    }
}
