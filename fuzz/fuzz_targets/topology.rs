//! See `otherhalf_fuzz::topology`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::topology::run(octets));
