//! Channels to a server: TLS, who we are, and what its errors mean.
//!
//! Invariants:
//! - Credentials go to the server that the options name. To another location that a result names they go only if it is at the same host, or
//!   encrypted as well as checked.
//! - Messages are at most [`MAX_MESSAGE_BYTES`] long.

use crate::client::base64::base64;
use crate::client::identity::{self, Identity};
use crate::client::{Pooled, failed};
use crate::descriptor::Options;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightClient, HandshakeRequest};
use async_trait::async_trait;
use futures::StreamExt;
use std::error::Error as _;
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Status};
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

pub const MAX_MESSAGE_BYTES: usize = 256 << 20;
/// A peer that does not answer a ping in this time is gone.
const PING: Duration = Duration::from_secs(20);
const FOREVER: Duration = Duration::from_secs(86_400);

type SqlClient = FlightSqlServiceClient<Channel>;

/// The options of an endpoint, whichever engine it is of (`starrocks` has a `flight_port`).
pub fn options(endpoint: &Endpoint) -> Options<'_> {
    let engine = crate::registry::by_name(&endpoint.engine).unwrap_or(&super::ENGINE);
    Options { engine, given: &endpoint.options }
}

/// Who we are.
#[derive(Clone)]
enum Credentials {
    Nobody,
    /// A bearer token, given or obtained by a handshake.
    Bearer(String),
    /// User and password with each request, for servers without a handshake.
    Basic(String),
}

/// An open channel.
pub struct Connection {
    pub sql: SqlClient,
    credentials: Credentials,
    headers: Vec<(String, String)>,
    /// The token may run out.
    by_handshake: bool,
}

/// Whether it is to be; `starrocks` has an `ssl_mode`, of which the strictest is what there is here.
fn is_encrypted(o: &Options) -> bool {
    o.text("tls").or(o.text("ssl_mode")).is_some_and(|t| t != "disabled")
}

fn port(o: &Options) -> i64 {
    o.int("flight_port").or_else(|| o.int("port")).unwrap_or(31_337)
}

fn address(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

async fn channel(endpoint: &Endpoint, authority: &str, encrypted: bool, same_host: bool, identity: Option<Identity>) -> Result<Channel> {
    let o = options(endpoint);
    let hint = "Check the options \"host\", \"port\" and \"tls\" of the server.";
    let bad = |e: &(dyn std::error::Error + 'static)| {
        identity::refused(endpoint, &o, e).unwrap_or_else(|| failed(endpoint, "08001", "could not connect").with_detail(chain(e)).with_hint(hint))
    };
    let scheme = if encrypted { "https" } else { "http" };
    let mut target = Channel::from_shared(format!("{scheme}://{authority}"))
        .map_err(|e| bad(&e))?
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    if encrypted {
        let mut tls = ClientTlsConfig::new();
        tls = match o.text("tls_ca").or(o.text("ssl_ca")) {
            Some(file) => {
                let pem = tokio::fs::read(file).await.map_err(|e| {
                    failed(endpoint, "08001", "could not read the certificates that are trusted")
                        .with_detail(e.to_string())
                        .with_hint("Check the option \"tls_ca\" of the server.")
                })?;
                tls.ca_certificate(Certificate::from_pem(pem))
            }
            None => tls.with_native_roots(),
        };
        if let Some(name) = o.text("tls_name").filter(|_| same_host) {
            tls = tls.domain_name(name);
        }
        if let Some(own) = identity {
            tls = tls.identity(tonic::transport::Identity::from_pem(own.certificates_pem(), own.key_pem()));
        }
        target = target.tls_config(tls).map_err(|e| bad(&e))?;
    }
    let limit = o.timeout("connect_timeout_ms").unwrap_or(FOREVER);
    match tokio::time::timeout(limit, target.connect()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(e)) => Err(bad(&e)),
        Err(_) => Err(too_late(endpoint)),
    }
}

fn too_late(endpoint: &Endpoint) -> Error {
    failed(endpoint, "08001", "could not connect within the time limit")
        .with_hint("Check the options \"host\" and \"port\" of the server, or raise \"connect_timeout_ms\".")
}

fn chain(e: &dyn std::error::Error) -> String {
    let (mut text, mut next) = (e.to_string(), e.source());
    while let Some(e) = next {
        let own = e.to_string();
        if !text.ends_with(&own) {
            text = format!("{text}: {own}");
        }
        next = e.source();
    }
    text
}

fn low_level(channel: Channel) -> FlightServiceClient<Channel> {
    FlightServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// User and password as HTTP spells them.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

impl Connection {
    fn with(channel: Channel, credentials: Credentials, headers: Vec<(String, String)>, by_handshake: bool) -> Connection {
        let mut sql = SqlClient::new_from_inner(low_level(channel));
        for (name, value) in &headers {
            sql.set_header(name.to_ascii_lowercase(), value.as_str());
        }
        match &credentials {
            Credentials::Nobody => {}
            Credentials::Bearer(token) => sql.set_token(token.clone()),
            Credentials::Basic(value) => sql.set_header("authorization", value.as_str()),
        }
        Connection { sql, credentials, headers, by_handshake }
    }

    /// The same rights at the protocol below.
    pub fn flight(&self) -> Result<FlightClient, FlightError> {
        let mut client = FlightClient::new_from_inner(self.sql.inner().clone());
        for (name, value) in &self.headers {
            client.add_header(&name.to_ascii_lowercase(), value)?;
        }
        match &self.credentials {
            Credentials::Nobody => {}
            Credentials::Bearer(token) => client.add_header("authorization", &format!("Bearer {token}"))?,
            Credentials::Basic(value) => client.add_header("authorization", value)?,
        }
        Ok(client)
    }

    /// A client for a part of a result that is somewhere else; `None` if it is here.
    pub async fn at(&self, endpoint: &Endpoint, location: &str) -> Result<Option<SqlClient>> {
        let o = options(endpoint);
        let encrypted = is_encrypted(&o);
        let (scheme, rest) = location.split_once("://").unwrap_or((location, ""));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let theirs = match scheme {
            // The spec's word for "here".
            "arrow-flight-reuse-connection" => return Ok(None),
            "grpc" | "grpc+tcp" | "http" => false,
            "grpc+tls" | "https" => true,
            _ => {
                return Err(
                    failed(endpoint, "0A000", "a part of the result is where only another protocol leads").with_detail(format!("The location is {location}."))
                );
            }
        };
        let host = address(o.text("host").unwrap_or_default());
        let same_host = authority.rsplit_once(':').is_some_and(|(name, _)| name == host);
        let unspecified = authority.starts_with("0.0.0.0:") || authority.starts_with("[::]:");
        if unspecified || (theirs == encrypted && authority == format!("{host}:{}", port(&o))) {
            return Ok(None);
        }
        // Headers may be as secret as a password.
        let is_trusted = (same_host && theirs >= encrypted) || (theirs && encrypted);
        let (credentials, headers) = if is_trusted { (self.credentials.clone(), self.headers.clone()) } else { (Credentials::Nobody, Vec::new()) };
        let identity = if is_trusted { Identity::of(endpoint, &o, encrypted)? } else { None };
        let channel = channel(endpoint, authority, theirs, same_host, identity).await?;
        Ok(Some(Connection::with(channel, credentials, headers, false).sql))
    }
}

#[async_trait]
impl Pooled for Connection {
    async fn connect(endpoint: &Endpoint) -> Result<Connection> {
        let o = options(endpoint);
        let encrypted = is_encrypted(&o);
        let authority = format!("{}:{}", address(o.text("host").unwrap_or_default()), port(&o));
        let channel = channel(endpoint, &authority, encrypted, true, Identity::of(endpoint, &o, encrypted)?).await?;
        let headers: Vec<(String, String)> = o.starting("header.").into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        if let Some(token) = o.text("token") {
            return Ok(Connection::with(channel, Credentials::Bearer(token.to_owned()), headers, false));
        }
        let Some(user) = o.text("user") else { return Ok(Connection::with(channel, Credentials::Nobody, headers, false)) };
        let basic = basic(user, o.text("password").unwrap_or_default());
        let limit = o.timeout("connect_timeout_ms").unwrap_or(FOREVER);
        let credentials = tokio::time::timeout(limit, handshake(endpoint, channel.clone(), &basic, &headers)).await.map_err(|_| too_late(endpoint))??;
        let by_handshake = matches!(credentials, Credentials::Bearer(_));
        Ok(Connection::with(channel, credentials, headers, by_handshake))
    }

    async fn is_alive(&mut self) -> bool {
        // A channel connects again by itself. A token does not become a new one by itself.
        !self.by_handshake
    }

    fn max_connections(endpoint: &Endpoint) -> usize {
        options(endpoint).int("max_connections").and_then(|n| usize::try_from(n).ok()).unwrap_or(16)
    }

    fn patience(endpoint: &Endpoint) -> Duration {
        options(endpoint).timeout("connect_timeout_ms").unwrap_or(FOREVER)
    }
}

/// Asks for a token. A server that knows no handshake, or gives no token, gets user and password each time.
async fn handshake(endpoint: &Endpoint, channel: Channel, basic: &str, headers: &[(String, String)]) -> Result<Credentials> {
    let hello = HandshakeRequest { protocol_version: 0, payload: Default::default() };
    let mut request = tonic::Request::new(futures::stream::iter([hello]));
    let bad = || failed(endpoint, "HV00D", "a header or the user's name has characters that cannot be sent");
    for (name, value) in headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain([("authorization", basic)]) {
        let name: tonic::metadata::AsciiMetadataKey = name.to_ascii_lowercase().parse().map_err(|_| bad())?;
        request.metadata_mut().insert(name, value.parse().map_err(|_| bad())?);
    }
    let bearer = |map: &tonic::metadata::MetadataMap| {
        let value = map.get("authorization")?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.to_owned())
    };
    let answer = match low_level(channel).handshake(request).await {
        Ok(answer) => answer,
        Err(e) if e.code() == Code::Unimplemented => return Ok(Credentials::Basic(basic.to_owned())),
        Err(e) => return Err(of_status(endpoint, &e)),
    };
    let in_header = bearer(answer.metadata());
    let mut answers = answer.into_inner();
    while let Some(one) = answers.next().await {
        one.map_err(|e| of_status(endpoint, &e))?;
    }
    Ok(in_header.map_or_else(|| Credentials::Basic(basic.to_owned()), Credentials::Bearer))
}

/// What an error of the protocol means.
pub fn of_flight(endpoint: &Endpoint, e: &FlightError) -> Error {
    match e {
        FlightError::Tonic(status) => of_status(endpoint, status),
        other => failed(endpoint, "HV000", "could not understand the answer").with_detail(other.to_string()),
    }
}

fn of_status(endpoint: &Endpoint, status: &Status) -> Error {
    // What has a cause was not said by the server but found here.
    if let Some(cause) = status.source() {
        if let Some(refused) = identity::refused(endpoint, &options(endpoint), cause) {
            return refused;
        }
        return failed(endpoint, "08006", "lost the connection").with_detail(chain(cause));
    }
    let (kind, sqlstate, hint) = match status.code() {
        Code::Unauthenticated => (Kind::Auth, "28000", Some("Check the user mapping of the server.")),
        Code::PermissionDenied => (Kind::Query, "42501", Some("The remote user lacks a privilege.")),
        Code::NotFound => (Kind::Query, "HV00R", Some("Check the options \"schema_name\" and \"table_name\" of the foreign table, or import it again.")),
        Code::Unimplemented => (Kind::Query, "0A000", None),
        Code::ResourceExhausted => (Kind::Query, "53000", None),
        Code::DeadlineExceeded | Code::Cancelled => (Kind::Remote, "57014", None),
        Code::Unavailable => (Kind::Remote, "08006", Some("Check the options \"host\" and \"port\" of the server.")),
        _ => (Kind::Query, "HV000", None),
    };
    let message = status.message().trim();
    let message = if message.is_empty() { status.code().description() } else { message };
    let mut error = Error { kind, ..failed(endpoint, sqlstate, message) }.with_detail(format!("Remote status {:?}.", status.code()));
    error.hint = hint.map(str::to_owned);
    error
}

/// Waits for an answer as long as the server's options say.
pub async fn in_time<T>(endpoint: &Endpoint, answer: impl Future<Output = Result<T, FlightError>>) -> Result<T> {
    let answer = match options(endpoint).timeout("request_timeout_ms") {
        None => answer.await,
        Some(limit) => tokio::time::timeout(limit, answer)
            .await
            .map_err(|_| failed(endpoint, "57014", "no answer within the time limit").with_hint("Raise the option \"request_timeout_ms\" of the server."))?,
    };
    answer.map_err(|e| of_flight(endpoint, &e))
}
