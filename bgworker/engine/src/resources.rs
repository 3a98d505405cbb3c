//! What all queries share: memory, spill space, the query runtime, the queue, and the mirrors.

use crate::control::Wishes;
use crate::mirror::Mirrors;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use tokio::sync::{Semaphore, mpsc};
use weir_plan::protocol::{EngineSettings, FromEngineControl};
use weir_plan::{Error, Result};

/// Consumers named in an out-of-memory message.
const TOP_CONSUMERS: usize = 3;

pub struct Resources {
    pub settings: EngineSettings,
    pub threads: usize,
    pub mirrors: Arc<Mirrors>,
    pub wishes: Wishes,
    /// Taken once by the control loop.
    pub wish_queue: parking_lot::Mutex<Option<mpsc::UnboundedReceiver<FromEngineControl>>>,
    pub env: Arc<RuntimeEnv>,
    pub pool: Arc<dyn MemoryPool>,
    /// First come, first served.
    pub queue: Arc<Semaphore>,
    pub queries: tokio::runtime::Runtime,
    pub running: AtomicU32,
    pub peak_memory_bytes: AtomicU64,
}

impl Resources {
    /// Builds everything from the worker's settings.
    ///
    /// # Errors
    /// An unusable storage location or spill directory.
    pub async fn new(dir: &Path, settings: EngineSettings) -> Result<Arc<Resources>> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if settings.threads == 0 { cores } else { settings.threads as usize };
        let concurrent = if settings.max_concurrent_queries == 0 { threads * 4 } else { settings.max_concurrent_queries as usize };
        let (store, prefix) = crate::mirror::storage::open(dir, &settings)?;
        // The cache is part of the limit; what it may take is not given to queries.
        let query_bytes = settings.memory_limit_bytes.saturating_sub(settings.cache_limit_bytes).max(16 << 20);
        let pool: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(
            FairSpillPool::new(usize::try_from(query_bytes).unwrap_or(usize::MAX)),
            NonZeroUsize::new(TOP_CONSUMERS).unwrap_or(NonZeroUsize::MIN),
        ));
        let spill = dir.join("tmp");
        let _ = std::fs::remove_dir_all(&spill);
        std::fs::create_dir_all(&spill).map_err(|e| Error::internal(format!("could not create directory \"{}\": {e}", spill.display())))?;
        let env = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&pool))
            .with_disk_manager_builder(
                DiskManagerBuilder::default()
                    .with_mode(DiskManagerMode::Directories(vec![spill]))
                    .with_max_temp_directory_size(settings.temp_limit_bytes),
            )
            .build_arc()
            .map_err(|e| Error::internal(e.to_string()))?;
        let queries = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("weir-query")
            .enable_all()
            .build()
            .map_err(|e| Error::internal(format!("could not start the query runtime: {e}")))?;
        let (wishes, wish_queue) = Wishes::channel();
        Ok(Arc::new(Resources {
            mirrors: Mirrors::new(store, prefix, settings.cache_limit_bytes),
            threads,
            settings,
            wishes,
            wish_queue: parking_lot::Mutex::new(Some(wish_queue)),
            env,
            pool,
            queue: Arc::new(Semaphore::new(concurrent)),
            queries,
            running: AtomicU32::new(0),
            peak_memory_bytes: AtomicU64::new(0),
        }))
    }

    /// Settings that can change while the engine runs; the worker restarts it for the others.
    pub fn reconfigure(&self, settings: EngineSettings) {
        self.mirrors.set_cache_limit(settings.cache_limit_bytes);
    }
}
