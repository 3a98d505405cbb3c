//! One trace: a server with open transactions and a log, a worker that decodes it and keeps the catalog, and the engine under test.

use super::*;
use crate::mirror::flush::{Limits, ManifestProposal};
use crate::mirror::scan::{Bindings, MirrorTable};
use crate::mirror::table::Status;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore as _;
use object_store::memory::InMemory;
use std::collections::BTreeMap;
use std::time::Duration;
use weir_plan::manifest::SegmentMeta;
use weir_plan::protocol::ManifestOutcome;

type Heap = BTreeMap<u32, Vec<Row>>;

struct Committed {
    xid: u32,
    commit_lsn: Lsn,
    end_lsn: Lsn,
    changes: BTreeMap<u32, Vec<Change>>,
    /// (relid, attnum)
    poisoned: Vec<(u32, i16)>,
    /// A column was added to this table, after so many of its changes.
    added: Option<(u32, usize)>,
    /// How many columns each table has afterwards.
    widths: BTreeMap<u32, usize>,
    after: Arc<Heap>,
}

struct Copy {
    generation: i64,
    rows: Vec<Row>,
    sent: usize,
    begun: bool,
    sender: Option<CopySender>,
    snapshot: PgSnapshot,
    lsn: Lsn,
}

/// Segments of another server, and of another database.
fn others() -> impl Iterator<Item = &'static str> {
    ["weir/db/elsewhere/10/1/1.parquet", "weir/db/10/1/2.parquet", "weir/other/home/10/1/3.parquet"].into_iter()
}

fn widths(tables: &[Relation]) -> BTreeMap<u32, usize> {
    tables.iter().map(|t| (t.relid, t.columns.len())).collect()
}

/// The rows that each table held under a snapshot.
type Pinned = (Snapshot, Vec<(u32, Vec<Row>)>);

pub struct Trace {
    seed: u64,
    rng: StdRng,
    tables: Vec<Relation>,
    /// What older rows have in added columns.
    fillers: BTreeMap<(u32, usize), Cell>,
    // The server.
    log: Vec<Committed>,
    insert_lsn: Lsn,
    next_xid: u32,
    open: Vec<u32>,
    // The worker's catalog: committed state.
    catalog: BTreeMap<u32, MirrorDef>,
    generation: i64,
    slot: Lsn,
    // The worker's process.
    decoded: usize,
    decoding: Lsn,
    /// Transactions in the log when the engine started; others see them all by now.
    settled: usize,
    copies: BTreeMap<u32, Copy>,
    // The engine.
    store: Arc<InMemory>,
    mirrors: Arc<Mirrors>,
    proposal: Option<ManifestProposal>,
    pinned: Vec<Pinned>,
}

fn engine(store: &Arc<InMemory>, rng: &mut StdRng) -> Arc<Mirrors> {
    // Transactions that are applied at once, and such that are in pieces, from memory and from files.
    let waiting_bytes = if rng.random() { usize::MAX } else { rng.random_range(0..5_000) };
    let limits = Limits {
        deltas_bytes: rng.random_range(1..50_000),
        waiting_bytes,
        piece_bytes: rng.random_range(1..5_000),
        index_bytes: rng.random_range(0..10_000),
        memory_bytes: usize::MAX,
        row_group_bytes: rng.random_range(1..10_000),
        delta_bytes: rng.random_range(1..100_000),
        age: Duration::from_millis(rng.random_range(0..3)),
        segment_rows: rng.random_range(5..60),
        row_group_rows: rng.random_range(3..30),
        small_rows: rng.random_range(1..10),
        fan_in: rng.random_range(2..5),
        rewrite_rows: rng.random_range(10..1000),
    };
    let storage = Storage { store: Arc::clone(store) as _, prefix: Path::from("weir/db"), home: "home/".into(), bucket: None };
    Mirrors::with_limits(storage, rng.random_range(0..100_000), limits, super::temp())
}

impl Trace {
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let store = Arc::new(InMemory::new());
        let mirrors = engine(&store, &mut rng);
        let heap = tables().iter().map(|t| (t.relid, vec![])).collect();
        let first = Committed {
            xid: 3,
            commit_lsn: 1,
            end_lsn: 8,
            changes: BTreeMap::new(),
            poisoned: vec![],
            added: None,
            widths: widths(&tables()),
            after: Arc::new(heap),
        };
        Trace {
            seed,
            rng,
            tables: tables(),
            fillers: BTreeMap::new(),
            log: vec![first],
            insert_lsn: 8,
            next_xid: 100,
            open: vec![],
            catalog: BTreeMap::new(),
            generation: 0,
            slot: 8,
            decoded: 1,
            decoding: 8,
            settled: 1,
            copies: BTreeMap::new(),
            store,
            mirrors,
            proposal: None,
            pinned: vec![],
        }
    }

    pub async fn run(&mut self, steps: usize) {
        for other in others() {
            object_store::ObjectStoreExt::put(&*self.store, &Path::from(other), "theirs".into()).await.expect("writes");
        }
        for _ in 0..self.rng.random_range(0..10) {
            self.transaction().await;
        }
        for _ in 0..steps {
            match self.rng.random_range(0..100) {
                0..30 => self.transaction().await,
                30..35 => {
                    let xid = self.new_xid();
                    self.open.push(xid);
                }
                35..60 => self.decode_some().await,
                60..65 => self.caught_up().await,
                65..72 => self.follow().await,
                72..84 => self.copy_step().await,
                84..92 => self.flush().await,
                92..95 => self.check().await,
                95..97 => self.pin().await,
                97 => self.unpin().await,
                98 => self.restart().await,
                _ => self.drop_one().await,
            }
        }
        while self.decoded < self.log.len() {
            self.decode_some().await;
        }
        while !self.copies.is_empty() {
            self.copy_step().await;
        }
        self.caught_up().await;
        self.check().await;
        while !self.pinned.is_empty() {
            self.unpin().await;
        }
        self.flush().await;
        self.settle(true).await;
        self.restart().await;
        while self.decoded < self.log.len() {
            self.decode_some().await;
        }
        self.caught_up().await;
        self.check().await;
    }

    // The server.

    fn new_xid(&mut self) -> u32 {
        self.next_xid += self.rng.random_range(1..3);
        self.next_xid
    }

    fn heap(&self) -> Arc<Heap> {
        Arc::clone(&self.log.last().expect("never empty").after)
    }

    async fn transaction(&mut self) {
        let xid = if !self.open.is_empty() && self.rng.random() {
            let at = self.rng.random_range(0..self.open.len());
            self.open.swap_remove(at)
        } else {
            self.new_xid()
        };
        let mut heap = (*self.heap()).clone();
        let mut changes: BTreeMap<u32, Vec<Change>> = BTreeMap::new();
        let mut poisoned = vec![];
        let big = self.rng.random_range(0..10) == 0;
        let count = self.rng.random_range(1..if big { 60 } else { 8 });
        let add_at = if self.rng.random_range(0..12) == 0 { self.rng.random_range(0..count) } else { count };
        let mut added = None;
        for i in 0..count {
            if i == add_at {
                added = self.add_column(&mut heap, &changes).await;
            }
            let table = self.tables[self.rng.random_range(0..self.tables.len())].clone();
            let rows = heap.get_mut(&table.relid).expect("a table");
            if let Some(change) = random_change(&table, rows, &mut self.rng) {
                changes.entry(table.relid).or_default().push(change);
                if self.rng.random_range(0..200) == 0 {
                    poisoned.push((table.relid, table.columns[table.columns.len() - 1].attnum));
                }
            }
        }
        let commit_lsn = self.insert_lsn + self.rng.random_range(0..3) * 8;
        let end_lsn = commit_lsn + 8 * self.rng.random_range(1..3);
        self.insert_lsn = end_lsn;
        self.log.push(Committed { xid, commit_lsn, end_lsn, changes, poisoned, added, widths: widths(&self.tables), after: Arc::new(heap) });
    }

    /// As ALTER TABLE and the event trigger do it; both commit with the transaction.
    async fn add_column(&mut self, heap: &mut Heap, changes: &BTreeMap<u32, Vec<Change>>) -> Option<(u32, usize)> {
        let at = self.rng.random_range(0..self.tables.len());
        let table = &mut self.tables[at];
        let (relid, width) = (table.relid, table.columns.len());
        if width >= 7 || table.key == weir_plan::manifest::Key::FullRow {
            return None;
        }
        let value = table.add_column(&mut self.rng);
        let columns = table.columns.clone();
        for row in heap.get_mut(&relid).expect("a table") {
            row.push(value.clone());
        }
        self.fillers.insert((relid, width), value);
        match self.catalog.get_mut(&relid) {
            Some(def) if def.state == MirrorState::Active => def.columns.extend_from_slice(&columns[width..]),
            Some(_) => {
                self.catalog.remove(&relid);
                self.copies.remove(&relid);
                self.mirrors.drop_mirror(relid).await;
            }
            None => {}
        }
        Some((relid, changes.get(&relid).map_or(0, Vec::len)))
    }

    // The worker.

    async fn decode_some(&mut self) {
        for _ in 0..self.rng.random_range(1..6) {
            let Some(transaction) = self.log.get(self.decoded) else { return };
            let widths = &self.log[self.decoded - 1].widths;
            let nothing = vec![];
            let added = transaction.added.filter(|(relid, _)| !transaction.changes.contains_key(relid)).map(|(relid, _)| (relid, &nothing));
            for (relid, changes) in transaction.changes.iter().map(|(relid, changes)| (*relid, changes)).chain(added) {
                let relid = &relid;
                let Some(def) = self.catalog.get(relid) else { continue };
                let newest = self.tables.iter().find(|t| t.relid == *relid).expect("a table");
                let mut table = newest.narrow(widths[relid]);
                if def.columns.iter().skip(widths[relid]).any(|c| c.before.is_none()) {
                    // From before the copy, in another shape: the worker does not send that.
                    assert!(def.state == MirrorState::Active && transaction.commit_lsn <= def.applied_lsn, "seed {}", self.seed);
                    continue;
                }
                let poisoned: Vec<i16> = transaction.poisoned.iter().filter(|p| p.0 == *relid).map(|p| p.1).collect();
                if self.rng.random_range(0..10) == 0 {
                    // A transaction that is rolled back after some of it was sent.
                    let row = table.random_row(&mut self.rng);
                    self.mirrors
                        .changes(*relid, def.generation, 9, table.messages(&[Change::Insert(row)], &mut self.rng)[0].clone().expect("rows"), &[])
                        .expect("fits");
                    self.mirrors.abort(9);
                }
                let add_at = transaction.added.filter(|(to, _)| to == relid).map(|(_, at)| at);
                let (first, rest) = changes.split_at(add_at.unwrap_or(changes.len()));
                for (changes, last) in [(first, false), (rest, true)] {
                    if last && add_at.is_some() {
                        table = newest.narrow(transaction.widths[relid]);
                        // The columns as the catalog has them: those of a copy made since are no additions.
                        let columns = def.columns.iter().zip(&table.columns).map(|(c, _)| c.clone()).collect();
                        let events = self.mirrors.add_columns(*relid, def.generation, columns).await;
                        assert_eq!(events, vec![], "seed {}", self.seed);
                    }
                    for message in table.messages(changes, &mut self.rng) {
                        match message {
                            Some(batch) => self.mirrors.changes(*relid, def.generation, transaction.xid, batch, &poisoned).expect("fits"),
                            None => self.mirrors.truncate(*relid, def.generation, transaction.xid).expect("fits"),
                        }
                    }
                }
            }
            let events = self.mirrors.commit(&[(transaction.xid, transaction.commit_lsn)], transaction.end_lsn).await;
            assert_eq!(events, vec![], "seed {}", self.seed);
            self.decoding = self.decoding.max(transaction.end_lsn);
            self.decoded += 1;
        }
    }

    async fn caught_up(&mut self) {
        // At most the start of the next commit.
        let limit = self.log.get(self.decoded).map_or(self.insert_lsn, |next| next.commit_lsn);
        let lsn = if self.rng.random() { limit } else { self.decoding };
        self.decoding = self.decoding.max(lsn);
        let events = self.mirrors.caught_up(lsn, None).await;
        assert_eq!(events, vec![], "seed {}", self.seed);
    }

    /// Starts a mirror.
    async fn follow(&mut self) {
        let table = self.tables[self.rng.random_range(0..self.tables.len())].clone();
        if self.catalog.contains_key(&table.relid) {
            return;
        }
        // What is decoded before may have fewer columns.
        while self.decoded < self.log.len() {
            self.decode_some().await;
        }
        self.generation += 1;
        let def = table.def(self.generation, MirrorState::Copying);
        self.mirrors.load(def.clone(), self.decoding).await;
        self.catalog.insert(table.relid, def);
        self.copies.insert(table.relid, self.new_copy(self.generation));
    }

    fn new_copy(&self, generation: i64) -> Copy {
        Copy { generation, rows: vec![], sent: 0, begun: false, sender: None, snapshot: PgSnapshot::default(), lsn: 0 }
    }

    async fn copy_step(&mut self) {
        let Some((&relid, _)) = self.copies.iter().nth(self.rng.random_range(0..self.copies.len().max(1))) else { return };
        let table = self.tables.iter().find(|t| t.relid == relid).expect("a table").clone();
        let mut copy = self.copies.remove(&relid).expect("a copy");
        if !copy.begun {
            // The last few commits may be in the log and not yet be seen by others.
            let late = if self.rng.random_range(0..3) == 0 { self.rng.random_range(0..3).min(self.log.len() - self.settled) } else { 0 };
            let seen = self.log.len() - late;
            let mut xip = self.open.clone();
            xip.extend(self.log[seen..].iter().map(|t| t.xid));
            copy.snapshot = PgSnapshot { xmin: xip.iter().copied().min().unwrap_or(self.next_xid + 1), xmax: self.next_xid + 1, xip };
            copy.lsn = self.insert_lsn;
            copy.rows = self.log[seen - 1].after[&relid].clone();
            copy.sent = 0;
            // The log goes on between the snapshot and its announcement.
            if self.rng.random() {
                self.transaction().await;
                self.decode_some().await;
                if !self.catalog.contains_key(&relid) {
                    // A column was added, so there is no such copy any more.
                    return;
                }
            }
            copy.sender = self.mirrors.copy_begin(relid, copy.generation, copy.snapshot.clone(), copy.lsn).await.expect("begins");
            copy.begun = copy.sender.is_some();
        } else if copy.sent < copy.rows.len() {
            if self.rng.random_range(0..10) == 0 {
                // The connection is lost; the copy is begun again.
                copy.begun = false;
                copy.sender = None;
            } else {
                let n = self.rng.random_range(1..=copy.rows.len() - copy.sent);
                let rows = &copy.rows[copy.sent..copy.sent + n];
                self.mirrors.copy_batch(relid, copy.generation, table.batch(rows), &[]).await.expect("copies");
                copy.sent += n;
            }
        } else {
            self.mirrors.copy_end(relid, copy.generation).await.unwrap_or_else(|e| panic!("seed {}: {e}", self.seed));
            return;
        }
        self.copies.insert(relid, copy);
    }

    async fn flush(&mut self) {
        if self.proposal.is_some() {
            let ok = self.rng.random_range(0..5) != 0;
            self.settle(ok).await;
            return;
        }
        let force = self.rng.random();
        self.proposal = self.mirrors.flush(force).await.unwrap_or_else(|e| panic!("seed {}: {e}", self.seed));
        if self.rng.random() {
            let ok = self.rng.random_range(0..5) != 0;
            self.settle(ok).await;
        }
    }

    async fn settle(&mut self, ok: bool) {
        if let Some(proposal) = self.proposal.take() {
            if ok {
                self.commit_manifest(&proposal);
            }
            let refused = if self.rng.random() { ManifestOutcome::Refused } else { ManifestOutcome::Busy { relid: 10 } };
            let outcome = if ok { ManifestOutcome::Committed } else { refused };
            assert_eq!(self.mirrors.manifest_committed(proposal, outcome).await, vec![]);
        }
    }

    fn commit_manifest(&mut self, proposal: &ManifestProposal) {
        for change in &proposal.changes {
            let Some(def) = self.catalog.get_mut(&change.relid).filter(|d| d.generation == change.generation) else { continue };
            def.state = change.state;
            assert!(def.applied_lsn <= change.applied_lsn);
            def.applied_lsn = change.applied_lsn;
            def.poisoned = change.poisoned.clone();
            let before = def.segments.len();
            def.segments.retain(|s| !change.remove.contains(&s.id));
            assert_eq!(before - def.segments.len(), change.remove.len(), "removes what is there");
            for (id, deletes) in &change.deletes {
                def.segments.iter_mut().find(|s| s.id == *id).expect("a segment").deletes.clone_from(deletes);
            }
            assert!(change.add.iter().all(|a: &SegmentMeta| def.segments.iter().all(|s| s.id != a.id)));
            def.segments.extend(change.add.iter().cloned());
        }
        self.slot = self.slot.max(proposal.slot_lsn);
    }

    /// Everything in memory is lost.
    async fn restart(&mut self) {
        if let Some(proposal) = self.proposal.take()
            && self.rng.random()
        {
            // Committed, but the engine never hears of it.
            self.commit_manifest(&proposal);
        }
        self.proposal = None;
        self.pinned.clear();
        self.mirrors = engine(&self.store, &mut self.rng);
        self.copies.clear();
        self.decoding = self.slot;
        self.settled = self.log.len();
        self.decoded = self.log.iter().position(|t| t.commit_lsn >= self.slot).unwrap_or(self.log.len());
        let defs: Vec<MirrorDef> = self.catalog.values().cloned().collect();
        for def in defs {
            if def.state == MirrorState::Copying {
                if self.log[self.decoded - 1].widths[&def.relid] < def.columns.len() {
                    // The worker decodes what has another shape before it loads the mirror.
                    self.catalog.remove(&def.relid);
                    continue;
                }
                self.copies.insert(def.relid, self.new_copy(def.generation));
            }
            self.mirrors.load(def, self.decoding).await;
        }
        self.mirrors.collect_orphans().await.expect("lists");
        segment::collect_garbage(&self.mirrors.io, &mut *self.mirrors.garbage.lock().await).await;
        // What a manifest names is there, and nothing else but what others have.
        let named = self.catalog.values().flat_map(|d| d.segments.iter().map(|s| format!("weir/db/{}", s.path)));
        let named: std::collections::BTreeSet<String> = named.chain(others().map(String::from)).collect();
        let files: Vec<_> = futures::TryStreamExt::try_collect(self.store.list(None)).await.expect("lists");
        let files: std::collections::BTreeSet<String> = files.into_iter().map(|f: object_store::ObjectMeta| f.location.to_string()).collect();
        assert_eq!(files, named, "seed {}", self.seed);
    }

    async fn drop_one(&mut self) {
        if let Some((&relid, _)) = self.catalog.iter().next()
            && self.rng.random()
        {
            self.catalog.remove(&relid);
            self.copies.remove(&relid);
            self.mirrors.drop_mirror(relid).await;
        }
    }

    // Checks.

    /// The rows of a table, with as many columns as its mirror has: after a start it may have some before they are added.
    fn expected(&self, relid: u32, width: usize) -> Vec<Row> {
        let mut rows = self.log[self.decoded - 1].after[&relid].clone();
        for row in &mut rows {
            assert!(row.len() <= width, "seed {} table {relid} lacks columns", self.seed);
            row.extend((row.len()..width).map(|c| self.fillers[&(relid, c)].clone()));
        }
        rows.sort();
        rows
    }

    async fn check(&mut self) {
        let snapshot = self.mirrors.snapshot();
        for table in self.tables.clone() {
            let Some(view) = snapshot.view(table.relid) else { continue };
            match &view.status {
                Status::Active { from } if *from <= snapshot.lsn() => {}
                Status::Invalid(reason) => panic!("seed {}: {reason}", self.seed),
                _ => continue,
            }
            let partitions = self.rng.random_range(1..4);
            let rows = read(&table, &snapshot, partitions, self.rng.random_range(1..50)).await;
            assert_eq!(rows, self.expected(table.relid, view.layout.columns.len()), "seed {} table {}", self.seed, table.relid);
            assert_eq!(view.live_rows, rows.len() as u64);
        }
    }

    async fn pin(&mut self) {
        let snapshot = self.mirrors.snapshot();
        let mut contents = vec![];
        for table in &self.tables {
            if let Some(view) = snapshot.view(table.relid)
                && matches!(view.status, Status::Active { from } if from <= snapshot.lsn())
            {
                contents.push((table.relid, self.expected(table.relid, view.layout.columns.len())));
            }
        }
        self.pinned.push((snapshot, contents));
    }

    async fn unpin(&mut self) {
        let Some((snapshot, contents)) = self.pinned.pop() else { return };
        for (relid, expected) in contents {
            let table = self.tables.iter().find(|t| t.relid == relid).expect("a table").clone();
            assert_eq!(read(&table, &snapshot, 2, 10).await, expected, "seed {} pinned table {relid}", self.seed);
        }
    }
}

/// All rows in order, through the execution of a scan.
async fn read(table: &Relation, snapshot: &Snapshot, partitions: usize, batch_rows: usize) -> Vec<Row> {
    let view = snapshot.view(table.relid).expect("a mirror");
    let table = table.narrow(view.layout.columns.len());
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let provider = MirrorTable::new(0, Arc::clone(&view), &columns, Bindings::default());
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(partitions).with_batch_size(batch_rows));
    let batches = ctx.read_table(Arc::new(provider)).expect("a table").collect().await.expect("reads");
    let mut rows: Vec<Row> = batches.iter().flat_map(|b| table.rows(&view.layout, b)).collect();
    rows.sort();
    rows
}

fn random_change(table: &Relation, rows: &mut Vec<Row>, rng: &mut StdRng) -> Option<Change> {
    let unique = table.key != weir_plan::manifest::Key::FullRow;
    match rng.random_range(0..100) {
        0 => {
            rows.clear();
            Some(Change::Truncate)
        }
        1..40 => {
            let row = table.random_row(rng);
            if unique && rows.iter().any(|r| table.same_key(r, &row)) {
                return None;
            }
            rows.push(row.clone());
            Some(Change::Insert(row))
        }
        _ if rows.is_empty() => None,
        40..60 => {
            let at = rng.random_range(0..rows.len());
            Some(Change::Delete(rows.swap_remove(at)))
        }
        _ => {
            let at = rng.random_range(0..rows.len());
            let old = rows[at].clone();
            let mut new = old.clone();
            for (c, cell) in new.iter_mut().enumerate() {
                let is_key = unique && table.key_columns().contains(&c);
                if rng.random_range(0..if is_key { 6 } else { 2 }) == 0 {
                    *cell = table.random_cell(c, rng);
                }
            }
            if unique && !table.same_key(&old, &new) && rows.iter().any(|r| table.same_key(r, &new)) {
                return None;
            }
            let unchanged = table.toasted.iter().copied().filter(|&c| old[c] == new[c] && old[c] != Cell::Null && rng.random()).collect();
            rows[at] = new.clone();
            Some(Change::Update { old, new, unchanged })
        }
    }
}
