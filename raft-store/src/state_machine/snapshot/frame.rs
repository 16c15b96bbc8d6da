//! The bytes of a snapshot's header and chunks.
//!
//! Header: `[checksum u64][protobuf]`. Chunk: `[checksum u64][sequence u64][last u8][body]`; the checksum is
//! the XXH3-64 of all behind it, seeded with the sequence. A body is records (`[key length u32][value length
//! u32][key][value]`), the last one's the totals.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use timer_core::ids::ShardId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::limits::RECORD_BYTES_MAX;
use crate::membership::{LogIdRecord, StoredRecord, from_stored_record, stored_record};
use crate::state_machine::{SnapshotError, migrate};
use crate::type_config::{LogId, StoredMembership};

/// That of the records.
pub(super) const FORMAT: u32 = migrate::FORMAT as u32;
/// The first of them that needs nothing derived.
pub(super) const WITH_GROUPS: u32 = migrate::WITH_GROUPS as u32;
const HEADER_SEED: u64 = u64::MAX;
const CHUNK_HEAD: usize = 17;

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The records' format: the present one, or an earlier one that the receiver migrates.
    pub format: u32,
    /// The cluster.
    pub cluster_id: String,
    /// The shard.
    pub shard: ShardId,
    /// The last entry whose effect is in it.
    pub applied: LogId,
    /// The membership then.
    pub membership: StoredMembership,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderRecord {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(string, tag = "2")]
    cluster_id: String,
    #[prost(uint32, tag = "3")]
    shard: u32,
    #[prost(message, optional, tag = "4")]
    applied: Option<LogIdRecord>,
    #[prost(message, optional, tag = "5")]
    membership: Option<StoredRecord>,
}

impl Header {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let record = HeaderRecord {
            format: self.format,
            cluster_id: self.cluster_id.clone(),
            shard: self.shard.0.into(),
            applied: Some(LogIdRecord::from(&self.applied)),
            membership: Some(stored_record(&self.membership)),
        };
        let body = record.encode_to_vec();
        let mut bytes = BytesMut::with_capacity(8 + body.len());
        bytes.put_u64(xxh3_64_with_seed(&body, HEADER_SEED));
        bytes.put_slice(&body);
        bytes.freeze()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// When it is not that, or of a later version.
    pub fn decode(bytes: &Bytes) -> Result<Self, SnapshotError> {
        let damaged = |why: &str| SnapshotError::Damaged(format!("header: {why}"));
        let mut body = bytes.clone();
        let sum = body.try_get_u64().map_err(|_| damaged("too short"))?;
        if xxh3_64_with_seed(&body, HEADER_SEED) != sum {
            return Err(damaged("the checksum does not match"));
        }
        let record = HeaderRecord::decode(body).map_err(|e| damaged(&e.to_string()))?;
        if record.format > FORMAT {
            return Err(SnapshotError::NewerFormat { found: record.format, known: FORMAT });
        }
        let shard = u16::try_from(record.shard).map_err(|_| damaged("no such shard"))?;
        let applied = record.applied.ok_or_else(|| damaged("no log id"))?;
        let membership = record.membership.ok_or_else(|| damaged("no membership"))?;
        Ok(Self {
            format: record.format,
            cluster_id: record.cluster_id,
            shard: ShardId(shard),
            applied: LogId::from(&applied),
            membership: from_stored_record(&membership).map_err(|e| damaged(&e))?,
        })
    }
}

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) sequence: u64,
    pub(super) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Records(Bytes),
    Last(Totals),
}

/// What the chunks came to: number of records and the hash of all, as in a state hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) records: u64,
    pub(super) hash: u64,
}

/// Seals the chunk `sequence`.
pub(super) fn encode(sequence: u64, body: &Body) -> Bytes {
    let mut bytes = BytesMut::with_capacity(CHUNK_HEAD + 16);
    bytes.put_u64(0);
    bytes.put_u64(sequence);
    match body {
        Body::Records(records) => {
            bytes.put_u8(0);
            bytes.put_slice(records);
        }
        Body::Last(totals) => {
            bytes.put_u8(1);
            bytes.put_u64(totals.records);
            bytes.put_u64(totals.hash);
        }
    }
    let sum = xxh3_64_with_seed(&bytes[8..], sequence);
    bytes[..8].copy_from_slice(&sum.to_be_bytes());
    bytes.freeze()
}

/// Opens what [`encode`] sealed.
pub(super) fn decode(bytes: &Bytes) -> Result<Chunk, SnapshotError> {
    let damaged = |why: &str| SnapshotError::Damaged(format!("chunk: {why}"));
    if bytes.len() < CHUNK_HEAD {
        return Err(damaged("too short"));
    }
    let mut body = bytes.clone();
    let (sum, sequence, last) = (body.get_u64(), body.get_u64(), body.get_u8());
    if xxh3_64_with_seed(&bytes[8..], sequence) != sum {
        return Err(damaged("the checksum does not match"));
    }
    let body = match last {
        0 => Body::Records(body),
        1 if body.len() == 16 => Body::Last(Totals { records: body.get_u64(), hash: body.get_u64() }),
        _ => return Err(damaged("neither records nor totals")),
    };
    Ok(Chunk { sequence, body })
}

/// Adds a record to a body.
pub(super) fn put_record(body: &mut BytesMut, key: &[u8], value: &[u8]) -> Result<(), SnapshotError> {
    let lengths = u32::try_from(key.len()).ok().zip(u32::try_from(value.len()).ok());
    let fits = key.len().saturating_add(value.len()) <= RECORD_BYTES_MAX;
    let Some((key_len, value_len)) = lengths.filter(|_| fits) else {
        return Err(SnapshotError::Damaged("a record is too large to be sent".into()));
    };
    body.put_u32(key_len);
    body.put_u32(value_len);
    body.put_slice(key);
    body.put_slice(value);
    Ok(())
}

/// Takes the next record of a body; none at its end.
pub(super) fn take_record(body: &mut Bytes) -> Result<Option<(Bytes, Bytes)>, SnapshotError> {
    if body.is_empty() {
        return Ok(None);
    }
    let damaged = || SnapshotError::Damaged("a record is cut short".into());
    let key_len = body.try_get_u32().map_err(|_| damaged())? as usize;
    let value_len = body.try_get_u32().map_err(|_| damaged())? as usize;
    if key_len.saturating_add(value_len) > body.len() {
        return Err(damaged());
    }
    Ok(Some((body.split_to(key_len), body.split_to(value_len))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::type_config::log_id;

    fn header() -> Header {
        Header {
            format: FORMAT,
            cluster_id: "c1".into(),
            shard: ShardId(3),
            applied: log_id(1, 2, 3),
            membership: StoredMembership::default(),
        }
    }

    #[test]
    fn header_and_chunks_round_trip() {
        assert_eq!(Header::decode(&header().encode()), Ok(header()));
        let mut records = BytesMut::new();
        put_record(&mut records, b"k", b"value").unwrap();
        put_record(&mut records, b"l", b"").unwrap();
        for body in [Body::Records(records.freeze()), Body::Last(Totals { records: 2, hash: 7 })] {
            let chunk = Chunk { sequence: 5, body };
            assert_eq!(decode(&encode(5, &chunk.body)), Ok(chunk.clone()));
            if let Body::Records(mut records) = chunk.body {
                assert_eq!(take_record(&mut records).unwrap().unwrap().1, "value");
                assert_eq!(take_record(&mut records).unwrap().unwrap().0, "l");
                assert_eq!(take_record(&mut records), Ok(None));
            }
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_found(bit in 0usize..33 * 8) {
            let mut bytes = encode(5, &Body::Last(Totals { records: 2, hash: 7 })).to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&bytes.into()).is_err());
            let mut bytes = header().encode().to_vec();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Header::decode(&bytes.into()).is_err());
        }
    }
}
