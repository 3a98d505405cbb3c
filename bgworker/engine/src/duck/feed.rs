//! Mirrors as DuckDB reads them: the scan of our own plans, from threads that may wait.

use super::Scanned;
use crate::remote::Ask;
use crate::resources::Resources;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use std::sync::Arc;
use weir_fdw::client::Receiver;
use weir_fdw::engines::duckdb::feed::{Feed, Opened, Reader};
use weir_lower::error::to_error;
use weir_plan::Result;
use weir_plan::ir::RemoteColumn;

/// Asks the embedded DuckDB.
pub struct Asker {
    pub scans: Vec<Scanned>,
    pub resources: Arc<Resources>,
}

#[async_trait]
impl Ask for Asker {
    async fn ask(&self, sql: String, columns: Vec<RemoteColumn>) -> Result<Receiver> {
        let (embedded, held) = self.resources.duck.enter(&self.resources)?;
        let mut feeds = Vec::new();
        for scan in &self.scans {
            let none = scan.table.scan(&self.resources.state, Some(&Vec::new()), &[], None).await.map_err(|e| to_error(&e))?;
            let rows = none.partition_statistics(None).ok().and_then(|s| s.num_rows.get_value().copied()).unwrap_or(1000) as u64;
            let feed = MirrorFeed { table: Arc::clone(&scan.table), resources: Arc::clone(&self.resources), rows };
            feeds.push((scan.number, Arc::new(feed) as Arc<dyn Feed>));
        }
        embedded.query(sql, columns, feeds, Box::new(held))
    }
}

struct MirrorFeed {
    table: Arc<dyn TableProvider>,
    resources: Arc<Resources>,
    rows: u64,
}

impl Feed for MirrorFeed {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn open(&self, columns: &[usize]) -> Result<Box<dyn Opened>> {
        let columns = columns.to_vec();
        let plan = self.resources.queries.block_on(self.table.scan(&self.resources.state, Some(&columns), &[], None)).map_err(|e| to_error(&e))?;
        Ok(Box::new(Pass { plan, task: self.resources.task().0, runtime: self.resources.queries.clone() }))
    }
}

/// One execution of a scan.
struct Pass {
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    runtime: tokio::runtime::Handle,
}

impl Opened for Pass {
    fn readers(&self) -> usize {
        self.plan.output_partitioning().partition_count()
    }

    fn reader(&self, i: usize) -> Result<Reader> {
        let mut stream = self.plan.execute(i, Arc::clone(&self.task)).map_err(|e| to_error(&e))?;
        let runtime = self.runtime.clone();
        Ok(Box::new(std::iter::from_fn(move || -> Option<Result<RecordBatch>> {
            let next = runtime.block_on(stream.next());
            next.map(|batch| batch.map_err(|e| to_error(&e)))
        })))
    }
}
