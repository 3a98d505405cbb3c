//! Remote servers as tables of a query: each statement is a leaf of the plan that streams what its client receives.
//!
//! Invariants:
//! - A statement is sent when its leaf is executed, once per execution; planning sends nothing.
//! - Who stops reading cancels the statement at the remote (`weir_fdw::client`).

use crate::mirror::Snapshot;
use crate::output::Output;
use crate::resources::Resources;
use crate::serve::Writer;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use weir_fdw::client::Wanted;
use weir_lower::TableSource;
use weir_plan::ir::{Remote, RemoteColumn, Scalar, Scan};
use weir_plan::protocol::{Endpoint, FromEngine, Metrics};
use weir_plan::{Error, Result};

fn external(e: Error) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}

/// Where a query's leaves get their rows: mirrors of one snapshot, and remote servers.
pub struct Sources<'a> {
    pub snapshot: &'a Snapshot,
    pub resources: &'a Arc<Resources>,
    /// How the servers of the plan are reached; empty while it is only checked.
    pub remotes: Vec<Endpoint>,
}

impl TableSource for Sources<'_> {
    fn provider(&self, scan: &Scan) -> DfResult<Arc<dyn TableProvider>> {
        self.snapshot.provider(scan)
    }

    fn remote(&self, remote: &Remote, params: Option<&[Scalar]>) -> DfResult<Arc<dyn TableProvider>> {
        let schema = weir_fdw::client::schema(&remote.columns).map_err(external)?;
        let endpoint = self.remotes.iter().find(|e| e.server == remote.server).cloned();
        let (sql, endpoint) = match endpoint {
            None => (String::new(), None),
            Some(endpoint) => {
                let engine = weir_fdw::registry::by_name(&endpoint.engine)
                    .ok_or_else(|| external(Error::internal(format!("there is no engine \"{}\"", endpoint.engine))))?;
                let sql = weir_fdw::text(&remote.sql, Some(params.unwrap_or_default()), engine.dialect_of(&endpoint.options))
                    .map_err(|why| external(Error::refused(format!("server \"{}\" cannot hold the value of a parameter: {why}", remote.name))))?;
                (sql, Some(Arc::new(endpoint)))
            }
        };
        Ok(Arc::new(RemoteTable {
            name: remote.name.clone(),
            sql: Arc::new(sql),
            columns: remote.columns.clone(),
            schema,
            endpoint,
            resources: Arc::clone(self.resources),
        }))
    }
}

/// A statement's result as a table.
struct RemoteTable {
    name: String,
    sql: Arc<String>,
    columns: Vec<RemoteColumn>,
    schema: SchemaRef,
    endpoint: Option<Arc<Endpoint>>,
    resources: Arc<Resources>,
}

impl fmt::Debug for RemoteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTable").field("server", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for RemoteTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Tells it apart from what gives the same rows whenever it is read.
    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(&self, _: &dyn Session, projection: Option<&Vec<usize>>, _: &[Expr], _: Option<usize>) -> DfResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let properties =
            PlanProperties::new(EquivalenceProperties::new(schema), Partitioning::UnknownPartitioning(1), EmissionType::Incremental, Boundedness::Bounded);
        Ok(Arc::new(RemoteExec {
            name: self.name.clone(),
            sql: Arc::clone(&self.sql),
            columns: self.columns.clone(),
            projection: projection.cloned(),
            endpoint: self.endpoint.clone(),
            resources: Arc::clone(&self.resources),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

struct RemoteExec {
    name: String,
    sql: Arc<String>,
    columns: Vec<RemoteColumn>,
    projection: Option<Vec<usize>>,
    endpoint: Option<Arc<Endpoint>>,
    resources: Arc<Resources>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl fmt::Debug for RemoteExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteExec").field("server", &self.name).finish_non_exhaustive()
    }
}

impl DisplayAs for RemoteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteExec: server={}", self.name)
    }
}

impl ExecutionPlan for RemoteExec {
    fn name(&self) -> &'static str {
        "RemoteExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let Some(endpoint) = self.endpoint.clone() else {
            return Err(external(Error::internal(format!("server \"{}\" was not named in the request", self.name))));
        };
        let client = self.resources.clients.of(&endpoint.engine).map_err(external)?;
        let (sql, wanted, projection) = ((*self.sql).clone(), Wanted::Columns(self.columns.clone()), self.projection.clone());
        let rows = MetricBuilder::new(&self.metrics).output_rows(0);
        let batches = futures::stream::once(async move {
            let receiver = client.query(&endpoint, sql, wanted).await.map_err(external)?;
            Ok::<_, DataFusionError>(futures::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|batch| (batch, receiver)) }).map(
                move |batch| {
                    let batch = batch.map_err(external)?;
                    rows.add(batch.num_rows());
                    match &projection {
                        Some(columns) => Ok(batch.project(columns)?),
                        None => Ok(batch),
                    }
                },
            ))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

/// The tables of a schema of a remote server.
pub async fn catalog(resources: &Resources, remote: &Endpoint, schema: &str) -> Result<FromEngine> {
    Ok(FromEngine::Catalog(resources.clients.of(&remote.engine)?.catalog(remote, schema).await?))
}

/// A statement, as it is.
pub async fn execute(resources: &Resources, remote: &Endpoint, sql: &str) -> Result<FromEngine> {
    let rows = resources.clients.of(&remote.engine)?.execute(remote, sql).await?;
    Ok(FromEngine::Done { metrics: Metrics { rows, ..Metrics::default() } })
}

/// A query, as it is: its rows as JSON.
pub async fn query(resources: &Resources, remote: Endpoint, sql: String, writer: &mut Writer) -> Result<FromEngine> {
    let started = Instant::now();
    let mut batches = resources.clients.of(&remote.engine)?.query(&remote, sql, Wanted::Json).await?;
    let mut next = batches.recv().await.transpose()?;
    let (mut output, schema) = Output::start(&weir_fdw::client::schema(&[weir_fdw::client::json_column()])?)?;
    writer.send(&FromEngine::Started { schema, columns: vec![(0, None)], snapshot_lsn: 0 }).await?;
    let mut rows = 0;
    while let Some(batch) = next {
        for (ipc, n) in output.encode(&batch)? {
            rows += n;
            writer.send(&FromEngine::Batch { ipc }).await?;
        }
        next = batches.recv().await.transpose()?;
    }
    let elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(FromEngine::Done { metrics: Metrics { rows, elapsed_us, ..Metrics::default() } })
}
