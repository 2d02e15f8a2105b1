//! The binary: parses, runs, exits.
#![forbid(unsafe_code)]

fn main() {}
