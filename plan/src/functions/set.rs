//! Rows of set-returning functions.

use super::Needs::Deterministic;
use super::Row;
use crate::ir::Session;
use crate::types::{PgType, oid};

pub(super) const ROWS: &[Row] = &[
    Row::set(2331, "unnest(anyarray)").when(held_exactly),
    Row::set(1067, "generate_series(integer,integer)"),
    Row::set(1066, "generate_series(integer,integer,integer)"),
    Row::set(1069, "generate_series(bigint,bigint)"),
    Row::set(1068, "generate_series(bigint,bigint,bigint)"),
    Row::set(938, "generate_series(timestamp,timestamp,interval)"),
    Row::set(939, "generate_series(timestamptz,timestamptz,interval)"),
    Row::set(1192, "generate_subscripts(anyarray,integer)"),
    Row::set(2765, "regexp_split_to_table(text,text)").needs(Deterministic),
    Row::set(2766, "regexp_split_to_table(text,text,text)").needs(Deterministic),
    Row::set(6160, "string_to_table(text,text)").needs(Deterministic),
    Row::set(6161, "string_to_table(text,text,text)").needs(Deterministic),
    Row::set(3955, "json_array_elements(json)"),
    Row::set(3969, "json_array_elements_text(json)"),
    Row::set(3219, "jsonb_array_elements(jsonb)"),
    Row::set(3465, "jsonb_array_elements_text(jsonb)"),
    Row::set(4006, "jsonb_path_query(jsonb,jsonpath,jsonb,boolean)"),
    Row::set(3208, "jsonb_each(jsonb)"),
    Row::set(3932, "jsonb_each_text(jsonb)"),
    Row::set(3958, "json_each(json)"),
    Row::set(3959, "json_each_text(json)"),
    Row::set(3957, "json_object_keys(json)"),
    Row::set(2763, "regexp_matches(text,text)").needs(Deterministic),
    Row::set(2764, "regexp_matches(text,text,text)").needs(Deterministic),
    Row::set(3931, "jsonb_object_keys(jsonb)"),
];

/// The elements of a bpchar array have no length there.
fn held_exactly(args: &[PgType], _: &Session) -> Result<(), String> {
    match args.first().and_then(PgType::element) {
        Some(e) if e.base != oid::BPCHAR => Ok(()),
        _ => Err("elements of this type are not held exactly".into()),
    }
}
