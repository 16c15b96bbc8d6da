//! Which shard a timer belongs to. Clients compute it too, to go straight to the right leader, so the formula is
//! part of the API and can't change: `sdks/vectors/shard.json` has what every implementation must give.

use sha2::{Digest, Sha256};

/// The shard of the timer `id` in `group`: `(h(group) + h(id) % group_shards) % cluster_shards`, where `h` is the
/// first 4 bytes, big-endian, of SHA-256 of the UTF-8 bytes.
///
/// A group begins at a place of its own and takes the `group_shards` shards from there on, so that small groups
/// do not all lie in shard 0.
///
/// # Panics
/// If a number of shards is 0: there is no shard then.
#[must_use]
pub fn shard_of(group: &str, id: &str, group_shards: u16, cluster_shards: u16) -> u16 {
    assert!(group_shards > 0, "a group has at least one shard");
    assert!(cluster_shards > 0, "a cluster has at least one shard");
    // In 64 bits: the sum of two hashes does not fit into 32.
    let place = h(group) + h(id) % u64::from(group_shards);
    match u16::try_from(place % u64::from(cluster_shards)) {
        Ok(shard) => shard,
        Err(_) => unreachable!("a remainder is below its divisor"),
    }
}

/// The shards that hold the timers of `group`, each once.
///
/// # Panics
/// As [`shard_of`].
pub fn shards_of(group: &str, group_shards: u16, cluster_shards: u16) -> impl Iterator<Item = u16> {
    assert!(group_shards > 0, "a group has at least one shard");
    assert!(cluster_shards > 0, "a cluster has at least one shard");
    let first = h(group);
    (0..group_shards.min(cluster_shards)).map(move |place| {
        match u16::try_from((first + u64::from(place)) % u64::from(cluster_shards)) {
            Ok(shard) => shard,
            Err(_) => unreachable!("a remainder is below its divisor"),
        }
    })
}

fn h(text: &str) -> u64 {
    let hash = Sha256::digest(text.as_bytes());
    let [a, b, c, d, ..] = hash.0;
    u64::from(u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdks/vectors/shard.json");

    /// Made by `sdks/vectors/shard.py`, which shares no code with this.
    #[test]
    fn the_published_vectors_hold() {
        let text = std::fs::read_to_string(VECTORS).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        let mut overflowing = 0;
        for vector in vectors {
            let number = |key: &str| u16::try_from(vector[key].as_u64().unwrap()).unwrap();
            let (group, id) = (vector["group"].as_str().unwrap(), vector["id"].as_str().unwrap());
            let found = shard_of(group, id, number("groupShards"), number("clusterShards"));
            assert_eq!(found, number("shard"), "{vector}");
            let sum = h(group) + h(id) % u64::from(number("groupShards"));
            overflowing += u32::from(sum > u64::from(u32::MAX));
        }
        assert!(vectors.len() >= 100, "{}", vectors.len());
        assert!(overflowing > 0, "some vector tells 32 bits from 64");
    }

    #[test]
    fn the_hash_is_the_first_four_bytes_of_sha_256() {
        // SHA-256 of the empty text begins e3b0c442, of "abc" ba7816bf (FIPS 180-4).
        assert_eq!(h(""), 0xe3b0_c442);
        assert_eq!(h("abc"), 0xba78_16bf);
    }

    #[test]
    fn timers_of_a_group_are_spread_evenly_over_its_shards() {
        let mut counts = [0_u32; 8];
        for i in 0..80_000 {
            counts[usize::from(shard_of("default", &format!("timer-{i}"), 8, 8))] += 1;
        }
        // 10,000 each, with a standard deviation of 94.
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn a_shard_is_one_of_the_groups_and_of_the_clusters(
            group in "[a-z0-9][a-z0-9_-]{0,20}",
            id in "\\PC{1,40}",
            group_shards in 1_u16..=300,
            cluster_shards in 1_u16..=300,
        ) {
            let shard = shard_of(&group, &id, group_shards, cluster_shards);
            prop_assert!(shard < cluster_shards);
            let first = h(&group) % u64::from(cluster_shards);
            let from_first = (u64::from(shard) + u64::from(cluster_shards) - first) % u64::from(cluster_shards);
            prop_assert!(from_first < u64::from(group_shards));
        }

        #[test]
        fn a_group_of_one_shard_has_all_its_timers_together(a in "\\PC{1,40}", b in "\\PC{1,40}") {
            prop_assert_eq!(shard_of("g", &a, 1, 64), shard_of("g", &b, 1, 64));
        }
    }

    proptest! {
        #[test]
        fn the_shards_of_a_group_are_those_of_its_timers(
            group in "[a-z]{1,9}",
            ids in prop::collection::vec("[a-z0-9]{1,9}", 50),
            group_shards in 1..12_u16,
            cluster_shards in 1..12_u16,
        ) {
            let shards: Vec<u16> = shards_of(&group, group_shards, cluster_shards).collect();
            let mut each_once = shards.clone();
            each_once.sort_unstable();
            each_once.dedup();
            prop_assert_eq!(each_once.len(), shards.len());
            prop_assert_eq!(shards.len(), usize::from(group_shards.min(cluster_shards)));
            for id in ids {
                prop_assert!(shards.contains(&shard_of(&group, &id, group_shards, cluster_shards)));
            }
        }
    }
}
