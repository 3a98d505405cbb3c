//! Sends calls to the remote, many at a time, and compares the answers; what differs, fails or falls back is looked at alone.

use super::calls::Call;
use super::catalog::rows;
use crate::compare::{difference, summary};
use crate::wire::{Answer, Session};
use std::collections::{BTreeMap, BTreeSet};

/// Calls in one query.
const TOGETHER: usize = 24;
/// Conditions in one query, each a branch of a UNION ALL.
const BRANCHES: usize = 24;
/// Rows of the test's table whose numbers are small and not 0, and whose dates are near.
const TAME: &str = "(1, 2, 5, 7, 8, 9, 10)";
/// The greatest id of a row.
const ROWS: usize = 12;
const ERROR: &str = "an error on both sides";

/// What became of a query.
enum Outcome {
    /// The same answer, by the remote.
    Answered,
    /// The same error.
    Failed,
    /// The same answer, but Postgres's own.
    FellBack(String),
    /// Another error, with its SQLSTATE.
    OtherError(String, String),
    /// Another answer, or not the remote's as the plan says.
    Wrong(String),
}

/// A query for calls, of the rows that a filter leaves.
type Select<'a> = &'a dyn Fn(&Judge, &[&Call], &str) -> String;

pub struct Judge {
    here: Session,
    there: Session,
    /// Foreign scans of a query that Postgres runs.
    scans: Session,
    table: String,
    /// The column that makes groups.
    group: String,
    /// Of each cell, whether a call of it was answered, and else what happened.
    cells: BTreeMap<String, Result<(), String>>,
    /// Shapes of cells of which a call that fails has been a condition.
    failed: BTreeSet<String>,
    sent: usize,
    wrong: usize,
}

impl Judge {
    pub fn new(here: Session, there: Session, scans: Session, table: &str, group: &str) -> Judge {
        Judge { here, there, scans, table: table.to_owned(), group: group.to_owned(), cells: BTreeMap::new(), failed: BTreeSet::new(), sent: 0, wrong: 0 }
    }

    fn select(&self, calls: &[&Call], filter: &str) -> String {
        let (ids, from) = self.from(calls.iter().any(|c| c.pair));
        format!("SELECT {ids}, {} FROM {from}{filter}", listed(calls.iter().map(|c| c.sql.as_str())))
    }

    fn from(&self, pair: bool) -> (&'static str, String) {
        let table = &self.table;
        if pair { ("a.id AS i, b.id AS j", format!("{table} a CROSS JOIN {table} b")) } else { ("a.id AS i", format!("{table} a")) }
    }

    /// Runs a query on both sides.
    fn compare(&mut self, sql: &str, ordered: bool) -> Result<Outcome, String> {
        let (here, there) = (self.here.query(sql), self.there.query(sql));
        if let Answer::Lost(why) = &there {
            return Err(format!("{sql}: {why}"));
        }
        if let Some(found) = difference(&here, &there, ordered) {
            return Ok(match (here, there) {
                (Answer::Error(_), Answer::Error(there)) => Outcome::OtherError(found, there.sqlstate),
                _ => Outcome::Wrong(found),
            });
        }
        if let Answer::Error(_) = here {
            return Ok(Outcome::Failed);
        }
        let last = rows(&mut self.there, "SELECT fallback, message FROM weir.last_route()")?;
        let mut fields = last.into_iter().flatten();
        let (fallback, message) = (fields.next().flatten(), fields.next().flatten());
        Ok(if fallback.as_deref() == Some("t") { Outcome::FellBack(message.unwrap_or_default()) } else { Outcome::Answered })
    }

    /// Whether the whole query is one remote statement; else what EXPLAIN says.
    fn sent(&mut self, sql: &str) -> Result<(), String> {
        let plan = match self.there.query(&format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}")) {
            Answer::Rows(plan) => plan.rows.into_iter().flatten().flatten().collect::<Vec<_>>(),
            other => return Err(summary(&other)),
        };
        let remote = plan.iter().filter(|line| line.contains("Remote SQL:")).count();
        match plan.iter().find(|line| line.contains("Not Pushed:")) {
            Some(why) => Err(why.trim().to_owned()),
            None if remote == 1 && plan.iter().any(|line| line.contains("Custom Scan (Weir)")) => Ok(()),
            None => Err(plan.join("\n")),
        }
    }

    fn fail(&mut self, what: &str, why: &str) {
        self.wrong += 1;
        println!("not ok {what}");
        for line in why.lines().take(14) {
            println!("#   {line}");
        }
    }

    fn note(&mut self, calls: &[&Call], result: Result<(), &str>) {
        for call in calls {
            let cell = self.cells.entry(call.cell.clone()).or_insert_with(|| Err(String::new()));
            match result {
                Ok(()) => *cell = Ok(()),
                Err(why) if cell.is_err() => *cell = Err(format!("{}: {why}", call.sql)),
                Err(_) => {}
            }
        }
        self.sent += calls.len();
    }

    /// Calls of scalar functions: as values, and those that are conditions as such.
    pub fn scalars(&mut self, calls: &[Call]) -> Result<(), String> {
        for pair in [false, true] {
            let of: Vec<&Call> = calls.iter().filter(|c| c.pair == pair).collect();
            let mut answered = Vec::new();
            for part in of.chunks(TOGETHER) {
                self.together(part, "", &Judge::select, &mut answered)?;
            }
            // Of calls that differ in no more than the size of integers, one taken over, and one negated in a foreign scan.
            let (mut seen, mut taken, mut scanned) = (BTreeMap::new(), Vec::new(), Vec::new());
            for call in answered.into_iter().filter(|c| c.is_bool) {
                let count: &mut usize = seen.entry(shape(&call.cell)).or_default();
                *count += 1;
                match *count {
                    1 => taken.push(call),
                    2 => scanned.push(call),
                    _ => {}
                }
            }
            for (calls, not) in [(taken, ""), (scanned, "NOT ")] {
                for part in calls.chunks(BRANCHES) {
                    self.conditions(part, not)?;
                }
            }
        }
        Ok(())
    }

    /// All at once, and if that is not an answer, half of them at once.
    fn together<'a>(&mut self, calls: &[&'a Call], filter: &str, select: Select, answered: &mut Vec<&'a Call>) -> Result<(), String> {
        let sql = select(self, calls, filter);
        let alone = if let [one] = calls { Some(*one) } else { None };
        // What Postgres itself cannot answer as a whole need not be asked as a whole.
        let fails = alone.is_none() && matches!(self.here.query(&sql), Answer::Error(_));
        let outcome = if fails {
            Outcome::Failed
        } else {
            match self.sent(&sql) {
                Ok(()) => self.compare(&sql, false)?,
                Err(why) => Outcome::Wrong(format!("it is spelled, but not sent: {why}")),
            }
        };
        let outcome = match (outcome, alone) {
            (Outcome::OtherError(_, state), Some(call)) if self.of_other_rows(call, &state) => Outcome::Failed,
            (outcome, _) => outcome,
        };
        match (outcome, alone) {
            (Outcome::Answered, _) => {
                if filter.is_empty() {
                    answered.extend(calls);
                }
                self.note(calls, Ok(()));
            }
            (_, None) => {
                let (left, right) = calls.split_at(calls.len() / 2);
                self.together(left, filter, select, answered)?;
                self.together(right, filter, select, answered)?;
            }
            (Outcome::OtherError(why, _) | Outcome::Wrong(why), Some(call)) => {
                self.note(&[call], Ok(()));
                self.fail(&call.sql, &why);
            }
            (outcome, Some(call)) => {
                if matches!(outcome, Outcome::Failed) {
                    self.fails_as_condition(call, filter)?;
                }
                let why = if let Outcome::FellBack(why) = outcome { why } else { ERROR.into() };
                self.note(&[call], Err(&why));
                // With other rows, if no other call of the cell has been answered.
                let open = self.cells.get(&call.cell).is_some_and(Result::is_err);
                let fewer = if open { self.fewer(call, filter)? } else { None };
                if let Some(filter) = fewer {
                    self.together(calls, &filter, select, answered)?;
                }
            }
        }
        Ok(())
    }

    /// What fails must fail where nobody looks at its value, too.
    fn fails_as_condition(&mut self, call: &Call, filter: &str) -> Result<(), String> {
        if !call.is_scalar || !filter.is_empty() || !self.failed.insert(shape(&call.cell)) {
            return Ok(());
        }
        let (ids, from) = self.from(call.pair);
        let sql = format!("SELECT {ids} FROM {from} WHERE {} IS NOT NULL", call.sql);
        match self.compare(&sql, false)? {
            Outcome::OtherError(_, state) if self.of_other_rows(call, &state) => {}
            Outcome::OtherError(why, _) | Outcome::Wrong(why) => self.fail(&format!("as a condition: {sql}"), &why),
            Outcome::Answered | Outcome::Failed | Outcome::FellBack(_) => {}
        }
        Ok(())
    }

    /// Fewer rows than with this filter: tame ones, and then those with which Postgres has an answer.
    fn fewer(&mut self, call: &Call, filter: &str) -> Result<Option<String>, String> {
        if filter.is_empty() {
            return Ok(Some(if call.pair { format!(" WHERE a.id IN {TAME} AND b.id IN {TAME}") } else { format!(" WHERE a.id IN {TAME}") }));
        }
        if !filter.contains(TAME) {
            return Ok(None);
        }
        let (_, from) = self.from(call.pair);
        let of = |n: usize| if call.pair { format!("a.id = {n} AND b.id = {n}") } else { format!("a.id = {n}") };
        let mut good = Vec::new();
        for n in 1..=ROWS {
            let sql = format!("SELECT {} FROM {from} WHERE {}", call.sql, of(n));
            if matches!(self.here.query(&sql), Answer::Rows(_)) && matches!(self.compare(&sql, false)?, Outcome::Answered) {
                good.push(n.to_string());
            }
        }
        let same = if call.pair { " AND b.id = a.id" } else { "" };
        Ok((!good.is_empty()).then(|| format!(" WHERE a.id IN ({}){same}", good.join(", "))))
    }

    /// Whether two errors differ only since they are of different rows.
    fn of_other_rows(&mut self, call: &Call, state: &str) -> bool {
        let (_, from) = self.from(call.pair);
        (1..=ROWS).flat_map(|a| (1..=if call.pair { ROWS } else { 1 }).map(move |b| (a, b))).any(|(a, b)| {
            let rows = if call.pair { format!("a.id = {a} AND b.id = {b}") } else { format!("a.id = {a}") };
            matches!(self.here.query(&format!("SELECT {} FROM {from} WHERE {rows}", call.sql)), Answer::Error(e) if e.sqlstate == state)
        })
    }

    /// In WHERE: taken over, or negated in foreign scans.
    fn conditions(&mut self, calls: &[&Call], not: &str) -> Result<(), String> {
        let (ids, from) = self.from(calls.iter().any(|c| c.pair));
        let branch = |(n, call): (usize, &&Call)| format!("SELECT {n} AS n, {ids} FROM {from} WHERE {not}{}", call.sql);
        let sql = calls.iter().enumerate().map(branch).collect::<Vec<_>>().join(" UNION ALL ");
        let wrong = if not.is_empty() {
            match self.compare(&sql, false)? {
                Outcome::Answered => None,
                Outcome::Failed => Some("an error".to_owned()),
                Outcome::FellBack(why) | Outcome::OtherError(why, _) | Outcome::Wrong(why) => Some(why),
            }
        } else {
            let (here, scanned) = (self.here.query(&sql), self.scans.query(&sql));
            difference(&here, &scanned, false)
        };
        match (wrong, calls) {
            (None, _) => {}
            (Some(why), [_]) => self.fail(&format!("as a condition: {sql}"), &why),
            (Some(_), _) => {
                for call in calls {
                    self.conditions(&[call], not)?;
                }
            }
        }
        Ok(())
    }

    /// Of all rows, of some, of none, and of groups.
    pub fn aggregates(&mut self, calls: &[Call]) -> Result<(), String> {
        let of: Vec<&Call> = calls.iter().collect();
        let (key, by) = (format!("a.{}, ", self.group), format!(" GROUP BY a.{}", self.group));
        for (key, none, after) in [("", false, ""), (key.as_str(), false, by.as_str()), ("", true, "")] {
            let select = |judge: &Judge, calls: &[&Call], filter: &str| {
                let filter = if none { " WHERE a.id < 0" } else { filter };
                format!("SELECT {key}{} FROM {} a{filter}{after}", listed(calls.iter().map(|c| c.sql.as_str())), judge.table)
            };
            for part in of.chunks(TOGETHER) {
                self.together(part, "", &select, &mut Vec::new())?;
            }
        }
        Ok(())
    }

    pub fn windows(&mut self, calls: &[Call]) -> Result<(), String> {
        let of: Vec<&Call> = calls.iter().collect();
        for part in of.chunks(TOGETHER) {
            self.together(part, "", &Judge::select, &mut Vec::new())?;
        }
        Ok(())
    }

    /// A query that may be sent or not: whether it is answered alike, and was one remote statement.
    pub fn query(&mut self, sql: &str, ordered: bool) -> Result<bool, String> {
        let whole = self.sent(sql).is_ok();
        match self.compare(sql, ordered)? {
            Outcome::OtherError(why, _) | Outcome::Wrong(why) => self.fail(sql, &why),
            Outcome::Answered => return Ok(whole),
            Outcome::Failed | Outcome::FellBack(_) => {}
        }
        Ok(false)
    }

    /// Values, of which those that are sent are compared; how many these are.
    pub fn values(&mut self, pair: bool, values: Vec<String>) -> Result<usize, String> {
        let (ids, from) = self.from(pair);
        let select = |values: &[String]| format!("SELECT {ids}, {} FROM {from}", listed(values.iter().map(String::as_str)));
        let sent: Vec<String> = values.into_iter().filter(|v| self.sent(&select(std::slice::from_ref(v))).is_ok()).collect();
        for part in sent.chunks(TOGETHER) {
            if !matches!(self.compare(&select(part), false)?, Outcome::Answered) {
                for value in part {
                    if let Outcome::OtherError(why, _) | Outcome::Wrong(why) = self.compare(&select(std::slice::from_ref(value)), false)? {
                        self.fail(value, &why);
                    }
                }
            }
        }
        Ok(sent.len())
    }

    /// A template over the table `@` and its column `{g}`.
    pub fn filled(&self, template: &str) -> String {
        template.replace('@', &self.table).replace("{g}", &format!("a.{}", self.group))
    }

    /// Cells of which no call was answered there.
    pub fn unanswered(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        let functions: BTreeSet<&str> = cells.keys().filter_map(|c| c.split(" of (").next()).collect();
        let only_errors = cells.values().filter(|r| r.as_ref().is_err_and(|why| why.ends_with(ERROR))).count();
        println!("# {} functions, {} cells ({only_errors} are an error of whatever they are asked), {} calls", functions.len(), cells.len(), self.sent);
        for (cell, result) in &cells {
            if let Err(why) = result
                && !why.ends_with(ERROR)
            {
                self.fail(&format!("no call is answered there: {cell}"), why);
            }
        }
    }

    pub fn finish(&self) {
        if self.wrong == 0 {
            println!("ok each cell is answered there as here");
        }
    }
}

/// The cell, whatever the size of its integers.
fn shape(cell: &str) -> String {
    cell.replace("smallint", "integer").replace("bigint", "integer").chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn listed<'a>(values: impl Iterator<Item = &'a str>) -> String {
    values.enumerate().map(|(n, v)| format!("{v} AS c{n}")).collect::<Vec<_>>().join(", ")
}
