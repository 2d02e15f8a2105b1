//! The server's own certificate authority, its certificate, and the administrator's token.
//!
//! They are made at the first start and kept in files that only the owner reads; without a data
//! folder they live as long as the process. The kubeconfig of the administrator is written whole or
//! not at all.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Datelike, Days, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

use crate::clock::{Random, hex};

/// The names and addresses that the server's certificate holds for.
const NAMES: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];
/// How long the authority's certificate holds.
const AUTHORITY_DAYS: u64 = 3_650;
/// How long a server certificate holds; each start makes a new one.
const SERVER_DAYS: u64 = 365;
/// The name of the kubeconfig's cluster, user and context.
const CONTEXT: &str = "embedded";

/// Why the credentials could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file could not be read or written.
    #[error("{act} {}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A certificate or key could not be made or read.
    #[error("make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate does not work for TLS.
    #[error("use the certificate")]
    Tls(#[from] rustls::Error),
    /// A kept file is not what it should be.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// The credentials of one server.
pub(crate) struct Credentials {
    authority_pem: String,
    token: String,
    /// The key of service account tokens, in PKCS#8.
    pub(crate) signing_key: Vec<u8>,
    pub(crate) tls: Arc<ServerConfig>,
}

impl Credentials {
    /// Returns the kept credentials, or new ones, kept in `folder` where there is one.
    pub(crate) fn open(
        folder: Option<&Path>,
        now: DateTime<Utc>,
        random: &dyn Random,
    ) -> Result<Self, CredentialsError> {
        if let Some(folder) = folder {
            let make = fs::create_dir_all(folder)
                .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(0o700)));
            make.map_err(file("create", folder))?;
        }
        let key_pem = kept(
            folder,
            "ca.key",
            || Ok(KeyPair::generate()?.serialize_pem()),
        )?;
        let key = KeyPair::from_pem(&key_pem)?;
        let params = authority(now)?;
        let authority_pem = kept(folder, "ca.pem", || Ok(params.self_signed(&key)?.pem()))?;
        let token = kept(folder, "token", || {
            let mut bytes = [0u8; 32];
            random.fill(&mut bytes);
            Ok(hex(&bytes))
        })?;
        let token = token.trim().to_owned();
        if token.len() < 32 {
            let path = folder.unwrap_or(Path::new("")).join("token");
            return Err(CredentialsError::Damaged {
                path,
                what: "the token is too short",
            });
        }
        let signing_pem = kept(folder, "serviceaccount.key", || {
            Ok(KeyPair::generate()?.serialize_pem())
        })?;
        let signing_key = KeyPair::from_pem(&signing_pem)?.serialize_der();
        let tls = Arc::new(server_config(&Issuer::from_params(&params, &key), now)?);
        Ok(Self {
            authority_pem,
            token,
            signing_key,
            tls,
        })
    }

    /// Returns whether a token is the administrator's; takes as long for any wrong one.
    pub(crate) fn is_administrator(&self, token: &str) -> bool {
        Sha256::digest(token) == Sha256::digest(&self.token)
    }

    /// Returns the administrator's kubeconfig for a server at an address.
    pub(crate) fn kubeconfig(&self, address: SocketAddr) -> String {
        let authority = STANDARD.encode(&self.authority_pem);
        let token = &self.token;
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {CONTEXT}\n  cluster:\n    server: \
             https://{address}\n    certificate-authority-data: {authority}\nusers:\n- name: \
             {CONTEXT}\n  user:\n    token: {token}\ncontexts:\n- name: {CONTEXT}\n  context:\n    \
             cluster: {CONTEXT}\n    user: {CONTEXT}\ncurrent-context: {CONTEXT}\n"
        )
    }

    /// Returns the administrator's token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

fn file(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CredentialsError {
    let path = path.to_owned();
    move |source| CredentialsError::File { act, path, source }
}

/// Returns a kept text, or makes and keeps it.
fn kept(
    folder: Option<&Path>,
    name: &str,
    make: impl FnOnce() -> Result<String, CredentialsError>,
) -> Result<String, CredentialsError> {
    let Some(folder) = folder else { return make() };
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = make()?;
            write_private(&path, &text)?;
            Ok(text)
        }
        Err(source) => Err(CredentialsError::File {
            act: "read",
            path,
            source,
        }),
    }
}

/// Writes a file that only its owner reads, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), CredentialsError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let next = path.with_file_name(name);
    let write = || {
        // A file left by a crash has unknown permissions.
        match fs::remove_file(&next) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path)
    };
    write().map_err(file("write", path))
}

fn authority(now: DateTime<Utc>) -> Result<CertificateParams, CredentialsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "apiserver-embedded-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    holds(&mut params, now, AUTHORITY_DAYS);
    Ok(params)
}

fn holds(params: &mut CertificateParams, now: DateTime<Utc>, days: u64) {
    let day = |moment: DateTime<Utc>| {
        let (month, day) = (moment.month(), moment.day());
        let small = |n: u32| u8::try_from(n).expect("because months and days are below 32");
        rcgen::date_time_ymd(moment.year(), small(month), small(day))
    };
    params.not_before = day(now.checked_sub_days(Days::new(1)).unwrap_or(now));
    params.not_after = day(now.checked_add_days(Days::new(days)).unwrap_or(now));
}

fn server_config(
    issuer: &Issuer<'_, &KeyPair>,
    now: DateTime<Utc>,
) -> Result<ServerConfig, CredentialsError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(NAMES.map(str::to_owned).to_vec())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "apiserver-embedded");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    holds(&mut params, now, SERVER_DAYS);
    let certificate: CertificateDer<'static> = params.signed_by(&key, issuer)?.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    #[test]
    fn credentials_survive_a_restart_and_only_their_owner_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tls");
        let open = || Credentials::open(Some(&path), Utc::now(), &SystemRandom::default());
        let first = open().expect("credentials");
        let second = open().expect("credentials");
        assert_eq!(first.token, second.token);
        assert_eq!(first.authority_pem, second.authority_pem);
        assert!(second.is_administrator(&first.token));
        assert!(!second.is_administrator("wrong"));
        for name in ["token", "ca.key"] {
            let mode = fs::metadata(path.join(name))
                .expect(name)
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
