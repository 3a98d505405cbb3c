//! A remote transaction. Rows are written with COPY where the table takes it.

use super::client::{Connection, cancel, in_time, options, pump};
use super::copy;
use crate::client::{Lease, Session, Wanted, named, write_as_sql};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::SinkExt;
use std::collections::HashMap;
use std::io::Cursor;
use std::time::Duration;
use tokio::sync::mpsc;
use weir_plan::protocol::{Change, Endpoint, Isolation, Point, WriteTarget};
use weir_plan::{Error, Kind, Result};

/// Time to end a transaction that is given up.
const SHORT: Duration = Duration::from_secs(5);

pub struct PostgresSession {
    lease: Lease<Connection>,
    /// A statement runs, or was left in its midst.
    busy: bool,
    /// A statement failed: the transaction takes no more until it goes back to a savepoint.
    failed: bool,
    /// Whether tables take COPY, by name.
    copies: HashMap<String, bool>,
}

impl PostgresSession {
    pub async fn begin(lease: Lease<Connection>, isolation: Isolation) -> Result<PostgresSession> {
        let level = match isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        };
        let mut session = PostgresSession { lease, busy: false, failed: false, copies: HashMap::new() };
        session.execute(&format!("START TRANSACTION ISOLATION LEVEL {level} READ WRITE")).await?;
        Ok(session)
    }

    /// Notes how a statement ended.
    fn ended<T>(&mut self, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => self.busy = false,
            Err(e) => {
                self.busy = e.kind != Kind::Query;
                self.failed = true;
            }
        }
        result.map_err(|e| named(self.lease.endpoint(), e))
    }

    /// Whether a table takes COPY: views do not, and neither do tables with row security.
    async fn takes_copy(&mut self, table: &str) -> Result<bool> {
        if let Some(known) = self.copies.get(table) {
            return Ok(*known);
        }
        self.busy = true;
        let limit = options(self.lease.endpoint()).timeout("request_timeout_ms");
        let sql = "SELECT relkind::text IN ('r', 'p') AND NOT relrowsecurity FROM pg_class WHERE oid = to_regclass($1)";
        let row = in_time(self.lease.endpoint(), limit, self.lease.connection.client.query_opt(sql, &[&table])).await;
        let row = self.ended(row)?;
        let takes = row.and_then(|r| r.try_get::<_, bool>(0).ok()).unwrap_or(false);
        self.copies.insert(table.to_owned(), takes);
        Ok(takes)
    }

    async fn copy(&mut self, sql: &str, data: Vec<u8>) -> Result<u64> {
        self.busy = true;
        let limit = options(self.lease.endpoint()).timeout("request_timeout_ms");
        let copying = async {
            let sink = self.lease.connection.client.copy_in(sql).await?;
            let mut sink = std::pin::pin!(sink);
            sink.send(Cursor::new(data)).await?;
            sink.finish().await
        };
        let result = in_time(self.lease.endpoint(), limit, copying).await;
        self.ended(result)
    }
}

#[async_trait]
impl Session for PostgresSession {
    fn endpoint(&self) -> &Endpoint {
        self.lease.endpoint()
    }

    async fn execute(&mut self, sql: &str) -> Result<u64> {
        self.busy = true;
        let limit = options(self.lease.endpoint()).timeout("request_timeout_ms");
        let result = in_time(self.lease.endpoint(), limit, async {
            let answers = self.lease.connection.client.simple_query(sql).await?;
            let changed = answers.iter().filter_map(|m| if let tokio_postgres::SimpleQueryMessage::CommandComplete(n) = m { Some(*n) } else { None });
            Ok(changed.sum())
        })
        .await;
        self.ended(result)
    }

    async fn query(&mut self, sql: &str, wanted: Wanted, sender: mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
        self.busy = true;
        let result = pump(&self.lease.connection.client, self.lease.endpoint(), sql, wanted, &sender).await;
        self.ended(result)
    }

    async fn write(&mut self, target: &WriteTarget, rows: &RecordBatch) -> Result<u64> {
        if target.change != (Change::Insert { skip_conflicts: false }) || rows.num_rows() < copy::WORTH_IT {
            return write_as_sql(self, target, rows).await;
        }
        let endpoint = self.lease.endpoint().clone();
        let (writer, rows) = crate::client::spelled(&endpoint, target, rows)?;
        if !self.takes_copy(writer.table()).await? {
            return write_as_sql(self, target, rows.batch()).await;
        }
        let data = copy::text(&endpoint.name, target, &rows)?;
        self.copy(&format!("COPY {} ({}) FROM STDIN", writer.table(), writer.column_list()), data).await
    }

    async fn point(&mut self, point: Point) -> Result<()> {
        let sql = match point {
            Point::Set(n) => format!("SAVEPOINT weir_{n}"),
            Point::Release(n) => format!("RELEASE SAVEPOINT weir_{n}"),
            Point::RollBack(n) => format!("ROLLBACK TO SAVEPOINT weir_{n}; RELEASE SAVEPOINT weir_{n}"),
        };
        self.execute(&sql).await?;
        if matches!(point, Point::RollBack(_)) {
            self.failed = false;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        // COMMIT of a failed transaction is a rollback, and no error.
        if self.failed || self.busy {
            return Err(Error { sqlstate: "25P02".into(), ..Error::new(Kind::Remote, format!("server \"{}\": the transaction failed", self.endpoint().name)) });
        }
        self.execute("COMMIT").await?;
        self.lease.give_back();
        Ok(())
    }

    async fn rollback(mut self: Box<Self>) {
        if self.busy {
            let token = self.lease.connection.client.cancel_token();
            cancel(&token, self.lease.connection.tls.clone(), self.lease.endpoint()).await;
        } else if matches!(tokio::time::timeout(SHORT, self.execute("ROLLBACK")).await, Ok(Ok(_))) {
            self.lease.give_back();
        }
    }
}
