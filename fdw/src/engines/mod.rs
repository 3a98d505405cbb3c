//! One directory for each engine.

pub mod adbc;
pub mod clickhouse;
pub mod duckdb;
pub mod flightsql;
pub mod mysql;
pub mod postgres;
pub mod starrocks;
pub mod trino;
