//! Generates the Protobuf types. protox parses the files, so that nobody needs an installed `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["store.proto", "peer.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Payloads and chunks are shared, not copied.
        .bytes(".")
        // Maps in key order, so that equal records have equal bytes.
        .btree_map(".")
        // proto/src/secret.rs writes them without what they hold.
        .skip_debug([".durable_timer.store.v1.SigningSecret", ".durable_timer.store.v1.AddSigningSecret"])
        .include_file("wire.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
