//! Reads a path as `jsonpath_out` prints it. Source: `printJsonPathItem`.
//!
//! Invariant: what is not understood to its last character is refused.

use super::super::document::Node;
use super::super::scan::unquote;
use super::{Chain, Comparison, Operand, Path, Place, Predicate, Step, unknown};
use datafusion::common::Result;

/// More brackets within each other than this are refused.
const MAX_DEPTH: usize = 50;

pub(super) fn path(text: &str) -> Result<Path> {
    let mut reader = Reader { rest: text };
    let path = if text.starts_with('$') { Path::Items(reader.chain(0)?) } else { Path::Check(reader.unary(0)?) };
    if reader.rest.is_empty() { Ok(path) } else { Err(unknown()) }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Whether this comes next, which is then read.
    fn take(&mut self, wanted: &str) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, wanted: &str) -> Result<()> {
        if self.take(wanted) { Ok(()) } else { Err(unknown()) }
    }

    fn string(&mut self) -> Result<String> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find_map(|(i, c)| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end.then_some(i)
        });
        let quoted = end.filter(|_| self.rest.starts_with('"')).and_then(|end| self.rest.split_at_checked(end + 1));
        let (quoted, rest) = quoted.ok_or_else(unknown)?;
        self.rest = rest;
        Ok(unquote(quoted)?.into_owned())
    }

    /// The characters of a number or a word.
    fn word(&mut self) -> &'a str {
        let n = self.rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')).count();
        let (word, rest) = self.rest.split_at_checked(n).unwrap_or(("", self.rest));
        self.rest = rest;
        word
    }

    fn chain(&mut self, depth: usize) -> Result<Chain> {
        let current = self.take("@");
        // A variable has its name at once.
        if !current {
            self.expect("$")?;
        }
        let mut steps = Vec::new();
        loop {
            if self.take(".*") {
                // `.**` goes on with an asterisk, which nothing reads.
                steps.push(Step::AnyName);
            } else if self.rest.starts_with(".\"") {
                self.expect(".")?;
                steps.push(Step::Name(self.string()?));
            } else if self.take("[*]") {
                steps.push(Step::AnyElement);
            } else if self.take("[") {
                steps.push(Step::Elements(self.places()?));
            } else if self.take("?(") {
                steps.push(Step::Filter(self.either(depth + 1)?));
                self.expect(")")?;
            } else {
                return Ok(Chain { current, steps });
            }
        }
    }

    fn places(&mut self) -> Result<Vec<(Place, Place)>> {
        let mut places = Vec::new();
        loop {
            let from = self.place()?;
            let to = if self.take(" to ") { self.place()? } else { from };
            places.push((from, to));
            if self.take("]") {
                return Ok(places);
            }
            self.expect(",")?;
        }
    }

    fn place(&mut self) -> Result<Place> {
        match self.word() {
            "last" => Ok(Place::Last),
            number => number.parse().map(Place::At).map_err(|_| unknown()),
        }
    }

    fn either(&mut self, depth: usize) -> Result<Predicate> {
        let mut left = self.both(depth)?;
        while self.take(" || ") {
            left = Predicate::Or(Box::new(left), Box::new(self.both(depth)?));
        }
        Ok(left)
    }

    fn both(&mut self, depth: usize) -> Result<Predicate> {
        let mut left = self.unary(depth)?;
        while self.take(" && ") {
            left = Predicate::And(Box::new(left), Box::new(self.unary(depth)?));
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Predicate> {
        if depth > MAX_DEPTH {
            return Err(unknown());
        }
        if self.take("!(") {
            let inner = self.either(depth + 1)?;
            self.expect(")")?;
            return Ok(Predicate::Not(Box::new(inner)));
        }
        if self.take("exists (") {
            let chain = self.chain(depth + 1)?;
            self.expect(")")?;
            return Ok(Predicate::Exists(chain));
        }
        if self.take("(") {
            let inner = self.either(depth + 1)?;
            self.expect(")")?;
            return Ok(if self.take(" is unknown") { Predicate::IsUnknown(Box::new(inner)) } else { inner });
        }
        let left = self.operand(depth)?;
        if self.take(" starts with ") {
            return Ok(Predicate::StartsWith(left, self.string()?));
        }
        let comparisons = [
            (" == ", Comparison::Equal),
            (" != ", Comparison::NotEqual),
            (" < ", Comparison::Less),
            (" <= ", Comparison::LessEqual),
            (" > ", Comparison::Greater),
            (" >= ", Comparison::GreaterEqual),
        ];
        let (_, how) = comparisons.into_iter().find(|(sign, _)| self.take(sign)).ok_or_else(unknown)?;
        Ok(Predicate::Compare(how, left, self.operand(depth)?))
    }

    fn operand(&mut self, depth: usize) -> Result<Operand> {
        match self.rest.bytes().next() {
            Some(b'$' | b'@') => self.chain(depth).map(Operand::Items),
            Some(b'"') => self.string().map(|s| Operand::Value(Node::String(s))),
            _ => match Node::read(self.word()) {
                Ok(value) if value.is_scalar() => Ok(Operand::Value(value)),
                _ => Err(unknown()),
            },
        }
    }
}
