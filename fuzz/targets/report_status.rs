//! Fuzzes `towpath::laws::report_status`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::report_status(bytes));
