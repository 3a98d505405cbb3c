//! Set operations, common table expressions, window functions, GREATEST and LEAST, for dialects that say that they have them.

use super::{Builder, Select, expr};
use crate::dialect::{CommonTable, Form, Over, Result, Term};
use weir_plan::ir::{Bound, ColId, Collation, CteId, Exclude, Expr, Frame, FrameUnits, Named, Rel, Scalar, SetOp, SetOpKind, SortKey, WindowCall};
use weir_plan::types::{PgType, oid};

/// `row_number()`
const ROW_NUMBER: u32 = 3100;

impl Builder<'_> {
    pub(super) fn constructs(&self, what: &str) -> Result<()> {
        if self.dialect()?.has_constructs() { Ok(()) } else { Err(what.into()) }
    }

    /// A column of a derived table.
    fn derived(alias: &str, name: &str, of: &Term) -> Term {
        let form = if of.ty.base == oid::NUMERIC && of.form != Form::Column { Form::Computed } else { Form::Column };
        Term { sql: format!("{alias}.{name}"), form, ..of.clone() }
    }

    pub(super) fn set_operation(&mut self, op: &SetOp) -> Result<Select> {
        let (left, right) = (self.rel(&op.left)?, self.rel(&op.right)?);
        self.constructs("a set operation")?;
        if left.correlated || right.correlated {
            return Err("a correlated set operation".into());
        }
        let dialect = self.dialect()?;
        let alias = self.alias()?;
        let (mut l_list, mut r_list, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for (id, l, r, ty) in &op.columns {
            let (l, r) = (left.get(*l).ok_or("a column that is lost")?, right.get(*r).ok_or("a column that is lost")?);
            let digits = match (l.digits, r.digits) {
                _ if ty.base != oid::NUMERIC => None,
                (Some(l), Some(r)) if l.1 == r.1 => Some((l.0.max(r.0), l.1)),
                _ => return Err("a set operation on numerics of different scales".into()),
            };
            let name = dialect.ident(&format!("c{}", id.0))?;
            l_list.push(format!("{} AS {name}", dialect.key(l)?));
            r_list.push(format!("{} AS {name}", dialect.key(r)?));
            let chars = l.chars.zip(r.chars).map(|(a, b)| a.max(b));
            columns.push((*id, Self::derived(&alias, &name, &Term::computed(String::new(), *ty).with_digits(digits).with_chars(chars))));
        }
        if columns.is_empty() {
            return Err("a set operation without columns".into());
        }
        let word = match op.kind {
            SetOpKind::Union => "UNION",
            SetOpKind::Intersect => "INTERSECT",
            SetOpKind::Except => "EXCEPT",
        };
        let (l, r) = (self.render(&left, &l_list)?, self.render(&right, &r_list)?);
        let all = if op.all { " ALL" } else { "" };
        Ok(Select { from: format!("(({l}) {word}{all} ({r})) AS {alias}"), columns, ..Select::default() })
    }

    pub(super) fn with(&mut self, ctes: &[(CteId, Rel)], body: &Rel) -> Result<Select> {
        for (id, rel) in ctes {
            let select = self.rel(rel)?;
            let kind = self.dialect()?.common_table().ok_or("a common table expression")?;
            if select.correlated {
                return Err("a correlated common table expression".into());
            }
            let dialect = self.dialect()?;
            let name = self.alias()?;
            let (mut list, mut columns) = (Vec::new(), Vec::new());
            for (column, term) in &select.columns {
                let own = dialect.ident(&format!("c{}", column.0))?;
                list.push(format!("{} AS {own}", term.sql));
                columns.push((*column, Term { sql: own, ..term.clone() }));
            }
            if list.is_empty() {
                list.push("1 AS one".into());
            }
            let sql = self.render(&select, &list)?;
            let once = match kind {
                CommonTable::Once(word) => word,
                // What is cut off without an order must be the same wherever it is read.
                CommonTable::Each if sql.contains(" LIMIT ") => return Err("a common table expression with a limit".into()),
                CommonTable::Each => "",
            };
            self.before.push(format!("{name} AS{once} ({sql})"));
            self.ctes.insert(*id, (name, columns));
        }
        self.rel(body)
    }

    pub(super) fn cte(&mut self, id: CteId, columns: &[(ColId, ColId, PgType)]) -> Result<Select> {
        let (name, own) = self.ctes.get(&id).cloned().ok_or("a common table expression that is not pushed")?;
        let alias = self.alias()?;
        let mut out = Vec::new();
        for (new, old, _) in columns {
            let (_, term) = own.iter().find(|(c, _)| c == old).ok_or("a column that is lost")?;
            out.push((*new, Self::derived(&alias, &term.sql, term)));
        }
        Ok(Select { from: format!("{name} AS {alias}"), columns: out, ..Select::default() })
    }

    pub(super) fn window(&mut self, input: &Rel, functions: &[Named<WindowCall>]) -> Result<Select> {
        let select = self.rel(input)?;
        self.windowed(select, functions)
    }

    /// The first row of each group, in the order of the keys.
    pub(super) fn distinct_on(&mut self, input: &Rel, on: &[Expr], keys: &[SortKey]) -> Result<Select> {
        let select = self.rel(input)?;
        // Of no other column: those of a plan are counted from below.
        let id = ColId(u32::MAX - self.aliases);
        let frame = Frame { units: FrameUnits::Range, start: Bound::UnboundedPreceding, end: Bound::CurrentRow, exclude: Exclude::NoOthers };
        let place =
            WindowCall { func: ROW_NUMBER, args: Vec::new(), filter: None, partition_by: on.to_vec(), order_by: keys.to_vec(), frame, ty: PgType::INT8 };
        let select = self.windowed(select, &[Named { id, expr: place }])?;
        let mut select = self.wrap(select)?;
        let place = select.get(id).ok_or("a column that is lost")?.sql.clone();
        select.filter.push(format!("({place} = 1)"));
        select.columns.retain(|(column, _)| *column != id);
        self.sort(select, keys)
    }

    fn windowed(&mut self, select: Select, functions: &[Named<WindowCall>]) -> Result<Select> {
        if !select.order.is_empty() && functions.iter().any(|f| f.expr.order_by.is_empty()) {
            return Err("a window without an order over rows that have one".into());
        }
        let mut select = self.plain(select)?;
        let dialect = self.dialect()?;
        let mut added = Vec::new();
        for function in functions {
            let call = &function.expr;
            if call.filter.is_some() {
                return Err("a window function with FILTER".into());
            }
            let mut over = Over { order: String::new(), frame: frame(&call.frame)? };
            let keys = call.partition_by.iter().map(|e| self.expr(&mut select, e).and_then(|t| dialect.key(&t))).collect::<Result<Vec<_>>>()?;
            if !keys.is_empty() {
                over.order = format!("PARTITION BY {}", keys.join(", "));
            }
            let mut order = Vec::new();
            for key in &call.order_by {
                let term = self.expr(&mut select, &key.expr)?;
                order.extend(dialect.order(&term, key.descending, key.nulls_first)?);
            }
            if !order.is_empty() {
                over.order = format!("{}{}ORDER BY {}", over.order, if over.order.is_empty() { "" } else { " " }, order.join(", "));
            }
            let args = call.args.iter().map(|e| self.expr(&mut select, e)).collect::<Result<Vec<_>>>()?;
            added.push((function.id, dialect.window(call.func, &args, &over, call.ty)?));
        }
        select.columns.extend(added);
        select.windowed = true;
        Ok(select)
    }

    pub(super) fn extreme(&mut self, select: &mut Select, name: &str, args: &[Expr], ty: PgType, collation: Collation) -> Result<Term> {
        self.constructs("GREATEST or LEAST")?;
        let known = match ty.base {
            oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC | oid::DATE | oid::TIMESTAMP => true,
            oid::TEXT | oid::VARCHAR => matches!(collation, Collation::C | Collation::CodePoint(_)),
            _ => false,
        };
        if !known {
            return Err("GREATEST or LEAST of this type".into());
        }
        let dialect = self.dialect()?;
        let values = args.iter().map(|a| self.expr(select, a)).collect::<Result<Vec<_>>>()?;
        let list = values.iter().map(|v| dialect.branch(v)).collect::<Result<Vec<_>>>()?;
        expr::mixed(dialect, format!("{name}({})", list.join(", ")), ty, &values)
    }
}

fn frame(frame: &Frame) -> Result<String> {
    let units = match frame.units {
        FrameUnits::Rows => "ROWS",
        FrameUnits::Range => "RANGE",
        FrameUnits::Groups => "GROUPS",
    };
    let exclude = match frame.exclude {
        Exclude::NoOthers => "",
        Exclude::CurrentRow => " EXCLUDE CURRENT ROW",
        Exclude::Group => " EXCLUDE GROUP",
        Exclude::Ties => " EXCLUDE TIES",
    };
    Ok(format!("{units} BETWEEN {} AND {}{exclude}", bound(&frame.start, frame.units)?, bound(&frame.end, frame.units)?))
}

fn bound(bound: &Bound, units: FrameUnits) -> Result<String> {
    let offset = |e: &Expr| match e {
        Expr::Const { value: Scalar::Int8(n), .. } if *n >= 0 && *n < i64::from(i32::MAX) && units != FrameUnits::Range => Ok(*n),
        _ => Err("a window frame with this offset".to_string()),
    };
    Ok(match bound {
        Bound::UnboundedPreceding => "UNBOUNDED PRECEDING".into(),
        Bound::Preceding(e) => format!("{} PRECEDING", offset(e)?),
        Bound::CurrentRow => "CURRENT ROW".into(),
        Bound::Following(e) => format!("{} FOLLOWING", offset(e)?),
        Bound::UnboundedFollowing => "UNBOUNDED FOLLOWING".into(),
    })
}
