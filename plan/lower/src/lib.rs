//! The typed plan as a DataFusion `LogicalPlan`, and the functions that answer as Postgres does.
//!
//! Invariants:
//! - Every function of `weir_plan::functions` has an implementation here, found by the same OID (a test checks it).
//! - DataFusion never coerces a type: what is built here has the types it needs, by explicit casts.
//! - A result that cannot be exact is an error of kind `Refused`, at lowering if it can be known, else at run time. Never an approximation.
#![deny(unsafe_code)]

pub mod agg;
pub mod error;
pub mod func;
pub mod rel;
pub mod udf;
pub mod value;

pub use rel::{Fence, Foremost, Lowered, Rank, TableSource, lower_plan, not_null, over_partitions, sees_all_rows_first, settle};
