//! To come: kustomize.
