//! Fuzzes `towpath::laws::link`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::link(bytes));
