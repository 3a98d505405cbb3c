//! The worker's end of the control socket: frames out and in without blocking.
//!
//! Invariants:
//! - Sending never fails and never blocks by itself: what the socket does not take is kept, and [`Link::drain`] waits when too much is kept.
//! - While it waits it keeps reading, so the two ends cannot wait for each other.
//! - When the peer is gone, everything sent is dropped until the link is replaced.
//! - A peer of another build hears our greeting and is heard no further than its own.

use super::process;
use pgrx::pg_sys;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use weir_plan::greeting::{self, Peer};
use weir_plan::protocol::{ALIVE_INTERVAL, FrameReader, FromEngineControl, ToEngineControl, encode_frame};
use weir_plan::{Error, Kind, Result};

/// Above this many bytes of unsent messages, the sender waits.
const MAX_UNSENT_BYTES: usize = 32 << 20;

/// A peer that says nothing for so long hangs.
const SILENCE: Duration = ALIVE_INTERVAL.saturating_mul(20);

pub struct Link {
    stream: UnixStream,
    unsent: VecDeque<Vec<u8>>,
    unsent_bytes: usize,
    /// Bytes of the first unsent message that are sent.
    sent_of_first: usize,
    frames: FrameReader,
    received: VecDeque<FromEngineControl>,
    lost: Option<Error>,
    /// When the peer last said something, once it has begun to: it always does.
    heard: Option<Instant>,
    /// The peer's greeting has come, and is ours.
    greeted: bool,
    /// The peer's greeting has come, and is not ours.
    stranger: Option<Error>,
    buffer: Vec<u8>,
}

impl Link {
    /// # Errors
    /// The descriptor can't be set to non-blocking.
    pub fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        let greeting = greeting::frame();
        Ok(Self {
            stream,
            unsent_bytes: greeting.len(),
            unsent: VecDeque::from([greeting]),
            sent_of_first: 0,
            frames: FrameReader::default(),
            received: VecDeque::new(),
            lost: None,
            heard: None,
            greeted: false,
            stranger: None,
            buffer: vec![0; 1 << 16],
        })
    }

    /// Why the peer is gone, if it is.
    pub fn lost(&self) -> Option<&Error> {
        self.lost.as_ref()
    }

    /// Why the peer is not to be talked to, if it is of another build.
    pub fn stranger(&self) -> Option<&Error> {
        self.stranger.as_ref()
    }

    /// Queues a message and sends what the socket takes.
    pub fn send(&mut self, message: &ToEngineControl) {
        if self.lost.is_some() || self.stranger.is_some() {
            return;
        }
        match encode_frame(message) {
            Ok(frame) => {
                self.unsent_bytes += frame.len();
                self.unsent.push_back(frame);
                self.write();
            }
            Err(e) => self.lost = Some(e),
        }
    }

    /// Waits until less than the bound is unsent. Serves interrupts.
    pub fn drain(&mut self) {
        while self.unsent_bytes > MAX_UNSENT_BYTES && self.lost.is_none() {
            self.wait(Duration::from_secs(1));
        }
    }

    /// Waits for the latch, for something to read or to write, or for the time to pass. `true`: the latch was set.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let wanted = if self.unsent.is_empty() { pg_sys::WL_SOCKET_READABLE } else { pg_sys::WL_SOCKET_READABLE | pg_sys::WL_SOCKET_WRITEABLE };
        let socket = self.lost.is_none().then(|| self.stream.as_raw_fd());
        let events = process::wait(socket, wanted, timeout);
        if events & pg_sys::WL_SOCKET_WRITEABLE != 0 {
            self.write();
        }
        if events & pg_sys::WL_SOCKET_READABLE != 0 {
            self.read();
        }
        if self.lost.is_none() && self.heard.is_some_and(|heard| heard.elapsed() > SILENCE) {
            // It may have spoken while nobody listened.
            self.read();
            if self.heard.is_some_and(|heard| heard.elapsed() > SILENCE) {
                self.lose("it hangs");
            }
        }
        events & pg_sys::WL_LATCH_SET != 0
    }

    /// The next message that has arrived.
    pub fn receive(&mut self) -> Option<FromEngineControl> {
        if self.received.is_empty() {
            self.read();
        }
        self.received.pop_front()
    }

    fn write(&mut self) {
        while let Some(frame) = self.unsent.front() {
            match self.stream.write(frame.get(self.sent_of_first..).unwrap_or_default()) {
                Ok(n) => {
                    self.sent_of_first += n;
                    self.unsent_bytes -= n.min(self.unsent_bytes);
                    if self.sent_of_first >= frame.len() {
                        self.unsent.pop_front();
                        self.sent_of_first = 0;
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return self.lose(&e.to_string()),
            }
        }
    }

    fn read(&mut self) {
        while self.lost.is_none() {
            match self.stream.read(&mut self.buffer) {
                Ok(0) => self.lose("it closed the connection"),
                Ok(n) => {
                    self.frames.push(self.buffer.get(..n).unwrap_or_default());
                    if let Err(e) = self.take_frames() {
                        self.lost = Some(e);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => self.lose(&e.to_string()),
            }
        }
    }

    fn take_frames(&mut self) -> Result<()> {
        if self.stranger.is_some() {
            self.frames = FrameReader::default();
            return Ok(());
        }
        if !self.greeted {
            let Some(theirs) = self.frames.body()? else { return Ok(()) };
            if let Err(e) = greeting::check(&theirs, Peer::Engine) {
                self.stranger = Some(e);
                self.forget_unsent();
                return Ok(());
            }
            self.greeted = true;
        }
        while let Some(message) = self.frames.message()? {
            self.heard = Some(Instant::now());
            self.received.push_back(message);
        }
        Ok(())
    }

    fn lose(&mut self, why: &str) {
        self.lost = Some(Error::new(Kind::Unreachable, format!("lost the engine: {why}")));
        self.forget_unsent();
    }

    fn forget_unsent(&mut self) {
        self.unsent.clear();
        self.unsent_bytes = 0;
        self.sent_of_first = 0;
    }
}
