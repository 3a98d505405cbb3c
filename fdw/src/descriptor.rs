//! What an engine is and takes: options with their types, and what it can do.

use crate::dialect::Dialect;
use serde_json::json;
use weir_plan::{Error, Kind, Result};

/// Where an option is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Server,
    User,
    Table,
    Column,
}

impl Scope {
    fn noun(self) -> &'static str {
        match self {
            Scope::Server => "server",
            Scope::User => "user mapping",
            Scope::Table => "foreign table",
            Scope::Column => "column",
        }
    }
}

/// What an option's value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionType {
    Text,
    /// A URI, which must not have a password in it.
    Uri,
    Bool,
    Int {
        min: i64,
        max: i64,
    },
    Choice(&'static [&'static str]),
}

impl OptionType {
    fn describe(self) -> String {
        match self {
            OptionType::Text => "text".into(),
            OptionType::Uri => "a URI without a password (which belongs to the user mapping)".into(),
            OptionType::Bool => "boolean".into(),
            OptionType::Int { min, max } => format!("integer from {min} to {max}"),
            OptionType::Choice(of) => format!("one of {}", of.join(", ")),
        }
    }

    fn accepts(self, value: &str) -> bool {
        match self {
            OptionType::Text => !value.is_empty(),
            OptionType::Uri => !value.is_empty() && !has_password(value),
            OptionType::Bool => parse_bool(value).is_some(),
            OptionType::Int { min, max } => value.parse::<i64>().is_ok_and(|v| (min..=max).contains(&v)),
            OptionType::Choice(of) => of.contains(&value),
        }
    }
}

/// Whether a URI has a password: after the user's name, or as a parameter. `{password}` stands for that of the user mapping.
fn has_password(uri: &str) -> bool {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    let parameter = uri.split(['?', '&', ';', ' ']).filter(|p| !p.contains("://")).filter_map(|p| p.split_once('=')).find(|(name, _)| {
        let name = name.trim().to_ascii_lowercase();
        ["password", "pwd", "token", "secret"].iter().any(|word| name.contains(word))
    });
    [user, parameter].into_iter().flatten().any(|(_, secret)| !secret.is_empty() && secret != "{password}")
}

/// Whether a free option is something that nobody else may read, as far as its name tells, or a key that its value is.
fn is_a_secret(name: &str, value: &str) -> bool {
    const WORDS: &[&str] =
        &["password", "passwd", "passphrase", "pwd", "token", "secret", "authorization", "cookie", "api-key", "api_key", "apikey", "pkcs8_value"];
    let name = name.to_ascii_lowercase();
    // A switch, or a number, tells nothing (cache_mfa_token, token_lifetime).
    let says = parse_bool(value).is_none() && value.parse::<i64>().is_err();
    value.contains("PRIVATE KEY") || (says && WORDS.iter().any(|word| name.contains(word)))
}

fn parse_bool(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionDef {
    /// One that ends with `.*` stands for all options that begin so.
    pub name: &'static str,
    pub scope: Scope,
    pub ty: OptionType,
    pub required: bool,
    pub secret: bool,
    /// Names a file or a library: only superusers may set it.
    pub superuser: bool,
    pub default: Option<&'static str>,
    pub help: &'static str,
}

impl OptionDef {
    pub const fn new(scope: Scope, name: &'static str, ty: OptionType, help: &'static str) -> OptionDef {
        OptionDef { name, scope, ty, required: false, secret: false, superuser: false, default: None, help }
    }

    fn is_called(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.len() > start.len() && name.starts_with(start),
            None => self.name == name,
        }
    }

    pub const fn required(self) -> OptionDef {
        OptionDef { required: true, ..self }
    }

    pub const fn secret(self) -> OptionDef {
        OptionDef { secret: true, ..self }
    }

    pub const fn superuser(self) -> OptionDef {
        OptionDef { superuser: true, ..self }
    }

    pub const fn default(self, value: &'static str) -> OptionDef {
        OptionDef { default: Some(value), ..self }
    }
}

/// What an engine can do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    /// Takes parts of queries, not only whole tables.
    pub push: bool,
    /// Takes rows (INSERT, COPY FROM).
    pub write: bool,
    /// Changes and deletes rows that are named by their key.
    pub update: bool,
    /// Empties a table.
    pub truncate: bool,
    /// What one local transaction writes is one transaction there; else every batch takes effect at once, and stays.
    pub transactions: bool,
    /// Gives back rows as they were stored (RETURNING).
    pub returning: bool,
    /// Gives back inserted and deleted rows, if the server is one that does (MariaDB).
    pub returns_new_and_deleted: bool,
    /// A running statement can be stopped there.
    pub cancel: bool,
    /// Knows how many rows a table has.
    pub count: bool,
}

impl Capabilities {
    /// For `..Capabilities::NONE` in a descriptor.
    pub const NONE: Capabilities = Capabilities {
        push: false,
        write: false,
        update: false,
        truncate: false,
        transactions: false,
        returning: false,
        returns_new_and_deleted: false,
        cancel: false,
        count: false,
    };
}

/// A way to show who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A name alone, or none.
    None,
    Password,
    /// A JSON web token, or another that is sent as it is.
    Token,
    /// Headers of a request.
    Header,
    Certificate,
    /// The user of the operating system, over a Unix socket.
    Socket,
    /// Whatever options a driver has for it.
    Driver,
}

impl Auth {
    pub fn name(self) -> &'static str {
        match self {
            Auth::None => "none",
            Auth::Password => "password",
            Auth::Token => "token",
            Auth::Header => "header",
            Auth::Certificate => "certificate",
            Auth::Socket => "socket",
            Auth::Driver => "driver",
        }
    }
}

/// A remote engine.
pub struct Engine {
    pub name: &'static str,
    pub wrapper: &'static str,
    pub title: &'static str,
    pub options: &'static [OptionDef],
    pub dialect: &'static dyn Dialect,
    /// What results travel in.
    pub format: &'static str,
    pub can: Capabilities,
    /// The option of a foreign table that names the remote schema or database.
    pub schema_option: &'static str,
    /// How it learns who asks.
    pub auth: &'static [Auth],
}

impl Engine {
    /// Whether its numerics are those of Postgres, NaN, infinity and any number of digits included, and its client hands them on as they are stored.
    pub fn has_all_numerics(&self) -> bool {
        self.name == "postgres"
    }

    /// Checks all options of one object, as they would be after the command.
    ///
    /// # Errors
    /// HV00D with the valid ones, or 42501 for an option of superusers.
    pub fn validate(&self, scope: Scope, given: &[(String, String)], superuser: bool) -> Result<()> {
        let valid = || self.options.iter().filter(move |o| o.scope == scope);
        for (name, value) in given {
            let Some(option) = valid().find(|o| o.is_called(name)) else {
                let elsewhere = self.options.iter().find(|o| o.is_called(name));
                let names: Vec<&str> = valid().map(|o| o.name).collect();
                let mut hint = elsewhere.map_or_else(String::new, |o| format!("It is an option of a {}. ", o.scope.noun()));
                hint.push_str(&match names.is_empty() {
                    true => "There are no valid options in this context.".into(),
                    false => format!("Valid options in this context are: {}.", names.join(", ")),
                });
                return Err(Error::new(Kind::BadOption, format!("invalid option \"{name}\" for a {} of {}", scope.noun(), self.wrapper)).with_hint(hint));
            };
            if !option.ty.accepts(value) {
                let shown = if option.secret || option.ty == OptionType::Uri { "****" } else { value };
                return Err(Error::new(Kind::BadOption, format!("invalid value for option \"{name}\": \"{shown}\"")).with_hint(if value.is_empty() {
                    "The value must not be empty.".to_owned()
                } else {
                    format!("The value must be {}.", option.ty.describe())
                }));
            }
            if !option.secret && option.name.ends_with(".*") && is_a_secret(name, value) {
                return Err(Error::new(Kind::BadOption, format!("option \"{name}\" of a {} is a secret", scope.noun()))
                    .with_hint("A secret belongs to the user mapping: the options of other objects can be read by everybody."));
            }
            if option.superuser && !superuser {
                return Err(Error { sqlstate: "42501".into(), ..Error::new(Kind::BadOption, format!("only superusers may set option \"{name}\"")) }
                    .with_hint("It names a file that the server would read with its own rights."));
            }
        }
        if let Some(missing) = valid().find(|o| o.required && !given.iter().any(|(name, _)| name == o.name)) {
            return Err(Error::new(Kind::BadOption, format!("option \"{}\" is missing for a {} of {}", missing.name, scope.noun(), self.wrapper))
                .with_hint(format!("{} Valid options: {}.", missing.help, valid().map(|o| o.name).collect::<Vec<_>>().join(", "))));
        }
        Ok(())
    }

    /// The dialect of a server with these options: what its option "dialect" says, if the engine has one.
    pub fn dialect_of(&'static self, given: &[(String, String)]) -> &'static dyn Dialect {
        Options { engine: self, given }.text("dialect").and_then(crate::dialect::by_name).unwrap_or(self.dialect)
    }

    /// The descriptor as `weir.engines` shows it.
    pub fn as_json(&self) -> serde_json::Value {
        let options: Vec<_> = self
            .options
            .iter()
            .map(|o| {
                json!({"name": o.name, "of": o.scope.noun(), "type": o.ty.describe(), "required": o.required, "secret": o.secret,
                       "superuser": o.superuser, "default": o.default, "help": o.help})
            })
            .collect();
        json!({"name": self.name, "wrapper": self.wrapper, "title": self.title, "format": self.format, "options": options,
               "auth": self.auth.iter().map(|a| a.name()).collect::<Vec<_>>(),
               "push": self.can.push, "write": self.can.write, "update": self.can.update, "truncate": self.can.truncate,
               "transactions": self.can.transactions, "returning": self.can.returning, "cancel": self.can.cancel, "count": self.can.count})
    }
}

/// Options as an engine reads them, with its defaults.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    pub engine: &'static Engine,
    pub given: &'a [(String, String)],
}

impl<'a> Options<'a> {
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let given = self.given.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        given.or_else(|| self.engine.options.iter().find(|o| o.name == name).and_then(|o| o.default))
    }

    /// All options that begin so, without that beginning.
    pub fn starting(&self, start: &str) -> Vec<(&'a str, &'a str)> {
        self.given.iter().filter_map(|(n, v)| n.strip_prefix(start).map(|rest| (rest, v.as_str()))).collect()
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    pub fn bool(&self, name: &str) -> bool {
        self.text(name).and_then(parse_bool).unwrap_or(false)
    }

    /// A time in milliseconds; `None` if it is 0, which means without limit.
    pub fn timeout(&self, name: &str) -> Option<std::time::Duration> {
        self.int(name).and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0).map(std::time::Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;
    use crate::registry::by_name;

    fn given(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn bad_options_are_refused_with_the_valid_list() {
        let mysql = by_name("mysql").expect("registered");
        let bad = |scope, of: &[(&str, &str)]| mysql.validate(scope, &given(of), false).expect_err("refused");
        let unknown = bad(Scope::Server, &[("host", "h"), ("hots", "x")]);
        assert_eq!(unknown.sqlstate, "HV00D");
        assert!(unknown.hint.as_deref().unwrap_or("").contains("host, port"), "{unknown:?}");
        assert!(bad(Scope::Server, &[("host", "h"), ("port", "0")]).hint.unwrap_or_default().contains("integer"));
        let elsewhere = bad(Scope::Server, &[("host", "h"), ("password", "secret")]).hint.unwrap_or_default();
        assert!(elsewhere.starts_with("It is an option of a user mapping. Valid options in this context are: host, port"), "{elsewhere}");
        assert_eq!(bad(Scope::Server, &[("host", "")]).hint.as_deref(), Some("The value must not be empty."));
        assert_eq!(bad(Scope::Server, &[("host", "h"), ("ssl_ca", "/x")]).sqlstate, "42501");
        assert!(bad(Scope::Server, &[]).message.contains("missing"));
        mysql.validate(Scope::Server, &given(&[("host", "h"), ("port", "3306"), ("ssl_mode", "required")]), false).expect("valid");
    }

    #[test]
    fn a_uri_has_no_password() {
        for bad in ["postgresql://u:p@h/db", "x://h?password=p", "x://h?a=b&api_token=p", "jdbc:x://h;Pwd=p", "password=p host=h", "host=h password=p"] {
            assert!(super::has_password(bad), "{bad}");
        }
        for good in [
            "postgresql://{user}:{password}@h/db",
            "postgresql://u@h:5432/db",
            "file:/tmp/x?mode=ro",
            "/tmp/x.db",
            "grpc://h:1",
            "host=h user={user} password={password}",
        ] {
            assert!(!super::has_password(good), "{good}");
        }
    }

    #[test]
    fn free_options_are_those_of_the_driver() {
        let adbc = by_name("adbc").expect("registered");
        let server = |name: &str, superuser| adbc.validate(Scope::Server, &given(&[("driver", "/x.so"), (name, "v")]), superuser);
        server("adbc.snowflake.sql.account", true).expect("free");
        assert_eq!(server("adbc.snowflake.sql.account", false).expect_err("names a file").sqlstate, "42501");
        assert_eq!(server("adbc.", true).expect_err("no name").sqlstate, "HV00D");
        assert_eq!(server("snowflake.sql.account", true).expect_err("not free").sqlstate, "HV00D");
    }

    #[test]
    fn secrets_are_not_hidden_among_free_options() {
        let of = |engine: &str, scope, name: &str, value: &str| {
            let required =
                if engine == "adbc" && scope == Scope::Server { given(&[("driver", "/x.so"), (name, value)]) } else { given(&[("host", "h"), (name, value)]) };
            let only = given(&[(name, value)]);
            by_name(engine).expect("registered").validate(scope, if scope == Scope::User { &only } else { &required }, true)
        };
        for name in [
            "adbc.snowflake.sql.client_option.auth_token",
            "adbc.snowflake.sql.client_option.jwt_private_key_pkcs8_value",
            "option.password",
            "adbc.x.Client_Secret",
        ] {
            let e = of("adbc", Scope::Server, name, "hidden").expect_err("a secret");
            assert!(e.sqlstate == "HV00D" && e.hint.as_deref().unwrap_or_default().contains("user mapping") && !e.message.contains("hidden"), "{e:?}");
        }
        assert!(of("adbc", Scope::Server, "adbc.bigquery.sql.auth_credentials", "{\"key\": \"-----BEGIN PRIVATE KEY-----\"}").is_err());
        of("adbc", Scope::Server, "adbc.bigquery.sql.auth_credentials", "/etc/key.json").expect("a file");
        of("adbc", Scope::Server, "adbc.snowflake.sql.client_option.cache_mfa_token", "true").expect("a switch");
        of("adbc", Scope::User, "adbc.snowflake.sql.client_option.auth_token", "hidden").expect("of the user mapping");
        for name in ["header.authorization", "header.Cookie", "header.x-api-key"] {
            assert!(of("flightsql", Scope::Server, name, "hidden").is_err(), "{name}");
        }
        of("flightsql", Scope::Server, "header.database", "d").expect("none");
        of("flightsql", Scope::User, "header.authorization", "hidden").expect("of the user mapping");
        let url = |url: &str| by_name("trino").expect("registered").validate(Scope::Server, &given(&[("url", url), ("catalog", "c")]), false);
        url("https://h:8443").expect("an address");
        assert!(!url("https://u:hidden@h:8443").expect_err("a password in it").message.contains("hidden"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let mysql = by_name("mysql").expect("registered");
        let e = mysql.validate(Scope::User, &given(&[("user", "u"), ("password", "")]), false).expect_err("empty");
        assert!(e.message.contains("****"));
    }
}
