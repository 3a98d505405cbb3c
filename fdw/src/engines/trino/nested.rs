//! Arrays of arrays and maps, which Postgres has no type for, as JSON.
//!
//! Invariant: as in `client/nested.rs`, what JSON has no form for is an error.

use serde_json::Value;

/// A type all of whose values have a form in JSON, but for NaN and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nested {
    Bool,
    Int,
    Float,
    Decimal,
    Text,
    Array(Box<Nested>),
    /// The keys come as text.
    Map(Box<Nested>),
}

impl Nested {
    /// Of an array or a map, in lower case.
    pub fn of(ty: &str) -> Option<Nested> {
        let inside = |name: &str| ty.strip_prefix(name).and_then(|t| t.strip_suffix(')'));
        if let Some(element) = inside("array(") {
            return Some(Nested::Array(Box::new(Nested::part(element)?)));
        }
        let (key, value) = inside("map(")?.split_once(',')?;
        // That of varchar(3), too; no key has another comma in it.
        let key = key.split('(').next().unwrap_or_default().trim();
        matches!(key, "varchar" | "tinyint" | "smallint" | "integer" | "bigint").then_some(())?;
        Some(Nested::Map(Box::new(Nested::part(value.trim())?)))
    }

    fn part(ty: &str) -> Option<Nested> {
        Some(match ty.split('(').next().unwrap_or_default() {
            "boolean" => Nested::Bool,
            "tinyint" | "smallint" | "integer" | "bigint" => Nested::Int,
            "real" | "double" => Nested::Float,
            "decimal" => Nested::Decimal,
            "varchar" => Nested::Text,
            _ => return Nested::of(ty),
        })
    }

    /// Adds a value as the protocol gives it.
    ///
    /// # Errors
    /// A value of another type, or one that JSON cannot hold.
    pub fn json(&self, value: &Value, out: &mut String) -> Result<(), &'static str> {
        match (self, value) {
            (_, Value::Null) => out.push_str("null"),
            (Nested::Bool, Value::Bool(b)) => out.push_str(if *b { "true" } else { "false" }),
            (Nested::Int | Nested::Float, Value::Number(n)) => out.push_str(&n.to_string()),
            (Nested::Float, Value::String(_)) => return Err("it has a number that JSON does not have"),
            (Nested::Decimal, Value::String(s)) if is_decimal(s) => out.push_str(s),
            (Nested::Text, Value::String(s)) => text(s, out)?,
            (Nested::Array(element), Value::Array(items)) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    element.json(item, out)?;
                }
                out.push(']');
            }
            (Nested::Map(of), Value::Object(entries)) => {
                out.push('{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    text(key, out)?;
                    out.push_str(": ");
                    of.json(value, out)?;
                }
                out.push('}');
            }
            _ => return Err("it is of another type"),
        }
        Ok(())
    }
}

fn text(value: &str, out: &mut String) -> Result<(), &'static str> {
    if value.contains('\0') {
        return Err("it has a zero byte");
    }
    out.push_str(&serde_json::to_string(value).map_err(|_| "it is not valid text")?);
    Ok(())
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text_of(ty: &str, value: &Value) -> Result<String, &'static str> {
        let mut out = String::new();
        Nested::of(ty).expect("a nested type").json(value, &mut out).map(|()| out)
    }

    #[test]
    fn values_are_json() {
        assert_eq!(text_of("array(array(integer))", &json!([[1, null], [], null])).as_deref(), Ok("[[1, null], [], null]"));
        assert_eq!(text_of("map(varchar(3), decimal(5,2))", &json!({"k": "-1.50"})).as_deref(), Ok(r#"{"k": -1.50}"#));
        assert_eq!(text_of("map(bigint, array(map(varchar, boolean)))", &json!({"-7": [{"é\"": true}]})).as_deref(), Ok(r#"{"-7": [{"é\"": true}]}"#));
        assert!(text_of("array(double)", &json!(["NaN"])).is_err());
        assert!(text_of("array(decimal(3,1))", &json!(["1e3"])).is_err());
        assert!(text_of("array(array(integer))", &json!([1])).is_err());
        assert!(text_of("array(varchar)", &json!(["\0"])).is_err());
    }

    #[test]
    fn other_types_are_left_out() {
        for none in ["integer", "array(char(3))", "map(double, integer)", "array(timestamp(3) with time zone)", "row(a integer)", "map(varchar)"] {
            assert_eq!(Nested::of(none), None, "{none}");
        }
    }
}
