//! What a build costs, beside the real kustomize 5.8.1 in kubectl 1.37 on the same inputs.
//!
//! In: `cargo bench --bench kustomize`; `-- --peer-large` lets the peer build 5,000 objects too, which
//! takes it minutes; `-- --no-peer` leaves it out. Out: a table of CPU times, which other work on the
//! machine does not change, each beside its target. Output must be equal before it counts.
//! Without `--bench`, as `cargo test --benches` runs it, 100 objects of every shape are built once.
#![forbid(unsafe_code)]

mod input;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kustomize::{FolderFiles, Options, Order};

use input::Shape;

/// The product's allocator: what is measured here is what runs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ticks of a second in `/proc/self/stat`: the same on all of Linux's usual architectures.
const TICKS_A_SECOND: f64 = 100.0;
/// Objects, and the target for the ratio of CPU time.
const SIZES: [(usize, f64); 3] = [(100, 20.0), (1_000, 50.0), (5_000, 1_000.0)];
/// The peer is stopped after this time; what it has taken until then is less than it needs.
const PEER_TIME_MAX: Duration = Duration::from_secs(400);
const PEER_POLL: Duration = Duration::from_millis(20);
/// The peer builds no more than this unless it is asked to.
const PEER_OBJECTS_MAX: usize = 1_000;
/// Builds that a figure is the mean of, at least: the first one also pays for memory that is new.
const N_BUILDS_MIN: usize = 3;
/// The size at which memory is measured, in a process of its own, and the one it is compared to.
const LARGE: usize = 20_000;
const SMALL: usize = 1_000;
/// The first argument of that process; a shape and a number of objects follow.
const ALONE: &str = "--alone";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    if let [flag, name, n_objects, ..] = arguments.as_slice()
        && flag == ALONE
    {
        let shape = Shape::ALL.into_iter().find(|shape| shape.name() == name);
        return alone(shape.context("a shape")?, n_objects.parse()?);
    }
    if !has("--bench") {
        let mut shapes = Shape::ALL.into_iter();
        return shapes.try_for_each(|shape| compare(shape, 100, 20.0, true));
    }
    println!("CPU seconds of the peer are those of the whole process, its start included");
    for shape in Shape::ALL {
        for (n_objects, target) in SIZES {
            let with_peer = n_objects <= PEER_OBJECTS_MAX || has("--peer-large");
            compare(shape, n_objects, target, with_peer && !has("--no-peer"))
                .with_context(|| shape.name())?;
        }
    }
    Shape::ALL.into_iter().try_for_each(grow)
}

/// Prints one line: the large input, and how much more an object costs there than in a small one.
fn grow(shape: Shape) -> anyhow::Result<()> {
    let (small, _) = in_own_process(shape, SMALL)?;
    let (large, peak) = in_own_process(shape, LARGE)?;
    let growth = (large / LARGE as f64) / (small / SMALL as f64);
    println!(
        "{}, {LARGE} objects: {large:.3} s (target 1 s), peak {} MB (target 400 MB), \
         per object against {SMALL}: {growth:.2} (target 1.5)",
        shape.name(),
        peak / 1_000,
    );
    Ok(())
}

/// Returns the CPU seconds and the peak of memory in kB of one build in a process of its own.
fn in_own_process(shape: Shape, n_objects: usize) -> anyhow::Result<(f64, u64)> {
    let output = Command::new(std::env::current_exe()?)
        .args([ALONE, shape.name(), &n_objects.to_string()])
        .output()?;
    let talk = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{talk}");
    let text = String::from_utf8(output.stdout)?;
    let (seconds, peak) = text.trim().split_once(' ').context("two figures")?;
    Ok((seconds.parse()?, peak.parse()?))
}

/// Builds an input a few times and prints the CPU seconds of one build and the peak of memory.
fn alone(shape: Shape, n_objects: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    input::write(folder.path(), shape, n_objects)?;
    let (seconds, _) = ours(folder.path(), (LARGE / n_objects).clamp(N_BUILDS_MIN, 10))?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.context("VmHWM")?.trim().trim_end_matches(" kB");
    println!("{seconds} {peak}");
    Ok(())
}

/// Prints one line: both sides on one input. Fails when the outputs differ.
fn compare(shape: Shape, n_objects: usize, target: f64, with_peer: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    input::write(folder.path(), shape, n_objects)?;
    let (ours, text) = ours(folder.path(), (5_000 / n_objects).max(N_BUILDS_MIN))?;
    let shape = shape.name();
    if !with_peer {
        println!(
            "{shape}, {n_objects} objects: {ours:.4} s; the peer takes minutes (--peer-large)"
        );
        return Ok(());
    }
    let (theirs, output) = peer(folder.path())?;
    let ratio = theirs / ours;
    let Some(output) = output else {
        println!(
            "{shape}, {n_objects} objects: {ours:.4} s, peer stopped after {theirs:.0} s: \
             more than {ratio:.0}x (target {target:.0}x)"
        );
        return Ok(());
    };
    ensure!(
        output == text.as_bytes(),
        "{shape}, {n_objects} objects: the outputs differ"
    );
    println!(
        "{shape}, {n_objects} objects: {ours:.4} s, peer {theirs:.2} s: {ratio:.0}x (target {target:.0}x)"
    );
    Ok(())
}

/// Returns the CPU seconds of the peer and its output; nothing when it took too long.
fn peer(folder: &Path) -> anyhow::Result<(f64, Option<Vec<u8>>)> {
    let before = children()?;
    let output = folder.join("peer.yaml");
    let mut child = Command::new("kubectl")
        .arg("kustomize")
        .arg(folder.join("top"))
        .stdout(std::fs::File::create(&output)?)
        .spawn()
        .context("run kubectl; tools/test installs it")?;
    let started = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if started.elapsed() > PEER_TIME_MAX => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(PEER_POLL),
        }
    };
    let seconds = children()? - before;
    let Some(status) = status else {
        return Ok((seconds, None));
    };
    ensure!(status.success(), "the peer fails");
    Ok((seconds, Some(std::fs::read(output)?)))
}

/// Returns the mean CPU seconds of a build, and the output.
fn ours(folder: &Path, n_times: usize) -> anyhow::Result<(f64, String)> {
    let options = Options {
        order: Order::Legacy,
        ..Options::default()
    };
    let started = own()?;
    let mut text = String::new();
    for _ in 0..n_times {
        let files = FolderFiles::new(folder)?;
        text = kustomize::render(&kustomize::build(&files, "top", &options)?);
    }
    Ok(((own()? - started) / n_times as f64, text))
}

/// Returns the CPU seconds of this thread; a build has no other.
fn own() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().context("a number")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// Returns the CPU seconds of all children that have ended.
fn children() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: f64 = ticks.map(str::parse::<f64>).sum::<Result<_, _>>()?;
    Ok(ticks / TICKS_A_SECOND)
}
