//! Rows of uuid, bytea, json, arrays, enums and what fits nowhere else.

use super::Row;

pub(super) const ROWS: &[Row] = &[];
