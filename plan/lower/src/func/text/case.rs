//! lower, upper, initcap.
//!
//! Under C only ASCII letters have case. Under a locale the library that the server asks is asked here, too. Where that cannot be
//! (collations of the server's own making), ASCII text behaves as under any other, since those where it does not, Turkish and Azeri, never
//! reach an engine; text beyond ASCII is refused at run time.

use super::lower_call::make;
use super::rows::kernel;
use crate::error::refused;
use crate::value::{Call, Value};
use arrow::array::StringViewBuilder;
use datafusion::common::Result;
use weir_collate::{Case, Ctype};
use weir_plan::ir::Collation;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let case = match call.func {
        870 => Case::Lower,
        871 => Case::Upper,
        872 => Case::Title,
        _ => return None,
    };
    Some(letters(call).and_then(|letters| {
        let key = format!("{case:?}{letters:?}");
        make(call, "case", key, kernel!(StringViewBuilder::new(), |s: text| Some(letters.converted(case, s)?)))
    }))
}

/// What is known of letters under a call's collation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    /// Only those of ASCII have case, and are of classes.
    C,
    /// Nothing beyond ASCII.
    Ascii,
    Of(&'static Ctype),
}

/// # Errors
/// The locale cannot be opened here.
pub(super) fn letters(call: &Call<'_>) -> Result<Letters> {
    match call.session.ctype(call.collation) {
        Some(locale) => Ok(Letters::Of(Ctype::open(locale).map_err(refused)?)),
        None if call.collation == Collation::C => Ok(Letters::C),
        None => Ok(Letters::Ascii),
    }
}

impl Letters {
    pub(super) fn converted(self, case: Case, text: &str) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        self.convert(case, text, &mut out)?;
        Ok(out)
    }

    /// Appends `text` to `out` in another case.
    pub(super) fn convert(self, case: Case, text: &str, out: &mut String) -> Result<()> {
        match (self, case) {
            (Letters::Of(ctype), _) => return ctype.convert(case, text, out).map_err(refused),
            (Letters::Ascii, _) if !text.is_ascii() => return Err(refused("case of letters beyond ASCII depends on the locale")),
            (_, Case::Lower) => out.extend(text.chars().map(|c| c.to_ascii_lowercase())),
            (_, Case::Upper) => out.extend(text.chars().map(|c| c.to_ascii_uppercase())),
            (_, Case::Title) => title(text, out),
        }
        Ok(())
    }
}

fn title(text: &str, out: &mut String) {
    let mut inside = false;
    for c in text.chars() {
        out.push(if inside { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
        inside = c.is_ascii_alphanumeric();
    }
}
