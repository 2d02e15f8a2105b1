//! Fuzzes `towpath::laws::pkt_lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::pkt_lines(bytes));
