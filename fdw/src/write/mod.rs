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
const STATEMENT_BYTES: usize = 1 << 20;
/// Rows that one DELETE names at most.
const DELETED_ROWS: usize = 100;

/// A table that is written to, spelled for its engine.
pub struct Writer<'a> {
    dialect: &'static dyn Dialect,
    server: &'a str,
    table: String,
    columns: Vec<String>,
    target: &'a WriteTarget,
}

/// A statement, and for how many rows it is.
pub type Statement = (String, usize);

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
        let places = |columns: &[String], between: &str| columns.iter().map(|c| format!("{c} = ?")).collect::<Vec<_>>().join(between);
        let (set, key) = self.columns.split_at(first);
        match self.target.change {
            Change::Insert { .. } => format!("INSERT INTO {table} ({}) VALUES ({})", self.column_list(), vec!["?"; self.columns.len()].join(", ")),
            Change::Update => format!("UPDATE {table} SET {} WHERE {}", places(set, ", "), places(key, " AND ")),
            Change::Delete => format!("DELETE FROM {table} WHERE {}", places(key, " AND ")),
        }
    }

    fn unfit(&self, i: usize, why: &str) -> Error {
        let column = self.target.columns.get(i).map_or("?", |c| c.name.as_str());
        Error { sqlstate: "22000".into(), ..Error::new(Kind::Query, format!("server \"{}\": a value of column \"{column}\" cannot be written", self.server)) }
            .with_detail(format!("The engine cannot hold {why}."))
    }

    fn values(&self, row: &[Scalar]) -> Result<Vec<String>> {
        let columns = self.target.columns.iter().zip(row).enumerate();
        columns.map(|(i, (c, value))| self.dialect.value(value, &c.ty).map_err(|why| self.unfit(i, &why))).collect()
    }

    /// The condition that names the row.
    fn condition(&self, row: &[Scalar]) -> Result<String> {
        let first = self.columns.len().saturating_sub(self.target.keys);
        let mut parts = Vec::new();
        for (i, ((ident, c), value)) in self.columns.iter().zip(&self.target.columns).zip(row).enumerate().skip(first) {
            if *value == Scalar::Null {
                return Err(Error {
                    sqlstate: "22004".into(),
                    ..Error::new(Kind::Query, format!("server \"{}\": key column \"{}\" of a row to be changed is NULL", self.server, c.name))
                }
                .with_hint("The columns with option \"key\" must identify a row."));
            }
            parts.push(self.dialect.key_is(ident, value, &c.ty).map_err(|why| self.unfit(i, &why))?);
        }
        Ok(parts.join(" AND "))
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
                format!("UPDATE {table} SET {} WHERE {}", assigned.join(", "), self.condition(row)?)
            }
            Change::Delete => format!("DELETE FROM {table} WHERE {}", self.condition(row)?),
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
                let mut pending: Statement = (String::new(), 0);
                for i in 0..rows.len() {
                    pending.0.push_str(if pending.1 == 0 { &head } else { ", " });
                    pending.0.push('(');
                    pending.0.push_str(&self.values(&rows.row(i)?)?.join(", "));
                    pending.0.push(')');
                    pending.1 += 1;
                    if pending.0.len() >= STATEMENT_BYTES || i + 1 == rows.len() {
                        pending.0.push_str(&tail);
                        statements.push(std::mem::take(&mut pending));
                    }
                }
            }
            Change::Update => {
                for i in 0..rows.len() {
                    statements.push((self.row(&rows.row(i)?)?, 1));
                }
            }
            Change::Delete => {
                let mut named = Vec::new();
                for i in 0..rows.len() {
                    named.push(format!("({})", self.condition(&rows.row(i)?)?));
                    if named.len() == DELETED_ROWS || i + 1 == rows.len() {
                        statements.push((format!("DELETE FROM {} WHERE {}", self.table, named.join(" OR ")), named.len()));
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
        let message = format!("server \"{}\": {changed} rows of {} were changed where {named} were meant", self.server, self.table);
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
