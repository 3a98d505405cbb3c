use super::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const COLUMNS: u16 = 3;

/// A table as a list of (key, values); an update may leave values as they are.
#[derive(Clone, Debug, PartialEq)]
struct Model(Vec<(u8, [u32; COLUMNS as usize])>);

impl Model {
    fn find(&self, key: u8) -> Option<usize> {
        self.0.iter().position(|(k, _)| *k == key)
    }
}

/// Values of a source, through the rows as they came from the log.
fn value(source: Source, column: usize, logged: &[[u32; COLUMNS as usize]], deleted: &[[u32; COLUMNS as usize]]) -> u32 {
    match source {
        Source::Row(r) => logged[r as usize][column],
        Source::Base(b) => deleted[b as usize][column],
    }
}

#[test]
fn the_net_effect_equals_the_changes_one_by_one() {
    for seed in 0..2000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let base = Model((0..rng.random_range(0..6u8)).map(|k| (k, std::array::from_fn(|_| rng.random()))).collect());
        let mut model = base.clone();
        let mut net = Net::new(true);
        let mut logged = Vec::new();
        for _ in 0..rng.random_range(0..30) {
            let key = rng.random_range(0..8u8);
            match rng.random_range(0..10) {
                0 if rng.random_range(0..4) == 0 => {
                    model.0.clear();
                    net.truncate();
                }
                0..=3 => {
                    if model.find(key).is_none() {
                        let values = std::array::from_fn(|_| rng.random());
                        model.0.push((key, values));
                        net.insert(key, [], None).expect("consistent");
                        logged.push(values);
                    }
                }
                4..=6 => {
                    if let Some(at) = model.find(key) {
                        model.0.remove(at);
                        net.delete(key).expect("consistent");
                    }
                }
                _ => {
                    let new_key = if rng.random() { key } else { rng.random_range(0..8) };
                    if let Some(at) = model.find(key)
                        && (new_key == key || model.find(new_key).is_none())
                    {
                        let unchanged: Vec<u16> = (0..COLUMNS).filter(|_| rng.random()).collect();
                        let new: [u32; COLUMNS as usize] = std::array::from_fn(|_| rng.random());
                        let mut row = new;
                        for &c in &unchanged {
                            row[c as usize] = model.0[at].1[c as usize];
                        }
                        model.0[at] = (new_key, row);
                        let old = net.delete(key).expect("consistent");
                        net.insert(new_key, unchanged.iter().copied(), Some(old)).expect("consistent");
                        // What the log does not have is garbage here.
                        logged.push(new);
                    }
                }
            }
        }
        let deleted: Vec<_> = net.base_deletes().iter().map(|k| base.0[base.find(*k).expect("in the base")].1).collect();
        let mut result: Vec<_> = if net.truncated() { vec![] } else { base.0.iter().filter(|(k, _)| !net.base_deletes().contains(k)).copied().collect() };
        for row in (0..net.rows() as u32).filter(|r| net.is_live(*r)) {
            let mut values = logged[row as usize];
            for (r, c, source) in net.patches() {
                if r == row {
                    values[c as usize] = value(source, c as usize, &logged, &deleted);
                }
            }
            result.push((*net.key(row).expect("a row"), values));
        }
        assert_eq!(net.live_rows(), result.len() - if net.truncated() { 0 } else { base.0.len() - net.base_deletes().len() });
        result.sort_unstable();
        model.0.sort_unstable();
        assert_eq!(result, model.0, "seed {seed}");
    }
}

#[test]
fn equal_rows_go_one_at_a_time() {
    let mut net = Net::new(false);
    net.insert("a", [], None).expect("fits");
    net.insert("a", [], None).expect("fits");
    assert!(matches!(net.delete("a"), Ok(Source::Row(_))));
    assert!(matches!(net.delete("a"), Ok(Source::Row(_))));
    assert_eq!(net.delete("a"), Ok(Source::Base(0)));
    assert_eq!(net.delete("a"), Ok(Source::Base(1)));
}

#[test]
fn contradictions_are_noticed() {
    let mut net = Net::new(true);
    net.delete(1).expect("in the base");
    net.insert(1, [], None).expect("fits");
    assert_eq!(net.insert(1, [], None), Err(Conflict::DuplicateKey));
    let mut net = Net::new(true);
    net.truncate();
    assert_eq!(net.delete(1), Err(Conflict::DeletedAfterTruncate));
    assert_eq!(net.insert(1, [0], None), Err(Conflict::NoOldRow));
}

#[test]
fn many_equal_rows_take_linear_time() {
    const ROWS: u32 = 300_000;
    let mut net = Net::new(false);
    net.delete(1).expect("in the base");
    for _ in 0..ROWS {
        net.insert(1, [], None).expect("fits");
    }
    for _ in 0..ROWS {
        assert!(matches!(net.delete(1), Ok(Source::Row(_))));
    }
    assert_eq!(net.delete(1), Ok(Source::Base(1)));
    assert_eq!(net.live_rows(), 0);
}
