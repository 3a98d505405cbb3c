//! Whatever an ADBC driver reaches. The driver is a library that the engine process loads: it is named by a superuser, as are the options that may
//! name files, and a driver that crashes takes the engine with it (it is started again, and one query has failed).

#[cfg(feature = "clients")]
mod catalog;
#[cfg(feature = "clients")]
pub mod client;
#[cfg(feature = "clients")]
mod connection;
#[cfg(feature = "clients")]
mod library;

use crate::descriptor::{Auth, Capabilities, Engine, OptionDef, OptionType, Scope};
use crate::dialect::{NAMES, generic::GENERIC};

const MILLIS: OptionType = OptionType::Int { min: 0, max: 86_400_000 };

pub static ENGINE: Engine = Engine {
    name: "adbc",
    wrapper: "weir_adbc",
    title: "ADBC drivers (Snowflake, BigQuery, SQLite, DuckDB, Flight SQL, Postgres and others)",
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
    auth: &[Auth::None, Auth::Password, Auth::Token, Auth::Driver],
    options: &[
        OptionDef::new(Scope::Server, "driver", OptionType::Text, "Path of the driver's library, or a name that the system's loader finds.")
            .required()
            .superuser(),
        OptionDef::new(Scope::Server, "entrypoint", OptionType::Text, "Function of the library that makes the driver, e.g. duckdb_adbc_init.").superuser(),
        OptionDef::new(Scope::Server, "uri", OptionType::Uri, "The driver's uri; {user} and {password} stand for those of the user mapping.").superuser(),
        OptionDef::new(
            Scope::Server,
            "adbc.*",
            OptionType::Text,
            "An option of the driver's database, as the driver calls it, e.g. adbc.snowflake.sql.account.",
        )
        .superuser(),
        OptionDef::new(Scope::Server, "option.*", OptionType::Text, "An option whose name in the driver is what follows, e.g. option.path.").superuser(),
        OptionDef::new(Scope::Server, "token_option", OptionType::Text, "Name of the driver's option that takes the token of the user mapping.").superuser(),
        OptionDef::new(Scope::Server, "dialect", OptionType::Choice(NAMES), "What SQL it speaks: generic if nothing is known of it.").default("generic"),
        OptionDef::new(Scope::Server, "catalog", OptionType::Text, "Catalog of schemas that do not name their own."),
        OptionDef::new(Scope::Server, "connect_timeout_ms", MILLIS, "Time to connect; 0: no limit.").default("30000"),
        OptionDef::new(Scope::Server, "request_timeout_ms", MILLIS, "Time without any answer to a statement; 0: no limit.").default("0"),
        OptionDef::new(Scope::Server, "idle_timeout_ms", MILLIS, "Time after which a connection that nobody uses is closed; 0: never.").default("300000"),
        OptionDef::new(Scope::Server, "max_connections", OptionType::Int { min: 1, max: 100 }, "Connections of one user mapping at most.").default("8"),
        OptionDef::new(Scope::User, "user", OptionType::Text, "Name of the remote user."),
        OptionDef::new(Scope::User, "password", OptionType::Text, "Its password.").secret(),
        OptionDef::new(Scope::User, "token", OptionType::Text, "What the driver's option token_option is set to.").secret(),
        OptionDef::new(Scope::User, "adbc.*", OptionType::Text, "An option of the driver's database that is a secret.").secret().superuser(),
        OptionDef::new(Scope::Table, "catalog_name", OptionType::Text, "Catalog of the table, if not that of the server."),
        OptionDef::new(Scope::Table, "schema_name", OptionType::Text, "Schema of the table, if it has one."),
        OptionDef::new(Scope::Table, "table_name", OptionType::Text, "Name of the remote table, if not that of the foreign table."),
        OptionDef::new(Scope::Table, "rows", OptionType::Int { min: 0, max: i64::MAX }, "Number of rows that the planner assumes."),
        OptionDef::new(Scope::Column, "column_name", OptionType::Text, "Name of the remote column, if not that of the column."),
        OptionDef::new(Scope::Column, "key", OptionType::Bool, "The column is part of the key that identifies a row."),
    ],
};
