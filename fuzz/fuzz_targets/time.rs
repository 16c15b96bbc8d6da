//! Has libFuzzer look for bytes for which `node::fuzzing::time` does not hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    node::fuzzing::time::holds(data);
});
