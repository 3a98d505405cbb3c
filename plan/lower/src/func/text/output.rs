//! The text that a type's output function prints, for functions of `"any"` and arrays.
//!
//! Only types whose output depends on no setting. bpchar prints its padding, so its declared length must be known.

use super::cast::pad;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Int16Type, Int32Type, Int64Type};
use std::borrow::Cow;
use weir_plan::types::{PgType, oid};

/// How the values of a type are printed; [`Printer::of`] is `None` for types that are not printed here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::func) enum Printer {
    Text,
    Bpchar(usize),
    Bool,
    Int2,
    Int4,
    Int8,
    Uuid,
}

impl Printer {
    pub(in crate::func) fn of(ty: &PgType) -> Option<Printer> {
        Some(match ty.base {
            oid::TEXT | oid::VARCHAR | oid::NAME | oid::JSON | oid::JSONB | oid::ENUM | oid::UNKNOWN => Printer::Text,
            oid::BPCHAR => Printer::Bpchar(ty.char_length()?),
            oid::BOOL => Printer::Bool,
            oid::INT2 => Printer::Int2,
            oid::INT4 => Printer::Int4,
            oid::INT8 => Printer::Int8,
            oid::UUID => Printer::Uuid,
            _ => return None,
        })
    }

    /// The printed value; `None` if it is NULL (or the array is not of this type, which lowering excludes).
    pub(in crate::func) fn print(self, array: &ArrayRef, row: usize) -> Option<Cow<'_, str>> {
        if array.is_null(row) {
            return None;
        }
        Some(match self {
            Printer::Text => Cow::Borrowed(array.as_string_view_opt()?.value(row)),
            Printer::Bpchar(length) => Cow::Owned(pad(array.as_string_view_opt()?.value(row), length)),
            Printer::Bool => Cow::Borrowed(if array.as_boolean_opt()?.value(row) { "t" } else { "f" }),
            Printer::Int2 => Cow::Owned(array.as_primitive_opt::<Int16Type>()?.value(row).to_string()),
            Printer::Int4 => Cow::Owned(array.as_primitive_opt::<Int32Type>()?.value(row).to_string()),
            Printer::Int8 => Cow::Owned(array.as_primitive_opt::<Int64Type>()?.value(row).to_string()),
            Printer::Uuid => Cow::Owned(uuid(array.as_fixed_size_binary_opt()?.value(row))),
        })
    }
}

/// Lower-case hexadecimal in groups of 8-4-4-4-12.
pub(in crate::func) fn uuid(bytes: &[u8]) -> String {
    let mut out = super::encode::hex(bytes);
    for at in [20, 16, 12, 8] {
        if out.len() > at {
            out.insert(at, '-');
        }
    }
    out
}
