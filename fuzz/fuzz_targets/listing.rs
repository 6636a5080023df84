#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| viking_fetch::fuzzing::listing(data));
