//! The one list of remote engines.

use crate::descriptor::Engine;
use crate::engines;

/// A new engine is one line here, and one `CREATE FOREIGN DATA WRAPPER` in the install script.
pub static ENGINES: &[&Engine] = &[
    &engines::mysql::ENGINE,
    &engines::postgres::ENGINE,
    &engines::clickhouse::ENGINE,
    &engines::flightsql::ENGINE,
    &engines::adbc::ENGINE,
    &engines::duckdb::ENGINE,
    &engines::starrocks::ENGINE,
    &engines::trino::ENGINE,
];

/// The engine of a foreign data wrapper.
pub fn by_wrapper(wrapper: &str) -> Option<&'static Engine> {
    ENGINES.iter().copied().find(|e| e.wrapper == wrapper)
}

/// The engine of this name.
pub fn by_name(name: &str) -> Option<&'static Engine> {
    ENGINES.iter().copied().chain([&engines::duckdb::MIRRORS]).find(|e| e.name == name)
}

/// All engines with their options, as `weir.engines` shows them.
pub fn as_json() -> serde_json::Value {
    ENGINES.iter().map(|e| e.as_json()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_wrappers_follow_them() {
        for (i, e) in ENGINES.iter().enumerate() {
            assert_eq!(e.wrapper, format!("weir_{}", e.name));
            assert!(ENGINES.iter().skip(i + 1).all(|o| o.name != e.name));
        }
    }

    #[test]
    fn ways_to_show_who_asks_have_their_options() {
        use crate::descriptor::Auth;
        for e in ENGINES {
            let has = |end: &str| e.options.iter().any(|o| o.scope == crate::descriptor::Scope::User && o.name.ends_with(end));
            for (auth, end) in [(Auth::Password, "password"), (Auth::Token, "token"), (Auth::Certificate, "cert"), (Auth::Header, "header.*")] {
                assert_eq!(e.auth.contains(&auth), has(end), "{auth:?} of {}", e.name);
            }
            assert!(!e.auth.is_empty(), "{}", e.name);
        }
    }

    #[test]
    fn secrets_belong_to_user_mappings() {
        for e in ENGINES {
            for o in e.options {
                assert!(!o.secret || o.scope == crate::descriptor::Scope::User, "{} of {}", o.name, e.name);
            }
        }
    }
}
