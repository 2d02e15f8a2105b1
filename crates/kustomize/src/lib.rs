//! kustomize build: files in, objects out.
#![forbid(unsafe_code)]
