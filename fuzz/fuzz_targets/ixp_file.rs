//! See `otherhalf_fuzz::ixp_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::ixp_file::run(octets));
