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
use weir_fdw::client::{Receiver, Wanted};
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
    /// The mirrors that DuckDB reads.
    pub duck: Vec<crate::duck::Scanned>,
}

/// Who answers a statement.
#[async_trait]
pub trait Ask: Send + Sync {
    async fn ask(&self, sql: String, columns: Vec<RemoteColumn>) -> Result<Receiver>;
}

/// A remote server.
struct Remotely {
    endpoint: Endpoint,
    resources: Arc<Resources>,
}

#[async_trait]
impl Ask for Remotely {
    async fn ask(&self, sql: String, columns: Vec<RemoteColumn>) -> Result<Receiver> {
        self.resources.clients.of(&self.endpoint.engine)?.query(&self.endpoint, sql, Wanted::Columns(columns)).await
    }
}

impl Sources<'_> {
    /// A statement of DuckDB over mirrors.
    #[cfg(feature = "duckdb")]
    fn over_mirrors(&self, remote: &Remote, params: Option<&[Scalar]>) -> DfResult<(String, Option<Arc<dyn Ask>>)> {
        let sql = weir_fdw::text(&remote.sql, params, weir_fdw::engines::duckdb::MIRRORS.dialect)
            .map_err(|why| external(Error::refused(format!("DuckDB cannot hold the value of a parameter: {why}"))))?;
        Ok((sql, Some(Arc::new(crate::duck::Asker { scans: self.duck.clone(), resources: Arc::clone(self.resources) }))))
    }

    #[cfg(not(feature = "duckdb"))]
    fn over_mirrors(&self, _: &Remote, _: Option<&[Scalar]>) -> DfResult<(String, Option<Arc<dyn Ask>>)> {
        Err(external(Error::internal("there is no DuckDB")))
    }
}

impl TableSource for Sources<'_> {
    fn provider(&self, scan: &Scan) -> DfResult<Arc<dyn TableProvider>> {
        self.snapshot.provider(scan)
    }

    fn remote(&self, remote: &Remote, params: Option<&[Scalar]>) -> DfResult<Arc<dyn TableProvider>> {
        let schema = weir_fdw::client::schema(&remote.columns).map_err(external)?;
        let endpoint = self.remotes.iter().find(|e| e.server == remote.server).cloned();
        let (sql, asker) = match endpoint {
            None if remote.server == crate::duck::SERVER => self.over_mirrors(remote, params)?,
            None => (String::new(), None),
            Some(endpoint) => {
                let engine = weir_fdw::registry::by_name(&endpoint.engine)
                    .ok_or_else(|| external(Error::internal(format!("there is no engine \"{}\"", endpoint.engine))))?;
                let sql = weir_fdw::text(&remote.sql, Some(params.unwrap_or_default()), engine.dialect_of(&endpoint.options))
                    .map_err(|why| external(Error::refused(format!("server \"{}\" cannot hold the value of a parameter: {why}", remote.name))))?;
                (sql, Some(Arc::new(Remotely { endpoint, resources: Arc::clone(self.resources) }) as Arc<dyn Ask>))
            }
        };
        Ok(Arc::new(RemoteTable {
            name: remote.name.clone(),
            sql: Arc::new(sql),
            columns: remote.columns.clone(),
            schema,
            mirrors: remote.server == crate::duck::SERVER,
            asker,
        }))
    }
}

/// A statement's result as a table.
struct RemoteTable {
    name: String,
    sql: Arc<String>,
    columns: Vec<RemoteColumn>,
    schema: SchemaRef,
    /// It is DuckDB, over mirrors.
    mirrors: bool,
    /// `None` while the plan is only checked.
    asker: Option<Arc<dyn Ask>>,
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
            mirrors: self.mirrors,
            asker: self.asker.clone(),
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
    /// It is DuckDB, over mirrors.
    mirrors: bool,
    /// `None` while the plan is only checked.
    asker: Option<Arc<dyn Ask>>,
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
        if self.mirrors { write!(f, "DuckDbExec: {}", self.sql) } else { write!(f, "RemoteExec: server={}", self.name) }
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
        let Some(asker) = self.asker.clone() else {
            return Err(external(Error::internal(format!("server \"{}\" was not named in the request", self.name))));
        };
        let (sql, columns, projection) = ((*self.sql).clone(), self.columns.clone(), self.projection.clone());
        let rows = MetricBuilder::new(&self.metrics).output_rows(0);
        let batches = futures::stream::once(async move {
            let receiver = asker.ask(sql, columns).await.map_err(external)?;
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
