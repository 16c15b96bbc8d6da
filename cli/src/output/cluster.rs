//! The cluster for people.

use durable_timer::{ClusterView, NodeView, ShardView};

use super::table::{pairs, rows};

/// Nodes, then shards.
pub fn text(view: &ClusterView) -> String {
    let name = |id: u64| {
        let node = view.nodes.iter().find(|node| node.id == id);
        node.map_or_else(|| id.to_string(), |node| node.name.clone())
    };
    let head = pairs(&[
        ("cluster", Some(format!("{} ({})", view.cluster_name, view.cluster_id))),
        ("seen from", Some(view.node_name.clone())),
        ("healthy", Some(health(view))),
    ]);
    let nodes: Vec<_> = view.nodes.iter().map(|node| node_row(node, view)).collect();
    let shards: Vec<_> = view.shards.iter().map(|shard| shard_row(shard, &name)).collect();
    let nodes = rows(&["NODE", "REACHABLE", "LEADS", "CLOCK", "VERSION", "HTTP"], &nodes);
    let shards = rows(&["SHARD", "LEADER", "TERM", "APPLIED", "VOTERS"], &shards);
    format!("{head}\n{nodes}\n{shards}")
}

fn health(view: &ClusterView) -> String {
    if view.nodes.is_empty() || view.shards.is_empty() {
        return "not known yet: this node has not formed or joined its cluster".to_owned();
    }
    let stalled: Vec<_> =
        view.shards.iter().filter(|shard| !shard.healthy).map(|s| s.shard.to_string()).collect();
    let gone: Vec<_> =
        view.nodes.iter().filter(|node| !node.reachable).map(|node| node.name.as_str()).collect();
    let mut faults = Vec::new();
    if !stalled.is_empty() {
        faults.push(format!("no quorum in shards {}", stalled.join(", ")));
    }
    if !gone.is_empty() {
        faults.push(format!("not reachable: {}", gone.join(", ")));
    }
    if faults.is_empty() { "yes".to_owned() } else { format!("no: {}", faults.join("; ")) }
}

fn node_row(node: &NodeView, view: &ClusterView) -> Vec<String> {
    let leads = view.shards.iter().filter(|shard| shard.leader == Some(node.id)).count();
    vec![
        node.name.clone(),
        if node.reachable { "yes" } else { "no" }.to_owned(),
        leads.to_string(),
        node.clock_offset_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:+} ms")),
        node.version.clone().unwrap_or_else(|| "-".to_owned()),
        node.http_url.clone(),
    ]
}

fn shard_row(shard: &ShardView, name: &impl Fn(u64) -> String) -> Vec<String> {
    vec![
        shard.shard.to_string(),
        shard.leader.map_or_else(|| "none".to_owned(), name),
        shard.term.to_string(),
        shard.applied_index.to_string(),
        shard.voters.iter().map(|id| name(*id)).collect::<Vec<_>>().join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_without_a_cluster_is_not_called_healthy() {
        let view = json!({
            "clusterId": "", "clusterName": "dev", "nodeId": 1, "nodeName": "n1", "nodes": [], "shards": [],
            "healthy": true,
        });
        assert!(text(&serde_json::from_value(view).unwrap()).contains("healthy    not known yet"));
    }

    #[test]
    fn nodes_and_shards_are_named_and_what_is_wrong_comes_first() {
        let node = |id: u64, reachable: bool| {
            json!({"id": id, "name": format!("n{id}"), "peerAddress": "h:1", "httpUrl": format!("http://h{id}:8080"),
                   "version": if reachable { json!("0.1.0") } else { json!(null) }, "reachable": reachable,
                   "clockOffsetMs": if id == 2 { json!(-12) } else { json!(null) }})
        };
        let shard = |shard: u16, leader: Option<u64>| {
            json!({"shard": shard, "leader": leader, "term": 7, "voters": [1, 2, 3], "appliedIndex": 42,
                   "healthy": leader.is_some()})
        };
        let view = json!({
            "clusterId": "c1", "clusterName": "prod", "nodeId": 1, "nodeName": "n1",
            "nodes": [node(1, true), node(2, true), node(3, false)], "shards": [shard(0, Some(2)), shard(1, None)],
        });
        let expected = "\
cluster    prod (c1)
seen from  n1
healthy    no: no quorum in shards 1; not reachable: n3

NODE  REACHABLE  LEADS  CLOCK   VERSION  HTTP
n1    yes        0      -       0.1.0    http://h1:8080
n2    yes        1      -12 ms  0.1.0    http://h2:8080
n3    no         0      -       -        http://h3:8080

SHARD  LEADER  TERM  APPLIED  VOTERS
0      n2      7     42       n1 n2 n3
1      none    7     42       n1 n2 n3
";
        assert_eq!(text(&serde_json::from_value(view).unwrap()), expected);
    }
}
