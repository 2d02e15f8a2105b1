//! Fuzzes `towpath::laws::challenge`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::challenge(bytes));
