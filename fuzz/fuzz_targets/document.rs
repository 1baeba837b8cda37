//! See `otherhalf_fuzz::document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::document::run(octets));
