//! Rows of text, patterns and regular expressions.

use super::Row;

pub(super) const ROWS: &[Row] = &[];
