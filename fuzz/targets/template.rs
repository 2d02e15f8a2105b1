//! Fuzzes `towpath::laws::template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::template(bytes));
