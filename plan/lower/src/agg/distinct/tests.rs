use super::*;
use arrow::array::{BinaryViewArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array, StringViewArray, StructArray};

fn groups(values: &ArrayRef) -> Groups {
    let ty = values.data_type().clone();
    let form = Form::of(&ty).expect("can be told apart");
    Groups::new(ty, form)
}

fn counts(array: &ArrayRef) -> Vec<i64> {
    array.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
}

fn counted(g: &mut Groups, emit: EmitTo) -> Vec<i64> {
    counts(&g.evaluate(emit).expect("evaluates"))
}

const LONG: &str = "a text of more than twelve bytes";

/// Seven values, of which the last two are NULL, the first, the third and the fourth are equal.
fn columns() -> Vec<ArrayRef> {
    let texts = Arc::new(StringViewArray::from(vec![Some("a"), Some(""), Some("a"), Some("a"), Some("a\0"), None, None]));
    let longs = Arc::new(StringViewArray::from(vec![Some(LONG), Some("text"), Some(LONG), Some(LONG), Some("a text of more than twelve bytes."), None, None]));
    let ints = Arc::new(Int32Array::from(vec![Some(1), Some(0), Some(1), Some(1), Some(-1), None, None]));
    let floats = Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(0.0), Some(f64::NAN), Some(f64::NAN), Some(0.5), None, None]));
    let wide = Decimal128Array::from(vec![Some(1 << 90), Some(0), Some(1 << 90), Some(1 << 90), Some(-1), None, None]);
    let wide = Arc::new(wide.with_precision_and_scale(30, 4).expect("fits"));
    let bytes = Arc::new(BinaryViewArray::from(vec![Some(&b"\xff"[..]), Some(b""), Some(b"\xff"), Some(b"\xff"), Some(b"\xff\xff"), None, None]));
    let uuids = vec![Some([1u8; 16]), Some([0; 16]), Some([1; 16]), Some([1; 16]), Some([2; 16]), None, None];
    let uuids = Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.into_iter(), 16).expect("uuids"));
    let bools = Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), Some(true), Some(false), None, None]));
    let fields = vec![Field::new("a", DataType::Utf8View, true), Field::new("b", DataType::Int32, true)];
    let valid = arrow::buffer::NullBuffer::from(vec![true, true, true, true, true, false, false]);
    let pairs = Arc::new(StructArray::new(fields.into(), vec![longs.clone(), ints.clone()], Some(valid)));
    let items = StringViewArray::from(vec![Some("x"), None, Some("x"), None, Some("x"), None, Some("y")]);
    let offsets = OffsetBuffer::<i32>::from_lengths([2, 0, 2, 2, 1, 0, 0]);
    let valid = arrow::buffer::NullBuffer::from(vec![true, true, true, true, true, false, false]);
    let lists = ListArray::new(Arc::new(Field::new_list_field(DataType::Utf8View, true)), offsets, Arc::new(items), Some(valid));
    vec![texts, longs, ints, floats, wide, bytes, uuids, bools, pairs, Arc::new(lists)]
}

#[test]
fn equal_values_of_a_group_count_once_and_nulls_do_not() {
    for values in columns() {
        let mut g = groups(&values);
        g.update_batch(std::slice::from_ref(&values), &[0, 0, 0, 2, 2, 2, 1], None, 4).expect("updates");
        assert_eq!(counted(&mut g, EmitTo::All), [2, 0, 2, 0], "{}", values.data_type());
        assert_eq!(counted(&mut g, EmitTo::All), [0; 0]);
        // The rows of a slice are counted from where it begins.
        g.update_batch(&[values.slice(2, 3)], &[1, 1, 1], None, 2).expect("updates");
        assert_eq!(counted(&mut g, EmitTo::All), [0, 2], "{}", values.data_type());
    }
}

#[test]
fn only_what_a_filter_lets_through_counts() {
    for values in columns() {
        let mut g = groups(&values);
        let filter = BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(true), Some(true), None]);
        g.update_batch(std::slice::from_ref(&values), &[0, 0, 1, 0, 0, 1, 1], Some(&filter), 2).expect("updates");
        assert_eq!(counted(&mut g, EmitTo::All), [2, 0], "{}", values.data_type());
        let state = g.convert_to_state(std::slice::from_ref(&values), Some(&filter)).expect("converts");
        assert_eq!(state[0].as_list::<i32>().iter().map(|l| l.map_or(0, |l| l.len())).collect::<Vec<_>>(), [1, 0, 0, 1, 1, 0, 0]);
        g.merge_batch(&state, &[0, 0, 1, 0, 0, 1, 1], None, 2).expect("merges");
        assert_eq!(counted(&mut g, EmitTo::All), [2, 0], "{}", values.data_type());
    }
}

#[test]
fn states_are_merged_also_from_slices() {
    for values in columns() {
        let (mut left, mut right, mut all) = (groups(&values), groups(&values), groups(&values));
        left.update_batch(std::slice::from_ref(&values), &[0, 0, 1, 2, 2, 2, 1], None, 3).expect("updates");
        right.update_batch(std::slice::from_ref(&values), &[2, 1, 1, 0, 0, 0, 0], None, 4).expect("updates");
        let states = [left.state(EmitTo::All), right.state(EmitTo::All)].map(|s| s.expect("a state"));
        for state in &states {
            let rows = state[0].len();
            assert_eq!(state[0].data_type(), &DataType::List(Arc::new(Field::new_list_field(values.data_type().clone(), true))));
            all.merge_batch(&[state[0].slice(0, 1)], &[0], None, 1).expect("merges");
            all.merge_batch(&[state[0].slice(1, rows - 1)], &(1..rows).collect::<Vec<_>>(), None, rows).expect("merges");
        }
        let bools = values.data_type() == &DataType::Boolean;
        assert_eq!(counted(&mut all, EmitTo::All), [if bools { 2 } else { 3 }, 2, 2, 0], "{}", values.data_type());
    }
}

#[test]
fn the_groups_that_stay_keep_their_values() {
    for values in columns() {
        let mut g = groups(&values);
        let rows = [0, 1, 2, 3, 3, 4, 1];
        g.update_batch(std::slice::from_ref(&values), &rows, None, 5).expect("updates");
        assert_eq!(counted(&mut g, EmitTo::First(2)), [1, 1]);
        // Group 3 is group 1 now, and has the values of rows 3 and 4.
        g.update_batch(std::slice::from_ref(&values), &[1, 2, 1, 1, 0, 0, 0], None, 3).expect("updates");
        let state = g.state(EmitTo::First(1)).expect("a state");
        assert_eq!(state[0].as_list::<i32>().value_length(0), 2, "{}", values.data_type());
        assert_eq!(counted(&mut g, EmitTo::First(7)), [2, 1], "{}", values.data_type());
    }
}

#[test]
fn many_groups_take_little_and_give_it_back() {
    let n = 100_000;
    let values: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..n).map(|i| format!("{LONG} {}", i % 100))));
    let mut g = groups(&values);
    g.update_batch(std::slice::from_ref(&values), &(0..n).map(|i| i / 4).collect::<Vec<_>>(), None, n / 4).expect("updates");
    g.update_batch(std::slice::from_ref(&values), &(0..n).map(|i| i / 4).collect::<Vec<_>>(), None, n / 4).expect("updates");
    let full = g.size();
    assert!(full > n * (16 + LONG.len()) && full < n * 150, "{full}");
    let mut got = Vec::new();
    for _ in 0..9 {
        got.extend(counted(&mut g, EmitTo::First(n / 40)));
    }
    assert!(g.size() < full / 2, "{} of {full}", g.size());
    got.extend(counted(&mut g, EmitTo::All));
    assert_eq!(got, vec![4; n / 4]);
    assert!(g.size() < 1000);
}

#[test]
fn without_groups_nothing_is_none() {
    let values = columns().pop().expect("a column");
    let mut one = One(groups(&values));
    let state = one.state().expect("a state");
    assert_eq!(one.evaluate().expect("evaluates"), ScalarValue::Int64(Some(0)));
    one.merge_batch(&[state[0].to_array().expect("an array")]).expect("merges");
    one.update_batch(&[values]).expect("updates");
    assert_eq!(one.evaluate().expect("evaluates"), ScalarValue::Int64(Some(3)));
}
