//! The change of one file as a unified diff: for `git apply` byte for byte, for a terminal readable.
//!
//! In: a path, the bytes before and after. Out: `---`, `+++` and hunks with three lines of context. An
//! edit replaces scalars, so lines stay opposite each other; where a block becomes shorter, both sides
//! are matched again within a bounded window. Any two texts give a diff that applies. Pure.

use std::ops::Range;

use clap::builder::styling::{AnsiColor, Style};

use crate::safe::printable;

/// The unchanged lines around a change.
const CONTEXT: usize = 3;
/// How many lines of both sides together are looked through for the place where they meet again. It
/// bounds the work of a line; beyond it lines are told as replaced one by one.
const WINDOW: usize = 48;

/// For whom a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A program such as `git apply`: every byte as it is.
    Program,
    /// A person at a terminal: what would act on it is written out.
    Person {
        /// Whether lines have colours.
        colour: bool,
    },
}

/// Lines that are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Replaced {
    old: Range<usize>,
    new: Range<usize>,
}

/// What a line of a diff is.
#[derive(Debug, Clone, Copy)]
enum Line {
    File,
    Hunk,
    Kept,
    Removed,
    Added,
    Note,
}

/// Adds the diff of a file; nothing when no byte differs.
pub(super) fn write(path: &str, before: &[u8], after: &[u8], reader: Reader, out: &mut Vec<u8>) {
    let old: Vec<&[u8]> = before.split_inclusive(|byte| *byte == b'\n').collect();
    let new: Vec<&[u8]> = after.split_inclusive(|byte| *byte == b'\n').collect();
    let replaced = replaced(&old, &new);
    if replaced.is_empty() {
        return;
    }
    let mut page = Page { reader, out };
    page.put(Line::File, format!("--- {}\n", name('a', path)).as_bytes());
    page.put(Line::File, format!("+++ {}\n", name('b', path)).as_bytes());
    for hunk in hunks(&replaced) {
        page.hunk(hunk, &old, &new);
    }
}

/// Returns a path as the header of a diff has it: in quotes where Git could not read it otherwise, with
/// a tab behind it where blanks are in it.
fn name(side: char, path: &str) -> String {
    let needs_quotes = |c: char| c.is_ascii_control() || c == '"' || c == '\\';
    if path.contains(needs_quotes) {
        let mut quoted = format!("\"{side}/");
        for c in path.chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                c if c.is_ascii_control() => quoted += &format!("\\{:03o}", u32::from(c)),
                c => quoted.push(c),
            }
        }
        return quoted + "\"";
    }
    let end = if path.contains(' ') { "\t" } else { "" };
    format!("{side}/{path}{end}")
}

/// Returns what differs, in order, with at least one unchanged line between two of them.
fn replaced(old: &[&[u8]], new: &[&[u8]]) -> Vec<Replaced> {
    let n_end = (old.iter().rev().zip(new.iter().rev()))
        .take_while(|(old, new)| old == new)
        .count();
    let (old, new) = (&old[..old.len() - n_end], &new[..new.len() - n_end]);
    let is_aligned = old.len() == new.len();
    let mut all: Vec<Replaced> = Vec::new();
    let (mut a, mut b) = (0, 0);
    while a < old.len() || b < new.len() {
        if old.get(a) == new.get(b) {
            (a, b) = (a + 1, b + 1);
            continue;
        }
        let (n_old, n_new) = match is_aligned {
            true => (1, 1),
            false => until_they_meet(&old[a..], &new[b..]),
        };
        let next = Replaced {
            old: a..a + n_old,
            new: b..b + n_new,
        };
        (a, b) = (next.old.end, next.new.end);
        match all.last_mut() {
            Some(last) if last.old.end == next.old.start && last.new.end == next.new.start => {
                (last.old.end, last.new.end) = (a, b);
            }
            _ => all.push(next),
        }
    }
    all
}

/// Returns how many lines of each side come before both go on alike, the fewest together.
fn until_they_meet(old: &[&[u8]], new: &[&[u8]]) -> (usize, usize) {
    for n_both in 1..=WINDOW {
        for n_old in 0..=n_both {
            let n_new = n_both - n_old;
            if let (Some(old), Some(new)) = (old.get(n_old), new.get(n_new))
                && old == new
            {
                return (n_old, n_new);
            }
        }
    }
    // Nothing is alike near by, or one side has ended.
    (old.len().min(1), new.len().min(1))
}

/// Returns what differs in groups whose contexts touch.
fn hunks(replaced: &[Replaced]) -> impl Iterator<Item = &[Replaced]> {
    replaced.chunk_by(|left, right| right.old.start - left.old.end <= 2 * CONTEXT)
}

/// A diff that is being written.
struct Page<'p> {
    reader: Reader,
    out: &'p mut Vec<u8>,
}

impl Page<'_> {
    fn hunk(&mut self, hunk: &[Replaced], old: &[&[u8]], new: &[&[u8]]) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
            return;
        };
        let n_before = first.old.start.min(CONTEXT);
        let n_after = (old.len() - last.old.end).min(CONTEXT);
        let around = |first: usize, last: usize| first - n_before..last + n_after;
        let of_old = around(first.old.start, last.old.end);
        let of_new = around(first.new.start, last.new.end);
        let head = format!("@@ -{} +{} @@\n", lines(&of_old), lines(&of_new));
        self.put(Line::Hunk, head.as_bytes());
        let mut at = of_old.start;
        for Replaced {
            old: removed,
            new: added,
        } in hunk
        {
            self.all(Line::Kept, &old[at..removed.start]);
            self.all(Line::Removed, &old[removed.clone()]);
            self.all(Line::Added, &new[added.clone()]);
            at = removed.end;
        }
        self.all(Line::Kept, &old[at..of_old.end]);
    }

    fn all(&mut self, kind: Line, lines: &[&[u8]]) {
        for line in lines {
            self.put(kind, line);
            if !line.ends_with(b"\n") {
                self.out.push(b'\n');
                self.put(Line::Note, b"\\ No newline at end of file\n");
            }
        }
    }

    /// Adds a line with the sign and the colour of its kind.
    fn put(&mut self, kind: Line, line: &[u8]) {
        let (sign, style) = match kind {
            Line::File => ("", Style::new().bold()),
            Line::Hunk => ("", AnsiColor::Cyan.on_default()),
            Line::Kept => (" ", Style::new()),
            Line::Removed => ("-", AnsiColor::Red.on_default()),
            Line::Added => ("+", AnsiColor::Green.on_default()),
            Line::Note => ("", Style::new()),
        };
        let Reader::Person { colour } = self.reader else {
            self.out.extend_from_slice(sign.as_bytes());
            return self.out.extend_from_slice(line);
        };
        let text = String::from_utf8_lossy(line);
        let body = text.strip_suffix('\n').unwrap_or(&text);
        // The ends of lines are the file's, and the tab behind a path is for Git.
        let end_of = if matches!(kind, Line::File) {
            '\t'
        } else {
            '\r'
        };
        let shown = printable(body.strip_suffix(end_of).unwrap_or(body));
        let end = if text.ends_with('\n') { "\n" } else { "" };
        let style = if colour { style } else { Style::new() };
        let shown = format!("{style}{sign}{shown}{style:#}{end}");
        self.out.extend_from_slice(shown.as_bytes());
    }
}

/// Returns lines as the head of a hunk counts them.
fn lines(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        n_lines => format!("{},{n_lines}", range.start + 1),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;

    fn diff(before: &str, after: &str, reader: Reader) -> String {
        let mut out = Vec::new();
        write(
            "a.yaml",
            before.as_bytes(),
            after.as_bytes(),
            reader,
            &mut out,
        );
        String::from_utf8(out).unwrap()
    }

    /// Applies a diff by Git itself.
    fn applied(folder: &Path, diff: &[u8]) {
        std::fs::write(folder.join("change.diff"), diff).unwrap();
        let mut git = Command::new("git");
        git.args(["apply", "change.diff"]).current_dir(folder);
        git.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap());
        let output = git.stdin(Stdio::null()).output().expect("git runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let diff = String::from_utf8_lossy(diff);
        assert!(output.status.success(), "{stderr}\n{diff}");
        std::fs::remove_file(folder.join("change.diff")).unwrap();
    }

    #[test]
    fn hunks_have_three_lines_of_context_and_share_it_where_they_touch() {
        let text = |changed: &[usize]| {
            let line = |n| match changed.contains(&n) {
                true => format!("{n} new\n"),
                false => format!("{n}\n"),
            };
            (1..=20).map(line).collect::<String>()
        };
        assert_eq!(
            diff(&text(&[]), &text(&[2, 9, 17]), Reader::Program),
            "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,12 +1,12 @@\n 1\n-2\n+2 new\n 3\n 4\n 5\n 6\n 7\n 8\n\
             -9\n+9 new\n 10\n 11\n 12\n@@ -14,7 +14,7 @@\n 14\n 15\n 16\n-17\n+17 new\n 18\n 19\n 20\n"
        );
        assert_eq!(diff("a\n", "a\n", Reader::Program), "");
    }

    #[test]
    fn any_two_texts_give_a_diff_that_git_applies_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let block = "a: |\n  1\n  2\n\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\ng: 1\nh: 1\ni: 1\n";
        let long = "x\n".repeat(200);
        for (before, after) in [
            ("a: 1\n", "a: 2\n"),
            ("a: 1", "a: 2"),
            ("a: 1", "a: 2\n"),
            ("a: 1\n", "a: 2"),
            ("a: 1\nb: 1", "a: 2\nb: 1"),
            ("a: 1\r\nb: 1\r\n", "a: 2\r\nb: 1\r\n"),
            ("\u{feff}a: 1\r\nb: 1", "\u{feff}a: 2\r\nb: 1"),
            ("a: 1\rb: 1\r", "a: 2\rb: 1\r"),
            ("", "a\n"),
            ("a: é \u{2028}\t\n", "a: 日本\n"),
            (
                block,
                "a: |-\n  3\n\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\ng: 1\nh: 2\ni: 1\n",
            ),
            ("a\na\na\nb\na\n", "a\nb\na\na\n"),
            ("1\n2\n3\n", "3\n2\n1\n4\n"),
            (&long, "y\nx\n"),
            ("y\nx\n", &long),
        ] {
            let file = folder.path().join("a.yaml");
            std::fs::write(&file, before).unwrap();
            applied(
                folder.path(),
                diff(before, after, Reader::Program).as_bytes(),
            );
            assert_eq!(std::fs::read_to_string(&file).unwrap(), after);
        }
    }

    #[test]
    fn a_block_that_becomes_shorter_does_not_carry_the_rest_of_the_file_along() {
        let rest: String = (0..500).map(|n| format!("k{n}: 1\n")).collect();
        let before = format!("a: |\n  1\n  2\n  3\n{rest}z: 1\n");
        let after = format!("a: |-\n  1\n{}z: 2\n", rest.replace("k250: 1", "k250: 2"));
        let diff = diff(&before, &after, Reader::Program);
        assert_eq!(
            diff.lines().filter(|line| line.starts_with("@@")).count(),
            3
        );
        assert!(diff.lines().count() < 40, "{diff}");
    }

    #[test]
    fn odd_names_are_found_by_git() {
        for path in [
            "a b.yaml",
            "a\"b\\.yaml",
            "a\tb.yaml",
            "é.yaml",
            " x",
            "a\nb.yaml",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(path);
            std::fs::write(&file, "a: 1\n").unwrap();
            let mut out = Vec::new();
            write(path, b"a: 1\n", b"a: 2\n", Reader::Program, &mut out);
            applied(folder.path(), &out);
            assert_eq!(std::fs::read(&file).unwrap(), b"a: 2\n", "{path:?}");
        }
    }

    #[test]
    fn hc9_on_a_terminal_nothing_acts_on_it_and_colours_are_ours() {
        let (before, after) = ("a: \u{1b}[2J\u{202e}1\r\n", "a: \u{1b}[2J\u{202e}2\r\n");
        assert_eq!(
            diff(before, after, Reader::Person { colour: false }),
            "--- a/a.yaml\n+++ b/a.yaml\n@@ -1 +1 @@\n-a: \\u{1b}[2J\\u{202e}1\n+a: \\u{1b}[2J\\u{202e}2\n"
        );
        let coloured = diff("1\n", "2\n", Reader::Person { colour: true });
        assert!(coloured.contains("\u{1b}[31m-1\u{1b}[0m\n"), "{coloured:?}");
        assert!(coloured.contains("\u{1b}[32m+2\u{1b}[0m\n"), "{coloured:?}");
    }
}
