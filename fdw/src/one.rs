//! A whole plan as one statement, for a foreign scan: its rows come in the plan's own order.
//!
//! Invariant: what is left to be computed of a row are averages only, of the statement's columns, by functions of Postgres that are strict.

use crate::average::averages;
use crate::meaning::parts;
use crate::push::{Ids, sink};
use crate::sql::{Tables, statement};
use std::collections::HashMap;
use weir_plan::ir::{ColId, Expr, Plan, Rel, Remote};
use weir_plan::walk::each_part_mut;

/// A plan that is one statement.
#[derive(Debug, Clone, PartialEq)]
pub struct One {
    pub remote: Remote,
    /// What the plan's output columns are, over the statement's; `None`: its columns themselves.
    pub finish: Option<Vec<Expr>>,
}

/// The plan as one statement.
///
/// # Errors
/// Why the server cannot answer it exactly.
pub fn one(plan: &Plan, tables: Tables) -> Result<One, String> {
    let mut root = plan.root.clone();
    sink(&mut root, tables);
    let mut wanted: Vec<ColId> = Vec::new();
    for (id, _) in &plan.output {
        if !wanted.contains(id) {
            wanted.push(*id);
        }
    }
    match statement(&root, &wanted, tables) {
        Ok(remote) => Ok(One { remote, finish: None }),
        Err(why) => by_quotients(root, plan, tables).ok_or(why),
    }
}

/// With averages taken apart, if they are what the server does not have.
fn by_quotients(mut root: Rel, plan: &Plan, tables: Tables) -> Option<One> {
    let mut ids = Ids::after(&mut root);
    let Rel::Project { mut input, mut exprs } = root else { return None };
    // Between the aggregate and its columns there may be HAVING.
    let (aggregate, having) = match input.as_mut() {
        Rel::Aggregate(aggregate) => (aggregate, None),
        Rel::Filter { input, predicate } => match input.as_mut() {
            Rel::Aggregate(aggregate) => (aggregate, Some(predicate)),
            _ => return None,
        },
        _ => return None,
    };
    let (new, columns) = averages(aggregate, &mut ids)?;
    let columns: HashMap<ColId, Expr> = columns.into_iter().map(|c| (c.id, c.expr)).collect();
    **aggregate = new;
    if let Some(predicate) = having {
        replace(predicate, &columns);
    }
    exprs.iter_mut().for_each(|e| replace(&mut e.expr, &columns));
    let finish = plan.output.iter().map(|(id, _)| exprs.iter().find(|e| e.id == *id).map(|e| e.expr.clone())).collect::<Option<Vec<_>>>()?;
    let mut wanted = Vec::new();
    for e in &finish {
        if !finishes(e, &mut wanted) {
            return None;
        }
    }
    let remote = statement(&input, &wanted, tables).ok()?;
    Some(One { remote, finish: Some(finish) })
}

fn replace(e: &mut Expr, by: &HashMap<ColId, Expr>) {
    if let Expr::Column { id, .. } = e {
        if let Some(new) = by.get(id) {
            *e = new.clone();
        }
        return;
    }
    each_part_mut(e, &mut |part| replace(part, by));
}

/// Whether it is a column, or a quotient of some; collects them.
fn finishes(e: &Expr, columns: &mut Vec<ColId>) -> bool {
    match e {
        Expr::Column { id, .. } => {
            if !columns.contains(id) {
                columns.push(*id);
            }
            true
        }
        Expr::Call { func: parts::NUMERIC_OF_INT8 | parts::NUMERIC_DIV, args, .. } => args.iter().all(|a| finishes(a, columns)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ForeignTable;
    use std::collections::HashMap as Map;
    use std::rc::Rc;
    use weir_plan::ir::{
        AggCall, Aggregate, Collation, Embedded, Fidelity, Named, RowCount, Scalar, Scan, ScanColumn, ServerRef, Session, SortKey, Source, SqlPart,
    };
    use weir_plan::types::PgType;

    const SERVER: ServerRef = ServerRef { server: 1, user: 0 };

    fn table(engine: &'static str) -> Rc<ForeignTable> {
        let columns = Map::from([(1, ("a".to_owned(), Vec::new())), (2, ("b".to_owned(), Vec::new()))]);
        let server_options = vec![("database".to_owned(), "d".to_owned())];
        Rc::new(ForeignTable {
            engine,
            server: SERVER,
            server_name: "s".into(),
            server_options,
            table_options: Vec::new(),
            schema: "d".into(),
            name: "t".into(),
            rows: Some(10_000.0),
            columns,
        })
    }

    fn scan() -> Rel {
        let column = |id: u32, attnum| ScanColumn { id: ColId(id), attnum, ty: PgType::INT4, not_null: false };
        Rel::Scan(Scan { source: Source::Foreign { server: SERVER, relid: 1 }, name: "t".into(), columns: vec![column(1, 1), column(2, 2)] })
    }

    fn column(id: u32, ty: PgType) -> Expr {
        Expr::Column { id: ColId(id), ty }
    }

    fn session() -> Session {
        Session {
            timezone: "UTC".into(),
            date_style: String::new(),
            interval_style: String::new(),
            extra_float_digits: 1,
            fidelity: Fidelity::Exact,
            engine: Embedded::DataFusion,
            ctypes: Vec::new(),
            collate_is_bytes: true,
            quote_all_identifiers: false,
            server_version_num: 150_000,
        }
    }

    fn plan(root: Rel, output: Vec<(ColId, PgType)>, params: Vec<PgType>) -> Plan {
        Plan { root, output, params, session: session() }
    }

    #[test]
    fn a_limit_of_parameters_is_said_when_they_are_known() {
        let sort = Rel::Sort { input: Box::new(scan()), keys: vec![SortKey { expr: column(2, PgType::INT4), descending: true, nulls_first: true }] };
        let limit = Some(Expr::Param { index: 0, ty: PgType::INT8 });
        let offset = Some(Expr::Const { value: Scalar::Int8(2), ty: PgType::INT8 });
        let root = Rel::Limit { input: Box::new(sort), offset, limit };
        let one = one(&plan(root, vec![(ColId(1), PgType::INT4)], vec![PgType::INT8]), &|_| Some(table("mysql"))).expect("one statement");
        assert!(one.remote.sql.contains(&SqlPart::Limit { limit: Some(RowCount::Param(0)), offset: Some(RowCount::Rows(2)) }));
        let dialect = &crate::dialect::mysql::MySql;
        let text = |values: &[Scalar]| crate::text(&one.remote.sql, Some(values), dialect);
        let sql = "SELECT `t1`.`a` FROM `d`.`t` AS `t1` ORDER BY (`t1`.`b` IS NULL) DESC, `t1`.`b` DESC LIMIT";
        assert_eq!(text(&[Scalar::Int8(3)]), Ok(format!("{sql} 3 OFFSET 2")));
        assert_eq!(text(&[Scalar::Null]), Ok(format!("{sql} 18446744073709551615 OFFSET 2")));
        assert!(text(&[Scalar::Int8(-1)]).is_err());
        // What is cut off is not chosen among by other conditions.
        assert!(one.remote.keys.is_empty());
    }

    #[test]
    fn an_average_is_divided_by_whoever_reads_it() {
        let average = AggCall {
            func: 2101,
            direct: Vec::new(),
            args: vec![column(2, PgType::INT4)],
            distinct: false,
            order_by: Vec::new(),
            filter: None,
            ty: PgType::NUMERIC,
        };
        let aggregate = Aggregate {
            input: scan(),
            groups: vec![Named { id: ColId(3), expr: column(1, PgType::INT4) }],
            grouping_sets: None,
            calls: vec![Named { id: ColId(4), expr: average }],
            groupings: Vec::new(),
        };
        let exprs = vec![Named { id: ColId(5), expr: column(3, PgType::INT4) }, Named { id: ColId(6), expr: column(4, PgType::NUMERIC) }];
        let root = Rel::Project { input: Box::new(Rel::Aggregate(Box::new(aggregate))), exprs };
        let one = one(&plan(root, vec![(ColId(6), PgType::NUMERIC), (ColId(5), PgType::INT4)], Vec::new()), &|_| Some(table("mysql"))).expect("one statement");
        let sql = crate::text(&one.remote.sql, None, &crate::dialect::mysql::MySql);
        assert_eq!(sql.as_deref(), Ok("SELECT SUM(`t1`.`b`), COUNT(`t1`.`b`), `t1`.`a` FROM `d`.`t` AS `t1` GROUP BY `t1`.`a`"));
        let finish = one.finish.expect("something to finish");
        assert!(matches!(&finish[0], Expr::Call { func: parts::NUMERIC_DIV, args, collation: Collation::None, .. } if args.len() == 2));
        assert!(matches!(finish[1], Expr::Column { .. }));
        // Only the group tells rows apart.
        assert_eq!(one.remote.keys.iter().map(|k| k.place).collect::<Vec<_>>(), [2]);
        assert_eq!(one.remote.rows, Some(1000));
    }
}
