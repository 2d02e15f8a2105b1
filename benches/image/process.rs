//! What the kernel says of this process.

use std::time::Duration;

use anyhow::Context;

/// Returns the processor time of all threads that still run. Fails where there is no `/proc`.
pub fn used() -> anyhow::Result<Duration> {
    let mut used = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task").context("read /proc/self/task")? {
        let file = task?.path().join("schedstat");
        // A thread may end while it is looked at.
        let Ok(stat) = std::fs::read_to_string(&file) else {
            continue;
        };
        let nanoseconds = stat.split(' ').next().unwrap_or_default().parse();
        used +=
            Duration::from_nanos(nanoseconds.with_context(|| format!("read {}", file.display()))?);
    }
    Ok(used)
}

/// Returns which part of the processor time of this process was the kernel's so far, and all of it,
/// both in the kernel's own small units.
pub fn kernel_part() -> anyhow::Result<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    // The name of the program stands in brackets and may hold anything.
    let (_, fields) = stat
        .rsplit_once(')')
        .context("brackets in /proc/self/stat")?;
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let mut next = || fields.next().context("times in /proc/self/stat");
    let (user, kernel) = (next()??, next()??);
    Ok((kernel, user + kernel))
}

/// Returns the most memory that this process held. Fails where there is no `/proc`.
pub fn peak_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.context("VmHWM in /proc/self/status")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}
