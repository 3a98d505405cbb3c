//! Rows in the text format of COPY: each column's own input function reads its values, whatever type it has there.

use crate::dialect::postgres::stored;
use crate::write::Rows;
use weir_plan::protocol::WriteTarget;
use weir_plan::{Error, Kind, Result};

/// Fewer rows are written by one INSERT.
pub const WORTH_IT: usize = 16;

/// # Errors
/// A value that has no text form here.
pub fn text(server: &str, target: &WriteTarget, rows: &Rows) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(rows.len() * target.columns.len() * 12);
    for i in 0..rows.len() {
        for (j, (column, value)) in target.columns.iter().zip(rows.row(i)?).enumerate() {
            if j > 0 {
                out.push(b'\t');
            }
            let value = stored(&value, &column.ty).map_err(|why| {
                Error::new(Kind::Query, format!("server \"{server}\": a value of column \"{}\" cannot be written", column.name))
                    .with_detail(format!("The engine cannot hold {why}."))
            })?;
            match value {
                None => out.extend_from_slice(b"\\N"),
                Some(text) => escape(&text, &mut out),
            }
        }
        out.push(b'\n');
    }
    Ok(out)
}

fn escape(text: &str, out: &mut Vec<u8>) {
    for b in text.bytes() {
        let letter = match b {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            b => {
                out.push(b);
                continue;
            }
        };
        out.extend([b'\\', letter]);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_value_ends_its_field() {
        let mut out = Vec::new();
        super::escape("a\tb\\N\n\r.", &mut out);
        assert_eq!(out, b"a\\tb\\\\N\\n\\r.");
    }
}
