//! The custom scan that brings an engine's answer into the executor.
//!
//! Invariants:
//! - The plan node holds values only ([`Private`]); sockets and batches belong to the state and die with the query's memory context.
//! - If the engine fails before its first row, the child plan runs instead; after that, an error is an error.

mod exec;
mod run;
pub mod slot;

pub use exec::{text, texts};
pub use run::{Run, evaluate};

use pgrx::pg_sys;
use serde::{Deserialize, Serialize};
use std::ffi::CStr;
use weir_plan::ir::{ServerRef, Session};
use weir_plan::types::PgType;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Asks the engine; child 0 is the standard plan.
    Single,
    /// Runs child 0, whose leaf asks the engine; child 1 is the standard plan.
    Root,
    /// Asks the engine on behalf of a root.
    Leaf,
}

/// What a plan node carries, as bytes in `custom_private`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Private {
    pub mode: Mode,
    /// A cursor: the data are pinned when it is opened, not when it is first read.
    pub start_early: bool,
    /// A parameter may raise an error that Postgres perhaps would not meet.
    pub params_may_fail: bool,
    /// The encoded `weir_plan::ir::Plan`.
    pub plan: Vec<u8>,
    pub output: Vec<PgType>,
    pub params: Vec<PgType>,
    pub session: Session,
    /// It reads mirrors: the transaction must allow it, and they must be fresh.
    pub mirrors: bool,
    /// The tables whose mirrors are scanned.
    pub relids: Vec<u32>,
    pub remotes: Vec<RemotePart>,
    /// What is not done by a remote server, and why.
    pub kept: Vec<String>,
    /// What is called, by OID: the executor checks who may, for functions that it calls itself.
    pub functions: Vec<u32>,
}

/// A remote statement of a plan, for EXPLAIN and for the way to its server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemotePart {
    pub server: ServerRef,
    pub name: String,
    pub sql: String,
    /// About how many rows it returns, if anything is known of its tables.
    pub rows: Option<u64>,
}

impl Private {
    pub fn encode(&self) -> weir_plan::Result<Vec<u8>> {
        postcard::to_stdvec(self).map_err(|e| weir_plan::Error::internal(format!("could not encode the plan node: {e}")))
    }

    /// # Safety
    /// `scan` must be a custom scan of ours.
    pub unsafe fn of(scan: *const pg_sys::CustomScan) -> weir_plan::Result<Private> {
        // SAFETY: `wrap` put one bytea constant there, never toasted.
        let bytes = unsafe {
            let constant = pg_sys::list_nth((*scan).custom_private, 0).cast::<pg_sys::Const>();
            pgrx::varlena_to_byte_slice((*constant).constvalue.cast_mut_ptr::<pg_sys::varlena>())
        };
        postcard::from_bytes(bytes).map_err(|e| weir_plan::Error::internal(format!("could not decode the plan node: {e}")))
    }
}

/// The name by which a stored plan finds the methods again.
pub const NAME: &CStr = c"Weir";

struct ScanMethods(pg_sys::CustomScanMethods);
// SAFETY: function pointers and a static string, never changed.
unsafe impl Sync for ScanMethods {}
static SCAN_METHODS: ScanMethods = ScanMethods(pg_sys::CustomScanMethods { CustomName: NAME.as_ptr(), CreateCustomScanState: Some(exec::create_state) });

struct ExecMethods(pg_sys::CustomExecMethods);
// SAFETY: as above.
unsafe impl Sync for ExecMethods {}
static EXEC_METHODS: ExecMethods = ExecMethods(pg_sys::CustomExecMethods {
    CustomName: NAME.as_ptr(),
    BeginCustomScan: Some(exec::begin),
    ExecCustomScan: Some(exec::exec),
    EndCustomScan: Some(exec::end),
    ReScanCustomScan: Some(exec::rescan),
    MarkPosCustomScan: None,
    RestrPosCustomScan: None,
    EstimateDSMCustomScan: None,
    InitializeDSMCustomScan: None,
    ReInitializeDSMCustomScan: None,
    InitializeWorkerCustomScan: None,
    ShutdownCustomScan: None,
    ExplainCustomScan: Some(exec::explain),
});

/// The methods of plan nodes.
pub fn methods() -> *const pg_sys::CustomScanMethods {
    &raw const SCAN_METHODS.0
}

/// Makes the methods known; called once from `_PG_init`.
pub fn register() {
    // SAFETY: the methods are static.
    unsafe { pg_sys::RegisterCustomScanMethods(methods()) };
}
