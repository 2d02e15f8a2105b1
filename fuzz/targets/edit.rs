//! Fuzzes `towpath::laws::edit_touches_its_scalar_alone`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towpath::laws::edit_touches_its_scalar_alone(bytes));
