//! See `otherhalf_fuzz::prefix_list`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| otherhalf_fuzz::prefix_list::run(octets));
