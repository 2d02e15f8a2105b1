//! The cases of `testdata/patch`, and the limits.

use serde_json::{Value, json};

use super::{OPERATIONS_MAX, json_patch, merge_patch, strategic_merge};
use crate::error::ApiError;
use crate::kinds;

fn check(cases: &str, patched: impl Fn(&Value, &Value, &Value) -> Result<Value, ApiError>) {
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    assert!(!cases.is_empty());
    for case in &cases {
        let result = patched(case, &case["live"], &case["patch"]);
        match (case.get("want"), result) {
            (Some(want), Ok(got)) => assert_eq!(&got, want, "{}", case["name"]),
            (None, Err(error)) => {
                let got = json!([error.code, error.message]);
                assert_eq!(got, case["error"], "{}", case["name"]);
            }
            (_, other) => panic!("{}: {other:?}", case["name"]),
        }
    }
}

#[test]
fn merge_patches_follow_their_cases() {
    let cases = include_str!("../../testdata/patch/merge.json");
    check(cases, |_, live, patch| merge_patch(live, patch));
}

#[test]
fn json_patches_follow_their_cases() {
    let cases = include_str!("../../testdata/patch/json.json");
    check(cases, |_, live, patch| json_patch(live, patch));
}

#[test]
fn strategic_patches_follow_their_cases() {
    let rows = kinds::builtin();
    let cases = include_str!("../../testdata/patch/strategic.json");
    check(cases, |case, live, patch| {
        let row = rows.iter().find(|row| case["kind"] == row.kind).unwrap();
        strategic_merge(live, patch, &row.schema)
    });
}

#[test]
fn a_json_patch_has_a_greatest_number_of_operations() {
    let operation = json!({ "op": "test", "path": "/a", "value": 1 });
    let patch = |n| Value::Array(vec![operation.clone(); n]);
    let live = json!({ "a": 1 });
    assert_eq!(json_patch(&live, &patch(OPERATIONS_MAX)).unwrap(), live);
    let error = json_patch(&live, &patch(OPERATIONS_MAX + 1)).unwrap_err();
    assert_eq!(error.code, 413);
    assert_eq!(
        error.message,
        "The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[test]
fn copies_of_a_json_patch_cannot_grow_without_end() {
    let copies: Vec<Value> = (0..40)
        .map(|_| json!({ "op": "copy", "from": "/a", "path": "/a/-" }))
        .collect();
    let live = json!({ "a": ["x".repeat(1000)] });
    assert_eq!(
        json_patch(&live, &Value::Array(copies)).unwrap_err().code,
        422
    );
}
