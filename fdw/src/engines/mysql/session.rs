//! A remote transaction. What is written to tables of an engine without transactions (MyISAM) stays, whatever becomes of it.

use super::client::{Connection, in_time, kill, options, pump};
use crate::client::{Lease, Session, Wanted, named, spelled, write_as_sql};
use crate::dialect::mysql::SKIPPED;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use std::time::Duration;
use tokio::sync::mpsc;
use weir_plan::protocol::{Change, Endpoint, Isolation, WriteTarget};
use weir_plan::{Error, Kind, Result};

/// Time to end a transaction that is given up.
const SHORT: Duration = Duration::from_secs(5);

pub struct MySqlSession {
    lease: Lease<Connection>,
    /// A statement runs, or was left in its midst.
    busy: bool,
}

impl MySqlSession {
    pub async fn begin(lease: Lease<Connection>, isolation: Isolation) -> Result<MySqlSession> {
        let level = match isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        };
        let mut session = MySqlSession { lease, busy: false };
        session.execute(&format!("SET TRANSACTION ISOLATION LEVEL {level}")).await?;
        session.execute("START TRANSACTION").await?;
        Ok(session)
    }

    /// How many rows a statement changed, and the number that it left behind.
    async fn run(&mut self, sql: &str) -> Result<(u64, Option<u64>)> {
        self.busy = true;
        let endpoint = self.lease.endpoint().clone();
        let limit = options(&endpoint).timeout("request_timeout_ms");
        let connection = &mut self.lease.connection;
        let result = in_time(&endpoint, limit, async {
            let result = connection.0.query_iter(sql).await?;
            let done = (result.affected_rows(), result.last_insert_id());
            result.drop_result().await?;
            Ok(done)
        })
        .await;
        // A deadlock has rolled back the whole transaction, savepoints and all: nothing more may happen in it.
        let result = result.map_err(|e| if e.sqlstate == "40P01" { Error { kind: Kind::Remote, ..e } } else { e });
        self.ended(result)
    }

    fn ended<T>(&mut self, result: Result<T>) -> Result<T> {
        self.busy = matches!(&result, Err(e) if e.kind != Kind::Query);
        result.map_err(|e| named(self.lease.endpoint(), e))
    }
}

#[async_trait]
impl Session for MySqlSession {
    fn endpoint(&self) -> &Endpoint {
        self.lease.endpoint()
    }

    async fn execute(&mut self, sql: &str) -> Result<u64> {
        self.run(sql).await.map(|(rows, _)| rows)
    }

    /// A row that was there already is counted like one that is new: which it was, the number says that goes with the answer.
    async fn write(&mut self, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        if target.change != (Change::Insert { skip_conflicts: true }) {
            return write_as_sql(self, target, rows).await;
        }
        let endpoint = self.lease.endpoint().clone();
        let (writer, rows) = spelled(&endpoint, target, rows)?;
        let mut changed = 0;
        for i in 0..rows.len() {
            let (n, id) = self.run(&writer.row(&rows.row(i)?)?).await?;
            changed += if id == Some(SKIPPED) { 0 } else { n };
        }
        Ok(changed)
    }

    async fn query(&mut self, sql: &str, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
        self.busy = true;
        let endpoint = self.lease.endpoint().clone();
        let result = pump(&mut self.lease.connection.0, &endpoint, sql, wanted, &sender).await;
        let result = result.map_err(|e| if e.sqlstate == "40P01" { Error { kind: Kind::Remote, ..e } } else { e });
        self.ended(result)
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.execute("COMMIT").await?;
        self.lease.give_back();
        Ok(())
    }

    async fn rollback(mut self: Box<Self>) {
        if self.busy {
            let (endpoint, id) = (self.lease.endpoint().clone(), self.lease.connection.0.id());
            kill(&endpoint, id).await;
        } else if matches!(tokio::time::timeout(SHORT, self.execute("ROLLBACK")).await, Ok(Ok(_))) {
            self.lease.give_back();
        }
    }
}
