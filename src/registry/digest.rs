//! Digests: which media types a manifest may have, and the digest of one.
//!
//! In: header values and bodies. Out: `sha256:…`. Pure.

use sha2::{Digest as _, Sha256};

use crate::image::Digest;

/// Bytes of one manifest; the distribution specification asks registries to take four megabytes.
pub(super) const MANIFEST_BYTES_MAX: usize = 4 << 20;

/// Every manifest that Flux accepts, so that the digest is the one the tag points to.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws, \
    application/vnd.docker.distribution.manifest.v1+json";

/// Returns the SHA-256 digest of a manifest.
pub(super) fn of(body: &[u8]) -> Digest {
    use std::fmt::Write;
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(body) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Digest::parse(&text).expect("because 32 bytes are 64 digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_bytes() {
        assert_eq!(
            of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
