//! A client for Postgres's simple query protocol over a unix socket, trust authentication only.
//!
//! Why not a client library: the comparison needs what a text-mode client sees to the byte (type OIDs and
//! modifiers, field text, SQLSTATE), and must tell a lost connection from an error of the query.
//!
//! Invariants: a `Session` that returned `Lost` is dead and is never used again; nothing here panics on what the
//! server sends.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longer than any statement_timeout the harness sets: beyond it the server does not answer at all.
const READ_TIMEOUT: Duration = Duration::from_secs(90);
/// A message longer than this is a protocol error, not a row.
const MESSAGE_LIMIT_BYTES: usize = 256 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub type_oid: u32,
    pub type_modifier: i32,
}

pub type Row = Vec<Option<String>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    pub sqlstate: String,
    pub message: String,
    pub detail: String,
}

#[derive(Clone, Debug)]
pub enum Answer {
    Rows(Rows),
    Error(ServerError),
    /// The connection broke, or the server did not answer in time.
    Lost(String),
}

#[derive(Clone, Debug)]
pub struct Address {
    pub socket_dir: String,
    pub port: u16,
    pub user: String,
    pub database: String,
}

pub struct Session {
    stream: io::BufReader<UnixStream>,
}

impl Session {
    pub fn connect(address: &Address) -> io::Result<Self> {
        let stream = UnixStream::connect(format!("{}/.s.PGSQL.{}", address.socket_dir, address.port))?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        let mut session = Self { stream: io::BufReader::with_capacity(1 << 16, stream) };
        let mut body = 196_608_i32.to_be_bytes().to_vec();
        for word in ["user", &address.user, "database", &address.database, "application_name", "weir-differential", "client_encoding", "UTF8"] {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        body.push(0);
        session.send(None, &body)?;
        match session.read_answer()? {
            Answer::Rows(_) => Ok(session),
            Answer::Error(error) => Err(io::Error::other(format!("{} ({})", error.message, error.sqlstate))),
            Answer::Lost(reason) => Err(io::Error::other(reason)),
        }
    }

    /// Runs `sql`, which may hold several statements; the columns are those of the last result.
    pub fn query(&mut self, sql: &str) -> Answer {
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(Some(b'Q'), &body).and_then(|()| self.read_answer()).unwrap_or_else(|error| {
            Answer::Lost(match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    format!("no answer within {} s", READ_TIMEOUT.as_secs())
                }
                io::ErrorKind::UnexpectedEof => "the server closed the connection".into(),
                _ => error.to_string(),
            })
        })
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let length = i32::try_from(body.len() + 4).map_err(|_| io::Error::other("statement too long"))?;
        let mut message = Vec::with_capacity(body.len() + 5);
        message.extend(kind);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.stream.get_mut().write_all(&message)
    }

    fn read_answer(&mut self) -> io::Result<Answer> {
        let mut result = Rows::default();
        let mut failed: Option<ServerError> = None;
        loop {
            let (kind, body) = self.read_message()?;
            match kind {
                b'R' if body.get(..4) == Some(&[0, 0, 0, 0]) => {}
                b'R' => return Err(io::Error::other("the server asks for a password; the harness uses trust")),
                b'T' => result.columns = Body(&body).row_description().ok_or_else(malformed)?,
                b'D' => result.rows.push(Body(&body).data_row().ok_or_else(malformed)?),
                // COPY ... TO STDOUT: each data message is one line.
                b'd' => result.rows.push(vec![Some(String::from_utf8_lossy(&body).into_owned())]),
                b'G' => self.send(Some(b'f'), b"the harness has nothing to copy\0")?,
                b'E' => {
                    let error = Body(&body).error();
                    // A fatal error is followed by the end of the connection, not by ReadyForQuery.
                    if error.1 {
                        return Ok(Answer::Lost(format!("{} ({})", error.0.message, error.0.sqlstate)));
                    }
                    failed.get_or_insert(error.0);
                }
                b'Z' => {
                    return Ok(match failed {
                        Some(error) => Answer::Error(error),
                        None => Answer::Rows(result),
                    });
                }
                _ => {}
            }
        }
    }

    fn read_message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0u8; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, a, b, c, d] = head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=MESSAGE_LIMIT_BYTES).contains(&length) {
            return Err(malformed());
        }
        let mut body = vec![0u8; length - 4];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

fn malformed() -> io::Error {
    io::Error::other("malformed message from the server")
}

/// A message body, read from the front. Every read returns `None` past the end.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take(4).and_then(|b| b.try_into().ok()).map(i32::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let text = String::from_utf8_lossy(self.take(end)?).into_owned();
        self.take(1)?;
        Some(text)
    }

    fn row_description(mut self) -> Option<Vec<Column>> {
        let count = self.u16()?;
        (0..count)
            .map(|_| {
                let name = self.text()?;
                // Table OID and column number: the source of a column is no part of the comparison.
                self.take(6)?;
                let type_oid = self.i32()? as u32;
                self.take(2)?;
                let type_modifier = self.i32()?;
                self.take(2)?;
                Some(Column { name, type_oid, type_modifier })
            })
            .collect()
    }

    fn data_row(mut self) -> Option<Row> {
        let count = self.u16()?;
        (0..count)
            .map(|_| match self.i32()? {
                -1 => Some(None),
                length => {
                    let bytes = self.take(usize::try_from(length).ok()?)?;
                    Some(Some(String::from_utf8_lossy(bytes).into_owned()))
                }
            })
            .collect()
    }

    /// The error and whether it ends the session.
    fn error(mut self) -> (ServerError, bool) {
        let mut error = ServerError::default();
        let mut fatal = false;
        while let Some(&field) = self.take(1).and_then(|b| b.first()) {
            if field == 0 {
                break;
            }
            let Some(text) = self.text() else { break };
            match field {
                b'V' => fatal = text == "FATAL" || text == "PANIC",
                b'C' => error.sqlstate = text,
                b'M' => error.message = text,
                b'D' => error.detail = text,
                _ => {}
            }
        }
        (error, fatal)
    }
}
