//! The library of ICU that the server has loaded.

use libloading::Library;

/// A loaded library, and the release that its symbols carry: `libicui18n.so.72` has `ucol_open_72`.
pub(crate) struct Loaded {
    pub library: Library,
    release: String,
}

/// # Errors
/// The path is not that of such a library, or it cannot be loaded.
pub(crate) fn load(path: &str) -> Result<Loaded, String> {
    let release: String = path.rsplit_once(".so.").map_or("", |(_, release)| release).chars().take_while(char::is_ascii_digit).collect();
    if release.is_empty() || !path.starts_with('/') {
        return Err(format!("{path} is no library of ICU"));
    }
    // SAFETY: the library that the server itself has loaded.
    let library = unsafe { Library::new(path) }.map_err(failed)?;
    Ok(Loaded { library, release })
}

impl Loaded {
    /// A function, by its name without the release; those of the common library are found, too, since this one needs it.
    ///
    /// # Safety
    /// The function has this type.
    pub(crate) unsafe fn function<F: Copy>(&self, name: &str) -> Result<F, String> {
        // SAFETY: as the caller says.
        let symbol = unsafe { self.library.get::<F>(format!("{name}_{}\0", self.release).as_bytes()) };
        Ok(*symbol.map_err(failed)?)
    }
}

#[allow(clippy::needless_pass_by_value)]
fn failed(e: libloading::Error) -> String {
    format!("ICU could not be loaded: {e}")
}
