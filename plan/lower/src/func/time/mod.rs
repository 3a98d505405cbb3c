//! Dates, times and intervals.

use crate::value::{Call, Value};
use datafusion::common::Result;

mod arith;
mod calendar;
mod compare;
mod kernel;
mod tzif;
mod zone;

pub use compare::interval_key;
pub use zone::set_timezone_directory;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    None.or_else(|| compare::lower(call)).or_else(|| arith::lower(call))
}
