//! The first frame of each side of every socket: of which build it is.
//!
//! Invariants:
//! - The form never changes: a frame with `pg_weir ` and the build as text. So every build that greets understands every other one's greeting; what
//!   comes after it is read only if the two are the same.
//! - Both sides greet without waiting for the other, so that each learns of the difference.

use crate::error::{Error, Kind, Result};

/// The version, and a hash of what both sides are compiled from (`build.rs`).
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "-", env!("WEIR_SOURCES"));

/// How the message of such an error begins.
pub const MISMATCH: &str = "the extension pg_weir and its engine are not of one build";

const MARK: &str = "pg_weir ";

/// Longer builds are no builds.
const MAX_BYTES: usize = 256;

/// Who sends the greeting that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Extension,
    Engine,
}

/// The greeting of this build, as a frame.
pub fn frame() -> Vec<u8> {
    frame_of(BUILD)
}

fn frame_of(build: &str) -> Vec<u8> {
    let len = u32::try_from(MARK.len() + build.len()).unwrap_or(u32::MAX);
    [&len.to_le_bytes(), MARK.as_bytes(), build.as_bytes()].concat()
}

/// Looks at the body of the peer's first frame.
///
/// # Errors
/// [`Kind::OtherBuild`]: the peer is of another build, or of one that does not greet.
pub fn check(body: &[u8], peer: Peer) -> Result<()> {
    let text = std::str::from_utf8(body).ok().filter(|t| t.len() <= MAX_BYTES);
    match text.and_then(|t| t.strip_prefix(MARK)) {
        Some(BUILD) => Ok(()),
        other => Err(mismatch(other.filter(|b| b.chars().all(|c| c.is_ascii_graphic())), peer)),
    }
}

fn mismatch(theirs: Option<&str>, peer: Peer) -> Error {
    let theirs = theirs.unwrap_or("a build that does not name itself");
    let detail = match peer {
        Peer::Engine => format!("The extension is {BUILD}, the engine {theirs}."),
        Peer::Extension => format!("The extension is {theirs}, the engine {BUILD}."),
    };
    Error { sqlstate: "55000".into(), ..Error::new(Kind::OtherBuild, MISMATCH) }
        .with_detail(detail)
        .with_hint("Restart the server, so that it loads the installed library; if they still differ, install both from one build.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FrameReader, FromEngine, encode_frame};

    fn first(frame: &[u8]) -> Vec<u8> {
        let mut reader = FrameReader::default();
        reader.push(frame);
        reader.body().expect("a frame").expect("a whole one")
    }

    #[test]
    fn one_build_is_let_through() {
        assert_eq!(check(&first(&frame()), Peer::Engine), Ok(()));
        assert_eq!(check(&first(&frame()), Peer::Extension), Ok(()));
    }

    #[test]
    fn another_build_is_named() {
        let e = check(&first(&frame_of("0.1.0-0123456789abcdef")), Peer::Engine).expect_err("another");
        assert_eq!((e.kind, e.sqlstate.as_str(), e.message.as_str()), (Kind::OtherBuild, "55000", MISMATCH));
        assert_eq!(e.detail, Some(format!("The extension is {BUILD}, the engine 0.1.0-0123456789abcdef.")));
        assert!(e.hint.is_some_and(|h| h.contains("Restart the server")));
        let e = check(&first(&frame_of("9.9.9")), Peer::Extension).expect_err("another");
        assert_eq!(e.detail, Some(format!("The extension is 9.9.9, the engine {BUILD}.")));
    }

    #[test]
    fn what_is_no_greeting_is_another_build() {
        let message = first(&encode_frame(&FromEngine::CopyDone).expect("encodes"));
        let long = vec![b'a'; MAX_BYTES + 1];
        for body in [message.as_slice(), b"", b"pg_weir", &[0xff, 0xfe], b"pg_weir \n", long.as_slice()] {
            let e = check(body, Peer::Engine).expect_err("no greeting");
            assert_eq!(e.kind, Kind::OtherBuild);
            assert!(e.detail.is_some_and(|d| !d.contains('\n')));
        }
    }

    #[test]
    fn the_messages_behind_the_greeting_follow() {
        let mut reader = FrameReader::default();
        reader.push(&frame());
        reader.push(&encode_frame(&FromEngine::CopyDone).expect("encodes"));
        check(&reader.body().expect("a frame").expect("whole"), Peer::Engine).expect("the same build");
        assert_eq!(reader.message::<FromEngine>(), Ok(Some(FromEngine::CopyDone)));
    }

    #[test]
    fn the_build_has_a_hash() {
        let hash = BUILD.rsplit('-').next().expect("a part");
        assert!(hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{BUILD}");
    }
}
