//! Sets read and write as Kubernetes writes them, and obey the laws of sets.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{FieldSet, Path, PathElement};

fn set(text: &str) -> FieldSet {
    FieldSet::from_json(&serde_json::from_str(text).unwrap()).unwrap()
}

#[test]
fn a_set_is_written_as_it_was_read() {
    for text in [
        "{}",
        r#"{"f:a":{}}"#,
        r#"{"f:a":{".":{},"f:b":{}},"f:c":{}}"#,
        r#"{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{}}}}}"#,
        r#"{"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{}, "f:x":{}}}}"#,
        r#"{"f:finalizers":{"v:\"a.b/c\"":{},"v:\"d\"":{}}}"#,
        r#"{"f:l":{"v:1":{},"v:1.5":{},"v:\"1\"":{},"v:true":{}}}"#,
        r#"{"f:l":{"i:0":{},"i:10":{}}}"#,
        r#"{"f:l":{"k:{\"a\":\"\\u003cx\\u003e\\u0026\"}":{}}}"#,
    ] {
        let compact = text.replace(": ", ":").replace(", ", ",");
        assert_eq!(set(text).to_json_text(), compact);
        assert_eq!(set(&set(text).to_json_text()), set(text));
        assert_eq!(
            FieldSet::from_json(&set(text).to_json()).unwrap(),
            set(text)
        );
    }
}

#[test]
fn a_set_is_written_in_order_whatever_order_it_came_in() {
    let text = r#"{"i:2":{},"v:2":{},"k:{\"b\":1}":{},"f:b":{},"f:a":{},"k:{\"a\":2}":{},"i:1":{},"v:1":{}}"#;
    let want = r#"{"f:a":{},"f:b":{},"k:{\"a\":2}":{},"k:{\"b\":1}":{},"v:1":{},"v:2":{},"i:1":{},"i:2":{}}"#;
    assert_eq!(set(text).to_json_text(), want);
}

#[test]
fn key_fields_are_sorted_by_name() {
    let element = PathElement::key(vec![
        (Arc::from("protocol"), json!("TCP")),
        (Arc::from("containerPort"), json!(80)),
    ]);
    let path = Path(vec![PathElement::field("ports"), element]);
    assert_eq!(
        path.to_string(),
        r#".ports[containerPort=80,protocol="TCP"]"#
    );
}

#[test]
fn paths_print_as_conflicts_show_them() {
    let fields = json!({ "f:metadata": { "f:finalizers": { "v:\"a\"": {}, "i:3": {} } } });
    let paths = FieldSet::from_json(&fields).unwrap().paths();
    let paths: Vec<String> = paths.iter().map(Path::to_string).collect();
    assert_eq!(
        paths,
        [r#".metadata.finalizers[="a"]"#, ".metadata.finalizers[3]"]
    );
}

#[test]
fn an_element_of_a_kind_that_is_not_known_is_passed_over() {
    assert_eq!(set(r#"{"z:x":{"f:a":{}},"f:b":{}}"#), set(r#"{"f:b":{}}"#));
}

#[test]
fn keys_that_are_no_elements_are_refused() {
    for text in [
        r#"{"zz":{}}"#,
        r#"{"f":{}}"#,
        r#"{"k:[]":{}}"#,
        r#"{"i:x":{}}"#,
        r#"{"f:a":1}"#,
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(FieldSet::from_json(&value).is_err(), "{text}");
    }
}

#[test]
fn numbers_that_are_equal_are_one_element() {
    assert_eq!(set(r#"{"v:1":{}}"#), set(r#"{"v:1.0":{}}"#));
}

#[test]
fn a_member_takes_away_itself_but_not_what_is_below() {
    let whole = set(r#"{"f:a":{".":{},"f:b":{},"f:c":{}}}"#);
    let parent = set(r#"{"f:a":{}}"#);
    assert_eq!(
        whole.difference(&parent),
        set(r#"{"f:a":{"f:b":{},"f:c":{}}}"#)
    );
    assert!(whole.recursive_difference(&parent).is_empty());
}

/// Returns numbers that look random and are the same in every run.
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

fn random_set(next: &mut impl FnMut(u64) -> u64) -> FieldSet {
    let count = next(12);
    FieldSet::of((0..count).map(|_| {
        let depth = 1 + next(3);
        let steps = (0..depth).map(|_| match next(4) {
            0 => PathElement::key(vec![(Arc::from("k"), json!(next(3)))]),
            1 => PathElement::value(json!(next(3))),
            _ => PathElement::field(["a", "b", "c"][usize::try_from(next(3)).unwrap()]),
        });
        Path(steps.collect())
    }))
}

#[test]
fn sets_obey_the_laws_of_sets() {
    let mut next = numbers(7);
    for _ in 0..2000 {
        let (a, b) = (random_set(&mut next), random_set(&mut next));
        let both = a.intersection(&b);
        let all = a.union(&b);
        assert_eq!(all, b.union(&a));
        assert_eq!(both, b.intersection(&a));
        assert_eq!(all.len(), a.len() + b.len() - both.len());
        assert_eq!(a.difference(&b).union(&both), a);
        assert!(a.is_subset(&all) && both.is_subset(&a));
        assert_eq!(a.is_subset(&b), a.difference(&b).is_empty());
        assert_eq!(FieldSet::of(a.paths()), a);
        assert!(a.paths().iter().all(|path| a.has(&path.0)));
        assert_eq!(set(&a.to_json_text()), a);
        assert_eq!(FieldSet::from_json(&a.to_json()).unwrap(), a);
        assert!(a.recursive_difference(&b).is_subset(&a.difference(&b)));
    }
}
