//! Fuzzes `towpath::laws::pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::pattern(bytes));
