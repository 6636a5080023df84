#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| viking_export::fuzzing::receipt(data).expect("the disk works"));
