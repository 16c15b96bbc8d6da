//! Records of timers, attempts and groups: what is read is written as bytes that are read as the same, in one form.

use std::fmt::Debug;

use bytes::Bytes;
use proto::{DecodeError, group, record};

/// A field that no version has yet, with an empty message: a newer version's.
const NEWER_FIELD: [u8; 3] = [0xC2, 0x3E, 0x00];

/// The bytes as each kind of record.
pub fn holds(data: &[u8]) -> bool {
    let taken = [
        is_one(data, record::encode_timer, record::decode_timer),
        is_one(data, record::encode_attempt, record::decode_attempt),
        is_one(data, group::encode, group::decode),
        is_one(data, group::encode_counts, group::decode_counts),
    ];
    taken.contains(&true)
}

/// What `data` is read as, if anything, is written as bytes that say the same. Says whether it was read.
pub(super) fn is_one<T: Debug + PartialEq>(
    data: &[u8],
    encode: fn(&T) -> Bytes,
    decode: fn(&[u8]) -> Result<T, DecodeError>,
) -> bool {
    let Ok(read) = decode(data) else { return false };
    same_again(&read, &encode(&read), encode, decode);
    true
}

/// `bytes` are those of `value`, and of nothing else when they are cut; what a newer version would add is skipped.
pub(super) fn same_again<T: Debug + PartialEq>(
    value: &T,
    bytes: &Bytes,
    encode: fn(&T) -> Bytes,
    decode: fn(&[u8]) -> Result<T, DecodeError>,
) {
    let again = decode(bytes);
    assert_eq!(again.as_ref(), Ok(value));
    assert_eq!(again.map(|again| encode(&again)), Ok(bytes.clone()), "another form of the same");
    if let Some((_, cut)) = bytes.split_last() {
        assert_ne!(decode(cut).as_ref(), Ok(value), "the last byte says nothing");
    }
    assert_eq!(decode(&[bytes, NEWER_FIELD.as_slice()].concat()).as_ref(), Ok(value));
}
