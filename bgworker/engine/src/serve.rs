//! The query socket: one task per connection of a backend or copy worker.
//!
//! Invariants:
//! - The socket lies in a directory that only the server's user may enter, and the peer's user id is checked besides.
//! - A connection runs one request at a time; when the peer closes, what runs is dropped.

use crate::mirror::CopySender;
use crate::query;
use crate::resources::Resources;
use crate::transact::Transactions;
use std::io::IoSlice;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use weir_plan::greeting::{self, Peer};
use weir_plan::manifest::Lsn;
use weir_plan::protocol::{Endpoint, EngineStatus, FrameReader, Freshness, FromEngine, FromEngineControl, Metrics, ToEngine, batch_frame_head, encode_frame};
use weir_plan::{Error, Kind, Result, arrow_ipc};

/// Name of the query socket in the engine's directory.
pub const SOCKET: &str = "q.sock";

/// Serves until the worker goes away.
pub async fn run(dir: &Path, resources: Arc<Resources>, control: std::os::unix::net::UnixStream) -> Result<()> {
    let path = dir.join(SOCKET);
    let _ = std::fs::remove_file(&path);
    let io_error = |e: std::io::Error| Error::internal(format!("could not listen on \"{}\": {e}", path.display()));
    let listener = tokio::net::UnixListener::bind(&path).map_err(io_error)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(io_error)?;
    // The directory was made by the server's user, so its owner is who may connect.
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&path).map_err(io_error)?);
    let wishes = resources.wish_queue.lock().take().ok_or_else(|| Error::internal("the control loop is already running"))?;
    resources.wishes.send(FromEngineControl::Ready { pid: std::process::id().cast_signed() });
    let accepting = tokio::spawn({
        let resources = Arc::clone(&resources);
        async move {
            loop {
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(e) => {
                        tracing::warn!("accept: {e}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                if stream.peer_cred().map(|c| c.uid()).ok() != Some(owner) {
                    tracing::warn!("refused a connection of another user");
                    continue;
                }
                tokio::spawn(Connection::new(stream, Arc::clone(&resources)).serve());
            }
        }
    });
    let result = crate::control::run(control, resources, wishes).await;
    accepting.abort();
    result
}

/// The initial copy that a connection feeds. One batch is encoded while the next is received.
struct CopyIn {
    relid: u32,
    generation: i64,
    writing: Option<tokio::task::JoinHandle<Result<()>>>,
    _sender: CopySender,
}

impl CopyIn {
    /// Waits for the batch that is being written.
    async fn written(&mut self) -> Result<()> {
        match self.writing.take() {
            Some(writing) => writing.await.map_err(|e| Error::internal(format!("a batch of the copy was not written: {e}")))?,
            None => Ok(()),
        }
    }
}

/// A peer and what has been read from it.
pub struct Connection {
    reader: OwnedReadHalf,
    pub writer: Writer,
    frames: FrameReader,
    buffer: Vec<u8>,
    resources: Arc<Resources>,
}

fn gone(why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Cancelled, format!("the backend is gone: {why}"))
}

/// The sending half.
pub struct Writer(OwnedWriteHalf);

impl Writer {
    /// Sends a message; an error means that the peer is gone.
    pub async fn send(&mut self, message: &FromEngine) -> Result<()> {
        self.write(&encode_frame(message)?).await
    }

    /// Sends a batch of the answer, as [`FromEngine::Batch`].
    pub async fn send_batch(&mut self, piece: &arrow_ipc::Piece) -> Result<()> {
        let head = batch_frame_head(piece.len())?;
        let mut parts: Vec<IoSlice> = std::iter::once(head.as_slice()).chain(piece.parts()).map(IoSlice::new).collect();
        let mut rest = parts.as_mut_slice();
        while !rest.is_empty() {
            match self.0.write_vectored(rest).await {
                Ok(0) => return Err(gone("it takes nothing more")),
                Ok(n) => IoSlice::advance_slices(&mut rest, n),
                Err(e) => return Err(gone(e)),
            }
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).await.map_err(gone)
    }
}

impl Connection {
    fn new(stream: UnixStream, resources: Arc<Resources>) -> Connection {
        let (reader, writer) = stream.into_split();
        Connection { reader, writer: Writer(writer), frames: FrameReader::default(), buffer: vec![0; 1 << 16], resources }
    }

    /// The next message; `None` when the peer has closed.
    async fn receive(&mut self) -> Result<Option<ToEngine>> {
        loop {
            if let Some(message) = self.frames.message()? {
                return Ok(Some(message));
            }
            match self.reader.read(&mut self.buffer).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(n) => self.frames.push(&self.buffer[..n]),
            }
        }
    }

    /// The body of what comes first; `None` when the peer has closed.
    async fn first_frame(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(body) = self.frames.body()? {
                return Ok(Some(body));
            }
            match self.reader.read(&mut self.buffer).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(n) => self.frames.push(&self.buffer[..n]),
            }
        }
    }

    async fn serve(mut self) {
        if let Err(e) = self.requests().await {
            tracing::debug!("connection ended: {e}");
            let _ = self.writer.send(&FromEngine::Error(e)).await;
        }
    }

    async fn requests(&mut self) -> Result<()> {
        self.writer.write(&greeting::frame()).await?;
        let Some(theirs) = self.first_frame().await? else { return Ok(()) };
        if let Err(e) = greeting::check(&theirs, Peer::Extension) {
            // It has seen ours, and would not understand anything else.
            tracing::warn!("a connection was refused: {e}");
            return Ok(());
        }
        let mut copying: Option<CopyIn> = None;
        let mut transactions = Transactions::default();
        while let Some(message) = self.receive().await? {
            let answer = match message {
                ToEngine::Prepare { plan, explain } => self.prepare(plan, explain).await,
                ToEngine::Execute { plan, params, freshness, freshness_timeout_ms, remotes, .. } => {
                    self.execute(plan, params, remotes, freshness, freshness_timeout_ms).await
                }
                ToEngine::RemoteCatalog { remote, schema } => self.remote(crate::remote::catalog(&self.resources.clone(), &remote, &schema)).await,
                ToEngine::RemoteExecute { remote, sql } => self.remote(crate::remote::execute(&self.resources.clone(), &remote, &sql)).await,
                ToEngine::RemoteQuery { remote, sql } => self.remote_query(*remote, sql).await,
                ToEngine::Transact { remote, isolation, points, work } => {
                    let resources = Arc::clone(&self.resources);
                    tokio::select! {
                        result = transactions.work(&resources, *remote, isolation, points, work, &mut self.writer) => result.map(Some),
                        _ = self.reader.read(&mut self.buffer) => Err(Error::new(Kind::Cancelled, "the backend went away")),
                    }
                }
                // Whether the backend waits or not: what it asked to commit is committed.
                ToEngine::TransactCommit { points } => transactions.commit(points).await.map(Some),
                ToEngine::CopyBegin { relid, generation, snapshot, lsn } => {
                    copying = None;
                    self.resources.mirrors.copy_begin(relid, generation, snapshot, lsn).await.map(|sender| {
                        copying = sender.map(|sender| CopyIn { relid, generation, writing: None, _sender: sender });
                        Some(FromEngine::CopyGo { retry: copying.is_none() })
                    })
                }
                ToEngine::CopyBatch { ipc, poisoned } => self.copy_batch(copying.as_mut(), ipc, poisoned).await.map(|()| None),
                ToEngine::CopyEnd => self.copy_end(copying.take()).await,
                ToEngine::Sync { lsn, timeout_ms } => {
                    wait_fresh(&self.resources, Freshness::Lsn(lsn), timeout_ms).await.map(|_| Some(FromEngine::Done { metrics: Metrics::default() }))
                }
                ToEngine::Forget { server } => {
                    let rows = self.resources.clients.forget(server).await;
                    Ok(Some(FromEngine::Done { metrics: Metrics { rows, ..Metrics::default() } }))
                }
                ToEngine::Status => Ok(Some(FromEngine::Status(Box::new(self.status())))),
            };
            match answer {
                Ok(Some(answer)) => self.writer.send(&answer).await?,
                Ok(None) => {}
                Err(e) if e.kind == Kind::Cancelled => return Err(e),
                Err(e) => self.writer.send(&FromEngine::Error(e)).await?,
            }
        }
        Ok(())
    }

    async fn prepare(&mut self, plan: Vec<u8>, explain: bool) -> Result<Option<FromEngine>> {
        let resources = Arc::clone(&self.resources);
        let explain = query::guarded(&self.resources, async move { query::prepare(&resources, &plan, explain).await }).await?;
        Ok(Some(FromEngine::Prepared { explain }))
    }

    /// Runs a query while it watches the peer: a close, or anything said out of turn, ends the query.
    async fn execute(
        &mut self,
        plan: Vec<u8>,
        params: Vec<weir_plan::ir::Scalar>,
        remotes: Vec<Endpoint>,
        freshness: Freshness,
        timeout_ms: u64,
    ) -> Result<Option<FromEngine>> {
        let resources = Arc::clone(&self.resources);
        let query = async {
            wait_fresh(&resources, freshness, timeout_ms).await?;
            query::execute(&resources, plan, params, remotes, &mut self.writer).await
        };
        tokio::select! {
            result = query => result.map(|metrics| Some(FromEngine::Done { metrics })),
            _ = self.reader.read(&mut self.buffer) => Err(Error::new(Kind::Cancelled, "the backend went away")),
        }
    }

    /// Waits for a remote server while it watches the peer.
    async fn remote(&mut self, answer: impl Future<Output = Result<FromEngine>>) -> Result<Option<FromEngine>> {
        tokio::select! {
            result = answer => result.map(Some),
            _ = self.reader.read(&mut self.buffer) => Err(Error::new(Kind::Cancelled, "the backend went away")),
        }
    }

    async fn remote_query(&mut self, remote: Endpoint, sql: String) -> Result<Option<FromEngine>> {
        let resources = Arc::clone(&self.resources);
        tokio::select! {
            result = crate::remote::query(&resources, remote, sql, &mut self.writer) => result.map(Some),
            _ = self.reader.read(&mut self.buffer) => Err(Error::new(Kind::Cancelled, "the backend went away")),
        }
    }

    async fn copy_batch(&mut self, copying: Option<&mut CopyIn>, ipc: Vec<u8>, poisoned: Vec<i16>) -> Result<()> {
        let copying = copying.ok_or_else(|| Error::internal("CopyBatch before CopyBegin"))?;
        let batch = arrow_ipc::from_bytes(ipc)?;
        copying.written().await?;
        let (mirrors, relid, generation) = (Arc::clone(&self.resources.mirrors), copying.relid, copying.generation);
        copying.writing = Some(tokio::spawn(async move { mirrors.copy_batch(relid, generation, batch, &poisoned).await }));
        Ok(())
    }

    async fn copy_end(&mut self, copying: Option<CopyIn>) -> Result<Option<FromEngine>> {
        let mut copying = copying.ok_or_else(|| Error::internal("CopyEnd before CopyBegin"))?;
        copying.written().await?;
        self.resources.mirrors.copy_end(copying.relid, copying.generation).await?;
        // The mirror becomes active once decoding has passed the snapshot.
        self.resources.wishes.send(FromEngineControl::CatchUp { lsn: 0 });
        Ok(Some(FromEngine::CopyDone))
    }

    fn status(&self) -> EngineStatus {
        let r = &self.resources;
        EngineStatus {
            memory_used_bytes: r.pool.reserved() as u64,
            memory_limit_bytes: r.settings().memory_limit_bytes,
            cache_used_bytes: r.mirrors.cache_used_bytes(),
            running_queries: r.running.load(Ordering::Relaxed),
            waiting_queries: r.waiting.load(Ordering::Relaxed),
            mirrors: r.mirrors.status(),
        }
    }
}

/// Waits until what is applied is fresh enough, and lets the worker decode at once if it is not.
async fn wait_fresh(resources: &Resources, freshness: Freshness, timeout_ms: u64) -> Result<Lsn> {
    let mut progress = resources.mirrors.progress();
    let now = *progress.borrow_and_update();
    let lsn = match freshness {
        Freshness::Any => return Ok(now.lsn),
        Freshness::MaxLag { millis, lsn } => {
            let oldest = monotonic_us() - i64::try_from(millis).unwrap_or(i64::MAX / 2000).min(i64::MAX / 2000) * 1000;
            if now.time_us.is_some_and(|time| time >= oldest) || now.lsn >= lsn {
                return Ok(now.lsn);
            }
            lsn
        }
        Freshness::Lsn(lsn) => lsn,
    };
    if now.lsn >= lsn {
        return Ok(now.lsn);
    }
    resources.wishes.send(FromEngineControl::CatchUp { lsn });
    let reached = tokio::time::timeout(Duration::from_millis(timeout_ms), progress.wait_for(|p| p.lsn >= lsn)).await;
    match reached {
        Ok(Ok(p)) => Ok(p.lsn),
        Ok(Err(_)) => Err(Error::refused("the engine is shutting down")),
        Err(_) => Err(Error::refused(format!("the mirror did not catch up within {timeout_ms} ms (weir.freshness_timeout)"))),
    }
}

/// The same in all processes of a machine, and never set.
#[allow(unsafe_code)]
fn monotonic_us() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills in the time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1_000_000 + time.tv_nsec / 1000
}
