//! Expressions.

use super::correlation::has_row_of_nothing;
use super::{Builder, Select};
use crate::dialect::{Changed, Dialect, Form, Result, Term};
use crate::meaning::{self, AggMeaning, Arith, Class, Cmp, Meaning};
use weir_plan::ir::{BoolTest, ColId, Collation, Expr, Rel, Scalar, SubqueryComparison};
use weir_plan::types::{PgType, oid};
use weir_plan::walk::each_part_mut;

/// A statement longer than this is not sent.
const MAX_SQL_BYTES: usize = 4 << 20;

impl Builder<'_> {
    /// The expression over the columns of `select`.
    pub(super) fn expr(&mut self, select: &mut Select, e: &Expr) -> Result<Term> {
        let term = self.expr_inner(select, e)?;
        if term.sql.len() > MAX_SQL_BYTES {
            return Err("a statement that is too long".into());
        }
        Ok(term)
    }

    fn expr_inner(&mut self, select: &mut Select, e: &Expr) -> Result<Term> {
        let dialect = self.dialect()?;
        let bool_term = |sql: String| Term::computed(sql, PgType::BOOL);
        Ok(match e {
            Expr::Column { id, .. } => select.get(*id).cloned().ok_or("a column that is not in sight")?,
            Expr::Outer { id, .. } => {
                // In a LATERAL or subquery the same level may be called outer.
                let mut levels = self.outer.iter().enumerate().rev();
                let found = levels.find_map(|(level, s)| s.iter().find(|(c, _)| c == id).map(|(_, t)| (level, t.clone())));
                select.correlated = true;
                let (level, term) = found.ok_or("a column of an enclosing query that is not pushed")?;
                self.reached = self.reached.min(level);
                term
            }
            Expr::Const { value, ty } => {
                // It marks parameters in the statement.
                if matches!(value, Scalar::Text(text) if text.contains('\u{1}')) {
                    return Err("a control character in a literal".into());
                }
                let digits = match value {
                    Scalar::Numeric(text) => crate::dialect::mysql::digits_of(text),
                    _ => None,
                };
                let chars = match value {
                    Scalar::Text(text) => Some(text.chars().count()),
                    _ => None,
                };
                Term { sql: dialect.literal(value, ty)?, ty: *ty, form: Form::Literal(value.clone()), digits, chars }
            }
            Expr::Param { index, ty } => {
                // A value of a type whose every value has a literal.
                if !matches!(
                    ty.base,
                    oid::BOOL
                        | oid::INT2
                        | oid::INT4
                        | oid::INT8
                        | oid::TEXT
                        | oid::VARCHAR
                        | oid::BPCHAR
                        | oid::DATE
                        | oid::TIMESTAMP
                        | oid::TIMESTAMPTZ
                        | oid::NUMERIC
                        | oid::FLOAT8
                ) {
                    return Err("a parameter of this type".into());
                }
                if ty.is_text_like() && !dialect.holds_any_text() {
                    return Err("a parameter of text, which may hold what has no literal there".into());
                }
                self.param(*index, *ty)
            }
            Expr::Call { func, args, ty, collation } => self.call(select, *func, args, *ty, *collation)?,
            Expr::And(args) => bool_term(self.joined(select, args, " AND ")?),
            Expr::Or(args) => bool_term(self.joined(select, args, " OR ")?),
            Expr::Not(arg) => bool_term(format!("(NOT {})", self.expr(select, arg)?.sql)),
            Expr::IsNull(arg) | Expr::IsNotNull(arg) | Expr::BoolTest { test: BoolTest::IsUnknown | BoolTest::IsNotUnknown, arg }
                if may_not_be_computed(arg) || (!dialect.native() && may_fail(arg)) =>
            {
                return Err("IS NULL of what may never be NULL".into());
            }
            Expr::IsNull(arg) => bool_term(format!("({} IS NULL)", self.expr(select, arg)?.sql)),
            Expr::IsNotNull(arg) => bool_term(format!("({} IS NOT NULL)", self.expr(select, arg)?.sql)),
            Expr::BoolTest { test, arg } => {
                let arg = self.expr(select, arg)?.sql;
                bool_term(dialect.bool_test(*test, &arg))
            }
            Expr::Case { whens, otherwise, ty } => {
                let (mut sql, mut values) = (String::from("CASE"), Vec::new());
                for (when, then) in whens {
                    let (when, then) = (self.expr(select, when)?, self.expr(select, then)?);
                    sql.push_str(&format!(" WHEN {} THEN {}", when.sql, dialect.branch(&then)?));
                    values.push(then);
                }
                if let Some(e) = otherwise {
                    let value = self.expr(select, e)?;
                    sql.push_str(&format!(" ELSE {}", dialect.branch(&value)?));
                    values.push(value);
                }
                mixed(dialect, format!("({sql} END)"), *ty, &values)?
            }
            Expr::Coalesce { args, ty } => {
                let values = args.iter().map(|a| self.expr(select, a)).collect::<Result<Vec<_>>>()?;
                let list = values.iter().map(|v| dialect.branch(v)).collect::<Result<Vec<_>>>()?;
                mixed(dialect, format!("COALESCE({})", list.join(", ")), *ty, &values)?
            }
            Expr::NullIf { func, left, right, ty, collation } => {
                let equal = self.compare_pair(select, *func, left, right, *collation)?;
                let value = self.expr(select, left)?;
                let sql = format!("(CASE WHEN {equal} THEN NULL ELSE {} END)", dialect.branch(&value)?);
                mixed(dialect, sql, *ty, &[value])?
            }
            Expr::IsDistinct { func, left, right, collation } => {
                let equal = self.compare_pair(select, *func, left, right, *collation)?;
                let (l, r) = (self.expr(select, left)?.sql, self.expr(select, right)?.sql);
                bool_term(format!("(CASE WHEN ({l} IS NULL) OR ({r} IS NULL) THEN ({l} IS NULL) <> ({r} IS NULL) ELSE NOT {equal} END)"))
            }
            Expr::InList { func, any, left, list, collation } => {
                let class = membership(*func, *any, *collation)?;
                let left = self.expr(select, left)?;
                let items = list.iter().map(|item| self.expr(select, item)).collect::<Result<Vec<_>>>()?;
                if items.is_empty() {
                    return Err("an empty list".into());
                }
                let list = dialect.in_list(*any, class, &left, &items)?;
                // Whether NULL is in a list can be a setting there.
                let later = self.changes && dialect.changes_later();
                bool_term(if later { format!("(CASE WHEN {} IS NULL THEN NULL ELSE {list} END)", left.sql) } else { list })
            }
            Expr::Relabel { arg, ty } => {
                let term = self.expr(select, arg)?;
                let text = |t: &PgType| matches!(t.base, oid::TEXT | oid::VARCHAR);
                // The check that there are no blanks is the engine's.
                let unpadded = ty.base == oid::BPCHAR && ty.typmod == PgType::UNPADDED.typmod && ty.typmod != term.ty.typmod;
                if unpadded || !(text(&term.ty) && text(ty)) && term.ty.base != ty.base {
                    return Err("a cast between these types".into());
                }
                Term { ty: *ty, ..term }
            }
            Expr::Exists { rel } => {
                let inner = self.subquery(select, rel)?;
                if inner.correlated && dialect.correlates_by_join() && has_row_of_nothing(rel) {
                    return Err("a correlated subquery that has a row of nothing".into());
                }
                let list = match &inner.group {
                    None => vec!["1".to_string()],
                    Some(_) => inner.columns.iter().map(|(_, t)| t.sql.clone()).collect(),
                };
                bool_term(format!("EXISTS ({})", self.render(&inner, &list)?))
            }
            Expr::ScalarSubquery { rel, column, ty } => {
                let inner = self.subquery(select, rel)?;
                let term = inner.get(*column).cloned().ok_or("a column that is lost")?;
                if inner.distinct && inner.columns.len() > 1 {
                    return Err("DISTINCT in a subquery".into());
                }
                if inner.correlated && dialect.correlates_by_join() && !is_null_of_nothing(rel, *column) {
                    return Err("a correlated subquery that need not have just one row, or is not NULL of nothing".into());
                }
                let sql = format!("({})", self.render(&inner, std::slice::from_ref(&term.sql))?);
                Term { sql, ty: *ty, form: Form::Computed, digits: term.digits, chars: term.chars }
            }
            Expr::AnySubquery { any, comparisons, rel } => self.any_subquery(select, *any, comparisons, rel)?,
            Expr::Greatest { args, ty, collation } => self.extreme(select, "greatest", args, *ty, *collation)?,
            Expr::Least { args, ty, collation } => self.extreme(select, "least", args, *ty, *collation)?,
            Expr::ViaText { .. } => return Err("a cast through text".into()),
            Expr::EnumRank { .. } => return Err("the order of an enum".into()),
            Expr::Array { .. } | Expr::AnyArray { .. } => return Err("an array".into()),
        })
    }

    fn joined(&mut self, select: &mut Select, args: &[Expr], with: &str) -> Result<String> {
        let parts = args.iter().map(|a| Ok(self.expr(select, a)?.sql)).collect::<Result<Vec<_>>>()?;
        match in_order(self.dialect()?, args, &parts, with == " AND ") {
            Some(whole) => Ok(whole),
            None => Ok(format!("({})", parts.join(with))),
        }
    }

    fn compare_pair(&mut self, select: &mut Select, func: u32, left: &Expr, right: &Expr, collation: Collation) -> Result<String> {
        let Some(Meaning::Compare(Cmp::Eq, class)) = meaning::scalar(func) else { return Err("an equality that it does not have".into()) };
        check_collation(Cmp::Eq, class, collation)?;
        let (l, r) = (self.expr(select, left)?, self.expr(select, right)?);
        self.dialect()?.compare(Cmp::Eq, class, &l, &r)
    }

    fn call(&mut self, select: &mut Select, func: u32, args: &[Expr], ty: PgType, collation: Collation) -> Result<Term> {
        let dialect = self.dialect()?;
        let terms = args.iter().map(|a| self.expr(select, a)).collect::<Result<Vec<_>>>()?;
        if let Some(term) = dialect.function(func, &terms, ty, collation) {
            return term;
        }
        let meaning = meaning::scalar(func).ok_or_else(|| match weir_plan::functions::row(func) {
            Some(row) => format!("function {}", row.name),
            None => format!("function with OID {func}"),
        })?;
        match (meaning, terms.as_slice()) {
            (Meaning::Compare(cmp, class), [l, r]) => {
                check_collation(cmp, class, collation)?;
                Ok(Term::computed(dialect.compare(cmp, class, l, r)?, PgType::BOOL))
            }
            (Meaning::NumericArith(op), [l, r]) => numeric(dialect, op, l, r, ty, self.folded),
            (Meaning::NumericNegate, [a]) => {
                let digits = a.digits.ok_or("a numeric without a declared scale")?;
                Ok(Term::computed(dialect.negated(a)?, ty).with_digits(Some(digits)))
            }
            (Meaning::Compare(..) | Meaning::NumericArith(_) | Meaning::NumericNegate, _) => Err("an operator with other than its operands".into()),
            (other, terms) => dialect.call(other, terms, ty),
        }
    }

    pub(super) fn has_subqueries(&self) -> Result<bool> {
        let dialect = self.dialect()?;
        Ok(dialect.subqueries() && !(self.changes && (dialect.changes_later() || dialect.changed_columns() == Changed::Bare)))
    }

    /// A subquery whose expressions may use the columns of `select`.
    fn subquery(&mut self, select: &mut Select, rel: &Rel) -> Result<Select> {
        if !self.has_subqueries()? {
            return Err("a subquery".into());
        }
        self.outer.push(select.columns.clone());
        let depth = self.outer.len();
        let before = std::mem::replace(&mut self.reached, usize::MAX);
        let inner = self.rel(rel).and_then(|inner| {
            if self.dialect()?.correlates_by_join() {
                self.found_by_join(rel)?;
                if inner.correlated && (inner.limit.is_some() || inner.offset.is_some()) {
                    return Err("LIMIT or OFFSET in a correlated subquery".into());
                }
            }
            Ok(inner)
        });
        self.outer.truncate(depth - 1);
        // What the subquery uses of queries further out, this one uses too.
        if self.reached < depth - 1 {
            select.correlated = true;
        }
        self.reached = self.reached.min(before);
        inner
    }

    fn any_subquery(&mut self, select: &mut Select, any: bool, comparisons: &[SubqueryComparison], rel: &Rel) -> Result<Term> {
        let dialect = self.dialect()?;
        let mut inner = self.subquery(select, rel)?;
        if inner.distinct || inner.limit.is_some() || inner.offset.is_some() {
            inner = self.wrap(inner)?;
        }
        let (mut left, mut list, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for c in comparisons {
            let class = membership(c.func, any, c.collation)?;
            let l = self.expr(select, &c.left)?;
            left.push(dialect.comparable(class, &l)?);
            let term = inner.get(c.column).ok_or("a column that is lost")?;
            list.push(dialect.comparable(class, term)?);
            classes.push(class);
        }
        if comparisons.len() != 1 && !any {
            return Err("ALL over rows".into());
        }
        if comparisons.len() != 1 && !dialect.compares_rows() {
            return Err("IN over rows".into());
        }
        let sql = dialect.in_subquery(any, &classes, &left, inner.correlated, &list, &|list| self.render(&inner, list))?;
        Ok(Term::computed(sql, PgType::BOOL))
    }
}

/// Parts of AND or OR so that what can fail is not computed where what stands before it has decided, if the engine would compute it; `None`: they
/// may stand as they are. Nothing is said of parts with subqueries, which would be asked twice.
pub(super) fn in_order(dialect: &dyn Dialect, args: &[Expr], parts: &[String], and: bool) -> Option<String> {
    if dialect.keeps_order() || !args.iter().skip(1).any(may_raise) {
        return None;
    }
    let decided = |sql: &str, rest: &str| match and {
        true => format!("(CASE WHEN (NOT {sql}) THEN FALSE ELSE ({sql} AND {rest}) END)"),
        false => format!("(CASE WHEN {sql} THEN TRUE ELSE ({sql} OR {rest}) END)"),
    };
    let with = if and { " AND " } else { " OR " };
    let (mut chain, mut chain_raises, mut apart) = (None::<String>, false, Vec::new());
    for (e, sql) in args.iter().zip(parts).rev() {
        let raises = may_raise(e);
        if has_subquery(e) && !(raises && chain.is_none()) {
            apart.push(sql.clone());
            continue;
        }
        chain = Some(match chain {
            None => sql.clone(),
            Some(rest) if chain_raises => decided(sql, &rest),
            Some(rest) => format!("({sql}{with}{rest})"),
        });
        chain_raises |= raises;
    }
    apart.extend(chain);
    Some(format!("({})", apart.join(with)))
}

fn any_part(e: &Expr, is: &dyn Fn(&Expr) -> bool) -> bool {
    fn walk(e: &mut Expr, is: &dyn Fn(&Expr) -> bool) -> bool {
        let mut found = is(e);
        each_part_mut(e, &mut |part| found = found || walk(part, is));
        found
    }
    walk(&mut e.clone(), is)
}

/// Whether there may be an error in computing it.
pub(super) fn may_raise(e: &Expr) -> bool {
    any_part(e, &|part| match part {
        Expr::Call { func, .. } => !matches!(
            meaning::scalar(*func),
            Some(Meaning::Compare(..) | Meaning::WidenInt | Meaning::IntToNumeric | Meaning::Like { .. } | Meaning::BpcharToText | Meaning::Substring)
        ),
        Expr::ScalarSubquery { .. } => true,
        _ => false,
    })
}

pub(super) fn has_subquery(e: &Expr) -> bool {
    any_part(e, &|part| matches!(part, Expr::ScalarSubquery { .. } | Expr::Exists { .. } | Expr::AnySubquery { .. }))
}

/// Whether a subquery has one row whatever it finds, in which this column is NULL if it finds nothing: aggregates, and what is NULL of NULL.
fn is_null_of_nothing(rel: &Rel, column: ColId) -> bool {
    match rel {
        Rel::Project { input, exprs } => exprs.iter().find(|e| e.id == column).is_some_and(|e| strict_over(&e.expr, input)),
        Rel::Aggregate(a) if a.groups.is_empty() && a.grouping_sets.is_none() => a.calls.iter().any(|call| {
            let of = meaning::aggregate(call.expr.func);
            call.id == column && of.is_some_and(|m| !matches!(m, AggMeaning::Count | AggMeaning::CountStar))
        }),
        _ => false,
    }
}

/// A column that is NULL of nothing, through functions that are NULL of NULL.
fn strict_over(e: &Expr, input: &Rel) -> bool {
    match e {
        Expr::Column { id, .. } => is_null_of_nothing(input, *id),
        Expr::Relabel { arg, .. } => strict_over(arg, input),
        // All functions with a meaning are strict.
        Expr::Call { func, args, .. } => {
            meaning::scalar(*func).is_some()
                && args.iter().all(|a| matches!(a, Expr::Const { .. } | Expr::Param { .. }) || strict_over(a, input))
                && args.iter().any(|a| strict_over(a, input))
        }
        _ => false,
    }
}

/// Whether Postgres may fail to compute it: a function that is called by itself, as integers that overflow. Of the others it has a value for
/// whatever they are given.
pub(super) fn may_fail(e: &Expr) -> bool {
    any_part(e, &|part| matches!(part, Expr::Call { func, .. } if meaning::scalar(*func).is_none()))
}

/// Whether an engine may find out that it is never NULL without computing it, and so without its errors.
fn may_not_be_computed(e: &Expr) -> bool {
    fn calls(e: &mut Expr) -> bool {
        let mut found = matches!(e, Expr::Call { .. });
        each_part_mut(e, &mut |part| found = found || calls(part));
        found
    }
    matches!(e, Expr::Case { .. } | Expr::Coalesce { .. } | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::BoolTest { .. } | Expr::IsDistinct { .. })
        && calls(&mut e.clone())
}

/// The class of `= ANY` or `<> ALL`.
fn membership(func: u32, any: bool, collation: Collation) -> Result<Class> {
    match (meaning::scalar(func), any) {
        (Some(Meaning::Compare(cmp @ Cmp::Eq, class)), true) | (Some(Meaning::Compare(cmp @ Cmp::Ne, class)), false) => {
            check_collation(cmp, class, collation)?;
            Ok(class)
        }
        _ => Err("ANY or ALL with this operator".into()),
    }
}

fn check_collation(cmp: Cmp, class: Class, collation: Collation) -> Result<()> {
    if !matches!(class, Class::Text | Class::Bpchar) {
        return Ok(());
    }
    match (cmp, collation) {
        (_, Collation::C | Collation::CodePoint(_)) | (Cmp::Eq | Cmp::Ne, Collation::Locale(_)) => Ok(()),
        _ => Err("a comparison of text under a collation other than C".into()),
    }
}

/// Exact arithmetic of decimals: only if every result fits the engine's.
fn numeric(dialect: &dyn Dialect, op: Arith, l: &Term, r: &Term, ty: PgType, folded: bool) -> Result<Term> {
    let ((lp, ls), (rp, rs)) = (l.digits.ok_or("a numeric without a declared scale")?, r.digits.ok_or("a numeric without a declared scale")?);
    let digits = match op {
        Arith::Mul => (lp + rp, ls + rs),
        Arith::Add | Arith::Sub => {
            let scale = ls.max(rs);
            ((lp - ls.min(lp)).max(rp - rs.min(rp)) + 1 + scale, scale)
        }
    };
    let (sql, digits) = dialect.decimal(op, l, r, digits, folded)?;
    Ok(Term::computed(sql, ty).with_digits(Some(digits)))
}

/// The value of CASE or COALESCE: numerics of different scales would get one there.
pub(super) fn mixed(dialect: &dyn Dialect, sql: String, ty: PgType, values: &[Term]) -> Result<Term> {
    let values: Vec<&Term> = values.iter().filter(|v| !matches!(v.constant(), Some(Scalar::Null))).collect();
    if values.iter().any(|v| v.ty.base != ty.base && !(v.ty.base == oid::VARCHAR && ty.base == oid::TEXT)) {
        return Err("CASE of several types".into());
    }
    let chars = values.iter().map(|v| v.chars).collect::<Option<Vec<_>>>().and_then(|c| c.into_iter().max());
    if ty.base != oid::NUMERIC || dialect.native() {
        return Ok(Term::computed(sql, ty).with_chars(chars));
    }
    let digits = values.iter().map(|v| v.digits).collect::<Option<Vec<_>>>().ok_or("CASE of numerics without a declared scale")?;
    let scale = digits.first().ok_or("CASE of NULLs")?.1;
    if digits.iter().any(|d| d.1 != scale) {
        return Err("CASE of numerics of different scales".into());
    }
    let precision = digits.iter().map(|d| d.0).max().unwrap_or(0);
    Ok(Term::computed(sql, ty).with_digits(Some((precision, scale))))
}
