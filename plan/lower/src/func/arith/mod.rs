//! Arithmetic, comparison and casts of numbers and booleans.
//!
//! Invariants:
//! - Overflow, division by zero and domain errors raise Postgres's SQLSTATE and message; what only our physical form cannot hold is `Refused`.
//! - A row that is NULL never raises, whatever its slot holds.

use crate::value::{Call, Value};
use datafusion::common::Result;

mod bucket;
pub mod cast;
pub mod compare;
mod degrees;
mod float;
mod fold;
mod int;
pub(crate) mod kernel;
mod libm;
pub mod numeric;
mod thresholds;
mod to_char;
mod to_number;

#[cfg(test)]
mod golden;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let value = None
        .or_else(|| compare::lower(call))
        .or_else(|| int::lower(call))
        .or_else(|| numeric::lower(call))
        .or_else(|| float::lower(call))
        .or_else(|| cast::lower(call))
        .or_else(|| to_char::lower(call))
        .or_else(|| to_number::lower(call))
        .or_else(|| bucket::lower(call))
        .or_else(|| thresholds::lower(call))?;
    Some(value.map(fold::fold))
}

/// The `n`th argument; the analyser gave as many as the function takes.
fn arg<'a>(call: &'a Call<'_>, n: usize) -> Result<&'a Value> {
    call.args.get(n).ok_or_else(|| crate::error::refused(format!("function {} lacks argument {n}", call.func)))
}
