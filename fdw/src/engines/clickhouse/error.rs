//! Errors of ClickHouse. Source of the codes: `src/Common/ErrorCodes.cpp`.

use crate::client::{failed, http};
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind};

/// The code and the message of an exception's text (`Code: 60. DB::Exception: ...`).
pub fn parse(text: &str) -> Option<(u32, &str)> {
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let code = rest.get(..digits)?.parse().ok()?;
    let message = rest.get(digits..)?.trim_start_matches(['.', ' ']).trim_start_matches("DB::Exception: ");
    let message = message.rsplit_once(" (version ").map_or(message, |(m, _)| m);
    Some((code, message.trim()))
}

/// What an exception means.
pub fn meaning(endpoint: &Endpoint, code: u32, message: &str) -> Error {
    let (sqlstate, hint) = match code {
        60 => ("HV00R", Some("Check the options \"database\" and \"table_name\" of the foreign table, or import it again.")),
        16 | 47 => ("HV005", Some("The remote table has changed: import it again, or set the option \"column_name\".")),
        62 => ("42601", None),
        81 => ("3D000", Some("Check the option \"database\" of the server or the foreign table.")),
        115 => ("HV000", Some("The server is too old: a setting that exact answers need is unknown to it.")),
        125 => ("21000", None),
        153 => ("22012", None),
        159 => ("57014", Some("The remote's own time limit (max_execution_time) was reached.")),
        164 => ("42501", Some("The remote user must be allowed to change settings: its profile may have readonly = 2, not 1.")),
        192..=194 | 516 => ("28000", Some("Check the user mapping of the server.")),
        202 => ("53300", None),
        241 => ("53200", Some("The remote's own memory limit was reached.")),
        344 => ("0A000", None),
        349 => ("23502", None),
        394 => ("57014", None),
        395 => ("22000", None),
        420 => ("0A000", Some("A column of the table's sorting or partition key cannot be changed: delete the row and insert it anew.")),
        407 => ("22003", None),
        452 => ("42501", Some("The remote user's profile does not allow a setting that exact answers need.")),
        497 => ("42501", Some("The remote user lacks a privilege.")),
        _ => ("HV000", None),
    };
    let kind = match sqlstate {
        "28000" => Kind::Auth,
        "57014" | "53200" | "53300" => Kind::Remote,
        _ => Kind::Query,
    };
    // What was executed is of no interest where a statement of ours checks a value.
    let message = if code == 395 { message.split(": while executing").next().unwrap_or(message) } else { message };
    let mut error = Error { kind, ..failed(endpoint, sqlstate, &http::shown(message)) }.with_detail(format!("Remote error {code}."));
    error.hint = hint.map(str::to_owned);
    error
}

/// The error of an exception's text; `None` if it is none.
pub fn of_text(endpoint: &Endpoint, text: &str) -> Option<Error> {
    parse(text).map(|(code, message)| meaning(endpoint, code, message))
}

#[cfg(test)]
mod tests {
    #[test]
    fn exceptions_are_taken_apart() {
        let text = "Code: 60. DB::Exception: Table shop.x does not exist. (UNKNOWN_TABLE) (version 26.7.2.1)\n";
        assert_eq!(super::parse(text), Some((60, "Table shop.x does not exist. (UNKNOWN_TABLE)")));
        assert_eq!(super::parse("<html>Bad gateway</html>"), None);
    }
}
