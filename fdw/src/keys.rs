//! Conditions that are known only when a query runs: a column is one of the values that the other side of a join has.
//!
//! Invariant: only types whose equality a value's literal and the engine decide as Postgres does; whatever has no literal there is no condition.

use crate::dialect::{Dialect, Form, Result, Term};
use crate::meaning::Class;
use weir_plan::ir::{Key, Scalar};
use weir_plan::types::{PgType, oid};

/// How values of a type are compared, if they can be keys.
pub fn class(ty: &PgType) -> Option<Class> {
    Some(match ty.base {
        oid::INT2 | oid::INT4 | oid::INT8 => Class::Int,
        oid::DATE => Class::Date,
        oid::TEXT | oid::VARCHAR => Class::Text,
        oid::BPCHAR => Class::Bpchar,
        oid::NUMERIC => Class::Numeric,
        oid::TIMESTAMP => Class::Timestamp,
        oid::TIMESTAMPTZ => Class::Timestamptz,
        oid::UUID => Class::Uuid,
        _ => return None,
    })
}

/// That the column has one of these values, or (`or_null`) none.
///
/// # Errors
/// Why it cannot be said there.
pub fn condition(key: &Key, values: &[Scalar], or_null: bool, dialect: &dyn Dialect) -> Result<String> {
    let class = class(&key.ty).ok_or("a key of this type")?;
    let form = if key.is_column { Form::Column } else { Form::Computed };
    let left = Term { sql: key.sql.clone(), ty: key.ty, form, digits: key.digits, chars: key.chars };
    let item = |value: &Scalar| {
        if matches!(value, Scalar::Text(text) if text.contains('\u{1}')) {
            return Err("a control character in a literal".to_string());
        }
        let chars = match value {
            Scalar::Text(text) => Some(text.chars().count()),
            _ => None,
        };
        let digits = match value {
            Scalar::Numeric(text) => crate::dialect::mysql::digits_of(text),
            _ => None,
        };
        // Each literal has its own digits.
        let ty = if digits.is_some() { PgType::NUMERIC } else { key.ty };
        Ok(Term { sql: dialect.literal(value, &ty)?, ty, form: Form::Literal(value.clone()), digits, chars })
    };
    let items = values.iter().map(item).collect::<Result<Vec<_>>>()?;
    let null = format!("({} IS NULL)", key.sql);
    match (items.is_empty(), or_null) {
        (true, true) => Ok(null),
        (true, false) => Ok("(1 = 0)".into()),
        (false, true) => Ok(format!("({} OR {null})", dialect.in_list(true, class, &left, &items)?)),
        (false, false) => dialect.in_list(true, class, &left, &items),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{mysql::MySql, postgres::Postgres};

    #[test]
    fn a_key_is_compared_as_the_dialect_compares() {
        let int = Key { place: 0, sql: "\"t1\".\"a\"".into(), ty: PgType::INT4, is_column: true, chars: None, digits: None };
        let two = [Scalar::Int4(1), Scalar::Int4(-2)];
        assert_eq!(condition(&int, &two, false, &Postgres).as_deref(), Ok("(\"t1\".\"a\" IN ('1'::integer, '-2'::integer))"));
        assert_eq!(condition(&int, &[], true, &Postgres).as_deref(), Ok("(\"t1\".\"a\" IS NULL)"));
        let text = Key { place: 0, sql: "`t1`.`v`".into(), ty: PgType::TEXT, is_column: true, chars: None, digits: None };
        let sql = condition(&text, &[Scalar::Text("it's".into())], true, &MySql);
        assert_eq!(sql.as_deref(), Ok("((CAST(CONVERT(`t1`.`v` USING utf8mb4) AS BINARY) IN (CAST('it''s' AS BINARY))) OR (`t1`.`v` IS NULL))"));
        assert!(condition(&text, &[Scalar::Text("\0".into())], false, &MySql).is_err());
    }
}
