//! Who makes a request.

/// The name of the administrator whose token is in the kubeconfig.
pub const ADMINISTRATOR: &str = "embedded-admin";

/// A user with the groups it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// The groups.
    pub groups: Vec<String>,
}

impl Identity {
    /// Returns the administrator.
    pub fn administrator() -> Self {
        Self {
            user: ADMINISTRATOR.to_owned(),
            groups: vec![
                "system:masters".to_owned(),
                "system:authenticated".to_owned(),
            ],
        }
    }

    /// Returns a service account.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
        }
    }
}
