//! ClickHouse, over HTTP.

#[cfg(feature = "clients")]
mod catalog;
#[cfg(feature = "clients")]
mod change;
#[cfg(feature = "clients")]
pub mod client;
#[cfg(feature = "clients")]
mod error;
#[cfg(feature = "clients")]
mod insert;
#[cfg(feature = "clients")]
mod stream;

use crate::descriptor::{Auth, Capabilities, Engine, OptionDef, OptionType, Scope};
use crate::dialect::clickhouse::ClickHouse;

const MILLIS: OptionType = OptionType::Int { min: 0, max: 86_400_000 };

pub static ENGINE: Engine = Engine {
    name: "clickhouse",
    wrapper: "weir_clickhouse",
    title: "ClickHouse",
    dialect: &ClickHouse,
    format: "ArrowStream over HTTP",
    can: Capabilities { push: true, write: true, update: true, truncate: true, cancel: true, count: true, ..Capabilities::NONE },
    schema_option: "database",
    auth: &[Auth::None, Auth::Password, Auth::Certificate],
    options: &[
        OptionDef::new(Scope::Server, "host", OptionType::Text, "Name or address of the server.").required(),
        OptionDef::new(
            Scope::Server,
            "port",
            OptionType::Int { min: 1, max: 65_535 },
            "Port of its HTTP interface; 8123 unless given, 8443 for an encrypted one.",
        ),
        OptionDef::new(Scope::Server, "database", OptionType::Text, "Database of tables that do not name their own.").default("default"),
        OptionDef::new(
            Scope::Server,
            "ssl_mode",
            OptionType::Choice(&["disabled", "required", "verify_ca", "verify_identity"]),
            "Whether the connection is encrypted, and what is checked.",
        )
        .default("disabled"),
        OptionDef::new(Scope::Server, "ssl_ca", OptionType::Text, "File with the certificates that are trusted (PEM).").superuser(),
        OptionDef::new(
            Scope::Server,
            "compression",
            OptionType::Choice(&["auto", "none", "lz4"]),
            "How results are compressed on their way: automatically, only those that leave the machine.",
        )
        .default("auto"),
        OptionDef::new(Scope::Server, "connect_timeout_ms", MILLIS, "Time to connect; 0: no limit.").default("10000"),
        OptionDef::new(Scope::Server, "request_timeout_ms", MILLIS, "Time without any answer to a statement; 0: no limit.").default("0"),
        OptionDef::new(Scope::Server, "idle_timeout_ms", MILLIS, "Time after which a connection that nobody uses is closed; 0: never.").default("300000"),
        OptionDef::new(Scope::Server, "max_connections", OptionType::Int { min: 1, max: 1000 }, "Connections of one user mapping at most.").default("16"),
        OptionDef::new(Scope::User, "user", OptionType::Text, "Name of the remote user.").default("default"),
        OptionDef::new(Scope::User, "password", OptionType::Text, "Its password.").secret(),
        OptionDef::new(
            Scope::User,
            "ssl_cert",
            OptionType::Text,
            "File with the client's certificate (PEM), and those that lead to one that the server trusts.",
        )
        .superuser(),
        OptionDef::new(Scope::User, "ssl_key", OptionType::Text, "File with its private key (PEM), which nobody else may read.").superuser(),
        OptionDef::new(Scope::Table, "database", OptionType::Text, "Database of the table, if not that of the server."),
        OptionDef::new(Scope::Table, "table_name", OptionType::Text, "Name of the remote table, if not that of the foreign table."),
        OptionDef::new(
            Scope::Table,
            "rows",
            OptionType::Int { min: 0, max: i64::MAX },
            "Number of rows that the planner assumes; IMPORT FOREIGN SCHEMA sets it.",
        ),
        OptionDef::new(Scope::Column, "column_name", OptionType::Text, "Name of the remote column, if not that of the column."),
        OptionDef::new(
            Scope::Column,
            "remote_type",
            OptionType::Text,
            "Type of the remote column where the column's type does not tell how it compares; IMPORT FOREIGN SCHEMA sets it.",
        ),
        OptionDef::new(Scope::Column, "key", OptionType::Bool, "The column is part of the key that identifies a row."),
    ],
};
