//! Scalar functions by OID, one module per domain.

use crate::error::refused;
use crate::value::{Call, Value};
use datafusion::common::Result;
use weir_plan::ir::Session;
use weir_plan::types::PgType;

pub mod arith;
mod misc;
mod text;
pub mod time;

pub(crate) use misc::{cidr_as_inet, from_order_key, json_name, json_rows, json_text, jsonb, jsonb_key, jsonb_text, path_rows};
pub(crate) use text::collator;
pub use text::{relabel, unpadded};

/// Lowers a call. Each domain answers `None` for an OID that is not its own.
pub fn lower(call: &Call<'_>) -> Result<Value> {
    None.or_else(|| arith::lower(call))
        .or_else(|| text::lower(call))
        .or_else(|| time::lower(call))
        .or_else(|| misc::lower(call))
        .unwrap_or_else(|| Err(refused(format!("function {} is not implemented", call.func))))
}

/// A cast through the output function of one type and the input function of another.
pub fn via_text(value: &Value, ty: PgType, session: &Session) -> Result<Value> {
    None.or_else(|| arith::cast::via_text(value.clone(), ty, session))
        .or_else(|| time::via_text(value.clone(), ty, session))
        .or_else(|| misc::via_text(value, ty, session))
        .unwrap_or_else(|| Err(refused(format!("a cast from type {} to type {} through text", value.ty.oid, ty.oid))))
}
