//! Pull secrets: from `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg` to the one
//! [`Credential`] for a repository, matched as the kubelet matches them.
//!
//! In: the type and data of Secrets. Out: a [`Keychain`]. Values never appear in errors.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Credential, Error};
use crate::image::Repository;
use crate::safe::Secret;

/// Bytes of one docker config that are read; etcd holds no Secret beyond 1 MiB.
const CONFIG_BYTES_MAX: usize = 1 << 20;

/// The entries of one or more pull secrets.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    /// By pattern (`host[:port][/path]`), `None` for an empty login; the first entry of a pattern
    /// wins.
    entries: BTreeMap<String, Option<Credential>>,
    /// Hosts whose login is with a program, and whether that is so for all others.
    helpers: BTreeSet<String>,
    has_store: bool,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, IgnoredAny>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "lowercase")]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Keychain {
    /// Returns the entries of a Secret, or `None` when its type is no pull secret's: such a Secret
    /// takes no part, as in Flux, and the caller may say so. Fails when the key is missing, the
    /// text is no docker config, or an `auth` is not base64 of `user:password`.
    pub fn from_secret(
        secret_type: &str,
        data: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Option<Self>, Error> {
        let key = match secret_type {
            "kubernetes.io/dockerconfigjson" => ".dockerconfigjson",
            "kubernetes.io/dockercfg" => ".dockercfg",
            _ => return Ok(None),
        };
        let refuse = |reason: &str| Error::Secret {
            place: key.to_owned(),
            reason: reason.to_owned(),
        };
        let text = data.get(key).ok_or_else(|| refuse("key is missing"))?;
        if text.len() > CONFIG_BYTES_MAX {
            return Err(refuse("is larger than 1 MiB"));
        }
        let config = match key {
            ".dockerconfigjson" => serde_json::from_slice::<Config>(text),
            _ => serde_json::from_slice(text).map(|auths| Config {
                auths,
                helpers: BTreeMap::new(),
                store: None,
            }),
        };
        // The parser's own text may quote a value, so only the place is told.
        let config = config.map_err(|error| {
            refuse(&format!(
                "is not a docker config (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        let mut entries = BTreeMap::new();
        for (pattern, entry) in config.auths {
            let login = login(entry).map_err(|reason| Error::Secret {
                place: format!("{key}: auths[{pattern:?}]"),
                reason: reason.to_owned(),
            })?;
            entries.entry(normal(&pattern)).or_insert(login);
        }
        Ok(Some(Self {
            entries,
            helpers: config.helpers.keys().map(|host| normal(host)).collect(),
            has_store: config.store.is_some_and(|store| !store.is_empty()),
        }))
    }

    /// Adds the entries of another secret; a pattern that is there already stays.
    pub fn merge(&mut self, other: Self) {
        for (pattern, login) in other.entries {
            self.entries.entry(pattern).or_insert(login);
        }
        self.helpers.extend(other.helpers);
        self.has_store |= other.has_store;
    }

    /// Returns the credential for a repository: of the matching patterns the last in byte order,
    /// and no other when the registry refuses it. Fails when the login is with a program instead.
    pub fn credential(&self, repository: &Repository) -> Result<Option<Credential>, Error> {
        let matching = self
            .entries
            .iter()
            .rev()
            .find(|(pattern, _)| matches(pattern, repository));
        if let Some((_, Some(credential))) = matching {
            return Ok(Some(credential.clone()));
        }
        let host = repository.registry().as_str();
        let place = match (self.helpers.contains(host), self.has_store) {
            (true, _) => format!("credHelpers[{host:?}]"),
            (false, true) => "credsStore".to_owned(),
            (false, false) => return Ok(None),
        };
        Err(Error::Secret {
            place,
            reason: "names a program that holds the login, and none is ever run; \
                     put the login into auths"
                .to_owned(),
        })
    }
}

fn login(entry: Entry) -> Result<Option<Credential>, &'static str> {
    let Entry {
        registrytoken,
        identitytoken,
        ..
    } = entry;
    if !registrytoken.is_empty() {
        return Ok(Some(Credential::RegistryToken(Secret::new(registrytoken))));
    }
    if !identitytoken.is_empty() {
        return Ok(Some(Credential::IdentityToken(Secret::new(identitytoken))));
    }
    let (username, password) = match entry.auth.is_empty() {
        true => (entry.username, entry.password),
        false => decoded(&entry.auth)?,
    };
    if username.is_empty() && password.is_empty() {
        return Ok(None);
    }
    Ok(Some(Credential::password(username, password)))
}

fn decoded(auth: &str) -> Result<(String, String), &'static str> {
    let bytes = STANDARD
        .decode(auth.trim())
        .or_else(|_| STANDARD_NO_PAD.decode(auth.trim()))
        .map_err(|_| "auth is not base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "auth is not text")?;
    let (username, password) = text.split_once(':').ok_or("auth is not user:password")?;
    Ok((username.to_owned(), password.trim_matches('\0').to_owned()))
}

/// Returns a key without its scheme and without a leading `/v1/` or `/v2/` of its path.
fn normal(key: &str) -> String {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let (host, path) = match key.find('/') {
        Some(at) => key.split_at(at),
        None => (key, ""),
    };
    let path = match path.starts_with("/v1/") || path.starts_with("/v2/") {
        true => &path[3..],
        false => path,
    };
    match path {
        "/" => host.to_owned(),
        path => format!("{host}{path}"),
    }
}

/// Returns whether a pattern covers a repository: host label by label, same port, path prefix.
fn matches(pattern: &str, repository: &Repository) -> bool {
    let (host, path) = match pattern.find('/') {
        Some(at) => pattern.split_at(at),
        None => (pattern, ""),
    };
    let (host, port) = parted(host);
    let (want_host, want_port) = parted(repository.registry().as_str());
    let labels: Vec<&str> = host.split('.').collect();
    let want_labels: Vec<&str> = want_host.split('.').collect();
    port == want_port
        && labels.len() == want_labels.len()
        && labels
            .iter()
            .zip(&want_labels)
            .all(|(label, want)| label_matches(label.as_bytes(), want.as_bytes()))
        && format!("/{}", repository.path()).starts_with(path)
}

fn parted(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    }
}

/// Matches `*` and `?` in one label, going back to the last star only: linear in practice and at
/// most the product of two short lengths.
fn label_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keychain(config: &str) -> Result<Option<Keychain>, Error> {
        Keychain::from_secret(
            "kubernetes.io/dockerconfigjson",
            &BTreeMap::from([(".dockerconfigjson".to_owned(), config.as_bytes().to_vec())]),
        )
    }

    fn chosen(keys: &[&str], registry: &str, path: &str) -> Option<String> {
        let auths: serde_json::Map<_, _> = keys
            .iter()
            .map(|key| {
                let entry = serde_json::json!({"username": key, "password": "p"});
                ((*key).to_owned(), entry)
            })
            .collect();
        let config = serde_json::json!({ "auths": auths }).to_string();
        let repository = Repository::parse(&format!("{registry}/{path}")).unwrap();
        let keychain = keychain(&config).unwrap().unwrap();
        let credential = keychain.credential(&repository).unwrap();
        credential.map(|credential| match credential {
            Credential::Password { username, .. } => username,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn keys_match_as_the_kubelet_matches_them() {
        for (keys, registry, path, want) in [
            (
                &["https://index.docker.io/v1/"][..],
                "index.docker.io",
                "x/y",
                0,
            ),
            (&["docker.io"], "index.docker.io", "x/y", -1),
            (&["ghcr.io", "ghcr.io/acme"], "ghcr.io", "acme/app", 1),
            (&["ghcr.io", "ghcr.io/acme"], "ghcr.io", "other/app", 0),
            (&["*.acme.io", "r.acme.io"], "r.acme.io", "app", 1),
            (&["*.acme.io"], "a.b.acme.io", "app", -1),
            (&["*.acme.io"], "acme.io", "app", -1),
            (&["r.io:5000"], "r.io", "app", -1),
            (&["r.io"], "r.io:5000", "app", -1),
            (&["http://r.io:5000/v2/"], "r.io:5000", "app", 0),
            (&["r*o.io"], "repo.io", "app", 0),
        ] {
            let want = usize::try_from(want).ok().map(|at| keys[at].to_owned());
            assert_eq!(chosen(keys, registry, path), want, "{keys:?} {registry}");
        }
    }

    #[test]
    fn both_spellings_of_a_login_are_read() {
        let repository = Repository::parse("r.io/app").unwrap();
        for config in [
            r#"{"auths":{"r.io":{"auth":"Ym9iOnMzY3JldA=="}}}"#,
            r#"{"auths":{"r.io":{"auth":"Ym9iOnMzY3JldA"}}}"#,
            r#"{"auths":{"r.io":{"username":"bob","password":"s3cret"}}}"#,
        ] {
            let credential = keychain(config).unwrap().unwrap();
            let credential = credential.credential(&repository).unwrap().unwrap();
            assert_eq!(
                credential,
                Credential::password("bob", "s3cret"),
                "{config}"
            );
        }
    }

    #[test]
    fn bad_secrets_are_refused_by_place_and_without_values() {
        for (config, want) in [
            (
                r#"{"auths":{"r.io":{"auth":"s3cret!"}}}"#,
                "auth is not base64",
            ),
            (
                r#"{"auths":{"r.io":{"auth":"Ym9i"}}}"#,
                "auth is not user:password",
            ),
            (
                r#"{"auths":{"r.io":"s3cret"}}"#,
                "is not a docker config (line 1, column",
            ),
            ("s3cret", "is not a docker config"),
        ] {
            let error = keychain(config).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn tokens_are_read_before_passwords() {
        let repository = Repository::parse("r.io/app").unwrap();
        let secret = || Secret::new("s3cret".to_owned());
        for (config, want) in [
            (
                r#"{"auths":{"r.io":{"auth":"Ym9iOg==","identitytoken":"s3cret"}}}"#,
                Credential::IdentityToken(secret()),
            ),
            (
                r#"{"auths":{"https://r.io/v2/":{"identitytoken":"x","registrytoken":"s3cret"}}}"#,
                Credential::RegistryToken(secret()),
            ),
        ] {
            let credential = keychain(config).unwrap().unwrap().credential(&repository);
            assert_eq!(credential.unwrap(), Some(want), "{config}");
        }
    }

    #[test]
    fn logins_that_a_program_holds_are_refused_by_name() {
        let repository = Repository::parse("r.io/app").unwrap();
        let refusal = |field: &str| {
            format!(
                "pull secret: {field}: names a program that holds the login, and none is ever run; \
                 put the login into auths"
            )
        };
        let helper = refusal(r#"credHelpers["r.io"]"#);
        for (config, want) in [
            (
                r#"{"credHelpers":{"r.io":"ecr-login"}}"#,
                Err(helper.clone()),
            ),
            (
                r#"{"auths":{"r.io":{}},"credHelpers":{"https://r.io":"x"}}"#,
                Err(helper),
            ),
            (r#"{"credsStore":"desktop"}"#, Err(refusal("credsStore"))),
            (
                r#"{"credHelpers":{"other.io":"x"},"credsStore":""}"#,
                Ok(None),
            ),
            (
                r#"{"auths":{"r.io":{"username":"b","password":"p"}},"credsStore":"desktop"}"#,
                Ok(Some(Credential::password("b", "p"))),
            ),
        ] {
            let credential = keychain(config).unwrap().unwrap().credential(&repository);
            assert_eq!(
                credential.map_err(|error| error.to_string()),
                want,
                "{config}"
            );
        }
    }

    #[test]
    fn a_secret_of_another_type_takes_no_part() {
        let got = Keychain::from_secret("Opaque", &BTreeMap::new()).unwrap();
        assert!(got.is_none());
    }
}
