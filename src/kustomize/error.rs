//! Why a build failed, with the file, the field or the object.

/// A failed build.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `spec.path` is not in the source.
    #[error("kustomization path not found: {path:?}")]
    Path {
        /// The path.
        path: String,
    },
    /// A file of a folder without a kustomization file holds no Kubernetes objects.
    #[error("failed to decode Kubernetes YAML from {file}: {reason}")]
    Decode {
        /// The file, from the root of the source.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The root kustomization file cannot be read.
    #[error("{file}: {reason}")]
    File {
        /// The file, from the root of the source.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A component comes from elsewhere.
    #[error("component path '{path}' must be local and relative")]
    Component {
        /// The path.
        path: String,
    },
    /// `kustomize build` refused.
    #[error("kustomize build failed: {0}")]
    Build(#[source] ::kustomize::Error),
    /// A variable's name is no name.
    #[error("'{name}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'")]
    VariableName {
        /// The name.
        name: String,
    },
    /// An object could not be substituted.
    #[error("post build failed for '{object}': envsubst error: {reason}")]
    Substitute {
        /// The object.
        object: String,
        /// Why.
        reason: String,
    },
    /// A built object lacks apiVersion, kind or a name.
    #[error("failed to decode Kubernetes apiVersion, kind and name from: {object}")]
    Object {
        /// What is known of it.
        object: String,
    },
}
