//! See `otherhalf_fuzz::answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::answers::run(octets));
