//! The one error type that crosses the sockets, by kind; the extension maps it to `ereport` in one place.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What went wrong, as the caller must react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The engine cannot answer exactly as Postgres would: run the query in Postgres.
    Refused,
    /// The query itself is at fault (division by zero, bad cast …); `sqlstate` says how.
    Query,
    /// The engine, or a remote engine, cannot be reached.
    Unreachable,
    /// Credentials were refused.
    Auth,
    /// A remote engine cannot be reached, does not let us in, or broke off: no other plan would fare better.
    Remote,
    /// The user or a time-out stopped the query.
    Cancelled,
    /// The memory or spill limit was reached.
    OutOfMemory,
    /// A server, user mapping or table option is wrong.
    BadOption,
    /// Extension and engine are not of one build (`greeting.rs`): they do not talk to each other.
    OtherBuild,
    /// A peer broke the protocol, or an invariant of ours does not hold.
    Internal,
}

/// An error with its SQLSTATE (five characters), and what a Postgres user expects beside the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub kind: Kind,
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let sqlstate = match kind {
            Kind::Refused => "0A000",
            Kind::Query => "22000",
            Kind::Unreachable => "08001",
            Kind::Auth => "28000",
            Kind::Remote => "HV000",
            Kind::Cancelled => "57014",
            Kind::OutOfMemory => "53200",
            Kind::BadOption => "HV00D",
            Kind::OtherBuild => "55000",
            Kind::Internal => "XX000",
        };
        Self { kind, sqlstate: sqlstate.into(), message: message.into(), detail: None, hint: None }
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// An error of the query with the SQLSTATE that Postgres raises for it, e.g. `22012` for division by zero.
    pub fn query(sqlstate: &str, message: impl Into<String>) -> Self {
        Self { sqlstate: sqlstate.into(), ..Self::new(Kind::Query, message) }
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
