//! Rows that are written, as SQL.
//!
//! Invariants:
//! - A value reaches the engine exactly or not at all: what its dialect cannot spell is an error that names the column.
//! - A row to be changed is named by its whole key, which is never NULL.

mod rows;

pub use rows::Rows;

use crate::descriptor::{Engine, Options};
use crate::dialect::Dialect;
use weir_plan::ir::Scalar;
use weir_plan::protocol::{Change, WriteTarget};
use weir_plan::{Error, Kind, Result};

/// An INSERT or DELETE of several rows is not much longer than this.
pub(crate) const STATEMENT_BYTES: usize = 1 << 20;

/// A table that is written to, spelled for its engine.
pub struct Writer<'a> {
    dialect: &'static dyn Dialect,
    server: &'a str,
    table: String,
    columns: Vec<String>,
    target: &'a WriteTarget,
}

/// A statement for some rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    /// How many rows it is for.
    pub rows: usize,
    /// A query for how many there are, of an engine that does not tell what a statement changed.
    pub count: Option<String>,
}

impl<'a> Writer<'a> {
    /// `server`: the server's name; `options`: its options.
    ///
    /// # Errors
    /// A name that the engine cannot have.
    pub fn new(engine: &'static Engine, server: &'a str, options: &[(String, String)], target: &'a WriteTarget) -> Result<Writer<'a>> {
        let refused = |why: String| Error::refused(format!("server \"{server}\" cannot be written to: {why}"));
        let dialect = engine.dialect_of(options);
        let table = dialect.table(&Options { engine, given: options }, &target.options, &target.schema, &target.name).map_err(refused)?;
        let columns = target.columns.iter().map(|c| dialect.ident(&c.name)).collect::<std::result::Result<_, _>>().map_err(refused)?;
        Ok(Writer { dialect, server, table, columns, target })
    }

    /// The table, as it is called there.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Names of the columns, separated by commas.
    pub fn column_list(&self) -> String {
        self.columns.join(", ")
    }

    /// The statement for one row with `?` for its values, for EXPLAIN.
    pub fn shown(&self) -> String {
        let (table, first) = (&self.table, self.columns.len().saturating_sub(self.target.keys));
        let places = |columns: &[String]| columns.iter().map(|c| format!("{c} = ?")).collect::<Vec<_>>();
        let (set, key) = self.columns.split_at(first);
        match self.target.change {
            Change::Insert { .. } => format!("INSERT INTO {table} ({}) VALUES ({})", self.column_list(), vec!["?"; self.columns.len()].join(", ")),
            Change::Update => self.dialect.update(table, &places(set), Some(&places(key).join(" AND "))).unwrap_or_default(),
            Change::Delete => self.dialect.delete(table, Some(&places(key).join(" AND "))).unwrap_or_default(),
        }
    }

    /// The columns, as SQL calls them, and what they are; the last ones are the key.
    #[cfg(feature = "clients")]
    pub(crate) fn columns(&self) -> (&[String], &'a WriteTarget) {
        (&self.columns, self.target)
    }

    pub(crate) fn unfit(&self, i: usize, why: &str) -> Error {
        let column = self.target.columns.get(i).map_or("?", |c| c.name.as_str());
        Error { sqlstate: "22000".into(), ..Error::new(Kind::Query, format!("server \"{}\": a value of column \"{column}\" cannot be written", self.server)) }
            .with_detail(format!("The engine cannot hold {why}."))
    }

    pub(crate) fn values(&self, row: &[Scalar]) -> Result<Vec<String>> {
        let columns = self.target.columns.iter().zip(row).enumerate();
        columns.map(|(i, (c, value))| self.dialect.value(value, &c.ty).map_err(|why| self.unfit(i, &why))).collect()
    }

    /// The values of the row's key, none of which is NULL.
    fn key<'r>(&self, row: &'r [Scalar]) -> Result<&'r [Scalar]> {
        let first = self.columns.len().saturating_sub(self.target.keys);
        let key = row.get(first..).unwrap_or_default();
        match key.iter().zip(self.target.columns.iter().skip(first)).find(|(value, _)| **value == Scalar::Null) {
            None => Ok(key),
            Some((_, c)) => Err(Error {
                sqlstate: "22004".into(),
                ..Error::new(Kind::Query, format!("server \"{}\": key column \"{}\" of a row to be changed is NULL", self.server, c.name))
            }
            .with_hint("The columns with option \"key\" must identify a row.")),
        }
    }

    /// The condition that names the row.
    pub(crate) fn condition(&self, row: &[Scalar]) -> Result<String> {
        let first = self.columns.len().saturating_sub(self.target.keys);
        let columns = self.columns.iter().zip(&self.target.columns).enumerate().skip(first);
        let parts = columns.zip(self.key(row)?).map(|((i, (ident, c)), value)| self.dialect.key_is(ident, value, &c.ty).map_err(|why| self.unfit(i, &why)));
        Ok(parts.collect::<Result<Vec<_>>>()?.join(" AND "))
    }

    /// The condition that names all of these rows.
    pub(crate) fn named(&self, rows: &[Vec<Scalar>]) -> Result<String> {
        if let (1, Some((ident, c))) = (self.target.keys, self.columns.iter().zip(&self.target.columns).next_back()) {
            let values =
                rows.iter().map(|row| self.key(row)?.first().cloned().ok_or_else(|| Error::internal("a row without its key"))).collect::<Result<Vec<_>>>()?;
            if let Some(listed) = self.dialect.key_in(ident, &values, &c.ty) {
                return listed.map_err(|why| self.unfit(self.columns.len() - 1, &why));
            }
        }
        Ok(rows.iter().map(|row| Ok(format!("({})", self.condition(row)?))).collect::<Result<Vec<_>>>()?.join(" OR "))
    }

    /// A query for the number of rows that fulfil this condition, where the engine does not tell how many it changes.
    pub(crate) fn count(&self, condition: &str) -> Result<Option<String>> {
        if self.dialect.tells_changed() {
            return Ok(None);
        }
        self.spelled(self.dialect.count_changed(&self.table, Some(condition), &[]))
    }

    /// The statement that assigns (`column = value`) to rows that fulfil this condition.
    #[cfg(feature = "clients")]
    pub(crate) fn update(&self, set: &[String], condition: &str) -> Result<String> {
        self.spelled(self.dialect.update(&self.table, set, Some(condition)))
    }

    fn spelled<T>(&self, sql: std::result::Result<T, String>) -> Result<T> {
        sql.map_err(|why| Error::refused(format!("server \"{}\" cannot be written to: {why}", self.server)))
    }

    /// The statement for one row, without what may follow it (RETURNING).
    ///
    /// # Errors
    /// A value that the engine cannot hold.
    pub fn row(&self, row: &[Scalar]) -> Result<String> {
        let table = &self.table;
        Ok(match self.target.change {
            Change::Insert { skip_conflicts } => {
                let values = self.values(row)?;
                if values.is_empty() {
                    return Err(Error::refused(format!("server \"{}\": a row without columns cannot be written", self.server)));
                }
                format!("INSERT INTO {table} ({}) VALUES ({}){}", self.column_list(), values.join(", "), self.skipping(skip_conflicts)?)
            }
            Change::Update => {
                let set = self.columns.len().saturating_sub(self.target.keys);
                let values = self.values(row)?;
                let assigned: Vec<String> = self.columns.iter().zip(&values).take(set).map(|(c, v)| format!("{c} = {v}")).collect();
                self.spelled(self.dialect.update(table, &assigned, Some(&self.condition(row)?)))?
            }
            Change::Delete => self.spelled(self.dialect.delete(table, Some(&self.condition(row)?)))?,
        })
    }

    fn skipping(&self, skip_conflicts: bool) -> Result<String> {
        if !skip_conflicts {
            return Ok(String::new());
        }
        self.dialect.skip_conflicts(&self.columns).ok_or_else(|| Error::refused(format!("server \"{}\" has no ON CONFLICT DO NOTHING", self.server)))
    }

    /// The statements for all rows of a batch, in order.
    ///
    /// # Errors
    /// A value that the engine cannot hold.
    pub fn statements(&self, rows: &Rows) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        match self.target.change {
            Change::Insert { skip_conflicts } => {
                let (tail, head) = (self.skipping(skip_conflicts)?, format!("INSERT INTO {} ({}) VALUES ", self.table, self.column_list()));
                let mut pending = Statement::default();
                for i in 0..rows.len() {
                    pending.sql.push_str(if pending.rows == 0 { &head } else { ", " });
                    pending.sql.push('(');
                    pending.sql.push_str(&self.values(&rows.row(i)?)?.join(", "));
                    pending.sql.push(')');
                    pending.rows += 1;
                    if pending.sql.len() >= STATEMENT_BYTES || i + 1 == rows.len() {
                        pending.sql.push_str(&tail);
                        statements.push(std::mem::take(&mut pending));
                    }
                }
            }
            Change::Update => {
                for i in 0..rows.len() {
                    let row = rows.row(i)?;
                    statements.push(Statement { sql: self.row(&row)?, rows: 1, count: self.count(&self.condition(&row)?)? });
                }
            }
            Change::Delete => {
                let mut named = Vec::new();
                for i in 0..rows.len() {
                    named.push(rows.row(i)?);
                    if named.len() == self.dialect.deleted_rows() || i + 1 == rows.len() {
                        let condition = self.named(&named)?;
                        let sql = self.spelled(self.dialect.delete(&self.table, Some(&condition)))?;
                        statements.push(Statement { sql, rows: named.len(), count: self.count(&condition)? });
                        named.clear();
                    }
                }
            }
        }
        Ok(statements)
    }

    /// Checks how many rows a statement changed that names rows by their key.
    ///
    /// # Errors
    /// More rows than were named.
    pub fn check(&self, named: usize, changed: u64) -> Result<()> {
        if matches!(self.target.change, Change::Insert { .. }) || usize::try_from(changed).is_ok_and(|n| n <= named) {
            return Ok(());
        }
        let message = format!("server \"{}\": {changed} rows of {} have the key where {named} should", self.server, self.table);
        Err(Error { sqlstate: "21000".into(), ..Error::new(Kind::Query, message) }.with_hint("The columns with option \"key\" do not identify a row."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::by_name;
    use weir_plan::protocol::WriteColumn;
    use weir_plan::types::{PgType, oid};

    fn target(change: Change, keys: usize) -> WriteTarget {
        let column = |name: &str, ty| WriteColumn { name: name.into(), ty };
        WriteTarget { change, schema: "s".into(), name: "t".into(), options: vec![], columns: vec![column("a", PgType::TEXT), column("k", PgType::TEXT)], keys }
    }

    fn options() -> Vec<(String, String)> {
        vec![("database".into(), "s".into())]
    }

    fn row_of(engine: &str, change: Change, keys: usize, row: &[Scalar]) -> Result<String> {
        let target = target(change, keys);
        Writer::new(by_name(engine).expect("registered"), "srv", &options(), &target)?.row(row)
    }

    #[test]
    fn rows_are_spelled_for_their_engine() {
        let row = [Scalar::Text("it's \\".into()), Scalar::Text("K".into())];
        let insert = Change::Insert { skip_conflicts: true };
        assert_eq!(row_of("postgres", insert, 0, &row).as_deref(), Ok(r#"INSERT INTO "s"."t" ("a", "k") VALUES (E'it''s \\', 'K') ON CONFLICT DO NOTHING"#));
        assert!(
            row_of("mysql", insert, 0, &row)
                .expect("spelled")
                .ends_with(" ON DUPLICATE KEY UPDATE `a` = IF(LAST_INSERT_ID(9223372036854774807) = 0, `a`, `a`)")
        );
        assert!(row_of("trino", insert, 0, &row).is_err());
        assert_eq!(row_of("postgres", Change::Update, 1, &row).as_deref(), Ok(r#"UPDATE "s"."t" SET "a" = E'it''s \\' WHERE "k" = 'K'"#));
        let mysql = row_of("mysql", Change::Delete, 1, &row).expect("spelled");
        assert!(mysql.ends_with("WHERE `k` = 'K' AND CAST(CONVERT(`k` USING utf8mb4) AS BINARY) = X'4B'"), "{mysql}");
    }

    #[test]
    fn a_key_is_never_null_and_names_one_row() {
        let e = row_of("postgres", Change::Delete, 1, &[Scalar::Null, Scalar::Null]).expect_err("NULL");
        assert_eq!(e.sqlstate, "22004");
        let target = target(Change::Update, 1);
        let writer = Writer::new(by_name("mysql").expect("registered"), "srv", &options(), &target).expect("spelled");
        assert!(writer.check(1, 0).is_ok() && writer.check(1, 1).is_ok());
        assert_eq!(writer.check(1, 2).expect_err("too many").sqlstate, "21000");
    }

    #[test]
    fn values_keep_their_exact_text() {
        let value = |engine: &str, v: Scalar, ty: PgType| by_name(engine).expect("registered").dialect.value(&v, &ty);
        assert_eq!(value("postgres", Scalar::Date(-719_163), PgType::DATE).as_deref(), Ok("'0001-12-31 BC'"));
        assert_eq!(value("postgres", Scalar::Timestamp(i64::MAX), PgType::TIMESTAMP).as_deref(), Ok("'infinity'"));
        assert_eq!(value("postgres", Scalar::Float8(f64::NAN), PgType::FLOAT8).as_deref(), Ok("'NaN'"));
        assert!(value("mysql", Scalar::Timestamp(i64::MAX), PgType::TIMESTAMP).is_err());
        assert!(value("mysql", Scalar::Float4(f32::INFINITY), PgType::FLOAT4).is_err());
        assert_eq!(value("mysql", Scalar::Float4(0.1), PgType::FLOAT4).as_deref(), Ok("1.0000000149011612e-1"));
        assert_eq!(value("mysql", Scalar::Uuid([0x1f; 16]), PgType::new(oid::UUID)).as_deref(), Ok("'1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f'"));
    }
}
