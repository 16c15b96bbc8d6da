//! Entries of the log: what is read is written as bytes that are read as the same, and a command takes no more room in an
//! entry than was foretold.

use prost::Message as _;
use proto::entry;
use proto::wire::store::LogEntry;

use super::record::same_again;

/// The bytes as an entry.
pub fn holds(data: &[u8]) -> bool {
    let Ok(read) = entry::decode(data) else { return false };
    same_again(&read, &entry::encode(&read), entry::encode, entry::decode);
    for command in &read.commands {
        same_again(command, &entry::encode_envelope(command), entry::encode_envelope, entry::decode_envelope);
        // As it stands in an entry, with a tag and a length before it.
        let alone = LogEntry { proposed_at_ms: 0, commands: vec![command.into()] }.encoded_len();
        let most = entry::envelope_len(command);
        assert!(alone <= most, "{alone} bytes, at most {most} foretold");
    }
    true
}
