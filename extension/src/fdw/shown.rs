//! What EXPLAIN of release 18 shows of a remote statement's columns.

use crate::translate::map_children;
use pg_sys::{Node, NodeTag};
use pgrx::pg_sys;

/// Makes plain calls of window functions in the description of the scanned tuple: EXPLAIN looks for their window in the plan, and fails since it
/// is the remote server's. When a scan begins, nothing else looks at the description any more.
///
/// # Safety
/// `scan` must be a plan node of ours.
pub unsafe fn without_windows(scan: *mut pg_sys::ForeignScan) {
    // SAFETY: valid by contract. What is made lives as long as the plan, which may be kept; a second time there is nothing to do.
    unsafe {
        if (*scan).fdw_scan_tlist.is_null() || !pg_sys::contain_windowfuncs((*scan).fdw_scan_tlist.cast()) {
            return;
        }
        let previous = pg_sys::MemoryContextSwitchTo(pg_sys::GetMemoryChunkContext(scan.cast()));
        (*scan).fdw_scan_tlist = plain((*scan).fdw_scan_tlist.cast()).cast();
        pg_sys::MemoryContextSwitchTo(previous);
    }
}

unsafe fn plain(node: *mut Node) -> *mut Node {
    // SAFETY: an expression, or a list of them.
    unsafe {
        if node.is_null() || (*node).type_ != NodeTag::T_WindowFunc {
            return map_children(node, &mut |child| plain(child));
        }
        let of = &*node.cast::<pg_sys::WindowFunc>();
        pg_sys::makeFuncExpr(of.winfnoid, of.wintype, of.args, of.wincollid, of.inputcollid, pg_sys::CoercionForm::COERCE_EXPLICIT_CALL).cast()
    }
}
