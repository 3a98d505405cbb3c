//! HTTP sessions, for engines that are spoken to over HTTP.
//!
//! Invariants:
//! - Redirects are not followed and no proxy of the environment is asked: credentials go to the server that was named, and nowhere else.
//! - An error names the server, never the address with what may stand in it.

use super::failed;
use super::identity::{self, Identity};
use crate::descriptor::Options;
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response};
use std::time::Duration;
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

/// Bytes of an error page that are read.
pub const ERROR_BYTES: usize = 64 << 10;
/// Characters of a remote's message that are shown.
const MESSAGE_CHARS: usize = 2000;
/// Servers keep idle connections for longer.
pub const TRUSTED: Duration = Duration::from_secs(2);
/// A connection whose answer has been read is there for the next request soon, but not at once.
const RETURNING: Duration = Duration::from_millis(1);
/// Time for a server to say that it is there.
const SHORT: Duration = Duration::from_secs(5);

/// A client with the TLS options `ssl_mode`, `ssl_ca`, `ssl_cert` and `ssl_key`, and the time-outs `connect_timeout_ms` and `idle_timeout_ms`.
///
/// # Errors
/// A file of certificates that cannot be read; a client certificate where connections are not encrypted.
pub fn client(endpoint: &Endpoint, options: &Options, encrypted: bool) -> Result<Client> {
    let mut builder = ClientBuilder::new()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent("pg_weir")
        .http1_only()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(60))
        .pool_idle_timeout(options.timeout("idle_timeout_ms"))
        // The one that is asked whether it lives is the one that is used.
        .pool_max_idle_per_host(1);
    if let Some(limit) = options.timeout("connect_timeout_ms") {
        builder = builder.connect_timeout(limit);
    }
    match options.text("ssl_mode") {
        Some("required") => builder = builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true),
        Some("verify_ca") => builder = builder.danger_accept_invalid_hostnames(true),
        _ => {}
    }
    if let Some(path) = options.text("ssl_ca") {
        let bad = |why: String| failed(endpoint, "HV00D", "could not read the file of option \"ssl_ca\"").with_detail(why);
        let pem = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| bad(e.to_string()))?;
        if certificates.is_empty() {
            return Err(bad("It has no certificate in PEM form.".into()));
        }
        builder = builder.tls_built_in_root_certs(false);
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some(identity) = Identity::of(endpoint, options, encrypted)? {
        let pem = identity.certificates_pem() + &identity.key_pem();
        let identity = reqwest::Identity::from_pem(pem.as_bytes());
        builder = builder.identity(identity.map_err(|e| failed(endpoint, "HV00D", "the client certificate cannot be used").with_detail(reason(&e)))?);
    }
    builder.build().map_err(|e| failed(endpoint, "08001", "could not set up TLS").with_detail(reason(&e)))
}

/// Whether an idle connection still leads to a server, by a request that changes nothing and needs no rights; whatever it answers. The server may be about to
/// close the connection: what is sent then is lost, and only of a request like this one it is certain that it may be.
pub async fn answers(endpoint: &Endpoint, request: RequestBuilder) -> bool {
    let asking = async {
        let mut response = request.send().await?;
        let mut room = ERROR_BYTES;
        // A connection is used again when the answer has been read.
        while let Some(chunk) = response.chunk().await? {
            room = room.saturating_sub(chunk.len());
            if room == 0 {
                break;
            }
        }
        tokio::time::sleep(RETURNING).await;
        Ok::<(), reqwest::Error>(())
    };
    match tokio::time::timeout(SHORT, asking).await {
        Ok(Ok(())) => true,
        Ok(Err(e)) => {
            tracing::debug!("server \"{}\": a connection is gone: {}", endpoint.name, reason(&e));
            false
        }
        Err(_) => false,
    }
}

/// All causes of an error, without the address.
fn reason(e: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(e);
    while let Some(c) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&c.to_string());
        cause = c.source();
    }
    if text.is_empty() { "The connection was closed.".into() } else { text }
}

/// What an error of a request means.
pub fn request_error(endpoint: &Endpoint, e: &reqwest::Error) -> Error {
    let engine = crate::registry::by_name(&endpoint.engine);
    if let Some(refused) = engine.and_then(|engine| identity::refused(endpoint, &Options { engine, given: &endpoint.options }, e)) {
        return refused;
    }
    if e.is_connect() {
        return failed(endpoint, "08001", if e.is_timeout() { "could not connect within the time limit" } else { "could not connect" })
            .with_detail(reason(e))
            .with_hint("Check the address and the option \"ssl_mode\" of the server.");
    }
    failed(endpoint, "08006", "lost the connection").with_detail(reason(e))
}

/// An answer that is not of this protocol.
pub fn not_understood(endpoint: &Endpoint, detail: impl Into<String>) -> Error {
    failed(endpoint, "08P01", "could not understand the answer")
        .with_detail(detail)
        .with_hint("Check that the server's address is that of the engine, and not of something before or beside it.")
}

pub fn too_late(endpoint: &Endpoint) -> Error {
    failed(endpoint, "57014", "no answer within the time limit").with_hint("Raise the option \"request_timeout_ms\" of the server.")
}

/// Waits for an answer as long as the server's options say.
///
/// # Errors
/// As [`request_error`], or the time is over.
pub async fn in_time<T>(endpoint: &Endpoint, limit: Option<Duration>, answer: impl Future<Output = reqwest::Result<T>>) -> Result<T> {
    let answer = match limit {
        None => answer.await,
        Some(limit) => tokio::time::timeout(limit, answer).await.map_err(|_| too_late(endpoint))?,
    };
    answer.map_err(|e| request_error(endpoint, &e))
}

/// The whole body, of which no more than `limit_bytes` are kept; the rest is not read.
///
/// # Errors
/// As [`in_time`].
pub async fn body(endpoint: &Endpoint, limit: Option<Duration>, response: &mut Response, limit_bytes: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(endpoint, limit, response.chunk()).await? {
        let room = limit_bytes - bytes.len();
        bytes.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        if bytes.len() >= limit_bytes {
            break;
        }
    }
    Ok(bytes)
}

/// A remote's words as one line of bounded length.
pub fn shown(text: &str) -> String {
    let mut line = String::new();
    for c in text.trim().chars().take(MESSAGE_CHARS) {
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}

/// The error of a status that no engine's own message explains.
pub fn status_error(endpoint: &Endpoint, status: u16, page: &[u8]) -> Error {
    let page = shown(&String::from_utf8_lossy(page.get(..300).unwrap_or(page)));
    let detail = if page.is_empty() { format!("It answered with HTTP status {status}.") } else { format!("It answered with HTTP status {status}: {page}") };
    match status {
        401 | 403 => Error { kind: Kind::Auth, ..failed(endpoint, "28000", "the credentials were refused") }
            .with_detail(detail)
            .with_hint("Check the user mapping of the server."),
        502..=504 => failed(endpoint, "08006", "it is not available").with_detail(detail),
        _ => not_understood(endpoint, detail),
    }
}
