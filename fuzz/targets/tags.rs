//! Fuzzes `towpath::laws::tags`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::tags(bytes));
