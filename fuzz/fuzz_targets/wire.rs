//! See `otherhalf_fuzz::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::wire::run(octets));
