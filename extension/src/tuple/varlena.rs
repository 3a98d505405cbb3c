//! Values of variable length: where their bytes are.

use pgrx::pg_sys;
use pgrx::varlena::{varatt_is_1b, varatt_is_1b_e, varatt_is_4b_u, vardata_any, varsize_any_exhdr, vartag_1b_e};

/// The bytes of a value without its header: in place if it is stored plainly, else decompressed or fetched into the current memory context.
///
/// # Safety
/// The datum is a non-null varlena; the slice lives as long as the tuple and the current memory context. Fetching a value that is stored out
/// of line needs an active snapshot.
pub unsafe fn varlena_bytes<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    let mut pointer = datum.cast_mut_ptr::<pg_sys::varlena>();
    // SAFETY: the caller passes a varlena, and detoast_attr returns one.
    unsafe {
        if !(varatt_is_4b_u(pointer) || varatt_is_1b(pointer) && !varatt_is_1b_e(pointer)) {
            pointer = pg_sys::detoast_attr(pointer);
        }
        std::slice::from_raw_parts(vardata_any(pointer).cast(), varsize_any_exhdr(pointer))
    }
}

/// The value as a varlena that is neither compressed nor out of line (but may have a short header).
///
/// # Safety
/// As for [`varlena_bytes`].
pub unsafe fn plain_varlena(datum: pg_sys::Datum) -> *mut pg_sys::varlena {
    // SAFETY: the caller passes a varlena.
    unsafe { pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr()) }
}

/// Whether the value is only a pointer into a TOAST table.
///
/// # Safety
/// The datum is a non-null varlena.
pub unsafe fn is_external_on_disk(datum: pg_sys::Datum) -> bool {
    let pointer = datum.cast_mut_ptr::<pg_sys::varlena>();
    // SAFETY: the caller passes a varlena.
    unsafe { varatt_is_1b_e(pointer) && u32::from(vartag_1b_e(pointer)) == pg_sys::vartag_external::VARTAG_ONDISK }
}
