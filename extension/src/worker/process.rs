//! What the background processes of the extension have in common: registration, signals, waiting.

use super::{raw, timetravel};
use pgrx::pg_sys;
use std::ffi::{CStr, c_char};
use std::time::Duration;

pub const LIBRARY: &CStr = c"pg_weir";

/// A background worker to register; see `BackgroundWorker` in `bgworker.h`.
pub struct Spec<'a> {
    pub name: &'a str,
    pub kind: &'a str,
    pub function: &'a CStr,
    pub argument: pg_sys::Datum,
    pub extra: &'a [u8],
    /// Seconds, or BGW_NEVER_RESTART.
    pub restart_time: i32,
    /// Gets a signal when the state changes.
    pub notify_pid: i32,
}

impl Spec<'_> {
    pub fn build(&self) -> pg_sys::BackgroundWorker {
        let mut worker = pg_sys::BackgroundWorker {
            bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION).cast_signed(),
            bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
            bgw_restart_time: self.restart_time,
            bgw_main_arg: self.argument,
            bgw_notify_pid: self.notify_pid,
            ..pg_sys::BackgroundWorker::default()
        };
        fill(&mut worker.bgw_name, self.name.as_bytes());
        fill(&mut worker.bgw_type, self.kind.as_bytes());
        fill(&mut worker.bgw_library_name, LIBRARY.to_bytes());
        fill(&mut worker.bgw_function_name, self.function.to_bytes());
        fill(&mut worker.bgw_extra, self.extra);
        worker
    }

    /// Registers it with the running postmaster. `None`: all `max_worker_processes` are in use.
    pub fn start(&self) -> Option<*mut pg_sys::BackgroundWorkerHandle> {
        let mut worker = self.build();
        let mut handle = std::ptr::null_mut();
        // SAFETY: the registration is copied; the handle is palloc'ed in a context that outlives the process's work.
        unsafe {
            let previous = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let started = pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, &raw mut handle);
            pg_sys::MemoryContextSwitchTo(previous);
            started.then_some(handle)
        }
    }
}

/// Copies bytes into a zero-terminated array, cut if they are too long.
#[allow(clippy::cast_possible_wrap, reason = "c_char is a byte")]
fn fill(target: &mut [c_char], source: &[u8]) {
    let room = target.len().saturating_sub(1);
    for (t, s) in target.iter_mut().zip(source.iter().take(room)) {
        *t = *s as c_char;
    }
}

/// The signals as background processes of the server handle them: SIGTERM ends at the next check for interrupts, SIGHUP asks for the
/// configuration to be read.
pub fn set_up_signals() {
    // SAFETY: the first thing a background worker does; the handlers are the server's own.
    unsafe {
        set_signal(libc::SIGHUP, raw::SignalHandlerForConfigReload);
        set_signal(libc::SIGTERM, raw::die);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

#[cfg(not(feature = "pg18"))]
unsafe fn set_signal(signal: i32, handler: unsafe extern "C-unwind" fn(i32)) {
    // SAFETY: the handler is one of the server's.
    unsafe { pg_sys::pqsignal(signal, Some(handler)) };
}

#[cfg(feature = "pg18")]
unsafe fn set_signal(signal: i32, handler: unsafe extern "C-unwind" fn(i32)) {
    // SAFETY: the handler is one of the server's.
    unsafe { pg_sys::pqsignal_be(signal, Some(handler)) };
}

/// Reads the configuration if a SIGHUP asked for it.
pub fn reload_configuration() -> bool {
    // SAFETY: on the main thread, outside of a signal handler.
    unsafe {
        if pg_sys::ConfigReloadPending == 0 {
            return false;
        }
        pg_sys::ConfigReloadPending = 0;
        pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
    }
    true
}

/// Waits for the latch, for events of a socket, or for the time to pass; serves interrupts. Gives the events that came.
pub fn wait(socket: Option<i32>, socket_events: u32, timeout: Duration) -> u32 {
    let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: MyLatch is this process's latch; the socket is open.
    let woken = unsafe {
        match socket {
            Some(fd) => pg_sys::WaitLatchOrSocket(pg_sys::MyLatch, (events | socket_events).cast_signed(), fd, timeout, pg_sys::PG_WAIT_EXTENSION),
            None => pg_sys::WaitLatch(pg_sys::MyLatch, events.cast_signed(), timeout, pg_sys::PG_WAIT_EXTENSION),
        }
    }
    .cast_unsigned();
    if woken & pg_sys::WL_LATCH_SET != 0 {
        // SAFETY: as above.
        unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
    }
    end_if_asked();
    pgrx::check_for_interrupts!();
    woken
}

/// SIGTERM while nothing is done is an ordinary end, and no FATAL in the log. (Elsewhere the check for interrupts ends the process.)
fn end_if_asked() {
    // SAFETY: plain reads of this process's state; proc_exit does not return, and what Rust owns ends with the process.
    unsafe {
        if pg_sys::ProcDiePending == 0 || pg_sys::InterruptHoldoffCount != 0 || pg_sys::CritSectionCount != 0 || pg_sys::MyBgworkerEntry.is_null() {
            return;
        }
        // One that the postmaster is to start again must not end with success.
        pg_sys::proc_exit(i32::from((*pg_sys::MyBgworkerEntry).bgw_restart_time != pg_sys::BGW_NEVER_RESTART));
    }
}

/// Runs `f` in a transaction of its own with an active snapshot. An error of Postgres passes through and leaves the transaction open,
/// which ends the process.
pub fn transaction<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: not in a transaction; started and committed here.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        timetravel::enter_present();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
    }
    let result = f();
    // SAFETY: as above.
    unsafe {
        pg_sys::PopActiveSnapshot();
        pg_sys::CommitTransactionCommand();
    }
    result
}

/// Settings of the database or of the configuration file that must not reach what a background process does.
pub fn fix_settings() {
    let fixed: [(&CStr, &CStr); 10] = [
        (c"role", c"none"),
        (c"search_path", c"pg_catalog, pg_temp"),
        // A manifest that is reported as committed must survive a crash; waiting for standbys adds nothing, since a promoted one copies anew.
        (c"synchronous_commit", c"local"),
        (c"default_transaction_isolation", c"read committed"),
        (c"default_transaction_read_only", c"off"),
        (c"statement_timeout", c"0"),
        (c"lock_timeout", c"0"),
        (c"row_security", c"off"),
        (c"jit", c"off"),
        (c"weir.enabled", c"off"),
    ];
    for (name, value) in fixed {
        // SAFETY: both are C strings; the settings exist.
        unsafe {
            pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_OVERRIDE);
        }
    }
}
