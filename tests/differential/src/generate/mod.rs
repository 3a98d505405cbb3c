//! The seeded generator of queries.
//!
//! Query number `n` depends on the seed and `n` only; the data depends on the seed and on the changes made before it.
//! `--seed S --only N` therefore makes the same tables, the same changes, and runs the one query.
//!
//! Invariants of the grammar: no query depends on the plan (total ORDER BY wherever there is a LIMIT or a window over
//! rows; grouping keys have one text form per value), and only a few are allowed to raise errors, which then does not
//! depend on the order of evaluation either.

mod expr;
mod select;
mod tables;
mod windows;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::report::Counts;
use crate::runner::Runner;
use crate::script::{Expect, Kind, Statement};

pub const SCHEMA: &str = "generated";
/// Queries between two rounds of changes to the tables.
const QUERIES_PER_CHANGE: u64 = 100;

#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub count: u64,
    pub only: Option<u64>,
    pub min_routed: usize,
    pub print: bool,
}

/// What every part of the generator draws from.
pub struct Dice {
    rng: StdRng,
    aliases: u32,
}

impl Dice {
    fn new(seed: u64, stream: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream), aliases: 0 }
    }

    /// True in `percent` of a hundred cases.
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    /// From 0 to `below` - 1.
    fn below(&mut self, below: usize) -> usize {
        if below == 0 { 0 } else { self.rng.random_range(0..below) }
    }

    /// An alias that no other level of the query has: an inner one must not hide an outer one.
    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("x{}", self.aliases)
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..=high)
    }

    /// One of `choices`, which is never empty.
    fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        let at = self.below(choices.len());
        choices.get(at).copied().expect("below() stays within the choices, and no list of choices is empty")
    }
}

struct Query {
    sql: String,
    ordered: bool,
    /// It may raise an error.
    risky: bool,
}

fn query(seed: u64, number: u64) -> Query {
    select::query(&mut Dice::new(seed, number << 1))
}

pub fn print(options: &Options) {
    for line in tables::create(&mut Dice::new(options.seed, u64::MAX)) {
        println!("{line};");
    }
    for number in 0..options.count {
        if options.only.is_none_or(|only| only == number) {
            let query = query(options.seed, number);
            println!("-- {number}{}\n{};", if query.ordered { " ordered" } else { "" }, query.sql);
        }
    }
}

pub fn run(options: &Options, settings: &[String], runner: &mut Runner) -> Result<(), String> {
    let seed = options.seed;
    println!("generated queries: seed {seed}, {} queries (again: --seed {seed} generate)", options.count);
    let mut state = vec![format!("SET search_path = {SCHEMA}")];
    state.extend(settings.iter().map(|setting| format!("SET {setting}")));
    runner.execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}"))?;
    runner.start(state)?;
    for statement in tables::create(&mut Dice::new(seed, u64::MAX)) {
        runner.execute(&statement)?;
    }
    runner.mirror(SCHEMA, &[])?;
    let before = runner.report.counts;
    for number in 0..options.count {
        if number > 0 && number.is_multiple_of(QUERIES_PER_CHANGE) {
            for statement in tables::change(&mut Dice::new(seed, (number << 1) | 1)) {
                runner.execute(&statement)?;
            }
        }
        if options.only.is_some_and(|only| only != number) {
            continue;
        }
        let query = query(seed, number);
        let expect = if query.risky { Expect::Any } else { Expect::Routed };
        let statement = Statement { sql: query.sql, line: 0, kind: Kind::Query, ordered: query.ordered, expect, expect_from: None };
        runner.check(&format!("generated seed {seed} number {number}"), &statement, true)?;
    }
    runner.report.progress("generated", before);
    judge_share(options, before, runner);
    Ok(())
}

/// Refusing is safe, but a harness whose queries are all refused proves nothing.
fn judge_share(options: &Options, before: Counts, runner: &mut Runner) {
    let now = runner.report.counts;
    let routed = now.routed - before.routed;
    let answered = routed + (now.refused - before.refused) + (now.fell_back - before.fell_back);
    if answered > 0 && routed * 100 < answered * options.min_routed {
        let what = format!("only {routed} of {answered} generated queries were answered by the engine");
        runner.report.fail("generated share", "", &what);
    }
}
