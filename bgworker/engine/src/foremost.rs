//! The rows that may be among the first by a text under a locale ([`weir_lower::Foremost`]).
//!
//! As many texts as rows are wanted are kept, the foremost of all seen; rows behind the last of them are left out as they come, and again
//! from what has been kept whenever that has doubled.
//!
//! Invariants:
//! - What passes is all that ties with the last text or comes before it, of each partition by itself.
//! - Rows that are kept are on the account of the query's memory pool.

use crate::physical::compact;
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use std::any::Any;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use weir_collate::Collator;
use weir_lower::Foremost;
use weir_lower::error::refused;

/// So many rows are kept before any is looked at again.
const FEW_ROWS: usize = 16_384;

#[derive(Debug)]
pub struct ForemostExec {
    input: Arc<dyn ExecutionPlan>,
    text: Arc<dyn PhysicalExpr>,
    locale: String,
    descending: bool,
    nulls_first: bool,
    rows: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ForemostExec {
    pub fn try_new(foremost: &Foremost, input: Arc<dyn ExecutionPlan>, text: Arc<dyn PhysicalExpr>) -> Result<Self> {
        Collator::open(&foremost.locale).map_err(refused)?;
        let Foremost { locale, descending, nulls_first, rows, .. } = foremost.clone();
        Ok(Self { properties: properties(&input), input, text, locale, descending, nulls_first, rows, metrics: ExecutionPlanMetricsSet::new() })
    }
}

/// Nothing is given out before the input has ended.
fn properties(input: &Arc<dyn ExecutionPlan>) -> Arc<PlanProperties> {
    let known = input.properties();
    Arc::new(PlanProperties::new(known.equivalence_properties().clone(), known.output_partitioning().clone(), EmissionType::Final, known.boundedness))
}

impl DisplayAs for ForemostExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForemostExec: {} of {} by {}", self.rows, self.text, self.locale)
    }
}

impl ExecutionPlan for ForemostExec {
    fn name(&self) -> &'static str {
        "ForemostExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(Arc::new(Self {
            properties: properties(&input),
            input,
            text: Arc::clone(&self.text),
            locale: self.locale.clone(),
            descending: self.descending,
            nulls_first: self.nulls_first,
            rows: self.rows,
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::LowerEqual
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        Ok(self.input.partition_statistics(partition)?.to_inexact())
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut input = self.input.execute(partition, Arc::clone(&task))?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut first = First {
            text: Arc::clone(&self.text),
            collator: Collator::open(&self.locale).map_err(refused)?,
            descending: self.descending,
            nulls_first: self.nulls_first,
            wanted: self.rows,
            best: Vec::new(),
            kept: Vec::new(),
            kept_rows: 0,
            look_again_at: FEW_ROWS.max(4 * self.rows),
            reservation: MemoryConsumer::new("first rows by text").register(task.memory_pool()),
        };
        let batches = futures::stream::once(async move {
            while let Some(batch) = input.next().await {
                first.add(&batch?)?;
            }
            first.look_again()?;
            let First { kept, reservation, .. } = first;
            Ok::<_, datafusion::common::DataFusionError>(futures::stream::iter(kept.into_iter().map(move |batch| {
                reservation.shrink(batch.get_array_memory_size().min(reservation.size()));
                Ok(batch)
            })))
        })
        .try_flatten()
        .inspect_ok(move |batch: &RecordBatch| metrics.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

struct First {
    text: Arc<dyn PhysicalExpr>,
    collator: Arc<Collator>,
    descending: bool,
    nulls_first: bool,
    wanted: usize,
    /// At most as many texts as are wanted, in order.
    best: Vec<String>,
    kept: Vec<RecordBatch>,
    kept_rows: usize,
    look_again_at: usize,
    reservation: MemoryReservation,
}

impl First {
    fn order(&self, a: &str, b: &str) -> Result<Ordering> {
        let order = self.collator.compare(a, b).map_err(refused)?;
        Ok(if self.descending { order.reverse() } else { order })
    }

    /// How a text compares with the last one wanted, if there are as many.
    fn against_last(&self, text: &str) -> Result<Option<Ordering>> {
        match self.best.last() {
            Some(last) if self.best.len() >= self.wanted => self.order(text, last).map(Some),
            _ => Ok(None),
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.keep(batch, true)?;
        if self.kept_rows >= self.look_again_at {
            self.look_again()?;
            self.look_again_at = FEW_ROWS.max(4 * self.wanted).max(2 * self.kept_rows);
        }
        Ok(())
    }

    fn insert(&mut self, text: &str) -> Result<()> {
        let (mut from, mut to) = (0, self.best.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let Some(other) = self.best.get(middle) else { break };
            if self.order(text, other)?.is_lt() {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        self.reservation.try_grow(text.len() + size_of::<String>())?;
        self.best.insert(from.min(self.best.len()), text.to_owned());
        if self.best.len() > self.wanted
            && let Some(last) = self.best.pop()
        {
            self.reservation.shrink((last.len() + size_of::<String>()).min(self.reservation.size()));
        }
        Ok(())
    }

    /// Keeps the rows of a batch that may be among the first, as far as is known. `new`: their texts have not been seen before.
    fn keep(&mut self, batch: &RecordBatch, new: bool) -> Result<()> {
        let texts = self.text.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(texts) = texts.as_string_view_opt() else { return internal_err!("the first rows by {}", texts.data_type()) };
        let mut passes = Vec::with_capacity(texts.len());
        for text in texts {
            let Some(text) = text else {
                passes.push(self.nulls_first || self.best.len() < self.wanted);
                continue;
            };
            let order = self.against_last(text)?;
            if new && order.is_none_or(Ordering::is_lt) {
                self.insert(text)?;
            }
            passes.push(order.is_none_or(Ordering::is_le));
        }
        let rows = compact(&filter_record_batch(batch, &BooleanArray::from(passes))?)?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if let Err(e) = self.reservation.try_grow(rows.get_array_memory_size()) {
            if !new {
                return Err(e);
            }
            // Many of those that have been kept are known not to be among the first by now.
            self.look_again()?;
            return self.keep(&rows, false);
        }
        self.kept_rows += rows.num_rows();
        self.kept.push(rows);
        Ok(())
    }

    fn look_again(&mut self) -> Result<()> {
        self.kept_rows = 0;
        for batch in std::mem::take(&mut self.kept) {
            self.reservation.shrink(batch.get_array_memory_size().min(self.reservation.size()));
            self.keep(&batch, false)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::StringViewArray;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_expr::expressions::col;
    use datafusion::prelude::SessionContext;

    /// What of these texts passes, sorted.
    async fn passed(texts: &[Option<String>], rows: usize, descending: bool, nulls_first: bool) -> Vec<Option<String>> {
        let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8View, true)]));
        let batch = |texts: &[Option<String>]| {
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringViewArray::from_iter(texts.iter().map(Option::as_deref)))]).expect("builds")
        };
        let input = MemorySourceConfig::try_new_exec(&[texts.chunks(1000).map(batch).collect()], Arc::clone(&schema), None).expect("builds");
        let foremost = ForemostExec {
            properties: properties(&(Arc::clone(&input) as Arc<dyn ExecutionPlan>)),
            input,
            text: col("t", &schema).expect("exists"),
            locale: "libc:C.UTF-8".into(),
            descending,
            nulls_first,
            rows,
            metrics: ExecutionPlanMetricsSet::new(),
        };
        let batches = datafusion::physical_plan::collect(Arc::new(foremost), SessionContext::new().task_ctx()).await.expect("runs");
        let mut passed: Vec<Option<String>> =
            batches.iter().flat_map(|b| b.column(0).as_string_view().iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>()).collect();
        passed.sort_unstable();
        passed
    }

    #[tokio::test]
    async fn the_first_rows_and_their_ties_pass() {
        // The worst order comes first, so that all rows are kept at first.
        let texts: Vec<Option<String>> = (0..50_000).rev().map(|i| (i % 100 != 7).then(|| format!("{:06}", i / 3))).collect();
        let mut known: Vec<String> = texts.iter().flatten().cloned().collect();
        known.sort_unstable();
        for (rows, descending) in [(1, false), (10, false), (500, false), (10, true)] {
            let last = if descending { known[known.len() - rows].clone() } else { known[rows - 1].clone() };
            let expected: Vec<Option<String>> = known.iter().filter(|t| if descending { **t >= last } else { **t <= last }).cloned().map(Some).collect();
            assert_eq!(passed(&texts, rows, descending, false).await, expected, "{rows} {descending}");
            let with_nulls = passed(&texts, rows, descending, true).await;
            assert_eq!(with_nulls.iter().filter(|t| t.is_none()).count(), 500);
        }
    }

    #[tokio::test]
    async fn fewer_rows_than_wanted_all_pass() {
        let texts: Vec<Option<String>> = vec![Some("b".into()), None, Some("a".into())];
        assert_eq!(passed(&texts, 5, false, false).await, [None, Some("a".into()), Some("b".into())]);
    }
}
