//! Making a difference small: lines are left out for as long as the difference stays.
//!
//! In: the files of an overlay, and what tells whether they still differ in the same way. Out: the
//! files of which nothing more can be left out, line by line and block by block.

use std::collections::BTreeMap;

/// How often all lines are tried.
const ROUNDS_MAX: usize = 6;

pub type Tree = BTreeMap<String, String>;

/// Returns the smallest files found for which `differs` still holds.
pub fn shrink(files: &Tree, differs: &dyn Fn(&Tree) -> bool) -> Tree {
    let mut best = files.clone();
    for _ in 0..ROUNDS_MAX {
        let before = size(&best);
        for path in best.clone().keys() {
            let mut without = best.clone();
            without.remove(path);
            if differs(&without) {
                best = without;
                continue;
            }
            shrink_file(&mut best, path, differs);
        }
        if size(&best) == before {
            break;
        }
    }
    best
}

fn size(files: &Tree) -> usize {
    files.values().map(String::len).sum()
}

fn shrink_file(best: &mut Tree, path: &str, differs: &dyn Fn(&Tree) -> bool) {
    let mut at = 0;
    loop {
        let lines: Vec<String> = best[path]
            .split_inclusive('\n')
            .map(str::to_owned)
            .collect();
        if at >= lines.len() {
            return;
        }
        let ends = [document(&lines, at), block(&lines, at), at + 1];
        let mut shorter = ends.into_iter().filter(|end| *end > at).map(|end| {
            let mut tried = best.clone();
            let text = [&lines[..at], &lines[end..]].concat().concat();
            tried.insert(path.to_owned(), text);
            tried
        });
        match shorter.find(|tried| differs(tried)) {
            Some(tried) => *best = tried,
            None => at += 1,
        }
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Returns the end of the lines that belong to a line.
fn block(lines: &[String], at: usize) -> usize {
    let own = indent(&lines[at]);
    let is_item = lines[at].trim_start().starts_with("- ");
    let belongs = |line: &String| {
        line.trim().is_empty()
            || indent(line) > own
            || !is_item && indent(line) == own && line.trim_start().starts_with("- ")
    };
    let n_lines = lines[at + 1..]
        .iter()
        .take_while(|line| belongs(line))
        .count();
    at + 1 + n_lines
}

/// Returns the end of the document that begins at a line; nothing to leave out elsewhere.
fn document(lines: &[String], at: usize) -> usize {
    if at > 0 && !lines[at - 1].starts_with("---") {
        return at;
    }
    let n_lines = lines[at..]
        .iter()
        .take_while(|line| !line.starts_with("---"))
        .count();
    (at + n_lines + 1).min(lines.len())
}
