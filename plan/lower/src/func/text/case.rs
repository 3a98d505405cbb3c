//! lower, upper, initcap.
//!
//! Under C only ASCII letters have case. Under any other collation ASCII text behaves the same
//! (collations where it does not, Turkish and Azeri, never reach an engine); text beyond ASCII is refused at run time.

use super::lower_call::make;
use super::rows::kernel;
use crate::error::refused;
use crate::value::{Call, Value};
use arrow::array::StringViewBuilder;
use datafusion::common::Result;
use weir_plan::ir::Collation;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let convert: fn(&str) -> String = match call.func {
        870 => str::to_ascii_lowercase,
        871 => str::to_ascii_uppercase,
        872 => initcap,
        _ => return None,
    };
    let any = c_case(call);
    let key = format!("{}{any}", call.func);
    Some(make(call, "case", key, kernel!(StringViewBuilder::new(), |s: text| Some(convert(ascii(s, any)?)))))
}

/// Case and character classes are those of C: the bytes beyond ASCII have none.
pub(super) fn c_case(call: &Call<'_>) -> bool {
    call.collation == Collation::C
}

/// The text, if it is ASCII or need not be.
pub(super) fn ascii(s: &str, any: bool) -> Result<&str> {
    if any || s.is_ascii() { Ok(s) } else { Err(refused("case of letters beyond ASCII depends on the locale")) }
}

fn initcap(s: &str) -> String {
    let mut inside = false;
    s.chars()
        .map(|c| {
            let mapped = if inside { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
            inside = c.is_ascii_alphanumeric();
            mapped
        })
        .collect()
}
