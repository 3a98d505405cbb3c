//! The remote engines: what options each takes, how its SQL is spelled, and (feature `clients`) how it is spoken to.
//!
//! Invariants:
//! - An engine is one entry of [`registry::ENGINES`] and one directory of `engines`.
//! - What a dialect does not spell is not pushed; a spelling promises the very answer Postgres gives.
//! - Secrets are in [`weir_plan::protocol::Endpoint`] only, which prints none of them.
//! - Without the feature `clients` nothing here does I/O.
#![deny(unsafe_code)]

mod average;
#[cfg(feature = "clients")]
pub mod client;
pub mod descriptor;
pub mod dialect;
pub mod engines;
pub mod keys;
pub mod meaning;
pub mod one;
pub mod push;
pub mod registry;
mod sink;
mod sql;
pub mod write;

pub use sink::is_fence;
pub use sql::{Assignment, COMPUTED, ForeignTable, Modification, Tables, modification, statement, text, text_with};
