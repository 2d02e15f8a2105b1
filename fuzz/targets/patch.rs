//! Fuzzes `towpath::laws::patch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::patch(bytes));
