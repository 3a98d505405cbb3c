//! Postgres.

#[cfg(feature = "clients")]
mod catalog;
#[cfg(feature = "clients")]
pub mod client;
#[cfg(feature = "clients")]
mod copy;
#[cfg(feature = "clients")]
mod decode;
#[cfg(feature = "clients")]
mod json;
#[cfg(feature = "clients")]
mod numeric;
#[cfg(feature = "clients")]
mod session;
#[cfg(feature = "clients")]
mod tls;

use crate::descriptor::{Auth, Capabilities, Engine, OptionDef, OptionType, Scope};
use crate::dialect::postgres::Postgres;

const MILLIS: OptionType = OptionType::Int { min: 0, max: 86_400_000 };

pub static ENGINE: Engine = Engine {
    name: "postgres",
    wrapper: "weir_postgres",
    title: "Postgres",
    dialect: &Postgres,
    format: "binary protocol",
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
    auth: &[Auth::Password, Auth::Certificate, Auth::Socket],
    options: &[
        OptionDef::new(Scope::Server, "host", OptionType::Text, "Name or address of the server, or the directory of its Unix socket.").required(),
        OptionDef::new(Scope::Server, "port", OptionType::Int { min: 1, max: 65_535 }, "TCP port; of a Unix socket, the end of its name.").default("5432"),
        OptionDef::new(Scope::Server, "dbname", OptionType::Text, "Database.").required(),
        OptionDef::new(
            Scope::Server,
            "sslmode",
            OptionType::Choice(&["disable", "prefer", "require", "verify-ca", "verify-full"]),
            "Whether the connection is encrypted, and what is checked.",
        )
        .default("prefer"),
        OptionDef::new(Scope::Server, "sslrootcert", OptionType::Text, "File with the certificates that are trusted (PEM).").superuser(),
        OptionDef::new(Scope::Server, "connect_timeout_ms", MILLIS, "Time to connect; 0: no limit.").default("10000"),
        OptionDef::new(Scope::Server, "request_timeout_ms", MILLIS, "Time without any answer to a statement; 0: no limit.").default("0"),
        OptionDef::new(Scope::Server, "idle_timeout_ms", MILLIS, "Time after which a connection that nobody uses is closed; 0: never.").default("300000"),
        OptionDef::new(Scope::Server, "max_connections", OptionType::Int { min: 1, max: 1000 }, "Connections of one user mapping at most.").default("16"),
        OptionDef::new(Scope::User, "user", OptionType::Text, "Name of the remote role.").required(),
        OptionDef::new(Scope::User, "password", OptionType::Text, "Its password; needed unless the mapping is a superuser's.").secret(),
        OptionDef::new(
            Scope::User,
            "sslcert",
            OptionType::Text,
            "File with the client's certificate (PEM), and those that lead to one that the server trusts.",
        )
        .superuser(),
        OptionDef::new(Scope::User, "sslkey", OptionType::Text, "File with its private key (PEM), which nobody else may read.").superuser(),
        OptionDef::new(Scope::Table, "schema_name", OptionType::Text, "Schema of the remote table, if not that of the foreign table."),
        OptionDef::new(Scope::Table, "table_name", OptionType::Text, "Name of the remote table, if not that of the foreign table."),
        OptionDef::new(
            Scope::Table,
            "rows",
            OptionType::Int { min: 0, max: i64::MAX },
            "Number of rows that the planner assumes; IMPORT FOREIGN SCHEMA sets it.",
        ),
        OptionDef::new(Scope::Column, "column_name", OptionType::Text, "Name of the remote column, if not that of the column."),
        OptionDef::new(Scope::Column, "key", OptionType::Bool, "The column is part of the key that identifies a row."),
        OptionDef::new(
            Scope::Column,
            "indexed",
            OptionType::Bool,
            "Rows are found by the column alone, as by the first one of an index; IMPORT FOREIGN SCHEMA sets it.",
        ),
    ],
};
