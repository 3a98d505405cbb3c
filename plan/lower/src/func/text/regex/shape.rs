//! For which patterns the match that `regex` finds is the one that Postgres finds, parts included.
//!
//! Both start at the leftmost place where there is a match. From there Postgres takes the longest match if the pattern prefers
//! long ones, and cuts it up from the left, each part as long as the rest allows (`regexec.c`); `regex` lets each quantifier take as much
//! as lets the rest match, from the left. Take a sequence of *units*, each of which is one set of characters, perhaps quantified. Two ways
//! to match it that cross (one enters a unit later and leaves it earlier than the other) can be joined within that unit, because any
//! stretch of characters of the set is allowed. So the way that takes most in the first unit, then most in the second, and so on, is at
//! no boundary between units behind any other way: it is the longest match, and every cut of it is the rightmost possible one. The same
//! holds for "least" if all quantifiers are non-greedy.
//!
//! A quantified group of several characters breaks the argument only if two ways can enter it at different places. It is admitted
//! where its entry is certain: the characters that the variable units before it may take do not include its first one.
//!
//! Where only the whole match matters, any pattern without non-greedy quantifiers will do: the longest match is searched for.

use super::charset::CharSet;
use super::parse::{Node, Pattern};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `regex` finds Postgres's match and its parts.
    Same,
    /// Postgres takes the longest match; its parts are not known.
    Longest,
    /// Only whether there is a match is known.
    Unknown,
}

/// What the units read so far may still take: where the next unit begins is certain if its first character is not in the set.
#[derive(Clone)]
enum Entry {
    CertainUnless(CharSet),
    Uncertain,
}

#[derive(Default)]
struct Greediness {
    greedy: bool,
    lazy: bool,
}

pub(super) fn shape(pattern: &Pattern) -> Shape {
    let mut greediness = Greediness::default();
    prefer(&pattern.branches, &mut greediness);
    if greediness.lazy && greediness.greedy {
        return Shape::Unknown;
    }
    let same = match pattern.branches.as_slice() {
        [branch] => units(branch, Entry::CertainUnless(CharSet::default()), greediness.lazy).is_some(),
        _ => false,
    };
    match (same, greediness.lazy) {
        (true, _) => Shape::Same,
        (false, false) => Shape::Longest,
        (false, true) => Shape::Unknown,
    }
}

fn prefer(branches: &[Vec<Node>], out: &mut Greediness) {
    // Several branches prefer the longest match.
    out.greedy |= branches.len() > 1;
    for node in branches.iter().flatten() {
        match node {
            Node::Group { branches, .. } => prefer(branches, out),
            Node::Repeat { node, greedy, .. } => {
                out.greedy |= greedy;
                out.lazy |= !greedy;
                if let Node::Group { branches, .. } = &**node {
                    prefer(branches, out);
                }
            }
            Node::Set(_) | Node::At(_) => {}
        }
    }
}

/// Where the unit after this sequence begins; `None` if the argument does not cover it.
fn units(nodes: &[Node], mut entry: Entry, lazy: bool) -> Option<Entry> {
    for node in nodes {
        entry = match node {
            Node::At("^" | "$") => Entry::CertainUnless(CharSet::default()),
            Node::At(_) => entry,
            Node::Set(set) => after_fixed(&entry, set),
            Node::Group { branches, .. } => match branches.as_slice() {
                [branch] if !branch.is_empty() => units(branch, entry, lazy)?,
                _ => return None,
            },
            Node::Repeat { node, min, max, .. } => match &**node {
                Node::Set(set) if Some(*min) == *max => after_fixed(&entry, set),
                Node::Set(set) => after_variable(&entry, set, *min),
                Node::Group { capture, branches } => match branches.as_slice() {
                    [branch] if !lazy => after_group(&entry, *capture, branch, *min, *max)?,
                    _ => return None,
                },
                _ => return None,
            },
        };
    }
    Some(entry)
}

fn after_fixed(entry: &Entry, set: &CharSet) -> Entry {
    match entry {
        Entry::CertainUnless(taken) if taken.is_disjoint(set) => Entry::CertainUnless(CharSet::default()),
        _ => Entry::Uncertain,
    }
}

fn after_variable(entry: &Entry, set: &CharSet, min: u32) -> Entry {
    match entry {
        Entry::CertainUnless(taken) if min > 0 && taken.is_disjoint(set) => Entry::CertainUnless(set.clone()),
        // Together the variable units end where a character is in none of them.
        Entry::CertainUnless(taken) => Entry::CertainUnless(taken.union(set)),
        Entry::Uncertain => Entry::Uncertain,
    }
}

fn after_group(entry: &Entry, capture: bool, branch: &[Node], min: u32, max: Option<u32>) -> Option<Entry> {
    let Entry::CertainUnless(taken) = entry else { return None };
    let first = first_set(branch)?;
    if !taken.is_disjoint(&first) {
        return None;
    }
    let rest = if is_fixed(branch) && !capture {
        CharSet::default()
    } else if min == 0 && max == Some(1) {
        // At most once: its own units are like those around it. It is not empty, since its first unit is not.
        match units(branch, Entry::CertainUnless(CharSet::default()), false)? {
            Entry::CertainUnless(rest) => rest,
            Entry::Uncertain => return Some(Entry::Uncertain),
        }
    } else {
        return None;
    };
    Some(Entry::CertainUnless(taken.union(&first).union(&rest)))
}

/// The characters with which the sequence begins, if it begins with a unit that takes at least one.
fn first_set(nodes: &[Node]) -> Option<CharSet> {
    match nodes.first()? {
        Node::Set(set) => Some(set.clone()),
        Node::Repeat { node, min, .. } if *min > 0 => match &**node {
            Node::Set(set) => Some(set.clone()),
            _ => None,
        },
        Node::Group { branches, .. } => match branches.as_slice() {
            [branch] => first_set(branch),
            _ => None,
        },
        _ => None,
    }
}

/// One fixed number of characters, without captures.
fn is_fixed(nodes: &[Node]) -> bool {
    nodes.iter().all(|n| match n {
        Node::Set(_) => true,
        Node::Repeat { node, min, max, .. } => matches!(&**node, Node::Set(_)) && Some(*min) == *max,
        Node::Group { capture: false, branches } => matches!(branches.as_slice(), [branch] if is_fixed(branch)),
        _ => false,
    })
}
