//! `cbrt` as Postgres calls it: that of the C library, looked up by name. Rust brings one of its own, which rounds otherwise.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

pub(super) type Function = extern "C" fn(f64) -> f64;

/// The library's function; `None` where it is not found under its usual name.
pub(super) fn cbrt() -> Option<Function> {
    static CBRT: OnceLock<Option<Function>> = OnceLock::new();
    *CBRT.get_or_init(|| look_up(c"libm.so.6", c"cbrt"))
}

#[allow(unsafe_code)]
fn look_up(library: &CStr, name: &CStr) -> Option<Function> {
    /// Of `dlfcn.h`.
    const RTLD_NOW: c_int = 2;
    unsafe extern "C" {
        fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
        fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    }
    // SAFETY: the name is a C string; the library is loaded already, and stays so, as its handle is never closed.
    let handle = unsafe { dlopen(library.as_ptr(), RTLD_NOW) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: the handle is one of dlopen, the name a C string.
    let symbol = unsafe { dlsym(handle, name.as_ptr()) };
    // SAFETY: a function of the C library that takes and returns a double.
    (!symbol.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, Function>(symbol) })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_library_has_it() {
        let cbrt = super::cbrt().expect("a C library");
        // Not every library says that the root of 27 is 3.
        assert!((cbrt(27.0) - 3.0).abs() < 1e-15 && (cbrt(-8.0), cbrt(0.0)) == (-2.0, 0.0));
    }
}
