//! TLS for connections to Postgres, with the modes of libpq, and the client's certificate.
//!
//! A Unix socket is never encrypted, whatever the mode, as in libpq.
//!
//! Invariant: `verify-ca` and `verify-full` trust the certificates of the option `sslrootcert` and no others; the other modes check nothing, as in libpq.

use super::client::options;
use crate::client::failed;
use crate::client::identity::Identity;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use weir_plan::Result;
use weir_plan::protocol::Endpoint;

/// What the option `sslmode` says, where the server is not reached over a socket.
fn asked(endpoint: &Endpoint) -> Option<&str> {
    let is_socket = options(endpoint).text("host").is_some_and(|host| host.starts_with('/'));
    if is_socket { Some("disable") } else { options(endpoint).text("sslmode") }
}

/// How a connection is made.
pub fn mode(endpoint: &Endpoint) -> SslMode {
    match asked(endpoint) {
        Some("disable") => SslMode::Disable,
        Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        _ => SslMode::Prefer,
    }
}

/// Makes connections encrypted.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// # Errors
    /// A file of certificates that cannot be read, or is not given where one is needed; a client certificate that cannot be used.
    pub async fn new(endpoint: &Endpoint) -> Result<Tls> {
        let o = options(endpoint);
        let provider = Arc::new(ring::default_provider());
        let wrong = |what: String| failed(endpoint, "08001", &what).with_hint("Check the options \"sslmode\" and \"sslrootcert\" of the server.");
        let verify = match asked(endpoint) {
            Some(mode @ ("verify-ca" | "verify-full")) => {
                let path = o.text("sslrootcert").ok_or_else(|| wrong(format!("sslmode {mode} needs the option \"sslrootcert\"")))?;
                let pem =
                    tokio::fs::read(path).await.map_err(|e| wrong("could not read the file of option \"sslrootcert\"".into()).with_detail(e.to_string()))?;
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(&pem) {
                    let added = certificate.map_err(|e| e.to_string()).and_then(|c| roots.add(c).map_err(|e| e.to_string()));
                    added.map_err(|e| wrong("the file of option \"sslrootcert\" has no valid certificates".into()).with_detail(e))?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
                let verifier = verifier.map_err(|e| wrong("the file of option \"sslrootcert\" has no certificates".into()).with_detail(e.to_string()))?;
                Some((verifier, mode == "verify-full"))
            }
            _ => None,
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong("TLS is not available".into()).with_detail(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { provider, verify }));
        let is_socket = o.text("host").is_some_and(|host| host.starts_with('/'));
        let identity = if is_socket { None } else { Identity::of(endpoint, &o, asked(endpoint) != Some("disable"))? };
        let config = match identity {
            Some(own) => config
                .with_client_auth_cert(own.chain, own.key)
                .map_err(|e| failed(endpoint, "HV00D", "the client certificate cannot be used").with_detail(e.to_string()))?,
            None => config.with_no_client_auth(),
        };
        Ok(Tls(Arc::new(config)))
    }
}

/// Checks the server's certificate as far as the mode asks for.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Against trusted certificates; and the name, too.
    verify: Option<(Arc<WebPkiServerVerifier>, bool)>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some((verifier, name)) = &self.verify else { return Ok(ServerCertVerified::assertion()) };
        match verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            // The name is looked at last, when all else is right.
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) if !name => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Stream<S>;
    type TlsConnect = Connect;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Connect> {
        // A socket has no name. It is not encrypted either, but the driver asks first.
        let domain = if domain.is_empty() { "localhost" } else { domain };
        let name = ServerName::try_from(domain.to_owned()).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        Ok(Connect(TlsConnector::from(Arc::clone(&self.0)), name))
    }
}

pub struct Connect(TlsConnector, ServerName<'static>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Connect {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.0.connect(self.1, stream).await.map(Stream) })
    }
}

pub struct Stream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Stream<S> {
    /// None: SCRAM without channel binding, which every server takes.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
