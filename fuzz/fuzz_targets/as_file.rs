//! See `otherhalf_fuzz::as_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::as_file::run(octets));
