//! Compiled patterns, and a small cache of them.

use super::super::case::Letters;
use super::parse::{self, Node, Reading};
use super::shape::{Shape, shape};
use crate::error::refused;
use datafusion::common::Result;
use regex::{Captures, Regex};
use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::{Anchored, Input, MatchKind};
use std::fmt::Write;
use std::sync::Arc;

/// What a call says about its patterns, beside their flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub ignore_case: bool,
    pub letters: Letters,
}

pub(super) struct Compiled {
    regex: Regex,
    /// Finds the longest match from where one starts; there if the shape is `Longest`.
    longest: Option<DFA>,
    shape: Shape,
    pub captures: usize,
    /// The flag `g`.
    pub global: bool,
    locale: bool,
    spaces: bool,
}

/// Bytes of a compiled pattern; larger ones are left to Postgres.
const MAX_SIZE: usize = 4 << 20;

impl Compiled {
    fn new(pattern: &str, flags: &str, settings: Settings) -> Result<Self> {
        let mut reading = Reading { ignore_case: settings.ignore_case, letters: settings.letters };
        let mut global = false;
        for f in flags.chars() {
            match f {
                'i' => reading.ignore_case = true,
                'c' => reading.ignore_case = false,
                'g' => global = true,
                // The defaults.
                's' | 't' => {}
                _ => return Err(refused("an unusual option of a regular expression")),
            }
        }
        let parsed = parse::parse(pattern, reading)?;
        let mut source = String::from("(?s)");
        write_branches(&parsed.branches, &mut source);
        let regex = regex::RegexBuilder::new(&source).size_limit(MAX_SIZE).build().map_err(|e| refused(format!("regular expression: {e}")))?;
        let shape = shape(&parsed);
        let longest = match shape {
            Shape::Longest => {
                let config = DFA::config().match_kind(MatchKind::All);
                let dfa = DFA::builder().configure(config).build(&source).map_err(|e| refused(format!("regular expression: {e}")))?;
                Some(dfa)
            }
            Shape::Same | Shape::Unknown => None,
        };
        let captures = parsed.captures;
        Ok(Self { regex, longest, shape, captures, global, locale: parsed.locale, spaces: parsed.spaces })
    }

    /// Refuses text whose characters are of unknown classes.
    fn check(&self, text: &str) -> Result<()> {
        if !self.locale {
            return Ok(());
        }
        let unknown = |b: u8| b >= 0x80 || (self.spaces && (0x1c..0x20).contains(&b));
        if text.bytes().any(unknown) { Err(refused("character classes beyond ASCII depend on the locale")) } else { Ok(()) }
    }

    pub(super) fn is_match(&self, text: &str) -> Result<bool> {
        self.check(text)?;
        Ok(self.regex.is_match(text))
    }

    /// Finds matches of this pattern in one text after the other.
    pub(super) fn finder(&self) -> Finder<'_> {
        Finder { compiled: self, cache: self.longest.as_ref().map(DFA::create_cache) }
    }
}

fn write_branches(branches: &[Vec<Node>], out: &mut String) {
    for (i, branch) in branches.iter().enumerate() {
        if i > 0 {
            out.push('|');
        }
        branch.iter().for_each(|n| write_node(n, out));
    }
}

fn write_node(node: &Node, out: &mut String) {
    match node {
        Node::Set(set) => set.write(out),
        Node::At(position) => out.push_str(position),
        Node::Group { capture, branches } => {
            out.push_str(if *capture { "(" } else { "(?:" });
            write_branches(branches, out);
            out.push(')');
        }
        Node::Repeat { node, min, max, greedy } => {
            write_node(node, out);
            let _ = match max {
                Some(max) => write!(out, "{{{min},{max}}}"),
                None => write!(out, "{{{min},}}"),
            };
            if !greedy {
                out.push('?');
            }
        }
    }
}

pub(super) struct Finder<'c> {
    compiled: &'c Compiled,
    cache: Option<dfa::Cache>,
}

impl Finder<'_> {
    /// Before the first search in a text.
    pub(super) fn check(&self, text: &str) -> Result<()> {
        self.compiled.check(text)
    }

    /// The span of the match that Postgres finds at or after `from`.
    pub(super) fn span(&mut self, text: &str, from: usize) -> Result<Option<(usize, usize)>> {
        if from > text.len() {
            return Ok(None);
        }
        let unknown = || refused("regular expression whose match is not decided as in Postgres");
        if self.compiled.shape == Shape::Unknown {
            return Err(unknown());
        }
        let Some(found) = self.compiled.regex.find_at(text, from) else { return Ok(None) };
        match (&self.compiled.longest, &mut self.cache) {
            (Some(dfa), Some(cache)) => {
                let input = Input::new(text).range(found.start()..).anchored(Anchored::Yes);
                let end = dfa.try_search_fwd(cache, &input).map_err(|_| unknown())?.ok_or_else(unknown)?;
                Ok(Some((found.start(), end.offset())))
            }
            _ => Ok(Some((found.start(), found.end()))),
        }
    }

    /// As `span`, with the parts.
    pub(super) fn captures<'t>(&self, text: &'t str, from: usize) -> Result<Option<Captures<'t>>> {
        if self.compiled.shape != Shape::Same {
            return Err(refused("regular expression whose parts are not decided as in Postgres"));
        }
        Ok(if from > text.len() { None } else { self.compiled.regex.captures_at(text, from) })
    }
}

/// The patterns compiled for a batch.
pub(super) struct Cache {
    settings: Settings,
    entries: Vec<(String, String, Arc<Compiled>)>,
}

/// Distinct patterns kept; with more of them, values take turns.
const MAX_PATTERNS: usize = 32;

impl Cache {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, entries: Vec::new() }
    }

    pub(super) fn get(&mut self, pattern: &str, flags: &str) -> Result<Arc<Compiled>> {
        if let Some((_, _, c)) = self.entries.iter().find(|(p, f, _)| p == pattern && f == flags) {
            return Ok(c.clone());
        }
        let compiled = match recent::get(pattern, flags, self.settings) {
            Some(c) => c,
            None => {
                let c = Arc::new(Compiled::new(pattern, flags, self.settings)?);
                recent::put(pattern, flags, self.settings, c.clone());
                c
            }
        };
        if self.entries.len() >= MAX_PATTERNS {
            self.entries.clear();
        }
        self.entries.push((pattern.to_owned(), flags.to_owned(), compiled.clone()));
        Ok(compiled)
    }
}

/// What this thread compiled for earlier batches.
mod recent {
    use super::{Arc, Compiled, MAX_PATTERNS, Settings};
    use std::cell::RefCell;
    use std::collections::VecDeque;

    type Entry = (String, String, Settings, Arc<Compiled>);

    thread_local! {
        static RECENT: RefCell<VecDeque<Entry>> = const { RefCell::new(VecDeque::new()) };
    }

    pub(super) fn get(pattern: &str, flags: &str, settings: Settings) -> Option<Arc<Compiled>> {
        RECENT.with_borrow(|r| r.iter().find(|(p, f, s, _)| p == pattern && f == flags && *s == settings).map(|e| e.3.clone()))
    }

    pub(super) fn put(pattern: &str, flags: &str, settings: Settings, compiled: Arc<Compiled>) {
        RECENT.with_borrow_mut(|r| {
            if r.len() >= MAX_PATTERNS {
                r.pop_front();
            }
            r.push_back((pattern.to_owned(), flags.to_owned(), settings, compiled));
        });
    }
}
