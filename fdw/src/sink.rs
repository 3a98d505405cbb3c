//! Filters go down to the relations they are about, so that each server gets its own.
//!
//! Invariants:
//! - A conjunct crosses a join only to a side whose rows the join does not fill with NULLs, and never with a subquery in it (the identities
//!   of a subquery's columns must stay where they are).
//! - A conjunct of a join's own condition goes only to a side whose rows the join does not keep when they match nothing: never of a full join.
//! - What a server cannot evaluate stays at the top: between two of its relations it would keep them from being joined there.

use std::collections::HashSet;
use weir_plan::functions::EVALUATED;
use weir_plan::ir::{ColId, Expr, JoinKind, Rel};
use weir_plan::walk::{each_expr_mut, each_input_mut, each_part_mut, output_columns, subquery_mut};

/// Whether a relation's server can apply a conjunct.
type Can<'a> = &'a dyn Fn(&Rel, &Expr) -> bool;

/// Moves filters down, everywhere in the relation.
pub fn sink(rel: &mut Rel, can: Can) {
    each_expr_mut(rel, &mut |e| in_expr(e, can));
    if let Rel::Filter { predicate, .. } = rel
        && !is_fence(predicate)
    {
        let Rel::Filter { input, predicate } = std::mem::replace(rel, Rel::OneRow) else { return };
        let mut conjuncts = Vec::new();
        flatten(predicate, &mut conjuncts);
        let (below, rejected) = filtered(*input, conjuncts, can);
        *rel = over(below, rejected);
    }
    sink_on(rel, can);
    each_input_mut(rel, &mut |input| sink(input, can));
}

/// Moves the parts of a join's own condition that are about one side alone into that side, where a row that fails them could only be left
/// out: the side that an outer join fills with NULLs, the right one of a semi or anti join, both of an inner one. What one server answers as
/// a whole is left as it is written, and no join is left without a condition.
fn sink_on(rel: &mut Rel, can: Can) {
    let Rel::Join(join) = &*rel else { return };
    let (to_left, to_right) = match join.kind {
        JoinKind::Inner => (true, true),
        JoinKind::Left | JoinKind::Semi | JoinKind::Anti => (false, true),
        JoinKind::Right => (true, false),
        JoinKind::Full => return,
    };
    let Some(on) = join.on.clone() else { return };
    let mut conjuncts = Vec::new();
    flatten(on, &mut conjuncts);
    let (left, right) = (columns(&join.left), columns(&join.right));
    let (mut l, mut r, mut stay) = (Vec::new(), Vec::new(), Vec::new());
    for mut c in conjuncts {
        match used(&mut c) {
            Some(of) if to_left && !of.is_empty() && of.is_subset(&left) => l.push(c),
            Some(of) if to_right && !of.is_empty() && of.is_subset(&right) => r.push(c),
            _ => stay.push(c),
        }
    }
    let Some(any) = l.first().or(r.first()) else { return };
    if stay.is_empty() || can(rel, any) {
        return;
    }
    let Rel::Join(join) = rel else { return };
    for (side, list) in [(&mut join.left, l), (&mut join.right, r)] {
        if list.is_empty() {
            continue;
        }
        let (below, back) = filtered(side.clone(), list.clone(), can);
        // The side's own filters stay in it.
        if back.iter().all(|c| list.contains(c)) {
            *side = below;
            stay.extend(back);
        } else {
            stay.extend(list);
        }
    }
    join.on = if stay.len() == 1 { stay.pop() } else { Some(Expr::And(stay)) };
}

fn in_expr(e: &mut Expr, can: Can) {
    if let Some(rel) = subquery_mut(e) {
        sink(rel, can);
    }
    each_part_mut(e, &mut |p| in_expr(p, can));
}

/// What is no condition, but has its input computed whole ([`EVALUATED`]): nothing crosses it.
pub fn is_fence(predicate: &Expr) -> bool {
    matches!(predicate, Expr::Call { func: EVALUATED, .. })
}

fn flatten(e: Expr, out: &mut Vec<Expr>) {
    match e {
        Expr::And(args) => args.into_iter().for_each(|a| flatten(a, out)),
        other => out.push(other),
    }
}

/// The relation under those conjuncts that it can apply, below its joins where they can go there; and the others.
fn filtered(input: Rel, conjuncts: Vec<Expr>, can: Can) -> (Rel, Vec<Expr>) {
    match input {
        Rel::Filter { input, predicate } if !is_fence(&predicate) => {
            let mut all = Vec::new();
            flatten(predicate, &mut all);
            all.extend(conjuncts);
            filtered(*input, all, can)
        }
        Rel::Join(mut join) => {
            let (to_left, to_right) = match join.kind {
                JoinKind::Inner => (true, true),
                JoinKind::Left | JoinKind::Semi | JoinKind::Anti => (true, false),
                JoinKind::Right => (false, true),
                JoinKind::Full => (false, false),
            };
            let (left, right) = (columns(&join.left), columns(&join.right));
            let (mut l, mut r, mut stay) = (Vec::new(), Vec::new(), Vec::new());
            for mut c in conjuncts {
                match used(&mut c) {
                    Some(of) if to_left && !of.is_empty() && of.is_subset(&left) => l.push(c),
                    Some(of) if to_right && !of.is_empty() && of.is_subset(&right) => r.push(c),
                    _ => stay.push(c),
                }
            }
            let mut rejected = Vec::new();
            for (side, list) in [(&mut join.left, l), (&mut join.right, r)] {
                if !list.is_empty() {
                    let (below, back) = filtered(std::mem::replace(side, Rel::OneRow), list, can);
                    *side = below;
                    rejected.extend(back);
                }
            }
            (over(Rel::Join(join), stay), rejected)
        }
        fence @ Rel::Filter { .. } => (over(fence, conjuncts), Vec::new()),
        mut other => {
            if !crate::push::has_foreign(&mut other) {
                return (over(other, conjuncts), Vec::new());
            }
            let (here, rejected) = conjuncts.into_iter().partition(|c| can(&other, c));
            (over(other, here), rejected)
        }
    }
}

fn over(input: Rel, mut conjuncts: Vec<Expr>) -> Rel {
    match conjuncts.len() {
        0 => input,
        1 => Rel::Filter { input: Box::new(input), predicate: conjuncts.remove(0) },
        _ => Rel::Filter { input: Box::new(input), predicate: Expr::And(conjuncts) },
    }
}

fn columns(rel: &Rel) -> HashSet<ColId> {
    let mut out = Vec::new();
    output_columns(rel, &mut out);
    out.into_iter().collect()
}

/// The columns an expression uses; `None` if there is a subquery in it.
fn used(e: &mut Expr) -> Option<HashSet<ColId>> {
    if subquery_mut(e).is_some() {
        return None;
    }
    let mut out = HashSet::new();
    if let Expr::Column { id, .. } = e {
        out.insert(*id);
    }
    let mut whole = true;
    each_part_mut(e, &mut |p| match used(p) {
        Some(of) => out.extend(of),
        None => whole = false,
    });
    whole.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_plan::ir::{Collation, Join, Scan, ScanColumn, ServerRef, Source};
    use weir_plan::types::PgType;

    fn table(id: u32) -> Rel {
        let source = Source::Foreign { server: ServerRef { server: 1, user: 0 }, relid: id };
        Rel::Scan(Scan { source, name: format!("t{id}"), columns: vec![ScanColumn { id: ColId(id), attnum: 1, ty: PgType::INT4, not_null: false }] })
    }

    fn equal(l: u32, r: u32) -> Expr {
        let column = |id| Expr::Column { id: ColId(id), ty: PgType::INT4 };
        Expr::Call { func: 65, args: vec![column(l), column(r)], ty: PgType::BOOL, collation: Collation::None }
    }

    fn cross(kind: JoinKind, left: Rel, right: Rel) -> Rel {
        Rel::Join(Box::new(Join { kind, left, right, on: None, lateral: false }))
    }

    #[test]
    fn a_condition_goes_to_the_join_it_is_about() {
        let tables = cross(JoinKind::Inner, cross(JoinKind::Inner, table(1), table(2)), table(3));
        let mut rel = Rel::Filter { input: Box::new(tables), predicate: Expr::And(vec![equal(1, 2), equal(2, 3), equal(3, 3)]) };
        sink(&mut rel, &|_, _| true);
        let Rel::Filter { input, predicate } = rel else { panic!("one conjunct stays") };
        assert_eq!(predicate, equal(2, 3));
        let Rel::Join(join) = *input else { panic!("a join") };
        assert!(matches!(&join.left, Rel::Filter { predicate, .. } if *predicate == equal(1, 2)));
        assert!(matches!(&join.right, Rel::Filter { predicate, .. } if *predicate == equal(3, 3)));
    }

    #[test]
    fn nothing_goes_below_the_nullable_side() {
        let mut rel = Rel::Filter { input: Box::new(cross(JoinKind::Left, table(1), table(2))), predicate: equal(2, 2) };
        let before = rel.clone();
        sink(&mut rel, &|_, _| true);
        assert_eq!(rel, before);
    }

    #[test]
    fn what_a_server_cannot_apply_stays_at_the_top() {
        let mut rel = Rel::Filter { input: Box::new(cross(JoinKind::Inner, table(1), table(2))), predicate: Expr::And(vec![equal(1, 2), equal(1, 1)]) };
        sink(&mut rel, &|_, _| false);
        let Rel::Filter { input, predicate } = rel else { panic!("a filter") };
        assert_eq!(predicate, equal(1, 1));
        assert!(matches!(*input, Rel::Filter { predicate, .. } if predicate == equal(1, 2)));
    }

    fn join_on(kind: JoinKind, on: Vec<Expr>) -> Rel {
        Rel::Join(Box::new(Join { kind, left: table(1), right: table(2), on: Some(Expr::And(on)), lateral: false }))
    }

    fn under(rel: &Rel) -> Option<&Expr> {
        if let Rel::Filter { predicate, .. } = rel { Some(predicate) } else { None }
    }

    #[test]
    fn the_condition_of_an_outer_join_goes_to_the_side_it_fills() {
        for (kind, to_left, to_right) in [
            (JoinKind::Left, false, true),
            (JoinKind::Right, true, false),
            (JoinKind::Full, false, false),
            (JoinKind::Semi, false, true),
            (JoinKind::Anti, false, true),
            (JoinKind::Inner, true, true),
        ] {
            let mut rel = join_on(kind, vec![equal(1, 2), equal(1, 1), equal(2, 2)]);
            // The tables are of two servers: no join can be answered as a whole.
            sink(&mut rel, &|rel, _| !matches!(rel, Rel::Join(_)));
            let Rel::Join(join) = rel else { panic!("a join") };
            assert_eq!(under(&join.left), to_left.then(|| equal(1, 1)).as_ref(), "{kind:?}");
            assert_eq!(under(&join.right), to_right.then(|| equal(2, 2)).as_ref(), "{kind:?}");
            let mut on = Vec::new();
            flatten(join.on.expect("a condition stays"), &mut on);
            let mut stays = vec![equal(1, 2)];
            stays.extend((!to_left).then(|| equal(1, 1)));
            stays.extend((!to_right).then(|| equal(2, 2)));
            assert_eq!(on, stays, "{kind:?}");
        }
    }

    #[test]
    fn the_condition_of_a_join_stays_whole_where_it_gains_nothing() {
        let both = vec![equal(1, 2), equal(2, 2)];
        for (on, can) in [(both.clone(), true), (both, false), (vec![equal(2, 2), equal(2, 2)], false)] {
            let mut rel = join_on(JoinKind::Left, on);
            let before = rel.clone();
            sink(&mut rel, &|_, _| can);
            assert_eq!(rel, before);
        }
    }
}
