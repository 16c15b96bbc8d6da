//! The bytes of the log's records, and the chain of checksums that ties each entry to the one before.
//!
//! Entry: `[1][own u64][previous u64][term u64][node u64][index u64][kind u8][payload]`, big-endian. `own`
//! is the XXH3-64, seeded with the shard, of everything behind it; `previous` is the `own` of the entry
//! before. So a flipped bit, a swapped record and a missing one are all found.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::StoreError;
use crate::keys::int;
use crate::membership;
use crate::type_config::{Entry, EntryData, LeaderId, LogId, Payload, Vote, log_id};

const FORMAT: u8 = 1;
const CHECKED_FROM: usize = 9;
const PAYLOAD_FROM: usize = 42;
const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// The chain before the first entry of a blank log.
pub const GENESIS: u64 = 0;

/// A decoded entry and its place in the chain.
#[derive(Clone, Debug)]
pub struct Record {
    /// The entry.
    pub entry: Entry,
    /// The checksum of the entry before.
    pub previous: u64,
    /// Its own.
    pub own: u64,
}

/// Encodes `entry` behind an entry whose checksum is `previous`; also gives its own.
#[must_use]
pub fn encode(shard: u16, entry: &Entry, previous: u64) -> (Bytes, u64) {
    let (kind, payload) = match &entry.payload {
        Payload::Blank => (BLANK, Bytes::new()),
        Payload::Normal(data) => (NORMAL, data.0.clone()),
        Payload::Membership(members) => (MEMBERSHIP, membership::encode(members).into()),
    };
    let mut bytes = Vec::with_capacity(PAYLOAD_FROM + payload.len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&previous.to_be_bytes());
    put_log_id(&mut bytes, &entry.log_id);
    bytes.push(kind);
    bytes.extend_from_slice(&payload);
    let own = xxh3_64_with_seed(&bytes[CHECKED_FROM..], u64::from(shard));
    bytes[1..CHECKED_FROM].copy_from_slice(&own.to_be_bytes());
    (bytes.into(), own)
}

/// Decodes and checks one record of `shard` found at `index`.
///
/// # Errors
/// When the bytes are not those that were written.
pub fn decode(shard: u16, index: u64, bytes: &Bytes) -> Result<Record, StoreError> {
    let damaged = |detail: String| {
        StoreError::corrupted(format!("the log of shard {shard}"), format!("entry {index}: {detail}"))
    };
    let format = *bytes.first().ok_or_else(|| damaged("an empty record".into()))?;
    if format > FORMAT {
        return Err(StoreError::NewerFormat {
            what: "a log entry",
            found: format.into(),
            known: FORMAT.into(),
        });
    }
    if format != FORMAT {
        return Err(damaged(format!("format {format}")));
    }
    let parts = || {
        let own = u64::from_be_bytes(int(bytes, 1)?);
        let previous = u64::from_be_bytes(int(bytes, CHECKED_FROM)?);
        Some((own, previous, get_log_id(bytes, 17)?, *bytes.get(41)?))
    };
    let (own, previous, id, kind) = parts().ok_or_else(|| damaged("a short record".into()))?;
    if xxh3_64_with_seed(&bytes[CHECKED_FROM..], u64::from(shard)) != own {
        return Err(damaged("the checksum does not match".into()));
    }
    if id.index() != index {
        return Err(damaged(format!("it holds entry {}", id.index())));
    }
    let payload = match kind {
        BLANK => Payload::Blank,
        NORMAL => Payload::Normal(EntryData(bytes.slice(PAYLOAD_FROM..))),
        MEMBERSHIP => Payload::Membership(
            membership::decode(&bytes[PAYLOAD_FROM..]).map_err(|e| damaged(format!("membership: {e}")))?,
        ),
        other => return Err(damaged(format!("payload of unknown kind {other}"))),
    };
    Ok(Record { entry: Entry { log_id: id, payload }, previous, own })
}

/// The last removed entry and its checksum, so that the rest of the chain still hangs on something.
#[must_use]
pub fn encode_anchor(shard: u16, id: &LogId, chain: u64) -> Bytes {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&chain.to_be_bytes());
    put_log_id(&mut bytes, id);
    seal(shard, bytes)
}

/// Decodes what [`encode_anchor`] wrote.
///
/// # Errors
/// When the bytes are not those that were written.
pub fn decode_anchor(shard: u16, bytes: &[u8]) -> Result<(LogId, u64), StoreError> {
    let body = open(shard, "the anchor", bytes, 33)?;
    let chain = int(body, 1).map(u64::from_be_bytes);
    get_log_id(body, 9).zip(chain).ok_or_else(|| short(shard, "the anchor"))
}

/// A vote.
#[must_use]
pub fn encode_vote(shard: u16, vote: &Vote) -> Bytes {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&vote.leader_id.term.to_be_bytes());
    bytes.extend_from_slice(&vote.leader_id.node_id.to_be_bytes());
    bytes.push(u8::from(vote.committed));
    seal(shard, bytes)
}

/// Decodes what [`encode_vote`] wrote.
///
/// # Errors
/// When the bytes are not those that were written.
pub fn decode_vote(shard: u16, bytes: &[u8]) -> Result<Vote, StoreError> {
    let body = open(shard, "the vote", bytes, 18)?;
    let parts = || {
        let leader =
            LeaderId { term: u64::from_be_bytes(int(body, 1)?), node_id: u64::from_be_bytes(int(body, 9)?) };
        Some(Vote { leader_id: leader, committed: *body.get(17)? == 1 })
    };
    parts().ok_or_else(|| short(shard, "the vote"))
}

/// A log id on its own.
#[must_use]
pub fn encode_log_id(shard: u16, id: &LogId) -> Bytes {
    let mut bytes = vec![FORMAT];
    put_log_id(&mut bytes, id);
    seal(shard, bytes)
}

/// Decodes what [`encode_log_id`] wrote.
///
/// # Errors
/// When the bytes are not those that were written.
pub fn decode_log_id(shard: u16, bytes: &[u8]) -> Result<LogId, StoreError> {
    let body = open(shard, "a log id", bytes, 25)?;
    get_log_id(body, 1).ok_or_else(|| short(shard, "a log id"))
}

fn put_log_id(bytes: &mut Vec<u8>, id: &LogId) {
    let leader = id.committed_leader_id();
    for part in [leader.term, leader.node_id, id.index()] {
        bytes.extend_from_slice(&part.to_be_bytes());
    }
}

fn get_log_id(bytes: &[u8], at: usize) -> Option<LogId> {
    let part = |at| int(bytes, at).map(u64::from_be_bytes);
    Some(log_id(part(at)?, part(at + 8)?, part(at + 16)?))
}

fn seal(shard: u16, mut bytes: Vec<u8>) -> Bytes {
    let sum = xxh3_64_with_seed(&bytes, u64::from(shard));
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes.into()
}

fn open<'a>(shard: u16, what: &str, bytes: &'a [u8], len: usize) -> Result<&'a [u8], StoreError> {
    match bytes.first() {
        Some(format) if *format > FORMAT => {
            let (found, known) = (u32::from(*format), u32::from(FORMAT));
            return Err(StoreError::NewerFormat { what: "a record of the log", found, known });
        }
        _ if bytes.len() != len + 8 => return Err(short(shard, what)),
        _ => {}
    }
    let (body, sum) = bytes.split_at(len);
    if xxh3_64_with_seed(body, u64::from(shard)).to_be_bytes() != sum {
        let store = format!("the log of shard {shard}");
        return Err(StoreError::corrupted(store, format!("{what}: the checksum does not match")));
    }
    Ok(body)
}

fn short(shard: u16, what: &str) -> StoreError {
    StoreError::corrupted(format!("the log of shard {shard}"), format!("{what}: wrong length"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::type_config::{Membership, PeerNode};

    fn entry(payload: Payload) -> Entry {
        Entry { log_id: log_id(3, 4, 5), payload }
    }

    #[test]
    fn entries_round_trip_with_every_payload() {
        let members = Membership::from(std::collections::BTreeMap::from([(
            7,
            PeerNode { name: "n7".into(), address: "n7:1".into() },
        )]));
        let data = EntryData(Bytes::from_static(b"hello"));
        for payload in [Payload::Blank, Payload::Normal(data), Payload::Membership(members)] {
            let (bytes, own) = encode(2, &entry(payload.clone()), 99);
            let record = decode(2, 5, &bytes).unwrap();
            assert_eq!((record.entry, record.previous, record.own), (entry(payload), 99, own));
        }
    }

    #[test]
    fn metadata_round_trips() {
        let vote = Vote { leader_id: LeaderId { term: 8, node_id: 9 }, committed: true };
        assert_eq!(decode_vote(1, &encode_vote(1, &vote)), Ok(vote));
        let id = log_id(1, 2, 3);
        assert_eq!(decode_log_id(1, &encode_log_id(1, &id)), Ok(id));
        assert_eq!(decode_anchor(1, &encode_anchor(1, &id, 77)), Ok((id, 77)));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_found(bit in 0usize..47 * 8) {
            let (bytes, _) = encode(2, &entry(Payload::Normal(EntryData(Bytes::from_static(b"hello")))), 99);
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(2, 5, &damaged.into()).is_err());
        }

        #[test]
        fn any_flipped_bit_of_a_vote_is_found(bit in 0usize..26 * 8) {
            let vote = Vote { leader_id: LeaderId { term: 8, node_id: 9 }, committed: true };
            let mut damaged = encode_vote(1, &vote).to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode_vote(1, &damaged).is_err());
        }
    }
}
