//! Fuzzes `towpath::laws::marker`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::marker(bytes));
