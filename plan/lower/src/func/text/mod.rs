//! Text, patterns and regular expressions.
//!
//! Invariants:
//! - Text is valid UTF-8 in a `Utf8View`; positions and lengths count characters, as in a database with encoding UTF8.
//! - bpchar is held without trailing blanks. A function that Postgres applies to the padded value gets it padded by the declared length.
//! - What depends on a locale beyond ASCII is asked of the library that the server asks. Where that cannot be, values that are not ASCII are
//!   refused, unless the collation and ctype are C.

use crate::value::{Call, Value};
use datafusion::common::Result;

mod bits;
mod case;
mod cast;
mod collated;
mod compare;
mod concat;
pub(in crate::func) mod encode;
mod like;
pub(in crate::func) mod lower_call;
mod normal;
pub(in crate::func) mod output;
mod regex;
pub(in crate::func) mod rows;
mod search;
pub(in crate::func) mod slice;
mod trim;

pub(in crate::func) use cast::pad_bpchar;
pub use cast::{relabel, strip_blanks, unpadded};
pub(crate) use collated::collator;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    None.or_else(|| compare::lower(call))
        .or_else(|| like::lower(call))
        .or_else(|| cast::lower(call))
        .or_else(|| case::lower(call))
        .or_else(|| slice::lower(call))
        .or_else(|| trim::lower(call))
        .or_else(|| search::lower(call))
        .or_else(|| concat::lower(call))
        .or_else(|| encode::lower(call))
        .or_else(|| bits::lower(call))
        .or_else(|| normal::lower(call))
        .or_else(|| regex::lower(call))
}
