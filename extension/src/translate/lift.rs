//! Values of other relations in a filter, and of subplans, as parameters: for foreign scans that are asked again for each outer row.
//!
//! Invariant: a lifted expression has columns of other relations only and is not volatile, so that its value is one for each outer row.

use super::tree::{self, map_children, tag};
use super::{Refusal, Result};
use pg_sys::{Node, NodeTag, Param};
use pgrx::pg_sys;

/// Numbers of parameters that no statement has.
const FIRST: i32 = 1 << 30;
/// Stands for a value of the executor, which is no column of the relation either.
const EXECUTOR: i64 = i64::MIN;

/// What was lifted; a parameter's number is its place here.
#[derive(Default)]
pub struct Lifted(Vec<*mut Node>);

/// Whether a range table index is of a relation of the query.
pub type Own<'a> = &'a dyn Fn(i64) -> bool;

impl Lifted {
    /// The expression with parameters where there were columns of other relations, and values of the executor.
    pub unsafe fn lift(&mut self, node: *mut Node, own: Own) -> Result<*mut Node> {
        if node.is_null() || !has_others(node, own) {
            return Ok(node);
        }
        // Of the whole: Postgres's own functions do not know what parts have for children, such as the branches of a CASE.
        if pg_sys::contain_volatile_functions(node) {
            return Err("a volatile function".into());
        }
        self.lift_parts(node, own)
    }

    unsafe fn lift_parts(&mut self, node: *mut Node, own: Own) -> Result<*mut Node> {
        if node.is_null() || !has_others(node, own) {
            return Ok(node);
        }
        if !matches!(tag(node), NodeTag::T_List | NodeTag::T_TargetEntry | NodeTag::T_CaseWhen) && !has_own(node, own) {
            return Ok(self.param(node));
        }
        let mut failed: Option<Refusal> = None;
        let mapped = map_children(node, &mut |child| match self.lift_parts(child, own) {
            Ok(child) => child,
            Err(why) => {
                failed = Some(why);
                child
            }
        });
        failed.map_or(Ok(mapped), Err)
    }

    unsafe fn param(&mut self, node: *mut Node) -> *mut Node {
        let known = self.0.iter().position(|n| pg_sys::equal((*n).cast(), node.cast()));
        let place = known.unwrap_or_else(|| {
            self.0.push(tree::copy(node));
            self.0.len() - 1
        });
        let param = pg_sys::palloc0(size_of::<Param>()).cast::<Param>();
        (*param).xpr.type_ = NodeTag::T_Param;
        // To the translation it is a parameter like those of a statement.
        (*param).paramkind = pg_sys::ParamKind::PARAM_EXTERN;
        (*param).paramid = FIRST + place as i32;
        (*param).paramtype = pg_sys::exprType(node);
        (*param).paramtypmod = pg_sys::exprTypmod(node);
        (*param).paramcollid = pg_sys::exprCollation(node);
        (*param).location = -1;
        param.cast()
    }

    /// The expression with what was lifted back in its place.
    pub unsafe fn lower(&self, node: *mut Node) -> *mut Node {
        if node.is_null() {
            return node;
        }
        if tag(node) == NodeTag::T_Param {
            let place = usize::try_from(i64::from((*node.cast::<Param>()).paramid) - i64::from(FIRST)).ok();
            if let Some(own) = place.and_then(|p| self.0.get(p)) {
                return tree::copy(*own);
            }
        }
        map_children(node, &mut |child| self.lower(child))
    }
}

unsafe fn any_var(node: *mut Node, wanted: &dyn Fn(i64) -> bool) -> bool {
    if node.is_null() {
        return false;
    }
    if tag(node) == NodeTag::T_Var {
        return wanted(tree::varno(node.cast()));
    }
    if tag(node) == NodeTag::T_Param && (*node.cast::<Param>()).paramkind == pg_sys::ParamKind::PARAM_EXEC {
        return wanted(EXECUTOR);
    }
    tree::any_child(node, &mut |child| any_var(child, wanted))
}

unsafe fn has_others(node: *mut Node, own: Own) -> bool {
    any_var(node, &|n| n == EXECUTOR || !own(n))
}

/// Whether it depends on rows of the query: a column, or what is computed of several rows.
unsafe fn has_own(node: *mut Node, own: Own) -> bool {
    any_var(node, &|n| n != EXECUTOR && own(n)) || computed(node)
}

unsafe fn computed(node: *mut Node) -> bool {
    if node.is_null() {
        return false;
    }
    matches!(tag(node), NodeTag::T_Aggref | NodeTag::T_WindowFunc | NodeTag::T_GroupingFunc) || tree::any_child(node, &mut |child| computed(child))
}
