//! Writing a choice into many marked files of a commit, and finding that nothing is to be written.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::ensure;
use towpath::controllers::{MarkerIndex, update_tree};
use towpath::git::{EntryKind, Selector, Tree};
use towpath::safe::SafePath;

use crate::Size;
use crate::figure::{best, print_amount, print_time};
use crate::repository::{Fleet, setters};

/// Prints the section.
pub fn print(size: Size) -> anyhow::Result<()> {
    let fleet = Fleet::new(size.n_files, 0)?;
    let main = Selector::Branch("main".to_owned());
    let tree = fleet.runtime.block_on(fleet.client.checkout(&main))?.tree;
    let (floor, n_read) = best(|| read_all(&tree));
    ensure!(n_read? == size.n_files, "all files are read");
    let floor = ("reading all files", floor);

    let newer = setters("1.1.0")?;
    let (time, report) = best(|| update_tree(&tree, &MarkerIndex::default(), "./", &newer));
    let n_written = report?.writes().count();
    ensure!(n_written == size.n_files / 10, "{n_written} files change");
    let what = format!("{n_written} of {} files change, all unknown", size.n_files);
    print_time(&what, time, Duration::from_secs(1), floor);

    let index = MarkerIndex::default();
    let same = setters("1.0.0")?;
    update_tree(&tree, &index, "./", &same)?;
    let n_read = index.n_read();
    let (time, report) = best(|| update_tree(&tree, &index, "./", &same));
    ensure!(report?.writes().count() == 0, "nothing changes");
    print_time("nothing new", time, Duration::from_millis(20), floor);
    print_amount(
        "files read for it",
        (index.n_read() - n_read) as f64,
        "",
        0.0,
    );
    after_a_restart(&tree, floor)?;
    let began = Instant::now();
    let written = update_tree(&tree, &index, "./", &newer)?.writes().count();
    ensure!(written == n_written, "{written} files change");
    let what = format!("{n_written} files change, all known");
    print_time(&what, began.elapsed(), Duration::from_secs(1), floor);
    Ok(())
}

/// Prints how long it takes to find nothing new in the first pass of a process, its index opened anew.
fn after_a_restart(tree: &Tree, floor: (&str, Duration)) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let same = setters("1.0.0")?;
    let first = MarkerIndex::open(folder.path())?;
    update_tree(tree, &first, "./", &same)?;
    drop(first);
    let (time, n_read) = best(|| {
        let index = MarkerIndex::open(folder.path())?;
        let report = update_tree(tree, &index, "./", &same)?;
        ensure!(report.writes().count() == 0, "nothing changes");
        Ok(index.n_read())
    });
    let what = "nothing new after a restart";
    print_time(what, time, Duration::from_millis(20), floor);
    print_amount("files read for it", n_read? as f64, "", 0.0);
    Ok(())
}

/// Reads every file of a tree, and counts them.
fn read_all(tree: &Tree) -> Result<usize, towpath::git::Error> {
    let mut n_read = 0;
    tree.reader().walk(&SafePath::default(), &mut |visited| {
        if let EntryKind::File { .. } = visited.kind {
            n_read += usize::from(!visited.bytes()?.is_empty());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(n_read)
}
