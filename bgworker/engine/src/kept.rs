//! Rows that an operator keeps until its input has ended: in memory while there is room, and in a file from then on.
//!
//! Invariants:
//! - They come out in the order in which they went in.
//! - What is in memory is on the account of the query's memory pool, what is in the file on that of the disk.

use crate::physical::compact;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::RefCountedTempFile;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use futures::{Stream, StreamExt};
use std::sync::Arc;

/// Appends a batch to a file; without one it ends it. (DataFusion's type of a file that is being written has no public name.)
type Writer = Box<dyn FnMut(Option<&RecordBatch>) -> Result<Option<RefCountedTempFile>> + Send>;

fn writer(files: &SpillManager, name: &str) -> Result<Writer> {
    let mut file = files.create_in_progress_file(name)?;
    Ok(Box::new(move |batch| match batch {
        Some(batch) => file.append_batch(batch).map(|()| None),
        None => file.finish(),
    }))
}

pub struct Kept {
    files: SpillManager,
    held: Vec<RecordBatch>,
    file: Option<Writer>,
    reservation: MemoryReservation,
    name: &'static str,
}

impl Kept {
    pub fn new(name: &'static str, schema: SchemaRef, task: &TaskContext, metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            files: SpillManager::new(task.runtime_env(), SpillMetrics::new(metrics, partition), schema),
            held: Vec::new(),
            file: None,
            reservation: MemoryConsumer::new(name).with_can_spill(true).register(task.memory_pool()),
            name,
        }
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.files.schema())
    }

    /// # Errors
    /// There is no room in memory, and the disk space for queries is used up.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = compact(batch)?;
        if self.file.is_none() {
            if self.reservation.try_grow(bytes_of(&batch)?).is_ok() {
                self.held.push(batch);
                return Ok(());
            }
            self.write_out()?;
        }
        self.append(&batch)
    }

    /// Lets go of the memory.
    ///
    /// # Errors
    /// The disk space for queries is used up.
    pub fn write_out(&mut self) -> Result<()> {
        for batch in std::mem::take(&mut self.held) {
            self.append(&batch)?;
        }
        self.reservation.free();
        Ok(())
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(writer(&self.files, self.name)?),
        };
        file(Some(batch)).map(|_| ())
    }

    /// All rows, if none of them is in a file.
    pub fn in_memory(&self) -> Option<&[RecordBatch]> {
        self.file.is_none().then_some(self.held.as_slice())
    }

    pub fn into_stream(self) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + use<>> {
        let Self { files, held, file, reservation, .. } = self;
        let written = match file {
            Some(mut file) => file(None)?.map(|file| files.read_spill_as_stream(file, None)).transpose()?,
            None => None,
        };
        let held = held.into_iter().map(move |batch| {
            reservation.shrink(bytes_of(&batch)?.min(reservation.size()));
            Ok(batch)
        });
        Ok(futures::stream::iter(written).flatten().chain(futures::stream::iter(held)))
    }
}

/// What the rows take: batches of one row group share its buffers.
pub fn bytes_of(batch: &RecordBatch) -> Result<usize> {
    let mut bytes = 0;
    for column in batch.columns() {
        bytes += column.to_data().get_slice_memory_size()?;
        bytes += match column.data_type() {
            DataType::Utf8View => column.as_string_view().total_buffer_bytes_used(),
            DataType::BinaryView => column.as_binary_view().total_buffer_bytes_used(),
            _ => 0,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int32Array, StringViewArray};
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use futures::TryStreamExt;

    #[tokio::test]
    async fn rows_come_back_in_order_from_memory_and_file() {
        let schema = Arc::new(Schema::new(vec![Field::new("i", DataType::Int32, true), Field::new("t", DataType::Utf8View, true)]));
        let batch = |n: i32| {
            let texts = StringViewArray::from_iter((0..100).map(|i| (i % 7 != 0).then(|| format!("a text of some length {n}"))));
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int32Array::from(vec![n; 100])), Arc::new(texts)]).expect("builds")
        };
        for (memory, spills) in [(1 << 30, false), (1 << 14, true)] {
            let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(memory))).build_arc().expect("builds");
            let task = SessionContext::new_with_config_rt(SessionConfig::new(), runtime).task_ctx();
            let metrics = ExecutionPlanMetricsSet::new();
            let mut kept = Kept::new("test", Arc::clone(&schema), &task, &metrics, 0);
            (0..50).for_each(|n| kept.push(&batch(n)).expect("keeps"));
            assert_eq!(kept.in_memory().is_none(), spills);
            assert_eq!(metrics.clone_inner().spilled_bytes().unwrap_or(0) > 0, spills);
            let back: Vec<RecordBatch> = kept.into_stream().expect("reads").try_collect().await.expect("reads");
            assert!(back.iter().cloned().eq((0..50).map(batch)));
            assert_eq!(task.memory_pool().reserved(), 0);
        }
    }
}
