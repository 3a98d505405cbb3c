//! WITH RECURSIVE: the second term is evaluated over the rows that came last, until it gives none.
//!
//! Invariants:
//! - All rows are there before anybody reads one: a recursion that does not end within [`MOST_STEPS`] is `Refused`, and runs in Postgres,
//!   which stops when enough rows have been read.
//! - What is computed once and kept (a shared relation, another recursion) never depends on the rows that came last.
//! - A UNION compares rows of types whose equal values are the same bytes.

use super::keys::group_key;
use super::node::Node;
use super::share::shared_input;
use super::{Lowerer, unify};
use crate::error::refused;
use crate::value::{DScale, Value};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::datasource::{DefaultTableSource, TableProvider, TableType};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream, displayable, execute_stream,
};
use futures::{StreamExt, TryStreamExt};
use std::any::Any;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use weir_plan::ir::{ColId, CteId, SetOp};
use weir_plan::types::{NumericForm, PgType, oid};

/// A hierarchy is never so deep; a series of numbers may be, and one without an end is.
const MOST_STEPS: usize = 10_000;

/// What a recursive term reads: the columns, and where the rows are put.
#[derive(Clone)]
pub(super) struct Work {
    table: Arc<WorkTable>,
    columns: Vec<(ColId, Value)>,
}

impl Lowerer<'_> {
    pub(super) fn recursion(&mut self, op: &SetOp, id: CteId) -> Result<Node> {
        if !self.free_columns(&op.left).is_empty() || !self.free_columns(&op.right).is_empty() {
            return Err(refused("a correlated WITH RECURSIVE"));
        }
        let start = self.rel(&op.left, None)?;
        let (mut forms, mut values) = (Vec::new(), Vec::new());
        for (out, left, _, ty) in &op.columns {
            let value = start.get(*left)?;
            let form = column_form(value, *ty)?;
            values.push((*out, form.apply(value)));
            forms.push(form);
        }
        let start = self.projected(start, values)?;
        let columns = start.outputs()?;
        if !op.all {
            for (_, value) in &columns {
                if matches!(value.dscale, Some(DScale::Dynamic(_))) || !group_key(value)?.is_value {
                    return Err(refused("a recursive UNION over values that can be equal and different"));
                }
            }
        }
        let fields: Vec<_> = start.plan.schema().fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect();
        let table = Arc::new(WorkTable { schema: Arc::new(Schema::new(fields)), rows: Arc::default() });
        self.works.insert(id, Work { table: Arc::clone(&table), columns: columns.clone() });
        let step = self.rel(&op.right, None);
        self.works.remove(&id);
        let step = step?;
        let mut values = Vec::new();
        for ((out, _, right, _), form) in op.columns.iter().zip(&forms) {
            values.push((*out, form.apply(step.get(*right)?)));
        }
        let step = self.projected(step, values)?;
        let provider = Recursion::new(start.plan, step.plan, table, op.all)?;
        let plan = self.scan_provider(Arc::new(provider))?;
        Ok(Node::new(plan, columns, vec![]))
    }

    /// The rows that came last, if `id` is a recursion under way.
    pub(super) fn work(&mut self, id: CteId) -> Result<Option<Node>> {
        let Some(Work { table, columns }) = self.works.get(&id).cloned() else { return Ok(None) };
        let plan = self.scan_provider(table)?;
        Ok(Some(Node::new(plan, columns, vec![])))
    }
}

/// A form that holds whatever the recursive term gives for a column of this type.
fn column_form(first: &Value, ty: PgType) -> Result<unify::Form> {
    if ty.base != oid::NUMERIC {
        return unify::form(&[first], ty);
    }
    let form = NumericForm::of_column(&ty);
    let scale = if form.dynamic { None } else { Some(form.scale) };
    if scale.is_some() && !unify::is_null_literal(&first.expr) && first.dscale != scale.map(DScale::Static) {
        return Err(refused("a recursive numeric column of another scale than declared"));
    }
    Ok(unify::Form { arrow: form.data_type(), ty, scale: Some(scale) })
}

/// Whether a plan reads the rows that came last of a recursion other than `own`.
pub(super) fn reads_work(plan: &LogicalPlan, own: Option<&Arc<WorkTable>>) -> Result<bool> {
    let mut found = false;
    plan.apply(|p| {
        if let LogicalPlan::TableScan(scan) = p
            && let Some(source) = scan.source.as_any().downcast_ref::<DefaultTableSource>()
            && let Some(table) = source.table_provider.as_any().downcast_ref::<WorkTable>()
        {
            found |= own.is_none_or(|own| !std::ptr::eq(Arc::as_ptr(own), table));
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Computes all recursions of a plan.
///
/// # Errors
/// Those of their terms; `Refused` for one that does not end.
pub async fn settle(plan: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<()> {
    let (mut recursions, mut plans) = (Vec::new(), vec![Arc::clone(plan)]);
    while let Some(plan) = plans.pop() {
        plan.apply(|node| {
            if let Some(r) = node.as_any().downcast_ref::<RecursionExec>() {
                recursions.push((Arc::clone(&r.terms), Arc::clone(&r.rows)));
            }
            plans.extend(shared_input(node));
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    for (terms, rows) in recursions {
        rows.get_or_try_init(|| terms.compute(Arc::clone(context))).await?;
    }
    Ok(())
}

/// The rows that came last.
pub(super) struct WorkTable {
    schema: SchemaRef,
    rows: Arc<Mutex<Vec<RecordBatch>>>,
}

impl WorkTable {
    fn put(&self, rows: Vec<RecordBatch>) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }
}

impl std::fmt::Debug for WorkTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkTable").field("schema", &self.schema).finish_non_exhaustive()
    }
}

fn projected(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
    Ok(match projection {
        Some(columns) => Arc::new(schema.project(columns)?),
        None => Arc::clone(schema),
    })
}

fn one_partition(schema: SchemaRef) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(EquivalenceProperties::new(schema), Partitioning::UnknownPartitioning(1), EmissionType::Final, Boundedness::Bounded))
}

fn stream(schema: SchemaRef, rows: Vec<RecordBatch>, projection: Option<Vec<usize>>) -> impl futures::Stream<Item = Result<RecordBatch>> {
    futures::stream::iter(rows).map(move |batch| match &projection {
        Some(columns) => Ok(RecordBatch::try_new_with_options(
            Arc::clone(&schema),
            columns.iter().filter_map(|c| batch.columns().get(*c).cloned()).collect(),
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
        )?),
        None => Ok(batch),
    })
}

#[async_trait]
impl TableProvider for WorkTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(&self, _: &dyn Session, projection: Option<&Vec<usize>>, _: &[DfExpr], _: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let properties = one_partition(projected(&self.schema, projection)?);
        Ok(Arc::new(WorkExec { rows: Arc::clone(&self.rows), projection: projection.cloned(), properties }))
    }
}

/// Both terms as a table.
struct Recursion {
    start: LogicalPlan,
    step: LogicalPlan,
    work: Arc<WorkTable>,
    all: bool,
    rows: Arc<OnceCell<Rows>>,
}

type Rows = (Vec<RecordBatch>, MemoryReservation);

impl Recursion {
    fn new(start: LogicalPlan, step: LogicalPlan, work: Arc<WorkTable>, all: bool) -> Result<Self> {
        if reads_work(&start, None)? || reads_work(&step, Some(&work))? {
            return Err(refused("a recursion within a recursion"));
        }
        Ok(Self { start, step, work, all, rows: Arc::default() })
    }
}

impl std::fmt::Debug for Recursion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recursion").field("schema", &self.work.schema).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Recursion {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.work.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(&self, state: &dyn Session, projection: Option<&Vec<usize>>, _: &[DfExpr], _: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else { return internal_err!("a session without a state") };
        let mut state = state.clone();
        // What a join of one step learns of its keys holds for that step only.
        let optimizer = &mut state.config_mut().options_mut().optimizer;
        optimizer.enable_dynamic_filter_pushdown = false;
        optimizer.enable_join_dynamic_filter_pushdown = false;
        optimizer.enable_aggregate_dynamic_filter_pushdown = false;
        optimizer.enable_topk_dynamic_filter_pushdown = false;
        let terms = Terms {
            start: state.create_physical_plan(&self.start).await?,
            step: state.create_physical_plan(&self.step).await?,
            work: Arc::clone(&self.work),
            all: self.all,
        };
        let schema = projected(&self.work.schema, projection)?;
        let (rows, properties) = (Arc::clone(&self.rows), one_partition(schema));
        Ok(Arc::new(RecursionExec { terms: Arc::new(terms), rows, projection: projection.cloned(), properties }))
    }
}

struct Terms {
    start: Arc<dyn ExecutionPlan>,
    step: Arc<dyn ExecutionPlan>,
    work: Arc<WorkTable>,
    all: bool,
}

impl Terms {
    async fn compute(&self, context: Arc<TaskContext>) -> Result<Rows> {
        let reservation = MemoryConsumer::new("recursion").register(context.memory_pool());
        let mut seen = if self.all { None } else { Some(Seen::new(&self.work.schema)?) };
        let mut rows = Vec::new();
        let mut last = self.run(Arc::clone(&self.start), &context, &mut seen, &reservation).await?;
        let mut steps = 0;
        while !last.is_empty() {
            rows.extend(last.iter().cloned());
            steps += 1;
            if steps > MOST_STEPS {
                return Err(refused(format!("a recursion of more than {MOST_STEPS} steps")));
            }
            self.work.put(last);
            // Who waits no longer stops the work here, whatever the terms do.
            tokio::task::yield_now().await;
            last = self.run(reset_plan_states(Arc::clone(&self.step))?, &context, &mut seen, &reservation).await?;
        }
        self.work.put(Vec::new());
        Ok((rows, reservation))
    }

    /// The (new) rows of one term.
    async fn run(
        &self,
        term: Arc<dyn ExecutionPlan>,
        context: &Arc<TaskContext>,
        seen: &mut Option<Seen>,
        reservation: &MemoryReservation,
    ) -> Result<Vec<RecordBatch>> {
        let mut stream = execute_stream(term, Arc::clone(context))?;
        let mut rows = Vec::new();
        while let Some(batch) = stream.next().await {
            let mut batch = RecordBatch::try_new(Arc::clone(&self.work.schema), batch?.columns().to_vec())?;
            if let Some(seen) = seen {
                batch = seen.new_ones(&batch, reservation)?;
            }
            if batch.num_rows() > 0 {
                reservation.try_grow(batch.get_array_memory_size())?;
                rows.push(batch);
            }
        }
        Ok(rows)
    }
}

/// The rows that a UNION has given.
struct Seen {
    converter: RowConverter,
    rows: HashSet<OwnedRow>,
}

impl Seen {
    fn new(schema: &SchemaRef) -> Result<Self> {
        let fields = schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, rows: HashSet::new() })
    }

    fn new_ones(&mut self, batch: &RecordBatch, reservation: &MemoryReservation) -> Result<RecordBatch> {
        let converted = self.converter.convert_columns(batch.columns())?;
        let mut fresh = Vec::with_capacity(batch.num_rows());
        let mut bytes = 0;
        for row in &converted {
            let is_new = self.rows.insert(row.owned());
            bytes += if is_new { row.as_ref().len() + size_of::<OwnedRow>() } else { 0 };
            fresh.push(is_new);
        }
        reservation.try_grow(bytes)?;
        Ok(filter_record_batch(batch, &BooleanArray::from(fresh))?)
    }
}

/// Gives the rows; whoever comes first computes them.
struct RecursionExec {
    terms: Arc<Terms>,
    rows: Arc<OnceCell<Rows>>,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl std::fmt::Debug for RecursionExec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecursionExec").field("start", &self.terms.start).field("step", &self.terms.step).finish_non_exhaustive()
    }
}

impl DisplayAs for RecursionExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |plan: &Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).one_line().to_string().trim().to_owned();
        write!(f, "RecursionExec: start=[{}], step=[{}]", line(&self.terms.start), line(&self.terms.step))
    }
}

impl ExecutionPlan for RecursionExec {
    fn name(&self) -> &'static str {
        "RecursionExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None: the terms have been optimised by themselves.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (terms, rows, projection, schema) = (Arc::clone(&self.terms), Arc::clone(&self.rows), self.projection.clone(), self.schema());
        let batches = futures::stream::once(async move {
            let (rows, _) = rows.get_or_try_init(|| terms.compute(context)).await?;
            Ok::<_, datafusion::common::DataFusionError>(stream(schema, rows.clone(), projection))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

/// Reads the rows that came last.
#[derive(Debug)]
struct WorkExec {
    rows: Arc<Mutex<Vec<RecordBatch>>>,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for WorkExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorkExec")
    }
}

impl ExecutionPlan for WorkExec {
    fn name(&self) -> &'static str {
        "WorkExec"
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

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rows = stream(self.schema(), rows, self.projection.clone());
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
