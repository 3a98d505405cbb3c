//! Scalar functions by OID, one module per domain.

use crate::error::refused;
use crate::value::{Call, Value};
use datafusion::common::Result;

pub mod arith;
mod misc;
mod text;
pub mod time;

/// Lowers a call. Each domain answers `None` for an OID that is not its own.
pub fn lower(call: &Call<'_>) -> Result<Value> {
    None.or_else(|| arith::lower(call))
        .or_else(|| text::lower(call))
        .or_else(|| time::lower(call))
        .or_else(|| misc::lower(call))
        .unwrap_or_else(|| Err(refused(format!("function {} is not implemented", call.func))))
}
