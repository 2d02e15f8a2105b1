//! Documents that are made to take time or memory, or to be edited in the wrong place.
//!
//! For the tests of HC1, and for the figures, which take them by their path.

use std::fmt::Write as _;

/// The marker that is written at.
pub const MARKER: &str = "# {\"$imagepolicy\": \"ns:app:tag\"}";

/// Returns hostile documents of about a size, by name.
pub fn bombs(size: usize) -> Vec<(&'static str, String)> {
    let of = |unit: &str| unit.repeat(size / unit.len());
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    let mut stairs = String::new();
    for n in 1..5000 {
        let alias = format!("*a{}", n - 1);
        let aliases = [alias.as_str(); 9].join(", ");
        writeln!(laughs, "a{n}: &a{n} [{aliases}]").expect("a string takes it");
    }
    for n in 0..700 {
        writeln!(stairs, "{}a:", " ".repeat(n)).expect("a string takes it");
    }
    vec![
        ("a billion laughs", laughs),
        ("lists 100,000 deep", "[".repeat(100_000)),
        ("mappings in a row deep", "{a: ".repeat(50_000)),
        ("dashes 100,000 deep", "- ".repeat(100_000)),
        ("stairs", stairs),
        ("one plain scalar", format!("a: {}\n", of("x"))),
        (
            "one plain scalar of many lines",
            format!("a: {}\n", of("x\n  ")),
        ),
        ("one quoted scalar", format!("a: \"{}\"\n", of("\\u00e9"))),
        ("one block", format!("a: |\n{}", of("  x\n"))),
        ("one folded block", format!("a: >\n{}", of("  x\n\n"))),
        ("a list in itself", "a: &a [*a]\nb: *a\n".to_owned()),
        (
            "merged again and again",
            format!("a: &a {{b: c}}\nd:\n  <<: [{}]\n", of("*a, ")),
        ),
        ("tags", of("- !!binary x\n- !<tag:a> y\n- !b z\n")),
        ("one key again and again", of("a: b\n")),
        ("tabs", of("\t\ta:\tb\n")),
        ("complex keys", "? ".repeat(size / 2)),
        ("documents", of("---\n")),
        ("ends", of("...\n")),
        ("comments", of("# x\n")),
        ("comments that touch quotes", of("a: \"b\"#c\n")),
        ("an open quote", format!("a: \"{}", of("x\n"))),
        ("an open list", format!("a: [{}", of("x, "))),
        ("anchors", of("- &a x\n")),
        ("colons", of(": ")),
        ("empty lines", of("\n")),
        ("carriage returns", of("a: b\r")),
        ("marks of byte order", of("\u{feff}")),
        ("one long key", format!("{}: x\n", of("k"))),
        ("directives", of("%YAML 1.2\n") + "--- a\n"),
        ("markers", of(&format!("- x {MARKER}\n"))),
        ("markers without a value", of(&format!("a: {MARKER}\n"))),
    ]
}
