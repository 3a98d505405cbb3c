//! Conditions below lateral items: what WHERE says of the rows before an item that depends on them is true of every row that the item sees,
//! as in Postgres, where conditions stand with the tables they are about. `jsonb_to_record(x)` raises errors for other rows.

use super::columns;
use std::collections::HashSet;
use weir_plan::ir::{ColId, Expr, JoinKind, Rel};

/// Filters a relation, some conjuncts in the midst of it.
pub fn filter(mut rel: Rel, predicate: Expr) -> Rel {
    if !depends(&rel) {
        return Rel::Filter { input: Box::new(rel), predicate };
    }
    let conjuncts = match predicate {
        Expr::And(args) => args,
        other => vec![other],
    };
    let mut stay = Vec::new();
    for conjunct in conjuncts {
        let mut used = HashSet::new();
        columns::used_columns(&conjunct, &mut used);
        if used.is_empty() || columns::has_subquery(&conjunct) || !place(&mut rel, &conjunct, &used) {
            stay.push(conjunct);
        }
    }
    match stay.len() {
        0 => rel,
        1 => Rel::Filter { input: Box::new(rel), predicate: stay.remove(0) },
        _ => Rel::Filter { input: Box::new(rel), predicate: Expr::And(stay) },
    }
}

/// Whether there is an item that depends on rows before it.
fn depends(rel: &Rel) -> bool {
    match rel {
        Rel::Expand(_) => true,
        Rel::Join(join) => join.lateral || depends(&join.left) || (join.kind == JoinKind::Inner && depends(&join.right)),
        _ => false,
    }
}

/// Puts the condition on the left side of an item that depends on it, as deep as it can stand; `false`: it stands on none.
fn place(rel: &mut Rel, condition: &Expr, used: &HashSet<ColId>) -> bool {
    let has_all = |rel: &Rel| {
        let mut own = Vec::new();
        columns::output_columns(rel, &mut own);
        used.iter().all(|id| own.contains(id))
    };
    match rel {
        Rel::Expand(e) if has_all(&e.input) => {
            put(&mut e.input, condition, used);
            true
        }
        Rel::Join(join) if matches!(join.kind, JoinKind::Inner | JoinKind::Left) && has_all(&join.left) => {
            if join.lateral {
                put(&mut join.left, condition, used);
            }
            join.lateral || place(&mut join.left, condition, used)
        }
        Rel::Join(join) if join.kind == JoinKind::Inner && has_all(&join.right) => place(&mut join.right, condition, used),
        _ => false,
    }
}

fn put(input: &mut Rel, condition: &Expr, used: &HashSet<ColId>) {
    if !place(input, condition, used) {
        let inner = std::mem::replace(input, Rel::OneRow);
        *input = Rel::Filter { input: Box::new(inner), predicate: condition.clone() };
    }
}
