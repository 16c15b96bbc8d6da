//! The generated Protobuf types: the `.proto` files are their documentation.
#![allow(missing_docs, clippy::all, clippy::wildcard_enum_match_arm)]

mod generated {
    include!(concat!(env!("OUT_DIR"), "/wire.rs"));
}

pub use generated::durable_timer::peer::v1 as peer;
pub use generated::durable_timer::store::v1 as store;
