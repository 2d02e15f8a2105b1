//! Hostile content: what a registry, a Git server, a file or a spec may hold to stop the process, to act
//! on a terminal, or to make it tell a secret. Each test carries the fault's id.
//!
//! Time is CPU time of this thread beside that of an ordinary input of the same size in the same run, so
//! that a busy machine changes both.

mod bombs;
mod secrets;
mod terminal;
mod yaml;

use std::time::Duration;

use towpath::api::ImageRef;
use towpath::pattern::Pattern;
use towpath::template::{self, Data};
use towpath::update::{PolicyChoice, Setters};

/// Returns what one policy, `ns:app`, stands for.
fn setters() -> Setters {
    let latest = ImageRef {
        name: "ghcr.io/acme/app".to_owned(),
        tag: "2.0.0".to_owned(),
        digest: None,
    };
    let choice = PolicyChoice {
        namespace: "ns",
        name: "app",
        latest: &latest,
    };
    Setters::new([choice]).expect("it is a reference")
}

/// Runs something and returns how much CPU time this thread took for it.
fn cpu_time<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let now = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat");
        let text = text.expect("Linux tells a thread's time");
        let nanoseconds = text.split(' ').next().expect("it has fields");
        Duration::from_nanos(nanoseconds.parse().expect("it is a number"))
    };
    let began = now();
    let result = run();
    (result, now() - began)
}

/// More than anything here takes, in a debug build, unless its time explodes.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn hc6_patterns_that_explode_elsewhere_take_linear_time() {
    let tag = format!("{}b", "a".repeat(1 << 20));
    for pattern in [
        "(a+)+$",
        "(a|aa)+$",
        "(.*)(.*)(.*)(.*)c$",
        "^(a?){50}a{50}$",
        "(?:a|b|ab)*c",
    ] {
        let pattern = Pattern::new(pattern).expect("it is RE2");
        let (matches, time) = cpu_time(|| pattern.is_match(&tag));
        assert!(!matches, "{}", pattern.as_str());
        assert!(time < PATIENCE, "{}: {time:?}", pattern.as_str());
    }
}

#[test]
fn hc6_patterns_that_grow_are_refused_in_time() {
    let nested = format!("{}a{}", "(".repeat(5000), ")".repeat(5000));
    for (pattern, error) in [
        ("a{1001}".to_owned(), "invalid repeat count"),
        ("((a{100}){100}){100}".to_owned(), "invalid repeat count"),
        ("(\\pL{900}|\\pN{900}){1}".repeat(100), "too large"),
        (nested, "nests too deeply"),
    ] {
        let (compiled, time) = cpu_time(|| Pattern::new(&pattern));
        let refused = compiled
            .err()
            .unwrap_or_else(|| panic!("{pattern:.60} compiles"));
        let refused = format!("{refused:.200}");
        assert!(refused.contains(error), "{pattern:.60}: {refused}");
        assert!(time < PATIENCE, "{pattern:.60}: {time:?}");
    }
}

#[test]
fn hc7_templates_that_never_end_or_grow_without_end_are_stopped() {
    let data = Data {
        values: [("a".to_owned(), "b".to_owned())].into(),
        ..Data::default()
    };
    let mut wrong = Vec::new();
    for template in [
        "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
        "{{ range until 1000000000 }}x{{ end }}",
        "{{ range until 3000 }}{{ range until 3000 }}{{ end }}{{ end }}",
        "{{ range until 2000 }}{{ printf \"%1000d\" 1 }}{{ end }}",
        "{{ repeat 1000000000 \"x\" }}",
        "{{ \"x\" | repeat 30000 | repeat 30000 }}",
        "{{ $x := \"x\" }}{{ range until 64 }}{{ $x = cat $x $x }}{{ end }}{{ $x }}",
        "{{ $x := list 1 }}{{ range until 64 }}{{ $x = concat $x $x }}{{ end }}{{ len $x }}",
    ] {
        let (message, time) = cpu_time(|| template::message(template, &data));
        let told = match message {
            Err(error) => error.to_string(),
            Ok(message) => format!("a message of {} bytes", message.len()),
        };
        let bounds = [
            "deeper than",
            "larger than",
            "more than",
            "too ",
            "bad width",
            "limit",
        ];
        if time > PATIENCE || !bounds.iter().any(|bound| told.contains(bound)) {
            wrong.push(format!("{template}: {time:?}: {told:.300}"));
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn hc7_a_width_beyond_a_million_is_none_as_in_go() {
    for (template, want) in [
        (
            "{{ printf \"%1000000000d\" 1 }}",
            "%!(NOVERB)%!(EXTRA int=1)",
        ),
        (
            "{{ printf \"%.1000000000f\" 1.5 }}",
            "%!(NOVERB)%!(EXTRA float64=1.5)",
        ),
        ("{{ printf \"%*d\" 1000000000 1 }}", "%!(BADWIDTH)1"),
        ("{{ printf \"%-*d\" -1000001 1 }}", "%!(BADWIDTH)1"),
        ("{{ printf \"%.*f\" 1000001 1.5 }}", "%!(BADPREC)1.500000"),
        ("{{ printf \"%[2]*[1]d\" 1 1000001 }}", "%!(BADWIDTH)1"),
        ("{{ printf \"%[1000000000]d\" 1 }}", "%!d(BADINDEX)"),
    ] {
        let message = template::message(template, &Data::default());
        assert_eq!(message.expect("it is a template"), want, "{template}");
    }
}
