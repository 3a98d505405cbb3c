//! A batch of rows to be written, as scalars.

use arrow::array::*;
use arrow::datatypes::i256;
use weir_plan::ir::Scalar;
use weir_plan::protocol::WriteColumn;
use weir_plan::types::{NumericForm, PgType, column_fields, oid};
use weir_plan::{Error, Result};

/// A record batch with the physical columns of the given ones.
pub struct Rows<'a> {
    batch: &'a RecordBatch,
    /// Type, values and, for a numeric without declared scale, display scales.
    columns: Vec<(PgType, &'a ArrayRef, Option<&'a ArrayRef>)>,
}

fn broken(what: &str) -> Error {
    Error::internal(format!("rows to be written: {what}"))
}

impl<'a> Rows<'a> {
    /// # Errors
    /// A batch with other columns.
    pub fn new(batch: &'a RecordBatch, columns: &[WriteColumn]) -> Result<Rows<'a>> {
        let mut arrays = batch.columns().iter();
        let mut own = Vec::new();
        for c in columns {
            let fields = column_fields("c", &c.ty, true).ok_or_else(|| broken("an unknown type"))?;
            let values = arrays.next().ok_or_else(|| broken("a column is missing"))?;
            if fields.first().is_none_or(|f| f.data_type() != values.data_type()) {
                return Err(broken("a column has another type"));
            }
            let scales = if fields.len() > 1 { Some(arrays.next().ok_or_else(|| broken("a column is missing"))?) } else { None };
            own.push((c.ty, values, scales));
        }
        if arrays.next().is_some() { Err(broken("too many columns")) } else { Ok(Rows { batch, columns: own }) }
    }

    pub fn batch(&self) -> &'a RecordBatch {
        self.batch
    }

    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of a row.
    ///
    /// # Errors
    /// None for a batch as it should be.
    pub fn row(&self, i: usize) -> Result<Vec<Scalar>> {
        self.columns.iter().map(|(ty, values, scales)| scalar(ty, values, *scales, i).ok_or_else(|| broken("a column has another type"))).collect()
    }
}

fn scalar(ty: &PgType, values: &ArrayRef, scales: Option<&ArrayRef>, i: usize) -> Option<Scalar> {
    use arrow::datatypes::*;
    if values.is_null(i) {
        return Some(Scalar::Null);
    }
    Some(match ty.base {
        oid::BOOL => Scalar::Bool(values.as_boolean_opt()?.value(i)),
        oid::INT2 => Scalar::Int2(values.as_primitive_opt::<Int16Type>()?.value(i)),
        oid::INT4 => Scalar::Int4(values.as_primitive_opt::<Int32Type>()?.value(i)),
        oid::INT8 => Scalar::Int8(values.as_primitive_opt::<Int64Type>()?.value(i)),
        oid::FLOAT4 => Scalar::Float4(values.as_primitive_opt::<Float32Type>()?.value(i)),
        oid::FLOAT8 => Scalar::Float8(values.as_primitive_opt::<Float64Type>()?.value(i)),
        oid::NUMERIC => {
            let form = NumericForm::of_column(ty);
            let value = match values.as_primitive_opt::<Decimal128Type>() {
                Some(small) => i256::from_i128(small.value(i)),
                None => values.as_primitive_opt::<Decimal256Type>()?.value(i),
            };
            let shown = match scales {
                Some(scales) => usize::try_from(scales.as_primitive_opt::<Int16Type>()?.value(i)).ok()?,
                None => usize::try_from(form.scale).ok()?,
            };
            Scalar::Numeric(decimal(value, usize::try_from(form.scale).ok()?, shown)?)
        }
        oid::TEXT if ty.is_numeric_as_printed() => Scalar::Numeric(values.as_string_view_opt()?.value(i).to_owned()),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON | oid::JSONB | oid::ENUM => {
            Scalar::Text(values.as_string_view_opt()?.value(i).to_owned())
        }
        oid::BYTEA => Scalar::Bytes(values.as_binary_view_opt()?.value(i).to_vec()),
        oid::UUID => Scalar::Uuid(values.as_fixed_size_binary_opt()?.value(i).try_into().ok()?),
        oid::DATE => Scalar::Date(values.as_primitive_opt::<Date32Type>()?.value(i)),
        oid::TIME => Scalar::Time(values.as_primitive_opt::<Time64MicrosecondType>()?.value(i)),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => Scalar::Timestamp(values.as_primitive_opt::<TimestampMicrosecondType>()?.value(i)),
        oid::INTERVAL => {
            let v = values.as_primitive_opt::<IntervalMonthDayNanoType>()?.value(i);
            Scalar::Interval { months: v.months, days: v.days, micros: v.nanoseconds / 1000 }
        }
        _ => {
            let element = ty.element()?;
            let items = values.as_list_opt::<i32>()?.value(i);
            let one = |j: usize| match items.as_string_view_opt() {
                // Each has its own scale, and is held as its text.
                Some(texts) if element.base == oid::NUMERIC && items.is_valid(j) => Some(Scalar::Numeric(texts.value(j).to_owned())),
                _ => scalar(&element, &items, None, j),
            };
            Scalar::Array((0..items.len()).map(one).collect::<Option<_>>()?)
        }
    })
}

/// A decimal with `scale` digits after the point as text with `shown` of them; `None` if digits would be lost.
fn decimal(value: i256, scale: usize, shown: usize) -> Option<String> {
    let negative = value.is_negative();
    let digits = value.to_string();
    let digits = digits.trim_start_matches('-');
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let mut text = format!("{}{whole}", if negative { "-" } else { "" });
    if shown > 0 {
        text.push('.');
        text.push_str(fraction.get(..shown.min(scale))?);
        text.extend(std::iter::repeat_n('0', shown.saturating_sub(scale)));
    }
    fraction.get(shown.min(scale)..)?.bytes().all(|b| b == b'0').then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_as_they_are_printed() {
        let text = |v: i128, scale, shown| decimal(i256::from_i128(v), scale, shown);
        assert_eq!(text(-1250, 2, 2).as_deref(), Some("-12.50"));
        assert_eq!(text(5, 2, 2).as_deref(), Some("0.05"));
        assert_eq!(text(-5, 3, 3).as_deref(), Some("-0.005"));
        assert_eq!(text(7, 0, 0).as_deref(), Some("7"));
        assert_eq!(text(1_500_000, 6, 1).as_deref(), Some("1.5"));
        assert_eq!(text(1_000_000, 6, 0).as_deref(), Some("1"));
        assert_eq!(text(1_500_001, 6, 1), None);
    }
}
