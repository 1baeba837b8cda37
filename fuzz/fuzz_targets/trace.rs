//! See `otherhalf_fuzz::trace`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::trace::run(octets));
