//! The walk and the steps, compared with the choice among all candidates.

use super::super::{Choice, Filter};
use super::*;

fn policy(choice: &str, filter: Option<(&str, &str)>) -> Policy {
    let (kind, argument) = choice.split_once(' ').unwrap();
    let argument = argument.to_owned();
    let choice = match kind {
        "semver" => Choice::SemVer { range: argument },
        "alphabetical" => Choice::Alphabetical { order: argument },
        _ => Choice::Numerical { order: argument },
    };
    let filter = filter.map(|(pattern, extract)| Filter {
        pattern: pattern.to_owned(),
        extract: extract.to_owned(),
    });
    Policy::new(&choice, filter.as_ref()).unwrap()
}

fn policies() -> Vec<Policy> {
    let extract = Some((r"^[a-z]*-?(.*)$", "$1"));
    let part = Some((r"-(?P<n>[0-9.]+)", "x${n}y"));
    let mut policies = Vec::new();
    for choice in [
        "semver >=0.0.0",
        "semver >=0.0.0-0 <2",
        "semver 1.x",
        "alphabetical asc",
        "alphabetical desc",
        "numerical asc",
        "numerical desc",
    ] {
        policies.extend([None, extract, part].map(|filter| policy(choice, filter)));
    }
    policies
}

/// Numbers from a seed: the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

/// Returns some tags of a few kinds, descending by bytes, so that values meet often.
fn tags(numbers: &mut Numbers) -> Vec<String> {
    let kinds = 1 + numbers.below(4);
    let mut tags: Vec<String> = (0..numbers.below(12))
        .map(|_| {
            let (a, b, c) = (numbers.below(3), numbers.below(2), numbers.below(3));
            match numbers.below(kinds * 3) {
                0 | 1 => format!("v-{a}{b}"),
                2 => format!("{a}{b}"),
                3 => format!("0{a}.{b}"),
                4 => format!("{a}.{b}.{c}"),
                5 => format!("v{a}.0{b}.{c}"),
                6 => format!("a-{a}.{b}.{c}-rc.{c}"),
                7 => format!("b-{a}.{b}.{c}"),
                8 => format!("b-{a}"),
                9 => "NaN".to_owned(),
                _ => format!("word-{a}"),
            }
        })
        .collect();
    tags.sort_unstable_by(|a, b| b.cmp(a));
    tags.dedup();
    tags
}

fn chosen(selection: &Result<Selection, Error>) -> Result<(&str, &str), &Error> {
    let selection = selection.as_ref();
    selection.map(|it| (it.tag.as_str(), it.value.as_str()))
}

#[test]
fn a_walk_chooses_what_is_chosen_among_all() {
    let mut numbers = Numbers(1);
    let policies = policies();
    for _ in 0..400 {
        let mut tags = tags(&mut numbers);
        // Every order of the tags has an answer, not only the stored one.
        if numbers.below(4) == 0 {
            tags.reverse();
        }
        let tags = tags.iter().map(String::as_str);
        for policy in &policies {
            let walked = policy.choose(tags.clone());
            let all = policy.choose_among_all(tags.clone());
            assert_eq!(chosen(&walked), chosen(&all), "{policy:?} {tags:?}");
        }
    }
}

#[test]
fn steps_lead_where_a_new_walk_leads() {
    let mut numbers = Numbers(2);
    let policies = policies();
    let mut n_steps = 0;
    for _ in 0..400 {
        let (before, mut after) = (tags(&mut numbers), tags(&mut numbers));
        after.extend(before.iter().filter(|_| numbers.below(6) > 0).cloned());
        after.sort_unstable_by(|a, b| b.cmp(a));
        after.dedup();
        let gone = before.iter().filter(|tag| !after.contains(tag));
        let gone: Vec<&str> = gone.map(String::as_str).collect();
        let came = after.iter().filter(|tag| !before.contains(tag));
        let came: Vec<&str> = came.map(String::as_str).collect();
        for policy in &policies {
            let Ok(last) = policy.choose(before.iter().map(String::as_str)) else {
                continue;
            };
            let step = policy.choose_after(&last, came.iter().copied(), gone.iter().copied());
            let Some(step) = step else {
                continue;
            };
            n_steps += 1;
            let walked = policy.choose(after.iter().map(String::as_str));
            assert_eq!(Ok(step), walked, "{policy:?} {before:?} {after:?}");
        }
    }
    assert!(n_steps > 1000, "{n_steps} steps");
}

#[test]
fn a_new_tag_is_a_step_and_the_loss_of_the_latest_is_none() {
    let policy = policy("semver 1.x", None);
    let last = policy.choose(["1.1.0", "1.0.0"]).unwrap();
    let after = |seen: &[&str], vanished: &[&str]| {
        let (seen, vanished) = (seen.iter().copied(), vanished.iter().copied());
        policy
            .choose_after(&last, seen, vanished)
            .map(|selection| selection.tag)
    };
    assert_eq!(
        after(&["1.2.0", "2.0.0"], &["1.0.0"]).as_deref(),
        Some("1.2.0")
    );
    assert_eq!(after(&["0.9.0"], &[]).as_deref(), Some("1.1.0"));
    assert_eq!(after(&["1.2.0"], &["1.1.0"]), None);
}

#[test]
fn one_tag_stands_before_another_in_the_order_of_the_policy() {
    for (choice, filter, tag, other, want) in [
        ("semver 1.x", None, "1.0.0", "1.1.0", true),
        ("semver 1.x", None, "1.1.0", "1.0.0", false),
        ("semver 1.x", None, "v1.1.0", "1.1.0", false),
        ("semver 1.x", None, "1.1.0", "2.0.0", false),
        ("semver 1.x", None, "1.1.0", "latest", false),
        ("alphabetical desc", None, "b", "a", true),
        ("numerical asc", None, "9", "10", true),
        (
            "numerical asc",
            Some((r"^b-(\d+)$", "$1")),
            "b-9",
            "b-10",
            true,
        ),
        (
            "numerical asc",
            Some((r"^b-(\d+)$", "$1")),
            "b-9",
            "c-10",
            false,
        ),
        ("numerical desc", None, "10", "9", true),
    ] {
        let got = policy(choice, filter).is_before(tag, other);
        assert_eq!(got, want, "{choice}: {tag} before {other}");
    }
}
