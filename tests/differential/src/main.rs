//! weir-differential: the same query with routing off and with routing forced must give the same answer.
//!
//! Purpose: the proof of "never a wrong answer". Inputs are query files and a seeded generator. It exits non-zero on
//! any difference, and on any query that was expected to be answered by the engine and was not.

mod cells;
mod compare;
mod generate;
mod report;
mod runner;
mod script;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use report::Report;
use runner::Runner;
use wire::Address;

const USAGE: &str = "usage: weir-differential [options] run FILE...
       weir-differential [options] generate
       weir-differential [options] cells LOCAL-SCHEMA FOREIGN-SCHEMA TABLE [FUNCTION THAT DIFFERS THERE]...
options:
  --host DIR --port N --user NAME --db NAME   the server's unix socket
  --plain            the server has no pg_weir: check the queries themselves
  --out DIR          where failing queries are kept (default: differential-failures)
  --set NAME=VALUE   a setting for both sides, may be repeated
  --search-path P    for files that do not name one
  --count N          generated queries (default 2000)
  --seed N           seed of the generator (default: from the clock)
  --only N           run only the generated query of this number
  --any-route        do not ask who answered, only what
  --min-routed N     percent of generated queries that the engine must answer (default 95)
  --print            print the generated queries and run nothing";

struct Options {
    address: Address,
    plain: bool,
    any_route: bool,
    out: PathBuf,
    settings: Vec<String>,
    search_path: Option<String>,
    generator: generate::Options,
    command: String,
    files: Vec<String>,
}

fn options() -> Result<Options, String> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let mut options = Options {
        address: Address { socket_dir: "/tmp".into(), port: 5432, user: "postgres".into(), database: "postgres".into() },
        plain: false,
        any_route: false,
        out: "differential-failures".into(),
        settings: Vec::new(),
        search_path: None,
        generator: generate::Options { seed: clock, count: 2000, only: None, min_routed: 95, print: false },
        command: String::new(),
        files: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--host" => options.address.socket_dir = value()?,
            "--port" => options.address.port = number(&value()?)?,
            "--user" => options.address.user = value()?,
            "--db" => options.address.database = value()?,
            "--out" => options.out = value()?.into(),
            "--set" => {
                let text = value()?;
                let (name, text) = text.split_once('=').ok_or("--set needs name=value")?;
                options.settings.push(format!("{name} = '{}'", text.replace('\'', "''")));
            }
            "--search-path" => options.search_path = Some(value()?),
            "--count" => options.generator.count = number(&value()?)?,
            "--seed" => options.generator.seed = number(&value()?)?,
            "--only" => options.generator.only = Some(number(&value()?)?),
            "--min-routed" => options.generator.min_routed = number(&value()?)?,
            "--plain" => options.plain = true,
            "--any-route" => options.any_route = true,
            "--print" => options.generator.print = true,
            _ if word.starts_with("--") => return Err(format!("unknown option {word}\n{USAGE}")),
            _ if options.command.is_empty() => options.command = word,
            _ => options.files.push(word),
        }
    }
    Ok(options)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a number"))
}

fn run(options: &Options) -> Result<bool, String> {
    if options.command == "generate" && options.generator.print {
        generate::print(&options.generator);
        return Ok(true);
    }
    if options.command == "cells" {
        let [local, remote, table, except @ ..] = options.files.as_slice() else { return Err(USAGE.into()) };
        let of = cells::Options { remote: remote.clone(), local: local.clone(), table: table.clone(), except: except.to_vec() };
        cells::run(&options.address, &of)?;
        return Ok(true);
    }
    let mut runner = Runner::connect(options.address.clone(), options.plain, Report::new(&options.out))?;
    runner.any_route = options.any_route;
    match options.command.as_str() {
        "run" => run_files(options, &mut runner)?,
        "generate" => generate::run(&options.generator, &options.settings, &mut runner)?,
        _ => return Err(USAGE.into()),
    }
    Ok(runner.report.finish())
}

fn run_files(options: &Options, runner: &mut Runner) -> Result<(), String> {
    for file in &options.files {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
        let mut script = script::parse(&text).map_err(|e| format!("{file}: {e}"))?;
        if script.search_path.is_none() {
            script.search_path.clone_from(&options.search_path);
        }
        script.settings.extend(options.settings.iter().cloned());
        let name = Path::new(file).file_stem().map_or("query".into(), |stem| stem.to_string_lossy().into_owned());
        if let Err(message) = runner.run_script(&name, &script) {
            runner.report.fail(&name, "", &format!("the file could not be run to its end: {message}"));
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("weir-differential: {message}");
            ExitCode::FAILURE
        }
    }
}
