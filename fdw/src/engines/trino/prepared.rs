//! Statements with values apart: the statement goes as a prepared one in a header, its values with EXECUTE.
//!
//! Invariant: a statement too long for a header is sent with its values in it; both mean the same.

use super::statement::encoded;

/// The header of prepared statements, as `name=statement`, percent-encoded.
pub const HEADER: &str = "X-Trino-Prepared-Statement";
/// Coordinators take headers of 8 kB in all, unless told otherwise.
const HEADER_BYTES: usize = 4096;
/// The statement's name; every request brings its own.
const NAME: &str = "weir";
/// Around values, in the text of a statement with parameters.
const MARK: char = crate::dialect::PARAMETER_MARK;

/// What is posted, and what stands in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    pub body: String,
    pub header: Option<String>,
}

impl Prepared {
    /// SQL as it is.
    pub fn plain(sql: &str) -> Prepared {
        Prepared { body: sql.to_owned(), header: None }
    }
}

/// A statement whose parameters' values stand between marks.
pub fn prepared(sql: &str) -> Prepared {
    let (mut statement, mut values) = (String::new(), Vec::new());
    for (i, piece) in sql.split(MARK).enumerate() {
        if i % 2 == 0 {
            statement.push_str(piece);
        } else {
            statement.push('?');
            values.push(piece);
        }
    }
    let header = format!("{NAME}={}", encoded(&statement));
    if values.is_empty() || header.len() > HEADER_BYTES {
        return Prepared { body: sql.replace(MARK, ""), header: None };
    }
    Prepared { body: format!("EXECUTE {NAME} USING {}", values.join(", ")), header: Some(header) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_apart() {
        let p = prepared("SELECT a FROM t WHERE b = \u{1}BIGINT '5'\u{1} AND c = \u{1}'?, ''x'\u{1}");
        assert_eq!(p.body, "EXECUTE weir USING BIGINT '5', '?, ''x'");
        assert_eq!(p.header.as_deref(), Some("weir=SELECT%20a%20FROM%20t%20WHERE%20b%20%3D%20%3F%20AND%20c%20%3D%20%3F"));
        assert_eq!(prepared("SELECT 1"), Prepared { body: "SELECT 1".into(), header: None });
        let long = format!("SELECT '{}' = \u{1}'a'\u{1}", "x".repeat(HEADER_BYTES));
        assert_eq!(prepared(&long), Prepared { body: long.replace('\u{1}', ""), header: None });
    }
}
