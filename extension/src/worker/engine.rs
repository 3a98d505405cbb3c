//! The engine process: started, watched and reaped by the worker.
//!
//! Invariants:
//! - The engine has the control socket as descriptor 3, /dev/null as input and output, the server's log as error output, and no other
//!   descriptor of the server. No signal handler or mask of Postgres reaches it.
//! - It dies with the worker (PR_SET_PDEATHSIG), and the kernel prefers it to the server when memory runs out.

use super::link::Link;
use super::paths;
use crate::settings;
use pgrx::pg_sys;
use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use weir_plan::protocol::{EngineSettings, ToEngineControl};

const CONTROL_FD: i32 = 3;

/// An engine that dies again and again is started at growing intervals up to this.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// One that lived this long is started again at once.
const LIVED: Duration = Duration::from_secs(30);

/// A running engine.
pub struct Engine {
    child: Child,
    pub link: Link,
}

/// Starts engines, and remembers how the last one fared.
#[derive(Default)]
pub struct Supervisor {
    started: Option<Instant>,
    not_before: Option<Instant>,
    backoff: Duration,
}

impl Supervisor {
    /// How long to wait before the next start.
    pub fn pause(&self) -> Duration {
        self.not_before.map_or(Duration::ZERO, |t| t.saturating_duration_since(Instant::now()))
    }

    /// Starts an engine and configures it.
    ///
    /// # Errors
    /// The program is missing or can't be run.
    pub fn start(&mut self, database: pg_sys::Oid) -> io::Result<Engine> {
        self.started = Some(Instant::now());
        let engine = spawn(database);
        if engine.is_err() {
            self.ended();
        }
        engine
    }

    /// To be called when an engine has ended.
    pub fn ended(&mut self) {
        let lived = self.started.is_some_and(|t| t.elapsed() > LIVED);
        if lived {
            self.backoff = Duration::ZERO;
        }
        self.not_before = Some(Instant::now() + self.backoff);
        self.backoff = if self.backoff.is_zero() { Duration::from_millis(200) } else { (self.backoff * 2).min(MAX_BACKOFF) };
    }
}

impl Engine {
    pub fn configure(&mut self) {
        self.link.send(&ToEngineControl::Configure(engine_settings()));
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Engine {
    /// Whatever the reason, the process is gone afterwards.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn engine_settings() -> EngineSettings {
    EngineSettings {
        memory_limit_bytes: settings::memory_limit_bytes(),
        cache_limit_bytes: settings::cache_limit_bytes(),
        temp_limit_bytes: settings::temp_limit_bytes(),
        threads: settings::threads(),
        max_concurrent_queries: settings::max_concurrent_queries(),
        storage: settings::storage(),
        storage_options: settings::storage_options(),
    }
}

/// `weir-engine` lies beside the extension's library.
pub fn program() -> PathBuf {
    // SAFETY: set by the postmaster before anything else; a C string.
    let directory = unsafe { CStr::from_ptr((&raw const pg_sys::pkglib_path).cast()) };
    PathBuf::from(std::ffi::OsStr::new(directory.to_str().unwrap_or_default())).join("weir-engine")
}

fn spawn(database: pg_sys::Oid) -> io::Result<Engine> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs_fd = theirs.as_raw_fd();
    let parent = std::process::id().cast_signed();
    let mut command = Command::new(program());
    command
        .arg("--dir")
        .arg(paths::database_dir(database))
        .arg("--control-fd")
        .arg(CONTROL_FD.to_string())
        // Its allocator keeps freed pages for a second, and asks for huge ones: a query's hash tables are the next query's.
        .env("MIMALLOC_PURGE_DELAY", "1000")
        .env("MIMALLOC_ALLOW_LARGE_OS_PAGES", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0);
    // SAFETY: the closure runs in the child between fork and exec and calls only what is async-signal-safe.
    unsafe {
        command.pre_exec(move || prepare_child(theirs_fd, parent));
    }
    let child = command.spawn()?;
    drop(theirs);
    let mut engine = Engine { child, link: Link::new(ours)? };
    engine.configure();
    Ok(engine)
}

/// In the child, after fork: nothing of the server but the control socket goes on.
fn prepare_child(control_fd: i32, parent: i32) -> io::Result<()> {
    // SAFETY: plain system calls on values of ours.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have died before the call above.
        if libc::getppid() != parent {
            return Err(io::Error::other("the worker is gone"));
        }
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        close_on_exec_from(CONTROL_FD)?;
        if control_fd == CONTROL_FD {
            libc::fcntl(CONTROL_FD, libc::F_SETFD, 0);
        } else if libc::dup2(control_fd, CONTROL_FD) < 0 {
            return Err(io::Error::last_os_error());
        }
        let oom = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if oom >= 0 {
            let value = b"500";
            libc::write(oom, value.as_ptr().cast(), value.len());
            libc::close(oom);
        }
    }
    Ok(())
}

/// Marks every descriptor from `first` on to be closed by exec. Descriptor 3 may be the pipe by which the standard library reports a failed
/// exec; dup2 over it is harmless, since then a failure is only noticed by the closed control socket.
unsafe fn close_on_exec_from(first: i32) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: plain system calls.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) == 0 {
            return Ok(());
        }
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return Err(io::Error::last_os_error());
        }
        for fd in first..i32::try_from(limit.rlim_cur.min(65536)).unwrap_or(1024) {
            let flags = libc::fcntl(fd, libc::F_GETFD);
            if flags >= 0 {
                libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC);
            }
        }
    }
    Ok(())
}
