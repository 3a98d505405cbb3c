//! One directory for each engine.

pub mod mysql;
pub mod postgres;
