//! [`Logins`]: the credentials of clouds, each kept until near its end.
//!
//! In: a [`Provider`] and a registry that answered. Out: a `Credential`, exchanged at most once
//! for each registry and proxy while it is good. Nothing is exchanged before a request needs it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;

use super::super::{Credential, Error, Proxy};
use super::{Surroundings, aws, azure, gcp};

/// The longest a login is kept, whatever its cloud says; Flux's bound.
const LIFE_MAX: Duration = Duration::from_secs(60 * 60);

/// Logins kept at once; above it all are forgotten and made anew.
const LOGINS_MAX: usize = 1024;

/// `spec.provider`, where it is not `generic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Amazon's ECR.
    Aws,
    /// Azure's Container Registry.
    Azure,
    /// Google's Artifact Registry and Container Registry.
    Gcp,
}

impl Provider {
    /// Returns the name in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }
}

/// What a login is for.
pub(in crate::registry) struct Asked<'a> {
    pub(in crate::registry) provider: Provider,
    /// The registry's host.
    pub(in crate::registry) host: &'a str,
    /// The registry's root, as it was met.
    pub(in crate::registry) base: &'a Url,
    /// What the registry is asked with.
    pub(in crate::registry) transport: &'a reqwest::Client,
    pub(in crate::registry) proxy: Option<&'a Proxy>,
}

/// A login as its cloud gave it.
pub(super) struct Given {
    pub(super) credential: Credential,
    pub(super) life: Duration,
}

type Key = (Provider, String, Option<Proxy>);

/// The logins of the process.
#[derive(Debug, Default)]
pub(in crate::registry) struct Logins {
    surroundings: Surroundings,
    kept: Mutex<HashMap<Key, (Credential, Instant)>>,
}

impl Logins {
    pub(in crate::registry) fn new(surroundings: Surroundings) -> Self {
        Self {
            surroundings,
            kept: Mutex::default(),
        }
    }

    /// Returns the credential for a registry. Fails when the host is not of the provider's cloud,
    /// when nothing here proves who asks, and when the cloud refuses.
    pub(in crate::registry) async fn credential(
        &self,
        asked: &Asked<'_>,
    ) -> Result<Credential, Error> {
        let key = key(asked);
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((credential, until)) = lock().get(&key)
            && *until > now
        {
            return Ok(credential.clone());
        }
        let given = match asked.provider {
            Provider::Aws => aws::login(&self.surroundings, asked).await,
            Provider::Azure => azure::login(&self.surroundings, asked).await,
            Provider::Gcp => gcp::login(&self.surroundings, asked).await,
        };
        let given = given.map_err(|reason| Error::Login {
            provider: asked.provider.as_str(),
            reason,
        })?;
        let mut kept = lock();
        if kept.len() >= LOGINS_MAX {
            kept.clear();
        }
        let until = now + given.life.mul_f64(0.8).min(LIFE_MAX);
        kept.insert(key, (given.credential.clone(), until));
        Ok(given.credential)
    }

    /// Forgets a login that the registry refused.
    pub(in crate::registry) fn forget(&self, provider: Provider, host: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(of, name, _), _| *of != provider || name != host);
    }
}

fn key(asked: &Asked<'_>) -> Key {
    (asked.provider, asked.host.to_owned(), asked.proxy.cloned())
}
