//! Servers that speak Arrow Flight SQL.

#[cfg(feature = "clients")]
mod catalog;
#[cfg(feature = "clients")]
pub mod client;
#[cfg(feature = "clients")]
pub mod connection;

use crate::descriptor::{Auth, Capabilities, Engine, OptionDef, OptionType, Scope};
use crate::dialect::{NAMES, generic::GENERIC};

const MILLIS: OptionType = OptionType::Int { min: 0, max: 86_400_000 };

pub static ENGINE: Engine = Engine {
    name: "flightsql",
    wrapper: "weir_flightsql",
    title: "Arrow Flight SQL",
    dialect: &GENERIC,
    format: "Arrow",
    can: Capabilities {
        push: true,
        write: true,
        update: true,
        truncate: true,
        transactions: false,
        returning: false,
        returns_new_and_deleted: false,
        cancel: true,
        count: false,
    },
    schema_option: "schema_name",
    auth: &[Auth::None, Auth::Password, Auth::Token, Auth::Header, Auth::Certificate],
    options: &[
        OptionDef::new(Scope::Server, "host", OptionType::Text, "Name or address of the server.").required(),
        OptionDef::new(Scope::Server, "port", OptionType::Int { min: 1, max: 65_535 }, "TCP port.").default("31337"),
        OptionDef::new(Scope::Server, "dialect", OptionType::Choice(NAMES), "What SQL it speaks: generic if nothing is known of it.").default("generic"),
        OptionDef::new(Scope::Server, "catalog", OptionType::Text, "Catalog of schemas that do not name their own."),
        OptionDef::new(
            Scope::Server,
            "tls",
            OptionType::Choice(&["disabled", "verify_full"]),
            "Whether the connection is encrypted and the server's certificate is checked.",
        )
        .default("disabled"),
        OptionDef::new(Scope::Server, "tls_ca", OptionType::Text, "File with the certificates that are trusted (PEM); else those of the system.").superuser(),
        OptionDef::new(Scope::Server, "tls_name", OptionType::Text, "Name in the server's certificate, if not the host."),
        OptionDef::new(Scope::Server, "header.*", OptionType::Text, "A header that is sent with each request, e.g. header.database."),
        OptionDef::new(Scope::Server, "connect_timeout_ms", MILLIS, "Time to connect; 0: no limit.").default("10000"),
        OptionDef::new(Scope::Server, "request_timeout_ms", MILLIS, "Time without any answer to a statement; 0: no limit.").default("0"),
        OptionDef::new(Scope::Server, "idle_timeout_ms", MILLIS, "Time after which a connection that nobody uses is closed; 0: never.").default("300000"),
        OptionDef::new(Scope::Server, "max_connections", OptionType::Int { min: 1, max: 1000 }, "Connections of one user mapping at most.").default("16"),
        OptionDef::new(Scope::User, "user", OptionType::Text, "Name of the remote user (basic authentication)."),
        OptionDef::new(Scope::User, "password", OptionType::Text, "Its password.").secret(),
        OptionDef::new(Scope::User, "token", OptionType::Text, "Bearer token, instead of user and password.").secret(),
        OptionDef::new(Scope::User, "header.*", OptionType::Text, "A header that is a secret, e.g. header.x-api-key.").secret(),
        OptionDef::new(
            Scope::User,
            "tls_cert",
            OptionType::Text,
            "File with the client's certificate (PEM), and those that lead to one that the server trusts.",
        )
        .superuser(),
        OptionDef::new(Scope::User, "tls_key", OptionType::Text, "File with its private key (PEM), which nobody else may read.").superuser(),
        OptionDef::new(Scope::Table, "catalog_name", OptionType::Text, "Catalog of the table, if not that of the server."),
        OptionDef::new(Scope::Table, "schema_name", OptionType::Text, "Schema of the table, if it has one."),
        OptionDef::new(Scope::Table, "table_name", OptionType::Text, "Name of the remote table, if not that of the foreign table."),
        OptionDef::new(Scope::Table, "rows", OptionType::Int { min: 0, max: i64::MAX }, "Number of rows that the planner assumes."),
        OptionDef::new(Scope::Column, "column_name", OptionType::Text, "Name of the remote column, if not that of the column."),
        OptionDef::new(Scope::Column, "key", OptionType::Bool, "The column is part of the key that identifies a row."),
    ],
};
