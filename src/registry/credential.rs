//! [`Credential`]: what proves who asks a registry.
//!
//! In: a name and password, or a token. Out: header values, and texts without any of it. Values
//! are never printed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::safe::Secret;

/// What proves who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A name and a password, for the registry itself or its token service.
    Password {
        /// The user's name.
        username: String,
        /// The password or access token.
        password: Secret<String>,
    },
    /// A refresh token (`identitytoken`), for the token service only.
    IdentityToken(Secret<String>),
    /// A token (`registrytoken`) that the registry takes as it is.
    RegistryToken(Secret<String>),
}

impl Credential {
    /// Returns a name and password.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password {
            username: username.into(),
            password: Secret::new(password.into()),
        }
    }

    /// Returns the value of an `Authorization: Basic` header, if it can be one.
    pub(super) fn basic(&self) -> Option<Secret<String>> {
        let Self::Password { username, password } = self else {
            return None;
        };
        let pair = format!("{username}:{}", password.expose());
        Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
    }

    /// Returns the text with the secret, and its Basic form, replaced by stars.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        let basic = self.basic();
        let encoded = basic.as_ref().map_or("", |basic| {
            let basic = basic.expose();
            basic.strip_prefix("Basic ").unwrap_or(basic)
        });
        let (Self::Password {
            password: plain, ..
        }
        | Self::IdentityToken(plain)
        | Self::RegistryToken(plain)) = self;
        [plain.expose().as_str(), encoded]
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_hidden_in_every_form_it_has() {
        let secret = || Secret::new("s3cret".to_owned());
        for credential in [
            Credential::password("bob", "s3cret"),
            Credential::IdentityToken(secret()),
            Credential::RegistryToken(secret()),
        ] {
            let text = format!("you sent s3cret {credential:?}");
            let text = credential.hidden_in(&text);
            assert!(!text.contains("s3cret"), "{text}");
        }
        let credential = Credential::password("bob", "s3cret");
        let basic = credential.basic().unwrap();
        assert_eq!(basic.expose(), "Basic Ym9iOnMzY3JldA==");
        assert_eq!(credential.hidden_in(basic.expose()), "Basic ***");
        assert!(Credential::IdentityToken(secret()).basic().is_none());
    }
}
