//! See `otherhalf_fuzz::capture_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::capture_file::run(octets));
