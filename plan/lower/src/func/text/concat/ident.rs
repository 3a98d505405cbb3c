//! `quote_ident` and `%I`: quoted unless it is a plain lower-case name that is no keyword, or an unreserved one.
//!
//! Invariant: the words below are such keywords in releases 14 to 18 alike. What is one in some of them only is refused.

use crate::error::refused;
use datafusion::common::Result;

/// Keywords that are not unreserved, in order. Source: `pg_get_keywords()` of release 15.
const QUOTED: &str = "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char character \
    check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists \
    extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int \
    integer intersect interval into is isnull join lateral leading least left like limit localtime localtimestamp national natural \
    nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision \
    primary real references returning right row select session_user setof similar smallint some substring symmetric table tablesample \
    then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where window with \
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable";

/// Since release 16, 16, 17 (as everything that begins with `json`), and perhaps later.
const SINCE: &[&str] = &["system_user", "merge_action", "graph_table"];

pub(super) fn quote_ident(s: &str) -> Result<String> {
    let plain = s.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if !plain {
        return Ok(format!("\"{}\"", s.replace('"', "\"\"")));
    }
    if SINCE.contains(&s) || s.starts_with("json") {
        return Err(refused("a keyword of some releases only, as an identifier"));
    }
    Ok(if QUOTED.split(' ').any(|word| word == s) { format!("\"{s}\"") } else { s.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_where_they_must_be() {
        for (s, quoted) in [
            ("a", "a"),
            ("_a1", "_a1"),
            ("", "\"\""),
            ("1a", "\"1a\""),
            ("A", "\"A\""),
            ("a b", "\"a b\""),
            ("a\"b", "\"a\"\"b\""),
            ("ä", "\"ä\""),
            ("select", "\"select\""),
            ("all", "\"all\""),
            ("xmltable", "\"xmltable\""),
            ("between", "\"between\""),
            ("name", "name"),
            ("abort", "abort"),
            ("sel", "sel"),
            ("select a", "\"select a\""),
        ] {
            assert_eq!(quote_ident(s).unwrap(), quoted, "{s}");
        }
        for s in ["json", "json_table", "system_user", "merge_action"] {
            assert!(quote_ident(s).is_err(), "{s}");
        }
    }
}
