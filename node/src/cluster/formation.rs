//! How a set of blank nodes becomes a cluster, once.
//!
//! Every blank node asks all listed peers who they are. When all answer and all are blank, the one with the
//! smallest name decides: it writes the cluster's id and members into its own identity first. The others
//! find themselves among its members when they ask again, and do the same. A crash at any point leaves
//! nodes that know, and nodes that ask those who know.
//!
//! A node that is known by name under another id has lost its disk. It must not join under its old id, since
//! it may have acknowledged what it forgot: it stays out and says so.

use std::time::Duration;

use proto::wire::peer::peer_client::PeerClient;
use timer_core::ids::NodeId;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use crate::config::settings::Settings;
use crate::environment::Entropy;
use crate::identity::{ClusterIdentity, Identity, Member};
use crate::peer::frame::{ProbeReply, ProbeRequest};
use crate::sockets::connect_peer;

/// How often the peers are asked.
const ROUND: Duration = Duration::from_millis(250);
/// How long one answer may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// After so many rounds without a result the log says what is missing, and again each time.
const SAY_EVERY_ROUNDS: u32 = 40;

/// What one round of asking came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Round {
    /// This node is a member of this cluster.
    Member(ClusterIdentity),
    /// Ask again; why there is no cluster yet.
    Wait(String),
    /// It can't be without an operator; why.
    Stuck(String),
}

/// Asks until this node is a member. None when `stop` came first.
pub async fn form(
    settings: &Settings,
    identity: &Identity,
    http_url: &str,
    entropy: &dyn Entropy,
    stop: &CancellationToken,
) -> Option<ClusterIdentity> {
    let mut rounds = 0_u32;
    loop {
        let replies = ask_all(settings, identity).await;
        let proposed_id = new_cluster_id(entropy);
        match decide(settings, identity, http_url, &replies, &proposed_id) {
            Round::Member(cluster) => return Some(cluster),
            Round::Wait(reason) => {
                if rounds.is_multiple_of(SAY_EVERY_ROUNDS) {
                    tracing::info!(reason, "waiting for the cluster to form");
                }
            }
            Round::Stuck(reason) => {
                if rounds.is_multiple_of(SAY_EVERY_ROUNDS) {
                    tracing::error!(reason, "this node can't become a member");
                }
            }
        }
        rounds += 1;
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

/// A cluster id: 128 random bits in hexadecimal.
#[must_use]
pub fn new_cluster_id(entropy: &dyn Entropy) -> String {
    format!("{:016x}{:016x}", entropy.next_u64(), entropy.next_u64())
}

async fn ask_all(settings: &Settings, identity: &Identity) -> Vec<(String, Option<ProbeReply>)> {
    let others = settings.cluster.peers.iter().filter(|peer| peer.name != settings.node.name);
    let asks = others.map(|peer| async move {
        let asked = tokio::time::timeout(PROBE_TIMEOUT, ask(&peer.address, settings, identity)).await;
        (peer.name.clone(), asked.ok().flatten())
    });
    futures_util::future::join_all(asks).await
}

async fn ask(address: &str, settings: &Settings, identity: &Identity) -> Option<ProbeReply> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    let channel = connect_peer(&endpoint).await.ok()?;
    let request = ProbeRequest {
        cluster_name: settings.cluster.name.clone(),
        node_id: identity.node_id.0,
        node_name: settings.node.name.clone(),
    };
    PeerClient::new(channel).probe(request).await.ok().map(tonic::Response::into_inner)
}

/// What the answers of one round mean. Pure.
fn decide(
    settings: &Settings,
    identity: &Identity,
    http_url: &str,
    replies: &[(String, Option<ProbeReply>)],
    proposed_id: &str,
) -> Round {
    for (name, reply) in replies {
        let Some(reply) = reply else { continue };
        if reply.node_name != *name {
            return Round::Stuck(format!("the peer listed as {name} says that it is {}", reply.node_name));
        }
        if reply.cluster_name != settings.cluster.name {
            return Round::Stuck(format!(
                "cluster.name is {} here, but {} at {name}",
                settings.cluster.name, reply.cluster_name
            ));
        }
        if let Some(round) = join_known(identity, reply) {
            return round;
        }
    }
    let silent: Vec<&str> =
        replies.iter().filter(|(_, reply)| reply.is_none()).map(|(name, _)| name.as_str()).collect();
    if !silent.is_empty() {
        return Round::Wait(format!("no answer from {}", silent.join(", ")));
    }
    let first = settings.cluster.peers.iter().map(|peer| peer.name.as_str()).min();
    if first != Some(settings.node.name.as_str()) {
        return Round::Wait(format!("{} is to decide", first.unwrap_or("nobody")));
    }
    Round::Member(found(settings, identity, http_url, replies, proposed_id))
}

/// What a peer that knows a cluster means for this node.
fn join_known(identity: &Identity, reply: &ProbeReply) -> Option<Round> {
    if reply.cluster_id.is_empty() {
        return None;
    }
    let me = reply.members.iter().find(|member| member.name == identity.node_name);
    Some(match me {
        Some(member) if member.id == identity.node_id.0 => Round::Member(ClusterIdentity {
            id: reply.cluster_id.clone(),
            name: reply.cluster_name.clone(),
            shards: reply.shards as u16,
            members: reply.members.iter().map(member_in).collect(),
        }),
        Some(member) => Round::Stuck(format!(
            "cluster {} knows {} as node {}, but this data directory is new (node {}): a node that lost its \
             disk must not come back under its old name's place; restore the data directory, or remove the \
             old member and let this one join",
            reply.cluster_id, identity.node_name, member.id, identity.node_id
        )),
        None => Round::Stuck(format!(
            "cluster {} exists already and has no member {}",
            reply.cluster_id, identity.node_name
        )),
    })
}

fn found(
    settings: &Settings,
    identity: &Identity,
    http_url: &str,
    replies: &[(String, Option<ProbeReply>)],
    proposed_id: &str,
) -> ClusterIdentity {
    let mut members: Vec<Member> = Vec::new();
    for peer in &settings.cluster.peers {
        let (id, url) = replies
            .iter()
            .find(|(name, _)| *name == peer.name)
            .and_then(|(_, reply)| reply.as_ref())
            .map_or((identity.node_id.0, http_url), |reply| (reply.node_id, reply.http_url.as_str()));
        members.push(Member {
            id: NodeId(id),
            name: peer.name.clone(),
            peer_address: peer.address.clone(),
            http_url: url.to_owned(),
        });
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    ClusterIdentity {
        id: proposed_id.to_owned(),
        name: settings.cluster.name.clone(),
        shards: settings.cluster.shards,
        members,
    }
}

fn member_in(member: &crate::peer::frame::Member) -> Member {
    Member {
        id: NodeId(member.id),
        name: member.name.clone(),
        peer_address: member.peer_address.clone(),
        http_url: member.http_url.clone(),
    }
}
