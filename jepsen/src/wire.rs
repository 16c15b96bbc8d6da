//! Times and shards as `API.md` writes them, from its words and not from the product's code, whose faults the
//! harness must not share.

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `at_ms` as RFC 3339 in UTC; `None` beyond the year 9999.
pub fn rfc3339(at_ms: u64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000).ok()?;
    at.format(&Rfc3339).ok()
}

/// The ms since 1970 of an RFC 3339 time.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The shard of a timer of the group `default`, which uses all shards.
pub fn shard_of(id: &str, shards: u16) -> u16 {
    let shards = u32::from(shards.max(1));
    let place = (u64::from(hash("default")) + u64::from(hash(id) % shards)) % u64::from(shards);
    u16::try_from(place).unwrap_or(0)
}

/// The first four bytes, big-endian, of SHA-256.
fn hash(text: &str) -> u32 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(4).fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_way_there_and_back() {
        assert_eq!(rfc3339(1_767_225_600_007).unwrap(), "2026-01-01T00:00:00.007Z");
        assert_eq!(parse_rfc3339("2026-01-01T00:00:00.007Z"), Some(1_767_225_600_007));
        assert_eq!(parse_rfc3339("2026-01-01T02:30:00+02:30"), Some(1_767_225_600_000));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn shards_are_those_of_the_published_vectors() {
        let text = include_str!("../../sdks/vectors/shard.json");
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        let mut compared = 0;
        for vector in
            vectors.iter().filter(|v| v["group"] == "default" && v["groupShards"] == v["clusterShards"])
        {
            let shards = u16::try_from(vector["clusterShards"].as_u64().unwrap()).unwrap();
            let id = vector["id"].as_str().unwrap();
            assert_eq!(
                u64::from(shard_of(id, shards)),
                vector["shard"].as_u64().unwrap(),
                "{id} of {shards}"
            );
            compared += 1;
        }
        assert!(compared > 20, "{compared}");
    }
}
