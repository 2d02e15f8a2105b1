//! What hostile documents cost an update, a mebibyte each, beside an ordinary one.

use std::time::Duration;

use anyhow::ensure;
use towpath::update::rewrite;

#[path = "../../tests/it/hostile/bombs.rs"]
mod bombs;

use self::bombs::{MARKER, bombs};
use crate::Size;
use crate::figure::{best, print_time};
use crate::repository::setters;

/// What a mebibyte may cost.
const TARGET: Duration = Duration::from_millis(50);
/// How many documents are named; the others cost less.
const SHOWN: usize = 6;

/// Prints the section.
pub fn print(size: Size) -> anyhow::Result<()> {
    let n_bytes = size.n_document_bytes;
    let setters = setters("2.0.0")?;
    let per_mib = |text: &str| {
        let (time, _) = best(|| rewrite(text.as_bytes(), &setters));
        time.mul_f64(f64::from(1 << 20) / text.len() as f64)
    };
    let unit = "- name: app\n  image: 'ghcr.io/acme/app:1.0.0' # a comment\n  args: [a, \"b\"]\n";
    let marked = format!("---\ntag: 1.0.0 {MARKER}\n");
    let ordinary = unit.repeat(n_bytes / unit.len()) + &marked;
    let floor = ("an ordinary document", per_mib(&ordinary));
    let mut costs = Vec::new();
    for (name, bomb) in bombs(n_bytes) {
        let text = format!("{bomb}\n{marked}");
        ensure!(text.contains(MARKER), "{name} is looked into");
        costs.push((per_mib(&text), name));
    }
    let n_documents = costs.len();
    costs.sort();
    for (time, name) in costs.iter().rev().take(SHOWN) {
        print_time(&format!("a MiB of {name}"), *time, TARGET, floor);
    }
    println!(
        "  {} of {n_documents} documents cost less",
        n_documents.saturating_sub(SHOWN)
    );
    let scalar = format!("a: {}\n{marked}", "x".repeat(100 * n_bytes));
    let (time, rewritten) = best(|| rewrite(scalar.as_bytes(), &setters));
    ensure!(rewritten.problems.len() == usize::from(scalar.len() > 32 << 20));
    print_time("a scalar of a hundred documents", time, 100 * TARGET, floor);
    Ok(())
}
