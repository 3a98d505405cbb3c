//! Rows of aggregates and window functions.

use super::Row;

pub(super) const ROWS: &[Row] = &[];
