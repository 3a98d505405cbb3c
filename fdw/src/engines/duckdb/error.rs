//! What an error of DuckDB means: its kind is the first word of its message.

use crate::client::failed;
use crate::dialect::duckdb::INFINITE_YEAR;
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind};

/// What `duckdb::dialect` has an expression raise that Postgres would fail on.
pub const DIVISION_BY_ZERO: &str = "division by zero";
pub const INFINITE_DATES: &str = "cannot subtract infinite dates";

/// The kind that DuckDB gave an error, and the rest of its message.
fn parts(message: &str) -> (&str, &str) {
    match message.split_once(" Error: ") {
        Some((kind, rest)) if !kind.is_empty() && kind.len() < 40 && !kind.contains('\n') => (kind, rest),
        _ => ("", message),
    }
}

/// Whether the database is of no use any more and has to be opened anew.
pub fn is_fatal(message: &str) -> bool {
    matches!(parts(message).0, "FATAL" | "INTERNAL")
}

/// An error of a statement.
pub fn statement(endpoint: &Endpoint, message: &str) -> Error {
    let (kind, text) = parts(message);
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if kind == "Invalid Input" && first == DIVISION_BY_ZERO {
        return Error::query("22012", first);
    }
    if kind == "Invalid Input" && matches!(first, "smallint out of range" | "integer out of range") {
        return Error::query("22003", first);
    }
    if kind == "Invalid Input" && (first == INFINITE_DATES || first == "date out of range") {
        return Error::query("22008", first);
    }
    if kind == "Invalid Input" && first == INFINITE_YEAR {
        return Error { kind: Kind::Query, ..failed(endpoint, "0A000", first) }
            .with_hint("Leave such rows out by another condition, or have Postgres compute it, of a subquery with OFFSET 0.");
    }
    // What overflows there overflows here.
    let narrow =
        |of: &str| [("INT16", "smallint"), ("INT32", "integer"), ("INT64", "bigint")].into_iter().find(|(there, _)| of.split([' ', ':']).any(|w| w == *there));
    if let ("Out of Range", Some((_, ours))) = (kind, narrow(first)) {
        return Error::query("22003", format!("{ours} out of range"));
    }
    let of_time = first.to_ascii_lowercase();
    if kind == "Out of Range" && ["date", "timestamp"].iter().any(|word| of_time.contains(word)) {
        return Error::query("22008", if of_time.contains("timestamp") { "timestamp out of range" } else { "date out of range" });
    }
    // Casts name the type last.
    let target = ["destination type ", "to type "].iter().find_map(|before| first.split_once(before)).map(|(_, after)| after);
    let lost = first.contains("out of range") || first.starts_with("Failed to cast decimal value");
    if let ("Conversion", true, Some((_, ours))) = (kind, lost, target.and_then(|t| narrow(t.split(' ').next().unwrap_or_default()))) {
        return Error::query("22003", format!("{ours} out of range"));
    }
    if kind == "Conversion" && first.contains("to type DECIMAL(") && first.contains("out of range") {
        return Error::query("22003", "numeric field overflow");
    }
    let (sqlstate, of, hint) = match kind {
        "Catalog" => ("HV00R", Kind::Query, Some("Check the options \"schema_name\" and \"table_name\" of the foreign table, or import it again.")),
        "Binder" => ("HV005", Kind::Query, Some("The remote table has changed: import it again, or set the option \"column_name\".")),
        "Parser" | "Syntax" => ("42601", Kind::Query, None),
        "Out of Range" => ("22003", Kind::Query, None),
        "Conversion" | "Mismatch Type" => ("22000", Kind::Query, None),
        "Invalid Input" => ("22023", Kind::Query, None),
        "Constraint" => (constraint(first), Kind::Remote, None),
        "Dependency" => ("2BP01", Kind::Remote, None),
        "TransactionContext" | "Transaction" => ("40001", Kind::Remote, Some("Another statement changed the same rows: try again.")),
        "Not implemented" => ("0A000", Kind::Query, None),
        "Permission" => (
            "42501",
            Kind::Remote,
            Some("Files, extensions and settings can only be reached over a server with the option \"external_access\", which superusers set."),
        ),
        "Out of Memory" => (
            "53200",
            Kind::OutOfMemory,
            Some("Raise the option \"memory_limit_mb\" of the server, or let it spill with \"temp_directory\" and \"temp_limit_mb\"."),
        ),
        "INTERRUPT" => ("57014", Kind::Remote, None),
        "IO" => ("58030", Kind::Remote, None),
        _ => ("HV000", Kind::Remote, None),
    };
    let mut error = Error { kind: of, ..failed(endpoint, sqlstate, first) };
    error.detail = (!rest.trim().is_empty()).then(|| rest.trim().to_owned());
    error.hint = hint.map(str::to_owned);
    error
}

/// Which constraint it was.
fn constraint(message: &str) -> &'static str {
    let lower = message.to_ascii_lowercase();
    match lower.as_str() {
        m if m.contains("not null") => "23502",
        m if m.contains("foreign key") => "23503",
        m if m.contains("duplicate key") || m.contains("unique") => "23505",
        m if m.contains("check constraint") => "23514",
        _ => "23000",
    }
}

/// An error of opening the database.
pub fn open(endpoint: &Endpoint, message: &str) -> Error {
    let (kind, text) = parts(message);
    let hint = match kind {
        "Invalid Input" => "Check the options of the server.",
        _ => "The file may be open in another process, of another format, or not accessible to the server's operating system user.",
    };
    failed(endpoint, "08001", "could not open the database").with_detail(text).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::ir::ServerRef;

    #[test]
    fn kinds_are_told_apart() {
        let endpoint = Endpoint { server: ServerRef { server: 1, user: 0 }, name: "d".into(), engine: "duckdb".into(), options: vec![], trusted: false };
        let e = statement(&endpoint, "Catalog Error: Table with name x does not exist!\nDid you mean \"y\"?");
        assert_eq!((e.sqlstate.as_str(), e.message.as_str()), ("HV00R", "server \"d\": Table with name x does not exist!"));
        assert_eq!(e.detail.as_deref(), Some("Did you mean \"y\"?"));
        assert_eq!(statement(&endpoint, "Invalid Input Error: division by zero").sqlstate, "22012");
        assert_eq!(statement(&endpoint, "what").sqlstate, "HV000");
        for (message, sqlstate, ours) in [
            ("Invalid Input Error: cannot subtract infinite dates", "22008", "cannot subtract infinite dates"),
            ("Out of Range Error: Date out of range", "22008", "date out of range"),
            (
                "Conversion Error: Type INT64 with value 2147483648 can't be cast because the value is out of range for the destination type INT32 when casting",
                "22003",
                "integer out of range",
            ),
            (
                "Conversion Error: Failed to cast decimal value 100000000000000000000 to type INT64 when casting from source column big",
                "22003",
                "bigint out of range",
            ),
            (
                "Conversion Error: Casting value \"99999999999999999999.9999999999\" to type DECIMAL(12,1) failed: value is out of range! when casting from source column big",
                "22003",
                "numeric field overflow",
            ),
        ] {
            let e = statement(&endpoint, message);
            assert_eq!((e.sqlstate.as_str(), e.message.as_str()), (sqlstate, ours));
        }
        assert!(is_fatal("FATAL Error: the database has been invalidated") && !is_fatal("IO Error: x"));
    }
}
