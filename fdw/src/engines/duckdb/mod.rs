//! DuckDB: a database file, or one in memory, in the engine's own process.
//!
//! Invariants:
//! - Nothing outside of the database is within reach: no files, no extensions, no settings. A superuser may open that for a server
//!   (`external_access`), nobody else.
//! - A database is opened once in this process, however many servers and users name it.

#[cfg(feature = "duckdb")]
mod catalog;
#[cfg(feature = "duckdb")]
mod chunk;
#[cfg(feature = "duckdb")]
pub mod client;
#[cfg(feature = "duckdb")]
pub mod embedded;
#[cfg(feature = "duckdb")]
mod error;
#[cfg(feature = "duckdb")]
pub mod feed;
#[cfg(feature = "duckdb")]
mod instance;
#[cfg(feature = "duckdb")]
mod raw;
#[cfg(feature = "duckdb")]
mod session;

use crate::descriptor::{Auth, Capabilities, Engine, OptionDef, OptionType, Scope};
use crate::dialect::duckdb::DuckDb;

const MEGABYTES: OptionType = OptionType::Int { min: 16, max: 1 << 30 };

pub static ENGINE: Engine = Engine {
    name: "duckdb",
    wrapper: "weir_duckdb",
    title: "DuckDB",
    dialect: &DuckDb::OVER_FILES,
    format: "Arrow",
    can: Capabilities {
        push: true,
        write: true,
        update: true,
        truncate: true,
        transactions: true,
        returning: true,
        returns_new_and_deleted: false,
        cancel: true,
        count: true,
    },
    schema_option: "schema_name",
    auth: &[Auth::None],
    options: &[
        OptionDef::new(
            Scope::Server,
            "database",
            OptionType::Text,
            "Absolute path of the database file; without it, a database in memory that lives as long as the engine.",
        )
        .superuser(),
        OptionDef::new(Scope::Server, "read_only", OptionType::Bool, "Open the file for reading only.").default("false"),
        OptionDef::new(Scope::Server, "create", OptionType::Bool, "Make the file if there is none.").default("false"),
        OptionDef::new(Scope::Server, "schema", OptionType::Text, "Schema of tables that name none.").default("main"),
        OptionDef::new(Scope::Server, "memory_limit_mb", MEGABYTES, "Memory of this database in the engine.").default("512"),
        OptionDef::new(Scope::Server, "threads", OptionType::Int { min: 0, max: 1024 }, "Threads of its queries; 0: one for each core.").default("0"),
        OptionDef::new(Scope::Server, "max_connections", OptionType::Int { min: 1, max: 1000 }, "Statements that run at a time.").default("16"),
        OptionDef::new(Scope::Server, "temp_directory", OptionType::Text, "Where queries that exceed the memory put their files; without it they fail.")
            .superuser(),
        OptionDef::new(Scope::Server, "temp_limit_mb", MEGABYTES, "Size of those files together.").default("4096"),
        OptionDef::new(
            Scope::Server,
            "external_access",
            OptionType::Bool,
            "Let SQL sent as it is read and write files, attach databases, load extensions and change settings.",
        )
        .superuser(),
        OptionDef::new(Scope::Server, "extension_directory", OptionType::Text, "Where extensions are loaded from, with external_access.").superuser(),
        OptionDef::new(Scope::Table, "schema_name", OptionType::Text, "Schema of the remote table, if not that of the server."),
        OptionDef::new(Scope::Table, "table_name", OptionType::Text, "Name of the remote table, if not that of the foreign table."),
        OptionDef::new(
            Scope::Table,
            "rows",
            OptionType::Int { min: 0, max: i64::MAX },
            "Number of rows that the planner assumes; IMPORT FOREIGN SCHEMA sets it.",
        ),
        OptionDef::new(Scope::Column, "column_name", OptionType::Text, "Name of the remote column, if not that of the column."),
        OptionDef::new(Scope::Column, "key", OptionType::Bool, "The column is part of the key that identifies a row."),
    ],
};

/// Mirrors as DuckDB reads them: not an engine of servers, but what the embedded one's statements are written for.
pub static MIRRORS: Engine =
    Engine { name: "duckdb_mirrors", wrapper: "", title: "DuckDB over mirrors", dialect: &DuckDb::OVER_MIRRORS, options: &[], ..ENGINE };
