//! Rows of uuid, bytea, json, arrays, enums and what fits nowhere else.

use super::Row;
use crate::ir::Session;
use crate::types::{PgType, oid};

/// Arrays whose elements are held whole: a bpchar has no length there.
fn whole_elements(args: &[PgType], _: &Session) -> Result<(), String> {
    match args.iter().find(|ty| ty.base == oid::BPCHAR || ty.element().is_some_and(|e| e.base == oid::BPCHAR)) {
        Some(ty) => Err(format!("elements of type {}", ty.oid)),
        None => Ok(()),
    }
}

/// Arrays whose elements are equal exactly if their values are equal as held.
pub(super) fn plain_elements(args: &[PgType]) -> Result<(), String> {
    for ty in args {
        let element = ty.element().unwrap_or(*ty);
        let plain = matches!(
            element.base,
            oid::BOOL
                | oid::INT2
                | oid::INT4
                | oid::INT8
                | oid::TEXT
                | oid::VARCHAR
                | oid::BPCHAR
                | oid::BYTEA
                | oid::DATE
                | oid::TIME
                | oid::TIMESTAMP
                | oid::TIMESTAMPTZ
                | oid::UUID
                | oid::ENUM
        );
        if !plain {
            return Err(format!("elements of type {}", element.oid));
        }
    }
    Ok(())
}

/// The same, if they are ordered as they are held, too: not by their places among the labels of an enum.
pub(super) fn ordered_elements(args: &[PgType]) -> Result<(), String> {
    plain_elements(args)?;
    match args.iter().find(|ty| matches!(ty.base, oid::ENUM | oid::ENUM_ARRAY)) {
        Some(ty) => Err(format!("elements of type {}", ty.oid)),
        None => Ok(()),
    }
}

const fn array(oid: u32, name: &'static str) -> Row {
    Row::scalar(oid, name).needs(super::Needs::Deterministic).when(|args, _| plain_elements(args))
}

/// Arrays whose order is that of their elements as held.
const fn ordered_array(oid: u32, name: &'static str) -> Row {
    Row::scalar(oid, name).needs(super::Needs::ByteOrder).when(|args, _| ordered_elements(args))
}

/// Values whose JSON text is made here: a bpchar by its declared length, which elements of an array have not.
pub(super) fn has_json(args: &[PgType], _: &Session) -> Result<(), String> {
    let printed = |ty: &PgType| match ty.base {
        oid::BPCHAR => ty.char_length().is_some(),
        oid::BOOL
        | oid::INT2
        | oid::INT4
        | oid::INT8
        | oid::NUMERIC
        | oid::FLOAT4
        | oid::FLOAT8
        | oid::DATE
        | oid::TIME
        | oid::TIMESTAMP
        | oid::TIMESTAMPTZ
        | oid::INTERVAL
        | oid::UUID => true,
        _ => ty.is_text_like(),
    };
    let held = |ty: &PgType| ty.element().map_or(printed(ty), |e| e.base != oid::BPCHAR && printed(&e));
    match args.iter().find(|ty| !held(ty)) {
        Some(ty) => Err(format!("argument of type {}", ty.oid)),
        None => Ok(()),
    }
}

/// Strings in jsonb are ordered by the database's own collation.
fn ordered_by_bytes(_: &[PgType], session: &Session) -> Result<(), String> {
    if session.collate_is_bytes { Ok(()) } else { Err("the database's collation is not C".into()) }
}

const fn json(oid: u32, name: &'static str) -> Row {
    Row::scalar(oid, name).when(has_json)
}

pub(super) const ROWS: &[Row] = &[
    // oid
    Row::scalar(184, "oideq(oid,oid)"),
    Row::scalar(185, "oidne(oid,oid)"),
    Row::scalar(716, "oidlt(oid,oid)"),
    Row::scalar(717, "oidle(oid,oid)"),
    Row::scalar(1638, "oidgt(oid,oid)"),
    Row::scalar(1639, "oidge(oid,oid)"),
    Row::scalar(1287, "oid(bigint)"),
    Row::scalar(1288, "int8(oid)"),
    // uuid
    Row::scalar(2956, "uuid_eq(uuid,uuid)"),
    Row::scalar(2959, "uuid_ne(uuid,uuid)"),
    Row::scalar(2954, "uuid_lt(uuid,uuid)"),
    Row::scalar(2955, "uuid_le(uuid,uuid)"),
    Row::scalar(2958, "uuid_gt(uuid,uuid)"),
    Row::scalar(2957, "uuid_ge(uuid,uuid)"),
    // bytea
    Row::scalar(1948, "byteaeq(bytea,bytea)"),
    Row::scalar(1953, "byteane(bytea,bytea)"),
    Row::scalar(1949, "bytealt(bytea,bytea)"),
    Row::scalar(1950, "byteale(bytea,bytea)"),
    Row::scalar(1951, "byteagt(bytea,bytea)"),
    Row::scalar(1952, "byteage(bytea,bytea)"),
    Row::scalar(2010, "length(bytea)"),
    Row::scalar(720, "octet_length(bytea)"),
    Row::scalar(1810, "bit_length(bytea)"),
    Row::scalar(6163, "bit_count(bytea)"),
    Row::scalar(2011, "byteacat(bytea,bytea)"),
    Row::scalar(2012, "substring(bytea,integer,integer)"),
    Row::scalar(2085, "substr(bytea,integer,integer)"),
    Row::scalar(2013, "substring(bytea,integer)"),
    Row::scalar(2086, "substr(bytea,integer)"),
    Row::scalar(2014, "position(bytea,bytea)"),
    Row::scalar(721, "get_byte(bytea,integer)"),
    Row::scalar(2015, "btrim(bytea,bytea)"),
    Row::scalar(6195, "ltrim(bytea,bytea)"),
    Row::scalar(6196, "rtrim(bytea,bytea)"),
    Row::scalar(2005, "bytealike(bytea,bytea)"),
    Row::scalar(2006, "byteanlike(bytea,bytea)"),
    Row::scalar(2007, "like(bytea,bytea)"),
    Row::scalar(2008, "notlike(bytea,bytea)"),
    // inet, cidr (whose operators are inet's) and macaddr
    Row::scalar(920, "network_eq(inet,inet)"),
    Row::scalar(925, "network_ne(inet,inet)"),
    Row::scalar(921, "network_lt(inet,inet)"),
    Row::scalar(922, "network_le(inet,inet)"),
    Row::scalar(923, "network_gt(inet,inet)"),
    Row::scalar(924, "network_ge(inet,inet)"),
    Row::scalar(927, "network_sub(inet,inet)"),
    Row::scalar(928, "network_subeq(inet,inet)"),
    Row::scalar(929, "network_sup(inet,inet)"),
    Row::scalar(930, "network_supeq(inet,inet)"),
    Row::scalar(730, "text(inet)"),
    Row::scalar(699, "host(inet)"),
    Row::scalar(711, "family(inet)"),
    Row::scalar(697, "masklen(inet)"),
    Row::scalar(830, "macaddr_eq(macaddr,macaddr)"),
    Row::scalar(835, "macaddr_ne(macaddr,macaddr)"),
    Row::scalar(831, "macaddr_lt(macaddr,macaddr)"),
    Row::scalar(832, "macaddr_le(macaddr,macaddr)"),
    Row::scalar(833, "macaddr_gt(macaddr,macaddr)"),
    Row::scalar(834, "macaddr_ge(macaddr,macaddr)"),
    // Enums: no order, which is that of their declaration.
    Row::scalar(3508, "enum_eq(anyenum,anyenum)"),
    Row::scalar(3509, "enum_ne(anyenum,anyenum)"),
    // json and jsonb
    Row::scalar(3947, "json_object_field(json,text)"),
    Row::scalar(3478, "jsonb_object_field(jsonb,text)"),
    Row::scalar(3948, "json_object_field_text(json,text)"),
    Row::scalar(3214, "jsonb_object_field_text(jsonb,text)"),
    Row::scalar(3949, "json_array_element(json,integer)"),
    Row::scalar(3215, "jsonb_array_element(jsonb,integer)"),
    Row::scalar(3950, "json_array_element_text(json,integer)"),
    Row::scalar(3216, "jsonb_array_element_text(jsonb,integer)"),
    Row::scalar(3951, "json_extract_path(json,text[])"),
    Row::scalar(3217, "jsonb_extract_path(jsonb,text[])"),
    Row::scalar(3953, "json_extract_path_text(json,text[])"),
    Row::scalar(3940, "jsonb_extract_path_text(jsonb,text[])"),
    Row::scalar(3956, "json_array_length(json)"),
    Row::scalar(3207, "jsonb_array_length(jsonb)"),
    Row::scalar(3968, "json_typeof(json)"),
    Row::scalar(3210, "jsonb_typeof(jsonb)"),
    Row::scalar(4043, "jsonb_eq(jsonb,jsonb)"),
    Row::scalar(4038, "jsonb_ne(jsonb,jsonb)"),
    Row::scalar(4039, "jsonb_lt(jsonb,jsonb)").when(ordered_by_bytes),
    Row::scalar(4040, "jsonb_gt(jsonb,jsonb)").when(ordered_by_bytes),
    Row::scalar(4041, "jsonb_le(jsonb,jsonb)").when(ordered_by_bytes),
    Row::scalar(4042, "jsonb_ge(jsonb,jsonb)").when(ordered_by_bytes),
    Row::scalar(4046, "jsonb_contains(jsonb,jsonb)"),
    Row::scalar(4050, "jsonb_contained(jsonb,jsonb)"),
    Row::scalar(4047, "jsonb_exists(jsonb,text)"),
    Row::scalar(4048, "jsonb_exists_any(jsonb,text[])"),
    Row::scalar(4049, "jsonb_exists_all(jsonb,text[])"),
    Row::scalar(3556, "bool(jsonb)"),
    Row::scalar(3450, "int2(jsonb)"),
    Row::scalar(3451, "int4(jsonb)"),
    Row::scalar(3452, "int8(jsonb)"),
    Row::scalar(3453, "float4(jsonb)"),
    Row::scalar(2580, "float8(jsonb)"),
    Row::scalar(3449, "numeric(jsonb)"),
    // Paths, which are constants.
    Row::scalar(4005, "jsonb_path_exists(jsonb,jsonpath,jsonb,boolean)"),
    Row::scalar(4007, "jsonb_path_query_array(jsonb,jsonpath,jsonb,boolean)"),
    Row::scalar(4008, "jsonb_path_query_first(jsonb,jsonpath,jsonb,boolean)"),
    Row::scalar(4009, "jsonb_path_match(jsonb,jsonpath,jsonb,boolean)"),
    Row::scalar(4010, "jsonb_path_exists_opr(jsonb,jsonpath)"),
    Row::scalar(4011, "jsonb_path_match_opr(jsonb,jsonpath)"),
    // Made of values.
    json(3176, "to_json(anyelement)"),
    json(3787, "to_jsonb(anyelement)"),
    json(3153, "array_to_json(anyarray)"),
    json(3155, "row_to_json(record)"),
    json(3198, "json_build_array(\"any\")"),
    json(3200, "json_build_object(\"any\")"),
    json(3271, "jsonb_build_array(\"any\")"),
    json(3273, "jsonb_build_object(\"any\")"),
    // jsonb made of jsonb.
    Row::scalar(3301, "jsonb_concat(jsonb,jsonb)"),
    Row::scalar(3302, "jsonb_delete(jsonb,text)"),
    Row::scalar(3343, "jsonb_delete(jsonb,text[])"),
    Row::scalar(3303, "jsonb_delete(jsonb,integer)"),
    Row::scalar(3304, "jsonb_delete_path(jsonb,text[])"),
    Row::scalar(3305, "jsonb_set(jsonb,text[],jsonb,boolean)"),
    Row::scalar(3579, "jsonb_insert(jsonb,text[],jsonb,boolean)"),
    Row::scalar(3262, "jsonb_strip_nulls(jsonb)"),
    Row::scalar(3306, "jsonb_pretty(jsonb)"),
    // Arrays
    array(744, "array_eq(anyarray,anyarray)"),
    array(390, "array_ne(anyarray,anyarray)"),
    ordered_array(391, "array_lt(anyarray,anyarray)"),
    ordered_array(392, "array_gt(anyarray,anyarray)"),
    ordered_array(393, "array_le(anyarray,anyarray)"),
    ordered_array(396, "array_ge(anyarray,anyarray)"),
    array(2748, "arraycontains(anyarray,anyarray)"),
    array(2749, "arraycontained(anyarray,anyarray)"),
    array(2747, "arrayoverlap(anyarray,anyarray)"),
    array(3277, "array_position(anycompatiblearray,anycompatible)"),
    array(3167, "array_remove(anycompatiblearray,anycompatible)"),
    array(3168, "array_replace(anycompatiblearray,anycompatible,anycompatible)"),
    array(3279, "array_positions(anycompatiblearray,anycompatible)"),
    // How a subscript or slice is written in a plan: array, place (or from, to).
    Row::scalar(6179, "array_subscript_handler(internal)").when(whole_elements),
    Row::scalar(378, "array_append(anycompatiblearray,anycompatible)").when(whole_elements),
    Row::scalar(379, "array_prepend(anycompatible,anycompatiblearray)").when(whole_elements),
    Row::scalar(383, "array_cat(anycompatiblearray,anycompatiblearray)").when(whole_elements),
    Row::scalar(6172, "trim_array(anyarray,integer)").when(whole_elements),
    Row::scalar(2176, "array_length(anyarray,integer)"),
    Row::scalar(2092, "array_upper(anyarray,integer)"),
    Row::scalar(2091, "array_lower(anyarray,integer)"),
    Row::scalar(748, "array_ndims(anyarray)"),
    Row::scalar(3179, "cardinality(anyarray)"),
    Row::scalar(3218, "width_bucket(anycompatible,anycompatiblearray)"),
];
