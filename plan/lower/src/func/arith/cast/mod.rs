//! Casts among integers, floats, numeric and boolean, by cast function or through text.

mod float_text;
mod input;
mod number;
mod output;

use crate::value::{Call, Value};
use datafusion::common::Result;
use weir_plan::ir::Session;
use weir_plan::types::{PgType, oid};

pub use output::output;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    number::lower(call).or_else(|| output::lower(call))
}

/// A cast through the output function of one type and the input function of another, where one is a number or boolean and the
/// other is text. `None`: not such types.
pub fn via_text(value: Value, ty: PgType, session: &Session) -> Option<Result<Value>> {
    let is_string = |t: &PgType| matches!(t.base, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME);
    if is_string(&ty) {
        let text = output(&value, session)?;
        return Some(text.map(|e| Value::new(e, arrow::datatypes::DataType::Utf8View, ty)));
    }
    if is_string(&value.ty) {
        return input::input(&value, ty, session);
    }
    None
}
