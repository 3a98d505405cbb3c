//! Rows that get other values: `ALTER TABLE ... UPDATE`, many of them at once, since each writes parts of the table anew.
//!
//! Invariants:
//! - A value is stored as it is or nothing is changed: it is cast to the column's type, and compared with that before.
//! - A change that has failed is tried again and again, and keeps later ones waiting: it holds nothing that can fail, and is killed if it does.
//! - The key is not changed: a later statement of the same batch would no longer know which row is meant.

use super::insert::{guard, sent_type};
use crate::dialect::clickhouse::quoted;
use crate::write::{Rows, STATEMENT_BYTES, Statement, Writer};
use std::collections::BTreeSet;
use weir_plan::ir::Scalar;
use weir_plan::types::oid;
use weir_plan::{Error, Kind, Result};

/// Rows that one statement names at most; each row of the table is compared with all of them.
const ROWS: usize = 500;

/// What is to be run, in order.
pub struct Update {
    /// Queries that fail if a value does not fit its column.
    pub checks: Vec<String>,
    pub statements: Vec<Statement>,
}

/// The statements for all rows. `types`: those of the remote columns, in the order of the target's.
///
/// # Errors
/// A value that the engine cannot hold, or a key that would change.
pub fn update(server: &str, writer: &Writer, types: &[String], rows: &Rows) -> Result<Update> {
    let mut made = Update { checks: Vec::new(), statements: Vec::new() };
    let mut pending: Vec<Vec<Scalar>> = Vec::new();
    let mut bytes = 0;
    for i in 0..rows.len() {
        let row = rows.row(i)?;
        bytes += row.iter().map(size).sum::<usize>();
        pending.push(row);
        if pending.len() == ROWS || bytes >= STATEMENT_BYTES || i + 1 == rows.len() {
            statement(server, writer, types, &pending, &mut made)?;
            pending.clear();
            bytes = 0;
        }
    }
    Ok(made)
}

/// About how long it is as SQL.
fn size(value: &Scalar) -> usize {
    match value {
        Scalar::Text(text) | Scalar::Numeric(text) => text.len() + 40,
        Scalar::Bytes(bytes) => bytes.len() * 2 + 40,
        Scalar::Array(items) => items.iter().map(size).sum(),
        _ => 40,
    }
}

fn statement(server: &str, writer: &Writer, types: &[String], rows: &[Vec<Scalar>], made: &mut Update) -> Result<()> {
    let (idents, target) = writer.columns();
    let set = idents.len().saturating_sub(target.keys);
    let values = rows.iter().map(|row| writer.values(row)).collect::<Result<Vec<_>>>()?;
    let conditions = rows.iter().map(|row| writer.condition(row)).collect::<Result<Vec<_>>>()?;
    let (mut assigned, mut guards) = (Vec::new(), BTreeSet::new());
    for (i, ((ident, c), remote)) in idents.iter().zip(&target.columns).zip(types).enumerate().take(set) {
        if let Some(place) = target.columns.iter().skip(set).position(|key| key.name == c.name) {
            if rows.iter().any(|row| row.get(i) != row.get(set + place)) {
                let message = format!("server \"{server}\": column \"{}\" is part of the key and cannot be changed", c.name);
                return Err(Error::refused(message).with_hint("Delete the row and insert it anew."));
            }
            continue;
        }
        let texts: Vec<&str> = values.iter().filter_map(|row| row.get(i)).map(String::as_str).collect();
        for (text, row) in texts.iter().zip(rows) {
            if row.get(i) == Some(&Scalar::Null) {
                if !is_nullable(remote) {
                    let message = format!("server \"{server}\": a value of column \"{}\" cannot be written", c.name);
                    return Err(Error { sqlstate: "23502".into(), ..Error::new(Kind::Query, message) }.with_detail("The remote column takes no NULL."));
                }
            } else if (sent_type(&c.ty).is_some_and(|sent| sent != plain(remote)) || matches!(c.ty.base, oid::UUID | oid::BYTEA))
                && let Some(holds) = guard(text, &c.ty, remote)
            {
                let message = format!("a value of column \"{}\" does not fit its remote type {remote}", c.name);
                guards.insert(format!("throwIf(NOT {holds}, {})", quoted(&message)));
            }
        }
        let cast = |text: &str| format!("CAST({text}, {})", quoted(remote));
        let value = match texts.split_first() {
            None => continue,
            Some((first, rest)) if rest.iter().all(|text| text == first) => cast(first),
            Some(_) => {
                let branches: Vec<String> = conditions.iter().zip(&texts).map(|(condition, text)| format!("{condition}, {}", cast(text))).collect();
                format!("multiIf({}, {ident})", branches.join(", "))
            }
        };
        assigned.push(format!("{ident} = {value}"));
    }
    if !guards.is_empty() {
        made.checks.push(format!("SELECT {}", guards.into_iter().collect::<Vec<_>>().join(", ")));
    }
    let named = writer.named(rows)?;
    let sql = if assigned.is_empty() { String::new() } else { writer.update(&assigned, &named)? };
    made.statements.push(Statement { sql, rows: rows.len(), count: writer.count(&named)? });
    Ok(())
}

/// The type without what does not change how values are stored.
fn plain(remote: &str) -> &str {
    let mut ty = remote;
    for wrapper in ["LowCardinality(", "Nullable("] {
        ty = ty.strip_prefix(wrapper).and_then(|t| t.strip_suffix(')')).unwrap_or(ty);
    }
    ty
}

fn is_nullable(remote: &str) -> bool {
    let inner = remote.strip_prefix("LowCardinality(").unwrap_or(remote);
    ["Nullable(", "Variant(", "Dynamic", "JSON"].iter().any(|nullable| inner.starts_with(nullable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::by_name;
    use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringViewArray};
    use std::sync::Arc;
    use weir_plan::protocol::{Change, WriteColumn, WriteTarget};
    use weir_plan::types::{PgType, column_fields};

    fn made(set: &[Option<&str>], types: [&str; 2]) -> Result<Update> {
        let column = |name: &str, ty| WriteColumn { name: name.into(), ty };
        let columns = vec![column("v", PgType::TEXT), column("id", PgType::INT4)];
        let target = WriteTarget { change: Change::Update, schema: "s".into(), name: "t".into(), options: vec![], columns, keys: 1 };
        let fields: Vec<_> = target.columns.iter().flat_map(|c| column_fields(&c.name, &c.ty, true).expect("known")).collect();
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values((1..).take(set.len())));
        let values: ArrayRef = Arc::new(set.iter().copied().collect::<StringViewArray>());
        let batch = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), vec![values, ids]).expect("valid");
        let options = vec![("database".to_owned(), "s".to_owned())];
        let writer = Writer::new(by_name("clickhouse").expect("registered"), "srv", &options, &target)?;
        update("srv", &writer, &types.map(str::to_owned), &Rows::new(&batch, &target.columns)?)
    }

    #[test]
    fn many_rows_are_one_statement() {
        let nullable = "Nullable(String)";
        let of = made(&[Some("it's"), None], [nullable, "Int32"]).expect("spelled");
        assert!(of.checks.is_empty());
        assert_eq!(
            of.statements[0].sql,
            "ALTER TABLE `s`.`t` UPDATE `v` = multiIf(`id` = toInt32(1), CAST('it\\'s', 'Nullable(String)'), `id` = toInt32(2), CAST(NULL, 'Nullable(String)'), `v`) \
             WHERE (`id` IN (toInt32(1), toInt32(2)))"
        );
        assert_eq!(of.statements[0].count.as_deref(), Some("SELECT count() FROM `s`.`t` WHERE `id` IN (toInt32(1), toInt32(2))"));
        let same = made(&[Some("x"), Some("x")], [nullable, "Int32"]).expect("spelled");
        assert!(same.statements[0].sql.contains("UPDATE `v` = CAST('x', 'Nullable(String)') WHERE"), "{}", same.statements[0].sql);
        assert_eq!(made(&vec![Some("x"); ROWS + 1], [nullable, "Int32"]).expect("spelled").statements.len(), 2);
    }

    #[test]
    fn what_may_not_fit_is_checked_before() {
        let of = made(&[Some("ab"), Some("ab")], ["FixedString(2)", "Int32"]).expect("spelled");
        assert_eq!(of.checks.len(), 1);
        assert_eq!(of.checks[0].matches("throwIf").count(), 1);
        assert_eq!(made(&[None], ["String", "Int32"]).err().expect("no NULL").sqlstate, "23502");
    }
}
