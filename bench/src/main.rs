//! weir-bench: loads TPC-H into Postgres and times queries there.
//!
//! Purpose: the data and the clock of `make demo`, `make test` and `make bench`. It names no function of the
//! extension except through settings given on the command line, so that it measures a plain server as well.
//! Every subcommand prints tab-separated lines on standard output and remarks on standard error.

mod args;
mod load;
mod run;
mod schema;

use std::process::ExitCode;

const USAGE: &str = "usage:
  weir-bench tpch-load --conn CONNSTR [--scale 0.1] [--schema public] [--threads 2] [--fk-indexes] [--unlogged]
  weir-bench tpch-run  --conn CONNSTR --queries DIR [--runs 5] [--label NAME] [--set NAME=VALUE]... | [--way LABEL,NAME=VALUE,...]...
  weir-bench scan      --conn CONNSTR --sql QUERY [--runs 3] [--label NAME] [--set NAME=VALUE]...
  weir-bench fresh     --conn CONNSTR --table pgbench_tellers [--seconds 20] [--set NAME=VALUE]...";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let outcome = args::Args::parse(words).and_then(|args| match command.as_str() {
        "tpch-load" => load::tpch_load(&args),
        "tpch-run" => run::tpch_run(&args),
        "scan" => run::scan(&args),
        "fresh" => run::fresh(&args),
        _ => Err(USAGE.to_string()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("weir-bench: {message}");
            ExitCode::FAILURE
        }
    }
}
