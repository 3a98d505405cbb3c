//! Reads the query files.
//!
//! A file is SQL with directives in line comments. `-- setup` opens the part that builds the tables, run once;
//! `-- queries` opens the statements that are compared. A file without either holds queries only.
//!
//! For the file: `-- search_path: a, b` (default: a schema named after the file), `-- unmirrored: t1, t2`,
//! `-- requires: icu`, `-- set: name = value` (both sides, before the queries).
//! For the next statement: `-- ordered`, `-- expect: postgres (part of the reason)`, `-- expect: error`,
//! `-- expect: any`, `-- do` (run once, for its effect), `-- both` (run on both sides, its answer compared but not
//! its route). `-- expect from 16: postgres (part of the reason)`: what holds instead from that release on.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The engine produces the rows; if Postgres raises an error, the same error comes back.
    Routed,
    /// Not routed, and the reason contains this text.
    Postgres(String),
    /// Postgres raises an error.
    Error,
    /// Whoever answers.
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Query,
    Do,
    Both,
}

#[derive(Clone, Debug)]
pub struct Statement {
    pub sql: String,
    pub line: usize,
    pub kind: Kind,
    pub ordered: bool,
    pub expect: Expect,
    /// What holds instead from a major release of the server on.
    pub expect_from: Option<(u32, Expect)>,
}

impl Statement {
    /// What is expected of a server of this major release.
    pub fn expected(&self, release: u32) -> &Expect {
        match &self.expect_from {
            Some((first, expect)) if release >= *first => expect,
            _ => &self.expect,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Script {
    pub search_path: Option<String>,
    pub unmirrored: Vec<String>,
    pub requires: Vec<String>,
    pub settings: Vec<String>,
    pub setup: String,
    pub statements: Vec<Statement>,
}

/// Parses a file. Errors name the line.
pub fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script::default();
    let mut queries = text;
    let mut first_line = 1;
    if let Some(at) = find_line(text, "-- queries") {
        let (head, rest) = text.split_at(at);
        for line in head.lines() {
            file_directive(&mut script, line);
        }
        script.setup = head.to_string();
        first_line += head.matches('\n').count();
        queries = rest;
    }
    for piece in split(queries) {
        let line = first_line + queries.get(..piece.start).map_or(0, |before| before.matches('\n').count());
        if let Some(statement) = statement(&mut script, piece.text, line)? {
            script.statements.push(statement);
        }
    }
    Ok(script)
}

fn find_line(text: &str, wanted: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == wanted {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn list(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(',').map(|word| word.trim().to_string()).filter(|word| !word.is_empty())
}

/// Whether the line was a directive for the whole file.
fn file_directive(script: &mut Script, line: &str) -> bool {
    let Some(comment) = line.trim().strip_prefix("-- ") else { return false };
    match comment.split_once(':') {
        Some(("search_path", value)) => script.search_path = Some(value.trim().to_string()),
        Some(("unmirrored", value)) => script.unmirrored.extend(list(value)),
        Some(("requires", value)) => script.requires.extend(list(value)),
        Some(("set", value)) => script.settings.push(value.trim().to_string()),
        _ => return false,
    }
    true
}

fn statement(script: &mut Script, text: &str, line: usize) -> Result<Option<Statement>, String> {
    let mut found = Statement { sql: String::new(), line, kind: Kind::Query, ordered: false, expect: Expect::Routed, expect_from: None };
    let mut sql = Vec::new();
    for text_line in text.lines() {
        let trimmed = text_line.trim();
        if sql.is_empty() && (trimmed.is_empty() || trimmed.starts_with("--")) {
            found.line += 1;
            directive(script, &mut found, trimmed).map_err(|message| format!("line {}: {message}", found.line))?;
        } else {
            sql.push(text_line);
        }
    }
    found.sql = sql.join("\n").trim().to_string();
    Ok((!found.sql.is_empty()).then_some(found))
}

fn directive(script: &mut Script, found: &mut Statement, line: &str) -> Result<(), String> {
    match line.strip_prefix("-- ").unwrap_or("") {
        "ordered" => found.ordered = true,
        "do" => found.kind = Kind::Do,
        "both" => found.kind = Kind::Both,
        other => {
            if let Some(expected) = other.strip_prefix("expect:") {
                found.expect = expect(expected.trim())?;
            } else if let Some(expected) = other.strip_prefix("expect from ") {
                let (release, expected) = expected.split_once(':').ok_or("\"expect from\" without a colon")?;
                let release = release.trim().parse().map_err(|_| format!("\"{release}\" is no release"))?;
                found.expect_from = Some((release, expect(expected.trim())?));
            } else {
                file_directive(script, line);
            }
        }
    }
    Ok(())
}

fn expect(text: &str) -> Result<Expect, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "routed" => Ok(Expect::Routed),
        "error" => Ok(Expect::Error),
        "any" => Ok(Expect::Any),
        "postgres" => {
            let reason = rest.trim().trim_start_matches('(').trim_end_matches(')');
            Ok(Expect::Postgres(reason.to_string()))
        }
        _ => Err(format!("unknown expectation \"{text}\"")),
    }
}

struct Piece<'a> {
    text: &'a str,
    start: usize,
}

/// Splits at semicolons that end a line, outside strings, quoted names, dollar quotes and comments. Several statements
/// on one line stay together: they are sent as one message.
fn split(text: &str) -> Vec<Piece<'_>> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = text.get(at..).unwrap_or("");
        at += match byte {
            b'\'' => {
                let escapes = at > 0 && matches!(bytes.get(at - 1), Some(b'e' | b'E')) && !word_before(bytes, at - 1);
                quoted(rest, '\'', escapes)
            }
            b'"' => quoted(rest, '"', false),
            b'$' => dollar(rest),
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b';' if ends_line(rest) => {
                pieces.push(Piece { text: text.get(start..at).unwrap_or(""), start });
                start = at + 1;
                1
            }
            _ => 1,
        };
    }
    pieces.push(Piece { text: text.get(start..).unwrap_or(""), start });
    pieces
}

fn ends_line(rest: &str) -> bool {
    let line = rest.get(1..).and_then(|after| after.lines().next()).unwrap_or("").trim();
    line.is_empty() || line.starts_with("--")
}

fn word_before(bytes: &[u8], at: usize) -> bool {
    at > 0 && bytes.get(at - 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Length of the quoted text at the start of `rest`, quotes included.
fn quoted(rest: &str, quote: char, escapes: bool) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            if chars.peek().is_some_and(|&(_, next)| next == quote) {
                chars.next();
            } else {
                return at + quote.len_utf8();
            }
        }
    }
    rest.len()
}

/// Length of the dollar-quoted text at the start of `rest`, or 1 if it is a parameter or a lone sign.
fn dollar(rest: &str) -> usize {
    let Some(end) = rest.get(1..).and_then(|inner| inner.find('$')) else { return 1 };
    let Some(tag) = rest.get(..end + 2) else { return 1 };
    let name = tag.trim_matches('$');
    if name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return 1;
    }
    let body = rest.get(tag.len()..).unwrap_or("");
    body.find(tag).map_or(rest.len(), |close| close + 2 * tag.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn splits_outside_quotes_only() {
        let script = parse("select ';', $$;$$, e'\\';' -- ;\n, \";\" /* ; */;\n-- ordered\nselect 2; ").unwrap();
        assert_eq!(script.statements.len(), 2);
        assert!(script.statements[1].ordered);
        assert_eq!(script.statements[1].sql, "select 2");
    }

    #[test]
    fn directives_of_file_and_statement() {
        let text = "-- setup\n-- unmirrored: a, b\ncreate table a();\n-- queries\n-- expect: postgres (volatile)\nselect random();\n-- do\ndelete from a;\n";
        let script = parse(text).unwrap();
        assert_eq!(script.unmirrored, ["a", "b"]);
        assert_eq!(script.statements[0].expect, Expect::Postgres("volatile".into()));
        assert_eq!(script.statements[0].line, 6);
        assert_eq!(script.statements[1].kind, Kind::Do);
    }

    #[test]
    fn statements_of_one_line_stay_together() {
        let script = parse("-- do\nBEGIN; SELECT 1; COMMIT;\nSELECT 2;").unwrap();
        assert_eq!(script.statements.len(), 2);
        assert_eq!(script.statements[0].sql, "BEGIN; SELECT 1; COMMIT");
    }

    #[test]
    fn expectation_of_newer_releases() {
        let script = parse("-- expect from 16: postgres (differs)\nselect 1;").unwrap();
        assert_eq!(*script.statements[0].expected(15), Expect::Routed);
        assert_eq!(*script.statements[0].expected(17), Expect::Postgres("differs".into()));
    }

    #[test]
    fn unknown_expectation_is_an_error() {
        assert!(parse("-- expect: nonsense\nselect 1;").is_err());
        assert!(parse("-- expect from next: any\nselect 1;").is_err());
    }
}
