//! Seeded traces of a server, its log and its crashes against the mirrors, compared with a naive model.

mod model;
mod trace;

use super::*;
use crate::mirror::flush::ManifestProposal;
use model::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;
use trace::Trace;
use weir_plan::protocol::ManifestOutcome;

fn memory(store: Arc<object_store::memory::InMemory>) -> Storage {
    Storage { store, prefix: Path::default(), home: String::new(), bucket: None }
}

fn temp() -> (PathBuf, u64) {
    (std::env::temp_dir(), u64::MAX)
}

fn run(seeds: std::ops::Range<u64>, steps: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("starts");
    let workers = 4u64;
    let tasks: Vec<_> = (0..workers)
        .map(|w| {
            let seeds = seeds.clone();
            runtime.spawn(async move {
                for seed in seeds.filter(|s| s % workers == w) {
                    Trace::new(seed).run(steps).await;
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.expect("a trace failed");
        }
    });
}

#[test]
fn mirrors_equal_the_heap_whatever_happens() {
    run(0..1200, 60);
}

#[test]
fn long_traces_compact_and_restart() {
    run(10_000..10_040, 800);
}

/// `WEIR_TRACE_SEEDS=from..to` runs more.
#[test]
fn more_traces_on_demand() {
    if let Some((from, to)) = std::env::var("WEIR_TRACE_SEEDS").ok().as_deref().and_then(|s| s.split_once("..")) {
        run(from.parse().expect("a number")..to.parse().expect("a number"), 100);
    }
}

#[test]
fn a_commit_at_the_caught_up_position_is_not_skipped_after_a_restart() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(1);
        let tables = tables();
        let mirrors = Mirrors::new(memory(Arc::default()), 1 << 20, 1 << 30, temp());
        let mut def = tables[0].def(1, MirrorState::Active);
        def.applied_lsn = 0;
        mirrors.load(def.clone(), 100).await;
        let insert = |key: i64| vec![Change::Insert(vec![Cell::Int(key), Cell::Null, Cell::Null, Cell::Null])];
        for batch in tables[0].messages(&insert(1), &mut rng) {
            mirrors.changes(10, 1, 5, batch.expect("rows"), &[]).expect("fits");
        }
        mirrors.commit(&[(5, 100)], 200).await;
        mirrors.caught_up(200, Some(1)).await;
        let proposal = mirrors.flush(true).await.expect("writes").expect("something");
        let change = proposal.changes[0].clone();
        def.segments = change.add;
        def.applied_lsn = change.applied_lsn;
        let slot = proposal.slot_lsn;
        mirrors.manifest_committed(proposal, ManifestOutcome::Committed).await;
        assert_eq!(slot, 200);
        let again = Mirrors::new(
            Storage { store: Arc::clone(&mirrors.io.store), prefix: Path::default(), home: String::new(), bucket: None },
            1 << 20,
            1 << 30,
            temp(),
        );
        again.load(def, slot).await;
        for batch in tables[0].messages(&insert(2), &mut rng) {
            again.changes(10, 1, 6, batch.expect("rows"), &[]).expect("fits");
        }
        again.commit(&[(6, 200)], 300).await;
        assert_eq!(again.status()[0].live_rows, 2);
    });
}

#[test]
fn a_mirror_that_lost_a_segment_is_copied_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
    runtime.block_on(async {
        let table = &tables()[0];
        let mut def = table.def(1, MirrorState::Active);
        def.segments.push(weir_plan::manifest::SegmentMeta { id: 1, path: "10/1/1.parquet".into(), rows: 5, size_bytes: 1000, deletes: vec![] });
        let mirrors = Mirrors::new(memory(Arc::default()), 1 << 20, 1 << 30, temp());
        mirrors.load(def.clone(), 100).await;
        assert_eq!(mirrors.caught_up(101, Some(1)).await, vec![]);
        let ctx = datafusion::prelude::SessionContext::new();
        let provider = scan::MirrorTable::new(10, mirrors.snapshot().view(10).expect("a mirror"), &[0], Bindings::default());
        assert!(ctx.read_table(Arc::new(provider)).expect("a table").collect().await.is_err());
        assert!(matches!(mirrors.caught_up(102, Some(1)).await.as_slice(), [Event::Resync { relid: 10, generation: 1, .. }]));
        assert!(matches!(mirrors.snapshot().view(10).expect("a mirror").status, Status::Invalid(_)));
        // A damaged definition does not stop the engine either.
        def.segments[0].deletes = vec![1, 2, 3];
        mirrors.load(def, 100).await;
        assert!(matches!(mirrors.caught_up(103, Some(1)).await.as_slice(), [Event::Resync { relid: 10, generation: 1, .. }]));
    });
}

#[test]
fn a_mirror_that_somebody_changes_holds_up_no_other() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(2);
        let table = &tables()[0];
        let limits = flush::Limits { age: Duration::ZERO, ..flush::Limits::within(1 << 30) };
        let mirrors = Mirrors::with_limits(memory(Arc::default()), 1 << 20, limits, temp());
        for (relid, commit) in [(10, 110), (11, 120)] {
            mirrors.load(MirrorDef { relid, ..table.def(1, MirrorState::Active) }, 100).await;
            for batch in table.messages(&[Change::Insert(vec![Cell::Int(1), Cell::Null, Cell::Null, Cell::Null])], &mut rng) {
                mirrors.changes(relid, 1, relid, batch.expect("rows"), &[]).expect("fits");
            }
            mirrors.commit(&[(relid, commit)], commit + 1).await;
        }
        let relids = |p: &ManifestProposal| p.changes.iter().map(|c| c.relid).collect::<std::collections::BTreeSet<_>>();
        let both = mirrors.flush(false).await.expect("writes").expect("something");
        assert_eq!(relids(&both), [10, 11].into());
        mirrors.manifest_committed(both, ManifestOutcome::Busy { relid: 10 }).await;
        let other = mirrors.flush(false).await.expect("writes").expect("something");
        assert_eq!(relids(&other), [11].into());
        assert!(other.slot_lsn <= 110);
        mirrors.manifest_committed(other, ManifestOutcome::Committed).await;
        assert!(mirrors.flush(false).await.expect("writes").is_none());
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let late = mirrors.flush(false).await.expect("writes").expect("something");
        assert_eq!(relids(&late), [10].into());
        assert_eq!(late.slot_lsn, 121);
        mirrors.manifest_committed(late, ManifestOutcome::Committed).await;
    });
}

/// The catalog still names its manifest, so whoever starts anew by that needs the log from there.
#[test]
fn the_slot_waits_for_a_mirror_that_is_given_up_to_be_dropped() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(4);
        let table = &tables()[0];
        let mirrors = Mirrors::new(memory(Arc::default()), 1 << 20, 1 << 30, temp());
        for relid in [10, 11, 12] {
            mirrors.load(MirrorDef { relid, ..table.def(1, MirrorState::Active) }, 100).await;
        }
        let mut change = async |relid: u32, xid: u32, at: Lsn| {
            for batch in table.messages(&[Change::Insert(vec![Cell::Int(xid.into()), Cell::Null, Cell::Null, Cell::Null])], &mut rng) {
                mirrors.changes(relid, 1, xid, batch.expect("rows"), &[]).expect("fits");
            }
            mirrors.commit(&[(xid, at)], at + 5).await;
        };
        let flush = async || {
            let proposal = mirrors.flush(true).await.expect("writes").expect("something");
            let slot = proposal.slot_lsn;
            mirrors.manifest_committed(proposal, ManifestOutcome::Committed).await;
            slot
        };
        change(10, 1, 110).await;
        assert_eq!(flush().await, 115);
        mirrors.invalidate(11, "somebody says so").await;
        change(10, 2, 120).await;
        assert_eq!(flush().await, 115);
        mirrors.drop_mirror(11).await;
        change(10, 3, 130).await;
        assert_eq!(flush().await, 135);
        // The same of one that could not be loaded.
        let mut damaged = MirrorDef { relid: 12, ..table.def(2, MirrorState::Active) };
        damaged.segments.push(weir_plan::manifest::SegmentMeta { id: 1, path: "12/2/1.parquet".into(), rows: 5, size_bytes: 1000, deletes: vec![1, 2, 3] });
        mirrors.load(damaged, 135).await;
        change(10, 4, 140).await;
        assert_eq!(flush().await, 135);
        mirrors.drop_mirror(12).await;
        change(10, 5, 150).await;
        assert_eq!(flush().await, 155);
    });
}

#[test]
fn little_is_kept_for_a_copy_that_is_not_under_way() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(3);
        let table = &tables()[0];
        let mirrors = Mirrors::new(memory(Arc::default()), 1 << 20, 1 << 30, temp());
        mirrors.load(table.def(1, MirrorState::Copying), 100).await;
        let mut at = 100;
        let mut change = async |xids: std::ops::Range<u32>| {
            for xid in xids {
                for batch in table.messages(&[Change::Insert(vec![Cell::Int(xid.into()), Cell::Null, Cell::Null, Cell::Null])], &mut rng) {
                    mirrors.changes(10, 1, xid, batch.expect("rows"), &[]).expect("fits");
                }
                at += 10;
                mirrors.commit(&[(xid, at)], at + 5).await;
            }
            at
        };
        let slot = async || mirrors.flush(false).await.expect("writes").expect("something").slot_lsn;
        // No copy has begun yet.
        let end = change(1000..1200).await;
        assert!(slot().await > end - 1000);
        // One has: whatever it does not see is kept, until it is lost.
        let snapshot = PgSnapshot { xmin: 1200, xmax: 1200, xip: vec![] };
        let sender = mirrors.copy_begin(10, 1, snapshot, end).await.expect("begins");
        assert!(sender.is_some());
        change(1200..1400).await;
        assert!(slot().await <= end);
        drop(sender);
        let end = change(1400..1600).await;
        assert!(slot().await > end - 1000);
    });
}

#[test]
fn a_copy_that_is_earlier_than_word_of_its_mirror_tries_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
    runtime.block_on(async {
        let table = &tables()[0];
        let mirrors = Mirrors::new(memory(Arc::default()), 1 << 20, 1 << 30, temp());
        let begin = async |generation| {
            let snapshot = PgSnapshot { xmin: 5, xmax: 5, xip: vec![] };
            mirrors.copy_begin(10, generation, snapshot, 100).await.map(|sender| sender.is_some())
        };
        assert!(!begin(1).await.expect("is no error"));
        mirrors.load(table.def(2, MirrorState::Copying), 100).await;
        assert!(begin(1).await.is_err(), "an older one is over");
        assert!(begin(2).await.expect("begins"));
        assert!(!begin(3).await.expect("is no error"));
    });
}

/// One transaction that inserts rows by keys.
fn insert_rows(mirrors: &Mirrors, table: &Relation, xid: u32, keys: std::ops::Range<i64>, rng: &mut StdRng) {
    for keys in keys.collect::<Vec<_>>().chunks(50) {
        let changes: Vec<Change> = keys.iter().map(|key| Change::Insert(vec![Cell::Int(*key), Cell::Null, Cell::Null, Cell::Null])).collect();
        for batch in table.messages(&changes, rng) {
            mirrors.changes(10, 1, xid, batch.expect("rows"), &[]).expect("fits");
        }
    }
}

fn small_limits() -> flush::Limits {
    flush::Limits { waiting_bytes: 10_000, piece_bytes: 20_000, delta_bytes: 10_000, memory_bytes: 50_000, ..flush::Limits::within(1 << 30) }
}

#[test]
fn a_large_transaction_takes_little_memory_and_leaves_no_file() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(4);
        let table = &tables()[0];
        let store = Arc::new(object_store::memory::InMemory::new());
        let mirrors = Mirrors::with_limits(memory(Arc::clone(&store)), 1 << 20, small_limits(), temp());
        mirrors.load(table.def(1, MirrorState::Active), 100).await;
        for (xid, at) in [(5, 110), (6, 120)] {
            insert_rows(&mirrors, table, xid, i64::from(xid) * 10_000..i64::from(xid) * 10_000 + 5000, &mut rng);
            assert!(mirrors.waiting.lock().bytes() <= 10_000 && mirrors.spool.used_bytes() > 50_000);
            if xid == 5 {
                mirrors.abort(xid);
            } else {
                assert_eq!(mirrors.commit(&[(xid, at)], at + 5).await, vec![]);
            }
            assert_eq!((mirrors.waiting.lock().bytes(), mirrors.spool.used_bytes()), (0, 0));
        }
        let status = mirrors.status().remove(0);
        assert!(status.live_rows == 5000 && status.segments > 3 && mirrors.held_bytes.load(Ordering::Relaxed) < 40_000, "{status:?}");
        // The next manifest names what the transaction has written, and a truncation that follows leaves none of it.
        let proposal = mirrors.flush(true).await.expect("writes").expect("something");
        assert_eq!(proposal.changes[0].live_rows, 5000);
        mirrors.manifest_committed(proposal, ManifestOutcome::Committed).await;
        insert_rows(&mirrors, table, 7, 0..5000, &mut rng);
        mirrors.commit(&[(7, 130)], 135).await;
        mirrors.truncate(10, 1, 8).expect("fits");
        mirrors.commit(&[(8, 140)], 145).await;
        let proposal = mirrors.flush(true).await.expect("writes").expect("something");
        mirrors.manifest_committed(proposal, ManifestOutcome::Committed).await;
        mirrors.flush(true).await.expect("writes");
        use futures::TryStreamExt;
        let left: Vec<_> = object_store::ObjectStore::list(store.as_ref(), None).try_collect().await.expect("lists");
        assert_eq!(left.len(), 0, "{left:?}");
    });
}

#[test]
fn changes_that_neither_memory_nor_disk_can_take_end_the_mirror_only() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(5);
        let table = &tables()[0];
        // Without a file up to the limit of memory.
        for (rows, events) in [(300, 0), (5000, 1)] {
            let mirrors = Mirrors::with_limits(memory(Arc::default()), 1 << 20, small_limits(), (std::env::temp_dir(), 0));
            mirrors.load(table.def(1, MirrorState::Active), 100).await;
            insert_rows(&mirrors, table, 5, 0..rows, &mut rng);
            assert!(mirrors.waiting.lock().bytes() <= 50_000);
            let found = mirrors.commit(&[(5, 110)], 115).await;
            assert_eq!(found.len(), events, "{found:?}");
            assert!(found.iter().all(|Event::Resync { reason, .. }| reason.contains("weir.temp_limit")), "{found:?}");
        }
    });
}

#[test]
fn deltas_that_grow_faster_than_flushes_are_bounded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    runtime.block_on(async {
        let mut rng = StdRng::seed_from_u64(6);
        let table = &tables()[0];
        let limits = flush::Limits { deltas_bytes: 30_000, waiting_bytes: usize::MAX, ..small_limits() };
        let mirrors = Mirrors::with_limits(memory(Arc::default()), 1 << 20, limits, temp());
        mirrors.load(table.def(1, MirrorState::Active), 100).await;
        // What a flush writes is left alone.
        insert_rows(&mirrors, table, 4, 1_000_000..1_000_100, &mut rng);
        mirrors.commit(&[(4, 105)], 106).await;
        let proposal = mirrors.flush(true).await.expect("writes").expect("something");
        for xid in 5..40 {
            insert_rows(&mirrors, table, xid, i64::from(xid) * 1000..i64::from(xid) * 1000 + 200, &mut rng);
            assert_eq!(mirrors.commit(&[(xid, u64::from(xid) * 100)], u64::from(xid) * 100 + 5).await, vec![]);
            assert!(mirrors.held_bytes.load(Ordering::Relaxed) <= 50_000);
        }
        mirrors.manifest_committed(proposal, ManifestOutcome::Committed).await;
        assert_eq!(mirrors.status()[0].live_rows, 35 * 200 + 100);
        let last = mirrors.flush(true).await.expect("writes").expect("something");
        assert_eq!(last.changes[0].live_rows, 35 * 200 + 100);
    });
}
