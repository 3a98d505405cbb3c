//! What a collation lets an engine do, read from the catalog.
//!
//! Invariant: a collation that is not known to be C, or to order by code points, is treated as a locale's.

use super::{Result, encoding, tree};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;
use weir_plan::ir::{Collation, CtypeId, Expr, Scalar};
use weir_plan::types::PgType;

#[derive(Clone)]
struct Known {
    class: Collation,
    name: String,
    /// For `weir_collate`.
    locale: Option<String>,
}

thread_local! {
    // Collations are never altered in what matters here, and their OIDs are reused only after wrap-around.
    static CACHE: RefCell<HashMap<u32, Known>> = RefCell::new(HashMap::new());
    /// By `CtypeId`.
    static CTYPES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The class of a collation; `InvalidOid` is that of a type without collations.
pub unsafe fn class(collation: pg_sys::Oid) -> Result<Collation> {
    Ok(known(collation)?.class)
}

/// The locales that classes of collations mean, as a plan carries them.
pub fn ctypes() -> Vec<String> {
    CTYPES.with_borrow(Clone::clone)
}

/// Whether the database's own collation orders text by its bytes.
pub fn default_is_bytes() -> bool {
    // SAFETY: reads the catalog, in a transaction.
    matches!(unsafe { class(pg_sys::DEFAULT_COLLATION_OID) }, Ok(Collation::C | Collation::CodePoint(_)))
}

/// Whether a collation orders text by a library.
pub fn is_locale(collation: pg_sys::Oid) -> bool {
    // SAFETY: reads the catalog, in a transaction.
    matches!(unsafe { class(collation) }, Ok(Collation::Locale(_)))
}

/// The collation's name as in `COLLATE "…"`; for the default collation that of the database's locale.
pub unsafe fn name(collation: pg_sys::Oid) -> String {
    known(collation).map_or_else(|_| collation.to_u32().to_string(), |k| k.name)
}

/// The locale that orders text under a collation other than C, for an engine that asks the same library as the server does.
pub unsafe fn locale(collation: pg_sys::Oid) -> Option<Expr> {
    let known = known(collation).ok().filter(|k| matches!(k.class, Collation::Locale(_)))?;
    Some(Expr::Const { value: Scalar::Text(known.locale?), ty: PgType::TEXT })
}

unsafe fn known(collation: pg_sys::Oid) -> Result<Known> {
    if collation == pg_sys::InvalidOid {
        return Ok(Known { class: Collation::None, name: String::new(), locale: None });
    }
    let key = collation.to_u32();
    if let Some(k) = CACHE.with_borrow(|c| c.get(&key).cloned()) {
        return Ok(k);
    }
    let k = if collation == pg_sys::DEFAULT_COLLATION_OID { read_default() } else { read(collation) }
        .ok_or_else(|| format!("collation with OID {key} does not exist"))?;
    CACHE.with_borrow_mut(|c| c.insert(key, k.clone()));
    Ok(k)
}

unsafe fn read(collation: pg_sys::Oid) -> Option<Known> {
    let cache = pg_sys::SysCacheIdentifier::COLLOID as i32;
    let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(collation));
    if tuple.is_null() {
        return None;
    }
    let form = form::<pg_sys::FormData_pg_collation>(tuple);
    let name = tree::string((*form).collname.data.as_ptr());
    let locale = locale_attr(tuple);
    let attr = |n| text_attr(cache, tuple, n);
    let (collate, ctype) = (attr(pg_sys::Anum_pg_collation_collcollate as i16), attr(pg_sys::Anum_pg_collation_collctype as i16));
    let provider = (*form).collprovider as u8;
    let of_library = in_library(provider, collate.as_deref(), locale.as_deref(), has_rules(cache, tuple));
    let class =
        if !(*form).collisdeterministic { Collation::Nondeterministic } else { classify(provider, collate.as_deref(), ctype.as_deref(), locale.as_deref()) };
    pg_sys::ReleaseSysCache(tuple);
    Some(Known { class, name, locale: of_library })
}

unsafe fn read_default() -> Option<Known> {
    let cache = pg_sys::SysCacheIdentifier::DATABASEOID as i32;
    let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(pg_sys::MyDatabaseId));
    if tuple.is_null() {
        return None;
    }
    let form = form::<pg_sys::FormData_pg_database>(tuple);
    #[cfg(feature = "pg14")]
    let (collate, ctype, provider, locale) =
        (Some(tree::string((*form).datcollate.data.as_ptr())), Some(tree::string((*form).datctype.data.as_ptr())), b'c', None::<String>);
    #[cfg(not(feature = "pg14"))]
    let (collate, ctype, provider, locale) = {
        let attr = |n| text_attr(cache, tuple, n);
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        let locale = attr(pg_sys::Anum_pg_database_daticulocale as i16);
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        let locale = attr(pg_sys::Anum_pg_database_datlocale as i16);
        (attr(pg_sys::Anum_pg_database_datcollate as i16), attr(pg_sys::Anum_pg_database_datctype as i16), (*form).datlocprovider as u8, locale)
    };
    let class = classify(provider, collate.as_deref(), ctype.as_deref(), locale.as_deref());
    let of_library = in_library(provider, collate.as_deref(), locale.as_deref(), has_rules(cache, tuple));
    pg_sys::ReleaseSysCache(tuple);
    let name = if provider == b'c' { collate } else { locale };
    Some(Known { class, name: name.unwrap_or_else(|| "default".into()), locale: of_library })
}

/// The locale as `weir_collate` opens it, if that orders text as the server does.
fn in_library(provider: u8, collate: Option<&str>, locale: Option<&str>, has_rules: bool) -> Option<String> {
    match provider {
        b'c' => collate.map(weir_collate::libc_locale),
        b'i' if !has_rules => Some(weir_collate::icu_locale(&icu_library()?, locale?)),
        _ => None,
    }
}

fn ctype_id(locale: String) -> CtypeId {
    CTYPES.with_borrow_mut(|ctypes| {
        let place = ctypes.iter().position(|known| *known == locale).unwrap_or_else(|| {
            ctypes.push(locale);
            ctypes.len() - 1
        });
        CtypeId::new(place)
    })
}

/// The library of ICU that this process has loaded.
fn icu_library() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..))).find(|path| path.contains("/libicui18n.so.")).map(str::to_owned)
}

/// Rules of its own, which a collation of ICU may have from release 16 on.
#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn has_rules(_: i32, _: pg_sys::HeapTuple) -> bool {
    false
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe fn has_rules(cache: i32, tuple: pg_sys::HeapTuple) -> bool {
    let attnum =
        if cache == pg_sys::SysCacheIdentifier::COLLOID as i32 { pg_sys::Anum_pg_collation_collicurules } else { pg_sys::Anum_pg_database_daticurules };
    text_attr(cache, tuple, attnum as i16).is_some()
}

#[cfg(feature = "pg14")]
unsafe fn locale_attr(_: pg_sys::HeapTuple) -> Option<String> {
    None
}

#[cfg(not(feature = "pg14"))]
unsafe fn locale_attr(tuple: pg_sys::HeapTuple) -> Option<String> {
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    let attnum = pg_sys::Anum_pg_collation_colliculocale;
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    let attnum = pg_sys::Anum_pg_collation_colllocale;
    text_attr(pg_sys::SysCacheIdentifier::COLLOID as i32, tuple, attnum as i16)
}

/// Source: `pg_locale.c` (`lc_collate_is_c`, builtin provider); glibc's C.UTF-8 orders by code point.
fn classify(provider: u8, collate: Option<&str>, ctype: Option<&str>, locale: Option<&str>) -> Collation {
    let is_c = |s: Option<&str>| matches!(s, Some("C" | "POSIX"));
    // Functions of case and character classes answer for ASCII text under any locale, but in these ASCII's i and I are no pair.
    let dotless = |s: Option<&str>| s.is_some_and(|s| ["tr", "az"].iter().any(|l| s.get(..2).is_some_and(|p| p.eq_ignore_ascii_case(l))));
    if dotless(ctype) || dotless(locale) {
        return Collation::Nondeterministic;
    }
    let letters = || if encoding::is_utf8() { in_library(provider, ctype, locale, false).map_or(CtypeId::ASCII, ctype_id) } else { CtypeId::ASCII };
    match provider {
        b'c' => match (is_c(collate), is_c(ctype)) {
            (true, true) => Collation::C,
            (true, false) => Collation::CodePoint(letters()),
            (false, _) if matches!(collate, Some("C.UTF-8" | "C.utf8")) => Collation::CodePoint(letters()),
            _ => Collation::Locale(letters()),
        },
        // The builtin provider of release 17 compares bytes in all its locales.
        b'b' => match locale {
            Some("C") => Collation::C,
            _ => Collation::CodePoint(CtypeId::ASCII),
        },
        _ => Collation::Locale(letters()),
    }
}

unsafe fn form<T>(tuple: pg_sys::HeapTuple) -> *mut T {
    // GETSTRUCT of htup_details.h
    let header = (*tuple).t_data;
    header.cast::<u8>().add((*header).t_hoff as usize).cast()
}

unsafe fn text_attr(cache: i32, tuple: pg_sys::HeapTuple, attnum: i16) -> Option<String> {
    let mut isnull = false;
    let datum = pg_sys::SysCacheGetAttr(cache, tuple, attnum, &mut isnull);
    if isnull {
        return None;
    }
    // `name` before release 15, `text` from then on.
    #[cfg(feature = "pg14")]
    return Some(tree::string(datum.cast_mut_ptr::<pg_sys::NameData>().cast()));
    #[cfg(not(feature = "pg14"))]
    return Some(tree::string(pg_sys::text_to_cstring(datum.cast_mut_ptr())));
}
