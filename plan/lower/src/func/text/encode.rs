//! Digests and binary-to-text encodings.

use super::lower_call::make;
use super::rows::kernel;
use crate::error::refused;
use crate::value::{Call, Value};
use arrow::array::{BinaryViewBuilder, StringViewBuilder};
use datafusion::common::Result;
use md5::{Digest, Md5};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use std::fmt::Write;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        2311 => make(call, "md5", "", kernel!(StringViewBuilder::new(), |s: text| Some(hex(&Md5::digest(s))))),
        2321 => make(call, "md5_bytea", "", kernel!(StringViewBuilder::new(), |b: bytes| Some(hex(&Md5::digest(b))))),
        3419 => make(call, "sha224", "", kernel!(BinaryViewBuilder::new(), |b: bytes| Some(Sha224::digest(b)))),
        3420 => make(call, "sha256", "", kernel!(BinaryViewBuilder::new(), |b: bytes| Some(Sha256::digest(b)))),
        3421 => make(call, "sha384", "", kernel!(BinaryViewBuilder::new(), |b: bytes| Some(Sha384::digest(b)))),
        3422 => make(call, "sha512", "", kernel!(BinaryViewBuilder::new(), |b: bytes| Some(Sha512::digest(b)))),
        1946 => make(call, "encode", "", kernel!(StringViewBuilder::new(), |b: bytes, format: text| Some(encode(b, format)?))),
        1947 => make(call, "decode", "", kernel!(BinaryViewBuilder::new(), |s: text, format: text| Some(decode(s, format)?))),
        1714 => make(call, "convert_from", "", kernel!(StringViewBuilder::new(), |b: bytes, encoding: text| Some(convert_from(b, encoding)?))),
        1717 => make(
            call,
            "convert_to",
            "",
            kernel!(BinaryViewBuilder::new(), |s: text, encoding: text| Some(if is_utf8(encoding) {
                s
            } else {
                return Err(refused("another encoding than UTF8"));
            })),
        ),
        2089 => make(call, "to_hex", "", kernel!(StringViewBuilder::new(), |n: int4| Some(format!("{n:x}")))),
        2090 => make(call, "to_hex8", "", kernel!(StringViewBuilder::new(), |n: int8| Some(format!("{n:x}")))),
        _ => return None,
    })
}

pub(in crate::func) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        // Writing to a String does not fail.
        let _ = write!(out, "{b:02x}");
    }
    out
}

/// As Postgres reads names of encodings: letters and digits count.
fn encoding_key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn is_utf8(name: &str) -> bool {
    matches!(encoding_key(name).as_str(), "utf8" | "unicode")
}

/// Invalid bytes are an error, which Postgres raises.
fn convert_from(bytes: &[u8], encoding: &str) -> Result<String> {
    if bytes.contains(&0) {
        return Err(refused("a zero byte in a text"));
    }
    match encoding_key(encoding).as_str() {
        "utf8" | "unicode" => String::from_utf8(bytes.to_vec()).map_err(|_| refused("bytes that are no UTF8")),
        "latin1" | "iso88591" => Ok(bytes.iter().map(|b| char::from(*b)).collect()),
        _ => Err(refused("another encoding than UTF8 and LATIN1")),
    }
}

fn encode(bytes: &[u8], format: &str) -> Result<String> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex(bytes)),
        "base64" => Ok(base64(bytes)),
        "escape" => Ok(escape(bytes)),
        _ => Err(refused("unrecognized encoding")),
    }
}

fn decode(s: &str, format: &str) -> Result<Vec<u8>> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => unhex(s),
        "base64" => unbase64(s),
        "escape" => unescape(s),
        _ => Err(refused("unrecognized encoding")),
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lines of 76 characters, as in RFC 2045; no newline at the end.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for (i, chunk) in bytes.chunks(3).enumerate() {
        if i > 0 && i % 19 == 0 {
            out.push('\n');
        }
        let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for k in 0..4 {
            let digit = (word >> (18 - 6 * k)) & 63;
            out.push(if k <= chunk.len() { char::from(BASE64[digit as usize]) } else { '=' });
        }
    }
    out
}

/// Complete groups only; whatever Postgres would complain about is left to it.
fn unbase64(s: &str) -> Result<Vec<u8>> {
    let bad = || refused("invalid base64");
    let digits: Vec<u8> = s.bytes().filter(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')).collect();
    if !digits.len().is_multiple_of(4) {
        return Err(bad());
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    let groups = digits.len() / 4;
    for (i, group) in digits.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|b| **b == b'=').count();
        if padding > 2 || (padding > 0 && i + 1 < groups) {
            return Err(bad());
        }
        let mut word = 0u32;
        for b in group.iter().take(4 - padding) {
            let digit = BASE64.iter().position(|d| d == b).ok_or_else(bad)?;
            word = word << 6 | u32::try_from(digit).unwrap_or_default();
        }
        word <<= 6 * padding;
        out.extend(word.to_be_bytes().into_iter().skip(1).take(3 - padding));
    }
    Ok(out)
}

pub(in crate::func) fn unhex(s: &str) -> Result<Vec<u8>> {
    let bad = || refused("invalid hexadecimal data");
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(s.len() / 2);
    let mut bytes = s.bytes();
    while let Some(b) = bytes.next() {
        if matches!(b, b' ' | b'\n' | b'\t' | b'\r') {
            continue;
        }
        let high = digit(b).ok_or_else(bad)?;
        let low = bytes.next().and_then(digit).ok_or_else(bad)?;
        out.push(high << 4 | low);
    }
    Ok(out)
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            0 | 0x80.. => {
                let _ = write!(out, "\\{b:03o}");
            }
            _ => out.push(char::from(b)),
        }
    }
    out
}

pub(in crate::func) fn unescape(s: &str) -> Result<Vec<u8>> {
    let bad = || refused("invalid escape sequence");
    let mut out = Vec::with_capacity(s.len());
    let mut rest = s.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match rest {
            [b'\\', tail @ ..] => {
                out.push(b'\\');
                rest = tail;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => return Err(bad()),
        }
    }
    Ok(out)
}
