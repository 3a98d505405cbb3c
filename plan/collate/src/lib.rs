//! Order of text, and case and classes of characters, as the server's own collation has them: by the same functions of the same library that
//! the server asks.
//!
//! glibc's sort keys (`strxfrm`) do not order all text as its comparison (`strcoll`) does: of a million pairs of random strings, some twenty
//! come out otherwise in glibc 2.36. So text is compared here. Keys of ICU do order as its comparison does, which the server relies on, too: of
//! these the first bytes can be had, to compare by first.
//!
//! Invariants:
//! - A locale that cannot be opened, or a library that is not there, is an error: there is no other order to fall back to.
//! - Text that the library holds for equal is ordered by its bytes, as in Postgres under a deterministic collation.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::{Arc, Mutex, PoisonError};

mod ctype;
mod icu;
mod sort;
mod texts;

pub use ctype::{Case, Class, Ctype, Ranges};
pub use sort::Sorting;
pub use texts::Texts;

/// A locale, open for comparing.
pub struct Collator(Provider);

enum Provider {
    Libc(libc::locale_t),
    Icu(Icu),
}

/// A collator of ICU, and the library that it is of.
struct Icu {
    collator: *mut c_char,
    compare: CompareUtf8,
    sort_key: SortKey,
    close: unsafe extern "C" fn(*mut c_char),
    _library: libloading::Library,
}

/// `ucol_strcollUTF8`: bytes and length of both, and an error code.
type CompareUtf8 = unsafe extern "C" fn(*const c_char, *const c_char, i32, *const c_char, i32, *mut c_int) -> c_int;

/// `ucol_getSortKey`: UTF-16 and its length, room for the key; gives the key's length, with the zero at its end.
type SortKey = unsafe extern "C" fn(*const c_char, *const u16, i32, *mut u8, i32) -> i32;

/// No key is made of a longer text: it takes time for all of it, and most comparisons end before.
const LONG_TEXT: usize = 1024;

unsafe extern "C" {
    /// Of the C library, not declared by `libc` for every target.
    fn strcoll_l(a: *const c_char, b: *const c_char, locale: libc::locale_t) -> c_int;
}

// SAFETY: a locale object may be used by any number of threads; so may a collator of ICU that is only compared with.
unsafe impl Send for Collator {}
// SAFETY: as above.
unsafe impl Sync for Collator {}

/// Opened locales, which stay: a database has one.
static OPEN: Mutex<Option<HashMap<String, Arc<Collator>>>> = Mutex::new(None);

thread_local! {
    /// Two texts with the zero that the C library wants at their ends.
    static TERMINATED: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::default();

    /// A text as ICU wants it, and its key.
    static KEYED: RefCell<(Vec<u16>, Vec<u8>)> = RefCell::default();
}

/// `libc:<name of the locale>`, as [`Collator::open`] takes it.
pub fn libc_locale(name: &str) -> String {
    format!("libc:{name}")
}

/// `icu:<path of the library>:<name of the locale>`, likewise.
pub fn icu_locale(library: &str, name: &str) -> String {
    format!("icu:{library}:{name}")
}

impl Collator {
    /// Opens a locale, or finds it open.
    ///
    /// # Errors
    /// The locale is none of the system's, or the library cannot be loaded.
    pub fn open(locale: &str) -> Result<Arc<Collator>, String> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        if let Some(known) = open.get(locale) {
            return Ok(Arc::clone(known));
        }
        let provider = match named(locale)? {
            Named::Libc(name) => Provider::Libc(open_libc(name, libc::LC_COLLATE_MASK)?),
            Named::Icu { library, name } => open_icu(library, name)?,
        };
        let collator = Arc::new(Collator(provider));
        open.insert(locale.to_owned(), Arc::clone(&collator));
        Ok(collator)
    }

    /// The order of two texts, neither of which has a zero byte.
    ///
    /// # Errors
    /// The library cannot compare them.
    pub fn compare(&self, a: &str, b: &str) -> Result<Ordering, String> {
        if a == b {
            return Ok(Ordering::Equal);
        }
        let order = match &self.0 {
            Provider::Libc(locale) => TERMINATED.with_borrow_mut(|(left, right)| {
                for (buffer, text) in [(&mut *left, a), (&mut *right, b)] {
                    buffer.clear();
                    buffer.extend_from_slice(text.as_bytes());
                    buffer.push(0);
                }
                // SAFETY: both end with a zero, and the locale is open.
                unsafe { strcoll_l(left.as_ptr().cast(), right.as_ptr().cast(), *locale) }
            }),
            Provider::Icu(icu) => icu_order(icu, a.as_bytes(), b.as_bytes())?,
        };
        Ok(order.cmp(&0).then_with(|| a.as_bytes().cmp(b.as_bytes())))
    }

    /// Whether there are prefixes at all.
    fn has_prefixes(&self) -> bool {
        matches!(self.0, Provider::Icu(_))
    }

    /// A number that orders texts as [`Self::compare`] does where it differs; `None` if there is none of this text.
    fn prefix(&self, text: &str) -> Option<u64> {
        let Provider::Icu(icu) = &self.0 else { return None };
        if text.len() > LONG_TEXT {
            return None;
        }
        KEYED.with_borrow_mut(|(utf16, key)| {
            utf16.clear();
            utf16.extend(text.encode_utf16());
            let len = i32::try_from(utf16.len()).ok()?;
            loop {
                let room = i32::try_from(key.len()).ok()?;
                // SAFETY: as long as said, and the collator is open.
                let needed = unsafe { (icu.sort_key)(icu.collator, utf16.as_ptr(), len, key.as_mut_ptr(), room) };
                let needed = usize::try_from(needed).ok().filter(|n| *n > 0)?;
                if needed > key.len() {
                    key.resize(needed, 0);
                    continue;
                }
                let mut first = [0; 8];
                first.iter_mut().zip(key.get(..needed)?).for_each(|(to, from)| *to = *from);
                return Some(u64::from_be_bytes(first));
            }
        })
    }
}

impl Drop for Icu {
    fn drop(&mut self) {
        // SAFETY: opened by the library that is still loaded, and used by nobody any more.
        unsafe { (self.close)(self.collator) };
    }
}

/// What `ucol_strcollUTF8` says of two texts.
fn icu_order(icu: &Icu, a: &[u8], b: &[u8]) -> Result<c_int, String> {
    let (a_len, b_len) = (length(a)?, length(b)?);
    let mut status = 0;
    // SAFETY: as long as said, and the collator is open.
    let order = unsafe { (icu.compare)(icu.collator, a.as_ptr().cast(), a_len, b.as_ptr().cast(), b_len, &raw mut status) };
    if status > 0 {
        return Err(format!("ICU could not compare two texts: error {status}"));
    }
    Ok(order)
}

fn length(text: &[u8]) -> Result<i32, String> {
    i32::try_from(text.len()).map_err(|_| "a text that is too long to compare".into())
}

/// What the name of a locale says.
enum Named<'a> {
    Libc(&'a str),
    Icu { library: &'a str, name: &'a str },
}

fn named(locale: &str) -> Result<Named<'_>, String> {
    match locale.split_once(':') {
        Some(("libc", name)) => Ok(Named::Libc(name)),
        Some(("icu", rest)) => {
            let (library, name) = rest.rsplit_once(':').ok_or("a locale of no library")?;
            Ok(Named::Icu { library, name })
        }
        _ => Err(format!("a locale of an unknown provider: {locale}")),
    }
}

/// A locale of the C library; `categories` is a mask.
fn open_libc(name: &str, categories: c_int) -> Result<libc::locale_t, String> {
    let name = CString::new(name).map_err(|_| "a locale with a zero in its name")?;
    // SAFETY: a name that ends with a zero, and no locale to change.
    let locale = unsafe { libc::newlocale(categories, name.as_ptr(), std::ptr::null_mut()) };
    if locale.is_null() { Err(format!("the system has no locale {}", name.to_string_lossy())) } else { Ok(locale) }
}

fn open_icu(path: &str, name: &str) -> Result<Provider, String> {
    let loaded = icu::load(path)?;
    let name = CString::new(name).map_err(|_| "a locale with a zero in its name")?;
    // SAFETY: the functions have these types in every release of ICU.
    unsafe {
        let open: unsafe extern "C" fn(*const c_char, *mut c_int) -> *mut c_char = loaded.function("ucol_open")?;
        let close = loaded.function("ucol_close")?;
        let compare: CompareUtf8 = loaded.function("ucol_strcollUTF8")?;
        let sort_key: SortKey = loaded.function("ucol_getSortKey")?;
        let mut status = 0;
        let collator = open(CStr::as_ptr(&name), &raw mut status);
        // Warnings, of a locale that is known under another name, are negative.
        if status > 0 || collator.is_null() {
            return Err(format!("ICU has no locale {}: error {status}", name.to_string_lossy()));
        }
        Ok(Provider::Icu(Icu { collator, compare, sort_key, close, _library: loaded.library }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_compares() {
        let c = Collator::open("libc:C.UTF-8").expect("is part of glibc");
        assert_eq!(c.compare("a", "B"), Ok(Ordering::Greater));
        assert_eq!(c.compare("é", "é"), Ok(Ordering::Equal));
        assert_eq!(c.compare("", "a"), Ok(Ordering::Less));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for wrong in ["libc:no_SUCH", "icu:/nowhere/libicui18n.so.72:en-US", "icu:libicui18n.so.72:en-US", "icu:/lib/x:en-US", "C", ""] {
            assert!(Collator::open(wrong).is_err(), "{wrong}");
        }
    }
}
