//! What all queries share: memory, spill space, the query runtime, the queue, and the mirrors.

use crate::control::Wishes;
use crate::mirror::Mirrors;
use crate::pool::ElasticPool;
use crate::prepared::Prepared;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use tokio::sync::{Semaphore, mpsc};
use weir_plan::protocol::{EngineSettings, FromEngineControl};
use weir_plan::{Error, Result};

pub struct Resources {
    pub settings: EngineSettings,
    pub mirrors: Arc<Mirrors>,
    pub wishes: Wishes,
    /// Taken once by the control loop.
    pub wish_queue: parking_lot::Mutex<Option<mpsc::UnboundedReceiver<FromEngineControl>>>,
    /// What every query is planned with.
    pub state: SessionState,
    pub prepared: Arc<Prepared>,
    pub pool: Arc<ElasticPool>,
    /// First come, first served.
    pub queue: Arc<Semaphore>,
    pub queries: tokio::runtime::Runtime,
    pub running: AtomicU32,
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
        let pool = Arc::new(ElasticPool::new(query_bytes(&settings)));
        let spill = dir.join("tmp");
        let _ = std::fs::remove_dir_all(&spill);
        std::fs::create_dir_all(&spill).map_err(|e| Error::internal(format!("could not create directory \"{}\": {e}", spill.display())))?;
        let env = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::<ElasticPool>::clone(&pool) as Arc<dyn MemoryPool>)
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

            settings,
            wishes,
            wish_queue: parking_lot::Mutex::new(Some(wish_queue)),
            state: session_state(threads, env),
            prepared: Arc::default(),
            pool,
            queue: Arc::new(Semaphore::new(concurrent)),
            queries,
            running: AtomicU32::new(0),
        }))
    }

    /// Settings that can change while the engine runs; the worker restarts it for the others.
    pub fn reconfigure(&self, settings: EngineSettings) {
        self.mirrors.set_cache_limit(settings.cache_limit_bytes);
        self.pool.set_limit(query_bytes(&settings));
    }
}

/// The cache is part of the limit; what it may take is not given to queries.
fn query_bytes(settings: &EngineSettings) -> usize {
    usize::try_from(settings.memory_limit_bytes.saturating_sub(settings.cache_limit_bytes).max(16 << 20)).unwrap_or(usize::MAX)
}

/// Nothing is looked up by name in it: plans arrive with their functions resolved, so none are registered.
fn session_state(threads: usize, env: Arc<RuntimeEnv>) -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(threads).with_information_schema(false);
    let options = config.options_mut();
    // Postgres resolved every type; nothing may be changed silently.
    options.execution.collect_statistics = false;
    // It drops the group of NULL: `SELECT DISTINCT a ... ORDER BY a DESC LIMIT 3` lost a row.
    options.optimizer.enable_topk_aggregation = false;
    options.optimizer.prefer_existing_sort = true;
    // LimitPushdown of DataFusion 53 merges an outer OFFSET into a LIMIT below a cross join and loses rows; the logical rule, which
    // turns sorts into top-k, stays.
    let rules = PhysicalOptimizer::new().rules.into_iter().filter(|rule| rule.name() != "LimitPushdown").collect();
    SessionStateBuilder::new().with_config(config).with_runtime_env(env).with_physical_optimizer_rules(rules).build()
}
