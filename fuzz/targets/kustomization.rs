//! Fuzzes `towpath::laws::kustomization`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::kustomization(bytes));
