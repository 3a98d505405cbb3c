//! Remote servers as tables of a query: each statement is a leaf of the plan that streams what its client receives.
//!
//! Invariants:
//! - A statement is sent when its leaf is first read, once per execution; planning sends nothing.
//! - Who stops reading cancels the statement at the remote (`weir_fdw::client`).

use crate::keys::Keyed;
use crate::mirror::Snapshot;
use crate::output::Output;
use crate::resources::Resources;
use crate::serve::Writer;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, Statistics};
use futures::{StreamExt, TryStreamExt};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use weir_fdw::client::{Receiver, Wanted, views};
use weir_lower::TableSource;
use weir_plan::ir::{Remote, RemoteColumn, Scalar, Scan};
use weir_plan::protocol::{Endpoint, FromEngine, Metrics, RemoteMetrics};
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
    #[cfg_attr(not(feature = "duckdb"), allow(dead_code, reason = "read by DuckDB only"))]
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
        let mut keyed = None;
        let (sql, asker) = match endpoint {
            None if remote.server == crate::duck::SERVER => self.over_mirrors(remote, params)?,
            None => (String::new(), None),
            Some(endpoint) => {
                let engine = weir_fdw::registry::by_name(&endpoint.engine)
                    .ok_or_else(|| external(Error::internal(format!("there is no engine \"{}\"", endpoint.engine))))?;
                let (dialect, params) = (engine.dialect_of(&endpoint.options), params.unwrap_or_default());
                if !remote.keys.is_empty() {
                    let (parts, params, keys) = (remote.sql.clone(), params.to_vec(), remote.keys.clone());
                    keyed = Some(Arc::new(Keyed { parts, params, keys, places: places(&remote.columns), rows: remote.rows, dialect }));
                }
                let sql = weir_fdw::text(&remote.sql, Some(params), dialect)
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
            rows: remote.rows,
            keyed,
            asker,
        }))
    }
}

/// Which column each physical one belongs to; `None` for display scales.
fn places(columns: &[RemoteColumn]) -> Vec<Option<usize>> {
    let of = |(i, c): (usize, &RemoteColumn)| {
        let width = weir_plan::types::column_fields("c", &c.ty, true).map_or(1, |fields| fields.len());
        (0..width).map(move |at| (at == 0).then_some(i))
    };
    columns.iter().enumerate().flat_map(of).collect()
}

/// Whether a statement below can take keys of a join.
pub fn takes_keys(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.as_any().downcast_ref::<RemoteExec>() {
        Some(remote) => remote.keyed.is_some(),
        None => plan.children().into_iter().any(takes_keys),
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
    /// About how many there are.
    rows: Option<u64>,
    /// It can take the keys of a join.
    keyed: Option<Arc<Keyed>>,
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
            rows: self.rows,
            keyed: self.keyed.clone(),
            filters: Vec::new(),
            as_it_comes: false,
            asker: self.asker.clone(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

/// Name of a metric: values of join keys that were sent.
const KEYS: &str = "join_keys";

struct RemoteExec {
    name: String,
    sql: Arc<String>,
    columns: Vec<RemoteColumn>,
    projection: Option<Vec<usize>>,
    /// It is DuckDB, over mirrors.
    mirrors: bool,
    rows: Option<u64>,
    keyed: Option<Arc<Keyed>>,
    /// Of joins above, over the projected columns.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// Nobody computes with the rows: text and bytes may be plain arrays.
    as_it_comes: bool,
    /// `None` while the plan is only checked.
    asker: Option<Arc<dyn Ask>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RemoteExec {
    /// The same leaf, not yet run.
    fn again(&self) -> RemoteExec {
        RemoteExec {
            name: self.name.clone(),
            sql: Arc::clone(&self.sql),
            columns: self.columns.clone(),
            projection: self.projection.clone(),
            mirrors: self.mirrors,
            rows: self.rows,
            keyed: self.keyed.clone(),
            filters: self.filters.clone(),
            as_it_comes: self.as_it_comes,
            asker: self.asker.clone(),
            properties: Arc::clone(&self.properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl fmt::Debug for RemoteExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteExec").field("server", &self.name).finish_non_exhaustive()
    }
}

impl DisplayAs for RemoteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mirrors {
            return write!(f, "DuckDbExec: {}", self.sql);
        }
        let filtered = if self.filters.is_empty() { "" } else { ", filtered by join keys" };
        write!(f, "RemoteExec: server={}{filtered}", self.name)
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

    /// Where a plan runs again, as a recursion's does, no join says its keys.
    fn reset_state(self: Arc<Self>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(RemoteExec { filters: Vec::new(), ..self.again() }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn partition_statistics(&self, _: Option<usize>) -> DfResult<Statistics> {
        let num_rows = self.rows.and_then(|n| usize::try_from(n).ok()).map_or(Precision::Absent, Precision::Inexact);
        Ok(Statistics { num_rows, ..Statistics::new_unknown(&self.schema()) })
    }

    /// Keeps the filters of joins, and promises nothing.
    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; result.parent_filters.len()]);
        let dynamic = |f: &Arc<dyn PhysicalExpr>| f.as_any().is::<DynamicFilterPhysicalExpr>();
        let filters: Vec<_> = result.parent_filters.into_iter().map(|f| f.filter).filter(dynamic).collect();
        if filters.is_empty() || self.keyed.is_none() {
            return Ok(answer);
        }
        let node = RemoteExec { filters: self.filters.iter().cloned().chain(filters).collect(), ..self.again() };
        Ok(answer.with_updated_node(Arc::new(node)))
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let Some(asker) = self.asker.clone() else {
            return Err(external(Error::internal(format!("server \"{}\" was not named in the request", self.name))));
        };
        let (sql, columns, projection) = ((*self.sql).clone(), self.columns.clone(), self.projection.clone());
        let (keyed, filters) = (self.keyed.clone(), self.filters.clone());
        let wanted = if self.as_it_comes { None } else { Some(weir_fdw::client::schema(&columns).map_err(external)?) };
        let rows = MetricBuilder::new(&self.metrics).output_rows(0);
        let sent = self.metrics.clone();
        let batches = futures::stream::once(async move {
            if keyed.is_some() {
                crate::keys::settled(&filters).await;
            }
            let with_keys = keyed.and_then(|k| k.statement(&filters, projection.as_deref()));
            if let Some((_, keys)) = &with_keys {
                MetricBuilder::new(&sent).counter(KEYS, 0).add(*keys);
            }
            let sql = with_keys.map_or(sql, |(sql, _)| sql);
            let receiver = asker.ask(sql, columns).await.map_err(external)?;
            Ok::<_, DataFusionError>(futures::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|batch| (batch, receiver)) }).map(
                move |batch| {
                    let batch = batch.map_err(external)?;
                    rows.add(batch.num_rows());
                    let batch = match &wanted {
                        Some(schema) => views(batch, schema)?,
                        None => batch,
                    };
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

/// A plan that does nothing but choose among the columns of one statement, as one that leaves text and bytes as they come; `None` if it does more.
pub fn passed_on(plan: &Arc<dyn ExecutionPlan>) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
    let (mut node, mut chosen) = (plan, None::<Vec<usize>>);
    loop {
        let any = node.as_any();
        if let Some(projection) = any.downcast_ref::<ProjectionExec>() {
            let own = projection.expr().iter().map(|e| e.expr.as_any().downcast_ref::<Column>().map(Column::index));
            let Some(own) = own.collect::<Option<Vec<_>>>() else { return Ok(None) };
            chosen = match chosen {
                None => Some(own),
                Some(above) => above.into_iter().map(|i| own.get(i).copied()).collect(),
            };
            node = projection.input();
        } else if any.is::<CooperativeExec>() {
            let Some(child) = node.children().into_iter().next() else { return Ok(None) };
            node = child;
        } else if let Some(remote) = any.downcast_ref::<RemoteExec>() {
            let Some(chosen) = chosen.filter(|c| !c.is_empty()) else { return Ok(None) };
            let schema = Arc::new(remote.schema().project(&chosen)?);
            let projection = match &remote.projection {
                None => chosen,
                Some(own) => chosen.iter().filter_map(|i| own.get(*i).copied()).collect(),
            };
            let properties =
                PlanProperties::new(EquivalenceProperties::new(schema), Partitioning::UnknownPartitioning(1), EmissionType::Incremental, Boundedness::Bounded);
            let leaf = RemoteExec {
                projection: Some(projection),
                as_it_comes: true,
                properties: Arc::new(properties),
                metrics: ExecutionPlanMetricsSet::new(),
                ..remote.again()
            };
            return Ok(Some(Arc::new(CooperativeExec::new(Arc::new(leaf)))));
        } else {
            return Ok(None);
        }
    }
}

/// What the remote statements of a plan returned.
pub fn returned(plan: &Arc<dyn ExecutionPlan>, out: &mut Vec<RemoteMetrics>) {
    if let Some(remote) = plan.as_any().downcast_ref::<RemoteExec>().filter(|r| !r.mirrors) {
        let metrics = remote.metrics.clone_inner();
        let rows = metrics.output_rows().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let keys = metrics.sum_by_name(KEYS).and_then(|n| u64::try_from(n.as_usize()).ok());
        out.push(RemoteMetrics { server: remote.name.clone(), rows, keys });
    }
    plan.children().into_iter().for_each(|child| returned(child, out));
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
        for piece in output.encode(&batch) {
            let (piece, n) = piece?;
            rows += n;
            writer.send_batch(&piece).await?;
        }
        next = batches.recv().await.transpose()?;
    }
    let elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(FromEngine::Done { metrics: Metrics { rows, elapsed_us, ..Metrics::default() } })
}
