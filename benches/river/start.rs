//! How soon `towpath run` serves on an empty data folder.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use towpath::cli::demo::hops::milliseconds;

use super::child::{self, Child};
use super::{of_target, percentile};

const TARGET: Duration = Duration::from_millis(300);

/// Starts it so many times, each on a folder of its own, and prints the median.
pub async fn print(n_starts: usize) -> anyhow::Result<()> {
    let (mut says, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..n_starts {
        let folder = tempfile::tempdir()?;
        let child = Child::start(folder.path(), None).await?;
        says.push(child.serves_after);
        let asked = Instant::now();
        let client = child::client(folder.path()).await?;
        let version = client.apiserver_version().await;
        version.context("ask for the version over TLS")?;
        answers.push(child.serves_after + asked.elapsed());
        child.end().await?;
    }
    println!("\n`towpath run` on an empty data folder, {n_starts} starts");
    println!(
        "  {:<26} {:>10} {:>10} {:>10}",
        "from its start until", "least", "p50", "most"
    );
    for (name, times) in [
        ("it says that it serves", &says),
        ("its kubeconfig answers", &answers),
    ] {
        let figure = |percent| percentile(times, percent).context("no start");
        let median = figure(50)?;
        println!(
            "  {name:<26} {:>10} {:>10} {:>10}   {}",
            milliseconds(figure(0)?),
            milliseconds(median),
            milliseconds(figure(100)?),
            of_target(median, TARGET)
        );
    }
    Ok(())
}
