//! Reads an ARE, as far as it is understood here. Sources: `regc_lex.c`, `regcomp.c`.

use super::super::case::Letters;
use super::charset::CharSet;
use crate::error::refused;
use datafusion::common::{DataFusionError, Result};
use weir_collate::Class;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Set(CharSet),
    /// A condition on a position, in the syntax of `regex`.
    At(&'static str),
    Group {
        capture: bool,
        branches: Vec<Vec<Node>>,
    },
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
}

#[derive(Debug)]
pub(super) struct Pattern {
    pub branches: Vec<Vec<Node>>,
    pub captures: usize,
    /// Membership of characters beyond ASCII depends on the locale.
    pub locale: bool,
    /// Membership of ASCII separators (1C to 1F) in the class of spaces depends on the locale.
    pub spaces: bool,
}

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub ignore_case: bool,
    pub letters: Letters,
}

const MAX_DEPTH: usize = 50;
/// Larger ranges are refused where case does not count; Postgres has a limit of its own.
const MAX_FOLDED: u32 = 10_000;
/// `DUPMAX`.
const MAX_REPEAT: u32 = 255;
/// Larger products of bounds are left to Postgres, which has a limit of its own.
const MAX_COPIES: u32 = 2000;

struct Parser<'a> {
    rest: std::str::Chars<'a>,
    reading: Reading,
    captures: usize,
    locale: bool,
    spaces: bool,
}

fn not_shared(what: &str) -> DataFusionError {
    refused(format!("regular expression with {what}"))
}

fn invalid() -> DataFusionError {
    refused("a regular expression that could not be read")
}

/// The class of a locale; the others are the same everywhere.
fn of_locale(name: &str) -> Option<Class> {
    Some(match name {
        "alnum" | "word" => Class::Alnum,
        "alpha" => Class::Alpha,
        "digit" => Class::Digit,
        "graph" => Class::Graph,
        "lower" => Class::Lower,
        "print" => Class::Print,
        "punct" => Class::Punct,
        "space" => Class::Space,
        "upper" => Class::Upper,
        _ => return None,
    })
}

pub(super) fn parse(pattern: &str, reading: Reading) -> Result<Pattern> {
    if pattern.starts_with("***") {
        return Err(not_shared("a director"));
    }
    let (pattern, reading) = match pattern.strip_prefix("(?i)") {
        Some(rest) => (rest, Reading { ignore_case: true, ..reading }),
        None => (pattern, reading),
    };
    let mut p = Parser { rest: pattern.chars(), reading, captures: 0, locale: false, spaces: false };
    let branches = p.branches(0)?;
    if p.next().is_some() {
        return Err(invalid());
    }
    if copies(&branches) > MAX_COPIES {
        return Err(not_shared("large bounds"));
    }
    Ok(Pattern { branches, captures: p.captures, locale: p.locale, spaces: p.spaces })
}

fn copies(branches: &[Vec<Node>]) -> u32 {
    let of = |n: &Node| match n {
        Node::Set(_) | Node::At(_) => 1,
        Node::Group { branches, .. } => copies(branches),
        Node::Repeat { node, min, max, .. } => {
            let inner = match &**node {
                Node::Group { branches, .. } => copies(branches),
                _ => 1,
            };
            inner.saturating_mul(max.unwrap_or(*min).max(1))
        }
    };
    branches.iter().flatten().map(of).fold(0, u32::saturating_add)
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn next(&mut self) -> Option<char> {
        self.rest.next()
    }

    fn eat(&mut self, s: &str) -> bool {
        match self.rest.as_str().strip_prefix(s) {
            Some(rest) => {
                self.rest = rest.chars();
                true
            }
            None => false,
        }
    }

    fn branches(&mut self, depth: usize) -> Result<Vec<Vec<Node>>> {
        if depth > MAX_DEPTH {
            return Err(not_shared("deep nesting"));
        }
        let mut branches = vec![Vec::new()];
        loop {
            match self.peek() {
                None | Some(')') => return Ok(branches),
                Some('|') => {
                    self.next();
                    branches.push(Vec::new());
                }
                Some(c) => {
                    self.next();
                    let node = self.atom(c, depth)?;
                    let node = self.quantified(node)?;
                    if let Some(branch) = branches.last_mut() {
                        branch.push(node);
                    }
                }
            }
        }
    }

    fn atom(&mut self, c: char, depth: usize) -> Result<Node> {
        Ok(match c {
            '*' | '+' | '?' => return Err(invalid()),
            // A brace before anything but a digit is itself.
            '{' if self.peek().is_some_and(|c| c.is_ascii_digit()) => return Err(invalid()),
            '.' => Node::Set(CharSet::any()),
            '^' => Node::At("^"),
            '$' => Node::At("$"),
            '[' => Node::Set(self.bracket()?),
            '(' => {
                let capture = if self.eat("?:") {
                    false
                } else if self.peek() == Some('?') {
                    return Err(not_shared("look-around or embedded options"));
                } else {
                    self.captures += 1;
                    true
                };
                let branches = self.branches(depth + 1)?;
                if self.next() != Some(')') {
                    return Err(invalid());
                }
                Node::Group { capture, branches }
            }
            '\\' => self.escape()?,
            c => Node::Set(self.single(c)?),
        })
    }

    fn single(&self, c: char) -> Result<CharSet> {
        self.range(c, c)
    }

    /// The characters from the first to the last, and what they are in the other case if that does not count.
    fn range(&self, first: char, last: char) -> Result<CharSet> {
        let (first, last) = (first as u32, last as u32);
        let mut set = CharSet::default();
        set.add(first, last);
        match self.reading.letters {
            _ if !self.reading.ignore_case => {}
            // Of a single letter only these two, even if it is neither.
            Letters::Of(ctype) if first == last => {
                let (lower, upper) = ctype.pair(first);
                set = CharSet::default();
                set.add(lower, lower);
                set.add(upper, upper);
            }
            Letters::Of(_) if last - first >= MAX_FOLDED => return Err(not_shared("a large range, without case")),
            Letters::Of(ctype) => (first..=last).map(|c| ctype.pair(c)).for_each(|(lower, upper)| set.add_both(lower, upper)),
            Letters::Ascii if last >= 128 => return Err(not_shared("letters beyond ASCII, without case")),
            Letters::C | Letters::Ascii => set.fold(),
        }
        Ok(set)
    }

    fn escape(&mut self) -> Result<Node> {
        let c = self.next().ok_or_else(invalid)?;
        Ok(match c {
            'd' | 'w' | 's' => Node::Set(self.class(c)?),
            'D' => Node::Set(self.class('d')?.complement()),
            'W' => Node::Set(self.class('w')?.complement()),
            'S' => Node::Set(self.class('s')?.complement()),
            'A' => Node::At("^"),
            'Z' => Node::At("$"),
            'm' | 'M' | 'y' => {
                self.class('w')?;
                // What follows cannot be told other words than those of ASCII.
                self.locale |= self.reading.letters != Letters::C;
                Node::At(match c {
                    'm' => "(?-u:\\b{start})",
                    'M' => "(?-u:\\b{end})",
                    _ => "(?-u:\\b)",
                })
            }
            c => Node::Set(self.escaped_char(c).map(|c| self.single(c))??),
        })
    }

    fn escaped_char(&self, c: char) -> Result<char> {
        Ok(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            'v' => '\u{b}',
            c if !c.is_ascii_alphanumeric() => c,
            _ => return Err(not_shared("an unusual escape")),
        })
    }

    /// The classes of `\d`, `\w`, `\s`.
    fn class(&mut self, c: char) -> Result<CharSet> {
        self.named(match c {
            'd' => "digit",
            'w' => "word",
            _ => "space",
        })
    }

    fn named(&mut self, name: &str) -> Result<CharSet> {
        let letters = self.reading.letters;
        let name = if self.reading.ignore_case && matches!(name, "upper" | "lower") { "alpha" } else { name };
        if let (Letters::Of(ctype), Some(class)) = (letters, of_locale(name)) {
            let mut set = CharSet::of_ranges(&ctype.class(class));
            if name == "word" {
                set.add(u32::from('_'), u32::from('_'));
            }
            return Ok(set);
        }
        let ranges: &[(char, char)] = match name {
            "digit" => &[('0', '9')],
            "alpha" => &[('A', 'Z'), ('a', 'z')],
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            "upper" => &[('A', 'Z')],
            "lower" => &[('a', 'z')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            // Which signs count as punctuation differs between libraries.
            "punct" if letters == Letters::C => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            _ => return Err(not_shared("an unusual character class")),
        };
        if letters == Letters::Ascii {
            self.locale |= !matches!(name, "blank" | "xdigit");
            self.spaces |= name == "space";
        }
        let mut set = CharSet::default();
        ranges.iter().for_each(|&(a, b)| set.add(a as u32, b as u32));
        Ok(set)
    }

    /// After `[`.
    fn bracket(&mut self) -> Result<CharSet> {
        let negated = self.eat("^");
        let mut set = CharSet::default();
        let mut first = true;
        loop {
            let c = self.next().ok_or_else(invalid)?;
            let start = match c {
                ']' if !first => break,
                '[' if matches!(self.peek(), Some('.' | '=')) => return Err(not_shared("a collating element")),
                '[' if self.peek() == Some(':') => {
                    let (name, _) = self.rest.as_str().strip_prefix(':').and_then(|s| s.split_once(":]")).ok_or_else(invalid)?;
                    let name = name.to_owned();
                    set.add_all(&self.named(&name)?);
                    self.rest = self.rest.as_str().get(name.len() + 3..).ok_or_else(invalid)?.chars();
                    first = false;
                    continue;
                }
                '\\' => {
                    let c = self.next().ok_or_else(invalid)?;
                    if matches!(c, 'd' | 'w' | 's') {
                        set.add_all(&self.class(c)?);
                        first = false;
                        continue;
                    }
                    self.escaped_char(c)?
                }
                // A hyphen is itself first and last only.
                '-' if !first && self.peek() != Some(']') => return Err(invalid()),
                c => c,
            };
            first = false;
            let mut end = start;
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.next() != Some(']') {
                self.next();
                end = match self.next().ok_or_else(invalid)? {
                    '\\' => {
                        let c = self.next().ok_or_else(invalid)?;
                        self.escaped_char(c)?
                    }
                    '[' if matches!(self.peek(), Some('.' | '=' | ':')) => return Err(invalid()),
                    c => c,
                };
            }
            if start > end {
                return Err(invalid());
            }
            set.add_all(&self.range(start, end)?);
        }
        Ok(if negated { set.complement() } else { set })
    }

    fn quantified(&mut self, node: Node) -> Result<Node> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.rest.as_str().get(1..2).is_some_and(|c| c.bytes().all(|b| b.is_ascii_digit())) => {
                self.next();
                let min = self.number()?;
                let max = if self.eat(",") { if self.peek() == Some('}') { None } else { Some(self.number()?) } } else { Some(min) };
                if self.peek() != Some('}') || max.is_some_and(|m| m < min || m == 0) {
                    return Err(invalid());
                }
                (min, max)
            }
            _ => return Ok(node),
        };
        self.next();
        if matches!(node, Node::At(_)) {
            return Err(invalid());
        }
        let greedy = !self.eat("?");
        if matches!(self.peek(), Some('*' | '+' | '?'))
            || (self.peek() == Some('{') && self.rest.as_str().get(1..2).is_some_and(|c| c.bytes().all(|b| b.is_ascii_digit())))
        {
            return Err(invalid());
        }
        Ok(Node::Repeat { node: Box::new(node), min, max, greedy })
    }

    fn number(&mut self) -> Result<u32> {
        let mut n = 0u32;
        let mut digits = 0;
        while let Some(d) = self.peek().and_then(|c| c.to_digit(10)) {
            self.next();
            n = n * 10 + d;
            digits += 1;
            if n > MAX_REPEAT {
                return Err(invalid());
            }
        }
        if digits == 0 { Err(invalid()) } else { Ok(n) }
    }
}
