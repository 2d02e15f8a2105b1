//! Certificates for a server, good and bad, by an authority of their own.
//!
//! Out: the authority's certificate, and what a TLS server or a client shows, as PEM or as a
//! configuration.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// An authority that nobody trusts without being told.
pub struct Authority {
    certificate: CertificateDer<'static>,
    /// Its certificate.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Leaf {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    /// The certificate.
    pub pem: String,
}

impl Leaf {
    /// Returns the key as PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    Expired,
    NotYet,
    OtherHost,
}

impl Authority {
    pub fn new() -> Self {
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Returns a certificate for 127.0.0.1 and localhost, or one with a flaw.
    pub fn server(&self, flaw: Flaw) -> Leaf {
        let names = match flaw {
            Flaw::OtherHost => vec!["registry.example.com".to_owned()],
            _ => vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match flaw {
            Flaw::Expired => params.not_after = rcgen::date_time_ymd(2020, 1, 1),
            Flaw::NotYet => params.not_before = rcgen::date_time_ymd(2100, 1, 1),
            Flaw::None | Flaw::OtherHost => {}
        }
        self.sign(&params)
    }

    /// Returns a certificate that a client shows.
    pub fn client(&self) -> Leaf {
        let mut params = CertificateParams::new(vec!["scan".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// Returns a server that shows a certificate, and asks for one of this authority if told so.
    pub fn config(&self, leaf: &Leaf, asks_for_client: bool) -> ServerConfig {
        let builder = ServerConfig::builder();
        let builder = match asks_for_client {
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(self.certificate.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
            false => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::Pkcs8(leaf.key.serialize_der().into());
        let mut config = builder
            .with_single_cert(vec![leaf.certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}
