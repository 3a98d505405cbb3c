//! Constants and parameters as literals.
//!
//! Parameters are lowered as constants when their values are known: the optimiser sees them, and a numeric keeps its own scale.
//! Before that (prepare, EXPLAIN) they are placeholders `$n`, and a numeric's display scale is `$n_s`.

use crate::error::refused;
use crate::value::{DScale, Value};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, TimeUnit, i256};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Placeholder;
use std::sync::Arc;
use weir_plan::ir::Scalar;
use weir_plan::types::{NumericForm, PgType, arrow_type, oid};

/// A constant as a value.
pub(super) fn constant(value: &Scalar, ty: PgType) -> Result<Value> {
    if ty.base == oid::NUMERIC {
        return match value {
            Scalar::Null => Ok(Value::numeric(literal(ScalarValue::Decimal128(None, 1, 0)), DataType::Decimal128(1, 0), ty, DScale::Static(0))),
            Scalar::Numeric(text) => numeric(text, ty),
            other => Err(mismatch(other, ty)),
        };
    }
    let arrow = arrow_type(&ty).ok_or_else(|| refused(format!("type {} is not supported", ty.oid)))?;
    Ok(Value::new(literal(scalar(value, ty, &arrow)?), arrow, ty))
}

fn literal(value: ScalarValue) -> Expr {
    Expr::Literal(value, None)
}

fn mismatch(value: &Scalar, ty: PgType) -> datafusion::common::DataFusionError {
    refused(format!("a constant {value:?} of type {}", ty.oid))
}

fn scalar(value: &Scalar, ty: PgType, arrow: &DataType) -> Result<ScalarValue> {
    Ok(match (value, arrow) {
        (Scalar::Null, _) => ScalarValue::try_from(arrow)?,
        (Scalar::Bool(v), DataType::Boolean) => ScalarValue::Boolean(Some(*v)),
        (Scalar::Int2(v), DataType::Int16) => ScalarValue::Int16(Some(*v)),
        (Scalar::Int4(v), DataType::Int32) => ScalarValue::Int32(Some(*v)),
        (Scalar::Int8(v), DataType::Int64) => ScalarValue::Int64(Some(*v)),
        (Scalar::Float4(v), DataType::Float32) => ScalarValue::Float32(Some(*v)),
        (Scalar::Float8(v), DataType::Float64) => ScalarValue::Float64(Some(*v)),
        (Scalar::Text(v) | Scalar::Numeric(v), DataType::Utf8View) => ScalarValue::Utf8View(Some(v.clone())),
        (Scalar::Bytes(v), DataType::BinaryView) => ScalarValue::BinaryView(Some(v.clone())),
        (Scalar::Uuid(v), DataType::FixedSizeBinary(16)) => ScalarValue::FixedSizeBinary(16, Some(v.to_vec())),
        (Scalar::Date(v), DataType::Date32) => ScalarValue::Date32(Some(*v)),
        (Scalar::Time(v), DataType::Time64(TimeUnit::Microsecond)) => ScalarValue::Time64Microsecond(Some(*v)),
        (Scalar::Timestamp(v), DataType::Timestamp(TimeUnit::Microsecond, zone)) => ScalarValue::TimestampMicrosecond(Some(*v), zone.clone()),
        (Scalar::Interval { months, days, micros }, DataType::Interval(IntervalUnit::MonthDayNano)) => {
            let nanos = micros.checked_mul(1000).ok_or_else(|| refused("interval out of range"))?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(*months, *days, nanos)))
        }
        (Scalar::Array(items), DataType::List(field)) => {
            let element = ty.element().ok_or_else(|| mismatch(value, ty))?;
            let items = items.iter().map(|i| scalar(i, element, field.data_type())).collect::<Result<Vec<_>>>()?;
            let values: ArrayRef = if items.is_empty() { arrow::array::new_empty_array(field.data_type()) } else { ScalarValue::iter_to_array(items)? };
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([values.len()]);
            ScalarValue::List(Arc::new(arrow::array::ListArray::try_new(Arc::clone(field), offsets, values, None)?))
        }
        _ => return Err(mismatch(value, ty)),
    })
}

/// A numeric constant, with the scale that its text has.
fn numeric(text: &str, ty: PgType) -> Result<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = whole.chars().chain(fraction.chars()).collect();
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused(format!("numeric constant {text}")));
    }
    let significant = all.trim_start_matches('0').len();
    let precision = significant.max(fraction.len()).max(1);
    let (Ok(scale), Ok(precision)) = (i8::try_from(fraction.len()), u8::try_from(precision)) else {
        return Err(refused("numeric constant with more than 76 digits"));
    };
    if precision > 76 {
        return Err(refused("numeric constant with more than 76 digits"));
    }
    let signed = if negative { format!("-{all}") } else { all };
    let (value, arrow) = if precision <= 38 {
        let v: i128 = signed.parse().map_err(|_| refused(format!("numeric constant {text}")))?;
        (ScalarValue::Decimal128(Some(v), precision, scale), DataType::Decimal128(precision, scale))
    } else {
        let v = i256::from_string(&signed).ok_or_else(|| refused(format!("numeric constant {text}")))?;
        (ScalarValue::Decimal256(Some(v), precision, scale), DataType::Decimal256(precision, scale))
    };
    Ok(Value::numeric(literal(value), arrow, ty, DScale::Static(scale)))
}

/// A parameter whose value is not known yet.
pub(super) fn placeholder(index: u32, ty: PgType) -> Result<Value> {
    let make = |name: String, arrow: &DataType| Expr::Placeholder(Placeholder::new_with_field(name, Some(Arc::new(Field::new("", arrow.clone(), true)))));
    let name = format!("${}", index + 1);
    if ty.base == oid::NUMERIC {
        let arrow = NumericForm::DYNAMIC.data_type();
        let scale = make(format!("{name}_s"), &DataType::Int16);
        return Ok(Value::numeric(make(name, &arrow), arrow, ty, DScale::Dynamic(scale)));
    }
    let arrow = arrow_type(&ty).ok_or_else(|| refused(format!("type {} is not supported", ty.oid)))?;
    Ok(Value::new(make(name, &arrow), arrow, ty))
}
