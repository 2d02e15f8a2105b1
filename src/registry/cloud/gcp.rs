//! Google's registries: an access token for an hour, which is the password itself.
//!
//! In: a host such as `europe-docker.pkg.dev` or `gcr.io`. Out: the credential. The token comes
//! from the file that `GOOGLE_APPLICATION_CREDENTIALS` names (a workload identity's configuration
//! or a service account's key), or from the metadata service, which `GCE_METADATA_HOST` moves.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;

use super::super::Credential;
use super::exchange::{Exchange, Where};
use super::logins::{Asked, Given};
use super::{Surroundings, gcp_keys};
use crate::safe::Secret;

/// The name that goes with an access token.
const USERNAME: &str = "oauth2accesstoken";

/// The metadata service of a machine.
const MACHINE: &str = "169.254.169.254";

/// What tokens are for.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A token as Google's services write it.
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    #[serde(default)]
    pub(super) expires_in: u64,
}

/// A token that is the password.
pub(super) async fn login(around: &Surroundings, asked: &Asked<'_>) -> Result<Given, String> {
    if !is_known(asked.host) {
        return Err(format!(
            "{:?} is not a host of Google's registries",
            asked.host
        ));
    }
    let named = around.file("GOOGLE_APPLICATION_CREDENTIALS").await?;
    let token = match named {
        Some(text) => gcp_keys::token(&text, asked.proxy).await?,
        None => from_machine(around).await?,
    };
    Ok(Given {
        credential: Credential::Password {
            username: USERNAME.to_owned(),
            password: Secret::new(token.access_token),
        },
        life: Duration::from_secs(token.expires_in),
    })
}

async fn from_machine(around: &Surroundings) -> Result<Token, String> {
    let host = around.get("GCE_METADATA_HOST").unwrap_or(MACHINE);
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
    let exchange = Exchange::new(Where::Metadata, Method::GET, &url)?;
    let token = exchange.header("metadata-flavor", "Google").json().await;
    token.map_err(|error| format!("GOOGLE_APPLICATION_CREDENTIALS is not set, and {error}"))
}

fn is_known(host: &str) -> bool {
    let is_below = |end: &str| host.strip_suffix(end).is_some_and(|name| !name.is_empty());
    matches!(host, "gcr.io" | "docker.s3nsregistry.fr")
        || is_below(".gcr.io")
        || is_below("-docker.pkg.dev")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_others() {
        for (host, want) in [
            ("gcr.io", true),
            ("eu.gcr.io", true),
            ("europe-west1-docker.pkg.dev", true),
            ("docker.s3nsregistry.fr", true),
            ("evilgcr.io", false),
            (".gcr.io.evil.io", false),
            ("pkg.dev", false),
            ("ghcr.io", false),
        ] {
            assert_eq!(is_known(host), want, "{host}");
        }
    }
}
