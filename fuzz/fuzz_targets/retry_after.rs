//! Has libFuzzer look for bytes for which `node::fuzzing::retry_after` does not hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    node::fuzzing::retry_after::holds(data);
});
