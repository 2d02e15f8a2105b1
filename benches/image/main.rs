//! The image half's figures: how fast tags are scanned, stored, chosen among, written and pushed.
//!
//! In: `cargo bench --bench image`, with names of sections for these only. Out: a table a section,
//! each figure beside its target and as a ratio to a floor that the same program measures. It fails
//! when something does not work, never because it is slow. Without `--bench`, as `cargo test
//! --benches` runs it, each section is done once and small.
#![forbid(unsafe_code)]

mod figure;
mod hostile;
mod policy;
mod process;
mod push;
mod repository;
mod scan;
mod store;
mod tags;
mod update;

use anyhow::Context;

/// The product's allocator: what is measured here is what runs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Tags that are chosen among.
    n_tags: usize,
    /// Repositories that are stored, a thousand tags each.
    n_repositories: usize,
    /// Scans of one repository.
    n_scans: usize,
    /// Files of a Git repository, each in a folder of its own.
    n_files: usize,
    /// Its branches.
    n_branches: usize,
    /// Bytes of a hostile document.
    n_document_bytes: usize,
}

const FULL: Size = Size {
    n_tags: 1_000_000,
    n_repositories: 10_000,
    n_scans: 2_000,
    n_files: 20_000,
    n_branches: 2_000,
    n_document_bytes: 1 << 20,
};
const SMALL: Size = Size {
    n_tags: 1_000,
    n_repositories: 10,
    n_scans: 3,
    n_files: 100,
    n_branches: 3,
    n_document_bytes: 16 << 10,
};

/// A section: its name and what prints it.
type Section = (&'static str, fn(Size) -> anyhow::Result<()>);

/// The sections in the order of the river.
const SECTIONS: [Section; 6] = [
    ("scan", scan::print),
    ("store", store::print),
    ("policy", policy::print),
    ("update", update::print),
    ("hostile", hostile::print),
    ("push", push::print),
];

fn main() -> anyhow::Result<()> {
    if let Some(folder) = store::child_folder() {
        return store::child(&folder);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_full = arguments.iter().any(|argument| argument == "--bench");
    let size = if is_full { FULL } else { SMALL };
    let mut wanted = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .peekable();
    let is_all = wanted.peek().is_none();
    let wanted: Vec<&String> = wanted.collect();
    for (name, print) in SECTIONS {
        if is_all || wanted.iter().any(|wanted| *wanted == name) {
            println!("{name}");
            print(size).context(name)?;
        }
    }
    Ok(())
}
