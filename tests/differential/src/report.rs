//! What came out: counts, reasons, failures. Failures are also written as files, so that they can be run again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::compare::summary;
use crate::wire::Answer;

const REASONS_SHOWN: usize = 60;
const FAILURES_SHOWN: usize = 40;
const REASON_LENGTH: usize = 160;

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub statements: usize,
    pub passed: usize,
    pub failed: usize,
    pub routed: usize,
    pub fell_back: usize,
    pub refused: usize,
    pub errors: usize,
    pub unstable: usize,
}

pub struct Report {
    pub counts: Counts,
    reasons: BTreeMap<String, usize>,
    failures: Vec<(String, String)>,
    out: PathBuf,
}

impl Report {
    /// `out` is the directory for failing queries; it is created when the first one fails.
    pub fn new(out: &Path) -> Self {
        Self { counts: Counts::default(), reasons: BTreeMap::new(), failures: Vec::new(), out: out.to_path_buf() }
    }

    pub fn reason(&mut self, kind: &str, reason: &str) {
        let mut text = format!("{kind}: {}", reason.trim());
        if let Some((at, _)) = text.char_indices().nth(REASON_LENGTH) {
            text.truncate(at);
        }
        *self.reasons.entry(text).or_default() += 1;
    }

    pub fn fail(&mut self, id: &str, sql: &str, what: &str) {
        self.counts.failed += 1;
        let text = format!("{what}\n{sql}");
        if std::fs::create_dir_all(&self.out).is_ok() {
            let file: String = id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let commented: String = what.lines().map(|line| format!("-- {line}\n")).collect();
            // A failure that cannot be kept is still printed.
            let _ = std::fs::write(self.out.join(format!("{file}.sql")), format!("-- {id}\n{commented}{sql};\n"));
        }
        if self.failures.len() < FAILURES_SHOWN {
            println!("FAILED {id}\n  {}\n", text.replace('\n', "\n  "));
        }
        self.failures.push((id.to_string(), text));
    }

    /// The line after a file or a batch: what was counted since `before`.
    pub fn progress(&self, name: &str, before: Counts) {
        let now = self.counts;
        println!(
            "{name}: {} statements, {} routed, {} fell back, {} refused, {} errors alike, {} unstable, {} failed",
            now.statements - before.statements,
            now.routed - before.routed,
            now.fell_back - before.fell_back,
            now.refused - before.refused,
            now.errors - before.errors,
            now.unstable - before.unstable,
            now.failed - before.failed,
        );
    }

    /// The summary; the last line is read by tests/run.sh. Whether all is well.
    pub fn finish(&self) -> bool {
        if !self.reasons.is_empty() {
            println!("not answered by the engine, by reason:");
            let mut reasons: Vec<_> = self.reasons.iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (reason, count) in reasons.iter().take(REASONS_SHOWN) {
                println!("{count:>7}  {reason}");
            }
        }
        if self.failures.len() > FAILURES_SHOWN {
            println!("{} more failures, in {}:", self.failures.len() - FAILURES_SHOWN, self.out.display());
            for (id, text) in self.failures.iter().skip(FAILURES_SHOWN) {
                println!("  {id}: {}", text.lines().next().unwrap_or(""));
            }
        }
        self.progress("total", Counts::default());
        println!("differential: {} passed, {} failed", self.counts.passed, self.counts.failed);
        self.counts.failed == 0
    }
}

/// Both answers in one line, for the head of a failure.
pub fn both(postgres: &Answer, weir: &Answer) -> String {
    format!("postgres: {}; weir: {}", summary(postgres), summary(weir))
}
