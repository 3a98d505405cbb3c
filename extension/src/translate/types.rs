//! Types of expressions as the plan states them.

use super::{Result, tree};
use pgrx::pg_sys;
use weir_plan::types::{PgType, arrow_type, oid};

/// Types that are an oid and print a name: `regproc`, `regprocedure`, `regoper`, `regoperator`, `regclass`, `regtype`, `regconfig`,
/// `regdictionary`, `regnamespace`, `regrole`, `regcollation`.
const NAMED: &[u32] = &[24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191];

/// The type with domains resolved to what they are stored as and enums marked.
///
/// # Errors
/// The type is not in the type map.
pub unsafe fn pg_type(type_oid: pg_sys::Oid, typmod: i32) -> Result<PgType> {
    let plain = PgType::with_typmod(type_oid.to_u32(), typmod);
    if arrow_type(&plain).is_some() {
        return Ok(plain);
    }
    if NAMED.contains(&type_oid.to_u32()) {
        return Ok(PgType { oid: type_oid.to_u32(), base: oid::OID, typmod: -1 });
    }
    let mut base_typmod = typmod;
    let base = pg_sys::getBaseTypeAndTypmod(type_oid, &mut base_typmod);
    let ty = PgType { oid: type_oid.to_u32(), base: stored_as(base), typmod: base_typmod };
    if arrow_type(&ty).is_none() {
        return Err(format!("type {} is not shipped", type_name(type_oid)));
    }
    Ok(ty)
}

/// The `base` of a type that is no domain.
pub unsafe fn stored_as(base: pg_sys::Oid) -> u32 {
    let is_enum = |ty: pg_sys::Oid| pg_sys::get_typtype(ty).cast_unsigned() == pg_sys::TYPTYPE_ENUM;
    if is_enum(base) {
        return oid::ENUM;
    }
    let element = pg_sys::get_element_type(base);
    if element != pg_sys::InvalidOid && is_enum(element) { oid::ENUM_ARRAY } else { base.to_u32() }
}

/// The enum that values of this type are, or that elements of its arrays are.
pub unsafe fn enum_of(ty: &PgType) -> Option<pg_sys::Oid> {
    let base = pg_sys::getBaseType(pg_sys::Oid::from(ty.oid));
    match ty.base {
        oid::ENUM => Some(base),
        oid::ENUM_ARRAY => Some(pg_sys::get_element_type(base)),
        _ => None,
    }
}

/// The type of an expression.
pub unsafe fn type_of(node: *mut pg_sys::Node) -> Result<PgType> {
    pg_type(pg_sys::exprType(node), pg_sys::exprTypmod(node))
}

pub unsafe fn type_name(type_oid: pg_sys::Oid) -> String {
    tree::string(pg_sys::format_type_be(type_oid))
}

pub unsafe fn type_name_with_typmod(type_oid: pg_sys::Oid, typmod: i32) -> String {
    tree::string(pg_sys::format_type_with_typemod(type_oid, typmod))
}

/// `lower(text)`
pub unsafe fn function_name(func: pg_sys::Oid) -> String {
    tree::string(pg_sys::format_procedure(func))
}

/// `=(integer,integer)`
pub unsafe fn operator_name(operator: pg_sys::Oid) -> String {
    tree::string(pg_sys::format_operator(operator))
}

pub unsafe fn relation_name(relid: pg_sys::Oid) -> String {
    tree::string(pg_sys::get_rel_name(relid))
}
