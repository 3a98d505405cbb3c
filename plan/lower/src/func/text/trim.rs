//! trim, padding, repetition, and other functions that rebuild a text character by character.

use super::lower_call::make;
use super::rows::kernel;
use super::slice::{char_count, char_offset, count, substr};
use crate::error::raise;
use crate::value::{Call, Value};
use arrow::array::{Int32Builder, StringViewBuilder};
use datafusion::common::{DataFusionError, Result};
use std::collections::HashMap;

/// `MaxAllocSize`: no value of Postgres is longer.
const MAX_BYTES: usize = 0x3fff_ffff;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        884 => make(call, "btrim", "", kernel!(StringViewBuilder::new(), |s: text, set: text| Some(s.trim_matches(|c| set.contains(c))))),
        875 => make(call, "ltrim", "", kernel!(StringViewBuilder::new(), |s: text, set: text| Some(s.trim_start_matches(|c| set.contains(c))))),
        876 => make(call, "rtrim", "", kernel!(StringViewBuilder::new(), |s: text, set: text| Some(s.trim_end_matches(|c| set.contains(c))))),
        885 => make(call, "btrim_blanks", "", kernel!(StringViewBuilder::new(), |s: text| Some(s.trim_matches(' ')))),
        881 => make(call, "ltrim_blanks", "", kernel!(StringViewBuilder::new(), |s: text| Some(s.trim_start_matches(' ')))),
        882 => make(call, "rtrim_blanks", "", kernel!(StringViewBuilder::new(), |s: text| Some(s.trim_end_matches(' ')))),
        873 => make(call, "lpad", "", kernel!(StringViewBuilder::new(), |s: text, length: int4, fill: text| Some(pad(s, length, fill, true)?))),
        874 => make(call, "rpad", "", kernel!(StringViewBuilder::new(), |s: text, length: int4, fill: text| Some(pad(s, length, fill, false)?))),
        879 => make(call, "lpad_blanks", "", kernel!(StringViewBuilder::new(), |s: text, length: int4| Some(pad(s, length, " ", true)?))),
        880 => make(call, "rpad_blanks", "", kernel!(StringViewBuilder::new(), |s: text, length: int4| Some(pad(s, length, " ", false)?))),
        1622 => make(call, "repeat", "", kernel!(StringViewBuilder::new(), |s: text, n: int4| Some(repeat(s, n)?))),
        3062 => make(call, "reverse", "", kernel!(StringViewBuilder::new(), |s: text| Some(s.chars().rev().collect::<String>()))),
        878 => make(call, "translate", "", kernel!(StringViewBuilder::new(), |s: text, from: text, to: text| Some(translate(s, from, to)))),
        1404 => make(call, "overlay", "", kernel!(StringViewBuilder::new(), |s: text, by: text, start: int4, n: int4| Some(overlay(s, by, start, n)?))),
        1405 => make(
            call,
            "overlay_all",
            "",
            kernel!(StringViewBuilder::new(), |s: text, by: text, start: int4| Some(overlay(s, by, start, count(char_count(by))?)?)),
        ),
        1620 => make(call, "ascii", "", kernel!(Int32Builder::new(), |s: text| Some(s.chars().next().map_or(0, |c| c as i32)))),
        1621 => make(call, "chr", "", kernel!(StringViewBuilder::new(), |n: int4| Some(chr(n)?.encode_utf8(&mut [0; 4])))),
        _ => return None,
    })
}

fn too_long() -> DataFusionError {
    raise("54000", "requested length too large")
}

fn pad(s: &str, length: i32, fill: &str, before: bool) -> Result<String> {
    let length = usize::try_from(length).unwrap_or_default();
    let have = char_count(s).min(length);
    let length = if fill.is_empty() { have } else { length };
    // The longest character of UTF-8 has four bytes, the header of a text too.
    if length * 4 + 4 > MAX_BYTES {
        return Err(too_long());
    }
    let kept = s.get(..char_offset(s, have)).unwrap_or_default();
    let padding = fill.chars().cycle().take(length - have);
    let mut out = String::with_capacity(kept.len() + length - have);
    if before {
        out.extend(padding);
        out.push_str(kept);
    } else {
        out.push_str(kept);
        out.extend(padding);
    }
    Ok(out)
}

fn repeat(s: &str, n: i32) -> Result<String> {
    let n = usize::try_from(n).unwrap_or_default();
    match s.len().checked_mul(n) {
        Some(bytes) if bytes + 4 <= MAX_BYTES => Ok(s.repeat(n)),
        _ => Err(too_long()),
    }
}

/// Each character of `from` becomes that at the same place in `to`, or goes if there is none; of equal ones in `from` the first counts.
fn translate(s: &str, from: &str, to: &str) -> String {
    let mut to = to.chars();
    let mut map = HashMap::new();
    for c in from.chars() {
        let by = to.next();
        map.entry(c).or_insert(by);
    }
    s.chars().filter_map(|c| map.get(&c).copied().unwrap_or(Some(c))).collect()
}

/// Source: `text_overlay`.
fn overlay(s: &str, by: &str, start: i32, n: i32) -> Result<String> {
    if start <= 0 {
        return Err(raise("22011", "negative substring length not allowed"));
    }
    let after = start.checked_add(n).ok_or_else(|| raise("22003", "integer out of range"))?;
    Ok([substr(s, 1, Some(start - 1))?, by, substr(s, after, None)?].concat())
}

fn chr(n: i32) -> Result<char> {
    match u32::try_from(n) {
        Err(_) => Err(raise("22023", "character number must be positive")),
        Ok(0) => Err(raise("54000", "null character not permitted")),
        Ok(n) if n > 0x10_ffff => Err(raise("54000", format!("requested character too large for encoding: {n}"))),
        Ok(n) => char::from_u32(n).ok_or_else(|| raise("54000", format!("requested character not valid for encoding: {n}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, StringViewArray};
    use arrow::datatypes::{DataType, Field};
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
    use std::sync::Arc;

    fn repeated(rows: usize, times: i32) -> Result<ColumnarValue> {
        let texts = StringViewArray::from_iter_values((0..rows).map(|_| "0123456789abcdef"));
        let kernel = kernel!(StringViewBuilder::new(), |s: text, n: int4| Some(repeat(s, n)?));
        kernel(&ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(Arc::new(texts)), ColumnarValue::Scalar(ScalarValue::Int32(Some(times)))],
            arg_fields: Vec::new(),
            number_rows: rows,
            return_field: Arc::new(Field::new("r", DataType::Utf8View, true)),
            config_options: Arc::default(),
        })
    }

    /// 16 KB in each of 8,192 rows are 128 MB; 256 KB would be two gigabytes.
    #[test]
    fn results_of_a_batch_are_bounded() -> Result<()> {
        let ColumnarValue::Array(array) = repeated(8192, 1024)? else { return Err(raise("XX000", "no array")) };
        assert_eq!(array.len(), 8192);
        let refusal = repeated(8192, 16384).map(|_| ()).map_err(|e| crate::error::to_error(&e).kind);
        assert_eq!(refusal, Err(weir_plan::Kind::Refused));
        Ok(())
    }
}
