#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| viking_api::fuzzing::filter(data));
