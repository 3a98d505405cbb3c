//! Rows of arithmetic, comparison and casts of numbers and booleans.

use super::Row;

pub(super) const ROWS: &[Row] = &[];
