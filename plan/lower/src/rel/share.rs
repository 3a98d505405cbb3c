//! Relations that are read more than once but computed once: common table expressions with several uses, and rows that two
//! evaluations could choose differently.
//!
//! Invariants:
//! - A shared relation is computed at most once per lowering, so a lowered plan is executed once: who reads it waits for the computation, which
//!   goes on when the reader that began it wants no more, and an error of it is everybody's. (A plan that runs for a second time gives wrong
//!   rows: it keeps what its parts have done.)
//! - Its rows are held in memory, on the account of the query's memory pool.

use super::Lowerer;
use super::correlate::Matching;
use super::node::Node;
use super::recursion::reads_work;
use crate::error::refused;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result, TableReference};
use datafusion::datasource::{TableProvider, TableType, provider_as_source};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{Distinct, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream, displayable, execute_stream,
};
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

impl Lowerer<'_> {
    /// The node in a form that gives the same rows whenever it is read.
    pub(super) fn repeatable(&mut self, node: Node) -> Result<Node> {
        if is_repeatable(&node.plan)? { Ok(node) } else { self.shared(node) }
    }

    /// As [`Self::repeatable`] for the right side.
    pub(super) fn repeatable_right(&mut self, m: Matching) -> Result<Matching> {
        let right = self.repeatable(m.right)?;
        Ok(Matching { right, ..m })
    }

    /// The node as a relation that is computed once.
    pub(super) fn shared(&mut self, node: Node) -> Result<Node> {
        let table = Arc::new(SharedTable::new(node.plan)?);
        let plan = self.scan_shared(&table)?;
        Ok(Node { plan, ..node })
    }

    /// One reading of a shared relation, with its columns under their own names.
    pub(super) fn scan_shared(&mut self, table: &Arc<SharedTable>) -> Result<LogicalPlan> {
        self.scan_provider(Arc::clone(table) as Arc<dyn TableProvider>)
    }

    /// All columns of a table under their own names.
    pub(super) fn scan_provider(&mut self, table: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
        let name = TableReference::bare(format!("shared{}", self.fresh()));
        let exprs: Vec<DfExpr> = table.schema().fields().iter().map(|f| DfExpr::Column(Column::new(Some(name.clone()), f.name())).alias(f.name())).collect();
        LogicalPlanBuilder::scan(name, provider_as_source(table), None)?.project(exprs)?.build()
    }
}

/// Whether two evaluations give the same rows. Cautious: functions that might depend on the order of rows do not.
pub(super) fn is_repeatable(plan: &LogicalPlan) -> Result<bool> {
    let mut repeatable = true;
    plan.apply(|p| {
        repeatable &= match p {
            // A remote table may have changed when it is read again.
            LogicalPlan::TableScan(scan) if scan.source.table_type() == TableType::View => false,
            LogicalPlan::Limit(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(Distinct::On(_)) => false,
            LogicalPlan::Aggregate(a) => a.aggr_expr.iter().all(is_order_insensitive),
            _ => true,
        };
        Ok(if repeatable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(repeatable)
}

fn is_order_insensitive(aggregate: &DfExpr) -> bool {
    match aggregate {
        DfExpr::Alias(a) => is_order_insensitive(&a.expr),
        DfExpr::AggregateFunction(f) => {
            matches!(f.func.name(), "count" | "min" | "max" | "bool_and" | "bool_or" | "pg_sum" | "pg_moments" | "pg_max_payload" | "pg_min_payload")
        }
        _ => false,
    }
}

/// A plan as a table.
pub(super) struct SharedTable {
    plan: LogicalPlan,
    schema: SchemaRef,
    computed: Arc<Computed>,
}

/// What has become of the plan.
#[derive(Default)]
struct Computed {
    physical: OnceCell<Arc<dyn ExecutionPlan>>,
    rows: Mutex<Option<Rows>>,
}

/// The computation, begun or done.
type Rows = Shared<BoxFuture<'static, Result<Arc<(Vec<RecordBatch>, MemoryReservation)>, Arc<DataFusionError>>>>;

impl Computed {
    fn rows(&self, input: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Rows {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get_or_insert_with(|| compute(input, context).map(|rows| rows.map(Arc::new).map_err(Arc::new)).boxed().shared()).clone()
    }
}

impl SharedTable {
    pub fn new(plan: LogicalPlan) -> Result<Self> {
        if reads_work(&plan, None)? {
            return Err(refused("a relation that is read twice in a recursive term"));
        }
        let schema = Arc::clone(plan.schema().inner());
        Ok(Self { plan, schema, computed: Arc::default() })
    }
}

impl std::fmt::Debug for SharedTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedTable").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SharedTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(&self, state: &dyn Session, projection: Option<&Vec<usize>>, _: &[DfExpr], _: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = self.computed.physical.get_or_try_init(|| state.create_physical_plan(&self.plan)).await?;
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let partitions = state.config().target_partitions().max(1);
        let properties =
            PlanProperties::new(EquivalenceProperties::new(schema), Partitioning::UnknownPartitioning(partitions), EmissionType::Final, Boundedness::Bounded);
        Ok(Arc::new(SharedExec {
            input: Arc::clone(input),
            computed: Arc::clone(&self.computed),
            projection: projection.cloned(),
            properties: Arc::new(properties),
        }))
    }
}

/// What a reader of a shared relation computes.
pub(super) fn shared_input(node: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    node.as_any().downcast_ref::<SharedExec>().map(|s| Arc::clone(&s.input))
}

/// Reads a shared relation; whoever comes first computes it.
struct SharedExec {
    input: Arc<dyn ExecutionPlan>,
    computed: Arc<Computed>,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl std::fmt::Debug for SharedExec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedExec").field("input", &self.input).finish_non_exhaustive()
    }
}

impl DisplayAs for SharedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedExec: [{}]", displayable(self.input.as_ref()).one_line().to_string().trim())
    }
}

impl ExecutionPlan for SharedExec {
    fn name(&self) -> &'static str {
        "SharedExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None: the input has been optimised by itself and is not of one reader alone.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (input, computed, projection) = (Arc::clone(&self.input), Arc::clone(&self.computed), self.projection.clone());
        let partitions = self.properties.partitioning.partition_count();
        let batches = futures::stream::once(async move {
            let rows = computed.rows(input, context).await.map_err(DataFusionError::Shared)?;
            let mine: Vec<RecordBatch> = rows.0.iter().skip(partition).step_by(partitions).cloned().collect();
            Ok::<_, DataFusionError>(futures::stream::iter(mine).map(move |batch| match &projection {
                Some(columns) => Ok(batch.project(columns)?),
                None => Ok(batch),
            }))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

async fn compute(input: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<(Vec<RecordBatch>, MemoryReservation)> {
    let reservation = MemoryConsumer::new("shared relation").register(context.memory_pool());
    let mut stream = execute_stream(input, context)?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        reservation.try_grow(batch.get_array_memory_size())?;
        rows.push(batch);
    }
    Ok((rows, reservation))
}
