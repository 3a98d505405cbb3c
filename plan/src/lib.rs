//! What crosses between the parts of pg_weir: the typed plan, the type map, the table of functions that may be shipped,
//! the messages of the sockets and the error kinds.
//!
//! Invariants:
//! - Everything here is a value: no sockets, no threads, no Postgres, no DataFusion. The backend links this crate, so it stays small.
//! - Functions, operators and aggregates are named by their `pg_proc` OID, never by their spelling.
//! - A plan says what to compute, with Postgres types on every expression; how an engine computes it is `weir_lower`'s business.
#![deny(unsafe_code)]

pub mod arrow_ipc;
pub mod bytes;
pub mod error;
pub mod functions;
pub mod greeting;
pub mod ir;
pub mod manifest;
pub mod protocol;
pub mod types;
pub mod walk;

pub use error::{Error, Kind, Result};
