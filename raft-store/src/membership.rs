//! Memberships as bytes: in log entries, in the state's records and in the headers of snapshots.
//!
//! Protobuf, so that a node of another version can read them; the numbers are for ever.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use crate::type_config::{LogId, Membership, PeerNode, StoredMembership, log_id};

/// A membership.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MembershipRecord {
    #[prost(message, repeated, tag = "1")]
    configs: Vec<VoterSet>,
    #[prost(message, repeated, tag = "2")]
    nodes: Vec<NodeRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct VoterSet {
    #[prost(uint64, repeated, tag = "1")]
    ids: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeRecord {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    address: String,
}

/// A log id.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct LogIdRecord {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    node: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
}

/// A membership and the entry that says so.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StoredRecord {
    #[prost(message, optional, tag = "1")]
    log_id: Option<LogIdRecord>,
    #[prost(message, optional, tag = "2")]
    membership: Option<MembershipRecord>,
}

impl From<&LogId> for LogIdRecord {
    fn from(id: &LogId) -> Self {
        let leader = id.committed_leader_id();
        Self { term: leader.term, node: leader.node_id, index: id.index() }
    }
}

impl From<&LogIdRecord> for LogId {
    fn from(record: &LogIdRecord) -> Self {
        log_id(record.term, record.node, record.index)
    }
}

impl From<&Membership> for MembershipRecord {
    fn from(membership: &Membership) -> Self {
        let set = |ids: &BTreeSet<u64>| VoterSet { ids: ids.iter().copied().collect() };
        let node = |(id, node): (&u64, &PeerNode)| NodeRecord {
            id: *id,
            name: node.name.clone(),
            address: node.address.clone(),
        };
        Self {
            configs: membership.get_joint_config().iter().map(set).collect(),
            nodes: membership.nodes().map(node).collect(),
        }
    }
}

impl MembershipRecord {
    fn to_membership(&self) -> Result<Membership, String> {
        let configs: Vec<BTreeSet<u64>> =
            self.configs.iter().map(|set| set.ids.iter().copied().collect()).collect();
        let nodes: BTreeMap<u64, PeerNode> = self
            .nodes
            .iter()
            .map(|n| (n.id, PeerNode { name: n.name.clone(), address: n.address.clone() }))
            .collect();
        if configs.is_empty() && nodes.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(configs, nodes).map_err(|e| e.to_string())
    }
}

/// Encodes `membership`.
pub(crate) fn encode(membership: &Membership) -> Vec<u8> {
    MembershipRecord::from(membership).encode_to_vec()
}

/// Decodes what [`encode`] wrote; the error is for people.
pub(crate) fn decode(bytes: &[u8]) -> Result<Membership, String> {
    MembershipRecord::decode(bytes).map_err(|e| e.to_string())?.to_membership()
}

/// A membership with its log id, as a message to be part of another.
pub(crate) fn stored_record(stored: &StoredMembership) -> StoredRecord {
    StoredRecord {
        log_id: stored.log_id().as_ref().map(LogIdRecord::from),
        membership: Some(stored.membership().into()),
    }
}

/// The reverse of [`stored_record`]; the error is for people.
pub(crate) fn from_stored_record(record: &StoredRecord) -> Result<StoredMembership, String> {
    let membership =
        record.membership.as_ref().map_or_else(|| Ok(Membership::default()), |m| m.to_membership())?;
    Ok(StoredMembership::new(record.log_id.as_ref().map(LogId::from), membership))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_round_trip() {
        let node = |n: u64| (n, PeerNode { name: format!("n{n}"), address: format!("n{n}:7401") });
        let joint = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])];
        let members = Membership::new(joint, BTreeMap::from([1, 2, 3, 4, 9].map(node))).unwrap();
        assert_eq!(decode(&encode(&members)), Ok(members.clone()));
        assert_eq!(decode(&encode(&Membership::default())), Ok(Membership::default()));
        let stored = StoredMembership::new(Some(log_id(1, 2, 3)), members);
        assert_eq!(from_stored_record(&stored_record(&stored)), Ok(stored));
    }

    #[test]
    fn a_voter_without_an_address_is_refused() {
        let record = MembershipRecord { configs: vec![VoterSet { ids: vec![1] }], nodes: vec![] };
        assert!(decode(&record.encode_to_vec()).is_err());
    }
}
