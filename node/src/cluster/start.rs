//! The start of a node: it becomes a member, opens its stores and starts its shards.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raft_store::{PeerNode, Stores};
use tokio::sync::Semaphore;

use super::groups::KnownGroups;
use super::inbound::{log_ends, member_out};
use super::node::{Node, Running, size};
use super::test_callback::CALLBACK_TESTS_AT_ONCE_MAX;
use super::{formation, housekeeping};
use crate::blocking::away;
use crate::config::settings::Settings;
use crate::identity::{ClusterIdentity, Member};
use crate::peer::clocks::Clocks;
use crate::peer::lanes::Lanes;
use crate::peer::network::{Acknowledged, NetworkFactory};
use crate::shard::host::{HostParts, ShardHost};
use crate::shard::proposer::QueueBounds;
use crate::shard::raft::RaftTiming;

impl Node {
    /// The cluster that this node belongs to; it is formed if need be. None if the node is stopped first.
    pub(super) async fn become_member(&self) -> Result<Option<ClusterIdentity>, String> {
        if let Some(cluster) = self.cluster_identity() {
            return Ok(Some(cluster));
        }
        let cluster = if self.settings.cluster.peers.len() <= 1 {
            self.cluster_of_one()
        } else {
            let identity = self.identity.lock().identity().clone();
            let formed =
                formation::form(&self.settings, &identity, &self.http_url, &*self.entropy, &self.stop);
            let Some(cluster) = formed.await else { return Ok(None) };
            cluster
        };
        // The stores come first: an identity with a cluster means that there are stores which must be found.
        drop(self.open_stores(&cluster).await?);
        self.identity.lock().set_cluster(cluster.clone()).map_err(|e| e.to_string())?;
        tracing::info!(cluster = cluster.id, members = cluster.members.len(), "this node is a member");
        Ok(Some(cluster))
    }

    fn cluster_of_one(&self) -> ClusterIdentity {
        let identity = self.identity.lock().identity().clone();
        let member = Member {
            id: identity.node_id,
            name: identity.node_name,
            peer_address: self.settings.peer.advertise.clone(),
            http_url: self.http_url.clone(),
        };
        ClusterIdentity {
            id: formation::new_cluster_id(&*self.entropy),
            name: self.settings.cluster.name.clone(),
            shards: self.settings.cluster.shards,
            members: vec![member],
        }
    }

    pub(super) async fn open_stores(&self, cluster: &ClusterIdentity) -> Result<Stores, String> {
        let options = housekeeping::store_options(&self.settings, cluster);
        let (dir, shards) = (self.settings.node.data_dir.clone(), cluster.stored_shards());
        if let Some(disk) = &self.memory {
            return Stores::memory(disk, shards, &options).map_err(|e| e.to_string());
        }
        let was_member = self.cluster_identity().is_some();
        if was_member && !dir.join("log").exists() {
            return Err(format!(
                "{}: the node is a member of cluster {}, but its log is gone; a node that lost its log must not \
                 come back: restore the whole directory, or remove this member and join anew with a blank one",
                dir.display(),
                cluster.name
            ));
        }
        let opened = away(true, move || open(&dir, shards, &options));
        opened.await.map_err(|e| e.to_string())?
    }

    pub(super) async fn start_shards(
        self: &Arc<Self>,
        cluster: ClusterIdentity,
        stores: Stores,
    ) -> Result<Arc<Running>, String> {
        let members: Vec<_> = cluster.members.iter().map(member_out).collect();
        let acknowledged = Arc::new(Acknowledged::default());
        let stores = Arc::new(stores);
        let log_ends = log_ends(&stores, stores.shard_count());
        let (hello, check) = self.greetings();
        let lanes =
            Arc::new(Lanes::connect(self.node_id, &members, &hello, &check, &self.tasks, &self.stop)?);
        let offset_max = Duration::from_millis(self.settings.clock.offset_max_ms);
        let clocks = Clocks::new(self.clock.clone(), members.len(), offset_max);
        self.tasks.spawn(clocks.clone().run(lanes.clone(), self.stop.clone()));
        let context = self.dispatch_context(&cluster.id);
        let room_max = context.room.available_permits();
        let mut hosts = Vec::new();
        // The last is the meta shard.
        for shard in 0..=cluster.shards {
            let parts = HostParts {
                node: self.node_id,
                shard,
                cluster_name: cluster.name.clone(),
                voters: members.len(),
                timing: timing(&self.settings),
                queue: queue_bounds(&self.settings),
                stores: stores.clone(),
                network: NetworkFactory {
                    shard,
                    lanes: lanes.clone(),
                    acknowledged: acknowledged.clone(),
                    metrics: self.metrics.clone(),
                },
                clocks: clocks.clone(),
                disk: self.disk.clone(),
                context: context.clone(),
                forward: self.forward_outcome(shard),
            };
            hosts.push(ShardHost::start(parts, &self.tasks, &self.stop).await?);
        }
        Ok(Arc::new(Running {
            node_id: self.node_id,
            node_name: self.settings.node.name.clone(),
            http_url: self.http_url.clone(),
            cluster,
            stores,
            lanes,
            acknowledged,
            boot: self.entropy.next_u64(),
            log_ends,
            clocks,
            groups: KnownGroups::default(),
            hosts,
            context,
            room_max,
            callback_tests: Semaphore::new(CALLBACK_TESTS_AT_ONCE_MAX),
        }))
    }

    /// Makes each shard's first membership, on the one node that is chosen for it; the others learn of it.
    pub(super) async fn initialize_shards(&self, running: &Running) -> Result<(), String> {
        let members = &running.cluster.members;
        let nodes: BTreeMap<u64, PeerNode> = members
            .iter()
            .map(|m| (m.id.0, PeerNode { name: m.name.clone(), address: m.peer_address.clone() }))
            .collect();
        let mut by_name: Vec<&Member> = members.iter().collect();
        by_name.sort_by(|a, b| a.name.cmp(&b.name));
        for host in &running.hosts {
            let chosen = by_name[usize::from(host.shard) % by_name.len()];
            let Some(raft) = host.raft().filter(|_| chosen.id.0 == self.node_id) else { continue };
            if raft.is_initialized().await.map_err(|e| e.to_string())? {
                continue;
            }
            raft.initialize(nodes.clone()).await.map_err(|e| format!("shard {}: {e}", host.shard))?;
        }
        Ok(())
    }
}

fn queue_bounds(settings: &Settings) -> QueueBounds {
    QueueBounds {
        commands_max: size(settings.raft.queue_commands_max),
        bytes_max: size(settings.raft.queue_bytes_max),
        linger: Duration::from_millis(settings.raft.linger_ms),
    }
}

fn timing(settings: &Settings) -> RaftTiming {
    let ms = Duration::from_millis;
    RaftTiming {
        heartbeat: ms(settings.raft.heartbeat_ms),
        election_min: ms(settings.raft.election_min_ms),
        election_max: ms(settings.raft.election_max_ms),
        probe: ms(settings.raft.probe_ms),
        log_keep_entries: settings.raft.log_keep_entries,
    }
}

#[cfg(feature = "rocksdb")]
fn open(dir: &Path, shards: u16, options: &raft_store::StoreOptions) -> Result<Stores, String> {
    Stores::open(dir, shards, options).map_err(|e| e.to_string())
}

#[cfg(not(feature = "rocksdb"))]
fn open(_dir: &Path, _shards: u16, _options: &raft_store::StoreOptions) -> Result<Stores, String> {
    Err("this binary was built without RocksDB: it can only keep timers in memory".to_owned())
}
