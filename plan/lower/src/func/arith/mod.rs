//! Arithmetic, comparison and casts of numbers and booleans.
//!
//! Invariants:
//! - Overflow, division by zero and domain errors raise Postgres's SQLSTATE and message; what only our physical form cannot hold is `Refused`.
//! - A row that is NULL never raises, whatever its slot holds.

use crate::value::{Call, Value};
use datafusion::common::Result;

pub mod compare;
mod int;
mod kernel;
pub mod numeric;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    None.or_else(|| compare::lower(call)).or_else(|| int::lower(call)).or_else(|| numeric::lower(call))
}

/// The `n`th argument; the analyser gave as many as the function takes.
fn arg<'a>(call: &'a Call<'_>, n: usize) -> Result<&'a Value> {
    call.args.get(n).ok_or_else(|| crate::error::refused(format!("function {} lacks argument {n}", call.func)))
}
