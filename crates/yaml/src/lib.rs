//! Lossless YAML documents over byte spans, Go's reading of values and Go's way of writing them.
#![forbid(unsafe_code)]
