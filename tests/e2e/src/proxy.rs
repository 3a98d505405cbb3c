//! A TCP proxy that breaks connections: `weir-faults proxy LISTEN_PORT HOST:PORT FAULT_FILE`.
//!
//! What it does stands in the file, which is read again before every piece of data: nothing or `pass`; `refuse` (new connections are closed at
//! once); `kill N` (reset after N bytes of an answer), `truncate N` (closed in order), `stall N` (nothing more, and never an end), `garbage N`
//! (the rest of the answer is noise); `page` (a page of HTML instead of the answer); `idle MS` (closed when nothing was said for so long). An
//! answer starts when the client has said something.
//!
//! Invariant: it prints `proxy ready` once it listens, and ends only when it is killed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a silent connection is looked at.
const TICK: Duration = Duration::from_millis(50);

/// What a gateway says when nobody is behind it.
const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 44\r\nConnection: close\r\n\r\n<html><body><h1>It works!</h1></body></html>";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Pass,
    Refuse,
    Kill(u64),
    Truncate(u64),
    Stall(u64),
    Garbage(u64),
    Idle(u64),
    Page,
}

fn parse(text: &str) -> Fault {
    let mut words = text.split_whitespace();
    let name = words.next();
    let n = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    match name {
        Some("refuse") => Fault::Refuse,
        Some("kill") => Fault::Kill(n),
        Some("truncate") => Fault::Truncate(n),
        Some("stall") => Fault::Stall(n),
        Some("garbage") => Fault::Garbage(n),
        Some("idle") => Fault::Idle(n),
        Some("page") => Fault::Page,
        _ => Fault::Pass,
    }
}

struct Settings {
    to: String,
    file: PathBuf,
}

impl Settings {
    fn fault(&self) -> Fault {
        parse(&std::fs::read_to_string(&self.file).unwrap_or_default())
    }
}

/// Serves until it is killed.
pub fn run(port: u16, to: String, file: PathBuf) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let settings = Arc::new(Settings { to, file });
    println!("proxy ready");
    for client in listener.incoming() {
        let client = client?;
        if settings.fault() == Fault::Refuse {
            reset(&client);
            continue;
        }
        let settings = Arc::clone(&settings);
        thread::spawn(move || {
            if let Err(e) = serve(client, &settings) {
                eprintln!("proxy: {e}");
            }
        });
    }
    Ok(())
}

/// Makes closing it a reset: what is not sent yet is thrown away.
fn reset(stream: &TcpStream) {
    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).unwrap_or(0);
    // SAFETY: an open socket, and a value of the size that is given.
    unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const at_once).cast(), size) };
}

fn serve(client: TcpStream, settings: &Arc<Settings>) -> std::io::Result<()> {
    let server = TcpStream::connect(&settings.to)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK))?;
    }
    // Bytes of the answer so far, and whether the connection has been given up.
    let (answered, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let up = {
        let (from, to, answered, over) = (client.try_clone()?, server.try_clone()?, Arc::clone(&answered), Arc::clone(&over));
        thread::spawn(move || pump_up(from, to, &answered, &over))
    };
    let result = pump_down(server.try_clone()?, client.try_clone()?, settings, &answered, &over);
    over.store(true, Ordering::Relaxed);
    let _ = server.shutdown(Shutdown::Both);
    if result.is_ok() {
        let _ = client.shutdown(Shutdown::Both);
    }
    let _ = up.join();
    Ok(())
}

/// What the client says.
fn pump_up(mut from: TcpStream, mut to: TcpStream, answered: &AtomicU64, over: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                answered.store(0, Ordering::Relaxed);
                if to.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => break,
        }
    }
    over.store(true, Ordering::Relaxed);
}

/// What the server says, and what becomes of it.
fn pump_down(mut from: TcpStream, mut to: TcpStream, settings: &Settings, answered: &AtomicU64, over: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 14];
    let mut last = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                if let Fault::Idle(ms) = settings.fault()
                    && last.elapsed() > Duration::from_millis(ms)
                {
                    return Ok(());
                }
                continue;
            }
            Err(e) => return Err(e),
        };
        last = Instant::now();
        let before = answered.fetch_add(n as u64, Ordering::Relaxed);
        let after = before + n as u64;
        match settings.fault() {
            Fault::Page if before == 0 => return to.write_all(PAGE),
            Fault::Kill(limit) if after > limit => {
                // Whoever holds the socket besides lets go of it without a word.
                reset(&to);
                over.store(true, Ordering::Relaxed);
                return Err(std::io::Error::other("reset"));
            }
            Fault::Truncate(limit) if after > limit => {
                let rest = usize::try_from(limit.saturating_sub(before)).unwrap_or(0).min(n);
                return to.write_all(&buffer[..rest]);
            }
            Fault::Stall(limit) if after > limit => {
                while !over.load(Ordering::Relaxed) && matches!(settings.fault(), Fault::Stall(_)) {
                    thread::sleep(TICK);
                }
                // What was held back cannot be given any more.
                return Ok(());
            }
            Fault::Garbage(limit) if after > limit => {
                for (i, b) in buffer[..n].iter_mut().enumerate() {
                    if before + i as u64 >= limit {
                        *b = b.wrapping_mul(167).wrapping_add(i as u8) | 0x80;
                    }
                }
                to.write_all(&buffer[..n])?;
            }
            _ => to.write_all(&buffer[..n])?,
        }
    }
    Ok(())
}
