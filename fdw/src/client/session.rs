//! What a local transaction does at one server: a remote transaction where the engine has them.
//!
//! Invariants:
//! - A session that is dropped without commit leaves nothing behind (but see [`Direct`]), and no statement running.
//! - After an error that is not of kind `Query` or `Refused` nobody knows what holds there: the session can only be rolled back.

use super::{Client, Wanted};
use crate::write::{Rows, Writer};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::mpsc;
use weir_plan::protocol::{Endpoint, Point, WriteTarget};
use weir_plan::{Error, Result};

#[async_trait]
pub trait Session: Send {
    fn endpoint(&self) -> &Endpoint;

    /// Runs a statement; the number of rows that it changed (found, where the engine tells the two apart).
    async fn execute(&mut self, sql: &str) -> Result<u64>;

    /// Runs a statement that changes rows, whose number a query says before it; for engines that do not tell.
    async fn change(&mut self, _count: &str, sql: &str) -> Result<u64> {
        self.execute(sql).await
    }

    /// Runs a query, which sees what the session wrote, and sends all of it.
    async fn query(&mut self, sql: &str, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) -> Result<()>;

    /// Writes rows: what `target` says becomes of them. The number of rows changed.
    async fn write(&mut self, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        write_as_sql(self, target, rows).await
    }

    /// Sets, releases or returns to a savepoint.
    async fn point(&mut self, point: Point) -> Result<()> {
        match point {
            Point::Set(n) => self.execute(&format!("SAVEPOINT weir_{n}")).await?,
            Point::Release(n) => self.execute(&format!("RELEASE SAVEPOINT weir_{n}")).await?,
            Point::RollBack(n) => {
                self.execute(&format!("ROLLBACK TO SAVEPOINT weir_{n}")).await?;
                self.execute(&format!("RELEASE SAVEPOINT weir_{n}")).await?
            }
        };
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()>;

    /// Undoes everything; cancels what still runs.
    async fn rollback(self: Box<Self>);
}

/// The table as the endpoint's engine calls it, and the rows as scalars.
pub(crate) fn spelled<'a>(endpoint: &'a Endpoint, target: &'a WriteTarget, rows: &'a RecordBatch) -> Result<(Writer<'a>, Rows<'a>)> {
    let engine = crate::registry::by_name(&endpoint.engine).ok_or_else(|| Error::internal("an unknown engine"))?;
    Ok((Writer::new(engine, &endpoint.name, &endpoint.options, target)?, Rows::new(rows, &target.columns)?))
}

/// [`Session::write`] by statements with literals.
pub async fn write_as_sql<S: Session + ?Sized>(session: &mut S, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
    let endpoint = session.endpoint().clone();
    let (writer, rows) = spelled(&endpoint, target, rows)?;
    let mut changed = 0;
    for statement in writer.statements(&rows)? {
        let n = session.execute(&statement.sql).await?;
        writer.check(statement.rows, n)?;
        changed += n;
    }
    Ok(changed)
}

/// The error with the server's name in its message.
pub fn named(endpoint: &Endpoint, e: Error) -> Error {
    let prefix = format!("server \"{}\"", endpoint.name);
    if e.message.starts_with(&prefix) { e } else { Error { message: format!("{prefix}: {}", e.message), ..e } }
}

/// A session of an engine without transactions: every statement takes effect at once, and stays whatever becomes of the local transaction.
pub struct Direct {
    client: Arc<dyn Client>,
    endpoint: Endpoint,
}

impl Direct {
    pub fn new(client: Arc<dyn Client>, endpoint: Endpoint) -> Direct {
        Direct { client, endpoint }
    }
}

#[async_trait]
impl Session for Direct {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn execute(&mut self, sql: &str) -> Result<u64> {
        self.client.execute(&self.endpoint, sql).await.map_err(|e| named(&self.endpoint, e))
    }

    async fn change(&mut self, count: &str, sql: &str) -> Result<u64> {
        self.client.change(&self.endpoint, count, sql).await.map_err(|e| named(&self.endpoint, e))
    }

    async fn query(&mut self, sql: &str, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
        let mut batches = self.client.query(&self.endpoint, sql.to_owned(), wanted).await?;
        while let Some(batch) = batches.recv().await {
            if sender.send(Ok(batch?)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn write(&mut self, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        self.client.write(&self.endpoint, target, rows).await.map_err(|e| named(&self.endpoint, e))
    }

    async fn point(&mut self, _: Point) -> Result<()> {
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn rollback(self: Box<Self>) {}
}
