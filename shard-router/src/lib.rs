//! Pure routing: key to shard, shard to leader.
