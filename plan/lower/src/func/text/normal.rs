//! `normalize` and `IS NORMALIZED`, of texts that are in the form whatever tables a release has.
//!
//! Invariant: ASCII is in every form, and everything below U+0300 in NFC: those characters combine with nothing before them and stay as
//! they are. What else there is, is refused.

use super::lower_call::make;
use super::rows::kernel;
use crate::error::{raise, refused};
use crate::value::{Call, Value};
use arrow::array::{BooleanBuilder, StringViewBuilder};
use datafusion::common::Result;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        4350 => make(call, "normalize", "", kernel!(StringViewBuilder::new(), |s: text, form: text| Some(in_form(s, form).map(|()| s)?))),
        4351 => make(call, "is_normalized", "", kernel!(BooleanBuilder::new(), |s: text, form: text| Some(in_form(s, form).map(|()| true)?))),
        _ => return None,
    })
}

/// # Errors
/// It is not known to be in the form.
fn in_form(s: &str, form: &str) -> Result<()> {
    let composed = form.eq_ignore_ascii_case("NFC");
    if !composed && !["NFD", "NFKC", "NFKD"].iter().any(|f| form.eq_ignore_ascii_case(f)) {
        return Err(raise("22023", format!("invalid normalization form: {form}")));
    }
    if s.is_ascii() || (composed && s.chars().all(|c| c < '\u{300}')) { Ok(()) } else { Err(refused("normalisation of a text that is not ASCII")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_in_a_form_is_answered() {
        assert!(in_form("abc", "nfkd").is_ok());
        assert!(in_form("über ¼", "NFC").is_ok());
        assert!(in_form("über", "NFD").is_err());
        assert!(in_form("¼", "NFKC").is_err());
        assert!(in_form("u\u{308}", "NFC").is_err());
        assert!(in_form("", "NF").is_err());
    }
}
