//! Results by segments. Source: "Spooling protocol" in Trino's documentation of the client protocol.

use super::statement::{Coordinator, SEGMENT_BYTES, too_large};
use crate::client::http::not_understood;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use weir_plan::Result;

/// What stands for `data` in a page.
#[derive(Debug, Deserialize)]
pub struct Encoded {
    pub encoding: String,
    #[serde(default)]
    pub segments: Vec<Segment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    #[serde(rename = "type")]
    kind: String,
    /// Of an inline segment: its bytes in base64.
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    ack_uri: Option<String>,
    #[serde(default)]
    headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    /// Only of a segment that is compressed.
    #[serde(default)]
    uncompressed_size: Option<Value>,
}

/// A segment's rows as JSON text: an array of arrays.
///
/// # Errors
/// A segment that cannot be had, or is not as it says.
pub async fn rows(coordinator: &Coordinator, encoding: &str, segment: &Segment) -> Result<Vec<u8>> {
    let bad = |why: String| not_understood(&coordinator.endpoint, why);
    let headers: Vec<(String, String)> =
        segment.headers.iter().flatten().flat_map(|(name, values)| values.iter().map(move |v| (name.clone(), v.clone()))).collect();
    let bytes = match segment.kind.as_str() {
        "inline" => {
            let data = segment.data.as_deref().ok_or_else(|| bad("An inline segment has no data.".into()))?;
            super::decode::base64(data).ok_or_else(|| bad("An inline segment is not base64.".into()))?
        }
        "spooled" => {
            let uri = segment.uri.as_deref().ok_or_else(|| bad("A spooled segment has no address.".into()))?;
            coordinator.segment(uri, &headers).await?
        }
        other => return Err(bad(format!("There is no kind of segment \"{}\".", crate::client::http::shown(other)))),
    };
    // A number, or one as text.
    let size = match &segment.metadata.uncompressed_size {
        None | Some(Value::Null) => None,
        Some(size) => Some(size.to_string().trim_matches('"').parse().map_err(|_| bad("A segment's size is no number.".into()))?),
    };
    if size.is_some_and(|size| size > SEGMENT_BYTES) {
        return Err(too_large(&coordinator.endpoint, SEGMENT_BYTES));
    }
    let bytes = opened(encoding, size, bytes).map_err(bad)?;
    if let Some(uri) = &segment.ack_uri {
        coordinator.acknowledge(uri, &headers).await;
    }
    Ok(bytes)
}

/// The bytes without compression; a segment for which that does not pay has none.
fn opened(encoding: &str, size: Option<usize>, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let Some(size) = size else { return Ok(bytes) };
    let plain = match encoding {
        "json" => return Ok(bytes),
        "json+zstd" => {
            let mut plain = Vec::with_capacity(size);
            let decoder = zstd::stream::read::Decoder::new(bytes.as_slice()).map_err(|e| e.to_string())?;
            decoder.take(size as u64 + 1).read_to_end(&mut plain).map_err(|e| format!("A segment is not compressed as it says: {e}"))?;
            plain
        }
        "json+lz4" => lz4_flex::block::decompress(&bytes, size).map_err(|e| format!("A segment is not compressed as it says: {e}"))?,
        other => return Err(format!("There is no encoding \"{}\".", crate::client::http::shown(other))),
    };
    if plain.len() == size { Ok(plain) } else { Err("A segment has another size than it says.".into()) }
}

#[cfg(test)]
mod tests {
    use super::opened;

    #[test]
    fn segments_are_opened_or_refused() {
        let text = b"[[1,\"a\"],[2,\"b\"]]".to_vec();
        let small = lz4_flex::block::compress(&text);
        assert_eq!(opened("json+lz4", Some(text.len()), small.clone()).as_deref(), Ok(text.as_slice()));
        assert!(opened("json+lz4", Some(text.len() + 1), small).is_err());
        let small = zstd::encode_all(text.as_slice(), 1).expect("compressed");
        assert_eq!(opened("json+zstd", Some(text.len()), small.clone()).as_deref(), Ok(text.as_slice()));
        assert!(opened("json+zstd", Some(3), small).is_err());
        assert_eq!(opened("json+zstd", None, text.clone()).as_deref(), Ok(text.as_slice()));
        assert!(opened("arrow", Some(3), text).is_err());
    }
}
