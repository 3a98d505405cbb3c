//! Dates, times and intervals, as Postgres computes them.
//!
//! Invariants:
//! - Infinity is the extreme integer of its type, in and out; every function honours it.
//! - Time zones are the server's own data ([`zone`]); the session's zone is resolved when the plan is lowered.
//! - Intervals of Arrow count nanoseconds: a time part over 292 years is refused. So is a timestamp after 294246, which Arrow's epoch cannot hold.

use crate::value::{Call, Value};
use datafusion::common::Result;

mod abbreviation;
mod arith;
mod calendar;
mod cast;
mod compare;
mod extract;
mod format;
mod input;
pub(crate) mod interval;
pub(crate) mod kernel;
mod make;
mod pattern;
pub(crate) mod series;
#[cfg(test)]
mod tests;
mod text;
mod to_char;
mod to_char_interval;
mod to_date;
mod trunc;
mod tzif;
mod unit;
mod zone;

pub(in crate::func) use text::iso_text;
pub use text::via_text;
pub use zone::set_timezone_directory;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    None.or_else(|| compare::lower(call))
        .or_else(|| arith::lower(call))
        .or_else(|| extract::lower(call))
        .or_else(|| trunc::lower(call))
        .or_else(|| cast::lower(call))
        .or_else(|| interval::lower(call))
        .or_else(|| make::lower(call))
        .or_else(|| to_char::lower(call))
        .or_else(|| to_char_interval::lower(call))
        .or_else(|| to_date::lower(call))
}
