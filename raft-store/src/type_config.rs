//! The types that openraft is instantiated with, and short names for them.
//!
//! Written by hand and not with openraft's macro, whose defaults have drifted from its documentation.

use std::fmt;

use bytes::Bytes;
use openraft::impls::{InlineBatch, OneshotResponder, TokioRuntime, leader_id_adv};
use openraft::{OptionalSend, RaftTypeConfig, alias};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use timer_core::command::Reply;

/// The Raft of one shard of timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

impl RaftTypeConfig for TypeConfig {
    type D = EntryData;
    type R = EntryReply;
    type NodeId = u64;
    type Node = PeerNode;
    type Term = u64;
    type LeaderId = leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Self::D, Self::NodeId, Self::Node>;
    type Entry = openraft::impls::Entry<leader_id_adv::LeaderId<u64, u64>, Self::Payload>;
    type AsyncRuntime = TokioRuntime;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// (term, node, index): names one entry for ever.
pub type LogId = alias::LogIdOf<TypeConfig>;
/// Who led when an entry was proposed.
pub type LeaderId = leader_id_adv::LeaderId<u64, u64>;
/// A vote given or a leader recognised.
pub type Vote = alias::VoteOf<TypeConfig>;
/// An entry of the log.
pub type Entry = alias::EntryOf<TypeConfig>;
/// What an entry holds.
pub type Payload = alias::PayloadOf<TypeConfig>;
/// Who the members are.
pub type Membership = openraft::Membership<u64, PeerNode>;
/// Who the members are, and which entry says so.
pub type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot covers.
pub type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
/// A snapshot's cover and its data.
pub type Snapshot = alias::SnapshotOf<TypeConfig, crate::state_machine::SnapshotData>;

/// A log id of its three parts.
#[must_use]
pub fn log_id(term: u64, node: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id: node }, index)
}

/// The bytes of one proposal: a `durable_timer.store.v1.LogEntry`. Shared, not copied, when cloned.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EntryData(pub Bytes);

impl fmt::Display for EntryData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Debug for EntryData {
    /// The bytes may hold what users keep secret, so they are never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EntryData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for EntryData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
    }
}

/// What applying an entry came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EntryReply {
    /// The entry was Raft's own.
    #[default]
    None,
    /// One reply per command of the entry, in order.
    Replies(Vec<Reply>),
}

impl fmt::Display for EntryReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no reply"),
            Self::Replies(replies) => write!(f, "{} replies", replies.len()),
        }
    }
}

/// openraft's `serde` feature asks for this of every reply; between nodes replies travel as protobuf.
impl Serialize for EntryReply {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("replies are encoded by proto, not by serde"))
    }
}

impl<'de> Deserialize<'de> for EntryReply {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("replies are encoded by proto, not by serde"))
    }
}

/// A member as the membership entries name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerNode {
    /// Its configured name.
    pub name: String,
    /// Where peers reach it: `host:port`.
    pub address: String,
}

impl fmt::Display for PeerNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.address)
    }
}
