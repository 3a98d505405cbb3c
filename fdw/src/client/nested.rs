//! Values that Postgres has no type for (maps, lists of lists, structures) as JSON: a map or a structure is an object, a list an array.
//!
//! Invariant: nothing is lost. What JSON has no form for (NaN, bytes that are no text, a key that comes twice) is an error.

use super::build::Unfit;
use crate::dialect::mysql::civil;
use arrow::array::*;
use arrow::datatypes::*;
use std::collections::HashSet;

const KIND: Unfit = "it is of another type";
const DAY_US: i64 = 86_400_000_000;

/// Whether values of an Arrow type are parts of a whole.
pub fn is_nested(ty: &DataType) -> bool {
    matches!(ty, DataType::Map(..) | DataType::Struct(_) | DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// Adds the value of a row.
///
/// # Errors
/// A value that JSON cannot hold.
pub fn json(array: &dyn Array, row: usize, out: &mut String) -> Result<(), Unfit> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(_) => items(array.as_list::<i32>().value(row).as_ref(), out),
        DataType::LargeList(_) => items(array.as_list::<i64>().value(row).as_ref(), out),
        DataType::FixedSizeList(..) => items(array.as_fixed_size_list().value(row).as_ref(), out),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            object(fields.len(), |i| Ok(fields.get(i).ok_or(KIND)?.name().clone()), |i, out| json(columns.get(i).ok_or(KIND)?, row, out), out)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = entries.columns().first().zip(entries.columns().get(1)).ok_or(KIND)?;
            object(entries.len(), |i| key(keys, i), |i, out| json(values, i, out), out)
        }
        _ => plain(array, row, out),
    }
}

fn items(array: &dyn Array, out: &mut String) -> Result<(), Unfit> {
    out.push('[');
    for i in 0..array.len() {
        if i > 0 {
            out.push_str(", ");
        }
        json(array, i, out)?;
    }
    out.push(']');
    Ok(())
}

fn object(
    n: usize,
    key: impl Fn(usize) -> Result<String, Unfit>,
    value: impl Fn(usize, &mut String) -> Result<(), Unfit>,
    out: &mut String,
) -> Result<(), Unfit> {
    let mut seen = HashSet::new();
    out.push('{');
    for i in 0..n {
        if i > 0 {
            out.push_str(", ");
        }
        let key = key(i)?;
        text(&key, out)?;
        out.push_str(": ");
        value(i, out)?;
        if !seen.insert(key) {
            return Err("it has a key twice");
        }
    }
    out.push('}');
    Ok(())
}

/// A key as text; only of types of which each value has one.
fn key(keys: &dyn Array, i: usize) -> Result<String, Unfit> {
    let mut out = String::new();
    match keys.data_type() {
        _ if keys.is_null(i) => Err("it has a key that is NULL"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => characters(keys, i).map(str::to_owned),
        ty if ty.is_integer() || *ty == DataType::Boolean || *ty == DataType::Date32 => {
            plain(keys, i, &mut out)?;
            Ok(out.trim_matches('"').to_owned())
        }
        _ => Err(KIND),
    }
}

fn characters(array: &dyn Array, row: usize) -> Result<&str, Unfit> {
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        // Text that its engine has not looked at.
        DataType::Binary => std::str::from_utf8(array.as_binary::<i32>().value(row)).map_err(|_| "it is not valid text")?,
        _ => return Err(KIND),
    })
}

fn text(value: &str, out: &mut String) -> Result<(), Unfit> {
    if value.contains('\0') {
        return Err("it has a zero byte");
    }
    out.push_str(&serde_json::to_string(value).map_err(|_| "it is not valid text")?);
    Ok(())
}

fn number(value: f64, shown: impl ToString, out: &mut String) -> Result<(), Unfit> {
    if !value.is_finite() {
        return Err("it has a number that JSON does not have");
    }
    out.push_str(&shown.to_string());
    Ok(())
}

/// A day of the years 1 to 9999, which every reader of JSON knows.
fn day(days: i64) -> Result<String, Unfit> {
    match civil(days) {
        (y @ 1..=9999, m, d) => Ok(format!("{y:04}-{m:02}-{d:02}")),
        _ => Err("it has a day outside of the years 1 to 9999"),
    }
}

fn plain(array: &dyn Array, row: usize, out: &mut String) -> Result<(), Unfit> {
    macro_rules! shown {
        ($kind:ty) => {
            out.push_str(&array.as_primitive::<$kind>().value(row).to_string())
        };
    }
    match array.data_type() {
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => shown!(Int8Type),
        DataType::Int16 => shown!(Int16Type),
        DataType::Int32 => shown!(Int32Type),
        DataType::Int64 => shown!(Int64Type),
        DataType::UInt8 => shown!(UInt8Type),
        DataType::UInt16 => shown!(UInt16Type),
        DataType::UInt32 => shown!(UInt32Type),
        DataType::UInt64 => shown!(UInt64Type),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            number(value.into(), value, out)?;
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            number(value, value, out)?;
        }
        DataType::Decimal32(..) => out.push_str(&array.as_primitive::<Decimal32Type>().value_as_string(row)),
        DataType::Decimal64(..) => out.push_str(&array.as_primitive::<Decimal64Type>().value_as_string(row)),
        DataType::Decimal128(..) => out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(..) => out.push_str(&array.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Date32 => text(&day(array.as_primitive::<Date32Type>().value(row).into())?, out)?,
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let us = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let (s, micros) = (us.rem_euclid(DAY_US) / 1_000_000, us.rem_euclid(1_000_000));
            let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}").trim_end_matches('0').to_owned() };
            text(&format!("{}T{:02}:{:02}:{:02}{fraction}", day(us.div_euclid(DAY_US))?, s / 3600, s / 60 % 60, s % 60), out)?;
        }
        DataType::Null => out.push_str("null"),
        _ => text(characters(array, row)?, out)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn of(array: &dyn Array) -> Vec<Result<String, Unfit>> {
        (0..array.len())
            .map(|row| {
                let mut out = String::new();
                json(array, row, &mut out).map(|()| out)
            })
            .collect()
    }

    fn ok(text: &str) -> Result<String, Unfit> {
        Ok(text.to_owned())
    }

    #[test]
    fn lists_of_lists_may_be_ragged() {
        let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
        lists.append_value([Some(vec![Some(1), None]), Some(vec![]), None]);
        lists.append_null();
        lists.append(true);
        assert_eq!(of(&lists.finish()), [ok("[[1, null], [], null]"), ok("null"), ok("[]")]);
    }

    #[test]
    fn maps_are_objects() {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
        for entries in [&[("a\"b", 1.5), ("é\n", -0.25)][..], &[], &[("k", 1.0), ("k", 2.0)], &[("k", f64::NAN)], &[("zero \0", 1.0)], &[("big", 1e20)]] {
            for (k, v) in entries {
                maps.keys().append_value(k);
                maps.values().append_value(*v);
            }
            maps.append(true).expect("as many keys as values");
        }
        maps.append(false).expect("nothing");
        let expected = [
            ok(r#"{"a\"b": 1.5, "é\n": -0.25}"#),
            ok("{}"),
            Err("it has a key twice"),
            Err("it has a number that JSON does not have"),
            Err("it has a zero byte"),
            ok(r#"{"big": 100000000000000000000}"#),
            ok("null"),
        ];
        assert_eq!(of(&maps.finish()), expected);
        let mut maps = MapBuilder::new(None, Int64Builder::new(), BinaryBuilder::new());
        for (k, v) in [(i64::MIN, &b"text"[..]), (7, b"\xff")] {
            maps.keys().append_value(k);
            maps.values().append_value(v);
            maps.append(true).expect("one of each");
        }
        assert_eq!(of(&maps.finish()), [ok(r#"{"-9223372036854775808": "text"}"#), Err("it is not valid text")]);
    }

    #[test]
    fn structures_keep_their_names() {
        let fields = Fields::from(vec![
            Field::new("b", DataType::Boolean, true),
            Field::new("d", DataType::Date32, true),
            Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("n", DataType::Decimal128(5, 2), true),
            Field::new("i", DataType::Time64(TimeUnit::Microsecond), true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from(vec![Some(true), None, None])),
            Arc::new(Date32Array::from(vec![Some(19_782), None, Some(i32::MAX)])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(1_500_000), None])),
            Arc::new(Decimal128Array::from(vec![Some(-150), None, None]).with_precision_and_scale(5, 2).expect("valid")),
            Arc::new(Time64MicrosecondArray::from(vec![None, None, Some(1)])),
        ];
        let rows = of(&StructArray::new(fields, columns, None));
        let first = r#"{"b": true, "d": "2024-02-29", "t": "1969-12-31T23:59:59.999999", "n": -1.50, "i": null}"#;
        let second = r#"{"b": null, "d": null, "t": "1970-01-01T00:00:01.5", "n": null, "i": null}"#;
        assert_eq!(rows, [ok(first), ok(second), Err("it has a day outside of the years 1 to 9999")]);
    }
}
