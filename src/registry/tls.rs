//! `certSecretRef`: an authority to trust beside the system's, and a certificate to show.
//!
//! In: the Secret's data. Out: a [`Tls`] that the http client is made from. Keys are `ca.crt`,
//! `tls.crt` and `tls.key`; `caFile`, `certFile` and `keyFile` are still read. Values never appear
//! in errors.

use std::collections::BTreeMap;

use super::Error;
use crate::safe::Secret;

/// The names of each part, the one to use first.
const AUTHORITY: [&str; 2] = ["ca.crt", "caFile"];
const CERTIFICATE: [&str; 2] = ["tls.crt", "certFile"];
const KEY: [&str; 2] = ["tls.key", "keyFile"];

/// Certificates for one registry, as PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tls {
    authority: Option<Vec<u8>>,
    identity: Option<Secret<Vec<u8>>>,
}

impl Tls {
    /// Reads a Secret's data. Fails when there is neither an authority nor a pair, when a pair is
    /// half there, or when PEM is broken.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Certificate {
            reason: reason.to_owned(),
        };
        let part = |names: [&str; 2]| {
            let mut values = names.iter().filter_map(|name| data.get(*name));
            values.find(|value| !value.is_empty()).cloned()
        };
        let identity = match (part(CERTIFICATE), part(KEY)) {
            (Some(certificate), Some(key)) => Some([certificate, b"\n".to_vec(), key].concat()),
            (None, None) => None,
            (Some(_), None) => return Err(refuse("tls.crt is there without tls.key")),
            (None, Some(_)) => return Err(refuse("tls.key is there without tls.crt")),
        };
        let tls = Self {
            authority: part(AUTHORITY),
            identity: identity.map(Secret::new),
        };
        if tls.authority.is_none() && tls.identity.is_none() {
            return Err(refuse("needs ca.crt, or tls.crt and tls.key"));
        }
        let _checked = tls.apply(reqwest::Client::builder())?;
        Ok(tls)
    }

    /// Adds the certificates to a client that is being made.
    pub(super) fn apply(
        &self,
        mut builder: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, Error> {
        let refuse = |reason: &str| Error::Certificate {
            reason: reason.to_owned(),
        };
        if let Some(pem) = &self.authority {
            let authorities = reqwest::Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|bundle| !bundle.is_empty())
                .ok_or_else(|| refuse("ca.crt holds no PEM certificate"))?;
            builder = builder.tls_certs_merge(authorities);
        }
        if let Some(pem) = &self.identity {
            let identity = reqwest::Identity::from_pem(pem.expose())
                .map_err(|_| refuse("tls.crt and tls.key are no PEM certificate and key"))?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_do_not_make_a_whole_are_refused() {
        let signed = rcgen::generate_simple_self_signed(["r.io".to_owned()]).unwrap();
        let (pem, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
        for (parts, want) in [
            (&[("ca.crt", pem.as_str())][..], Ok(())),
            (&[("caFile", pem.as_str())], Ok(())),
            (
                &[("tls.crt", pem.as_str()), ("tls.key", key.as_str())],
                Ok(()),
            ),
            (&[], Err("needs ca.crt")),
            (&[("tls.crt", pem.as_str())], Err("without tls.key")),
            (&[("tls.key", key.as_str())], Err("without tls.crt")),
            (&[("ca.crt", "s3cret")], Err("no PEM certificate")),
            (
                &[("tls.crt", pem.as_str()), ("tls.key", "s3cret")],
                Err("no PEM"),
            ),
        ] {
            let data = parts
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect();
            match (Tls::from_secret(&data), want) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(want)) => {
                    let error = error.to_string();
                    assert!(error.contains(want), "{error}");
                    assert!(!error.contains("s3cret"), "{error}");
                }
                (got, want) => panic!("{parts:?}: {got:?}, want {want:?}"),
            }
        }
    }
}
