//! Trino, by its statement protocol.

#[cfg(feature = "clients")]
mod catalog;
#[cfg(feature = "clients")]
pub mod client;
#[cfg(feature = "clients")]
mod decode;
#[cfg(feature = "clients")]
mod error;
#[cfg(feature = "clients")]
mod nested;
#[cfg(feature = "clients")]
mod prepared;
#[cfg(feature = "clients")]
mod spool;
#[cfg(feature = "clients")]
mod statement;

use crate::descriptor::{Auth, Capabilities, Engine, OptionDef, OptionType, Scope};
use crate::dialect::trino::Trino;

const MILLIS: OptionType = OptionType::Int { min: 0, max: 86_400_000 };

pub static ENGINE: Engine = Engine {
    name: "trino",
    wrapper: "weir_trino",
    title: "Trino",
    dialect: &Trino,
    format: "JSON over HTTP, spooled where the server does",
    can: Capabilities { push: true, write: true, update: true, truncate: true, cancel: true, count: true, ..Capabilities::NONE },
    schema_option: "schema",
    auth: &[Auth::None, Auth::Password, Auth::Token, Auth::Certificate],
    options: &[
        OptionDef::new(Scope::Server, "url", OptionType::Uri, "Address of the coordinator, as http://name:8080 or https://name:8443.").required(),
        OptionDef::new(Scope::Server, "catalog", OptionType::Text, "Catalog of tables that do not name their own.").required(),
        OptionDef::new(Scope::Server, "schema", OptionType::Text, "Schema of tables that do not name their own."),
        OptionDef::new(
            Scope::Server,
            "ssl_mode",
            OptionType::Choice(&["required", "verify_ca", "verify_identity"]),
            "What is checked of an encrypted connection (https).",
        )
        .default("verify_identity"),
        OptionDef::new(Scope::Server, "ssl_ca", OptionType::Text, "File with the certificates that are trusted (PEM).").superuser(),
        OptionDef::new(Scope::Server, "session", OptionType::Text, "Session properties, as name=value, separated by commas."),
        OptionDef::new(Scope::Server, "source", OptionType::Text, "Name of this client in the coordinator's list of queries.").default("pg_weir"),
        OptionDef::new(Scope::Server, "client_tags", OptionType::Text, "Tags for the coordinator's resource groups, separated by commas."),
        OptionDef::new(Scope::Server, "spooling", OptionType::Bool, "Take results by segments, where the coordinator offers it.").default("true"),
        OptionDef::new(Scope::Server, "connect_timeout_ms", MILLIS, "Time to connect; 0: no limit.").default("10000"),
        OptionDef::new(Scope::Server, "request_timeout_ms", MILLIS, "Time without any answer to a request; 0: no limit.").default("60000"),
        OptionDef::new(Scope::Server, "idle_timeout_ms", MILLIS, "Time after which a connection that nobody uses is closed; 0: never.").default("300000"),
        OptionDef::new(Scope::Server, "max_connections", OptionType::Int { min: 1, max: 1000 }, "Statements of one user mapping at once, at most.")
            .default("16"),
        OptionDef::new(Scope::User, "user", OptionType::Text, "Name of the remote user.").required(),
        OptionDef::new(Scope::User, "password", OptionType::Text, "Its password; sent over an encrypted connection only.").secret(),
        OptionDef::new(Scope::User, "token", OptionType::Text, "A JSON web token, instead of a password.").secret(),
        OptionDef::new(
            Scope::User,
            "ssl_cert",
            OptionType::Text,
            "File with the client's certificate (PEM), and those that lead to one that the server trusts.",
        )
        .superuser(),
        OptionDef::new(Scope::User, "ssl_key", OptionType::Text, "File with its private key (PEM), which nobody else may read.").superuser(),
        OptionDef::new(Scope::Table, "catalog", OptionType::Text, "Catalog of the table, if not that of the server."),
        OptionDef::new(Scope::Table, "schema", OptionType::Text, "Schema of the table, if not that of the server or the foreign table."),
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
