//! The control socket: changes and orders from the background worker, wishes to it.
//!
//! Invariants:
//! - Messages are handled strictly in the order of arrival, so a commit is applied after its changes.
//! - Writing to the worker never blocks the application of changes: wishes go through a queue with its own task.

use crate::mirror::Event;
use crate::resources::Resources;
use std::collections::HashMap;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use weir_plan::protocol::{ALIVE_INTERVAL, FrameReader, FromEngineControl, LogLevel, ManifestOutcome, ToEngineControl, encode_frame};
use weir_plan::{Error, Result, arrow_ipc};

/// How often the delta is looked at for flushing.
const FLUSH_INTERVAL: Duration = Duration::from_secs(2);

/// How long a flush may take before the memory that changes take meanwhile is limited.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// Takes over the inherited descriptor.
#[allow(unsafe_code)]
pub fn adopt(fd: i32) -> Result<UnixStream, String> {
    if fd < 3 {
        return Err(format!("--control-fd {fd} is not a descriptor handed over by the worker"));
    }
    // SAFETY: the worker passes an open socket under this number and nobody else in this process uses it.
    Ok(unsafe { UnixStream::from_raw_fd(fd) })
}

/// Reads one frame before the runtime exists.
pub fn read_blocking(stream: &mut UnixStream) -> Result<Vec<u8>> {
    let io_error = |e: std::io::Error| Error::internal(format!("control socket: {e}"));
    let mut head = [0; 4];
    stream.read_exact(&mut head).map_err(io_error)?;
    let len = u32::from_le_bytes(head) as usize;
    if len > weir_plan::protocol::MAX_FRAME_BYTES {
        return Err(Error::internal(format!("control socket: frame of {len} bytes")));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).map_err(io_error)?;
    Ok(body)
}

/// Sends wishes to the worker from anywhere in the engine.
#[derive(Clone)]
pub struct Wishes {
    queue: mpsc::UnboundedSender<FromEngineControl>,
}

impl Wishes {
    /// Queues a wish; lost only if the worker is gone, and then so are we.
    pub fn send(&self, message: FromEngineControl) {
        let _ = self.queue.send(message);
    }

    pub fn warn(&self, message: String) {
        tracing::warn!("{message}");
        self.send(FromEngineControl::Log { level: LogLevel::Warning, message });
    }

    pub fn channel() -> (Wishes, mpsc::UnboundedReceiver<FromEngineControl>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (Wishes { queue }, receiver)
    }
}

/// Runs until the worker closes the socket or orders a shutdown.
pub async fn run(stream: UnixStream, resources: Arc<Resources>, wishes: mpsc::UnboundedReceiver<FromEngineControl>) -> Result<()> {
    let io_error = |e: std::io::Error| Error::internal(format!("control socket: {e}"));
    stream.set_nonblocking(true).map_err(io_error)?;
    say(stream.try_clone().map_err(io_error)?, wishes).map_err(io_error)?;
    let mut reader = tokio::net::UnixStream::from_std(stream).map_err(io_error)?;
    let pending: Arc<parking_lot::Mutex<HashMap<u64, oneshot::Sender<ManifestOutcome>>>> = Arc::default();
    let flusher = tokio::spawn(flush_regularly(Arc::clone(&resources), Arc::clone(&pending)));
    let mut frames = FrameReader::default();
    let mut buffer = vec![0; 1 << 18];
    let result = 'all: loop {
        let read = tokio::select! {
            read = reader.read(&mut buffer) => read,
            () = resources.finished.notified() => break Ok(()),
        };
        let n = match read {
            Ok(0) => break Ok(()),
            Ok(n) => n,
            Err(e) => break Err(io_error(e)),
        };
        frames.push(&buffer[..n]);
        loop {
            match frames.message::<ToEngineControl>() {
                Ok(None) => break,
                Ok(Some(ToEngineControl::Shutdown)) => break 'all Ok(()),
                Ok(Some(ToEngineControl::ManifestCommitted { token, outcome })) => {
                    if let Some(waiter) = pending.lock().remove(&token) {
                        let _ = waiter.send(outcome);
                    }
                }
                Ok(Some(message)) => {
                    if let Err(e) = handle(message, &resources).await {
                        break 'all Err(e);
                    }
                }
                Err(e) => break 'all Err(e),
            }
        }
    };
    flusher.abort();
    result
}

/// Sends wishes to the worker, on a thread of its own: whatever else the engine does, the worker hears of it, or it would take it for hung.
fn say(stream: UnixStream, mut wishes: mpsc::UnboundedReceiver<FromEngineControl>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let talk = async move {
        let Ok(mut writer) = tokio::net::UnixStream::from_std(stream) else { return };
        loop {
            let message = match tokio::time::timeout(ALIVE_INTERVAL, wishes.recv()).await {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(_) => FromEngineControl::Alive,
            };
            let Ok(frame) = encode_frame(&message) else { continue };
            if writer.write_all(&frame).await.is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("weir-say".into()).spawn(move || runtime.block_on(talk)).map(|_| ())
}

async fn handle(message: ToEngineControl, resources: &Arc<Resources>) -> Result<()> {
    let mirrors = &resources.mirrors;
    match message {
        ToEngineControl::Configure(settings) => {
            if resources.reconfigure(settings)? {
                let resources = Arc::clone(resources);
                tokio::spawn(async move {
                    resources.drain().await;
                    resources.finished.notify_one();
                });
            }
        }
        ToEngineControl::Load { mirror, lsn } => mirrors.load(*mirror, lsn).await,
        ToEngineControl::Drop { relid } => mirrors.drop_mirror(relid).await,
        ToEngineControl::Changes { relid, generation, xid, ipc, poisoned } => {
            mirrors.changes(relid, generation, xid, arrow_ipc::from_bytes(ipc)?, &poisoned)?;
        }
        ToEngineControl::Truncate { relid, generation, xid } => mirrors.truncate(relid, generation, xid)?,
        ToEngineControl::AddColumns { relid, generation, columns } => report(mirrors.add_columns(relid, generation, columns).await, resources),
        ToEngineControl::Commit { transactions, end_lsn, .. } => report(mirrors.commit(&transactions, end_lsn).await, resources),
        ToEngineControl::Abort { xid } => mirrors.abort(xid),
        ToEngineControl::Invalidate { relid, reason } => mirrors.invalidate(relid, &reason).await,
        ToEngineControl::CaughtUp { lsn, time_us } => report(mirrors.caught_up(lsn, time_us).await, resources),
        ToEngineControl::ManifestCommitted { .. } | ToEngineControl::Shutdown => {}
    }
    Ok(())
}

/// Passes on what the mirrors noticed while they applied changes.
pub fn report(events: Vec<Event>, resources: &Resources) {
    for event in events {
        match event {
            Event::Resync { relid, generation, reason } => resources.wishes.send(FromEngineControl::Resync { relid, generation, reason }),
        }
    }
}

/// Ends a task with what it watches.
struct Watch(tokio::task::JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Until the result is dropped, changes that cannot be written do not fill the memory: a storage that does not answer is no error for long.
fn bound_deltas(resources: &Arc<Resources>) -> Watch {
    let resources = Arc::clone(resources);
    Watch(tokio::spawn(async move {
        let why = Error::internal("writing takes too long");
        loop {
            tokio::time::sleep(WRITE_PATIENCE).await;
            report(resources.mirrors.give_up_beyond(resources.settings().memory_limit_bytes, &why).await, &resources);
        }
    }))
}

/// Flushes the deltas to segments and lets the worker commit the manifest, one proposal at a time.
async fn flush_regularly(resources: Arc<Resources>, pending: Arc<parking_lot::Mutex<HashMap<u64, oneshot::Sender<ManifestOutcome>>>>) {
    let mut token = 0u64;
    // Once the worker reports progress it has sent every mirror there is.
    if resources.mirrors.progress().changed().await.is_ok() {
        match resources.mirrors.collect_orphans().await {
            Ok(0) => {}
            Ok(n) => tracing::info!("deleting {n} segments that no mirror uses"),
            Err(e) => resources.wishes.warn(format!("could not look for unused segments: {e}")),
        }
        match resources.mirrors.abort_uploads().await {
            Ok(0) => {}
            Ok(n) => tracing::info!("aborted {n} uploads that were never finished"),
            Err(e) => resources.wishes.warn(format!("could not abort unfinished uploads: {e}")),
        }
    }
    // Why segments cannot be written.
    let mut failing: Option<String> = None;
    loop {
        let _ = tokio::time::timeout(FLUSH_INTERVAL, resources.mirrors.flush_wanted()).await;
        let flushed = {
            let _bound = bound_deltas(&resources);
            resources.mirrors.flush(false).await
        };
        let proposal = match flushed {
            Ok(Some(proposal)) => proposal,
            Ok(None) => continue,
            Err(e) => {
                let error = Some(e.to_string());
                if failing != error {
                    resources.wishes.warn(format!("could not write segments, which is tried again: {e}"));
                    resources.wishes.send(FromEngineControl::Storage { error: error.clone() });
                    failing = error;
                }
                report(resources.mirrors.give_up_beyond(resources.settings().memory_limit_bytes, &e).await, &resources);
                tokio::time::sleep(FLUSH_INTERVAL).await;
                continue;
            }
        };
        if failing.take().is_some() {
            resources.wishes.send(FromEngineControl::Storage { error: None });
        }
        token += 1;
        let (done, committed) = oneshot::channel();
        pending.lock().insert(token, done);
        resources.wishes.send(FromEngineControl::CommitManifest { token, changes: proposal.changes.clone(), slot_lsn: proposal.slot_lsn });
        let outcome = {
            let _bound = bound_deltas(&resources);
            committed.await.unwrap_or(ManifestOutcome::Refused)
        };
        report(resources.mirrors.manifest_committed(proposal, outcome).await, &resources);
    }
}
