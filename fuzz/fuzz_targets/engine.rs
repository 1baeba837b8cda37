//! See `otherhalf_fuzz::engine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::engine::run(octets));
