//! The certificate by which a client shows who it is (mutual TLS), and the key that belongs to it: two files that a user mapping names.
//!
//! Invariants:
//! - Both files are read again for each connection, so that a certificate that was renewed is used without further ado.
//! - A key that others than the server's own user could read is not used, as libpq has it.
//! - What is in the key's file is shown nowhere.

use super::{base64::base64, failed};
use crate::descriptor::Options;
use std::error::Error as StdError;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{AlertDescription, Error as TlsError};
use weir_plan::protocol::Endpoint;
use weir_plan::{Error, Kind, Result};

/// A file may not be larger.
const FILE_BYTES: u64 = 1 << 20;
/// What the two options are called, as the users of each protocol know them.
const NAMES: &[(&str, &str)] = &[("sslcert", "sslkey"), ("ssl_cert", "ssl_key"), ("tls_cert", "tls_key")];
/// What a server answers that asked for a certificate and had none, or not one of its liking.
const ALERTS: &[AlertDescription] = &[
    AlertDescription::CertificateRequired,
    AlertDescription::NoCertificate,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
];
/// DER's name of RSA keys (rsaEncryption).
const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];

/// A chain of certificates that begins with the client's own, and its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

fn names(options: &Options) -> Option<(&'static str, &'static str)> {
    NAMES.iter().copied().find(|(certificate, _)| options.engine.options.iter().any(|o| o.name == *certificate))
}

impl Identity {
    /// What the options name; `None` if they name nothing.
    ///
    /// # Errors
    /// HV00D for one without the other, files that cannot be read or have something else in them, a key of another certificate, and a connection
    /// that is not encrypted.
    pub fn of(endpoint: &Endpoint, options: &Options, encrypted: bool) -> Result<Option<Identity>> {
        let Some((certificate, key)) = names(options) else { return Ok(None) };
        let wrong =
            |what: String| failed(endpoint, "HV00D", &what).with_hint(format!("Check the options \"{certificate}\" and \"{key}\" of the user mapping."));
        let (of_certificate, of_key) = match (options.text(certificate), options.text(key)) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(wrong(format!("option \"{certificate}\" needs the option \"{key}\""))),
            (None, Some(_)) => return Err(wrong(format!("option \"{key}\" needs the option \"{certificate}\""))),
            (Some(c), Some(k)) => (c, k),
        };
        if !encrypted {
            return Err(failed(endpoint, "HV00D", "a client certificate needs an encrypted connection").with_hint(match certificate {
                "sslcert" => "Set the option \"sslmode\" of the server.",
                "tls_cert" => "Set the option \"tls\" of the server.",
                _ if options.engine.name == "trino" => "Set the option \"url\" of the server to an https address.",
                _ => "Set the option \"ssl_mode\" of the server.",
            }));
        }
        let unread = |option: &str, why: String| wrong(format!("could not read the file of option \"{option}\"")).with_detail(why);
        let pem = read(of_certificate, false).map_err(|why| unread(certificate, why))?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|e| unread(certificate, e.to_string()))?;
        if chain.is_empty() {
            return Err(unread(certificate, "It has no certificate in PEM form.".into()));
        }
        let pem = read(of_key, true).map_err(|why| unread(key, why))?;
        if pem.windows(9).any(|w| w == b"ENCRYPTED") {
            return Err(unread(key, "The key is encrypted: only keys without a passphrase can be used.".into()));
        }
        // The error of the parser may show what it stumbled over.
        let read_key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unread(key, "It has no private key in PEM form.".into()))?;
        match CertifiedKey::from_der(chain.clone(), read_key.clone_key(), &ring::default_provider()) {
            Ok(_) => Ok(Some(Identity { chain, key: read_key })),
            Err(TlsError::InconsistentKeys(_)) => Err(wrong("the client certificate and the key do not belong together".into())),
            // As made by `openssl x509` without extensions, which is of version 1.
            Err(TlsError::InvalidCertificate(e)) => {
                Err(wrong("the client certificate cannot be used".into()).with_detail(format!("It must be one of X.509 version 3: {e:?}.")))
            }
            Err(e) => Err(wrong("the client certificate or its key cannot be used".into()).with_detail(e.to_string())),
        }
    }

    pub fn certificates_pem(&self) -> String {
        self.chain.iter().map(|c| pem("CERTIFICATE", c)).collect()
    }

    pub fn key_pem(&self) -> String {
        let label = match &self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        pem(label, self.key.secret_der())
    }

    /// The key as PKCS #1 has it; `None` if it is none of RSA.
    pub fn key_pkcs1(&self) -> Option<&[u8]> {
        match &self.key {
            PrivateKeyDer::Pkcs1(key) => Some(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => rsa_of_pkcs8(key.secret_pkcs8_der()),
            _ => None,
        }
    }
}

/// The bytes of a file; a secret one only if others could not read it.
fn read(path: &str, secret: bool) -> Result<Vec<u8>, String> {
    // Opening what is no file, such as a pipe, could take for ever.
    let about = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !about.is_file() {
        return Err("It is no file.".into());
    }
    let others = if about.uid() == 0 { 0o037 } else { 0o077 };
    if secret && about.mode() & others != 0 {
        return Err("Others may read or write it: its permissions must be 0600 or less, or 0640 or less if it is owned by root.".into());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|f| f.take(FILE_BYTES).read_to_end(&mut bytes)).map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn pem(label: &str, der: &[u8]) -> String {
    let digits = base64(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The first element of DER: its tag, its content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], mut rest) = der.split_first_chunk::<2>()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7F)).filter(|(bytes, _)| (1..=4).contains(&bytes.len()))?;
        length = bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// The key within PKCS #8 (RFC 5208): version, algorithm, key.
fn rsa_of_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let (_, info, _) = element(der)?;
    let (_, _version, rest) = element(info)?;
    let (_, algorithm, rest) = element(rest)?;
    let (_, name, _) = element(algorithm)?;
    let (tag, key, _) = element(rest)?;
    (name == RSA && tag == 4).then_some(key)
}

/// The error of a server that asked for a certificate and did not get one that it takes; `None` if this error is another.
///
/// It is found by its words, since not all that lies between (HTTP/2) hands on more of it.
pub fn refused(endpoint: &Endpoint, options: &Options, e: &(dyn StdError + 'static)) -> Option<Error> {
    let (certificate, key) = names(options)?;
    let mut cause = Some(e);
    let alert = loop {
        let said = cause?.to_string();
        if let Some(alert) = ALERTS.iter().find(|a| said == TlsError::AlertReceived(**a).to_string()) {
            break *alert;
        }
        cause = cause?.source();
    };
    let given = options.text(certificate).is_some();
    let what = if given { "the client certificate was refused" } else { "a client certificate is required" };
    let error = Error { kind: Kind::Auth, ..failed(endpoint, "28000", what) }.with_detail(format!("The server ended the handshake of TLS: {alert:?}."));
    Some(if given {
        error.with_hint("Check that the server trusts who signed the certificate, and that it has not expired.")
    } else {
        error.with_hint(format!("Set the options \"{certificate}\" and \"{key}\" of the user mapping."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_within_pkcs8_is_found() {
        let algorithm = [&[0x30, 0x0D, 0x06, 0x09], RSA, &[0x05, 0x00]].concat();
        let key = vec![7u8; 300];
        let info = [&[0x02, 0x01, 0x00][..], &algorithm, &[0x04, 0x82, 0x01, 0x2C], &key].concat();
        let length = u16::try_from(info.len()).expect("short").to_be_bytes();
        let der = [&[0x30, 0x82][..], &length, &info].concat();
        assert_eq!(rsa_of_pkcs8(&der), Some(key.as_slice()));
        for cut in [0, 1, 2, 3, 5, 20, der.len() - 1] {
            assert_eq!(rsa_of_pkcs8(&der[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn pem_has_lines_of_64() {
        let text = pem("CERTIFICATE", &[1; 100]);
        assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).expect("readable").as_ref(), [1; 100]);
        assert!(text.lines().all(|l| l.len() <= 64));
    }
}
