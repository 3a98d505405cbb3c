//! What an engine does that is of another build than the extension which started it: it tells everybody so.
//!
//! Invariants:
//! - It reads nothing and answers nothing but its greeting, whose form never changes.
//! - It ends with the worker, as any engine.

use crate::serve::SOCKET;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;
use weir_plan::greeting;

/// How long a backend has to say what it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Greets until the worker goes away.
pub fn run(dir: &Path, mut control: UnixStream) -> Result<(), String> {
    let path = dir.join(SOCKET);
    let _ = std::fs::remove_file(&path);
    let failed = |e: std::io::Error| format!("could not listen on \"{}\": {e}", path.display());
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    std::thread::spawn(move || greet(stream));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    });
    let mut buffer = vec![0; 1 << 16];
    while matches!(control.read(&mut buffer), Ok(n) if n > 0) {}
    Ok(())
}

/// The greeting, and then the end: after the other's greeting has come, so that closing does not look like a broken connection.
fn greet(mut stream: UnixStream) {
    let mut buffer = [0; 256];
    let _ = stream.set_read_timeout(Some(PATIENCE));
    if stream.write_all(&greeting::frame()).is_ok() {
        let _ = stream.read(&mut buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::greeting::Peer;
    use weir_plan::protocol::FrameReader;

    #[test]
    fn everybody_is_greeted_until_the_worker_goes() {
        let dir = std::env::temp_dir().join(format!("weir_stranger_{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("makes a directory");
        let (worker, control) = UnixStream::pair().expect("makes a pair");
        let running = std::thread::spawn({
            let dir = dir.clone();
            move || run(&dir, control)
        });
        for _ in 0..3 {
            let mut stream = loop {
                match UnixStream::connect(dir.join(SOCKET)) {
                    Ok(stream) => break stream,
                    Err(_) if !running.is_finished() => std::thread::sleep(Duration::from_millis(5)),
                    Err(e) => panic!("{e}"),
                }
            };
            stream.write_all(&[7, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7]).expect("writes");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("reads to the end");
            let mut frames = FrameReader::default();
            frames.push(&all);
            greeting::check(&frames.body().expect("a frame").expect("whole"), Peer::Engine).expect("greets");
        }
        drop(worker);
        assert_eq!(running.join().expect("no panic"), Ok(()));
        std::fs::remove_dir_all(&dir).expect("removes it");
    }
}
