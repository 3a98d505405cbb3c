//! The places of texts in the order of a locale, as columns of integers ([`weir_lower::Rank`]).
//!
//! All rows are read before the first is given on, and wait in a file if there is no room for them ([`Kept`]), each with the numbers of its texts; the
//! distinct texts stay in memory. They are sorted by the library's comparison, in parallel; where texts are
//! compared only within groups and that is less work, within these.
//!
//! Invariants:
//! - What is in a file is not looked at twice, so texts of such rows are not compared within groups.
//! - Rows, texts and what is noted of them are on the account of the query's memory pool.
//! - Between a few thousand comparisons the scheduler gets its turn, so that a query which nobody waits for ends.

use crate::kept::Kept;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_expr_common::binary_map::OutputType;
use datafusion::physical_expr_common::binary_view_map::ArrowBytesViewMap;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::execution_plan::{Boundedness, CardinalityEffect, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use std::any::Any;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use weir_collate::{Collator, Sorting, Texts};
use weir_lower::Rank;
use weir_lower::error::refused;

/// Comparisons between two turns of the scheduler: about a millisecond's.
const STEP: usize = 2048;

/// Texts that one thread sorts at least.
const SMALL_RUN: usize = 8192;

/// So few distinct texts are sorted without asking for groups.
const FEW_TEXTS: usize = 256;

#[derive(Debug)]
struct Key {
    text: Arc<dyn PhysicalExpr>,
    within: Vec<Arc<dyn PhysicalExpr>>,
    locale: String,
}

#[derive(Debug)]
pub struct RankExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Arc<Vec<Key>>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RankExec {
    /// `expression` makes a physical one over the columns of the input.
    pub fn try_new(rank: &Rank, input: Arc<dyn ExecutionPlan>, expression: &dyn Fn(&Expr) -> Result<Arc<dyn PhysicalExpr>>) -> Result<Self> {
        let mut keys = Vec::new();
        for key in rank.keys() {
            let within = key.within.iter().map(expression).collect::<Result<_>>()?;
            // What cannot be opened is to be known before the query runs.
            Collator::open(&key.locale).map_err(refused)?;
            keys.push(Key { text: expression(&key.text)?, within, locale: key.locale.clone() });
        }
        let mut fields: Vec<_> = input.schema().fields().iter().cloned().collect();
        let of_ranks = rank.keys().iter().filter_map(|k| rank.schema().inner().fields().find(&k.name()));
        fields.extend(of_ranks.map(|(_, field)| Arc::clone(field)));
        Ok(Self::of(input, Arc::new(keys), Arc::new(Schema::new(fields))))
    }

    fn of(input: Arc<dyn ExecutionPlan>, keys: Arc<Vec<Key>>, schema: SchemaRef) -> Self {
        let known = EquivalenceProperties::new(Arc::clone(&schema));
        let properties = PlanProperties::new(known, Partitioning::UnknownPartitioning(1), EmissionType::Final, Boundedness::Bounded);
        Self { input, keys, schema, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for RankExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(|k| format!("{} by {}", k.text, k.locale)).collect();
        write!(f, "RankExec: {}", keys.join(", "))
    }
}

impl ExecutionPlan for RankExec {
    fn name(&self) -> &'static str {
        "RankExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self::of(input, Arc::clone(&self.keys), Arc::clone(&self.schema))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        let known = self.input.partition_statistics(partition)?;
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = known.num_rows;
        Ok(statistics)
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&task))?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let reservation = MemoryConsumer::new("order of text").register(task.memory_pool());
        let fields = self.input.schema().fields().iter().cloned().chain((0..self.keys.len()).map(number_field)).collect::<Vec<_>>();
        let kept = Kept::new("rows ordered by text", Arc::new(Schema::new(fields)), &task, &self.metrics, partition);
        let threads = task.session_config().target_partitions().max(1);
        let (keys, schema) = (Arc::clone(&self.keys), Arc::clone(&self.schema));
        let batches = futures::stream::once(async move {
            let read = read(input, &keys, kept, reservation).await?;
            ranked(read, &keys, schema, threads).await
        })
        .try_flatten()
        .inspect_ok(move |batch: &RecordBatch| metrics.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// The column with the number of each row's text.
fn number_field(key: usize) -> Arc<Field> {
    Arc::new(Field::new(format!("text {key}"), DataType::UInt32, false))
}

/// The distinct texts of a key.
struct Seen {
    known: ArrowBytesViewMap<u32>,
    next: u32,
}

impl Seen {
    /// Which of them each row has.
    fn add(&mut self, texts: &ArrayRef) -> Result<UInt32Array> {
        if texts.as_string_view_opt().is_none() {
            return internal_err!("an order of text over {}", texts.data_type());
        }
        let next = &mut self.next;
        // NULL counts as one of them: it has a place in the array of all, too.
        let number = |_: Option<&[u8]>| {
            *next = next.saturating_add(1);
            *next - 1
        };
        let mut of_rows = Vec::with_capacity(texts.len());
        self.known.insert_if_new(texts, number, |id| of_rows.push(id));
        if self.next == u32::MAX {
            return Err(refused("the order of so many texts"));
        }
        Ok(of_rows.into())
    }
}

/// The whole input.
struct Read {
    rows: Kept,
    texts: Vec<Seen>,
    reservation: MemoryReservation,
}

async fn read(mut input: SendableRecordBatchStream, keys: &[Key], mut rows: Kept, reservation: MemoryReservation) -> Result<Read> {
    let mut texts: Vec<Seen> = keys.iter().map(|_| Seen { known: ArrowBytesViewMap::new(OutputType::Utf8View), next: 0 }).collect();
    let mut noted = 0;
    while let Some(batch) = input.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        let mut columns = batch.columns().to_vec();
        for (key, texts) in keys.iter().zip(&mut texts) {
            columns.push(Arc::new(texts.add(&key.text.evaluate(&batch)?.into_array(batch.num_rows())?)?));
        }
        let bytes = texts.iter().map(|t| t.known.size()).sum();
        let more = usize::saturating_sub(bytes, noted);
        if reservation.try_grow(more).is_err() {
            // The rows make room.
            rows.write_out()?;
            reservation.try_grow(more)?;
        }
        noted = noted.max(bytes);
        rows.push(&RecordBatch::try_new(rows.schema(), columns)?)?;
    }
    Ok(Read { rows, texts, reservation })
}

/// The rows with their ranks.
async fn ranked(read: Read, keys: &[Key], schema: SchemaRef, threads: usize) -> Result<impl futures::Stream<Item = Result<RecordBatch>> + use<>> {
    let Read { mut rows, texts, reservation } = read;
    let mut places = Vec::new();
    let own = schema.fields().len() - keys.len();
    for ((key, texts), column) in keys.iter().zip(texts).zip(own..) {
        places.push(Places::of(key, texts, column, &mut rows, &reservation, threads).await?);
    }
    let mut first = 0;
    let batches = rows.into_stream()?.map(move |batch| {
        let batch = batch?;
        let _accounted = &reservation;
        let (columns, numbers) = batch.columns().split_at(own);
        let mut columns = columns.to_vec();
        for (p, numbers) in places.iter().zip(numbers) {
            let numbers = numbers.as_primitive::<UInt32Type>().values();
            let ranks: Int64Array = numbers.iter().zip(first..).map(|(text, row)| p.of_row(row, *text)).collect();
            columns.push(Arc::new(ranks) as ArrayRef);
        }
        first += batch.num_rows();
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    });
    Ok(batches)
}

/// Where the texts of a key come.
enum Places {
    /// By the number of the text; NULL has none.
    OfTexts { places: Vec<Option<u32>> },
    /// By group and text of a row.
    WithinGroups { of_rows: Vec<u64>, pairs: Vec<u64>, places: Vec<u32>, nulls: Option<u32> },
}

impl Places {
    /// `column`: where the rows have the numbers of their texts.
    async fn of(key: &Key, texts: Seen, column: usize, rows: &mut Kept, reservation: &MemoryReservation, threads: usize) -> Result<Self> {
        let array = texts.known.into_state();
        let Some(array) = array.as_string_view_opt().cloned() else { return internal_err!("distinct texts that are none") };
        let count = u32::try_from(array.len()).map_err(|_| refused("the order of so many texts"))?;
        let nulls = (0..count).find(|i| array.is_null(*i as usize));
        let len = array.len();
        let collator = Collator::open(&key.locale).map_err(refused)?;
        // 16 bytes for the order and its reverse.
        let needed = Texts::needed(&collator, len, array.lengths().map(|n| n as usize).sum()) + len * 16;
        if reservation.try_grow(needed).is_err() {
            rows.write_out()?;
            reservation.try_grow(needed)?;
        }
        let texts = comparable(&array, collator).await?;
        drop(array);
        let all = rows.in_memory().map_or(0, |rows| rows.iter().map(RecordBatch::num_rows).sum());
        // 8 bytes for the pair of each row, and again for sorting them.
        if !key.within.is_empty()
            && len > FEW_TEXTS
            && reservation.try_grow(all * 16).is_ok()
            && let Some(rows) = rows.in_memory()
        {
            let of_rows = pairs_of_rows(column, rows, key)?;
            let mut pairs: Vec<u64> = of_rows.iter().copied().filter(|pair| Some(text_of(*pair)) != nulls).collect();
            pairs.sort_unstable();
            pairs.dedup();
            if work(pairs.chunk_by(|a, b| a >> 32 == b >> 32).map(<[u64]>::len)) < work([len]) {
                let n = u32::try_from(pairs.len()).map_err(|_| refused("the order of so many texts"))?;
                reservation.try_grow(pairs.len() * 12)?;
                let pairs = Arc::new(pairs);
                let compared = Arc::clone(&pairs);
                let compare = move |a: u32, b: u32| {
                    let (Some(a), Some(b)) = (compared.get(a as usize), compared.get(b as usize)) else { return Ok(Ordering::Equal) };
                    match (a >> 32).cmp(&(b >> 32)) {
                        Ordering::Equal => texts.compare(text_of(*a), text_of(*b)).map_err(refused),
                        of_groups => Ok(of_groups),
                    }
                };
                let places = numbered(sorted((0..n).collect(), Arc::new(compare), threads).await?, pairs.len());
                let pairs = Arc::unwrap_or_clone(pairs);
                return Ok(Places::WithinGroups { of_rows, pairs, places, nulls });
            }
            reservation.shrink(all * 16);
        }
        let items = (0..count).filter(|i| Some(*i) != nulls).collect();
        let compare = move |a: u32, b: u32| texts.compare(a, b).map_err(refused);
        let places = numbered(sorted(items, Arc::new(compare), threads).await?, len);
        let places = (0..).zip(places).map(|(i, place)| (Some(i) != nulls).then_some(place)).collect();
        Ok(Places::OfTexts { places })
    }

    fn of_row(&self, row: usize, text: u32) -> Option<i64> {
        match self {
            Places::OfTexts { places } => places.get(text as usize).copied().flatten().map(i64::from),
            Places::WithinGroups { of_rows, pairs, places, nulls } => {
                let pair = *of_rows.get(row)?;
                if Some(text_of(pair)) == *nulls {
                    return None;
                }
                places.get(pairs.binary_search(&pair).ok()?).copied().map(i64::from)
            }
        }
    }
}

fn text_of(pair: u64) -> u32 {
    (pair & u64::from(u32::MAX)) as u32
}

/// About how many comparisons sorting groups of these sizes takes.
fn work(groups: impl IntoIterator<Item = usize>) -> f64 {
    groups.into_iter().map(|n| n as f64 * (n as f64).log2()).sum()
}

/// For each row the number of its group, and that of its text below.
fn pairs_of_rows(column: usize, rows: &[RecordBatch], key: &Key) -> Result<Vec<u64>> {
    let Some(schema) = rows.first().map(RecordBatch::schema) else { return Ok(Vec::new()) };
    let fields = key.within.iter().map(|e| e.return_field(&schema)).collect::<Result<Vec<_>>>()?;
    let mut groups = new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)?;
    let mut of_batch = Vec::new();
    let mut pairs = Vec::with_capacity(rows.iter().map(RecordBatch::num_rows).sum());
    for batch in rows {
        let columns = key.within.iter().map(|e| e.evaluate(batch)?.into_array(batch.num_rows())).collect::<Result<Vec<_>>>()?;
        groups.intern(&columns, &mut of_batch)?;
        for (group, text) in of_batch.iter().zip(batch.column(column).as_primitive::<UInt32Type>().values()) {
            let group = u32::try_from(*group).map_err(|_| refused("the order of text in so many groups"))?;
            pairs.push(u64::from(group) << 32 | u64::from(*text));
        }
    }
    Ok(pairs)
}

/// The texts as they are compared. In the place of NULL stands an empty one.
async fn comparable(array: &StringViewArray, collator: Arc<Collator>) -> Result<Texts> {
    let bytes = array.lengths().map(|n| n as usize).sum();
    let mut texts = Texts::new(collator, array.len(), bytes);
    for (i, text) in array.iter().enumerate() {
        texts.push(text.unwrap_or_default()).map_err(refused)?;
        if i % STEP == STEP - 1 {
            tokio::task::yield_now().await;
        }
    }
    Ok(texts)
}

/// For each of `len` items its place in the order; 0 for those that are not in it.
fn numbered(order: Vec<u32>, len: usize) -> Vec<u32> {
    let mut places = vec![0; len];
    for (place, item) in (0..).zip(order) {
        if let Some(p) = places.get_mut(item as usize) {
            *p = place;
        }
    }
    places
}

type Compare = dyn Fn(u32, u32) -> Result<Ordering> + Send + Sync;

/// The items in order: runs of them sorted side by side, then merged.
async fn sorted(mut items: Vec<u32>, compare: Arc<Compare>, threads: usize) -> Result<Vec<u32>> {
    let run = items.len().div_ceil(threads).max(SMALL_RUN);
    if items.len() <= run {
        return finished(Sorting::new(items, 1), compare).await;
    }
    let mut tasks = Vec::new();
    for part in items.chunks(run) {
        tasks.push(SpawnedTask::spawn(finished(Sorting::new(part.to_vec(), 1), Arc::clone(&compare))));
    }
    items.clear();
    for task in tasks {
        items.extend(task.await.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))??);
    }
    finished(Sorting::new(items, run), compare).await
}

async fn finished(mut sorting: Sorting, compare: Arc<Compare>) -> Result<Vec<u32>> {
    while !sorting.step(STEP, &mut |a, b| compare(a, b))? {
        tokio::task::yield_now().await;
    }
    Ok(sorting.into_items())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int32Array;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_expr::expressions::col;
    use datafusion::prelude::{SessionConfig, SessionContext};

    /// Rows of (group, text), and their ranks by code points.
    fn over(rows: &[(i32, Option<String>)], within: bool) -> RankExec {
        let schema = Arc::new(Schema::new(vec![Field::new("g", DataType::Int32, true), Field::new("t", DataType::Utf8View, true)]));
        let batches: Vec<RecordBatch> = rows
            .chunks(700)
            .map(|rows| {
                let groups: Int32Array = rows.iter().map(|(g, _)| Some(*g)).collect();
                let texts = StringViewArray::from_iter(rows.iter().map(|(_, t)| t.as_deref()));
                RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(groups), Arc::new(texts)]).expect("builds")
            })
            .collect();
        let input = MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&schema), None).expect("builds");
        let within = if within { vec![col("g", &schema).expect("exists")] } else { Vec::new() };
        let key = Key { text: col("t", &schema).expect("exists"), within, locale: "libc:C.UTF-8".into() };
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("r", DataType::Int64, true)));
        RankExec::of(input, Arc::new(vec![key]), Arc::new(Schema::new(fields)))
    }

    async fn ranks(rank: RankExec) -> Vec<Option<i64>> {
        let config = SessionConfig::new().with_target_partitions(3);
        let batches = datafusion::physical_plan::collect(Arc::new(rank), SessionContext::new_with_config(config).task_ctx()).await.expect("runs");
        batches.iter().flat_map(|b| b.column(2).as_primitive::<Int64Type>().iter().collect::<Vec<_>>()).collect()
    }

    fn rows(n: i32, groups: i32, texts: i32) -> Vec<(i32, Option<String>)> {
        (0..n).map(|i| (i % groups, (i % 11 != 3).then(|| format!("{} and more than twelve bytes", i.wrapping_mul(7919) % texts)))).collect()
    }

    #[tokio::test]
    async fn texts_get_their_places() {
        // More texts than one thread sorts, and ties.
        let rows = rows(60_000, 3, 40_000);
        let ranks = ranks(over(&rows, false)).await;
        let mut places: Vec<(&str, i64)> = Vec::new();
        for ((_, text), rank) in rows.iter().zip(&ranks) {
            match (text, rank) {
                (Some(text), Some(rank)) => places.push((text, *rank)),
                (None, None) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ranks.len(), rows.len());
        places.sort_unstable();
        assert!(places.windows(2).all(|w| (w[0].0 == w[1].0) == (w[0].1 == w[1].1) && w[0].1 <= w[1].1));
    }

    #[tokio::test]
    async fn within_many_groups() {
        let rows = rows(20_000, 5000, 40_000);
        let ranks = ranks(over(&rows, true)).await;
        for group in 0..20 {
            let mut of_group: Vec<(&str, i64)> =
                rows.iter().zip(&ranks).filter(|((g, _), _)| *g == group).filter_map(|((_, t), r)| Some((t.as_deref()?, (*r)?))).collect();
            of_group.sort_unstable();
            assert!(of_group.windows(2).all(|w| (w[0].0 == w[1].0) == (w[0].1 == w[1].1) && w[0].1 <= w[1].1));
        }
        assert!(rows.iter().zip(&ranks).all(|((_, t), r)| t.is_some() == r.is_some()));
    }

    #[tokio::test]
    async fn texts_stay_in_memory_and_rows_need_not() {
        let context = |bytes| {
            let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(bytes))).build_arc().expect("builds");
            SessionContext::new_with_config_rt(SessionConfig::new(), runtime).task_ctx()
        };
        // Many texts.
        let failed = datafusion::physical_plan::collect(Arc::new(over(&rows(60_000, 3, 40_000), false)), context(1 << 20)).await;
        assert!(matches!(failed.expect_err("is too much").find_root(), DataFusionError::ResourcesExhausted(_)));
        // Many rows of few texts.
        for within in [false, true] {
            let rows = rows(60_000, 3, 1000);
            let rank = Arc::new(over(&rows, within));
            let batches = datafusion::physical_plan::collect(Arc::clone(&rank) as _, context(1 << 20)).await.expect("runs");
            assert!(rank.metrics().and_then(|m| m.spilled_bytes()).unwrap_or(0) > 0);
            let column = |at| batches.iter().flat_map(move |b| b.column(at).as_primitive::<Int64Type>().iter().collect::<Vec<_>>());
            let texts = batches.iter().flat_map(|b| b.column(1).as_string_view().iter().collect::<Vec<_>>());
            assert!(texts.eq(rows.iter().map(|(_, t)| t.as_deref())));
            assert!(column(2).eq(ranks(over(&rows, false)).await));
        }
    }
}
