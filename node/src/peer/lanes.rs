//! All lanes from this node to its peers.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Endpoint;

use super::frame::{Lane, Member};
use super::link::{CheckHello, Link, MakeHello};

/// An idle connection is probed after this time, and given up when the probe gets no answer as long.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The lanes to one peer.
#[derive(Debug)]
pub struct PeerLanes {
    /// The peer.
    pub member: Member,
    control: Link,
    append: Link,
    bulk: Link,
    request: Link,
}

/// The lanes to every peer, by node id. Made once the members are known.
#[derive(Debug)]
pub struct Lanes {
    peers: BTreeMap<u64, PeerLanes>,
}

impl PeerLanes {
    /// The lane for `purpose`.
    #[must_use]
    pub fn lane(&self, purpose: Lane) -> &Link {
        match purpose {
            Lane::Append => &self.append,
            Lane::Bulk => &self.bulk,
            Lane::Request => &self.request,
            Lane::Control | Lane::Unspecified => &self.control,
        }
    }

    /// What this node has lost, if the peer says that it had acknowledged more than it now has.
    #[must_use]
    pub fn lost_log(&self) -> Option<String> {
        [&self.control, &self.append, &self.bulk, &self.request].into_iter().find_map(Link::lost_log)
    }

    /// Whether the peer can be talked to now.
    #[must_use]
    pub fn reachable(&self) -> bool {
        *self.control.connected().borrow()
    }
}

impl Lanes {
    /// Starts connecting to `members` but `own`.
    ///
    /// # Errors
    /// When an address can't be one, with the member's name.
    pub fn connect(
        own: u64,
        members: &[Member],
        hello: &MakeHello,
        check: &CheckHello,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, String> {
        let mut peers = BTreeMap::new();
        for member in members.iter().filter(|m| m.id != own) {
            let endpoint = Endpoint::from_shared(format!("http://{}", member.peer_address))
                .map_err(|e| {
                    format!("peer {} has an unusable address {}: {e}", member.name, member.peer_address)
                })?
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .keep_alive_while_idle(true)
                .initial_stream_window_size(8 << 20)
                .initial_connection_window_size(16 << 20);
            let open = |lane| {
                let link = Link::new(member.name.clone(), lane);
                tasks.spawn(link.clone().run(endpoint.clone(), hello.clone(), check.clone(), stop.clone()));
                link
            };
            let lanes = PeerLanes {
                member: member.clone(),
                control: open(Lane::Control),
                append: open(Lane::Append),
                bulk: open(Lane::Bulk),
                request: open(Lane::Request),
            };
            peers.insert(member.id, lanes);
        }
        Ok(Self { peers })
    }

    /// The lane to `node` for `purpose`, or none if `node` is no peer.
    #[must_use]
    pub fn lane(&self, node: u64, purpose: Lane) -> Option<&Link> {
        self.peers.get(&node).map(|peer| peer.lane(purpose))
    }

    /// Every peer, by id.
    pub fn peers(&self) -> impl Iterator<Item = (u64, &PeerLanes)> {
        self.peers.iter().map(|(id, peer)| (*id, peer))
    }
}
