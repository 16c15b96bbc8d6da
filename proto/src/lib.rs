//! Protobuf formats of entries, records and peer messages, and their conversions.
