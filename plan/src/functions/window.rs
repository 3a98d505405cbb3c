//! Rows of the pure window functions. Aggregates with OVER have their rows in `agg`.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    Row::window(3100, "row_number()"),
    Row::window(3101, "rank()"),
    Row::window(3102, "dense_rank()"),
    Row::window(3103, "percent_rank()"),
    Row::window(3104, "cume_dist()"),
    Row::window(3105, "ntile(integer)"),
    Row::window(3106, "lag(anyelement)"),
    Row::window(3107, "lag(anyelement,integer)"),
    Row::window(3108, "lag(anycompatible,integer,anycompatible)"),
    Row::window(3109, "lead(anyelement)"),
    Row::window(3110, "lead(anyelement,integer)"),
    Row::window(3111, "lead(anycompatible,integer,anycompatible)"),
    Row::window(3112, "first_value(anyelement)"),
    Row::window(3113, "last_value(anyelement)"),
    Row::window(3114, "nth_value(anyelement,integer)"),
];
