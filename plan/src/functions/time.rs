//! Rows of dates, times and intervals.

use super::Row;

pub(super) const ROWS: &[Row] = &[];
