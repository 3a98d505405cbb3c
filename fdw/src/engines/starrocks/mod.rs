//! StarRocks: MySQL's protocol (as text; it prepares nothing) or its Flight SQL port, and SQL of its own.

#[cfg(feature = "clients")]
pub mod catalog;
#[cfg(feature = "clients")]
pub mod client;
#[cfg(feature = "clients")]
pub mod decode;

use crate::descriptor::{Auth, Capabilities, Engine, OptionDef, OptionType, Scope};
use crate::dialect::starrocks::StarRocks;

const MILLIS: OptionType = OptionType::Int { min: 0, max: 86_400_000 };
const PORT: OptionType = OptionType::Int { min: 1, max: 65_535 };

pub static ENGINE: Engine = Engine {
    name: "starrocks",
    wrapper: "weir_starrocks",
    title: "StarRocks",
    dialect: &StarRocks,
    format: "text protocol of MySQL, or Arrow",
    can: Capabilities {
        push: true,
        write: true,
        update: true,
        truncate: true,
        transactions: false,
        returning: false,
        returns_new_and_deleted: false,
        cancel: true,
        count: true,
    },
    schema_option: "database",
    auth: &[Auth::Password, Auth::Certificate],
    options: &[
        OptionDef::new(Scope::Server, "host", OptionType::Text, "Name or address of a front end.").required(),
        OptionDef::new(Scope::Server, "port", PORT, "Its port for queries (query_port).").default("9030"),
        OptionDef::new(Scope::Server, "flight_port", PORT, "Its port for Flight SQL (arrow_flight_port); with it, results travel as Arrow."),
        OptionDef::new(Scope::Server, "catalog", OptionType::Text, "Catalog of databases that do not name their own, e.g. an external one."),
        OptionDef::new(Scope::Server, "database", OptionType::Text, "Database of tables that do not name their own."),
        OptionDef::new(
            Scope::Server,
            "ssl_mode",
            OptionType::Choice(&["disabled", "required", "verify_ca", "verify_identity"]),
            "Whether the connection is encrypted, and what is checked.",
        )
        .default("disabled"),
        OptionDef::new(Scope::Server, "ssl_ca", OptionType::Text, "File with the certificates that are trusted (PEM).").superuser(),
        OptionDef::new(Scope::Server, "connect_timeout_ms", MILLIS, "Time to connect; 0: no limit.").default("10000"),
        OptionDef::new(Scope::Server, "request_timeout_ms", MILLIS, "Time without any answer to a statement; 0: no limit.").default("0"),
        OptionDef::new(Scope::Server, "idle_timeout_ms", MILLIS, "Time after which a connection that nobody uses is closed; 0: never.").default("300000"),
        OptionDef::new(Scope::Server, "max_connections", OptionType::Int { min: 1, max: 1000 }, "Connections of one user mapping at most.").default("16"),
        OptionDef::new(Scope::User, "user", OptionType::Text, "Name of the remote user.").required(),
        OptionDef::new(Scope::User, "password", OptionType::Text, "Its password.").secret(),
        OptionDef::new(
            Scope::User,
            "ssl_cert",
            OptionType::Text,
            "File with the client's certificate (PEM), and those that lead to one that the server trusts.",
        )
        .superuser(),
        OptionDef::new(Scope::User, "ssl_key", OptionType::Text, "File with its private key (PEM), which nobody else may read.").superuser(),
        OptionDef::new(Scope::Table, "catalog_name", OptionType::Text, "Catalog of the table, if not that of the server."),
        OptionDef::new(Scope::Table, "database", OptionType::Text, "Database of the table, if not that of the server."),
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
