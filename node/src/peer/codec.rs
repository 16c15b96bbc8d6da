//! Raft's messages between openraft's types and the peer protocol's. Total in both directions: what a newer
//! peer may send and we don't understand is an error with a name, never a guess.

use std::collections::{BTreeMap, BTreeSet};

use openraft::raft::{AppendEntriesRequest, StreamAppendError, TransferLeaderRequest};
use openraft::vote::leader_id_adv::LeaderId;
use openraft::{EntryPayload, Membership};
use raft_store::{EntryData, PeerNode, TypeConfig};

use super::frame as wire;

/// Raft's types, for this type configuration.
pub type LogId = openraft::LogId<LeaderId<u64, u64>>;
/// See [`LogId`].
pub type Vote = openraft::impls::Vote<LeaderId<u64, u64>>;
/// See [`LogId`].
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
/// What came of one append in a stream of them.
pub type AppendResult = Result<Option<LogId>, StreamAppendError<TypeConfig>>;

/// A message from a peer that can't be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a peer's message lacks `{0}`, or it has a value that this version does not know")]
pub struct CodecError(pub &'static str);

/// To the wire.
#[must_use]
pub fn log_id_out(id: &LogId) -> wire::LogId {
    wire::LogId { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
}

/// From the wire.
#[must_use]
pub fn log_id_in(id: &wire::LogId) -> LogId {
    LogId::new(LeaderId { term: id.term, node_id: id.node }, id.index)
}

/// To the wire.
#[must_use]
pub fn vote_out(vote: &Vote) -> wire::Vote {
    wire::Vote { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
}

/// From the wire.
#[must_use]
pub fn vote_in(vote: &wire::Vote) -> Vote {
    Vote { leader_id: LeaderId { term: vote.term, node_id: vote.node }, committed: vote.committed }
}

/// To the wire.
#[must_use]
pub fn append_out(rpc: AppendEntriesRequest<TypeConfig>) -> wire::AppendRequest {
    wire::AppendRequest {
        vote: Some(vote_out(&rpc.vote)),
        prev_log_id: rpc.prev_log_id.as_ref().map(log_id_out),
        entries: rpc.entries.into_iter().map(entry_out).collect(),
        leader_commit: rpc.leader_commit.as_ref().map(log_id_out),
    }
}

/// From the wire.
///
/// # Errors
/// When a part is missing.
pub fn append_in(rpc: wire::AppendRequest) -> Result<AppendEntriesRequest<TypeConfig>, CodecError> {
    Ok(AppendEntriesRequest {
        vote: vote_in(rpc.vote.as_ref().ok_or(CodecError("append.vote"))?),
        prev_log_id: rpc.prev_log_id.as_ref().map(log_id_in),
        entries: rpc.entries.into_iter().map(entry_in).collect::<Result<_, _>>()?,
        leader_commit: rpc.leader_commit.as_ref().map(log_id_in),
    })
}

fn entry_out(entry: Entry) -> wire::Entry {
    let payload = match entry.payload {
        EntryPayload::Blank => None,
        EntryPayload::Normal(EntryData(bytes)) => Some(wire::entry::Payload::Normal(bytes)),
        EntryPayload::Membership(membership) => {
            Some(wire::entry::Payload::Membership(membership_out(&membership)))
        }
    };
    wire::Entry { log_id: Some(log_id_out(&entry.log_id)), payload }
}

fn entry_in(entry: wire::Entry) -> Result<Entry, CodecError> {
    let payload = match entry.payload {
        None => EntryPayload::Blank,
        Some(wire::entry::Payload::Normal(bytes)) => EntryPayload::Normal(EntryData(bytes)),
        Some(wire::entry::Payload::Membership(membership)) => {
            EntryPayload::Membership(membership_in(membership)?)
        }
    };
    Ok(Entry { log_id: log_id_in(entry.log_id.as_ref().ok_or(CodecError("entry.log_id"))?), payload })
}

fn membership_out(membership: &Membership<u64, PeerNode>) -> wire::Membership {
    wire::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|ids| wire::VoterSet { ids: ids.iter().copied().collect() })
            .collect(),
        nodes: membership
            .nodes()
            .map(|(id, node)| wire::PeerNode {
                id: *id,
                name: node.name.clone(),
                address: node.address.clone(),
            })
            .collect(),
    }
}

fn membership_in(membership: wire::Membership) -> Result<Membership<u64, PeerNode>, CodecError> {
    let configs: Vec<BTreeSet<u64>> =
        membership.configs.into_iter().map(|set| set.ids.into_iter().collect()).collect();
    let nodes: BTreeMap<u64, PeerNode> = membership
        .nodes
        .into_iter()
        .map(|node| (node.id, PeerNode { name: node.name, address: node.address }))
        .collect();
    Membership::new(configs, nodes).map_err(|_| CodecError("membership"))
}

/// To the wire.
#[must_use]
pub fn append_result_out(result: &AppendResult) -> wire::AppendReply {
    use wire::append_reply::Result as Out;
    let result = match result {
        Ok(matching) => Out::Matching(wire::Matching { log_id: matching.as_ref().map(log_id_out) }),
        Err(StreamAppendError::Conflict(prev)) => Out::Conflict(log_id_out(prev)),
        Err(StreamAppendError::HigherVote(vote)) => Out::HigherVote(vote_out(vote)),
    };
    wire::AppendReply { result: Some(result) }
}

/// From the wire.
///
/// # Errors
/// When the result is missing.
pub fn append_result_in(reply: &wire::AppendReply) -> Result<AppendResult, CodecError> {
    use wire::append_reply::Result as In;
    Ok(match reply.result.as_ref().ok_or(CodecError("append_reply.result"))? {
        In::Matching(matching) => Ok(matching.log_id.as_ref().map(log_id_in)),
        In::Conflict(prev) => Err(StreamAppendError::Conflict(log_id_in(prev))),
        In::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote_in(vote))),
    })
}

/// To the wire.
#[must_use]
pub fn vote_request_out(rpc: &openraft::raft::VoteRequest<TypeConfig>, pre_vote: bool) -> wire::VoteRequest {
    wire::VoteRequest {
        vote: Some(vote_out(&rpc.vote)),
        last_log_id: rpc.last_log_id.as_ref().map(log_id_out),
        leadership_transfer: rpc.leadership_transfer,
        pre_vote,
    }
}

/// From the wire.
///
/// # Errors
/// When the vote is missing.
pub fn vote_request_in(
    rpc: &wire::VoteRequest,
) -> Result<openraft::raft::VoteRequest<TypeConfig>, CodecError> {
    Ok(openraft::raft::VoteRequest {
        vote: vote_in(rpc.vote.as_ref().ok_or(CodecError("vote.vote"))?),
        last_log_id: rpc.last_log_id.as_ref().map(log_id_in),
        leadership_transfer: rpc.leadership_transfer,
    })
}

/// To the wire.
#[must_use]
pub fn vote_reply_out(reply: &openraft::raft::VoteResponse<TypeConfig>) -> wire::VoteReply {
    wire::VoteReply {
        vote: Some(vote_out(&reply.vote)),
        granted: reply.vote_granted,
        last_log_id: reply.last_log_id.as_ref().map(log_id_out),
    }
}

/// From the wire.
///
/// # Errors
/// When the vote is missing.
pub fn vote_reply_in(
    reply: &wire::VoteReply,
) -> Result<openraft::raft::VoteResponse<TypeConfig>, CodecError> {
    let vote = vote_in(reply.vote.as_ref().ok_or(CodecError("vote_reply.vote"))?);
    let last_log_id = reply.last_log_id.as_ref().map(log_id_in);
    Ok(openraft::raft::VoteResponse { vote, vote_granted: reply.granted, last_log_id })
}

/// To the wire.
#[must_use]
pub fn transfer_out(rpc: &TransferLeaderRequest<TypeConfig>) -> wire::TransferRequest {
    wire::TransferRequest {
        from_leader: Some(vote_out(rpc.from_leader())),
        to: *rpc.to_node_id(),
        last_log_id: rpc.last_log_id().map(log_id_out),
    }
}

/// From the wire.
///
/// # Errors
/// When the leader's vote is missing.
pub fn transfer_in(rpc: &wire::TransferRequest) -> Result<TransferLeaderRequest<TypeConfig>, CodecError> {
    let from = vote_in(rpc.from_leader.as_ref().ok_or(CodecError("transfer.from_leader"))?);
    Ok(TransferLeaderRequest::new(from, rpc.to, rpc.last_log_id.as_ref().map(log_id_in)))
}
