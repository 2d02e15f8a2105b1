//! Why applying, pruning or waiting failed, with the object's name and Flux's wording.
//!
//! Texts of the API server are passed on, since they name fields; those of Secrets are shortened to
//! the reason, since a server may quote values in them.

use super::ObjectRef;

/// A failed act on the cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A built object lacks what names it.
    #[error("{object}: {field} is missing")]
    Incomplete {
        /// What is known of the object.
        object: String,
        /// The missing field.
        field: &'static str,
    },
    /// The server serves no such kind.
    #[error("{object} dry-run failed: no matches for kind {:?} in version {:?}", .object.kind, .object.api_version())]
    NoMatch {
        /// The object.
        object: Box<ObjectRef>,
    },
    /// A Secret is still encrypted by SOPS.
    #[error(
        "{object} is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
    )]
    Encrypted {
        /// The Secret.
        object: Box<ObjectRef>,
    },
    /// The server refused the dry run, the apply, the delete or the read.
    #[error("{object} {act}: {message}")]
    Refused {
        /// The object.
        object: Box<ObjectRef>,
        /// Such as `dry-run failed (Invalid)` or `apply failed`.
        act: String,
        /// The server's text.
        message: String,
        /// The status code; 0 when the server could not be reached.
        code: u16,
    },
    /// Some objects could not be deleted; the others were.
    #[error("delete failed, errors: {}", .0.iter().map(|e| format!("{e};")).collect::<String>())]
    Prune(Vec<Error>),
    /// Objects did not become healthy in time.
    #[error("timeout waiting for: [{0}]")]
    Timeout(String),
    /// Objects failed, so that waiting longer makes no sense.
    #[error("failed early due to stalled resources: [{0}]")]
    Stalled(String),
    /// New work arrived while waiting.
    #[error("the wait was cancelled")]
    Cancelled,
    /// Discovery or a watch failed.
    #[error("{act}: {message}")]
    Cluster {
        /// What was tried.
        act: String,
        /// What the client says.
        message: String,
    },
}

impl Error {
    /// Returns the refusal of `act` on `object` with the server's or the client's text.
    pub(super) fn refused(object: &ObjectRef, act: &str, error: &kube::Error) -> Self {
        let (code, reason, text) = match error {
            kube::Error::Api(status) => {
                (status.code, status.reason.clone(), status.message.clone())
            }
            other => (0, String::new(), other.to_string()),
        };
        let conflict = is_manager_conflict(error);
        let reason = if conflict {
            "FieldManagerConflict".to_owned()
        } else {
            reason
        };
        let secret = object.kind == "Secret" && object.group.is_empty();
        let message = match (secret, code) {
            (true, 400..) if !conflict && code != 404 && code != 403 => {
                "the server's text is withheld, since it may quote the secret".to_owned()
            }
            _ => text,
        };
        let act = match act {
            "dry-run failed" if code == 404 && !object.namespace.is_empty() => {
                "not found".to_owned()
            }
            "dry-run failed" if code == 404 => "namespace not specified".to_owned(),
            act if reason.is_empty() || act != "dry-run failed" => act.to_owned(),
            act => format!("{act} ({reason})"),
        };
        Self::Refused {
            object: Box::new(object.clone()),
            act,
            message,
            code,
        }
    }

    /// Whether a `force` apply may delete and recreate the object: the server calls a field
    /// immutable. A plain validation error is not, so that a typo never deletes a workload.
    pub(super) fn is_immutable(error: &kube::Error) -> bool {
        let kube::Error::Api(status) = error else {
            return false;
        };
        let text = &status.message;
        let immutable = ["is immutable", "immutable field", "may not change once set"];
        let forbidden = "updates to statefulset spec for fields other than";
        matches!(status.code, 409 | 422)
            && (immutable.iter().any(|word| text.contains(word)) || text.contains(forbidden))
    }
}

fn is_manager_conflict(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    status.details.as_ref().is_some_and(|details| {
        details
            .causes
            .iter()
            .any(|c| c.reason == "FieldManagerConflict")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str) -> ObjectRef {
        ObjectRef {
            group: String::new(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: "apps".into(),
            name: "a".into(),
        }
    }

    fn refusal(code: u16, reason: &str, message: &str) -> kube::Error {
        let status = kube::core::Status {
            status: Some(kube::core::response::StatusSummary::Failure),
            code,
            message: message.into(),
            metadata: None,
            reason: reason.into(),
            details: None,
        };
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn texts_are_those_of_flux() {
        let cases = [
            (
                404,
                "NotFound",
                "namespaces \"apps\" not found",
                "ConfigMap/apps/a not found: namespaces \"apps\" not found",
            ),
            (
                422,
                "Invalid",
                "data: wrong",
                "ConfigMap/apps/a dry-run failed (Invalid): data: wrong",
            ),
            (
                500,
                "",
                "field not declared in schema",
                "ConfigMap/apps/a dry-run failed: field not declared in schema",
            ),
        ];
        for (code, reason, message, want) in cases {
            let error = refusal(code, reason, message);
            let got = Error::refused(&object("ConfigMap"), "dry-run failed", &error).to_string();
            assert_eq!(got, want);
        }
    }

    #[test]
    fn a_refused_secret_never_quotes_its_value() {
        let error = refusal(422, "Invalid", "data[a]: Invalid value: \"hunter2\"");
        let got = Error::refused(&object("Secret"), "dry-run failed", &error).to_string();
        assert!(
            got.starts_with("Secret/apps/a dry-run failed (Invalid): "),
            "{got}"
        );
        assert!(!got.contains("hunter2"), "{got}");
    }

    #[test]
    fn only_immutable_fields_allow_a_recreation() {
        let message = "spec.selector: Invalid value: {}: field is immutable";
        assert!(Error::is_immutable(&refusal(422, "Invalid", message)));
        assert!(!Error::is_immutable(&refusal(
            422,
            "Invalid",
            "spec.replicas: must be positive"
        )));
    }
}
