#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| viking_fuzz::measured(data, || viking_reader::fuzzing::footer(data)));
