//! UPDATE and DELETE of rows that a condition names, as one statement.
//!
//! Invariants:
//! - What is assigned is what Postgres would have computed and sent, or the statement is not made: then rows are changed one by one.
//! - An expression sees the row as it was, also where the engine assigns from left to right.

use super::{Builder, Select, Tables, parts};
use crate::dialect::{Assigned, Result, Term};
use crate::meaning::Arith;
use weir_plan::ir::{Expr, Rel, ServerRef, SqlPart};
use weir_plan::types::{PgType, oid};

/// A statement that changes rows.
#[derive(Debug, Clone)]
pub struct Modification {
    pub server: ServerRef,
    pub server_name: String,
    pub sql: Vec<SqlPart>,
    /// A query for the number of rows that it changes, of an engine that does not tell.
    pub count: Option<Vec<SqlPart>>,
}

/// A column that is assigned: its remote name, its declared type, and the value.
pub type Assignment = (String, PgType, Expr);

/// UPDATE with these assignments, or DELETE if there are none, of the rows of a table, perhaps filtered.
///
/// # Errors
/// Why it cannot be one statement.
pub fn modification(rel: &Rel, set: Option<&[Assignment]>, tables: Tables) -> Result<Modification> {
    let mut builder = Builder { changes: true, ..Builder::new(tables) };
    let mut select = builder.rel(rel)?;
    let dialect = builder.dialect()?;
    if !dialect.modifies() {
        return Err("a dialect in which conditions for changes are not spelled".into());
    }
    if select.correlated || !select.is_plain() || !builder.before.is_empty() {
        return Err("more than a table and its filters".into());
    }
    let table = select.from.clone();
    let mut assigned = Vec::new();
    for (name, ty, value) in set.unwrap_or_default() {
        assigned.push(Assigned { name: name.clone(), ident: dialect.ident(name)?, ty: *ty, value: builder.assigned(&mut select, name, ty, value, set)? });
    }
    let filter = (!select.filter.is_empty()).then(|| select.filter.join(" AND "));
    let list: Vec<String> = assigned.iter().map(|a| format!("{} = {}", a.ident, a.value)).collect();
    let sql = if set.is_some() { dialect.update(&table, &list, filter.as_deref()) } else { dialect.delete(&table, filter.as_deref()) }?;
    let count = dialect.count_changed(&table, filter.as_deref(), &assigned)?.map(|count| parts(&count)).transpose()?;
    let site = builder.site.ok_or("no remote table")?;
    Ok(Modification { server: site.server, server_name: site.name, sql: parts(&sql)?, count })
}

impl Builder<'_> {
    fn assigned(&mut self, select: &mut Select, name: &str, ty: &PgType, value: &Expr, set: Option<&[Assignment]>) -> Result<String> {
        let dialect = self.dialect()?;
        match value {
            Expr::Const { value, .. } => return dialect.value(value, ty),
            // A constant has no type until the column gives it one; anything else has, and an enum does not take text.
            _ if ty.is_text_like() && dialect.computes_alike() => return Err("an assignment of text, whose column may have another type there".into()),
            _ => {}
        }
        if dialect.computes_alike() {
            return Ok(self.expr(select, value)?.sql);
        }
        // Of other engines only what is known to end in an error where Postgres does.
        match value {
            Expr::Param { .. } => Ok(self.expr(select, value)?.sql),
            Expr::Call { func, args, ty: result, .. } if result.base == ty.base => {
                let (op, [left, right]) = (int_arithmetic(*func).ok_or("a function in an assignment")?, args.as_slice()) else {
                    return Err("an operator with other than its operands".into());
                };
                let (left, right) = (self.operand(select, name, left, set)?, self.operand(select, name, right, set)?);
                dialect.checked_int(op, &left, &right, result)
            }
            _ => Err("an expression in an assignment".into()),
        }
    }

    /// A column, a constant or a parameter. Columns that are assigned before have their new value in some engines.
    fn operand(&mut self, select: &mut Select, name: &str, e: &Expr, set: Option<&[Assignment]>) -> Result<Term> {
        if !matches!(e, Expr::Column { .. } | Expr::Const { .. } | Expr::Param { .. }) {
            return Err("an expression in an assignment".into());
        }
        let term = self.expr(select, e)?;
        if matches!(e, Expr::Column { .. }) {
            let dialect = self.dialect()?;
            let own = dialect.ident(name)?;
            for (other, ..) in set.unwrap_or_default() {
                let ident = dialect.ident(other)?;
                if ident != own && (term.sql == ident || term.sql.ends_with(&format!(".{ident}"))) {
                    return Err("an assignment of a column that is assigned itself".into());
                }
            }
        }
        Ok(term)
    }
}

/// Addition, subtraction and multiplication of two integers of one type.
fn int_arithmetic(func: u32) -> Option<Arith> {
    Some(match func {
        176 | 177 | 463 => Arith::Add,
        180 | 181 | 464 => Arith::Sub,
        152 | 141 | 465 => Arith::Mul,
        _ => return None,
    })
}

/// The least and the greatest value of an integer type.
pub fn int_bounds(ty: &PgType) -> Option<(i64, i64)> {
    Some(match ty.base {
        oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        oid::INT8 => (i64::MIN, i64::MAX),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{ForeignTable, text};
    use std::collections::HashMap;
    use std::rc::Rc;
    use weir_plan::ir::{ColId, Collation, Scalar, Scan, ScanColumn, Source};

    fn table(engine: &'static str) -> Rc<ForeignTable> {
        let column = |n: i16, name: &str| (n, (name.to_owned(), Vec::new()));
        Rc::new(ForeignTable {
            engine,
            server: ServerRef { server: 1, user: 0 },
            server_name: "srv".into(),
            server_options: vec![("database".into(), "s".into())],
            table_options: Vec::new(),
            schema: "s".into(),
            name: "t".into(),
            columns: HashMap::from([column(1, "a"), column(2, "b")]),
            rows: None,
        })
    }

    fn column(id: u32) -> Expr {
        Expr::Column { id: ColId(id), ty: PgType::INT4 }
    }

    fn plus(id: u32, n: i32) -> Expr {
        Expr::Call { func: 177, args: vec![column(id), Expr::Const { value: Scalar::Int4(n), ty: PgType::INT4 }], ty: PgType::INT4, collation: Collation::None }
    }

    fn spelled(engine: &'static str, set: Option<&[Assignment]>) -> Result<String> {
        let scan = Scan {
            source: Source::Foreign { server: ServerRef { server: 1, user: 0 }, relid: 1 },
            name: "t".into(),
            columns: [(1, 1), (2, 2)].map(|(id, attnum)| ScanColumn { id: ColId(id), attnum, ty: PgType::INT4, not_null: false }).to_vec(),
        };
        let rel = Rel::Filter { input: Box::new(Rel::Scan(scan)), predicate: Expr::IsNull(Box::new(column(2))) };
        let found = table(engine);
        let done = modification(&rel, set, &|_| Some(Rc::clone(&found)))?;
        text(&done.sql, None, crate::registry::by_name(engine).expect("registered").dialect)
    }

    fn set(of: &[(&str, Expr)]) -> Vec<Assignment> {
        of.iter().map(|(name, e)| ((*name).to_owned(), PgType::INT4, e.clone())).collect()
    }

    #[test]
    fn one_statement_changes_all_rows() {
        assert_eq!(spelled("postgres", None).as_deref(), Ok(r#"DELETE FROM "s"."t" AS "t1" WHERE ("t1"."b" IS NULL)"#));
        assert_eq!(spelled("mysql", None).as_deref(), Ok("DELETE FROM `s`.`t` WHERE (`s`.`t`.`b` IS NULL)"));
        let both = set(&[("a", plus(1, 1)), ("b", plus(2, 1))]);
        assert!(spelled("postgres", Some(&both)).expect("spelled").starts_with(r#"UPDATE "s"."t" AS "t1" SET "a" = pg_catalog."int4pl"("t1"."a", "#));
        assert!(
            spelled("mysql", Some(&both))
                .expect("spelled")
                .contains("SET `a` = IF((`s`.`t`.`a` + (1)) BETWEEN (-2147483648) AND 2147483647, (`s`.`t`.`a` + (1)), ")
        );
    }

    #[test]
    fn nothing_is_assigned_that_another_assignment_has_changed() {
        let crossed = set(&[("a", plus(1, 1)), ("b", plus(1, 2))]);
        assert!(spelled("mysql", Some(&crossed)).is_err());
        assert!(spelled("postgres", Some(&crossed)).is_ok());
        assert!(spelled("clickhouse", Some(&crossed)).is_err());
    }
}
