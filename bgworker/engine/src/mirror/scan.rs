//! Scans of a mirror: a table provider over a pinned view, and its execution plan.
//!
//! Invariants:
//! - Rows come out exactly once per execution, however many partitions run and however fast each is: they share one queue of work, and a
//!   plan that is executed again gets another queue.
//! - Batches are slices of what the cache or the delta holds; nothing is copied unless rows are deleted.
//! - Filters only save work: whoever pushed one down still applies it. By statistics whole units are left out, by [`Sieve`] rows.
//! - A plan does not depend on the content it was made over: statistics are estimates, and the content may be exchanged before execution.

use super::prune::Pruner;
use super::segment::{Footer, Segment};
use super::sift::{Sieve, pick};
use super::table::{RowsView, TableView};
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A unit of work has at least this many rows, if it is split at all.
const MIN_MORSEL_ROWS: u32 = 1 << 15;
/// With fewer row groups per partition than this, row groups are split.
const MORSELS_PER_PARTITION: usize = 4;

/// Footers that are read at once when a table is first scanned.
const FOOTERS_AT_ONCE: usize = 16;

/// What is computed of the rows of a scan may take long, and would never wait for anything if they all are in the cache: after this time
/// other queries have their turn, and a query that was cancelled ends.
const LONGEST_TURN: Duration = Duration::from_millis(10);

fn external(e: weir_plan::Error) -> DataFusionError {
    DataFusionError::External(Box::new(e))
}

/// Some columns of a mirror at one point in the commit order.
#[derive(Debug)]
pub struct MirrorTable {
    relid: u32,
    view: Arc<TableView>,
    /// Where its scans are noted.
    bindings: Bindings,
    schema: SchemaRef,
    /// The physical column of each field of `schema`.
    physical: Vec<usize>,
}

impl MirrorTable {
    /// `columns`: places in the definition; their scale columns come along.
    pub fn new(relid: u32, view: Arc<TableView>, columns: &[usize], bindings: Bindings) -> Self {
        let mut fields: Vec<Field> = Vec::new();
        let mut physical = Vec::new();
        for &column in columns {
            let not_null = view.layout.columns.get(column).is_some_and(|c| c.not_null && !view.poisoned.contains(&c.attnum));
            for at in view.layout.physical(column) {
                fields.push(view.layout.schema.field(at).clone().with_nullable(!not_null));
                physical.push(at);
            }
        }
        Self { relid, view, bindings, schema: Arc::new(Schema::new(fields)), physical }
    }
}

#[async_trait]
impl TableProvider for MirrorTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Predicates arrive as physical expressions, see `gather` below; the filter stays above in any case.
        Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()])
    }

    async fn scan(&self, state: &dyn Session, projection: Option<&Vec<usize>>, _filters: &[Expr], _limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let (schema, physical) = match projection {
            None => (Arc::clone(&self.schema), self.physical.clone()),
            Some(p) => (Arc::new(self.schema.project(p)?), p.iter().filter_map(|&i| self.physical.get(i).copied()).collect()),
        };
        let partitions = state.config().target_partitions();
        let binding = Binding::open(self.relid, Arc::clone(&self.view), partitions).await.map_err(external)?;
        self.bindings.lock().push(Arc::clone(&binding));
        Ok(Arc::new(MirrorScan::new(binding, schema, physical, partitions)))
    }
}

/// The scans of a plan, also of those parts that the plan's tree does not show.
pub type Bindings = Arc<Mutex<Vec<Arc<Binding>>>>;

/// What a scan reads. Shared by all copies of the plan's node; exchanged only while the plan does not run.
#[derive(Debug)]
pub struct Binding {
    pub relid: u32,
    partitions: usize,
    opened: Mutex<Arc<Opened>>,
}

struct Opened {
    source: Source,
    morsels: Vec<Morsel>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.morsels.len(), self.source.view.layout.name)
    }
}

impl Opened {
    async fn new(view: Arc<TableView>, partitions: usize) -> weir_plan::Result<Arc<Opened>> {
        let source = Source::open(view).await?;
        let morsels = morsels(&source.units, partitions);
        Ok(Arc::new(Opened { source, morsels }))
    }
}

impl Binding {
    async fn open(relid: u32, view: Arc<TableView>, partitions: usize) -> weir_plan::Result<Arc<Binding>> {
        let opened = Opened::new(view, partitions).await?;
        Ok(Arc::new(Binding { relid, partitions, opened: Mutex::new(opened) }))
    }

    fn get(&self) -> Arc<Opened> {
        Arc::clone(&self.opened.lock())
    }

    /// What is read now.
    pub fn view(&self) -> Arc<TableView> {
        Arc::clone(&self.opened.lock().source.view)
    }

    /// Reads this from now on: the same table, of the same layout and with the same columns usable.
    ///
    /// # Errors
    /// A segment whose footer can't be read.
    pub async fn rebind(&self, view: Arc<TableView>) -> weir_plan::Result<()> {
        let opened = Opened::new(view, self.partitions).await?;
        *self.opened.lock() = opened;
        Ok(())
    }
}

/// Consecutive rows that are read together: a row group of a segment or a chunk of the delta.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// Index into the view's parts.
    pub part: usize,
    /// Row group or chunk.
    pub group: usize,
    /// Number of the first row within the part.
    pub start: u32,
    pub rows: u32,
}

/// A view with the footers of its segments.
pub struct Source {
    pub view: Arc<TableView>,
    /// By part; `None` for the delta.
    pub footers: Vec<Option<Arc<Footer>>>,
    pub units: Vec<Unit>,
}

impl Source {
    async fn open(view: Arc<TableView>) -> weir_plan::Result<Source> {
        let footers: Vec<Option<Arc<Footer>>> = futures::stream::iter(view.parts.clone())
            .map(|part| async move {
                match &part.rows {
                    RowsView::File(segment) => segment.footer().await.map(Some),
                    RowsView::Mem(_) => Ok(None),
                }
            })
            .buffered(FOOTERS_AT_ONCE)
            .try_collect()
            .await?;
        let mut units = Vec::new();
        for (i, (part, footer)) in view.parts.iter().zip(&footers).enumerate() {
            let mut add = |group, start, rows| {
                if part.deletes.count_in(start, rows) < rows {
                    units.push(Unit { part: i, group, start, rows });
                }
            };
            let groups = footer.iter().flat_map(|f| &f.row_groups);
            groups.enumerate().for_each(|(g, group)| add(g, group.start, group.rows));
            if let RowsView::Mem(chunks) = &part.rows {
                chunks.iter().enumerate().for_each(|(g, c)| add(g, c.start, u32::try_from(c.batch.num_rows()).unwrap_or(u32::MAX)));
            }
        }
        Ok(Source { view, footers, units })
    }

    /// Estimates, never exact: DataFusion would answer from exact ones while it plans, and the plan may be executed over later content.
    fn statistics(&self, schema: &Schema, physical: &[usize]) -> Statistics {
        let rows = usize::try_from(self.view.live_rows).unwrap_or(usize::MAX);
        let mut statistics = Statistics::new_unknown(schema);
        statistics.num_rows = Precision::Inexact(rows);
        let mut bytes = 0usize;
        for (column, &physical) in statistics.column_statistics.iter_mut().zip(physical) {
            *column = self.column_statistics(physical);
            let width = self.view.layout.schema.field(physical).data_type().primitive_width().unwrap_or(24);
            column.byte_size = Precision::Inexact(width * rows);
            bytes += width * rows;
        }
        statistics.total_byte_size = Precision::Inexact(bytes);
        statistics
    }

    fn column_statistics(&self, physical: usize) -> ColumnStatistics {
        let mut statistics = ColumnStatistics::new_unknown();
        let mut nulls = Some(0u64);
        for (part, footer) in self.view.parts.iter().zip(&self.footers) {
            match (&part.rows, footer) {
                (RowsView::Mem(chunks), _) => {
                    let here: usize = chunks.iter().map(|c| c.batch.column(physical).null_count()).sum();
                    nulls = nulls.map(|n| n + here as u64);
                }
                (RowsView::File(_), Some(footer)) => {
                    let stats = footer.stats.columns.get(physical).and_then(Option::as_ref);
                    nulls = match stats {
                        Some(s) if s.nulls.null_count() == 0 => nulls.map(|n| n + s.nulls.values().iter().sum::<u64>()),
                        _ => None,
                    };
                    let rows: Vec<u32> = footer.row_groups.iter().map(|g| g.rows).collect();
                    if let Some((min, max)) = stats.and_then(|s| s.range(&rows)) {
                        let (min, max) = (Precision::Inexact(min), Precision::Inexact(max));
                        let first = statistics.min_value == Precision::Absent;
                        statistics.min_value = if first { min } else { statistics.min_value.min(&min) };
                        statistics.max_value = if first { max } else { statistics.max_value.max(&max) };
                    }
                }
                (RowsView::File(_), None) => nulls = None,
            }
        }
        // DataFusion counts the values of such a range as none, divides by that, and fails.
        let whole = |v: &Precision<ScalarValue>, edge: i64| matches!(v.get_value(), Some(ScalarValue::Int64(Some(n))) if *n == edge);
        if whole(&statistics.min_value, i64::MIN) && whole(&statistics.max_value, i64::MAX) {
            statistics.min_value = Precision::Absent;
            statistics.max_value = Precision::Absent;
        }
        if let Some(nulls) = nulls.and_then(|n| usize::try_from(n).ok()) {
            statistics.null_count = Precision::Inexact(nulls);
        }
        statistics
    }
}

/// Part of a unit.
#[derive(Debug, Clone, Copy)]
struct Morsel {
    unit: usize,
    offset: u32,
    rows: u32,
}

fn morsels(units: &[Unit], partitions: usize) -> Vec<Morsel> {
    let total: u64 = units.iter().map(|u| u64::from(u.rows)).sum();
    let most = if units.len() >= partitions * MORSELS_PER_PARTITION {
        u32::MAX
    } else {
        let even = total / (partitions.max(1) * MORSELS_PER_PARTITION) as u64;
        u32::try_from(even).unwrap_or(u32::MAX).next_multiple_of(MIN_MORSEL_ROWS).max(MIN_MORSEL_ROWS)
    };
    let mut morsels = Vec::new();
    for (i, unit) in units.iter().enumerate() {
        let mut offset = 0;
        while offset < unit.rows {
            let rows = most.min(unit.rows - offset);
            morsels.push(Morsel { unit: i, offset, rows });
            offset += rows;
        }
    }
    morsels
}

/// Executions of one plan node. The n-th execution of each partition shares the n-th queue.
#[derive(Debug, Default)]
struct Executions {
    queues: Vec<Arc<AtomicUsize>>,
    started: HashMap<usize, usize>,
}

pub struct MirrorScan {
    binding: Arc<Binding>,
    physical: Arc<[usize]>,
    schema: SchemaRef,
    partitions: usize,
    predicates: Vec<Arc<dyn PhysicalExpr>>,
    pruner: Arc<Pruner>,
    executions: Mutex<Executions>,
    properties: Arc<PlanProperties>,
    statistics: Arc<Statistics>,
    metrics: ExecutionPlanMetricsSet,
}

impl MirrorScan {
    fn new(binding: Arc<Binding>, schema: SchemaRef, physical: Vec<usize>, partitions: usize) -> Self {
        let opened = binding.get();
        let partitions = partitions.min(opened.morsels.len()).max(1);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let statistics = Arc::new(opened.source.statistics(&schema, &physical));
        Self {
            binding,
            physical: physical.into(),
            schema,
            partitions,
            predicates: Vec::new(),
            pruner: Arc::default(),
            executions: Mutex::default(),
            properties: Arc::new(properties),
            statistics,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The same scan, not executed yet.
    fn fresh(&self) -> Self {
        Self {
            binding: Arc::clone(&self.binding),
            physical: Arc::clone(&self.physical),
            schema: Arc::clone(&self.schema),
            partitions: self.partitions,
            predicates: self.predicates.clone(),
            pruner: Arc::default(),
            executions: Mutex::default(),
            properties: Arc::clone(&self.properties),
            statistics: Arc::clone(&self.statistics),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl fmt::Debug for MirrorScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MirrorScan of {}", self.binding.view().layout.name)
    }
}

impl DisplayAs for MirrorScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opened = self.binding.get();
        let layout = &opened.source.view.layout;
        let names = self.physical.iter().map(|&p| layout.schema.field(p).name().as_str()).collect::<Vec<_>>().join(", ");
        write!(f, "MirrorScan: {} [{names}], row groups={}", layout.name, opened.source.units.len())?;
        if !self.predicates.is_empty() {
            let predicates = self.predicates.iter().map(ToString::to_string).collect::<Vec<_>>().join(" AND ");
            write!(f, ", prune={predicates}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for MirrorScan {
    fn name(&self) -> &'static str {
        "MirrorScan"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.fresh()))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let queue = {
            let mut executions = self.executions.lock();
            let nth = executions.started.entry(partition).or_default();
            let at = *nth;
            *nth += 1;
            while executions.queues.len() <= at {
                executions.queues.push(Arc::default());
            }
            Arc::clone(&executions.queues[at])
        };
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let work = Work {
            opened: self.binding.get(),
            physical: Arc::clone(&self.physical),
            schema: Arc::clone(&self.schema),
            sieve: Sieve::new(&self.predicates, &self.schema),
            predicates: self.predicates.clone(),
            pruner: Arc::clone(&self.pruner),
            queue,
            batch_rows: u32::try_from(context.session_config().batch_size()).unwrap_or(8192).max(1),
            current: None,
            pruned: MetricBuilder::new(&self.metrics).counter("row_groups_pruned", partition),
        };
        let stream = futures::stream::try_unfold((work, baseline, Instant::now()), |(mut work, baseline, mut given_way)| async move {
            if given_way.elapsed() > LONGEST_TURN {
                tokio::task::yield_now().await;
                given_way = Instant::now();
            }
            let batch = work.next().await?;
            Ok(batch.map(|batch| {
                baseline.record_output(batch.num_rows());
                (batch, (work, baseline, given_way))
            }))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        match partition {
            None => Ok((*self.statistics).clone()),
            // Which rows a partition gets is settled at run time.
            Some(_) => Ok(Statistics::new_unknown(&self.schema)),
        }
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters: Vec<_> = child_pushdown_result.parent_filters.into_iter().map(|f| f.filter).collect();
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters.len()]);
        if filters.is_empty() {
            return Ok(answer);
        }
        let mut node = self.fresh();
        node.predicates.extend(filters);
        Ok(answer.with_updated_node(Arc::new(node)))
    }
}

/// The columns of the unit that a partition is reading.
struct Current {
    columns: Vec<ArrayRef>,
    from: From,
    /// Rows of the columns still to be read.
    next: u32,
    end: u32,
}

/// What the rows of the columns are.
enum From {
    /// Those of a part from this one on, the deleted ones among them.
    Part { part: usize, start: u32 },
    /// Those that were picked.
    Picked,
}

/// What one partition does.
struct Work {
    opened: Arc<Opened>,
    physical: Arc<[usize]>,
    schema: SchemaRef,
    predicates: Vec<Arc<dyn PhysicalExpr>>,
    pruner: Arc<Pruner>,
    sieve: Sieve,
    queue: Arc<AtomicUsize>,
    batch_rows: u32,
    current: Option<Current>,
    pruned: Count,
}

impl Work {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(current) = &mut self.current else {
                if !self.open().await? {
                    return Ok(None);
                }
                continue;
            };
            let (offset, rows) = (current.next, self.batch_rows.min(current.end - current.next));
            current.next += rows;
            let columns = current.columns.iter().map(|c| c.slice(offset as usize, rows as usize)).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows as usize));
            let keep = match current.from {
                From::Part { part, start } => self.opened.source.view.parts[part].deletes.keep(start + offset, rows),
                From::Picked => None,
            };
            if current.next >= current.end {
                self.current = None;
            }
            let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
            match keep {
                None => return Ok(Some(batch)),
                Some(mask) if mask.count_set_bits() == 0 => {}
                Some(mask) => return Ok(Some(filter_record_batch(&batch, &BooleanArray::new(mask, None))?)),
            }
        }
    }

    /// The rows of a morsel that filters made at run time keep, without those that are deleted; `None` if it is not worth while.
    fn sift(&mut self, columns: &[ArrayRef], unit: Unit, morsel: Morsel) -> Result<Option<Vec<ArrayRef>>> {
        if self.sieve.is_empty() {
            return Ok(None);
        }
        let (offset, rows) = (morsel.offset as usize, morsel.rows as usize);
        let columns: Vec<ArrayRef> = columns.iter().map(|c| c.slice(offset, rows)).collect();
        let Some(mut kept) = self.sieve.keep(&columns, rows)? else { return Ok(None) };
        if let Some(alive) = self.opened.source.view.parts[unit.part].deletes.keep(unit.start + morsel.offset, morsel.rows) {
            kept = &kept & &alive;
        }
        pick(&columns, kept).map(Some)
    }

    /// Opens the next unit that has to be read; `false` if there is none.
    async fn open(&mut self) -> Result<bool> {
        loop {
            let Some(morsel) = self.opened.morsels.get(self.queue.fetch_add(1, Ordering::Relaxed)).copied() else { return Ok(false) };
            let keep = self.pruner.keep(&self.predicates, &self.schema, &self.physical, &self.opened.source);
            if keep.is_some_and(|k| !k[morsel.unit]) {
                if morsel.offset == 0 {
                    self.pruned.add(1);
                }
                continue;
            }
            let unit = self.opened.source.units[morsel.unit];
            let columns = match &self.opened.source.view.parts[unit.part].rows {
                RowsView::File(segment) => read(segment, unit.group, &self.physical).await?,
                RowsView::Mem(chunks) => self.physical.iter().map(|&c| Arc::clone(chunks[unit.group].batch.column(c))).collect(),
            };
            let end = morsel.offset + morsel.rows;
            self.current = match self.sift(&columns, unit, morsel)? {
                None => Some(Current { columns, from: From::Part { part: unit.part, start: unit.start }, next: morsel.offset, end }),
                Some(picked) => {
                    let end = picked.first().map_or(0, |c| u32::try_from(c.len()).unwrap_or(u32::MAX));
                    if end == 0 {
                        // Many such units in a row are work without a pause.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Some(Current { columns: picked, from: From::Picked, next: 0, end })
                }
            };
            return Ok(true);
        }
    }
}

async fn read(segment: &Segment, group: usize, columns: &[usize]) -> Result<Vec<ArrayRef>> {
    // What is not cached is fetched at the same time.
    futures::future::try_join_all(columns.iter().map(|&column| segment.column(group, column))).await.map_err(external)
}
