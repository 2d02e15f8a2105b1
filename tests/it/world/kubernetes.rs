//! To come: kubernetes.
