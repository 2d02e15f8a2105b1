//! HC1: YAML that is made to take time or memory, or to be edited in the wrong place.

use std::fmt::Write as _;
use std::time::Duration;

use towpath::update::rewrite;

use super::{MARKER, cpu_time, setters};
use crate::world::process::towpath;

/// About how large a hostile document is.
const SIZE: usize = 64 << 10;
/// How much longer a byte of a hostile document may take than one of an ordinary one. A reader that goes
/// over its text again and again is slower by hundreds of times.
const RATIO_MAX: u32 = 12;
/// The memory that `towpath lint` gets for all of them: its own 100 MB of address space, and some.
const MEMORY_KIB: usize = 1 << 20;

/// Hostile documents by name.
fn bombs() -> Vec<(&'static str, String)> {
    let of = |unit: &str| unit.repeat(SIZE / unit.len());
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
        ("complex keys", "? ".repeat(SIZE / 2)),
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

/// Returns the time that a MiB of a text takes.
fn per_mib(text: &str) -> Duration {
    let (_, time) = cpu_time(|| rewrite(text.as_bytes(), &setters()));
    time * (1 << 20) / u32::try_from(text.len()).expect("it is small")
}

/// A text that any document may stand in front of.
fn marked(value: &str) -> String {
    format!("---\nname: x\ntag:  '{value}'   {MARKER}\n# end\n")
}

#[test]
fn hc1_no_document_takes_longer_than_an_ordinary_one_of_its_size() {
    let unit = "- name: app\n  image: 'ghcr.io/acme/app:1.0.0' # a comment\n  args: [a, \"b\"]\n";
    let ordinary = per_mib(&(unit.repeat(SIZE / unit.len()) + &marked("1.0.0")));
    assert!(ordinary > Duration::ZERO, "the clock stands still");
    let mut slow = Vec::new();
    for (name, bomb) in bombs() {
        let text = format!("{bomb}\n{}", marked("1.0.0"));
        let mut time = per_mib(&text);
        if time > RATIO_MAX * ordinary {
            // Once more: the first one may have met a cold cache.
            time = time.min(per_mib(&text));
        }
        if time > RATIO_MAX * ordinary {
            slow.push(format!(
                "{name}: {time:?} a MiB, an ordinary one takes {ordinary:?}"
            ));
        }
    }
    assert!(slow.is_empty(), "\n  {}", slow.join("\n  "));
}

#[test]
fn hc1_a_hostile_document_leaves_its_neighbour_to_be_edited() {
    for (name, bomb) in bombs() {
        // A quote or a list that stays open ends where a document begins; directives want one.
        let bomb = format!("{bomb}\n");
        let text = format!("{bomb}{}", marked("1.0.0"));
        let rewritten = rewrite(text.as_bytes(), &setters());
        let new = rewritten
            .bytes
            .unwrap_or_else(|| panic!("{name}: {:?}", rewritten.problems));
        let new = String::from_utf8(new).expect("text stays text");
        assert!(
            new.ends_with(&marked("2.0.0")),
            "{name}: the neighbour is edited"
        );
        let before = &new[..new.len() - marked("2.0.0").len()];
        let edited = bomb.replace(&format!("- x {MARKER}"), &format!("- 2.0.0 {MARKER}"));
        assert!(
            before == bomb || before == edited,
            "{name}: another byte changed"
        );
    }
}

#[test]
fn hc1_what_is_no_text_is_told_and_left_alone() {
    let marked = marked("1.0.0");
    let utf_16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(rewrite(&utf_16, &setters()).bytes, None);
    let bytes = [marked.as_bytes(), b"b: \xff\xfe\n"].concat();
    let rewritten = rewrite(&bytes, &setters());
    assert_eq!(rewritten.bytes, None);
    assert_eq!(rewritten.problems[0].reason, "the file is not UTF-8");
    let rewritten = rewrite(format!("a: \0\n{marked}").as_bytes(), &setters());
    let new = rewritten.bytes.expect("the neighbour is edited");
    assert!(new.starts_with(b"a: \0\n---\nname: x\ntag:  '2.0.0' "));
    // A mark of byte order and both kinds of line ends stay.
    let mixed = format!("\u{feff}{}", marked.replace("name: x\n", "name: x\r\n"));
    let new = rewrite(mixed.as_bytes(), &setters())
        .bytes
        .expect("it is edited");
    assert_eq!(new, mixed.replace("1.0.0", "2.0.0").into_bytes());
}

#[test]
fn hc1_a_folder_of_bombs_is_checked_in_bounded_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (number, (_, bomb)) in bombs().iter().enumerate() {
        let object = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\n";
        let text = format!("{object}{bomb}\n{}", marked("1.0.0"));
        std::fs::write(folder.path().join(format!("{number}.yaml")), text).expect("it is writable");
    }
    let program = towpath(&[]);
    let limited = format!("ulimit -v {MEMORY_KIB} && exec \"$0\" lint \"$1\"");
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", &limited])
        .arg(program.get_program())
        .arg(folder.path());
    let output = shell.output().expect("there is a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr:.2000}");
    assert!(
        stderr.contains(&format!("{} files, ", bombs().len())),
        "{stderr:.2000}"
    );
}
