//! Functions of the server that pgrx does not bind, or that are needed as plain C function pointers.

use pgrx::pg_sys;
use std::ffi::{c_char, c_int};

unsafe extern "C-unwind" {
    pub fn LogicalDecodingProcessRecord(ctx: *mut pg_sys::LogicalDecodingContext, record: *mut pg_sys::XLogReaderState);
    pub fn read_local_xlog_page(
        state: *mut pg_sys::XLogReaderState,
        page: pg_sys::XLogRecPtr,
        len: c_int,
        target: pg_sys::XLogRecPtr,
        buffer: *mut c_char,
    ) -> c_int;
    pub fn wal_segment_open(state: *mut pg_sys::XLogReaderState, segment: pg_sys::XLogSegNo, timeline: *mut pg_sys::TimeLineID);
    /// What a foreign scan answers an Append that does not wait for it.
    pub fn ExecAsyncRequestDone(request: *mut pg_sys::AsyncRequest, result: *mut pg_sys::TupleTableSlot);
    pub fn ExecAsyncRequestPending(request: *mut pg_sys::AsyncRequest);
    /// Signal handlers of the server.
    pub fn die(signal: c_int);
    pub fn SignalHandlerForConfigReload(signal: c_int);
    /// Unguarded: its errors reach the client with everything they carry.
    pub fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        query_string: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        params: pg_sys::ParamListInfo,
        query_env: *mut pg_sys::QueryEnvironment,
        dest: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
    pub fn standard_ExecutorStart(desc: *mut pg_sys::QueryDesc, eflags: c_int);
    pub fn standard_ExecutorEnd(desc: *mut pg_sys::QueryDesc);
    pub fn standard_planner(
        parse: *mut pg_sys::Query,
        query_string: *const c_char,
        cursor_options: c_int,
        bound_params: pg_sys::ParamListInfo,
    ) -> *mut pg_sys::PlannedStmt;
    #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
    pub fn pg_plan_query(
        query: *mut pg_sys::Query,
        query_string: *const c_char,
        cursor_options: c_int,
        params: pg_sys::ParamListInfo,
    ) -> *mut pg_sys::PlannedStmt;
    #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
    pub fn ExplainOnePlan(
        plan: *mut pg_sys::PlannedStmt,
        into: *mut pg_sys::IntoClause,
        es: *mut pg_sys::ExplainState,
        query_string: *const c_char,
        params: pg_sys::ParamListInfo,
        query_env: *mut pg_sys::QueryEnvironment,
        duration: *const pg_sys::instr_time,
        usage: *const pg_sys::BufferUsage,
    );
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    pub fn standard_ExplainOneQuery(
        query: *mut pg_sys::Query,
        cursor_options: c_int,
        into: *mut pg_sys::IntoClause,
        es: *mut pg_sys::ExplainState,
        query_string: *const c_char,
        params: pg_sys::ParamListInfo,
        query_env: *mut pg_sys::QueryEnvironment,
    );
    pub fn ExecScan(node: *mut pg_sys::ScanState, access: pg_sys::ExecScanAccessMtd, recheck: pg_sys::ExecScanRecheckMtd) -> *mut pg_sys::TupleTableSlot;
    pub fn wal_segment_close(state: *mut pg_sys::XLogReaderState);
}
