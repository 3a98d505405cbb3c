//! What all queries share: memory, spill space, the query runtime, the queue, and the mirrors.

use crate::constants::ForgetConstants;
use crate::control::Wishes;
use crate::cross_joins::CarefulCrossJoins;
use crate::dependencies::NoDependencies;
use crate::fenced::Fenced;
use crate::filters::CarefulFilters;
use crate::gathered::GatherAgain;
use crate::groups::CarefulGroups;
use crate::join_keys::CollectJoinKeys;
use crate::limits::LimitsAboveSorts;
use crate::mirror::Mirrors;
use crate::outer_joins::ReduceOuterJoins;
use crate::plain_keys::PlainKeys;
use crate::planner::Planner;
use crate::pool::{self, Cache, QueryPool, SharedPool};
use crate::prepared::Prepared;
use crate::raising::FenceRaising;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};
use weir_plan::protocol::{EngineSettings, FromEngineControl};
use weir_plan::{Error, Result};

/// The least memory that queries have, whatever the settings say.
const MIN_MEMORY_BYTES: u64 = 32 << 20;

/// How long running queries may go on when a changed setting needs a new engine.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Stack of a thread that runs queries: plans are trees, and what walks them recurses. Only what is used is real memory.
const QUERY_STACK_BYTES: usize = 16 << 20;

pub struct Resources {
    settings: parking_lot::Mutex<EngineSettings>,
    pub mirrors: Arc<Mirrors>,
    /// The embedded DuckDB.
    #[cfg(feature = "duckdb")]
    pub duck: crate::duck::Duck,
    /// Clients of remote engines, with their connections.
    pub clients: weir_fdw::client::Clients,
    pub wishes: Wishes,
    /// Taken once by the control loop.
    pub wish_queue: parking_lot::Mutex<Option<mpsc::UnboundedReceiver<FromEngineControl>>>,
    /// What every query is planned with.
    pub state: SessionState,
    pub prepared: Arc<Prepared>,
    env: parking_lot::Mutex<Arc<RuntimeEnv>>,
    pub pool: Arc<SharedPool>,
    /// First come, first served.
    pub queue: Arc<Semaphore>,
    /// Places in the queue.
    places: parking_lot::Mutex<usize>,
    /// Only a handle: who drops the last reference may be a task, and a runtime must not be dropped by one.
    pub queries: tokio::runtime::Handle,
    pub running: AtomicU32,
    pub waiting: AtomicU32,
    /// The engine ends as soon as nothing runs.
    draining: AtomicBool,
    /// Told when draining is over.
    pub finished: tokio::sync::Notify,
    spill: std::path::PathBuf,
}

/// The runtime of the queries. It belongs to `main`.
///
/// # Errors
/// Threads cannot be started.
pub fn query_runtime(settings: &EngineSettings) -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(thread_count(settings))
        .thread_name("weir-query")
        .thread_stack_size(QUERY_STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|e| Error::internal(format!("could not start the query runtime: {e}")))
}

fn thread_count(settings: &EngineSettings) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if settings.threads == 0 { cores } else { settings.threads as usize }
}

fn place_count(settings: &EngineSettings) -> usize {
    if settings.max_concurrent_queries == 0 { thread_count(settings) * 4 } else { settings.max_concurrent_queries as usize }
}

fn limits(settings: &EngineSettings) -> (u64, u64) {
    (settings.memory_limit_bytes.max(MIN_MEMORY_BYTES), settings.cache_limit_bytes)
}

/// What operators need beside memory: files, within the limit of the disk space for all queries together.
fn environment(spill: &Path, settings: &EngineSettings) -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new()
        .with_disk_manager_builder(
            DiskManagerBuilder::default()
                .with_mode(DiskManagerMode::Directories(vec![spill.to_owned()]))
                .with_max_temp_directory_size(settings.temp_limit_bytes),
        )
        .build_arc()
        .map_err(|e| Error::internal(e.to_string()))
}

impl Resources {
    /// Builds everything from the worker's settings.
    ///
    /// # Errors
    /// An unusable storage location or spill directory.
    pub async fn new(dir: &Path, settings: EngineSettings, queries: tokio::runtime::Handle) -> Result<Arc<Resources>> {
        let storage = crate::mirror::storage::open(dir, &settings)?;
        let spill = dir.join("tmp");
        let _ = std::fs::remove_dir_all(&spill);
        std::fs::create_dir_all(&spill).map_err(|e| Error::internal(format!("could not create directory \"{}\": {e}", spill.display())))?;
        let env = environment(&spill, &settings)?;
        let (wishes, wish_queue) = Wishes::channel();
        let (limit, cache) = limits(&settings);
        let mirrors = Mirrors::new(storage, cache, limit, (spill.clone(), settings.temp_limit_bytes));
        let places = place_count(&settings);
        Ok(Arc::new(Resources {
            state: session_state(&settings, Arc::clone(&env)),
            prepared: Arc::default(),
            pool: SharedPool::new(limit, cache, Arc::clone(&mirrors) as Arc<dyn Cache>),
            mirrors,
            settings: parking_lot::Mutex::new(settings),
            #[cfg(feature = "duckdb")]
            duck: crate::duck::Duck::default(),
            clients: weir_fdw::client::Clients::default(),
            wishes,
            wish_queue: parking_lot::Mutex::new(Some(wish_queue)),
            env: parking_lot::Mutex::new(env),
            queue: Arc::new(Semaphore::new(places)),
            places: parking_lot::Mutex::new(places),
            queries,
            running: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            finished: tokio::sync::Notify::new(),
            spill,
        }))
    }

    /// What one query runs with: its own account of the shared memory.
    pub fn task(&self) -> (Arc<TaskContext>, Arc<QueryPool>) {
        let pool = QueryPool::new(Arc::clone(&self.pool));
        let env = RuntimeEnv { memory_pool: Arc::clone(&pool) as Arc<_>, ..self.env.lock().as_ref().clone() };
        // A physical plan holds its functions itself; none is looked up by name.
        let (session, config) = (self.state.session_id().to_owned(), self.state.config().clone());
        (Arc::new(TaskContext::new(None, session, config, HashMap::new(), HashMap::new(), HashMap::new(), Arc::new(env))), pool)
    }

    pub fn settings(&self) -> EngineSettings {
        self.settings.lock().clone()
    }

    /// Threads that run queries.
    #[cfg(feature = "duckdb")]
    pub fn threads(&self) -> usize {
        thread_count(&self.settings.lock())
    }

    #[cfg(feature = "duckdb")]
    pub fn spill_directory(&self) -> &Path {
        &self.spill
    }

    /// What operators have in files at the moment.
    #[cfg(feature = "duckdb")]
    pub fn spilled_bytes(&self) -> u64 {
        self.env.lock().disk_manager.used_disk_space()
    }

    /// Whether no query may start any more.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Follows changed settings. `true`: some of them need a new engine, and this one is to end by [`Resources::drain`].
    ///
    /// # Errors
    /// The spill directory cannot be used.
    pub fn reconfigure(&self, new: EngineSettings) -> Result<bool> {
        let old = std::mem::replace(&mut *self.settings.lock(), new.clone());
        let (limit, cache) = limits(&new);
        self.pool.set_limits(limit, cache);
        self.mirrors.set_limits(limit, new.temp_limit_bytes);
        if old.temp_limit_bytes != new.temp_limit_bytes {
            *self.env.lock() = environment(&self.spill, &new)?;
        }
        let mut places = self.places.lock();
        let wanted = place_count(&new);
        if wanted > *places {
            self.queue.add_permits(wanted - *places);
            *places = wanted;
        }
        // Fewer places, other threads, another storage: those who run keep what they have.
        Ok(wanted < *places || old.threads != new.threads || old.storage != new.storage || old.storage_options != new.storage_options)
    }

    /// Lets what runs come to its end. Queries that come meanwhile run in Postgres.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while self.running.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Nothing is looked up by name in it: plans arrive with their functions resolved, so none are registered.
fn session_state(settings: &EngineSettings, env: Arc<RuntimeEnv>) -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(thread_count(settings)).with_information_schema(false);
    let options = config.options_mut();
    // Postgres resolved every type; nothing may be changed silently.
    options.execution.collect_statistics = false;
    // It drops the group of NULL: `SELECT DISTINCT a ... ORDER BY a DESC LIMIT 3` lost a row.
    options.optimizer.enable_topk_aggregation = false;
    options.optimizer.prefer_existing_sort = true;
    // Lists of join keys for remote statements.
    options.optimizer.hash_join_inlist_pushdown_max_distinct_values = crate::keys::MAX_KEYS;
    options.optimizer.hash_join_inlist_pushdown_max_size = options.optimizer.hash_join_inlist_pushdown_max_size.max(1 << 20);
    // What a sort keeps for merging what it spilled has to be there even when memory is short.
    let memory = usize::try_from(limits(settings).0).unwrap_or(usize::MAX);
    options.execution.sort_spill_reservation_bytes = options.execution.sort_spill_reservation_bytes.min(memory / pool::SMALL_PART / 2);
    // LimitPushdown of DataFusion 53 merges an outer OFFSET into a LIMIT below a cross join and loses rows; the logical rule, which
    // turns sorts into top-k, stays.
    let rules = PhysicalOptimizer::new().rules.into_iter().filter(|rule| rule.name() != "LimitPushdown").map(Fenced::replacing);
    let ours: [Arc<dyn PhysicalOptimizerRule + Send + Sync>; 2] = [Arc::new(ForgetConstants), Arc::new(LimitsAboveSorts)];
    let mut rules: Vec<_> = ours.into_iter().chain(rules).collect();
    let after = rules.iter().position(|rule| rule.name() == GatherAgain::AFTER).map_or(rules.len(), |at| at + 1);
    rules.insert(after, Arc::new(GatherAgain));
    let before = rules.iter().position(|rule| rule.name() == CollectJoinKeys::BEFORE).unwrap_or(rules.len());
    rules.insert(before, Arc::new(CollectJoinKeys));
    rules.insert(before, Arc::new(FenceRaising));
    let mut logical: Vec<_> = Optimizer::new()
        .rules
        .into_iter()
        .map(PlainKeys::replacing)
        .map(CarefulFilters::replacing)
        .map(CarefulGroups::replacing)
        .map(CarefulCrossJoins::replacing)
        .map(NoDependencies::replacing)
        .collect();
    let after = logical.iter().position(|rule| rule.name() == ReduceOuterJoins::AFTER).map_or(logical.len(), |at| at + 1);
    logical.insert(after, Arc::new(ReduceOuterJoins));
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(env)
        .with_optimizer_rules(logical)
        .with_query_planner(Arc::new(Planner))
        .with_physical_optimizer_rules(rules)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::Kind;

    fn settings() -> EngineSettings {
        EngineSettings {
            memory_limit_bytes: 64 << 20,
            cache_limit_bytes: 16 << 20,
            temp_limit_bytes: 0,
            threads: 1,
            max_concurrent_queries: 1,
            storage: String::new(),
            storage_options: vec![],
        }
    }

    async fn resources(name: &str) -> (Arc<Resources>, std::path::PathBuf) {
        let dir = std::env::temp_dir().join(format!("weir_resources_{name}_{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("creates");
        (Resources::new(&dir, settings(), tokio::runtime::Handle::current()).await.expect("resources"), dir)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_is_an_error_of_one_query() {
        let (resources, dir) = resources("panic").await;
        let broken = crate::query::guarded(&resources, async { if resources_are_there() { panic!("broken invariant") } else { Ok(1) } }).await;
        let error = broken.expect_err("panicked");
        assert_eq!((error.kind, error.detail.as_deref()), (Kind::Internal, Some("broken invariant")));
        assert_eq!(crate::query::guarded(&resources, async { Ok(2) }).await, Ok(2));
        std::fs::remove_dir_all(dir).expect("removes");
    }

    fn resources_are_there() -> bool {
        std::env::args().count() > 0
    }

    #[tokio::test]
    async fn settings_that_need_a_new_engine_are_told_from_others() {
        let (resources, dir) = resources("settings").await;
        let with = |change: &dyn Fn(&mut EngineSettings)| {
            let mut new = settings();
            change(&mut new);
            new
        };
        assert_eq!(resources.reconfigure(with(&|s| s.memory_limit_bytes = 128 << 20)), Ok(false));
        assert_eq!(resources.reconfigure(with(&|s| s.temp_limit_bytes = 1 << 20)), Ok(false));
        assert_eq!(resources.reconfigure(with(&|s| s.max_concurrent_queries = 3)), Ok(false));
        assert_eq!(resources.queue.available_permits(), 3);
        assert_eq!(resources.reconfigure(with(&|s| s.threads = 2)), Ok(true));
        assert_eq!(resources.reconfigure(with(&|s| s.storage = "s3://bucket".into())), Ok(true));
        std::fs::remove_dir_all(dir).expect("removes");
    }
}
