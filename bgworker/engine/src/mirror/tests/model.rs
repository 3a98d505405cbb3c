//! Tables, rows and changes of the model, and their Arrow form.

use crate::mirror::layout::Layout;
use arrow::array::*;
use arrow::datatypes::*;
use rand::Rng;
use rand::rngs::StdRng;
use std::sync::Arc;
use weir_plan::manifest::{Before, ColumnDef, Key, MirrorDef, MirrorState};
use weir_plan::protocol::op;
use weir_plan::types::PgType;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
    /// Value at scale 36, and display scale.
    Num(i64, i16),
    Months(i32),
}

pub type Row = Vec<Cell>;

#[derive(Debug, Clone)]
pub enum Change {
    Insert(Row),
    Delete(Row),
    /// `unchanged`: columns whose values the log does not have.
    Update {
        old: Row,
        new: Row,
        unchanged: Vec<usize>,
    },
    Truncate,
}

#[derive(Debug, Clone)]
pub struct Relation {
    pub relid: u32,
    pub columns: Vec<ColumnDef>,
    pub key: Key,
    /// Columns that may be stored out of line.
    pub toasted: Vec<usize>,
}

/// What a column is added with.
fn before(value: &Cell, column: &ColumnDef) -> Before {
    let alone = Relation { relid: 0, columns: vec![column.clone()], key: Key::FullRow, toasted: vec![] };
    match value {
        Cell::Null => Before::Null,
        value => Before::value(&weir_plan::arrow_ipc::to_bytes(&alone.batch(&[vec![value.clone()]])).expect("encodes")),
    }
}

fn column(attnum: i16, ty: PgType, not_null: bool) -> ColumnDef {
    ColumnDef { attnum, name: format!("column {attnum}"), ty, not_null, before: None }
}

/// A single integer key, a composite key with text that may be out of line, and no key.
pub fn tables() -> Vec<Relation> {
    vec![
        Relation {
            relid: 10,
            columns: vec![column(1, PgType::INT8, true), column(2, PgType::TEXT, false), column(4, PgType::INT4, false), column(5, PgType::INTERVAL, false)],
            key: Key::Columns(vec![1]),
            toasted: vec![1],
        },
        Relation {
            relid: 20,
            columns: vec![column(1, PgType::INT4, true), column(2, PgType::TEXT, false), column(3, PgType::TEXT, true), column(4, PgType::NUMERIC, false)],
            key: Key::Columns(vec![3, 1]),
            toasted: vec![1, 2],
        },
        Relation {
            relid: 30,
            columns: vec![column(1, PgType::INT4, false), column(2, PgType::TEXT, false), column(7, PgType::NUMERIC, false)],
            key: Key::FullRow,
            toasted: vec![1],
        },
    ]
}

impl Relation {
    /// The table when it had fewer columns.
    pub fn narrow(&self, columns: usize) -> Relation {
        Relation { columns: self.columns[..columns].to_vec(), ..self.clone() }
    }

    /// Adds a column; gives what all rows have there.
    pub fn add_column(&mut self, rng: &mut StdRng) -> Cell {
        let at = self.columns.len();
        let ty = [PgType::INT8, PgType::TEXT, PgType::NUMERIC, PgType::INTERVAL, PgType::INT4][rng.random_range(0..5)];
        self.columns.push(column(self.columns[at - 1].attnum + rng.random_range(1..3), ty, false));
        if ty == PgType::TEXT && rng.random() {
            self.toasted.push(at);
        }
        let value = self.random_cell(at, rng);
        if value != Cell::Null && rng.random() {
            self.columns[at].not_null = true;
        }
        self.columns[at].before = Some(before(&value, &self.columns[at]));
        value
    }

    pub fn def(&self, generation: i64, state: MirrorState) -> MirrorDef {
        MirrorDef {
            relid: self.relid,
            generation,
            name: format!("t{}", self.relid),
            columns: self.columns.iter().map(|c| ColumnDef { before: None, ..c.clone() }).collect(),
            key: self.key.clone(),
            state,
            applied_lsn: 0,
            segments: vec![],
            poisoned: vec![],
        }
    }

    pub fn key_columns(&self) -> Vec<usize> {
        match &self.key {
            Key::FullRow => (0..self.columns.len()).collect(),
            Key::Columns(attnums) => attnums.iter().map(|a| self.columns.iter().position(|c| c.attnum == *a).expect("a column")).collect(),
        }
    }

    pub fn same_key(&self, a: &Row, b: &Row) -> bool {
        self.key_columns().iter().all(|&c| a[c] == b[c])
    }

    pub fn random_cell(&self, column: usize, rng: &mut StdRng) -> Cell {
        let def = &self.columns[column];
        let few = self.key == Key::FullRow;
        if !def.not_null && rng.random_range(0..4) == 0 {
            return Cell::Null;
        }
        let is_key = !few && self.key_columns().contains(&column);
        match def.ty.base {
            weir_plan::types::oid::TEXT => {
                let n = rng.random_range(0..if few || is_key { 3 } else { 1000 });
                Cell::Text(if rng.random() { format!("s{n}") } else { format!("a text longer than fits into a view {n}") })
            }
            weir_plan::types::oid::NUMERIC => Cell::Num(rng.random_range(-2..2), rng.random_range(0..2)),
            weir_plan::types::oid::INTERVAL => Cell::Months(rng.random_range(-5..5)),
            _ => Cell::Int(rng.random_range(if few { 0..2 } else { -20..40 })),
        }
    }

    pub fn random_row(&self, rng: &mut StdRng) -> Row {
        (0..self.columns.len()).map(|c| self.random_cell(c, rng)).collect()
    }

    fn arrays(&self, rows: &[Row]) -> Vec<(String, ArrayRef)> {
        let mut arrays: Vec<(String, ArrayRef)> = Vec::new();
        for (c, def) in self.columns.iter().enumerate() {
            let cells = rows.iter().map(|r| &r[c]);
            let int = |cell: &Cell| if let Cell::Int(i) = cell { Some(*i) } else { None };
            let array: ArrayRef = match def.ty.base {
                weir_plan::types::oid::INT8 => Arc::new(cells.map(int).collect::<Int64Array>()),
                weir_plan::types::oid::INT4 => Arc::new(cells.map(|c| int(c).map(|i| i as i32)).collect::<Int32Array>()),
                weir_plan::types::oid::INTERVAL => Arc::new(
                    cells
                        .map(|c| if let Cell::Months(m) = c { Some(IntervalMonthDayNanoType::make_value(*m, -m, 7)) } else { None })
                        .collect::<IntervalMonthDayNanoArray>(),
                ),
                weir_plan::types::oid::NUMERIC => {
                    let scales = cells.clone().map(|c| if let Cell::Num(_, s) = c { Some(*s) } else { None }).collect::<Int16Array>();
                    let values = cells.map(|c| if let Cell::Num(v, _) = c { Some(i256::from_i128(i128::from(*v))) } else { None });
                    let values = values.collect::<Decimal256Array>().with_precision_and_scale(76, 36).expect("fits");
                    arrays.push((def.physical_name(), Arc::new(values)));
                    arrays.push((format!("{}_s", def.physical_name()), Arc::new(scales)));
                    continue;
                }
                _ => Arc::new(cells.map(|c| if let Cell::Text(t) = c { Some(t.as_str()) } else { None }).collect::<StringViewArray>()),
            };
            arrays.push((def.physical_name(), array));
        }
        arrays
    }

    /// Rows as a copy sends them.
    pub fn batch(&self, rows: &[Row]) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(self.arrays(rows).into_iter().map(|(n, a)| (n, a, true))).expect("valid")
    }

    /// Changes as the worker sends them, cut anywhere; `None` is a truncation.
    pub fn messages(&self, changes: &[Change], rng: &mut StdRng) -> Vec<Option<RecordBatch>> {
        let mut messages = Vec::new();
        let mut rows: Vec<(i8, Row, Vec<usize>)> = Vec::new();
        let keys = self.key_columns();
        let old = |row: &Row| -> Row { row.iter().enumerate().map(|(c, cell)| if keys.contains(&c) { cell.clone() } else { Cell::Null }).collect() };
        for change in changes {
            match change {
                Change::Insert(row) => rows.push((op::INSERT, row.clone(), vec![])),
                Change::Delete(row) => rows.push((op::DELETE, old(row), vec![])),
                Change::Update { old: before, new, unchanged } => {
                    rows.push((op::UPDATE_OLD, old(before), vec![]));
                    let new = new.iter().enumerate().map(|(c, cell)| if unchanged.contains(&c) { Cell::Null } else { cell.clone() }).collect();
                    rows.push((op::INSERT, new, unchanged.clone()));
                }
                Change::Truncate => {
                    self.flush_rows(&mut rows, &mut messages);
                    messages.push(None);
                }
            }
            if rng.random_range(0..5) == 0 {
                // A message may end between the halves of an update.
                let half = rows.pop_if(|_| rng.random());
                self.flush_rows(&mut rows, &mut messages);
                rows.extend(half);
            }
        }
        self.flush_rows(&mut rows, &mut messages);
        messages
    }

    fn flush_rows(&self, rows: &mut Vec<(i8, Row, Vec<usize>)>, messages: &mut Vec<Option<RecordBatch>>) {
        if rows.is_empty() {
            return;
        }
        let rows = std::mem::take(rows);
        let ops: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.0)).collect::<Int8Array>());
        let unchanged: Vec<Option<Vec<u8>>> =
            rows.iter().map(|(_, _, columns)| (!columns.is_empty()).then(|| vec![columns.iter().fold(0u8, |bits, c| bits | 1 << c)])).collect();
        let unchanged: ArrayRef = Arc::new(BinaryArray::from_iter(unchanged));
        let values: Vec<Row> = rows.into_iter().map(|r| r.1).collect();
        let mut columns = vec![("op".to_owned(), ops)];
        columns.extend(self.arrays(&values));
        columns.push(("unchanged".to_owned(), unchanged));
        messages.push(Some(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).expect("valid")));
    }

    /// The rows of a batch with all physical columns.
    pub fn rows(&self, layout: &Layout, batch: &RecordBatch) -> Vec<Row> {
        (0..batch.num_rows())
            .map(|r| {
                self.columns
                    .iter()
                    .enumerate()
                    .map(|(c, def)| {
                        let at = layout.physical(c).start;
                        let array = batch.column(at);
                        if array.is_null(r) {
                            return Cell::Null;
                        }
                        match def.ty.base {
                            weir_plan::types::oid::INT8 => Cell::Int(array.as_primitive::<Int64Type>().value(r)),
                            weir_plan::types::oid::INT4 => Cell::Int(i64::from(array.as_primitive::<Int32Type>().value(r))),
                            weir_plan::types::oid::INTERVAL => {
                                let v = array.as_primitive::<IntervalMonthDayNanoType>().value(r);
                                assert_eq!((v.days, v.nanoseconds), (-v.months, 7));
                                Cell::Months(v.months)
                            }
                            weir_plan::types::oid::NUMERIC => Cell::Num(
                                array.as_primitive::<Decimal256Type>().value(r).to_i128().expect("small") as i64,
                                batch.column(at + 1).as_primitive::<Int16Type>().value(r),
                            ),
                            _ => Cell::Text(array.as_string_view().value(r).to_owned()),
                        }
                    })
                    .collect()
            })
            .collect()
    }
}
