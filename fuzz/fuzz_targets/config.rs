//! See `otherhalf_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::config::run(octets));
