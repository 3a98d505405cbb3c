//! Filling a slot, for each row: what `ExecClearTuple` and `ExecStoreVirtualTuple` do, without a jump buffer of each call.

use pgrx::pg_sys;

/// Empties a slot.
///
/// # Safety
/// An initialised slot.
pub unsafe fn clear(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: by contract. A virtual slot that owns nothing is emptied as `tts_virtual_clear` in `execTuples.c` does it.
    unsafe {
        let owns = u32::from((*slot).tts_flags) & pg_sys::TTS_FLAG_SHOULDFREE != 0;
        if std::ptr::eq((*slot).tts_ops, &raw const pg_sys::TTSOpsVirtual) && !owns {
            (*slot).tts_nvalid = 0;
            (*slot).tts_flags |= pg_sys::TTS_FLAG_EMPTY as u16;
            pgrx::itemptr::item_pointer_set_all(&mut (*slot).tts_tid, pg_sys::InvalidBlockNumber, pg_sys::InvalidOffsetNumber);
        } else if let Some(clear) = (*(*slot).tts_ops).clear {
            pg_sys::ffi::pg_guard_ffi_boundary(|| clear(slot));
        }
    }
}

/// The arrays of an empty slot have been filled.
///
/// # Safety
/// An empty slot with a value, or NULL, for each column.
pub unsafe fn stored(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: by contract. As `ExecStoreVirtualTuple`.
    unsafe {
        (*slot).tts_flags &= !(pg_sys::TTS_FLAG_EMPTY as u16);
        (*slot).tts_nvalid = i16::try_from((*(*slot).tts_tupleDescriptor).natts).unwrap_or(0);
    }
}
