//! To come: kustomize_cases.
