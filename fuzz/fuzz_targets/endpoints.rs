//! See `otherhalf_fuzz::endpoints`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::endpoints::run(octets));
