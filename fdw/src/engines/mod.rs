//! One directory for each engine.

pub mod clickhouse;
pub mod mysql;
pub mod postgres;
