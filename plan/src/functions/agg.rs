//! Rows of aggregates and window functions.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    // numeric
    Row::aggregate(2803, "count(*)"),
    Row::aggregate(2147, "count(any)"),
    Row::aggregate(2107, "sum(bigint)"),
    Row::aggregate(2108, "sum(integer)"),
    Row::aggregate(2109, "sum(smallint)"),
    Row::aggregate(2114, "sum(numeric)"),
    Row::aggregate(2100, "avg(bigint)"),
    Row::aggregate(2101, "avg(integer)"),
    Row::aggregate(2102, "avg(smallint)"),
    Row::aggregate(2103, "avg(numeric)"),
    Row::aggregate(2115, "max(bigint)"),
    Row::aggregate(2116, "max(integer)"),
    Row::aggregate(2117, "max(smallint)"),
    Row::aggregate(2130, "max(numeric)"),
    Row::aggregate(2131, "min(bigint)"),
    Row::aggregate(2132, "min(integer)"),
    Row::aggregate(2133, "min(smallint)"),
    Row::aggregate(2146, "min(numeric)"),
    // other
];
