//! Statements as they are, whose rows are returned as JSON.
//!
//! Invariants:
//! - A statement is prepared as it was written before anything is put around it: only what is one whole statement is ever run, and its errors are its own.
//! - Postgres itself makes the objects of a query. Of what cannot stand in FROM (SHOW, EXPLAIN, INSERT ... RETURNING) they are made here out of text:
//!   arrays and composite values stay text then.

use super::client::{in_time, options};
use crate::client::{Batches, Cell, failed, json_column};
use arrow::array::RecordBatch;
use futures::StreamExt;
use std::fmt::Write;
use tokio::sync::mpsc;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage, Statement};
use weir_plan::Result;
use weir_plan::protocol::Endpoint;

/// How a statement is run.
pub enum Way {
    /// As part of a query that returns JSON.
    Within(Statement),
    /// By itself; names and types of its columns.
    Alone(Vec<(String, Type)>),
}

/// How this statement is run.
///
/// # Errors
/// What is wrong with it; no statement, several, or one that returns no rows.
pub async fn way(client: &Client, endpoint: &Endpoint, sql: &str) -> Result<Way> {
    let limit = options(endpoint).timeout("request_timeout_ms");
    let own = in_time(endpoint, limit, client.prepare(sql)).await?;
    if !own.params().is_empty() {
        return Err(failed(endpoint, "42P02", "there is no parameter $1"));
    }
    // A comment may be what it ends with.
    let bare = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    let within = format!("SELECT pg_catalog.to_jsonb(q)::text FROM (\n{bare}\n) AS q");
    let tried = in_time(endpoint, limit, async { Ok(client.prepare(&within).await) }).await?;
    match tried {
        Ok(statement) => Ok(Way::Within(statement)),
        Err(e) if e.as_db_error().is_none() => in_time(endpoint, limit, async { Err(e) }).await,
        Err(_) if own.columns().is_empty() => {
            Err(failed(endpoint, "0A000", "the statement returns no rows").with_hint("weir.execute() runs a statement that returns none."))
        }
        Err(_) => Ok(Way::Alone(own.columns().iter().map(|c| (c.name().to_owned(), c.type_().clone())).collect())),
    }
}

/// Runs a statement by itself.
///
/// # Errors
/// Whatever becomes of it.
pub async fn alone(client: &Client, endpoint: &Endpoint, sql: &str, columns: &[(String, Type)], sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
    let limit = options(endpoint).timeout("request_timeout_ms");
    let mut batches = Batches::new(&endpoint.name, vec![json_column()])?;
    let rows = in_time(endpoint, limit, client.simple_query_raw(sql)).await?;
    let mut rows = std::pin::pin!(rows);
    while let Some(message) = in_time(endpoint, limit, async { rows.next().await.transpose() }).await? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let cells = columns.iter().enumerate().map(|(i, (name, ty))| (name.as_str(), ty, row.try_get(i).ok().flatten()));
        batches.put(0, Cell::Bytes(object(cells).as_bytes()))?;
        if let Some(batch) = batches.end_row()?
            && sender.send(Ok(batch)).await.is_err()
        {
            return Err(failed(endpoint, "57014", "the reader is gone"));
        }
    }
    if let Some(batch) = batches.finish()? {
        let _ = sender.send(Ok(batch)).await;
    }
    Ok(())
}

/// A row as `to_jsonb` would have it.
fn object<'a>(cells: impl Iterator<Item = (&'a str, &'a Type, Option<&'a str>)>) -> String {
    let mut json = String::from("{");
    for (i, (name, ty, text)) in cells.enumerate() {
        let separator = if i == 0 { "" } else { ", " };
        let _ = write!(json, "{separator}{}: {}", quoted(name), text.map_or_else(|| "null".to_owned(), |text| value(ty, text)));
    }
    json.push('}');
    json
}

fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

fn value(ty: &Type, text: &str) -> String {
    match *ty {
        Type::BOOL => (if text == "t" { "true" } else { "false" }).to_owned(),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC if text.ends_with(|c: char| c.is_ascii_digit()) => text.to_owned(),
        Type::JSON | Type::JSONB => text.to_owned(),
        Type::TIMESTAMP => quoted(&text.replacen(' ', "T", 1)),
        // In UTC, as the session is.
        Type::TIMESTAMPTZ => quoted(&text.replacen(' ', "T", 1).replacen("+00", "+00:00", 1)),
        _ => quoted(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_to_jsonb() {
        let row = [
            ("b", Type::BOOL, Some("t")),
            ("n", Type::NUMERIC, Some("-0.10")),
            ("nan", Type::FLOAT8, Some("NaN")),
            ("e", Type::FLOAT8, Some("1e+300")),
            ("j", Type::JSONB, Some("{\"k\": [1]}")),
            ("ts", Type::TIMESTAMP, Some("2024-02-29 01:02:03")),
            ("tz", Type::TIMESTAMPTZ, Some("0001-01-01 00:00:00+00 BC")),
            ("q\"t", Type::TEXT, Some("a\\\n")),
            ("none", Type::INT4, None),
        ];
        let json = object(row.iter().map(|(name, ty, text)| (*name, ty, *text)));
        let expected = r#"{"b": true, "n": -0.10, "nan": "NaN", "e": 1e+300, "j": {"k": [1]}, "ts": "2024-02-29T01:02:03", "tz": "0001-01-01T00:00:00+00:00 BC", "q\"t": "a\\\n", "none": null}"#;
        assert_eq!(json, expected);
    }
}
