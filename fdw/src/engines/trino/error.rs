//! Errors of Trino. Source of the names: `StandardErrorCode.java`.

use crate::client::{failed, http};
use serde::Deserialize;
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind};

/// `QueryError` of the protocol.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryError {
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub error_code: i64,
    #[serde(default)]
    pub error_name: String,
    #[serde(default)]
    pub error_type: String,
}

/// What an error means.
pub fn meaning(endpoint: &Endpoint, e: &QueryError) -> Error {
    let (sqlstate, hint) = match e.error_name.as_str() {
        "TABLE_NOT_FOUND" => ("HV00R", Some("Check the options \"catalog\", \"schema\" and \"table_name\" of the foreign table, or import it again.")),
        "COLUMN_NOT_FOUND" => ("HV005", Some("The remote table has changed: import it again, or set the option \"column_name\".")),
        "CATALOG_NOT_FOUND" | "MISSING_CATALOG_NAME" => ("3D000", Some("Check the option \"catalog\" of the server or the foreign table.")),
        "SCHEMA_NOT_FOUND" | "MISSING_SCHEMA_NAME" => ("3F000", Some("Check the option \"schema\" of the server or the foreign table.")),
        "SYNTAX_ERROR" => ("42601", None),
        "FUNCTION_NOT_FOUND" => ("42883", None),
        "TYPE_MISMATCH" => ("42804", None),
        "PERMISSION_DENIED" => ("42501", Some("The remote user lacks a privilege.")),
        "NOT_SUPPORTED" => ("0A000", None),
        "READ_ONLY_VIOLATION" => ("25006", None),
        "DIVISION_BY_ZERO" => ("22012", None),
        "NUMERIC_VALUE_OUT_OF_RANGE" => ("22003", None),
        "INVALID_CAST_ARGUMENT" => ("22P02", None),
        "INVALID_FUNCTION_ARGUMENT" => ("22023", None),
        "SUBQUERY_MULTIPLE_ROWS" => ("21000", None),
        "CONSTRAINT_VIOLATION" => ("23000", None),
        "ALREADY_EXISTS" | "TABLE_ALREADY_EXISTS" => ("42P07", None),
        "USER_CANCELED" | "ADMINISTRATIVELY_KILLED" | "ADMINISTRATIVELY_PREEMPTED" => ("57014", None),
        "EXCEEDED_TIME_LIMIT" | "EXCEEDED_CPU_LIMIT" | "EXCEEDED_SCAN_LIMIT" | "ABANDONED_QUERY" => ("57014", Some("A limit of the remote was reached.")),
        "EXCEEDED_GLOBAL_MEMORY_LIMIT" | "EXCEEDED_LOCAL_MEMORY_LIMIT" | "EXCEEDED_NODE_MEMORY" | "CLUSTER_OUT_OF_MEMORY" => ("53200", None),
        "QUERY_QUEUE_FULL" | "NO_NODES_AVAILABLE" | "INSUFFICIENT_RESOURCES" => ("53300", None),
        "QUERY_REJECTED" => ("53000", None),
        "TRANSACTION_CONFLICT" => ("40001", None),
        _ => ("HV000", None),
    };
    let own = matches!(e.error_type.as_str(), "USER_ERROR") && !matches!(sqlstate, "57014" | "53300");
    let kind = if own || sqlstate == "0A000" { Kind::Query } else { Kind::Remote };
    let message = e.message.as_deref().filter(|m| !m.is_empty()).unwrap_or("the query failed");
    let mut error = Error { kind, ..failed(endpoint, sqlstate, &http::shown(message)) };
    if !e.error_name.is_empty() {
        error.detail = Some(format!("Remote error {} ({}).", e.error_name, e.error_code));
    }
    error.hint = hint.map(str::to_owned);
    error
}
