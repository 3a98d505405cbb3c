//! Whether two answers are the same, and if not, what differs.

use crate::wire::{Answer, Rows};

const SHOWN_ROWS: usize = 5;

/// `None` when the answers agree, otherwise a description of the difference.
pub fn difference(postgres: &Answer, weir: &Answer, ordered: bool) -> Option<String> {
    match (postgres, weir) {
        (Answer::Rows(left), Answer::Rows(right)) => rows(left, right, ordered),
        (Answer::Error(left), Answer::Error(right)) if left.sqlstate == right.sqlstate => None,
        (left, right) => Some(format!("postgres: {}\nweir:     {}", summary(left), summary(right))),
    }
}

pub fn summary(answer: &Answer) -> String {
    match answer {
        Answer::Rows(rows) => format!("{} rows", rows.rows.len()),
        Answer::Error(error) if error.detail.is_empty() => format!("error {}: {}", error.sqlstate, error.message),
        Answer::Error(error) => format!("error {}: {} ({})", error.sqlstate, error.message, error.detail),
        Answer::Lost(reason) => format!("connection lost: {reason}"),
    }
}

fn rows(left: &Rows, right: &Rows, ordered: bool) -> Option<String> {
    if left.columns != right.columns {
        return Some(format!("columns differ\npostgres: {:?}\nweir:     {:?}", left.columns, right.columns));
    }
    let mut left: Vec<String> = left.rows.iter().map(|row| line(row)).collect();
    let mut right: Vec<String> = right.rows.iter().map(|row| line(row)).collect();
    if left == right {
        return None;
    }
    let counts = format!("{} and {} rows", left.len(), right.len());
    let in_order = ordered;
    if !ordered || left.len() != right.len() {
        left.sort_unstable();
        right.sort_unstable();
        if left == right {
            return None;
        }
    }
    if in_order && left.len() == right.len() {
        let mut sorted = (left.clone(), right.clone());
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        if sorted.0 == sorted.1 {
            return Some(format!("the order differs ({counts})\n{}", first_pairs(&left, &right)));
        }
        return Some(format!("rows differ ({counts})\n{}", first_pairs(&left, &right)));
    }
    let only_left = missing(&left, &right);
    let only_right = missing(&right, &left);
    Some(format!("rows differ ({counts})\nonly postgres:\n{only_left}only weir:\n{only_right}"))
}

fn line(row: &[Option<String>]) -> String {
    row.iter().map(|field| field.as_deref().map_or("<null>".into(), |text| format!("{text:?}"))).collect::<Vec<_>>().join(" | ")
}

fn first_pairs(left: &[String], right: &[String]) -> String {
    left.iter()
        .zip(right)
        .enumerate()
        .filter(|(_, (l, r))| l != r)
        .take(SHOWN_ROWS)
        .map(|(at, (l, r))| format!("row {}:\n  postgres {l}\n  weir     {r}\n", at + 1))
        .collect()
}

/// The first lines of sorted `left` that sorted `right` lacks, counting duplicates.
fn missing(left: &[String], right: &[String]) -> String {
    let mut found = String::new();
    let mut shown = 0;
    let mut others = right.iter().peekable();
    for line in left {
        while others.next_if(|other| *other < line).is_some() {}
        if others.next_if(|other| *other == line).is_none() {
            found += &format!("  {line}\n");
            shown += 1;
            if shown == SHOWN_ROWS {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ServerError;

    fn answer(values: &[&str]) -> Answer {
        Answer::Rows(Rows { columns: vec![], rows: values.iter().map(|v| vec![Some(v.to_string())]).collect() })
    }

    fn error(sqlstate: &str) -> Answer {
        Answer::Error(ServerError { sqlstate: sqlstate.into(), ..Default::default() })
    }

    #[test]
    fn order_counts_only_where_it_is_asked_for() {
        assert!(difference(&answer(&["a", "b"]), &answer(&["b", "a"]), false).is_none());
        assert!(difference(&answer(&["a", "b"]), &answer(&["b", "a"]), true).is_some());
    }

    #[test]
    fn duplicates_count() {
        let found = difference(&answer(&["a", "a", "b"]), &answer(&["a", "b", "b"]), false);
        assert!(found.is_some_and(|text| text.contains("only postgres:\n  \"a\"") && text.contains("only weir:\n  \"b\"")));
        assert!(difference(&answer(&["a"]), &answer(&["a", "a"]), true).is_some());
    }

    #[test]
    fn errors_are_compared_by_sqlstate() {
        assert!(difference(&error("22012"), &error("22012"), false).is_none());
        assert!(difference(&error("22012"), &error("22003"), false).is_some());
        assert!(difference(&error("22012"), &answer(&[]), false).is_some());
    }

    #[test]
    fn a_lost_connection_never_agrees() {
        let lost = Answer::Lost("gone".into());
        assert!(difference(&lost, &lost, false).is_some());
    }
}
