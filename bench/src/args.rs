//! Command line: `--name value` pairs and flags, nothing else.

use std::collections::BTreeMap;
use std::str::FromStr;

const FLAGS: [&str; 2] = ["fk-indexes", "unlogged"];

/// What followed the subcommand. An option given several times keeps all its values.
pub struct Args {
    values: BTreeMap<String, Vec<String>>,
}

impl Args {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("unexpected argument \"{word}\""))?;
            let value = if FLAGS.contains(&name) { "true".to_string() } else { words.next().ok_or_else(|| format!("--{name} needs a value"))? };
            values.entry(name.to_string()).or_default().push(value);
        }
        Ok(Self { values })
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|all| all.last()).map(String::as_str)
    }

    pub fn required(&self, name: &str) -> Result<&str, String> {
        self.text(name).ok_or_else(|| format!("--{name} is missing"))
    }

    pub fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name}: \"{text}\" is not a number")),
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }
}
