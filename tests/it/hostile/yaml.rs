//! HC1: YAML that is made to take time or memory, or to be edited in the wrong place.

use std::time::Duration;

use towpath::update::rewrite;

use super::bombs::{MARKER, bombs};
use super::{cpu_time, setters};
use crate::world::process::towpath;

/// About how large a hostile document is.
const SIZE: usize = 64 << 10;
/// How much longer a byte of a hostile document may take than one of an ordinary one. A reader that goes
/// over its text again and again is slower by hundreds of times.
const RATIO_MAX: u32 = 12;
/// The memory that `towpath lint` gets for all of them: its own 100 MB of address space, and some.
const MEMORY_KIB: usize = 1 << 20;

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
    for (name, bomb) in bombs(SIZE) {
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
    for (name, bomb) in bombs(SIZE) {
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
    for (number, (_, bomb)) in bombs(SIZE).iter().enumerate() {
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
        stderr.contains(&format!("{} files, ", bombs(SIZE).len())),
        "{stderr:.2000}"
    );
}
