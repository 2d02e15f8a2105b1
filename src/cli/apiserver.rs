//! `towpath apiserver`: the embedded API alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::hint::Hint;
use crate::cli::signals;
use crate::cluster::{Cluster, Embedded};

/// Serves the embedded Kubernetes-style API, without controllers.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder that keeps everything; without it everything is gone at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on; any free port of loopback by default.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The kubeconfig to write; by default DIR/kubeconfig, or ./kubeconfig without a folder.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        data,
        listen,
        kubeconfig,
    } = arguments;
    if listen.is_some_and(|address| !address.ip().is_loopback()) {
        anyhow::bail!("--listen: only loopback addresses are supported yet");
    }
    let folder = data.clone().unwrap_or_else(|| PathBuf::from("."));
    let kubeconfig = kubeconfig.unwrap_or_else(|| folder.join("kubeconfig"));
    let options = Embedded {
        data,
        listen,
        kubeconfig: Some(kubeconfig),
    };
    let cluster = Cluster::embedded(options).await.hint(
        "a data folder is one that can be written to, and serves one process at a time; --data names \
         another, and --listen another address",
    )?;
    eprintln!("Serving {}.", cluster.description());
    cluster.serve(signals::shutdown()?).await;
    Ok(ExitCode::SUCCESS)
}
