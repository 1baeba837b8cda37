//! See `otherhalf_fuzz::control`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::control::run(octets));
