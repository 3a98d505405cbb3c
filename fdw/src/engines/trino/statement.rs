//! One statement, from its submission to its last page.
//!
//! Source: "Trino client REST API" in Trino's developer guide. A statement is posted; each answer names, as `nextUri`, where the next one is
//! to be had, until one does not. 502, 503 and 504 mean to ask again; deleting `nextUri` cancels.
//!
//! Invariant: credentials go to the coordinator only, not to another address that an answer names.

use super::ENGINE;
use super::error::{QueryError, meaning};
use super::prepared::{self, Prepared};
use crate::client::{failed, http};
use crate::descriptor::Options;
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::Value;
use std::io::Read;
use std::time::Duration;
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

/// How often a server that is not available is asked again, and the first and the longest wait in between.
const ATTEMPTS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// One answer may not be larger, as it is and uncompressed. Coordinators aim at 1 MB of values, some at 16 MB, of which JSON makes up to four times
/// as much: one that is larger has a row that is.
pub const PAGE_BYTES: usize = 64 << 20;
/// Nor a spooled segment: `protocol.spooling.max-segment-size` is 16 MB of values unless somebody has raised it.
pub const SEGMENT_BYTES: usize = 128 << 20;
/// program_limit_exceeded
const TOO_LARGE: &str = "54000";
/// Time to have a statement cancelled.
const SHORT: Duration = Duration::from_secs(5);

/// A coordinator, as one user reaches it.
#[derive(Clone)]
pub struct Coordinator {
    pub endpoint: Endpoint,
    pub client: reqwest::Client,
    base: Url,
}

/// A column of a result.
#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
}

/// `QueryResults` of the protocol, as far as it is used.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    #[serde(default)]
    pub next_uri: Option<String>,
    #[serde(default)]
    pub columns: Option<Vec<Column>>,
    #[serde(default)]
    pub data: Option<Value>,
    #[serde(default)]
    pub update_count: Option<u64>,
    #[serde(default)]
    error: Option<QueryError>,
}

pub fn options(endpoint: &Endpoint) -> Options<'_> {
    Options { engine: &ENGINE, given: &endpoint.options }
}

/// The coordinator's address.
///
/// # Errors
/// One that is none, or one over which a password would be sent in the clear.
pub fn address(endpoint: &Endpoint) -> Result<Url> {
    let o = options(endpoint);
    let bad = |why: &str| {
        Error { kind: Kind::BadOption, ..failed(endpoint, "HV00D", "option \"url\" is not the address of a coordinator") }
            .with_detail(why.to_owned())
            .with_hint("It must be as http://name:8080 or https://name:8443.")
    };
    let mut url = Url::parse(o.text("url").unwrap_or_default()).map_err(|e| bad(&format!("It cannot be read: {e}.")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("It has another scheme, or no name of a host."));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("User and password belong to the user mapping."));
    }
    // A token does not leave this machine on its own address.
    let is_near = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && (o.text("password").is_some() || (o.text("token").is_some() && !is_near)) {
        return Err(Error { kind: Kind::Auth, ..failed(endpoint, "28000", "credentials are sent over an encrypted connection only") }
            .with_hint("Set the option \"url\" of the server to an https address."));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// The error of an answer that would need more memory than one is given.
pub fn too_large(endpoint: &Endpoint, most_bytes: usize) -> Error {
    failed(endpoint, TOO_LARGE, "an answer is too large")
        .with_detail(format!("A single page or segment of the result has more than {} MB.", most_bytes >> 20))
        .with_hint("Select fewer or smaller columns, or have the coordinator make smaller segments (protocol.spooling.max-segment-size).")
}

impl Coordinator {
    /// # Errors
    /// Options that cannot be.
    pub fn new(endpoint: &Endpoint) -> Result<Coordinator> {
        let base = address(endpoint)?;
        let encrypted = base.scheme() == "https";
        Ok(Coordinator { endpoint: endpoint.clone(), client: http::client(endpoint, &options(endpoint), encrypted)?, base })
    }

    /// Whether an idle connection leads to a coordinator. What it says of itself, it says to everybody.
    pub async fn answers(&self) -> bool {
        match self.base.join("v1/info") {
            Ok(url) => http::answers(&self.endpoint, self.client.get(url)).await,
            Err(_) => false,
        }
    }

    fn limit(&self) -> Option<Duration> {
        options(&self.endpoint).timeout("request_timeout_ms")
    }

    /// The user, and the credentials if the request goes to the coordinator.
    fn identified(&self, request: RequestBuilder, url: &Url) -> RequestBuilder {
        let o = options(&self.endpoint);
        let user = o.text("user").unwrap_or_default();
        let request = request.header("X-Trino-User", user);
        if url.origin() != self.base.origin() {
            return request;
        }
        match (o.text("token"), o.text("password")) {
            (Some(token), _) => request.bearer_auth(token),
            (None, Some(password)) => request.basic_auth(user, Some(password)),
            (None, None) => request,
        }
    }

    /// Submits a statement; its first page.
    ///
    /// # Errors
    /// A coordinator that cannot be reached, or refuses.
    pub async fn submit(&self, statement: &Prepared) -> Result<Page> {
        let o = options(&self.endpoint);
        let url = self.base.join("v1/statement").map_err(|e| Error::internal(format!("an address: {e}")))?;
        let make = || {
            let mut request = self.identified(self.client.post(url.clone()), &url).body(statement.body.clone());
            if let Some(header) = &statement.header {
                request = request.header(prepared::HEADER, header);
            }
            // Without this, times come cut to milliseconds.
            request = request.header("X-Trino-Client-Capabilities", "PARAMETRIC_DATETIME").header("X-Trino-Time-Zone", "UTC");
            request = request.header("Content-Type", "text/plain; charset=utf-8").header("Accept-Encoding", "gzip");
            for (option, header) in
                [("catalog", "X-Trino-Catalog"), ("schema", "X-Trino-Schema"), ("source", "X-Trino-Source"), ("client_tags", "X-Trino-Client-Tags")]
            {
                if let Some(value) = o.text(option) {
                    request = request.header(header, value);
                }
            }
            for property in o.text("session").unwrap_or_default().split(',').map(str::trim).filter(|p| !p.is_empty()) {
                let (name, value) = property.split_once('=').unwrap_or((property, ""));
                request = request.header("X-Trino-Session", format!("{}={}", name.trim(), encoded(value.trim())));
            }
            if o.bool("spooling") {
                request = request.header("X-Trino-Query-Data-Encoding", "json+zstd,json+lz4,json");
            }
            request
        };
        self.page(&self.send(make, PAGE_BYTES).await?)
    }

    /// The page at `nextUri`.
    pub async fn next(&self, uri: &str) -> Result<Page> {
        let url = self.own(uri)?;
        let body = self.send(|| self.identified(self.client.get(url.clone()), &url).header("Accept-Encoding", "gzip"), PAGE_BYTES).await?;
        self.page(&body)
    }

    fn parsed(&self, uri: &str) -> Result<Url> {
        let url = Url::parse(uri).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| http::not_understood(&self.endpoint, "An answer names an address that is none."))?;
        if self.base.scheme() == "https" && url.scheme() == "http" && url.host_str() == self.base.host_str() {
            return Err(http::not_understood(&self.endpoint, "An encrypted connection would be continued without encryption.")
                .with_hint("The coordinator behind a proxy must be told so (http-server.process-forwarded)."));
        }
        Ok(url)
    }

    /// An address of the coordinator: no answer of its leads requests to others that only this machine reaches.
    fn own(&self, uri: &str) -> Result<Url> {
        let url = self.parsed(uri)?;
        if url.origin() != self.base.origin() {
            return Err(http::not_understood(&self.endpoint, format!("The next page would be at {}.", http::shown(&url.origin().ascii_serialization())))
                .with_hint("The coordinator behind a proxy must be told so (http-server.process-forwarded)."));
        }
        Ok(url)
    }

    fn page(&self, body: &[u8]) -> Result<Page> {
        let page: Page =
            serde_json::from_slice(body).map_err(|e| http::not_understood(&self.endpoint, format!("An answer is not as the protocol says: {e}")))?;
        match &page.error {
            Some(e) => Err(meaning(&self.endpoint, e)),
            None => Ok(page),
        }
    }

    /// Sends a request until the server is available; the body of its answer, which has at most so many bytes.
    async fn send(&self, make: impl Fn() -> RequestBuilder, most_bytes: usize) -> Result<Vec<u8>> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let mut response = http::in_time(&self.endpoint, self.limit(), make().send()).await?;
            let status = response.status().as_u16();
            if matches!(status, 502..=504) && attempt < ATTEMPTS {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                attempt += 1;
                continue;
            }
            let gzip = response.headers().get("Content-Encoding").is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"gzip"));
            // One more tells that there are more.
            let room = if status == 200 { most_bytes + 1 } else { http::ERROR_BYTES };
            let mut body = http::body(&self.endpoint, self.limit(), &mut response, room).await?;
            if gzip && body.len() <= most_bytes {
                let mut plain = Vec::new();
                let opened = flate2::read::MultiGzDecoder::new(body.as_slice()).take(room as u64).read_to_end(&mut plain);
                if status == 200 {
                    opened.map_err(|e| http::not_understood(&self.endpoint, format!("An answer is not compressed as it says: {e}")))?;
                }
                body = plain;
            }
            if status != 200 {
                return Err(http::status_error(&self.endpoint, status, &body));
            }
            if body.len() > most_bytes {
                return Err(too_large(&self.endpoint, most_bytes));
            }
            return Ok(body);
        }
    }

    /// A segment's bytes. Its headers are all that identifies the reader.
    pub async fn segment(&self, uri: &str, headers: &[(String, String)]) -> Result<Vec<u8>> {
        let url = self.parsed(uri)?;
        if let Some((name, _)) = headers.iter().find(|(name, _)| !is_of_storage(name)) {
            return Err(http::not_understood(&self.endpoint, format!("A segment is to be read with the header \"{}\".", http::shown(name))));
        }
        let sent = self.send(|| headers.iter().fold(self.client.get(url.clone()), |r, (name, value)| r.header(name, value)), SEGMENT_BYTES).await;
        // What another machine says in its error is not for the reader.
        sent.map_err(|e| {
            if url.origin() == self.base.origin() || e.sqlstate == TOO_LARGE {
                e
            } else {
                e.with_detail(format!("A segment at {} could not be read.", http::shown(&url.origin().ascii_serialization())))
            }
        })
    }

    /// Tells that a segment is not needed any more; whatever comes of it.
    pub async fn acknowledge(&self, uri: &str, headers: &[(String, String)]) {
        let Some(url) = self.parsed(uri).ok().filter(|_| headers.iter().all(|(name, _)| is_of_storage(name))) else { return };
        let request = headers.iter().fold(self.client.get(url), |r, (name, value)| r.header(name, value));
        if let Ok(Err(e)) = tokio::time::timeout(SHORT, request.send()).await {
            tracing::debug!("server \"{}\": a segment was not acknowledged: {}", self.endpoint.name, e.without_url());
        }
    }

    /// Says that the statement is still waited for; whatever comes of it.
    pub async fn heartbeat(&self, next_uri: &str) {
        let Ok(url) = self.own(next_uri) else { return };
        let _ = tokio::time::timeout(SHORT, self.identified(self.client.head(url.clone()), &url).send()).await;
    }

    /// Has the statement cancelled.
    pub async fn cancel(&self, next_uri: &str) {
        let Ok(url) = self.own(next_uri) else { return };
        let request = self.identified(self.client.delete(url.clone()), &url);
        match tokio::time::timeout(SHORT, request.send()).await {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => tracing::warn!("server \"{}\": could not cancel a query: {}", self.endpoint.name, e.without_url()),
            Err(_) => tracing::warn!("server \"{}\": could not cancel a query in time", self.endpoint.name),
        }
    }
}

/// Whether a header is one by which storages know their readers, such as the key of an encrypted object.
fn is_of_storage(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["x-amz-", "x-goog-", "x-ms-"].iter().any(|of| name.starts_with(of)) || name == "authorization"
}

/// A value as it stands in a header: percent-encoded.
pub fn encoded(value: &str) -> String {
    let mut out = String::new();
    for b in value.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::ir::ServerRef;

    fn endpoint(options: &[(&str, &str)]) -> Endpoint {
        let options = options.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Endpoint { server: ServerRef { server: 1, user: 1 }, name: "t".into(), engine: "trino".into(), options, trusted: false }
    }

    #[test]
    fn addresses_are_checked() {
        let of = |url: &str| address(&endpoint(&[("url", url), ("user", "u")])).map(|u| u.to_string());
        assert_eq!(of("http://h:8080").as_deref(), Ok("http://h:8080/"));
        assert_eq!(of("https://h/trino").as_deref(), Ok("https://h/trino/"));
        for bad in ["h:8080", "ftp://h", "http://u:p@h", "http://h?x=1", ""] {
            assert_eq!(of(bad).expect_err("refused").sqlstate, "HV00D", "{bad}");
        }
        assert_eq!(address(&endpoint(&[("url", "http://h"), ("password", "p")])).expect_err("in the clear").sqlstate, "28000");
        assert!(address(&endpoint(&[("url", "https://h"), ("password", "p")])).is_ok());
        assert_eq!(address(&endpoint(&[("url", "http://h"), ("token", "t")])).expect_err("in the clear").sqlstate, "28000");
        assert!(address(&endpoint(&[("url", "http://127.0.0.1:1"), ("token", "t")])).is_ok());
    }

    #[test]
    fn errors_become_sqlstates() {
        let coordinator = Coordinator::new(&endpoint(&[("url", "http://h")])).expect("valid");
        let body = br#"{"id": "q", "error": {"message": "line 1:1: Table 'a.b.c' does not exist", "errorCode": 46, "errorName": "TABLE_NOT_FOUND", "errorType": "USER_ERROR"}}"#;
        let e = coordinator.page(body).expect_err("an error");
        assert_eq!((e.sqlstate.as_str(), e.kind), ("HV00R", Kind::Query));
        assert_eq!(coordinator.page(b"<html>").expect_err("no page").sqlstate, "08P01");
    }
}
