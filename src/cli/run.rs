//! `towpath run`: all controllers, on the embedded API or on a cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::hint::Hint;
use crate::cli::signals;
use crate::safe::AddressRule;
use crate::serve;

/// Runs all controllers until it is told to stop: on the embedded API, or on your cluster.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder that keeps everything; $XDG_DATA_HOME/towpath by default.
    #[arg(long, value_name = "DIR", env = "TOWPATH_DATA")]
    data: Option<PathBuf>,
    /// Your cluster; without it, the embedded API serves, with its kubeconfig in DIR/kubeconfig.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Manifests, or folders of them, that are applied at each start.
    #[arg(short, long = "filename", value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Whether objects may name hosts on private networks and on this machine. Link-local
    /// addresses and those of metadata services are refused in any case.
    #[arg(long, value_name = "WHETHER", default_value = "allow", value_enum)]
    private_hosts: PrivateHosts,
    /// A token service that may have the credentials of registries of other sites; may be repeated.
    #[arg(long = "registry-token-host", value_name = "HOST")]
    registry_token_hosts: Vec<String>,
}

/// Whether hosts on private networks may be asked.
#[derive(Clone, Copy, clap::ValueEnum)]
enum PrivateHosts {
    Allow,
    Refuse,
}

impl From<PrivateHosts> for AddressRule {
    fn from(private: PrivateHosts) -> Self {
        match private {
            PrivateHosts::Allow => Self::WithPrivate,
            PrivateHosts::Refuse => Self::PublicOnly,
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let shutdown = signals::shutdown()?;
    let data = match arguments.data {
        Some(data) => data,
        None => data_home().hint("name a folder with --data DIR")?,
    };
    let options = serve::Options {
        data: data.clone(),
        kubeconfig: arguments.kubeconfig,
        kubeconfig_file: None,
        files: arguments.files,
        addresses: arguments.private_hosts.into(),
        registry_token_hosts: arguments.registry_token_hosts,
    };
    let started = serve::start(options, shutdown).await;
    let running = match advice(&started) {
        Some(advice) => started.hint(advice)?,
        None => started?,
    };
    eprintln!(
        "Serving {}, data in {}.",
        running.description(),
        data.display()
    );
    running.ended().await?;
    Ok(ExitCode::SUCCESS)
}

/// Returns what helps against the failures that people meet first.
fn advice(started: &anyhow::Result<serve::Running>) -> Option<&'static str> {
    let text = format!("{:#}", started.as_ref().err()?);
    if text.contains("namespaces \"") {
        return Some("put the Namespace into the manifests, or create it first");
    }
    let advice = "without --kubeconfig the embedded API serves, and no cluster is needed";
    text.contains("read the kubeconfig").then_some(advice)
}

fn data_home() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let home = absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .ok_or_else(|| anyhow::anyhow!("neither $XDG_DATA_HOME nor $HOME is set"))?;
    Ok(home.join("towpath"))
}
