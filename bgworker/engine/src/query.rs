//! One query: lowered over a pinned snapshot, planned, executed on the query runtime, streamed to the backend.

use crate::branches;
use crate::output::Output;
use crate::physical::{Stop, runnable};
use crate::place::Place;
use crate::pool::QueryPool;
use crate::prepared::Planned;
use crate::remote::{Sources, passed_on, returned};
use crate::resources::Resources;
use crate::serve::Writer;
use crate::spilling::{plain_groups, spills_views};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use futures::{FutureExt, StreamExt};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use weir_lower::error::to_error;
use weir_plan::ir::{Embedded, Plan, Rel, Scalar};
use weir_plan::manifest::Lsn;
use weir_plan::protocol::{Endpoint, FromEngine, Metrics, RemoteMetrics};
use weir_plan::{Error, Kind, Result, arrow_ipc};

/// Answers that may wait for the backend to read; more would only cost memory.
const QUEUED_ANSWERS: usize = 4;

/// Runs on the query runtime; a panic there is an error of this query alone. Dropping the future stops the work.
pub async fn guarded<T: Send + 'static>(resources: &Resources, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let task = AbortOnDrop(resources.queries.spawn(AssertUnwindSafe(work).catch_unwind()));
    match task.await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let what = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(Error::internal("the engine failed on this query").with_detail(what.unwrap_or_default()))
        }
        Err(e) => Err(Error::internal(format!("the query task ended: {e}"))),
    }
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        self.0.poll_unpin(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How the aggregations of a plan hold texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    /// As is fastest in memory.
    Views,
    /// As is best to spill.
    Plain,
}

async fn plan(resources: &Arc<Resources>, bytes: &[u8], plan: &Plan, params: Option<&[Scalar]>, remotes: Vec<Endpoint>, texts: Texts) -> Result<Planned> {
    let snapshot = resources.mirrors.snapshot();
    let cut = crate::duck::cut(plan, &snapshot)?;
    // A prepared plan does not know how its remote servers are reached, and DuckDB's reads one snapshot.
    if cut.is_none()
        && texts == Texts::Views
        && remotes.is_empty()
        && let Some(planned) = resources.prepared.take(bytes)
        && snapshot.rebind(&planned.bindings).await?
    {
        return Ok(Planned { snapshot_lsn: snapshot.lsn(), ..planned });
    }
    let (plan, duck) = cut.as_ref().map_or((plan, Vec::new()), |c| (&c.plan, c.scans.clone()));
    let sources = Sources { snapshot: &snapshot, resources, remotes, duck };
    let lowered = weir_lower::lower_plan(plan, params, &sources).map_err(|e| to_error(&e))?;
    let physical = match texts {
        Texts::Views => resources.state.create_physical_plan(&lowered.plan).await,
        Texts::Plain => planned_plain(resources, &lowered.plan).await,
    };
    let physical = physical.map_err(|e| to_error(&e))?;
    Ok(Planned { physical, columns: lowered.columns, snapshot_lsn: snapshot.lsn(), bindings: snapshot.bindings() })
}

async fn planned_plain(resources: &Resources, plan: &LogicalPlan) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
    let optimised = resources.state.optimize(plan)?;
    let plain = plain_groups(optimised.clone())?.unwrap_or(optimised);
    resources.state.query_planner().create_physical_plan(&plain, &resources.state).await
}

/// Checks that the engine can answer the plan; with `explain`, the physical plan as text.
pub async fn prepare(resources: &Arc<Resources>, bytes: &[u8], explain: bool) -> Result<Option<String>> {
    let decoded = Plan::decode(bytes)?;
    if !decoded.params.is_empty() {
        // Without the values of its parameters a plan cannot become physical; what that would refuse falls back when it runs.
        let snapshot = resources.mirrors.snapshot();
        let cut = crate::duck::cut(&decoded, &snapshot)?;
        let (decoded, duck) = cut.as_ref().map_or((&decoded, Vec::new()), |c| (&c.plan, c.scans.clone()));
        let sources = Sources { snapshot: &snapshot, resources, remotes: Vec::new(), duck };
        let lowered = weir_lower::lower_plan(decoded, None, &sources).map_err(|e| to_error(&e))?;
        let optimised = resources.state.optimize(&lowered.plan).map_err(|e| to_error(&e))?;
        return Ok(explain.then(|| optimised.display_indent().to_string()));
    }
    let planned = plan(resources, bytes, &decoded, None, Vec::new(), Texts::Views).await?;
    let text = explain.then(|| displayable(planned.physical.as_ref()).indent(false).to_string());
    if decoded.session.engine == Embedded::DataFusion {
        resources.prepared.keep(bytes.to_vec(), planned);
    }
    Ok(text)
}

/// What the query task hands to the connection.
enum Piece {
    Started { schema: Vec<u8>, columns: Vec<(u32, Option<u32>)>, snapshot_lsn: Lsn },
    Batch { ipc: arrow_ipc::Piece, rows: u64 },
}

/// Executes and streams; the caller sends the final answer.
pub async fn execute(resources: &Arc<Resources>, bytes: Vec<u8>, params: Vec<Scalar>, remotes: Vec<Endpoint>, writer: &mut Writer) -> Result<Metrics> {
    let started = Instant::now();
    if resources.is_draining() {
        return Err(Error::refused("the engine is about to start anew"));
    }
    // One statement is only passed on.
    let place = if matches!(Plan::decode(&bytes)?.root, Rel::Remote(_)) { Place::not_needed(resources) } else { Place::wait(resources).await? };
    let (sender, mut pieces) = mpsc::channel(QUEUED_ANSWERS);
    let stop = Stop::default();
    let _stop = stop.when_dropped();
    let work = guarded(resources, {
        // They end with the work itself, not with who waits for it: what was cancelled may take a moment to stop.
        let (resources, running) = (Arc::clone(resources), Running::new(resources));
        async move {
            let _running = running;
            run(resources, bytes, params, remotes, (sender, place), stop).await
        }
    });
    tokio::pin!(work);
    let mut rows = 0;
    let mut finished = None;
    loop {
        tokio::select! {
            biased;
            piece = pieces.recv() => match piece {
                Some(Piece::Started { schema, columns, snapshot_lsn }) => writer.send(&FromEngine::Started { schema, columns, snapshot_lsn }).await?,
                Some(Piece::Batch { ipc, rows: n }) => {
                    rows += n;
                    writer.send_batch(&ipc).await?;
                }
                None => break,
            },
            result = &mut work, if finished.is_none() => finished = Some(result),
        }
    }
    let used = match finished {
        Some(result) => result?,
        None => work.await?,
    };
    Ok(Metrics {
        rows,
        elapsed_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        peak_memory_bytes: used.peak_memory_bytes,
        spilled_bytes: used.spilled_bytes,
        remotes: used.remotes,
        explain: None,
    })
}

/// So many rows are computed before the first is sent, if there are as many.
const HELD_ROWS: usize = 4096;

/// And as many more as come within this time and space. Arrow's own bytes, which nobody accounts for, so they are few.
const HELD_TIME: Duration = Duration::from_secs(2);
const HELD_BYTES: usize = 32 << 20;

/// What a query took.
struct Used {
    peak_memory_bytes: u64,
    spilled_bytes: u64,
    remotes: Vec<RemoteMetrics>,
}

fn spilled_bytes(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|m| m.spilled_bytes()).unwrap_or(0) as u64;
    own + plan.children().into_iter().map(|child| spilled_bytes(child.as_ref())).sum::<u64>()
}

/// Stands in what DataFusion says where files are as large as they may be.
const DISK: &str = "disk space";

fn failed(e: &DataFusionError) -> Error {
    match to_error(e) {
        e if e.kind == Kind::OutOfMemory && e.detail.as_deref().is_some_and(|detail| detail.contains(DISK)) => {
            Error { detail: Some("What queries have in files has reached weir.temp_limit.".to_owned()), ..e }
                .with_hint("Raise weir.temp_limit or weir.memory_limit.")
        }
        e if e.kind == Kind::OutOfMemory => e.with_hint("Raise weir.memory_limit or weir.temp_limit."),
        e => e,
    }
}

/// An error before the first batch. Hash tables of joins cannot spill here, those of Postgres can, so what needs memory runs there;
/// what needs more disk than `weir.temp_limit` is an error.
fn failed_at_start(e: &DataFusionError) -> Error {
    match failed(e) {
        e if e.kind == Kind::OutOfMemory && !e.detail.as_deref().is_some_and(|detail| detail.contains("weir.temp_limit")) => {
            Error { detail: e.detail, hint: e.hint, ..Error::refused("the query needs more memory than weir.memory_limit leaves it") }
        }
        e => e,
    }
}

/// A query whose first rows are there.
struct Begun {
    physical: Arc<dyn ExecutionPlan>,
    pool: Arc<QueryPool>,
    stream: SendableRecordBatchStream,
    columns: Vec<(u32, Option<u32>)>,
    snapshot_lsn: Lsn,
    held: Vec<RecordBatch>,
    ended: bool,
}

/// Plans, and computes the first rows. `Ok(None)`: the plan with [`Texts::Plain`] does better.
async fn begin(resources: &Arc<Resources>, bytes: &[u8], params: &[Scalar], remotes: Vec<Endpoint>, stop: &Stop, texts: Texts) -> Result<Option<Begun>> {
    let fail = |e: DataFusionError| failed_at_start(&e);
    let may_wait = remotes.is_empty();
    let Planned { physical, columns, snapshot_lsn, .. } = plan(resources, bytes, &Plan::decode(bytes)?, Some(params), remotes, texts).await?;
    let physical = match passed_on(&physical).map_err(fail)? {
        Some(leaf) => leaf,
        None => runnable(physical, stop).map_err(fail)?,
    };
    let (task, pool) = resources.task();
    if texts == Texts::Views && spills_views(physical.as_ref()) {
        pool.end_groups();
    }
    let rows = async {
        // A recursion may be given up, which is no matter only as long as no row has left.
        weir_lower::settle(&physical, &task).await?;
        // A remote server need not wait for the turn of its branch.
        let mut stream = if may_wait { branches::start(&physical, &task)? } else { execute_stream(Arc::clone(&physical), task)? };
        // The first rows are awaited before anything is promised: an error before them lets the query run in Postgres. Of a small answer
        // those are all, whose parts may come in any order. What remote servers send is better passed on.
        let (mut held, mut rows, mut bytes, mut ended) = (Vec::new(), 0, 0, false);
        let until = Instant::now() + HELD_TIME;
        while !ended && (rows < HELD_ROWS || may_wait && bytes < HELD_BYTES && Instant::now() < until) {
            match stream.next().await.transpose()? {
                Some(batch) => {
                    rows += batch.num_rows();
                    bytes += batch.get_array_memory_size();
                    held.push(batch);
                }
                None => ended = true,
            }
        }
        Ok((stream, held, ended))
    };
    let begun = rows.await;
    let gave_up = pool.spill_groups();
    match begun {
        Err(_) if gave_up => Ok(None),
        // Its error is yet to come.
        Ok((.., false)) if gave_up => Ok(None),
        Err(e) => Err(fail(e)),
        Ok((stream, held, ended)) => Ok(Some(Begun { physical, pool, stream, columns, snapshot_lsn, held, ended })),
    }
}

async fn run(
    resources: Arc<Resources>,
    bytes: Vec<u8>,
    params: Vec<Scalar>,
    remotes: Vec<Endpoint>,
    to: (mpsc::Sender<Piece>, Place),
    stop: Stop,
) -> Result<Used> {
    let (sender, mut place) = to;
    let begun = match begin(&resources, &bytes, &params, remotes.clone(), &stop, Texts::Views).await? {
        Some(begun) => Some(begun),
        None => begin(&resources, &bytes, &params, remotes, &stop, Texts::Plain).await?,
    };
    let Some(Begun { physical, pool, mut stream, columns, snapshot_lsn, held, ended }) = begun else {
        return Err(Error::internal("a plan made to spill was given up"));
    };
    let (mut output, schema) = Output::start(&physical.schema())?;
    let head = Piece::Started { schema, columns, snapshot_lsn };
    place.send(&sender, head).await?;
    let mut held = held.into_iter();
    loop {
        let next = match held.next() {
            Some(batch) => Some(batch),
            None if ended => None,
            None => stream.next().await.transpose().map_err(|e| failed(&e))?,
        };
        let Some(batch) = next else { break };
        for piece in output.encode(&batch) {
            let (ipc, rows) = piece?;
            place.send(&sender, Piece::Batch { ipc, rows }).await?;
        }
    }
    let mut remotes = Vec::new();
    returned(&physical, &mut remotes);
    Ok(Used { peak_memory_bytes: pool.peak_bytes(), spilled_bytes: spilled_bytes(physical.as_ref()), remotes })
}

/// Counts a running query.
struct Running(Arc<Resources>);

impl Running {
    fn new(resources: &Arc<Resources>) -> Self {
        resources.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(resources))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
