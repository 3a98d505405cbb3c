//! A compiled LIKE pattern: pieces between `%`, the first and last of which may be anchored.
//!
//! Source: `like_match.c`. There a pattern that ends in its escape character is an error only for values that match up to it;
//! such a pattern is refused here.

use crate::error::{raise, refused};
use datafusion::common::Result;
use memchr::memmem::Finder;

/// What stands between two `%`.
#[derive(Debug)]
struct Piece {
    /// Fixed strings, with `_` between each two.
    fixed: Vec<Box<str>>,
    /// Finds the piece if it has no `_`.
    finder: Option<Finder<'static>>,
    chars: usize,
}

#[derive(Debug)]
pub(super) struct Pattern {
    /// One piece: the whole value must match it. More: the first and the last match at the ends, the others anywhere between.
    pieces: Vec<Piece>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut piece = vec![String::new()];
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => pieces.push(Piece::new(std::mem::replace(&mut piece, vec![String::new()]))),
                '_' => piece.push(String::new()),
                '\\' => {
                    let literal = chars.next().ok_or_else(|| refused("LIKE pattern ends with its escape character"))?;
                    push(&mut piece, literal);
                }
                c => push(&mut piece, c),
            }
        }
        pieces.push(Piece::new(piece));
        Ok(Self { pieces })
    }

    pub(super) fn matches(&self, s: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return s.is_empty() };
        let Some(s) = first.strip_prefix_of(s) else { return false };
        let Some((last, middle)) = rest.split_last() else { return s.is_empty() };
        let mut s = s;
        for piece in middle {
            match piece.find_in(s) {
                Some(rest) => s = rest,
                None => return false,
            }
        }
        last.is_suffix_of(s)
    }
}

fn push(piece: &mut [String], c: char) {
    if let Some(last) = piece.last_mut() {
        last.push(c);
    }
}

impl Piece {
    fn new(fixed: Vec<String>) -> Self {
        let chars = fixed.iter().map(|f| f.chars().count()).sum::<usize>() + fixed.len().saturating_sub(1);
        let finder = match fixed.as_slice() {
            [only] => Some(Finder::new(only.as_bytes()).into_owned()),
            _ => None,
        };
        Self { fixed: fixed.into_iter().map(String::into_boxed_str).collect(), finder, chars }
    }

    /// What follows the piece at the start of `s`.
    fn strip_prefix_of<'a>(&self, s: &'a str) -> Option<&'a str> {
        let mut s = s;
        for (i, fixed) in self.fixed.iter().enumerate() {
            if i > 0 {
                let mut chars = s.chars();
                chars.next()?;
                s = chars.as_str();
            }
            // Comparing nothing is not free: libc's memcmp may touch the (dangling) address of an empty string.
            if !fixed.is_empty() {
                s = s.strip_prefix(&**fixed)?;
            }
        }
        Some(s)
    }

    /// What follows the first occurrence of the piece.
    fn find_in<'a>(&self, s: &'a str) -> Option<&'a str> {
        if let Some(finder) = &self.finder {
            let at = finder.find(s.as_bytes())?;
            return s.get(at + finder.needle().len()..);
        }
        let mut from = s;
        loop {
            if let Some(rest) = self.strip_prefix_of(from) {
                return Some(rest);
            }
            let mut chars = from.chars();
            chars.next()?;
            from = chars.as_str();
        }
    }

    fn is_suffix_of(&self, s: &str) -> bool {
        if let [only] = self.fixed.as_slice() {
            return only.is_empty() || s.ends_with(&**only);
        }
        // The piece takes a fixed number of characters: step back by them.
        let mut chars = s.chars();
        let mut start = s.len();
        for _ in 0..self.chars {
            match chars.next_back() {
                Some(c) => start -= c.len_utf8(),
                None => return false,
            }
        }
        s.get(start..).and_then(|tail| self.strip_prefix_of(tail)).is_some_and(str::is_empty)
    }
}

/// `LIKE … ESCAPE`: the pattern with backslash as its escape character. Source: `do_like_escape`.
pub(super) fn like_escape(pattern: &str, escape: &str) -> Result<String> {
    let mut chars = escape.chars();
    let Some(escape) = chars.next() else {
        // No escape character: backslashes are literal.
        return Ok(pattern.replace('\\', "\\\\"));
    };
    if chars.next().is_some() {
        return Err(raise("22025", "invalid escape string"));
    }
    if escape == '\\' {
        return Ok(pattern.to_owned());
    }
    let mut out = String::with_capacity(pattern.len());
    let mut after_escape = false;
    for c in pattern.chars() {
        if c == escape && !after_escape {
            out.push('\\');
            after_escape = true;
        } else {
            if c == '\\' && !after_escape {
                out.push('\\');
            }
            out.push(c);
            after_escape = false;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(s: &str, p: &str) -> bool {
        Pattern::new(p).unwrap().matches(s)
    }

    #[test]
    fn percent_and_underscore() {
        assert!(like("", ""));
        assert!(like("", "%"));
        assert!(!like("", "_"));
        assert!(like("é", "_"));
        assert!(like("aéb", "%_b"));
        assert!(!like("b", "%_b"));
        assert!(like("special packages requests", "%special%requests%"));
        assert!(!like("requests special", "%special%requests%"));
        assert!(like("aab", "%ab"));
        assert!(like("abab", "a%b"));
        assert!(!like("ab", "ab%b"));
        assert!(like("xaybzc", "%a_b_c"));
        assert!(!like("xaybzcc", "%a_b_c"));
        assert!(like("100%", "100\\%"));
        assert!(!like("1000", "100\\%"));
        assert!(like("a\\b", "a\\\\b"));
        assert!(Pattern::new("a\\").is_err());
    }

    #[test]
    fn escape_becomes_backslash() {
        assert_eq!(like_escape("a#%b\\#", "#").unwrap(), "a\\%b\\\\\\");
        assert_eq!(like_escape("a\\b", "").unwrap(), "a\\\\b");
        assert_eq!(like_escape("a##b", "#").unwrap(), "a\\#b");
        assert!(like_escape("a", "##").is_err());
    }
}
