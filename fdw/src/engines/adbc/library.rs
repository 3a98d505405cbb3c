//! Whether the file of a driver is whole.
//!
//! The loader of the system maps a library as long as its headers say; where the file ends before that, the first touch ends the process (SIGBUS).
//! So its headers are looked at before. What is no ELF file is left to the loader, which says so itself.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// Part of a file that is mapped.
const PT_LOAD: u32 = 1;
/// Headers of 64-bit files: the file's, and one of a segment. Source: the ELF-64 object file format.
const FILE_HEADER: usize = 64;
const SEGMENT_HEADER: u16 = 56;

/// # Errors
/// Why it cannot be loaded.
pub fn check(path: &str) -> Result<(), String> {
    // What cannot be opened is not found by the loader either, which knows more places.
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    let about = file.metadata().map_err(|e| e.to_string())?;
    if !about.is_file() {
        return Err("It is no file.".into());
    }
    let mut header = [0; FILE_HEADER];
    if file.read_exact(&mut header).is_err() {
        return Err("The file is too short for a library.".into());
    }
    if header.get(..5) != Some(b"\x7fELF\x02") {
        return Ok(());
    }
    let (at, size, count) = (eight(&header, 0x20), two(&header, 0x36), two(&header, 0x38));
    if size != SEGMENT_HEADER {
        return Err("The file is no library.".into());
    }
    let mut segments = vec![0; usize::from(size) * usize::from(count)];
    let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut segments));
    let whole = segments.chunks_exact(usize::from(size)).filter(|s| s.get(..4) == Some(PT_LOAD.to_ne_bytes().as_slice()));
    let ends = whole.map(|s| eight(s, 8).checked_add(eight(s, 32)));
    if read.is_err() || ends.into_iter().any(|end| end.is_none_or(|end| end > about.len())) {
        return Err(format!("The file is cut off: it has {} bytes, fewer than its own headers say.", about.len()));
    }
    Ok(())
}

fn two(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

fn eight(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(u64::MAX, u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_library_that_is_cut_off_is_not_loaded() {
        // This program is as good a file of that form as any.
        let own = std::env::current_exe().expect("known");
        let whole = std::fs::read(&own).expect("readable");
        assert_eq!(check(own.to_str().expect("text")), Ok(()));
        let path = std::env::temp_dir().join(format!("weir-library-{}", std::process::id()));
        for (length, why) in [(0, "too short"), (63, "too short"), (80, "cut off"), (whole.len() / 4, "cut off")] {
            std::fs::write(&path, &whole[..length]).expect("written");
            assert!(check(path.to_str().expect("text")).expect_err("refused").contains(why), "{length}");
        }
        std::fs::write(&path, [b'x'; 100]).expect("written");
        assert_eq!(check(path.to_str().expect("text")), Ok(()), "the loader knows what to say");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(check("/no/such/file.so"), Ok(()));
    }
}
