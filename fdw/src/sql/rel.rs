//! Relations.

use super::expr::{has_subquery, in_order, may_fail, may_raise};
use super::{Builder, Select};
use crate::dialect::{Form, Result, Term};
use crate::meaning::{self, AggMeaning, Class, Cmp, Meaning};
use weir_plan::ir::{AggCall, Aggregate, ColId, Expr, Join, JoinKind, Rel, RowCount, Scalar, SortKey};
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType, oid};
use weir_plan::walk::{each_part_mut, output_columns};

impl Builder<'_> {
    pub(super) fn rel(&mut self, rel: &Rel) -> Result<Select> {
        match rel {
            Rel::Scan(scan) => self.scan(scan),
            Rel::Filter { input, predicate } => {
                let select = self.rel(input)?;
                let mut select = self.plain(select)?;
                self.filter(&mut select, predicate)?;
                Ok(select)
            }
            Rel::Project { input, exprs } => {
                let select = self.rel(input)?;
                // DISTINCT and LIMIT have been decided over the columns before.
                let mut select = if select.distinct { self.wrap(select)? } else { select };
                let mut columns = Vec::new();
                for named in exprs {
                    columns.push((named.id, self.expr(&mut select, &named.expr)?));
                }
                select.columns = columns;
                Ok(select)
            }
            Rel::Join(join) => self.join(join),
            Rel::Aggregate(aggregate) => self.aggregate(aggregate),
            Rel::Distinct { input } => {
                let select = self.rel(input)?;
                let mut select =
                    if select.distinct || !select.order.is_empty() || select.limit.is_some() || select.offset.is_some() { self.wrap(select)? } else { select };
                let dialect = self.dialect()?;
                for (_, term) in &mut select.columns {
                    *term = Term { sql: dialect.key(term)?, form: Form::Computed, ..term.clone() };
                }
                select.distinct = true;
                Ok(select)
            }
            Rel::Sort { input, keys } => {
                let select = self.rel(input)?;
                self.sort(select, keys)
            }
            Rel::Limit { input, offset, limit } => {
                let select = self.rel(input)?;
                let mut select = if select.limit.is_some() || select.offset.is_some() { self.wrap(select)? } else { select };
                select.limit = bound(limit.as_ref())?;
                select.offset = bound(offset.as_ref())?.filter(|n| *n != RowCount::Rows(0));
                Ok(select)
            }
            Rel::OneRow | Rel::Values { .. } => Err("rows that are not of a remote table".into()),
            Rel::Window { input, functions } => self.window(input, functions),
            Rel::DistinctOn { input, on, keys } => self.distinct_on(input, on, keys),
            Rel::Expand(_) => Err("a set-returning function".into()),
            Rel::SetOp(op) => self.set_operation(op),
            Rel::With { ctes, body } => self.with(ctes, body),
            Rel::CteRef { cte, columns } => self.cte(*cte, columns),
            Rel::Remote(_) => Err("a part that is remote already".into()),
        }
    }

    fn filter(&mut self, select: &mut Select, predicate: &Expr) -> Result<()> {
        let conjuncts = match predicate {
            Expr::And(args) => args.as_slice(),
            other => std::slice::from_ref(other),
        };
        let parts = conjuncts.iter().map(|c| Ok(self.expr(select, c)?.sql)).collect::<Result<Vec<_>>>()?;
        let Some(whole) = in_order(self.dialect()?, conjuncts, &parts, true) else {
            select.filter.extend(parts);
            return Ok(());
        };
        // What cannot fail may be known to be false before, by an index or statistics.
        select.filter.extend(conjuncts.iter().zip(parts).filter(|(c, _)| !may_raise(c) && !has_subquery(c)).map(|(_, sql)| sql));
        select.filter.push(whole);
        Ok(())
    }

    /// A side of a join: FROM and WHERE only. With `nullable`, columns that are mere references, and no WHERE.
    fn side(&mut self, rel: &Rel, nullable: bool) -> Result<Select> {
        let select = self.rel(rel)?;
        let select = self.plain(select)?;
        if nullable && select.columns.iter().any(|(_, t)| t.form != Form::Column) { self.wrap(select) } else { Ok(select) }
    }

    fn join(&mut self, join: &Join) -> Result<Select> {
        if join.lateral {
            return Err("LATERAL".into());
        }
        let (left_nullable, right_nullable) = match join.kind {
            JoinKind::Inner => (false, false),
            JoinKind::Left => (false, true),
            JoinKind::Right => (true, false),
            JoinKind::Full if self.dialect_is_native() => (true, true),
            JoinKind::Full => return Err("FULL JOIN".into()),
            JoinKind::Semi | JoinKind::Anti => return self.semi(join),
        };
        let left = self.side(&join.left, left_nullable)?;
        let mut right = self.side(&join.right, right_nullable)?;
        if right.from.contains(" JOIN ") && !self.dialect()?.nests_joins() {
            right = self.wrap(right)?;
        }
        let nests = self.dialect()?.nests_joins();
        let mut both =
            Select { columns: [left.columns.clone(), right.columns.clone()].concat(), correlated: left.correlated || right.correlated, ..Select::default() };
        let mut on = Vec::new();
        // What filters one side of a full join filters neither the other's rows nor the pairs only.
        let (left, right) = if join.kind == JoinKind::Full {
            let (l, r) = (self.unfiltered(left)?, self.unfiltered(right)?);
            both.columns = [l.columns.clone(), r.columns.clone()].concat();
            (l, r)
        } else {
            (left, right)
        };
        if let Some(condition) = &join.on {
            on.push(self.expr(&mut both, condition)?.sql);
        }
        if join.kind != JoinKind::Inner {
            self.dialect()?.outer_join(has_equality(join))?;
        }
        // A nullable side's own filter belongs to the join's condition.
        for (side, nullable) in [(&left, left_nullable), (&right, right_nullable)] {
            if nullable { on.extend(side.filter.iter().cloned()) } else { both.filter.extend(side.filter.iter().cloned()) }
        }
        if on.iter().any(|condition| condition.contains("SELECT ")) && !self.dialect()?.joins_by_subqueries() {
            return Err("a join by a subquery".into());
        }
        let word = match join.kind {
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Right => "RIGHT JOIN",
            JoinKind::Full => "FULL JOIN",
            _ if on.is_empty() => "CROSS JOIN",
            _ => "INNER JOIN",
        };
        if on.is_empty() && join.kind != JoinKind::Inner {
            on.push("(1 = 1)".into());
        }
        let condition = if on.is_empty() { String::new() } else { format!(" ON {}", on.join(" AND ")) };
        let right_from = if nests && right.from.contains(" JOIN ") { format!("({})", right.from) } else { right.from };
        let left_from = if nests && left_nullable && left.from.contains(" JOIN ") { format!("({})", left.from) } else { left.from };
        both.from = format!("{left_from} {word} {right_from}{condition}");
        Ok(both)
    }

    fn dialect_is_native(&self) -> bool {
        self.dialect().is_ok_and(|d| d.native())
    }

    fn unfiltered(&mut self, select: Select) -> Result<Select> {
        if select.filter.is_empty() { Ok(select) } else { self.wrap(select) }
    }

    /// Rows of the left side with or without a match, as EXISTS.
    fn semi(&mut self, join: &Join) -> Result<Select> {
        let mut left = self.side(&join.left, false)?;
        let right = self.side(&join.right, false)?;
        if !self.has_subqueries()? {
            return Err("a semi join".into());
        }
        if self.dialect()?.correlates_by_join() {
            self.semi_found_by_join(join, &left.columns)?;
        }
        let mut both = Select { columns: [left.columns.clone(), right.columns.clone()].concat(), ..Select::default() };
        let mut filter = right.filter.clone();
        if let Some(condition) = &join.on {
            filter.push(self.expr(&mut both, condition)?.sql);
        }
        let inner = Select { from: right.from, filter, ..Select::default() };
        let sql = self.render(&inner, &["1".into()])?;
        let not = if join.kind == JoinKind::Anti { "NOT " } else { "" };
        left.filter.push(format!("({not}EXISTS ({sql}))"));
        left.correlated |= right.correlated || both.correlated;
        Ok(left)
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Select> {
        if aggregate.grouping_sets.is_some() || !aggregate.groupings.is_empty() {
            // Before the input is known to be of some dialect, it is of none.
            let input = self.rel(&aggregate.input)?;
            let dialect = self.dialect()?;
            if !dialect.has_grouping_sets() {
                return Err("GROUPING SETS".into());
            }
            return self.grouped(input, aggregate);
        }
        let input = self.rel(&aggregate.input)?;
        self.grouped(input, aggregate)
    }

    fn grouped(&mut self, input: Select, aggregate: &Aggregate) -> Result<Select> {
        let mut select = self.plain(input)?;
        let dialect = self.dialect()?;
        let sets = aggregate.grouping_sets.is_some() || !aggregate.groupings.is_empty();
        let (mut columns, mut keys) = (Vec::new(), Vec::new());
        for group in &aggregate.groups {
            let term = self.expr(&mut select, &group.expr)?;
            if term.constant().is_some() || term.sql.contains('\u{1}') {
                return Err("a constant as a group".into());
            }
            let key = dialect.key(&term)?;
            if sets && dialect.sets_of_columns() && (term.form != Form::Column || key != term.sql) {
                return Err("GROUPING SETS of expressions".into());
            }
            // Each is NULL in its own sets, which the text of the statement cannot say.
            if sets && keys.contains(&key) {
                return Err("GROUPING SETS of equal keys".into());
            }
            keys.push(key.clone());
            let form = if term.ty.base == oid::NUMERIC { term.form.clone() } else { Form::Computed };
            columns.push((group.id, Term { sql: key, form, ..term }));
        }
        for call in &aggregate.calls {
            let outside = std::mem::replace(&mut self.folded, true);
            let term = self.agg_call(&mut select, &call.expr);
            self.folded = outside;
            // A group has a row, but for the one that there is without keys, which a set of them may lack.
            let may_be_empty = keys.is_empty() || aggregate.grouping_sets.is_some();
            columns.push((call.id, if may_be_empty { dialect.of_nothing(term?) } else { term? }));
        }
        for grouping in &aggregate.groupings {
            let of = grouping.expr.iter().map(|i| keys.get(*i).cloned().ok_or_else(|| "a group that is lost".to_string())).collect::<Result<Vec<_>>>()?;
            columns.push((grouping.id, Term::computed(format!("CAST(grouping({}) AS INTEGER)", of.join(", ")), PgType::INT4)));
        }
        if let Some(sets) = &aggregate.grouping_sets {
            let mut lists = Vec::new();
            for set in sets {
                let of = set.iter().map(|i| keys.get(*i).cloned().ok_or_else(|| "a group that is lost".to_string())).collect::<Result<Vec<_>>>()?;
                lists.push(format!("({})", of.join(", ")));
            }
            keys = vec![format!("GROUPING SETS ({})", lists.join(", "))];
        }
        select.group = Some(keys);
        select.columns = columns;
        if aggregate.groups.is_empty() && aggregate.calls.is_empty() {
            return Err("a group of nothing".into());
        }
        Ok(select)
    }

    fn agg_call(&mut self, select: &mut Select, call: &AggCall) -> Result<Term> {
        if !call.direct.is_empty() {
            return Err("an ordered-set aggregate".into());
        }
        let meaning = meaning::aggregate(call.func).ok_or_else(|| match weir_plan::functions::row(call.func) {
            Some(row) => format!("aggregate {}", row.name),
            None => format!("aggregate with OID {}", call.func),
        })?;
        let dialect = self.dialect()?;
        if !dialect.aggregates_subqueries() && call.args.iter().chain(&call.filter).any(has_subquery) {
            return Err("a subquery in an aggregate".into());
        }
        // What is never NULL is counted without being computed.
        if matches!(meaning, AggMeaning::Count) && !call.distinct && !dialect.native() && call.args.iter().any(may_fail) {
            return Err("a count of what may never be NULL".into());
        }
        let arg = match call.args.as_slice() {
            [] => None,
            [one] => Some(self.expr(select, one)?),
            _ => return Err("an aggregate of several arguments".into()),
        };
        // The result has no declared digits, whatever those of the column are.
        let (whole, scale) = (i32::from(DYNAMIC_PRECISION) - i32::from(DYNAMIC_SCALE), i32::from(DYNAMIC_SCALE));
        let declared = arg.as_ref().and_then(|a| a.ty.numeric_precision_scale());
        if matches!(meaning, AggMeaning::Min | AggMeaning::Max) && declared.is_some_and(|(p, s)| p - s > whole || s > scale) {
            return Err("the least or greatest of numerics with more digits than can be held".into());
        }
        let Some(filter) = &call.filter else { return dialect.aggregate(meaning, arg.as_ref(), call.distinct, call.ty) };
        let filter = self.expr(select, filter)?;
        match (meaning, arg) {
            (AggMeaning::CountStar, _) => {
                let one = Term::computed(format!("CASE WHEN {} THEN 1 END", filter.sql), call.ty);
                dialect.aggregate(AggMeaning::Count, Some(&one), false, call.ty)
            }
            (_, Some(arg)) => {
                let only = Term { sql: format!("CASE WHEN {} THEN {} END", filter.sql, dialect.branch(&arg)?), ..arg };
                dialect.aggregate(meaning, Some(&only), call.distinct, call.ty)
            }
            _ => Err("an aggregate without an argument".into()),
        }
    }

    pub(super) fn sort(&mut self, select: Select, keys: &[SortKey]) -> Result<Select> {
        let blocked = select.distinct || !select.order.is_empty() || select.limit.is_some() || select.offset.is_some();
        let mut select = if blocked { self.wrap(select)? } else { select };
        let dialect = self.dialect()?;
        let mut order = Vec::new();
        for key in keys {
            let term = self.expr(&mut select, &key.expr)?;
            if term.constant().is_some() || term.sql.contains('\u{1}') {
                return Err("a constant as a sort key".into());
            }
            order.extend(dialect.order(&term, key.descending, key.nulls_first)?);
        }
        select.order = order;
        Ok(select)
    }
}

/// Whether a join's condition has an equality between an expression of its left side and one of its right side, which is one in the engine's SQL, too: of
/// floats it is an expression that knows of NaN.
fn has_equality(join: &Join) -> bool {
    let side = |e: &Expr| {
        let (mut used, mut left, mut right) = (Vec::new(), Vec::new(), Vec::new());
        columns_of(&mut e.clone(), &mut used);
        output_columns(&join.left, &mut left);
        output_columns(&join.right, &mut right);
        let all = |of: &[ColId]| !used.is_empty() && used.iter().all(|c| of.contains(c));
        (all(&left), all(&right))
    };
    let equality = |e: &Expr| match e {
        Expr::Call { func, args, .. } if matches!(meaning::scalar(*func), Some(Meaning::Compare(Cmp::Eq, class)) if class != Class::Float8) => {
            match args.as_slice() {
                [a, b] => matches!((side(a), side(b)), ((true, _), (_, true)) | ((_, true), (true, _))),
                _ => false,
            }
        }
        _ => false,
    };
    match &join.on {
        Some(Expr::And(conjuncts)) => conjuncts.iter().any(equality),
        Some(e) => equality(e),
        None => false,
    }
}

fn columns_of(e: &mut Expr, out: &mut Vec<ColId>) {
    if let Expr::Column { id, .. } = e {
        out.push(*id);
    }
    each_part_mut(e, &mut |p| columns_of(p, out));
}

/// LIMIT or OFFSET: a constant or a parameter.
fn bound(expr: Option<&Expr>) -> Result<Option<RowCount>> {
    match expr {
        None | Some(Expr::Const { value: Scalar::Null, .. }) => Ok(None),
        Some(Expr::Const { value: Scalar::Int8(n), .. }) if *n >= 0 => Ok(u64::try_from(*n).ok().map(RowCount::Rows)),
        Some(Expr::Param { index, ty }) if ty.base == oid::INT8 => Ok(Some(RowCount::Param(*index))),
        Some(_) => Err("LIMIT or OFFSET that is neither a constant nor a parameter".into()),
    }
}
