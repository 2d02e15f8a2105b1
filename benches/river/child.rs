//! `towpath run` as a child process, and what the kernel says of it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use kube::Client;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;
use towpath::cluster::Cluster;

/// How long a start may take, with many objects to apply.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ticks of a second in `/proc/PID/stat`: the same on all of Linux's usual architectures.
const TICKS_A_SECOND: u32 = 100;

/// A running `towpath run`; it is killed when this is dropped.
pub struct Child {
    process: tokio::process::Child,
    id: u32,
    /// From its start to the line that says that it serves.
    pub serves_after: Duration,
    /// Reads the rest of what it says, so that it never waits for a reader.
    _talk: AbortOnDropHandle<()>,
}

impl Child {
    /// Starts it on a data folder and waits until it serves. Fails with what it said when it ends
    /// before.
    pub async fn start(data: &Path, manifests: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
        command.arg("run").arg("--data").arg(data);
        if let Some(manifests) = manifests {
            command.arg("--filename").arg(manifests);
        }
        command.env_remove("TOWPATH_DATA").env_remove("TOWPATH_LOG");
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut process = command
            .kill_on_drop(true)
            .spawn()
            .context("start towpath")?;
        let stderr = process.stderr.take().context("stderr is not piped")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        loop {
            let line = timeout(PATIENCE, lines.next_line()).await;
            let line = line.with_context(|| format!("it does not serve after 60 s: {said}"))??;
            let line = line.with_context(|| format!("it ended: {said}"))?;
            if line.starts_with("Serving ") {
                break;
            }
            said.push_str(&line);
            said.push('\n');
        }
        let serves_after = began.elapsed();
        let talk = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("  towpath: {line}");
            }
        });
        Ok(Self {
            id: process.id().context("it has ended")?,
            process,
            serves_after,
            _talk: AbortOnDropHandle::new(talk),
        })
    }

    /// Returns the processor time that it used so far. Fails where there is no `/proc`.
    pub fn used(&self) -> anyhow::Result<Duration> {
        let file = format!("/proc/{}/stat", self.id);
        let stat = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
        // The name, in brackets, may hold blanks; user and system time are fields 14 and 15.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = ticks
            .map(str::parse::<u32>)
            .sum::<Result<_, _>>()
            .with_context(|| format!("times of {file}"))?;
        Ok(Duration::from_secs(1) * ticks / TICKS_A_SECOND)
    }

    /// Returns how much memory it holds now, and the most that it held. Fails where there is no
    /// `/proc`.
    pub fn resident_bytes(&self) -> anyhow::Result<(u64, u64)> {
        let file = format!("/proc/{}/status", self.id);
        let status = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let number = number.with_context(|| format!("{name} in {file}"))?;
            anyhow::Ok(number.trim().parse::<u64>()? * 1024)
        };
        Ok((value("VmRSS:")?, value("VmHWM:")?))
    }

    /// Makes the kernel forget the most that it held, so that a later part is measured alone. Fails
    /// where there is no `/proc`.
    pub fn forget_peak(&self) -> anyhow::Result<()> {
        let file = format!("/proc/{}/clear_refs", self.id);
        std::fs::write(&file, "5").with_context(|| format!("write {file}"))
    }

    /// Ends it at once, as a power cut would.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.process.kill().await.context("end towpath")
    }
}

/// Returns a client by the kubeconfig of a data folder. Fails when there is none yet.
pub async fn client(data: &Path) -> anyhow::Result<Client> {
    let cluster = Cluster::from_kubeconfig(&data.join("kubeconfig")).await?;
    Ok(cluster.client())
}
