//! Signatures by OpenPGP keys: detached, binary, armored.
//!
//! In: a Secret with `git.asc`, one armored private key, and the `passphrase` that unlocks it. Out:
//! signatures by its newest signing subkey, else by the key itself. Pure; the time comes in.

use pgp::{
    composed::{ArmorOptions, Deserializable, DetachedSignature, SignedSecretKey},
    packet::{
        SecretKey, SecretSubkey, Signature, SignatureConfig, SignatureType, Subpacket,
        SubpacketData,
    },
    types::{KeyDetails, KeyVersion, Password, SigningKey, Timestamp},
};

use super::super::{Error, private_key::passphrase};

/// The key of a Secret that holds the private key.
const KEY: &str = "git.asc";
/// The key of a Secret that holds its passphrase.
const PASSPHRASE: &str = "passphrase";
/// What each armored private key begins with.
const BEGIN: &[u8] = b"-----BEGIN PGP PRIVATE KEY BLOCK-----";
/// Longest armored key taken, in bytes; a key with many signatures of others has some 100 KiB.
pub const KEY_BYTES_MAX: usize = 1 << 20;
/// Most subkeys looked at.
const SUBKEYS_MAX: usize = 64;

/// The part of an OpenPGP key that signs.
enum Part {
    Primary(SecretKey),
    Subkey(SecretSubkey),
}

/// An OpenPGP key that was unlocked once.
pub struct Key {
    secret: String,
    part: Part,
    password: Password,
}

impl Key {
    pub(super) fn from_secret<'a>(
        secret: &str,
        value: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, Error> {
        let error = |reason: String| Error::Secret {
            secret: secret.to_owned(),
            reason,
        };
        let text = value(KEY).ok_or_else(|| error(format!("has no {KEY:?}")))?;
        let part = signing_part(one_key(text).map_err(error)?).map_err(error)?;
        let word = passphrase(secret, PASSPHRASE, value(PASSPHRASE))?;
        if word.is_none() && part.is_locked() {
            return Err(error(format!(
                "the key {KEY:?} is locked; its passphrase belongs under {PASSPHRASE:?}"
            )));
        }
        let password = word.map_or_else(Password::empty, |word| word.expose().as_str().into());
        if !part.unlocks(&password) {
            return Err(error(format!(
                "the passphrase under {PASSPHRASE:?} does not unlock {KEY:?}"
            )));
        }
        Ok(Self {
            secret: secret.to_owned(),
            part,
            password,
        })
    }

    pub(super) fn sign(&self, bytes: &[u8], time_s: i64) -> Result<String, Error> {
        let time = u32::try_from(time_s).map_or(u32::MAX, |time_s| time_s);
        let signed = match &self.part {
            Part::Primary(key) => sign(key, &self.password, bytes, time),
            Part::Subkey(key) => sign(key, &self.password, bytes, time),
        };
        signed.map_err(|cause| Error::Secret {
            secret: self.secret.clone(),
            reason: format!("the OpenPGP key cannot sign: {cause}"),
        })
    }
}

impl Part {
    fn is_locked(&self) -> bool {
        match self {
            Self::Primary(key) => key.secret_params().is_encrypted(),
            Self::Subkey(key) => key.secret_params().is_encrypted(),
        }
    }

    fn unlocks(&self, password: &Password) -> bool {
        let unlocked = match self {
            Self::Primary(key) => key.unlock(password, |_, _| Ok(())),
            Self::Subkey(key) => key.unlock(password, |_, _| Ok(())),
        };
        matches!(unlocked, Ok(Ok(())))
    }
}

/// Returns the only private key of an armored text.
fn one_key(text: &[u8]) -> Result<SignedSecretKey, String> {
    // What a parser says may quote what it has read.
    let malformed = || format!("the key {KEY:?} is no armored OpenPGP private key");
    if text.len() > KEY_BYTES_MAX {
        return Err(format!(
            "the key {KEY:?} is longer than {KEY_BYTES_MAX} bytes"
        ));
    }
    let several = || format!("the key {KEY:?} holds several private keys; keep one");
    let n_blocks = text.windows(BEGIN.len()).filter(|at| *at == BEGIN).count();
    if n_blocks > 1 {
        return Err(several());
    }
    let (keys, _) = SignedSecretKey::from_armor_many_buf(text).map_err(|_| malformed())?;
    let keys: Vec<_> = keys.take(2).collect();
    let [key] = <[_; 1]>::try_from(keys).map_err(|keys: Vec<_>| match keys.len() {
        0 => malformed(),
        _ => several(),
    })?;
    let key = key.map_err(|_| malformed())?;
    key.verify_bindings()
        .map_err(|_| format!("the key {KEY:?} has broken signatures of its own"))?;
    Ok(key)
}

/// Returns the newest subkey that may sign and was not revoked, else the key itself if it may.
fn signing_part(key: SignedSecretKey) -> Result<Part, String> {
    if key.primary_key.version() != KeyVersion::V4 {
        return Err(format!(
            "the key {KEY:?} is not of version 4, which is all that Git's readers know"
        ));
    }
    let subkeys = key.secret_subkeys.into_iter().take(SUBKEYS_MAX);
    let newest = subkeys
        .filter(|subkey| {
            let revoked = |s: &Signature| s.typ() == Some(SignatureType::SubkeyRevocation);
            may_sign(&subkey.signatures) && !subkey.signatures.iter().any(revoked)
        })
        .max_by_key(|subkey| subkey.key.created_at().as_secs());
    if let Some(subkey) = newest {
        return Ok(Part::Subkey(subkey.key));
    }
    let own = key.details.users.iter().flat_map(|user| &user.signatures);
    let own: Vec<_> = own.chain(&key.details.direct_signatures).cloned().collect();
    match may_sign(&own) {
        true => Ok(Part::Primary(key.primary_key)),
        false => Err(format!("the key {KEY:?} has no part that may sign")),
    }
}

fn may_sign(signatures: &[Signature]) -> bool {
    signatures
        .iter()
        .any(|signature| signature.key_flags().sign())
}

fn sign(
    key: &impl SigningKey,
    password: &Password,
    bytes: &[u8],
    time_s: u32,
) -> pgp::errors::Result<String> {
    let algorithm = key.algorithm();
    let mut config = SignatureConfig::v4(SignatureType::Binary, algorithm, key.hash_alg());
    let time = Timestamp::from_secs(time_s);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
        Subpacket::regular(SubpacketData::SignatureCreationTime(time))?,
    ];
    let issuer = SubpacketData::IssuerKeyId(key.legacy_key_id());
    config.unhashed_subpackets = vec![Subpacket::regular(issuer)?];
    let signature = config.sign(key, password, bytes)?;
    DetachedSignature::new(signature).to_armored_string(ArmorOptions::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_longer_than_a_key_are_not_read() {
        let long = vec![b'a'; KEY_BYTES_MAX + 1];
        let reason = one_key(&long).unwrap_err();
        assert_eq!(reason, "the key \"git.asc\" is longer than 1048576 bytes");
    }
}
