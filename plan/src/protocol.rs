//! The messages of the engine's sockets.
//!
//! Two sockets, one framing. The *query socket* (a Unix socket in the engine's 0700 directory) takes backends and copy workers; the
//! *control socket* (a socket pair made at spawn) joins the background worker and the engine. A frame is a little-endian `u32` length of
//! what follows, then a postcard-encoded [`ToEngine`], [`FromEngine`], [`ToEngineControl`] or [`FromEngineControl`].
//!
//! Invariants:
//! - The first frame of each side, of either socket, is its greeting (`greeting.rs`); peers of other builds do not talk to each other.
//! - Closing a connection cancels what runs on it. There is no cancel message.
//! - Arrow data travel as pieces of one IPC stream per answer: the schema with [`FromEngine::Started`], one record batch per [`FromEngine::Batch`].
//! - Frames are at most [`MAX_FRAME_BYTES`] long; a longer one ends the connection.

use crate::error::{Error, Result};
use crate::ir::RemoteColumn;
use crate::ir::{Scalar, ServerRef};
use crate::manifest::{ColumnDef, Lsn, ManifestChange, MirrorDef, PgSnapshot};
use crate::types::PgType;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::time::Duration;

/// The file in the engine's directory that says why it could not start.
pub const FAILURE_FILE: &str = "engine.failed";

/// Bound of one frame, both ways.
pub const MAX_FRAME_BYTES: usize = 256 << 20;

/// What rows may take in one message, beside what else is in it.
pub const MAX_MESSAGE_BYTES: usize = MAX_FRAME_BYTES - (1 << 20);

/// How fresh the data must be that a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freshness {
    /// Everything committed up to this position.
    Lsn(Lsn),
    /// Everything that was committed this long ago; if that is not yet applied, everything up to `lsn`.
    MaxLag { millis: u64, lsn: Lsn },
    /// Whatever is applied.
    Any,
}

/// From a backend or copy worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToEngine {
    /// Checks that the plan can be answered. Answer: [`FromEngine::Prepared`] or an error.
    Prepare { plan: Vec<u8>, explain: bool },
    /// Answer: `Started`, `Batch`…, `Done`; or an error at any point.
    /// `remotes`: how each remote server of the plan is reached.
    Execute { plan: Vec<u8>, params: Vec<Scalar>, freshness: Freshness, freshness_timeout_ms: u64, query_id: u64, remotes: Vec<Endpoint> },
    /// The tables of a schema of a remote server. Answer: [`FromEngine::Catalog`].
    RemoteCatalog { remote: Box<Endpoint>, schema: String },
    /// Runs a statement on a remote server as it is. Answer: `Done` with the number of rows it changed.
    RemoteExecute { remote: Box<Endpoint>, sql: String },
    /// Runs a query on a remote server as it is. Answer: as for `Execute`, with one column of jsonb text.
    RemoteQuery { remote: Box<Endpoint>, sql: String },
    /// Work on a remote server in the transaction that belongs to this connection and that server, which is begun if it is not open. What is
    /// open when the connection closes is rolled back. Answer: `Done`, for a query after `Started` and `Batch`….
    Transact {
        remote: Box<Endpoint>,
        isolation: Isolation,
        /// What happens to savepoints before the work.
        points: Vec<Point>,
        work: Work,
    },
    /// Commits every transaction of this connection, of each after these points. Answer: `Done` or an error, after which some may be committed.
    TransactCommit { points: Vec<(Endpoint, Vec<Point>)> },
    /// A copy worker announces its snapshot, taken at `lsn` (WAL insert position right after). Answer: [`FromEngine::CopyGo`].
    CopyBegin { relid: u32, generation: i64, snapshot: PgSnapshot, lsn: Lsn },
    /// One record batch (a whole IPC stream with schema) in the physical columns of the mirror. No answer; the socket gives back-pressure.
    /// `poisoned`: columns in which this batch has a value that Arrow cannot hold exactly.
    CopyBatch {
        #[serde(with = "crate::bytes")]
        ipc: Vec<u8>,
        poisoned: Vec<i16>,
    },
    /// All rows are sent. Answer: [`FromEngine::CopyDone`] once they are in segments.
    CopyEnd,
    /// Wait until everything committed up to `lsn` is applied to all mirrors (`weir.sync`). Answer: `Done` or an error.
    Sync { lsn: Lsn, timeout_ms: u64 },
    /// Figures for the views. Answer: [`FromEngine::Status`].
    Status,
    /// Closes idle connections to a remote server by its OID, or to all, and has those in use closed when they become idle. Answer: `Done` with
    /// their number.
    Forget { server: Option<u32> },
}

/// To a backend or copy worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromEngine {
    Prepared {
        explain: Option<String>,
    },
    /// The data are fresh enough and pinned. `schema`: the head of the IPC stream. For each output column, the index of the physical
    /// column with its values, and of that with its display scales if it is a dynamic numeric.
    Started {
        schema: Vec<u8>,
        columns: Vec<(u32, Option<u32>)>,
        snapshot_lsn: Lsn,
    },
    Batch {
        #[serde(with = "crate::bytes")]
        ipc: Vec<u8>,
    },
    Done {
        metrics: Metrics,
    },
    /// `retry`: a transaction that this snapshot does not see was already decoded: take another snapshot.
    CopyGo {
        retry: bool,
    },
    CopyDone,
    Status(Box<EngineStatus>),
    Catalog(Vec<CatalogTable>),
    Error(Error),
}

/// How a remote server is reached. Options may be secrets: they are never printed.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    pub server: ServerRef,
    /// Name of the server, for messages.
    pub name: String,
    /// Name of the engine in the registry.
    pub engine: String,
    /// Those of the server and of the user mapping.
    pub options: Vec<(String, String)>,
    /// The mapping is a superuser's: the server may let it in by other means than a password.
    pub trusted: bool,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("server", &self.server).field("name", &self.name).field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// What a remote transaction sees of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// A savepoint of a remote transaction, by the nesting level of the local subtransaction for which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    Set(u32),
    Release(u32),
    /// What was done since is undone, and the savepoint is gone.
    RollBack(u32),
}

/// What is done in a remote transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Begins the transaction, if it is not open.
    Open,
    /// A statement, as it is; `count`: a query for the number of rows that it is about to change, where the engine does not tell.
    Execute { sql: String, count: Option<String> },
    /// A query; it sees what the transaction has written.
    Query { sql: String, columns: Vec<RemoteColumn> },
    /// Rows to be written: one record batch (a whole IPC stream) with the physical columns of `target.columns`.
    Write {
        target: Box<WriteTarget>,
        #[serde(with = "crate::bytes")]
        ipc: Vec<u8>,
    },
}

/// What becomes of the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// `skip_conflicts`: ON CONFLICT DO NOTHING.
    Insert { skip_conflicts: bool },
    /// The row with the old key, which the last columns have, gets the values of those before.
    Update,
    /// All columns are the key.
    Delete,
}

/// The table that rows are written to, as the catalogs have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteTarget {
    pub change: Change,
    /// Schema and name of the foreign table, and its options, which may name another.
    pub schema: String,
    pub name: String,
    pub options: Vec<(String, String)>,
    pub columns: Vec<WriteColumn>,
    /// How many of them, at the end, are the key.
    pub keys: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteColumn {
    /// The remote name.
    pub name: String,
    pub ty: PgType,
}

/// A table of a remote server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogTable {
    pub name: String,
    pub columns: Vec<CatalogColumn>,
    /// Columns of the primary key.
    pub key: Vec<String>,
    /// The first columns of indexes, each of which finds rows by itself; those of the key's are among them.
    pub indexed: Vec<String>,
    pub rows: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogColumn {
    pub name: String,
    /// The type in SQL of Postgres; `None` if there is none that holds its values.
    pub pg_type: Option<String>,
    /// The type in the words of the remote.
    pub remote_type: String,
    pub not_null: bool,
}

/// What a remote statement returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteMetrics {
    /// Name of the server.
    pub server: String,
    pub rows: u64,
    /// Values of join keys that were sent with it; `None`: no condition was.
    pub keys: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    pub rows: u64,
    pub elapsed_us: u64,
    pub peak_memory_bytes: u64,
    pub spilled_bytes: u64,
    /// What each remote statement returned.
    pub remotes: Vec<RemoteMetrics>,
    /// Physical plan with metrics, if the query was explained.
    pub explain: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineStatus {
    pub memory_used_bytes: u64,
    pub memory_limit_bytes: u64,
    pub cache_used_bytes: u64,
    pub running_queries: u32,
    /// In the queue behind them.
    pub waiting_queries: u32,
    pub mirrors: Vec<MirrorStatus>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MirrorStatus {
    pub relid: u32,
    pub generation: i64,
    pub copying: bool,
    pub rows_copied: u64,
    pub live_rows: u64,
    pub size_bytes: u64,
    pub delta_rows: u64,
    pub segments: u32,
    pub applied_lsn: Lsn,
}

/// Settings that the worker passes on from Postgres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineSettings {
    pub memory_limit_bytes: u64,
    /// Bound of the cache of decoded columns, within the memory limit.
    pub cache_limit_bytes: u64,
    pub temp_limit_bytes: u64,
    /// 0: as many as the machine has cores.
    pub threads: u32,
    /// 0: derived from `threads`.
    pub max_concurrent_queries: u32,
    /// `weir.storage`: empty for the directory below the data directory, an absolute path, or `s3://bucket/prefix`.
    pub storage: String,
    pub storage_options: Vec<(String, String)>,
}

/// From the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToEngineControl {
    /// First message; answered by [`FromEngineControl::Ready`]. Later ones change settings that can be changed.
    Configure(EngineSettings),
    /// A mirror that starts to be followed from `lsn` (the worker's decoding position), or is loaded after a start.
    Load { mirror: Box<MirrorDef>, lsn: Lsn },
    /// A mirror that ended or starts again under another generation.
    Drop { relid: u32 },
    /// Rows of one decoded transaction, in order; visible only from its `Commit`. `ipc` is a whole IPC stream: column `op` (Int8, see [`op`]),
    /// the physical columns of the mirror, and `unchanged` (Binary, nullable): a bitmap over the mirror's columns (in order of
    /// `MirrorDef::columns`, least significant bit first) whose values were not in the log (unchanged TOAST) and are those of the row
    /// that the preceding `op::DELETE` names.
    Changes {
        relid: u32,
        generation: i64,
        xid: u32,
        #[serde(with = "crate::bytes")]
        ipc: Vec<u8>,
        poisoned: Vec<i16>,
    },
    /// All rows so far are gone (TRUNCATE), in order with the changes of this transaction.
    Truncate { relid: u32, generation: i64, xid: u32 },
    /// The mirror has these columns from now on: those that it had, and others that were added to the table, of which what is there has the
    /// value that they were added with. `Changes` may still lack them.
    AddColumns { relid: u32, generation: i64, columns: Vec<ColumnDef> },
    /// These transactions committed, in this order at these positions; their changes, all sent under the xid of the first, become visible
    /// together. Sent for every decoded transaction with changes, also of tables that are not mirrored.
    Commit { transactions: Vec<(u32, Lsn)>, end_lsn: Lsn, commit_time_us: i64 },
    /// The transaction's changes are to be forgotten.
    Abort { xid: u32 },
    /// The mirror can't be followed any further; the worker will load a new generation.
    Invalidate { relid: u32, reason: String },
    /// Everything up to `lsn` has been decoded and sent, and with it what was committed before `time_us`, by the machine's monotonic clock; if that
    /// is not given, no more is known of it than before.
    CaughtUp { lsn: Lsn, time_us: Option<i64> },
    /// What became of the manifest changes with this token.
    ManifestCommitted { token: u64, outcome: ManifestOutcome },
    /// Flush what can be flushed and exit.
    Shutdown,
}

/// What the worker did with a manifest; nothing of it, unless it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManifestOutcome {
    Committed,
    /// A generation is gone.
    Refused,
    /// A transaction that goes on has changed this table's mirror: others should not wait for it.
    Busy {
        relid: u32,
    },
}

/// Values of column `op` in [`ToEngineControl::Changes`]. An update is a `DELETE` of the old key, then an `INSERT` of the new row.
pub mod op {
    pub const INSERT: i8 = 0;
    /// Only the key columns (or, for a mirror by full row, all) are set.
    pub const DELETE: i8 = 1;
    /// The `DELETE` part of an update: as `DELETE`, and the next row is the `INSERT` that replaces it.
    pub const UPDATE_OLD: i8 = 2;
}

/// To the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromEngineControl {
    Ready {
        pid: i32,
    },
    /// Decode up to `lsn` at once and answer [`ToEngineControl::CaughtUp`].
    CatchUp {
        lsn: Lsn,
    },
    /// Commit these in one transaction, then answer; then the slot may advance to `slot_lsn`.
    CommitManifest {
        token: u64,
        changes: Vec<ManifestChange>,
        slot_lsn: Lsn,
    },
    /// The mirror can't be kept exact: copy it again.
    Resync {
        relid: u32,
        generation: i64,
        reason: String,
    },
    /// Whether segments can be written: why not, or that they can again. Sent when it changes.
    Storage {
        error: Option<String>,
    },
    Log {
        level: LogLevel,
        message: String,
    },
    /// Nothing else was to be said for [`ALIVE_INTERVAL`].
    Alive,
}

/// How often an engine says that it is alive.
pub const ALIVE_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    Info,
    Warning,
}

/// A message as a frame: length, then the encoded message.
pub fn encode_frame<T: Serialize>(message: &T) -> Result<Vec<u8>> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(|e| Error::internal(format!("could not encode a message: {e}")))?;
    let len = frame.len() - 4;
    if len > MAX_FRAME_BYTES {
        return Err(Error::internal(format!("message of {len} bytes exceeds the frame limit")));
    }
    frame[..4].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(frame)
}

/// What stands in front of the bytes of a [`FromEngine::Batch`] in its frame, if there are so many of them.
pub fn batch_frame_head(bytes: usize) -> Result<Vec<u8>> {
    let mut head = encode_frame(&FromEngine::Batch { ipc: Vec::new() })?;
    // The last byte is the length of no bytes.
    head.pop();
    let mut head = postcard::to_extend(&bytes, head).map_err(|e| Error::internal(format!("could not encode a message: {e}")))?;
    let len = head.len() - 4 + bytes;
    if len > MAX_FRAME_BYTES {
        return Err(Error::internal(format!("message of {len} bytes exceeds the frame limit")));
    }
    head[..4].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(head)
}

/// What a [`FromEngine::Batch`] begins with; a test compares it.
const BATCH: u8 = 2;
/// Bytes of a count of bytes at most.
const MAX_COUNT_BYTES: usize = 10;

/// The message in the body of a frame (without its length).
pub fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    postcard::from_bytes(body).map_err(|e| Error::internal(format!("could not decode a message: {e}")))
}

/// Takes bytes as they arrive and gives whole frames; for sockets that are read without blocking.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    start: usize,
}

impl FrameReader {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > (1 << 20) {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if it has arrived.
    ///
    /// # Errors
    /// A frame over the limit, or one that is not a message.
    pub fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let Some(body) = self.next()? else { return Ok(None) };
        let (message, len) = (decode_body(body)?, body.len());
        self.start += 4 + len;
        Ok(Some(message))
    }

    /// The body of the next whole frame, if it has arrived.
    ///
    /// # Errors
    /// A frame over the limit.
    pub fn body(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(body) = self.next()?.map(<[u8]>::to_vec) else { return Ok(None) };
        self.start += 4 + body.len();
        Ok(Some(body))
    }

    /// If what comes next is a [`FromEngine::Batch`]: how many bytes it has, and those of them that have been pushed, which are taken out. The
    /// others need not be: they follow in the stream, and can be read to where they are wanted.
    ///
    /// # Errors
    /// A frame over the limit, or one that is not a message.
    pub fn batch(&mut self) -> Result<Option<(usize, Vec<u8>)>> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        // Length, kind, and a count of bytes, the last byte of which has no mark.
        let Some((head, body)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let Some((kind, body)) = body.split_first() else { return Ok(None) };
        if *kind != BATCH || body.iter().take(MAX_COUNT_BYTES).all(|b| b & 0x80 != 0) {
            return Ok(None);
        }
        let (bytes, after): (usize, &[u8]) = postcard::take_from_bytes(body).map_err(|e| Error::internal(format!("could not decode a message: {e}")))?;
        let len = u32::from_le_bytes(*head) as usize;
        if len > MAX_FRAME_BYTES || 1 + (body.len() - after.len()) + bytes != len {
            return Err(Error::internal(format!("peer sent a frame of {len} bytes")));
        }
        let here = after.get(..bytes.min(after.len())).unwrap_or_default();
        let mut begun = Vec::with_capacity(bytes);
        begun.extend_from_slice(here);
        self.start += 4 + 1 + (body.len() - after.len()) + here.len();
        Ok(Some((bytes, begun)))
    }

    fn next(&self) -> Result<Option<&[u8]>> {
        let rest = &self.buffer[self.start..];
        let Some(head) = rest.first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_le_bytes(*head) as usize;
        if len > MAX_FRAME_BYTES {
            return Err(Error::internal(format!("peer sent a frame of {len} bytes")));
        }
        Ok(rest.get(4..4 + len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_the_same_frame_in_parts() {
        for n in [0, 1, 127, 128, 16_383, 16_384, 5_000_000] {
            let whole = encode_frame(&FromEngine::Batch { ipc: vec![7; n] }).expect("encodes");
            assert_eq!([batch_frame_head(n).expect("encodes"), vec![7; n]].concat(), whole, "{n} bytes");
        }
    }

    #[test]
    fn a_batch_can_be_read_to_where_it_is_wanted() {
        for n in [0, 1, 127, 128, 16_383, 16_384, 300_000] {
            let ipc: Vec<u8> = (0..n).map(|i| (i % 251) as u8).collect();
            let mut bytes = encode_frame(&FromEngine::CopyDone).expect("encodes");
            bytes.extend(encode_frame(&FromEngine::Batch { ipc: ipc.clone() }).expect("encodes"));
            bytes.extend(encode_frame(&FromEngine::CopyGo { retry: true }).expect("encodes"));
            for piece in [1, 3, 5, 100, 70_000] {
                let (mut reader, mut got, mut batch) = (FrameReader::default(), Vec::new(), None::<(usize, Vec<u8>)>);
                for mut chunk in bytes.chunks(piece) {
                    loop {
                        if let Some((len, begun)) = &mut batch {
                            let (own, rest) = chunk.split_at(chunk.len().min(*len - begun.len()));
                            begun.extend_from_slice(own);
                            chunk = rest;
                            if begun.len() < *len {
                                break;
                            }
                            got.extend(batch.take().map(|(_, ipc)| FromEngine::Batch { ipc }));
                        }
                        reader.push(std::mem::take(&mut chunk));
                        batch = reader.batch().expect("decodes");
                        if batch.is_none() {
                            let Some(m) = reader.message::<FromEngine>().expect("decodes") else { break };
                            got.push(m);
                        }
                    }
                }
                assert_eq!(
                    got,
                    [FromEngine::CopyDone, FromEngine::Batch { ipc: ipc.clone() }, FromEngine::CopyGo { retry: true }],
                    "{n} bytes, {piece} at a time"
                );
            }
        }
        let mut reader = FrameReader::default();
        let mut wrong = batch_frame_head(1000).expect("encodes");
        wrong[0] += 1;
        reader.push(&wrong);
        assert!(reader.batch().is_err());
    }

    #[test]
    fn frames_arrive_whole_however_they_are_cut() {
        let sent = [FromEngine::CopyDone, FromEngine::Batch { ipc: vec![7; 1000] }, FromEngine::CopyGo { retry: true }];
        let bytes: Vec<u8> = sent.iter().flat_map(|m| encode_frame(m).expect("encodes")).collect();
        for piece in [1, 3, 5, 100, 4096] {
            let mut reader = FrameReader::default();
            let mut got = Vec::new();
            for chunk in bytes.chunks(piece) {
                reader.push(chunk);
                while let Some(m) = reader.message::<FromEngine>().expect("decodes") {
                    got.push(m);
                }
            }
            assert_eq!(got, sent);
        }
    }

    #[test]
    fn an_oversized_frame_is_refused() {
        let mut reader = FrameReader::default();
        reader.push(&u32::MAX.to_le_bytes());
        assert!(reader.message::<FromEngine>().is_err());
    }
}
