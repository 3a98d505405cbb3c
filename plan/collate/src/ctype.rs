//! Case and classes of characters under a locale. Sources: `pg_locale.c`, `formatting.c` (`str_tolower` and its kin), `regc_pg_locale.c`.

use crate::{Named, icu, named, open_libc};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A locale, open for questions about characters.
pub struct Ctype {
    name: String,
    provider: Provider,
    /// The classes that somebody asked for.
    classes: Mutex<HashMap<Class, Ranges>>,
}

/// First and last code points, from the least on.
pub type Ranges = Arc<[(u32, u32)]>;

enum Provider {
    Libc(libc::locale_t),
    Icu(Box<Icu>),
}

struct Icu {
    locale: CString,
    lower: Convert,
    upper: Convert,
    title: Title,
    /// Of one character.
    to_lower: unsafe extern "C" fn(i32) -> i32,
    to_upper: unsafe extern "C" fn(i32) -> i32,
    is: [unsafe extern "C" fn(i32) -> i8; CLASSES.len()],
    _library: libloading::Library,
}

/// `u_strToLower` and `u_strToUpper`: room and its size, UTF-16 and its length, the locale, an error code; gives the length of the result.
type Convert = unsafe extern "C" fn(*mut u16, i32, *const u16, i32, *const c_char, *mut c_int) -> i32;
/// `u_strToTitle`, which also takes an iterator over the words.
type Title = unsafe extern "C" fn(*mut u16, i32, *const u16, i32, *mut c_void, *const c_char, *mut c_int) -> i32;

/// `U_BUFFER_OVERFLOW_ERROR`
const NO_ROOM: c_int = 15;

/// What becomes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Lower,
    Upper,
    /// The first letter of each word upper, the others lower.
    Title,
}

/// A class of characters, as a bracket expression names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Alnum,
    Alpha,
    Digit,
    Graph,
    Lower,
    Print,
    Punct,
    Space,
    Upper,
}

/// With the functions that say whether a character is of it.
type OfLibc = unsafe extern "C" fn(u32, libc::locale_t) -> c_int;
const CLASSES: [(Class, OfLibc, &str); 9] = [
    (Class::Alnum, iswalnum_l, "u_isalnum"),
    (Class::Alpha, iswalpha_l, "u_isalpha"),
    (Class::Digit, iswdigit_l, "u_isdigit"),
    (Class::Graph, iswgraph_l, "u_isgraph"),
    (Class::Lower, iswlower_l, "u_islower"),
    (Class::Print, iswprint_l, "u_isprint"),
    (Class::Punct, iswpunct_l, "u_ispunct"),
    (Class::Space, iswspace_l, "u_isspace"),
    (Class::Upper, iswupper_l, "u_isupper"),
];

unsafe extern "C" {
    // Of the C library; wide characters are code points in glibc.
    fn towlower_l(c: u32, locale: libc::locale_t) -> u32;
    fn towupper_l(c: u32, locale: libc::locale_t) -> u32;
    fn iswalnum_l(c: u32, locale: libc::locale_t) -> c_int;
    fn iswalpha_l(c: u32, locale: libc::locale_t) -> c_int;
    fn iswdigit_l(c: u32, locale: libc::locale_t) -> c_int;
    fn iswgraph_l(c: u32, locale: libc::locale_t) -> c_int;
    fn iswlower_l(c: u32, locale: libc::locale_t) -> c_int;
    fn iswprint_l(c: u32, locale: libc::locale_t) -> c_int;
    fn iswpunct_l(c: u32, locale: libc::locale_t) -> c_int;
    fn iswspace_l(c: u32, locale: libc::locale_t) -> c_int;
    fn iswupper_l(c: u32, locale: libc::locale_t) -> c_int;
}

// SAFETY: a locale object may be used by any number of threads, and the functions of ICU here keep nothing.
unsafe impl Send for Ctype {}
// SAFETY: as above.
unsafe impl Sync for Ctype {}

thread_local! {
    /// A text as ICU wants it, and what it makes of it.
    static CONVERTED: RefCell<(Vec<u16>, Vec<u16>)> = RefCell::default();
}

impl fmt::Debug for Ctype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Ctype {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Ctype {}

impl Ctype {
    /// Opens a locale, or finds it open; it stays, since a database has few.
    ///
    /// # Errors
    /// The locale is none of the system's, or the library cannot be loaded.
    pub fn open(locale: &str) -> Result<&'static Ctype, String> {
        static OPEN: Mutex<Vec<&'static Ctype>> = Mutex::new(Vec::new());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.iter().find(|known| known.name == locale) {
            return Ok(known);
        }
        let provider = match named(locale)? {
            Named::Libc(name) => Provider::Libc(open_libc(name, libc::LC_CTYPE_MASK)?),
            Named::Icu { library, name } => Provider::Icu(Box::new(open_icu(library, name)?)),
        };
        let ctype: &'static Ctype = Box::leak(Box::new(Ctype { name: locale.to_owned(), provider, classes: Mutex::default() }));
        open.push(ctype);
        Ok(ctype)
    }

    /// Appends `text` to `out` in another case.
    ///
    /// # Errors
    /// The library cannot convert it.
    pub fn convert(&self, case: Case, text: &str, out: &mut String) -> Result<(), String> {
        match &self.provider {
            // No locale but the Turkish ones, which no engine meets, has other pairs in ASCII.
            _ if text.is_ascii() && case != Case::Title => {
                let from = out.len();
                out.push_str(text);
                if let Some(added) = out.get_mut(from..) {
                    if case == Case::Lower { added.make_ascii_lowercase() } else { added.make_ascii_uppercase() }
                }
                Ok(())
            }
            Provider::Libc(locale) => by_character(*locale, case, text, out),
            Provider::Icu(icu) => as_a_whole(icu, case, text, out),
        }
    }

    /// A character in lower and in upper case, each one character.
    pub fn pair(&self, c: u32) -> (u32, u32) {
        match &self.provider {
            // SAFETY: the locale is open; every value may be asked about.
            Provider::Libc(locale) => unsafe { (towlower_l(c, *locale), towupper_l(c, *locale)) },
            Provider::Icu(icu) => {
                let Ok(asked) = i32::try_from(c) else { return (c, c) };
                // SAFETY: every code point may be asked about.
                let (lower, upper) = unsafe { ((icu.to_lower)(asked), (icu.to_upper)(asked)) };
                (u32::try_from(lower).unwrap_or(c), u32::try_from(upper).unwrap_or(c))
            }
        }
    }

    /// The characters of a class.
    pub fn class(&self, class: Class) -> Ranges {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let ranges = classes.entry(class).or_insert_with(|| {
            let mut ranges: Vec<(u32, u32)> = Vec::new();
            for c in ('\0'..=char::MAX).map(u32::from).filter(|c| self.is(class, *c)) {
                match ranges.last_mut() {
                    Some((_, last)) if *last + 1 == c => *last = c,
                    _ => ranges.push((c, c)),
                }
            }
            ranges.into()
        });
        Arc::clone(ranges)
    }

    fn is(&self, class: Class, c: u32) -> bool {
        let Some(at) = CLASSES.iter().position(|(known, ..)| *known == class) else { return false };
        match (&self.provider, CLASSES.get(at), i32::try_from(c)) {
            // SAFETY: the locale is open; every value may be asked about.
            (Provider::Libc(locale), Some((_, is, _)), _) => unsafe { is(c, *locale) != 0 },
            // SAFETY: every code point may be asked about.
            (Provider::Icu(icu), _, Ok(c)) => icu.is.get(at).is_some_and(|is| unsafe { is(c) != 0 }),
            _ => false,
        }
    }
}

fn by_character(locale: libc::locale_t, case: Case, text: &str, out: &mut String) -> Result<(), String> {
    let mut inside = false;
    for c in text.chars() {
        let upper = match case {
            Case::Lower => false,
            Case::Upper => true,
            Case::Title => !inside,
        };
        // ASCII has no other pairs, as said above.
        if c.is_ascii() {
            inside = c.is_ascii_alphanumeric();
            out.push(if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
            continue;
        }
        // SAFETY: the locale is open; every value may be asked about.
        let converted = unsafe { if upper { towupper_l(c.into(), locale) } else { towlower_l(c.into(), locale) } };
        // SAFETY: as above.
        inside = unsafe { iswalnum_l(converted, locale) } != 0;
        out.push(char::from_u32(converted).ok_or("a letter whose other case is no character")?);
    }
    Ok(())
}

fn as_a_whole(icu: &Icu, case: Case, text: &str, out: &mut String) -> Result<(), String> {
    CONVERTED.with_borrow_mut(|(from, to)| {
        from.clear();
        from.extend(text.encode_utf16());
        let too_long = |_| "a text that is too long to convert";
        let len = i32::try_from(from.len()).map_err(too_long)?;
        to.resize(to.len().max(from.len()), 0);
        loop {
            let room = i32::try_from(to.len()).map_err(too_long)?;
            let (source, target, locale) = (from.as_ptr(), to.as_mut_ptr(), icu.locale.as_ptr());
            let mut status = 0;
            // SAFETY: both are as long as said, and the name ends with a zero; without an iterator ICU makes its own.
            let needed = unsafe {
                match case {
                    Case::Lower => (icu.lower)(target, room, source, len, locale, &raw mut status),
                    Case::Upper => (icu.upper)(target, room, source, len, locale, &raw mut status),
                    Case::Title => (icu.title)(target, room, source, len, std::ptr::null_mut(), locale, &raw mut status),
                }
            };
            let needed = usize::try_from(needed).unwrap_or(0);
            if status == NO_ROOM {
                to.resize(needed, 0);
                continue;
            }
            if status > 0 {
                return Err(format!("ICU could not convert a text: error {status}"));
            }
            for c in char::decode_utf16(to.iter().take(needed).copied()) {
                out.push(c.map_err(|_| "ICU made half a character")?);
            }
            return Ok(());
        }
    })
}

fn open_icu(path: &str, name: &str) -> Result<Icu, String> {
    let loaded = icu::load(path)?;
    let locale = CString::new(name).map_err(|_| "a locale with a zero in its name")?;
    // SAFETY: the functions have these types in every release of ICU.
    unsafe {
        let mut is = Vec::with_capacity(CLASSES.len());
        for (_, _, name) in CLASSES {
            is.push(loaded.function::<unsafe extern "C" fn(i32) -> i8>(name)?);
        }
        Ok(Icu {
            locale,
            lower: loaded.function("u_strToLower")?,
            upper: loaded.function("u_strToUpper")?,
            title: loaded.function("u_strToTitle")?,
            to_lower: loaded.function("u_tolower")?,
            to_upper: loaded.function("u_toupper")?,
            is: is.try_into().map_err(|_| "a class of characters without a function")?,
            _library: loaded.library,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(case: Case, text: &str) -> String {
        let mut out = String::new();
        Ctype::open("libc:C.UTF-8").expect("is part of glibc").convert(case, text, &mut out).expect("plain letters");
        out
    }

    #[test]
    fn the_c_library_converts_character_by_character() {
        assert_eq!(converted(Case::Lower, "ÀÉÎ Straße ΣΑΣ"), "àéî straße σας".replace('ς', "σ"));
        assert_eq!(converted(Case::Upper, "àéî straße"), "ÀÉÎ STRAßE");
        assert_eq!(converted(Case::Title, "don't élan-vital 3rd"), "Don'T Élan-Vital 3rd");
        assert_eq!(converted(Case::Lower, ""), "");
    }

    #[test]
    fn classes_reach_beyond_ascii() {
        let ctype = Ctype::open("libc:C.UTF-8").expect("is part of glibc");
        let has = |class, c: char| ctype.class(class).iter().any(|(a, b)| (*a..=*b).contains(&u32::from(c)));
        assert!(has(Class::Alpha, 'é') && has(Class::Alpha, '語') && !has(Class::Alpha, '-'));
        assert!(has(Class::Digit, '7') && !has(Class::Digit, '٧'));
        assert!(has(Class::Upper, 'É') && !has(Class::Upper, 'é') && has(Class::Lower, 'é'));
        assert_eq!(ctype.pair(u32::from('É')), (u32::from('é'), u32::from('É')));
    }
}
