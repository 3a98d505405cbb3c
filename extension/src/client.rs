//! A backend's connection to the engine's query socket.
//!
//! Invariants:
//! - Every wait ends at once for cancel, terminate and statement_timeout; dropping a client closes the socket and so cancels its query.
//! - A client goes back to the idle place only between requests; at most one is kept.

use crate::worker;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use weir_plan::greeting::{self, Peer};
use weir_plan::protocol::{FrameReader, FromEngine, ToEngine, encode_frame};
use weir_plan::{Error, Kind, Result};

/// How long a starting engine is waited for by what cannot do without it.
const COMES_UP_WITHIN: Duration = Duration::from_secs(10);

pub struct Client {
    stream: UnixStream,
    frames: FrameReader,
    /// A batch that is arriving, in the place where it stays; and how many bytes it has.
    batch: Option<(usize, Vec<u8>)>,
}

thread_local! {
    static IDLE: RefCell<Option<Client>> = const { RefCell::new(None) };
}

/// Path of the query socket, relative to the data directory, which is every server process's working directory.
pub fn socket_path() -> String {
    // SAFETY: set when the session connected to its database.
    format!("pg_weir/{}/q.sock", unsafe { pg_sys::MyDatabaseId }.to_u32())
}

fn unreachable(e: &std::io::Error) -> Error {
    Error::new(Kind::Unreachable, "the engine is not running").with_detail(worker::why_no_engine().unwrap_or_else(|| e.to_string()))
}

/// An error in one line, with what is known of its cause.
pub fn described(e: &Error) -> String {
    match e.kind {
        Kind::Unreachable => [Some(e.message.clone()), worker::why_no_engine()].into_iter().flatten().collect::<Vec<_>>().join(": "),
        _ => [Some(&e.message), e.detail.as_ref(), e.hint.as_ref()].into_iter().flatten().cloned().collect::<Vec<_>>().join(": "),
    }
}

impl Client {
    /// The idle connection if it is still good, else a new one.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] if the engine is not up.
    pub fn take() -> Result<Client> {
        match IDLE.with_borrow_mut(Option::take) {
            Some(client) if client.is_open() => Ok(client),
            _ => Client::connect(),
        }
    }

    /// As [`take`](Self::take), for a request that nobody but the engine can answer: an engine that is just coming up is waited for.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] if it does not come up.
    pub fn take_when_up() -> Result<Client> {
        let started = Instant::now();
        loop {
            match Client::take() {
                Err(e) if e.kind == Kind::Unreachable => {
                    worker::ensure_started();
                    if started.elapsed() >= COMES_UP_WITHIN {
                        return Err(e.with_hint("The engine is a process of the background worker; see the server's log if it does not come up."));
                    }
                    pause(Duration::from_millis(20));
                }
                taken => return taken,
            }
        }
    }

    /// Keeps the connection for the next request.
    pub fn give_back(self) {
        IDLE.with_borrow_mut(|idle| *idle = Some(self));
    }

    fn connect() -> Result<Client> {
        let stream = UnixStream::connect(socket_path()).map_err(|e| unreachable(&e))?;
        stream.set_nonblocking(true).map_err(|e| unreachable(&e))?;
        let mut client = Client { stream, frames: FrameReader::default(), batch: None };
        client.write(&greeting::frame())?;
        loop {
            if let Some(theirs) = client.frames.body()? {
                greeting::check(&theirs, Peer::Engine)?;
                return Ok(client);
            }
            if !client.read()? {
                client.wait(pg_sys::WL_SOCKET_READABLE);
            }
        }
    }

    /// An idle peer says nothing: anything to read is its end.
    fn is_open(&self) -> bool {
        let mut byte = [0u8];
        // SAFETY: the descriptor is open and the buffer has room for the one byte asked for.
        let n = unsafe { libc::recv(self.stream.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
        n < 0 && std::io::Error::last_os_error().kind() == ErrorKind::WouldBlock
    }

    /// Sends a request and waits for the first answer; an error answer is an `Err`.
    pub fn ask(&mut self, message: &ToEngine) -> Result<FromEngine> {
        self.send(message)?;
        self.receive()
    }

    pub fn send(&mut self, message: &ToEngine) -> Result<()> {
        self.write(&encode_frame(message)?)
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        let mut rest = frame;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(pg_sys::WL_SOCKET_WRITEABLE),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(lost(&e.to_string())),
            }
        }
        Ok(())
    }

    pub fn receive(&mut self) -> Result<FromEngine> {
        loop {
            match self.receive_now()? {
                Some(message) => return Ok(message),
                None => self.wait(pg_sys::WL_SOCKET_READABLE),
            }
        }
    }

    /// The next answer if it is there already.
    pub fn receive_now(&mut self) -> Result<Option<FromEngine>> {
        loop {
            if let Some((bytes, ipc)) = self.batch.take_if(|(bytes, ipc)| ipc.len() >= *bytes) {
                debug_assert_eq!(bytes, ipc.len());
                return Ok(Some(FromEngine::Batch { ipc }));
            }
            if self.batch.is_some() {
                if self.read()? {
                    continue;
                }
                return Ok(None);
            }
            self.batch = self.frames.batch()?;
            if self.batch.is_some() {
                continue;
            }
            match self.frames.message()? {
                Some(FromEngine::Error(e)) => return Err(e),
                Some(message) => return Ok(Some(message)),
                None if self.read()? => {}
                None => return Ok(None),
            }
        }
    }

    /// Takes what has arrived. `false`: nothing has.
    fn read(&mut self) -> Result<bool> {
        if let Some((bytes, ipc)) = &mut self.batch {
            let before = ipc.len();
            let ended = (&self.stream).take((*bytes - before) as u64).read_to_end(ipc);
            return match ended {
                Ok(_) if ipc.len() < *bytes => Err(lost("it closed the connection")),
                Err(e) if e.kind() != ErrorKind::WouldBlock => Err(lost(&e.to_string())),
                _ => Ok(ipc.len() > before),
            };
        }
        let mut buffer = [0u8; 1 << 14];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(lost("it closed the connection")),
                Ok(n) => {
                    self.frames.push(buffer.get(..n).unwrap_or_default());
                    return Ok(true);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(lost(&e.to_string())),
            }
        }
    }

    /// What becomes readable when an answer comes.
    pub fn socket(&self) -> i32 {
        self.stream.as_raw_fd()
    }

    /// Waits for the socket, and serves interrupts: a cancel raises from here.
    fn wait(&self, event: u32) {
        let events = (event | pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH).cast_signed();
        // SAFETY: MyLatch is this process's latch and the descriptor is open.
        let woken = unsafe { pg_sys::WaitLatchOrSocket(pg_sys::MyLatch, events, self.stream.as_raw_fd(), -1, pg_sys::PG_WAIT_EXTENSION) };
        if woken.cast_unsigned() & pg_sys::WL_LATCH_SET != 0 {
            // SAFETY: as above.
            unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
        }
        pg_sys::check_for_interrupts!();
    }
}

/// Sleeps, serving interrupts.
pub fn pause(time: Duration) {
    let events = (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH).cast_signed();
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    // SAFETY: MyLatch is this process's latch.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events, millis, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}

/// Whether a connection is between requests after this error of one.
pub fn survives(e: &Error) -> bool {
    !matches!(e.kind, Kind::Unreachable | Kind::OtherBuild | Kind::Internal | Kind::Cancelled)
}

/// An answer that does not belong to the request.
pub fn unexpected(message: &FromEngine) -> Error {
    Error::internal(format!("unexpected answer of the engine: {:?}", std::mem::discriminant(message)))
}

fn lost(why: &str) -> Error {
    Error { sqlstate: "08006".into(), ..Error::new(Kind::Unreachable, "lost the connection to the engine") }
        .with_detail(why.to_owned())
        .with_hint("The engine is restarted by itself; run the query again.")
}
