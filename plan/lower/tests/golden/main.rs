//! What Postgres answered for many argument values (`*.jsonl`) against what is lowered here.
//!
//! A refusal is always allowed, but most values must be answered; so is another error where Postgres raises one, since
//! Postgres runs the query then. The files are made by the scripts beside them.

#![allow(clippy::unwrap_used)] // a test that panics has failed

mod aggregates;
mod casts;
mod rows;
mod scalars;
mod values;
