//! Private ssh keys out of Secrets, for signing and for reaching a remote.
//!
//! In: the text of a key and its passphrase. Out: an unlocked key of a kind and size that servers should
//! still trust. Errors name the Secret and its key, never what they hold. Pure.

use russh::keys::{Algorithm, Error as KeyError, PrivateKey, decode_secret_key, ssh_key};

use super::Error;
use crate::safe::Secret;

/// The key of a Secret that holds the private key.
pub(super) const IDENTITY: &str = "identity";
/// The key of a Secret that holds its passphrase.
pub(super) const PASSWORD: &str = "password";
/// Shortest RSA key taken, in bits.
pub const RSA_BITS_MIN: u32 = 2048;
/// Longest text of a private key taken, in bytes.
pub const PRIVATE_KEY_BYTES_MAX: usize = 64 << 10;

/// Returns the key under `identity`, unlocked by the passphrase under `password` if it is locked. Fails
/// when it is no key, the passphrase is missing or wrong, or the key is too weak.
pub(super) fn private_key<'a>(
    secret: &str,
    value: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<PrivateKey, Error> {
    let error = |reason: String| Error::Secret {
        secret: secret.to_owned(),
        reason,
    };
    let text = value(IDENTITY).ok_or_else(|| error(format!("has no {IDENTITY:?}")))?;
    if text.len() > PRIVATE_KEY_BYTES_MAX {
        return Err(error(format!(
            "the key {IDENTITY:?} is longer than {PRIVATE_KEY_BYTES_MAX} bytes"
        )));
    }
    let text = std::str::from_utf8(text)
        .map_err(|_| error(format!("the key {IDENTITY:?} is not UTF-8")))?;
    let passphrase = passphrase(secret, PASSWORD, value(PASSWORD))?;
    let word = passphrase.as_ref().map(|word| word.expose().as_str());
    let key = decode_secret_key(text.trim(), word).map_err(|cause| match (cause, word) {
        (KeyError::KeyIsEncrypted, _) => error(format!(
            "the key {IDENTITY:?} is locked; its passphrase belongs under {PASSWORD:?}"
        )),
        (KeyError::SshKey(ssh_key::Error::Crypto) | KeyError::Pkcs8(_), Some(_)) => error(format!(
            "the passphrase under {PASSWORD:?} does not unlock {IDENTITY:?}"
        )),
        // What a decoder says may quote what it has read.
        _ => error(format!(
            "the key {IDENTITY:?} is no private key in PEM, PKCS#8 or OpenSSH's format"
        )),
    })?;
    check_strength(key.public_key())
        .map_err(|reason| error(format!("the key {IDENTITY:?} {reason}")))?;
    Ok(key)
}

/// Returns a passphrase without the line feed that editors add. Fails when it is not text.
pub(super) fn passphrase(
    secret: &str,
    name: &str,
    value: Option<&[u8]>,
) -> Result<Option<Secret<String>>, Error> {
    let Some(bytes) = value else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| Error::Secret {
        secret: secret.to_owned(),
        reason: format!("the key {name:?} is not UTF-8"),
    })?;
    let text = text.trim_end_matches(['\n', '\r']);
    Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
}

/// Fails when a key is of a kind or size that nobody should trust any more.
pub(super) fn check_strength(key: &ssh_key::PublicKey) -> Result<(), String> {
    match (key.algorithm(), key.key_data().rsa()) {
        (_, Some(rsa)) if rsa.key_size() < RSA_BITS_MIN => Err(format!(
            "is an RSA key of {} bits; at least {RSA_BITS_MIN} are needed",
            rsa.key_size()
        )),
        (Algorithm::Dsa, _) => Err("is a DSA key, which is refused".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_longer_than_a_key_are_not_read() {
        let long = vec![b'a'; PRIVATE_KEY_BYTES_MAX + 1];
        let key = private_key("apps/key", |name| {
            (name == IDENTITY).then_some(long.as_slice())
        });
        let want = "secret \"apps/key\": the key \"identity\" is longer than 65536 bytes";
        assert_eq!(key.unwrap_err().to_string(), want);
    }

    #[test]
    fn a_passphrase_loses_the_line_feed_of_its_editor_alone() {
        for (bytes, want) in [
            (&b"pass phrase\n"[..], Some("pass phrase")),
            (b" pass\r\n", Some(" pass")),
            (b"\n", None),
        ] {
            let word = passphrase("apps/key", PASSWORD, Some(bytes)).unwrap();
            assert_eq!(word.as_ref().map(|word| word.expose().as_str()), want);
        }
        assert!(passphrase("apps/key", PASSWORD, Some(b"\xff")).is_err());
    }
}
