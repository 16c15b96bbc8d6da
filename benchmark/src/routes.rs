//! Which node leads which shard, for clients that go straight to a timer's leader and so spare the server a hop.
//! Read once: where a leader has changed since, the node that is asked passes the request on.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::connection::{Connection, SendError};
use crate::request::get;

/// The group of all timers here.
const GROUP: &str = "default";

/// The routing table, by shard.
#[derive(Clone, Debug)]
pub struct Routes {
    leaders: Vec<SocketAddr>,
    group_shards: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    algorithm: String,
    groups: std::collections::BTreeMap<String, u16>,
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shard {
    http_url: Option<String>,
}

impl Routes {
    /// Asks the server at `address`.
    ///
    /// # Errors
    /// When it does not answer, or with a table that this client can't use, e.g. since a shard has no leader.
    pub async fn of(address: SocketAddr) -> Result<Self, SendError> {
        let mut connection = Connection::open(address).await?;
        let body = connection.fetch(&get(address, "/api/v1/cluster/routing")).await?;
        Self::parse(&body)
            .ok_or(SendError::Unreadable("the routing table is incomplete, or of another algorithm"))
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let table: Table = serde_json::from_slice(body).ok()?;
        if table.algorithm != "sha256-mod/1" || table.shards.is_empty() {
            return None;
        }
        let address = |shard: &Shard| shard.http_url.as_deref()?.strip_prefix("http://")?.parse().ok();
        let leaders = table.shards.iter().map(address).collect::<Option<_>>()?;
        Some(Self { leaders, group_shards: *table.groups.get(GROUP)? })
    }

    /// The leader of the timer `id`.
    pub fn leader_of(&self, id: &str) -> SocketAddr {
        let shards = u16::try_from(self.leaders.len()).unwrap_or(u16::MAX);
        let shard = shard_router::shard_of(GROUP, id, self.group_shards, shards);
        self.leaders[usize::from(shard)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(algorithm: &str, second: &str) -> String {
        format!(
            r#"{{"algorithm":"{algorithm}","clusterId":"c","clusterShards":2,"groups":{{"default":2}},"shards":[
            {{"shard":0,"leader":1,"httpUrl":"http://127.0.0.1:1"}},{{"shard":1,"leader":2,"httpUrl":{second}}}]}}"#
        )
    }

    #[test]
    fn each_timer_has_its_leader_and_an_incomplete_table_is_refused() {
        let routes = Routes::parse(table("sha256-mod/1", r#""http://127.0.0.1:2""#).as_bytes()).unwrap();
        let ports: std::collections::BTreeSet<u16> =
            (0..20).map(|n| routes.leader_of(&format!("t-{n}")).port()).collect();
        assert_eq!(ports, [1, 2].into());
        assert!(Routes::parse(table("sha256-mod/1", "null").as_bytes()).is_none());
        assert!(Routes::parse(table("md5/1", r#""http://127.0.0.1:2""#).as_bytes()).is_none());
    }
}
