//! Fuzzes `towpath::laws::constraint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::constraint(bytes));
