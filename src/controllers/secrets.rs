//! Reads Secrets, ServiceAccounts and Namespaces that specs name.
//!
//! In: a namespace and a name. Out: the data, or an error that names the object and never a value.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::{Api, Client};

/// A Secret's type and data.
pub(super) struct SecretData {
    pub type_: String,
    pub data: BTreeMap<String, Vec<u8>>,
}

/// An object that a spec names and that could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It is not there.
    #[error("{kind} '{namespace}/{name}' not found")]
    Missing {
        kind: &'static str,
        namespace: String,
        name: String,
    },
    /// The API server did not give it.
    #[error("failed to get {kind} '{namespace}/{name}': {source}")]
    Read {
        kind: &'static str,
        namespace: String,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
}

/// Returns a Secret's data. Fails when it is not there or cannot be read.
pub(super) async fn secret(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<SecretData, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = there("secret", namespace, name, api.get_opt(name).await)?;
    let data = secret.data.unwrap_or_default();
    Ok(SecretData {
        type_: secret.type_.unwrap_or_default(),
        data: data
            .into_iter()
            .map(|(key, value)| (key, value.0))
            .collect(),
    })
}

/// Returns the names of a ServiceAccount's pull secrets. Fails when it is not there.
pub(super) async fn pull_secrets(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Vec<String>, Error> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = there("serviceaccount", namespace, name, api.get_opt(name).await)?;
    let secrets = account.image_pull_secrets.unwrap_or_default();
    Ok(secrets.into_iter().map(|secret| secret.name).collect())
}

/// Returns a Namespace's labels. Fails when it is not there.
pub(super) async fn namespace_labels(
    client: &Client,
    name: &str,
) -> Result<BTreeMap<String, String>, Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = there("namespace", "", name, api.get_opt(name).await)?;
    Ok(namespace.metadata.labels.unwrap_or_default())
}

fn there<K>(
    kind: &'static str,
    namespace: &str,
    name: &str,
    read: Result<Option<K>, kube::Error>,
) -> Result<K, Error> {
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    match read {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(Error::Missing {
            kind,
            namespace,
            name,
        }),
        Err(source) => Err(Error::Read {
            kind,
            namespace,
            name,
            source: Box::new(source),
        }),
    }
}
