//! `towpath tags IMAGE`: an image's tags, and what a policy would choose among them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;

use crate::cli::hint::Hint;
use crate::cli::{explained, output, progress};
use crate::image::Repository;
use crate::policy::{Choice, Filter, Policy};
use crate::registry::{Access, Client, Keychain};
use crate::safe::printable;

/// The largest docker configuration that is read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Lists the tags of an image; with a policy, says which it would choose and why not the others.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The image, such as ghcr.io/acme/app.
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Chooses the greatest version in this range.
    #[arg(long, value_name = "RANGE", group = "choice")]
    semver: Option<String>,
    /// Chooses the last (asc) or first (desc) in the alphabet.
    #[arg(long, value_name = "ORDER", group = "choice", default_missing_value = "asc", num_args = 0..=1)]
    alphabetical: Option<Order>,
    /// Chooses the greatest (asc) or smallest (desc) number.
    #[arg(long, value_name = "ORDER", group = "choice", default_missing_value = "asc", num_args = 0..=1)]
    numerical: Option<Order>,
    /// Keeps only tags that match this RE2 pattern.
    #[arg(long, value_name = "PATTERN")]
    pattern: Option<String>,
    /// What of the pattern's groups is compared, such as $ts.
    #[arg(long, value_name = "TEMPLATE", requires = "pattern")]
    extract: Option<String>,
    /// Allows plain http; a registry on this machine may always speak it.
    #[arg(long)]
    insecure: bool,
    /// The docker configuration with credentials; $DOCKER_CONFIG/config.json by default.
    #[arg(long, value_name = "FILE")]
    docker_config: Option<PathBuf>,
    /// How long to wait for the registry, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// The form of the output.
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t)]
    output: output::Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Order {
    Asc,
    Desc,
}

impl Order {
    fn word(self) -> String {
        match self {
            Self::Asc => "asc".to_owned(),
            Self::Desc => "desc".to_owned(),
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let repository = Repository::parse_image_field(&arguments.image)
        .with_context(|| format!("read the image {:?}", arguments.image))
        .hint("name the image in small letters and without a tag, such as ghcr.io/acme/app")?;
    let policy = policy(&arguments)?;
    let mut access = Access::anonymous(Duration::from_secs(arguments.timeout));
    access.insecure = arguments.insecure || is_loopback(repository.registry().as_str());
    access.credential = credential(&arguments, &repository)?;
    let client = Client::new();
    let listing = client.tags(&repository, &access, &|_| true);
    let scanning = format!("scanning {repository}");
    let listing = progress::during(&scanning, listing)
        .await
        .with_context(|| format!("scan {repository}"))
        .hint("a private registry needs --docker-config; one without TLS needs --insecure")?;
    let Some(policy) = policy else {
        return list(&listing.tags.to_strings(), arguments.output);
    };
    let view = explained::View {
        subject: "the policy",
        tag: None,
        format: arguments.output,
        writers: None,
    };
    explained::show(&policy.explain(listing.tags.iter()), &view)
}

fn policy(arguments: &Arguments) -> anyhow::Result<Option<Policy>> {
    let choice = match (
        &arguments.semver,
        arguments.alphabetical,
        arguments.numerical,
    ) {
        (Some(range), _, _) => Choice::SemVer {
            range: range.clone(),
        },
        (_, Some(order), _) => Choice::Alphabetical {
            order: order.word(),
        },
        (_, _, Some(order)) => Choice::Numerical {
            order: order.word(),
        },
        (None, None, None) => {
            let filters = arguments.pattern.is_some();
            anyhow::ensure!(
                !filters,
                "--pattern needs --semver, --alphabetical or --numerical"
            );
            return Ok(None);
        }
    };
    let filter = arguments.pattern.as_ref().map(|pattern| Filter {
        pattern: pattern.clone(),
        extract: arguments.extract.clone().unwrap_or_default(),
    });
    let policy = Policy::new(&choice, filter.as_ref()).hint(
        "a range is such as 1.x or '>=1.0.0 <2.0.0', a pattern is RE2; quotes keep the shell away",
    )?;
    Ok(Some(policy))
}

/// Whether a registry (`host` or `host:port`) is on this machine, where nobody listens on the way.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = address.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

fn credential(
    arguments: &Arguments,
    repository: &Repository,
) -> anyhow::Result<Option<crate::registry::Credential>> {
    let home = || std::env::home_dir().map(|home| home.join(".docker"));
    let folder = || {
        std::env::var_os("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(home)
    };
    let file = match &arguments.docker_config {
        Some(file) => file.clone(),
        None => match folder().map(|folder| folder.join("config.json")) {
            Some(file) if file.exists() => file,
            _ => return Ok(None),
        },
    };
    let about = || format!("read the docker configuration {}", file.display());
    let size = std::fs::metadata(&file).with_context(about)?.len();
    anyhow::ensure!(
        size <= CONFIG_BYTES_MAX,
        "{}: larger than 1 MiB",
        file.display()
    );
    let bytes = std::fs::read(&file).with_context(about)?;
    let data = [(".dockerconfigjson".to_owned(), bytes)].into();
    let keychain = Keychain::from_secret("kubernetes.io/dockerconfigjson", &data);
    let Some(keychain) = keychain.with_context(about)? else {
        return Ok(None);
    };
    keychain.credential(repository).with_context(about)
}

fn list(tags: &[String], format: output::Format) -> anyhow::Result<ExitCode> {
    match format {
        output::Format::Table => {
            let lines: String = tags
                .iter()
                .map(|tag| format!("{}\n", printable(tag)))
                .collect();
            output::text_out(&lines)?;
        }
        format => output::print(format, &json!({ "tags": tags }))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for registry in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
        ] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in ["ghcr.io", "10.0.0.1:5000", "localhost.example.com:5000"] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
