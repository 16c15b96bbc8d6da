//! Has libFuzzer look for bytes for which `node::fuzzing::shard_state` does not hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    node::fuzzing::shard_state::holds(data);
});
