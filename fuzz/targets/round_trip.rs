//! Fuzzes `towpath::laws::round_trip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::round_trip(bytes));
