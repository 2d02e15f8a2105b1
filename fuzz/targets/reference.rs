//! Fuzzes `towpath::laws::reference`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::reference(bytes));
