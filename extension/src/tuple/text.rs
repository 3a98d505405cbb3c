//! Text in the server's encoding as UTF-8.

use super::Unfit;
use pgrx::pg_sys;

enum Encoding {
    Utf8,
    /// No conversion is defined: only ASCII has a meaning outside.
    SqlAscii,
    Other {
        encoding: i32,
        conversion: pg_sys::Oid,
    },
}

/// Converts texts; keeps the buffer of the last conversion.
pub struct TextReader {
    encoding: Encoding,
    buffer: Vec<u8>,
}

impl TextReader {
    /// Needs a transaction.
    pub fn new() -> Self {
        // SAFETY: plain look-ups in a transaction.
        let encoding = unsafe {
            let utf8 = pg_sys::pg_enc::PG_UTF8.cast_signed();
            match pg_sys::GetDatabaseEncoding() {
                e if e == utf8 => Encoding::Utf8,
                e if e == pg_sys::pg_enc::PG_SQL_ASCII.cast_signed() => Encoding::SqlAscii,
                e => Encoding::Other { encoding: e, conversion: pg_sys::FindDefaultConversionProc(e, utf8) },
            }
        };
        Self { encoding, buffer: Vec::new() }
    }

    /// The text as UTF-8.
    ///
    /// # Errors
    /// Bytes that are no text in the server's encoding, or have no counterpart in Unicode.
    pub fn read<'a>(&'a mut self, bytes: &'a [u8]) -> Result<&'a str, Unfit> {
        match self.encoding {
            Encoding::Utf8 => std::str::from_utf8(bytes).map_err(|_| Unfit),
            _ if bytes.is_ascii() => std::str::from_utf8(bytes).map_err(|_| Unfit),
            Encoding::SqlAscii => Err(Unfit),
            Encoding::Other { encoding, conversion } => self.convert(bytes, encoding, conversion),
        }
    }

    fn convert(&mut self, bytes: &[u8], encoding: i32, conversion: pg_sys::Oid) -> Result<&str, Unfit> {
        if conversion == pg_sys::InvalidOid {
            return Err(Unfit);
        }
        // The largest growth of any conversion, and the terminating zero.
        self.buffer.resize(bytes.len() * 4 + 1, 0);
        let (len, room) = (i32::try_from(bytes.len()).map_err(|_| Unfit)?, i32::try_from(self.buffer.len()).map_err(|_| Unfit)?);
        let utf8 = pg_sys::pg_enc::PG_UTF8.cast_signed();
        // SAFETY: both buffers are as long as said; with no_error the function reports how much it could convert.
        let converted = unsafe {
            let destination = self.buffer.as_mut_ptr();
            pg_sys::pg_do_encoding_conversion_buf(conversion, encoding, utf8, bytes.as_ptr().cast_mut(), len, destination, room, true)
        };
        if converted != len {
            return Err(Unfit);
        }
        let end = self.buffer.iter().position(|b| *b == 0).ok_or(Unfit)?;
        std::str::from_utf8(&self.buffer[..end]).map_err(|_| Unfit)
    }
}
