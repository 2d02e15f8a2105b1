//! How an ImageRepository's registry is reached: its pull secrets, certificates and budget of time.
//!
//! In: an ImageRepository. Out: a registry `Access`, or an error worded as Flux words it. Used for
//! scans and for the digests of policies; never asks a registry itself.

use std::time::Duration;

use kube::Client;
use tracing::info;

use super::secrets::{self, pull_secrets, secret};
use crate::api::{ImageProvider, ImageRepository, ImageRepositorySpec};
use crate::image::Repository;
use crate::registry::{self, Access, Credential, Keychain, Provider, Proxy, Tls};

/// Less time than this is none; a shorter timeout is taken as this.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Why a registry cannot be reached as the spec says.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A Secret or a ServiceAccount could not be read.
    #[error("{0}")]
    Read(#[from] secrets::Error),
    /// A pull secret of a ServiceAccount could not be read.
    #[error("failed to get image pull secret for serviceaccount '{namespace}/{name}': {source}")]
    PullSecret {
        namespace: String,
        name: String,
        #[source]
        source: secrets::Error,
    },
    /// A Secret's content cannot be used.
    #[error("secret '{namespace}/{name}': {source}")]
    Content {
        namespace: String,
        name: String,
        #[source]
        source: registry::Error,
    },
}

/// Returns why a spec may not be used, as Flux words it: an account of its own for a cloud's login is
/// behind a gate that is off.
pub(super) fn gated(spec: &ImageRepositorySpec) -> Option<&'static str> {
    let is_cloud = spec.provider != ImageProvider::Generic;
    (is_cloud && spec.service_account_name.is_some()).then_some(
        "to use spec.serviceAccountName for provider authentication please enable the \
         ObjectLevelWorkloadIdentity feature gate in the controller",
    )
}

fn provider(spec: &ImageRepositorySpec) -> Option<Provider> {
    match spec.provider {
        ImageProvider::Generic => None,
        ImageProvider::Aws => Some(Provider::Aws),
        ImageProvider::Azure => Some(Provider::Azure),
        ImageProvider::Gcp => Some(Provider::Gcp),
    }
}

/// Returns how long one listing may take. Fails with the field that does not read as a duration.
pub(super) fn timeout(spec: &ImageRepositorySpec) -> Result<Duration, String> {
    let (field, text) = match &spec.timeout {
        Some(timeout) => ("spec.timeout", timeout),
        None => ("spec.interval", &spec.interval),
    };
    let timeout = super::duration(field, text)?;
    Ok(timeout.max(TIMEOUT_MIN))
}

/// Returns the access to an object's registry. Fails when a Secret is missing or cannot be used.
pub(super) async fn access(
    client: &Client,
    object: &ImageRepository,
    repository: &Repository,
    timeout: Duration,
) -> Result<Access, Error> {
    let spec = &object.spec;
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let provider = provider(spec);
    // A cloud's login stands in for pull secrets, as in Flux.
    let credential = match provider {
        Some(_) => None,
        None => pull_credential(client, spec, namespace, repository).await?,
    };
    let tls = match &spec.cert_secret_ref {
        Some(reference) => {
            let secret = secret(client, namespace, &reference.name).await?;
            let tls = Tls::from_secret(&secret.data);
            Some(tls.map_err(content(namespace, &reference.name))?)
        }
        None => None,
    };
    let proxy = match &spec.proxy_secret_ref {
        Some(reference) => {
            let secret = secret(client, namespace, &reference.name).await?;
            let proxy = Proxy::from_secret(&secret.data);
            Some(proxy.map_err(content(namespace, &reference.name))?)
        }
        None => None,
    };
    Ok(Access {
        credential,
        provider,
        tls,
        proxy,
        insecure: spec.insecure,
        timeout,
    })
}

/// Returns the credential of the pull secrets that a spec names.
async fn pull_credential(
    client: &Client,
    spec: &ImageRepositorySpec,
    namespace: &str,
    repository: &Repository,
) -> Result<Option<Credential>, Error> {
    let mut keychain = Keychain::default();
    if let Some(reference) = &spec.secret_ref {
        add(client, &mut keychain, namespace, &reference.name).await?;
    }
    if let Some(account) = &spec.service_account_name {
        for name in pull_secrets(client, namespace, account).await? {
            let added = add(client, &mut keychain, namespace, &name).await;
            added.map_err(|error| match error {
                Error::Read(source) => Error::PullSecret {
                    namespace: namespace.to_owned(),
                    name: account.clone(),
                    source,
                },
                error => error,
            })?;
        }
    }
    let secret_name = spec.secret_ref.as_ref().map_or("", |secret| &secret.name);
    let credential = keychain.credential(repository);
    credential.map_err(content(namespace, secret_name))
}

async fn add(
    client: &Client,
    keychain: &mut Keychain,
    namespace: &str,
    name: &str,
) -> Result<(), Error> {
    let secret = secret(client, namespace, name).await?;
    let read = Keychain::from_secret(&secret.type_, &secret.data);
    match read.map_err(content(namespace, name))? {
        Some(more) => keychain.merge(more),
        // As in Flux; the registry's 401 will tell the rest.
        None => info!(
            namespace,
            name,
            type_ = secret.type_,
            "Passed over a Secret that is no pull secret."
        ),
    }
    Ok(())
}

fn content(namespace: &str, name: &str) -> impl Fn(registry::Error) -> Error {
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    move |source| Error::Content {
        namespace: namespace.clone(),
        name: name.clone(),
        source,
    }
}
